//! The rows that need the attention of the reconciler: found by the index `byDue`, and postponed before they are handled,
//! so that a row whose handler dies is handled again, and two sweeps do not handle the same row. And the videos that are
//! to be deleted at a time, found by the index `byExpiry`.
//!
//! A repetition of a write finds that the row has another `due`. It is recognised as done if that is the new value.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use upreel_core::transcode::Run;
use upreel_core::video::{Record, Replays, millis};
use upreel_core::{Fault, VideoId};

use super::transcodes::{name, path};
use super::update::{Applied, Update, encode};
use super::{VideoStore, is_refused, number, text};

const INDEX: &str = "byDue";
const EXPIRY_INDEX: &str = "byExpiry";

/// A row that needs attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The video.
    pub id: VideoId,
    /// Since when, in milliseconds since 1970.
    pub due: u64,
}

/// What [`VideoStore::postpone`] records together with the new time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention<'a> {
    /// Nothing.
    None,
    /// The row's event is going to be replayed.
    Replay,
    /// A run is going to be started again, after this number of restarts.
    Restart(&'a Run, u32),
    /// The number of passes in a row that have found no object of a deleted video.
    CleanPasses(u32),
    /// The objects made of earlier events are removed.
    CleanedUp,
}

impl VideoStore {
    /// Returns up to `limit` rows of one shard that are due, longest first.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn list_due(&self, shard: &str, limit: usize) -> Result<Vec<Due>, Fault> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("#shard = :shard AND due <= :now")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":now", number(millis(self.now())))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let output = query.send().await.map_err(|error| Fault::new("dynamodb:Query", &error))?;
        let rows = output.items.into_iter().flatten().filter_map(|item| {
            Some(Due {
                id: item.get("videoId")?.as_s().ok()?.parse().ok()?,
                due: item.get("due")?.as_n().ok()?.parse().ok()?,
            })
        });
        Ok(rows.collect())
    }

    /// Returns up to `limit` videos of one shard whose time of deletion has come, longest first.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn list_expired(&self, shard: &str, limit: usize) -> Result<Vec<VideoId>, Fault> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(EXPIRY_INDEX)
            .key_condition_expression("expiryShard = :shard AND expiresAt <= :now")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":now", text(humantime::format_rfc3339_millis(self.now())))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let output = query.send().await.map_err(|error| Fault::new("dynamodb:Query", &error))?;
        let ids = output.items.into_iter().flatten();
        Ok(ids.filter_map(|item| item.get("videoId")?.as_s().ok()?.parse().ok()).collect())
    }

    /// Sets when a row is examined again: in `delay`, or never. Returns `false`, and changes nothing, if the row has
    /// changed since it was read, or another sweep handles it.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn postpone(
        &self,
        record: &Record,
        delay: Option<Duration>,
        attention: Attention<'_>,
    ) -> Result<bool, Fault> {
        let Some(old) = record.due else { return Ok(false) };
        let due = delay.map(|delay| millis(self.now() + delay));
        let mut update = Update::new(self, record.video.video_id)
            .condition("#due = :old")
            .value(":old", number(old))
            .due_at(due.map(number));
        match (attention, &record.sequencer) {
            (Attention::Replay, Some(sequencer)) => {
                let replays = Replays { sequencer: sequencer.clone(), count: record.replays() + 1 };
                update = update.set("replays", encode(&replays)?);
            }
            (Attention::Restart(run, restarts), _) => {
                let path = path(run);
                update = update
                    .condition(&format!("attribute_exists({})", name(&path)))
                    .set(&format!("{path}.restarts"), number(u64::from(restarts) + 1));
            }
            (Attention::CleanPasses(passes), ..) => {
                update = update.set("cleanPasses", number(passes.into()));
            }
            (Attention::CleanedUp, ..) if !record.superseded().is_empty() => {
                let removed = record.superseded().into_iter().map(ToString::to_string).collect();
                update = update.delete("sequencers", AttributeValue::Ss(removed));
            }
            _ => {}
        }
        Ok(match update.send().await? {
            Applied::Yes(_) => true,
            Applied::No(now) => now.is_some_and(|now| now.due == due && due.is_some()),
        })
    }

    /// Returns the note that was saved under `name`, which is no video's identifier.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn load_note(&self, name: &str) -> Result<Option<String>, Fault> {
        let get = self.client.get_item().table_name(&self.table).key("videoId", text(name));
        let get = get.consistent_read(true).send().await;
        let output = get.map_err(|error| Fault::new("dynamodb:GetItem", &error))?;
        Ok(output.item.and_then(|item| item.get("note")?.as_s().ok().cloned()))
    }

    /// Replaces the note `previous` that was saved under `name`. Returns `false`, and changes nothing, if another one has
    /// been saved since `previous` was loaded.
    ///
    /// A repeated request finds its own note and succeeds. So that a delayed request cannot undo later ones, callers
    /// never save an earlier value again.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn save_note(&self, name: &str, previous: Option<&str>, note: &str) -> Result<bool, Fault> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put.item("videoId", text(name)).item("note", text(note));
        let put = match previous {
            None => put.condition_expression("attribute_not_exists(videoId) OR note = :note"),
            Some(previous) => put
                .condition_expression("note = :previous OR note = :note")
                .expression_attribute_values(":previous", text(previous)),
        };
        match put.expression_attribute_values(":note", text(note)).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(Fault::new("dynamodb:PutItem", &error)),
        }
    }
}
