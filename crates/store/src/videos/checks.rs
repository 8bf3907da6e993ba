//! Uploads that are held until they are checked.
//!
//! A repetition finds:
//!
//! - [`VideoStore::hold`]: the row has this sequencer. It stays unchanged, and is held.
//! - [`VideoStore::refuse`] and [`VideoStore::record_result`]: the row is written again with the same values.

use aws_sdk_dynamodb::types::ReturnValue;
use upreel_core::check::{Check, CheckResult};
use upreel_core::limits::Wait;
use upreel_core::transition::{Refusal, Transition};
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Key, Sequencer, UserId, VideoId};

use super::VideoStore;
use super::content::failed;
use super::outcome::{Claim, UpdateOutcome};
use super::update::{Applied, Update, encode};

impl VideoStore {
    /// Makes an event the owner of the row until its object has passed the checks: the row is `UPLOADED`, and nothing of the
    /// earlier object is named any more. The outcome is [`Claim::Held`] also if the row belonged to the event before, and the
    /// event is not finished.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn hold(
        &self,
        key: &Key,
        user: &UserId,
        sequencer: &Sequencer,
        (size, etag): (u64, &str),
    ) -> Result<Claim, Fault> {
        let update = self.take_over(key, user, Transition::Hold, sequencer, (size, etag));
        let update = update.due(Transition::Hold.wait()).returns(ReturnValue::AllNew);
        Ok(match update.send().await? {
            Applied::Yes(record) => record.map_or(Claim::Missing, Claim::Held),
            Applied::No(None) => Claim::Missing,
            Applied::No(Some(record)) => {
                match Transition::Claim.check(Some(&record.state()), Some(sequencer)) {
                    Ok(()) if record.video.user_id == *user => Claim::Held(record),
                    Err(Refusal::Deleted) => Claim::Deleted,
                    _ => Claim::Stale(record),
                }
            }
        })
    }

    /// Records the result of a check of the object with this entity tag. Returns the row, or `None` if there is none or the
    /// video was deleted.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn record_result(
        &self,
        id: VideoId,
        check: Check,
        result: &CheckResult,
    ) -> Result<Option<Box<Record>>, Fault> {
        let name = match check {
            Check::Scan => "scanResult",
            Check::Moderation => "moderationResult",
        };
        let update = Update::new(self, id).condition("#status <> :DELETED").set(name, encode(result)?);
        Ok(match update.returns(ReturnValue::AllNew).send().await? {
            Applied::Yes(record) => record,
            Applied::No(_) => None,
        })
    }

    /// Records that a check refuses the object with this entity tag, or has no verdict in time. With `is_examined`, the
    /// reconciler examines the row afterwards.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn refuse(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        (object, failure): ((u64, &str), &Failure),
        is_examined: bool,
    ) -> Result<UpdateOutcome, Fault> {
        let wait = is_examined.then_some(Wait::CleanUp);
        self.finish(id, sequencer, Transition::Refuse, failed(object, failure)?, wait).await
    }
}
