//! The moves of the status machine: each is one conditional write, so that duplicate, late and
//! reordered events change nothing. The condition is built from [`Status::sources`], the one place that
//! knows the moves.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::{Item, VideoStore, decode, number, text};
use upreel_core::Failure;
use upreel_core::Fault;
use upreel_core::id::{Sequencer, UserId, VideoId};
use upreel_core::transcode::Transcode;
use upreel_core::video::{MediaInfo, PreviewKeys, Record, Status, expiry};

/// A tombstone outlives every event that may still be on its way (retries, dead-letter queue).
const DELETED_TTL: Duration = Duration::from_hours(30 * 24);

/// What became of an attempt to take an event on.
#[derive(Debug)]
pub enum Claim {
    /// The row follows the event now; `attempt` counts from 1.
    Granted {
        /// How often this event was tried, this time included.
        attempt: u32,
    },
    /// The row follows this event or a newer one already, and has nothing left to do for it.
    Stale,
    /// The video was deleted.
    Deleted,
    /// There is no row.
    Missing,
}

/// What became of the record of a finished piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// It is in the row.
    Recorded,
    /// A newer event owns the row.
    Superseded,
    /// The video was deleted meanwhile.
    Deleted,
}

impl VideoStore {
    /// The bytes are in S3. A row that has moved on already stays where it is.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_uploaded(&self, id: VideoId) -> Result<(), Fault> {
        let condition = may_become(Status::Uploaded);
        let update = self
            .update(id, Status::Uploaded)
            .update_expression("SET #status = :status REMOVE #ttl")
            .expression_attribute_names("#ttl", "ttl")
            .condition_expression(condition);
        self.apply(update).await.map(|_| ())
    }

    /// Takes an event on: the row follows it from now on.
    ///
    /// Granted for an event newer than the one that the row follows, and again for the same event
    /// while its work is not done: Lambda's retries, and a replay from the dead-letter queue, come
    /// with the same sequencer.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn claim(
        &self,
        id: VideoId,
        user: &UserId,
        sequencer: &Sequencer,
        size: u64,
    ) -> Result<Claim, Fault> {
        let condition = format!(
            "userId = :user AND {} AND (attribute_not_exists(sequencer) OR sequencer < :sequencer OR \
             (sequencer = :sequencer AND (#status = :status OR #error.#code = :internal)))",
            may_become(Status::Processing)
        );
        let update = self
            .update(id, Status::Processing)
            .update_expression(
                "SET #status = :status, sequencer = :sequencer, #size = :size \
                 REMOVE #ttl, #error, transcode, transcodeChunks ADD attempts :one",
            )
            .expression_attribute_names("#size", "size")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#code", "code")
            .expression_attribute_values(":user", text(user))
            .expression_attribute_values(":sequencer", text(sequencer.as_str()))
            .expression_attribute_values(":internal", text(Failure::INTERNAL))
            .expression_attribute_values(":size", number(size))
            .expression_attribute_values(":one", number(1))
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew);
        Ok(match self.apply(update).await? {
            Applied::Yes(record) => Claim::Granted { attempt: record.map_or(1, |record| record.attempts) },
            Applied::No(None) => Claim::Missing,
            Applied::No(Some(record)) if record.video.status == Status::Deleted => Claim::Deleted,
            Applied::No(Some(_)) => Claim::Stale,
        })
    }

    /// Whether the row still follows this event.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn is_current_event(&self, id: VideoId, sequencer: &Sequencer) -> Result<bool, Fault> {
        let record = self.get(id).await?;
        Ok(record
            .is_some_and(|r| r.video.status == Status::Processing && r.sequencer.as_ref() == Some(sequencer)))
    }

    /// The work for an event is done. Where there are to be renditions, the row says so from this moment on: who
    /// follows the video need not wonder whether any will come.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_processed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        size: u64,
        media_info: &MediaInfo,
        pictures: &PreviewKeys,
        transcode: Option<Transcode>,
    ) -> Result<UpdateOutcome, Fault> {
        let mut item: Item =
            serde_dynamo::to_item(media_info).map_err(|e| Fault::new("encode the media info", &e))?;
        let pictures: Item =
            serde_dynamo::to_item(pictures).map_err(|e| Fault::new("encode the pictures", &e))?;
        item.extend(pictures);
        item.insert("size".to_owned(), number(size));
        if let Some(transcode) = transcode {
            let transcode = serde_dynamo::to_attribute_value(transcode)
                .map_err(|e| Fault::new("encode a transcode", &e))?;
            item.insert("transcode".to_owned(), transcode);
        }
        if let Some(container) = media_info.container {
            item.insert("contentType".to_owned(), text(container.media_type()));
        }
        self.finish(id, sequencer, Status::Processed, item).await
    }

    /// The video cannot be processed.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_failed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        failure: &Failure,
    ) -> Result<UpdateOutcome, Fault> {
        let error =
            serde_dynamo::to_attribute_value(failure).map_err(|e| Fault::new("encode a failure", &e))?;
        self.finish(id, sequencer, Status::Failed, Item::from([("error".to_owned(), error)])).await
    }

    /// Writes the outcome of an event; what an earlier upload left and this one lacks is removed.
    async fn finish(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        status: Status,
        item: Item,
    ) -> Result<UpdateOutcome, Fault> {
        const OUTCOME: [&str; 14] = [
            "durationMs",
            "width",
            "height",
            "rotation",
            "frameRate",
            "videoCodec",
            "colorTransfer",
            "audioCodec",
            "container",
            "thumbnailKey",
            "thumbnailLargeKey",
            "storyboardKey",
            "blurHash",
            "error",
        ];
        let removed: Vec<&str> = OUTCOME.into_iter().filter(|name| !item.contains_key(*name)).collect();
        let mut update = self.update(id, status);
        let mut set = "SET #status = :status".to_owned();
        for (name, value) in item {
            set = format!("{set}, #{name} = :{name}");
            update = update
                .expression_attribute_names(format!("#{name}"), &name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        let mut remove = "REMOVE attempts".to_owned();
        for name in removed {
            remove = format!("{remove}, #{name}");
            update = update.expression_attribute_names(format!("#{name}"), name);
        }
        let update = update
            .update_expression(format!("{set} {remove}"))
            .expression_attribute_values(":sequencer", text(sequencer.as_str()))
            .condition_expression(format!("{} AND sequencer = :sequencer", may_become(status)));
        self.finished(update).await
    }

    /// Applies what only the owner of the row may write.
    pub(super) async fn finished(&self, update: UpdateItemFluentBuilder) -> Result<UpdateOutcome, Fault> {
        Ok(match self.apply(update).await? {
            Applied::Yes(_) => UpdateOutcome::Recorded,
            Applied::No(Some(record)) if record.video.status != Status::Deleted => UpdateOutcome::Superseded,
            Applied::No(_) => UpdateOutcome::Deleted,
        })
    }

    /// Makes the row a tombstone, without the name that the user gave it, and tells what it was;
    /// `None` when it is not the user's.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn delete(&self, id: VideoId, user: &UserId) -> Result<Option<Record>, Fault> {
        let update = self
            .update(id, Status::Deleted)
            .update_expression("SET #status = :status, #ttl = :ttl, filename = :gone REMOVE uploadTime")
            .expression_attribute_values(":gone", text(""))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(expiry(DELETED_TTL)))
            .expression_attribute_values(":user", text(user))
            .condition_expression(format!("userId = :user AND {}", may_become(Status::Deleted)))
            .return_values(ReturnValue::AllOld);
        Ok(match self.apply(update).await? {
            Applied::Yes(record) => record,
            Applied::No(_) => None,
        })
    }

    fn update(&self, id: VideoId, status: Status) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("videoId", text(id))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        status.sources().iter().fold(update, |update, source| {
            let source = source.as_str();
            update.expression_attribute_values(format!(":{source}"), text(source))
        })
    }

    async fn apply(&self, update: UpdateItemFluentBuilder) -> Result<Applied, Fault> {
        match update.send().await {
            Ok(output) => Ok(Applied::Yes(output.attributes.map(decode).transpose()?)),
            Err(error) => match failed_condition(&error) {
                Some(failed) => Ok(Applied::No(failed.item().cloned().map(decode).transpose()?)),
                None => Err(Fault::new("dynamodb:UpdateItem", &error)),
            },
        }
    }
}

enum Applied {
    Yes(Option<Record>),
    No(Option<Record>),
}

fn failed_condition(error: &SdkError<UpdateItemError>) -> Option<&ConditionalCheckFailedException> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Some(failed),
        _ => None,
    }
}

/// The condition that the present status may be followed by `status`.
fn may_become(status: Status) -> String {
    let sources: Vec<String> =
        status.sources().iter().map(|source| format!(":{}", source.as_str())).collect();
    format!("#status IN ({})", sources.join(", "))
}
