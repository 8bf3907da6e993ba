//! Status transitions. Each is one conditional write, so that duplicate, late and reordered events change nothing. The
//! condition is built from [`Status::sources`], the only definition of the allowed transitions.
//!
//! A repetition finds:
//!
//! - [`VideoStore::mark_uploaded`]: the row has left `PENDING`. It stays unchanged, and the result is the same.
//! - [`VideoStore::claim`]: the row has this sequencer. [`Claim::Granted`] with a higher attempt while it is
//!   `PROCESSING` or failed with [`Failure::INTERNAL`], else [`Claim::Stale`].
//! - [`VideoStore::mark_processed`] and [`VideoStore::mark_failed`]: the row has left `PROCESSING`, so
//!   [`UpdateOutcome::Superseded`].
//! - [`VideoStore::delete`]: the row is a tombstone. It is written again with a new expiry time, and returned.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use upreel_core::transcode::Transcode;
use upreel_core::video::{MediaInfo, PreviewKeys, Record, Status, expiry};
use upreel_core::{Failure, Fault, Sequencer, UserId, VideoId};

use super::{Item, VideoStore, decode, number, text};

/// The lifetime of a tombstone: longer than every event that may still arrive (retries, dead-letter queue).
const DELETED_TTL: Duration = Duration::from_hours(30 * 24);

/// Outcome of claiming an event.
#[derive(Debug)]
pub enum Claim {
    /// The event owns the row.
    Granted {
        /// The number of claims since the row's last outcome, this one included: 1 or more.
        attempt: u32,
    },
    /// The row has the outcome of this event, or belongs to a newer event or to another user.
    Stale,
    /// The video was deleted.
    Deleted,
    /// There is no row.
    Missing,
}

/// Outcome of recording the result of finished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The row has the result.
    Recorded,
    /// A newer event owns the row, or the row has a result already.
    Superseded,
    /// The video was deleted in the meantime.
    Deleted,
}

impl VideoStore {
    /// Records that the object is in S3. A row with a later status stays unchanged.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_uploaded(&self, id: VideoId) -> Result<(), Fault> {
        let condition = is_allowed(Status::Uploaded);
        let update = self
            .update(id, Status::Uploaded)
            .update_expression("SET #status = :status REMOVE #ttl")
            .expression_attribute_names("#ttl", "ttl")
            .condition_expression(condition);
        self.apply(update).await.map(|_| ())
    }

    /// Claims an event: makes it the owner of the row.
    ///
    /// The claim is granted for an event newer than the present owner, and again for the same event until its work is
    /// done, because Lambda's retries and a replay from the dead-letter queue have the same sequencer.
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
            is_allowed(Status::Processing)
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

    /// Returns whether this event still owns the row.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn is_current_event(&self, id: VideoId, sequencer: &Sequencer) -> Result<bool, Fault> {
        let record = self.get(id).await?;
        Ok(record
            .is_some_and(|r| r.video.status == Status::Processing && r.sequencer.as_ref() == Some(sequencer)))
    }

    /// Records that the video is processed. If it is going to be transcoded, the same write adds `transcode`, so that
    /// clients never see a processed video without knowing whether renditions follow.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_processed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        size: u64,
        media_info: &MediaInfo,
        previews: &PreviewKeys,
        transcode: Option<Transcode>,
    ) -> Result<UpdateOutcome, Fault> {
        let mut item: Item =
            serde_dynamo::to_item(media_info).map_err(|e| Fault::new("encode the media info", &e))?;
        let previews: Item =
            serde_dynamo::to_item(previews).map_err(|e| Fault::new("encode the preview keys", &e))?;
        item.extend(previews);
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

    /// Records that the video cannot be processed.
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

    /// Writes the result of an event, and removes attributes that only the result of an earlier upload had.
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
            .condition_expression(format!("{} AND sequencer = :sequencer", is_allowed(status)));
        self.apply_as_owner(update).await
    }

    /// Applies an update whose condition includes that the writer owns the row.
    pub(super) async fn apply_as_owner(
        &self,
        update: UpdateItemFluentBuilder,
    ) -> Result<UpdateOutcome, Fault> {
        Ok(match self.apply(update).await? {
            Applied::Yes(_) => UpdateOutcome::Recorded,
            Applied::No(Some(record)) if record.video.status != Status::Deleted => UpdateOutcome::Superseded,
            Applied::No(_) => UpdateOutcome::Deleted,
        })
    }

    /// Makes the row a tombstone without the file name, and returns the previous row, or `None` if there is no row or
    /// it belongs to another user.
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
            .condition_expression(format!("userId = :user AND {}", is_allowed(Status::Deleted)))
            .return_values(ReturnValue::AllOld);
        Ok(match self.apply(update).await? {
            Applied::Yes(record) => record,
            Applied::No(_) => None,
        })
    }

    /// Creates an update to `status`, with the values of [`is_allowed`].
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

/// Returns the condition that a transition to `status` is allowed.
fn is_allowed(status: Status) -> String {
    let sources: Vec<String> =
        status.sources().iter().map(|source| format!(":{}", source.as_str())).collect();
    format!("#status IN ({})", sources.join(", "))
}
