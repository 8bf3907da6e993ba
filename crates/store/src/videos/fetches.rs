//! Rows of videos that the `fetch` function copies from a URL.
//!
//! A repetition finds:
//!
//! - [`VideoStore::begin_fetch`]: the row has the upload. The result is the same.
//! - [`VideoStore::continue_fetch`]: the row has the number. It is set again.
//! - [`VideoStore::abandon`]: the row has left `PENDING`, so [`UpdateOutcome::Superseded`].

use aws_sdk_dynamodb::types::ReturnValue;
use upreel_core::fetch::Started;
use upreel_core::transition::Transition;
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, VideoId};

use super::update::{Applied, Update, encode};
use super::{UpdateOutcome, VideoStore, number, text};

impl VideoStore {
    /// Records the multipart upload that the source is copied to, in place of `previous`. Returns `false`, and changes
    /// nothing, if the row has another one or has left `PENDING`.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn begin_fetch(
        &self,
        id: VideoId,
        previous: Option<&Started>,
        started: &Started,
    ) -> Result<bool, Fault> {
        let update = Update::new(self, id).condition("#status = :PENDING").set("fetch", encode(started)?);
        let update = match previous {
            Some(previous) => {
                update.condition("#fetch.#uploadId = :old").value(":old", text(&previous.upload_id))
            }
            None => update.condition("attribute_not_exists(#fetch)"),
        };
        Ok(match update.send().await? {
            Applied::Yes(_) => true,
            Applied::No(now) => {
                let now = now.and_then(|now| now.fetch);
                now.is_some_and(|now| now.upload_id == started.upload_id)
            }
        })
    }

    /// Records how many bytes of the source are stored in the upload. Returns the row, which is unchanged if it has another
    /// upload or has left `PENDING`.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn continue_fetch(
        &self,
        id: VideoId,
        upload_id: &str,
        stored: u64,
    ) -> Result<Option<Box<Record>>, Fault> {
        let update = Update::new(self, id)
            .condition("#status = :PENDING AND #fetch.#uploadId = :upload")
            .value(":upload", text(upload_id))
            .set("fetch.stored", number(stored));
        let (Applied::Yes(row) | Applied::No(row)) = update.returns(ReturnValue::AllNew).send().await?;
        Ok(row)
    }

    /// Records that the source of a video cannot be fetched.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn abandon(&self, id: VideoId, failure: &Failure) -> Result<UpdateOutcome, Fault> {
        let update = self.transition(id, Transition::Abandon, None).set("error", encode(failure)?);
        let update = update.remove(&["ttl", "fetch"]).due(Transition::Abandon.wait());
        update.send().await.map(Applied::into_outcome)
    }
}
