//! Rows of videos that the `fetch` function copies from a URL.
//!
//! A repetition finds:
//!
//! - [`VideoStore::begin_fetch`]: the row has the upload. The result is the same.
//! - [`VideoStore::abandon`]: the row has left `PENDING`, so [`UpdateOutcome::Superseded`].

use upreel_core::fetch::Started;
use upreel_core::transition::Transition;
use upreel_core::{Failure, Fault, VideoId};

use super::update::{Applied, Update, encode};
use super::{UpdateOutcome, VideoStore, text};

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
            Applied::No(now) => now.is_some_and(|now| now.fetch.as_ref() == Some(started)),
        })
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
