//! Status transitions. Each is one conditional write, so that duplicate, late and reordered events change nothing. The
//! conditions are built from [`Transition::rule`].
//!
//! A repetition finds:
//!
//! - [`VideoStore::mark_uploaded`]: the row has left `PENDING`. It stays unchanged, and the result is the same.
//! - [`VideoStore::claim`] and [`VideoStore::give_up`]: the row has this sequencer and is unfinished. It is written again
//!   with the same values.
//! - [`VideoStore::mark_processed`] and [`VideoStore::mark_failed`]: the row is finished, so
//!   [`UpdateOutcome::Superseded`]. Whoever writes a row looks at it before deleting what the row may refer to.
//! - [`VideoStore::mark_playable`]: the same values, or the row has left `PROCESSING`, so [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_lost`] and [`VideoStore::complete`]: the row has left the state, so
//!   [`UpdateOutcome::Superseded`].
//!
//! Checks are in `checks`, a deletion is in `deletions`.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use upreel_core::captions::EmbeddedTracks;
use upreel_core::limits::Wait;
use upreel_core::playback::Playback;
use upreel_core::transcode::{Renditions, Transcode};
use upreel_core::transition::{EventRule, Refusal, Transition};
use upreel_core::{Failure, Fault, Key, Sequencer, UserId, VideoId};

use super::content::{CONTENT, EMBEDDED, OF_EARLIER_EVENTS, Processed, failed};
use super::outcome::{Claim, UpdateOutcome};
use super::update::{Applied, Update, encode};
use super::{Item, VideoStore, number, text};

/// The condition for `State::is_unfinished`.
const UNFINISHED: &str = "(#status IN (:UPLOADED, :PROCESSING) OR \
     (#status = :FAILED AND #error.#code IN (:INTERNAL, :INFECTED, :REJECTED, :NOT_CHECKED)))";

/// The condition that no check has refused the object of the event.
const NOT_REFUSED: &str = "(attribute_not_exists(#sequencer) OR #sequencer < :event OR \
     NOT (#error.#code IN (:INFECTED, :REJECTED, :NOT_CHECKED)))";

impl VideoStore {
    /// Records that the object is in S3. A row with a later status stays unchanged.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_uploaded(&self, id: VideoId) -> Result<(), Fault> {
        let update = self.transition(id, Transition::Upload, None);
        update.remove(&["ttl"]).due(Transition::Upload.wait()).send().await.map(drop)
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
        key: &Key,
        user: &UserId,
        sequencer: &Sequencer,
        (size, etag): (u64, &str),
    ) -> Result<Claim, Fault> {
        let update = self.take_over(key, user, Transition::Claim, sequencer, (size, etag));
        let update = update.due(Transition::Claim.wait()).returns(ReturnValue::AllNew);
        Ok(match update.send().await? {
            Applied::Yes(None) => {
                return Err(Fault::message("dynamodb:UpdateItem", "the row was not returned"));
            }
            Applied::Yes(Some(record)) => Claim::Granted(record),
            Applied::No(None) => Claim::Missing,
            Applied::No(Some(record)) => {
                match Transition::Claim.check(Some(&record.state()), Some(sequencer)) {
                    Err(Refusal::Deleted) => Claim::Deleted,
                    _ => Claim::Stale(record),
                }
            }
        })
    }

    /// Records that an event was given up: no attempt to process it succeeded, and there will be no further one.
    /// `replays` is the number of times it was replayed, and `is_refused` says whether a check had refused its object before.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn give_up(
        &self,
        key: &Key,
        user: &UserId,
        sequencer: &Sequencer,
        (size, etag): (u64, &str),
        (replays, is_refused): (u32, bool),
    ) -> Result<UpdateOutcome, Fault> {
        let update = self.take_over(key, user, Transition::GiveUp, sequencer, (size, etag));
        let mut update = update.set("error", encode(&Failure::internal())?).due(Some(Wait::Replay(replays)));
        if !is_refused {
            // The response to this write may be lost, and the object refused before the SDK repeats it.
            update = update.condition(NOT_REFUSED);
        }
        update.send().await.map(Applied::into_outcome)
    }

    /// Returns an update that makes an event the owner of the row.
    pub(super) fn take_over(
        &self,
        key: &Key,
        user: &UserId,
        transition: Transition,
        sequencer: &Sequencer,
        (size, etag): (u64, &str),
    ) -> Update<'_> {
        self.transition(key.video_id(), transition, Some(sequencer))
            .condition("#userId = :user")
            .value(":user", text(user))
            .set("sequencer", text(sequencer))
            .set("size", number(size))
            .set("etag", text(etag))
            .remove(&CONTENT)
            .remove(&OF_EARLIER_EVENTS)
            .add("sequencers", AttributeValue::Ss(vec![sequencer.to_string()]))
    }

    /// Records that the object can be played before its previews are made. A row that has left `PROCESSING` stays unchanged.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_playable(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        (size, etag): (u64, &str),
        playback: &Playback,
    ) -> Result<UpdateOutcome, Fault> {
        // The keys of what is played contain the entity tag, so the row must have the same one.
        let update = self.transition(id, Transition::Play, Some(sequencer));
        let update = update.set("size", number(size)).set("etag", text(etag));
        update.set("playback", encode(playback)?).send().await.map(Applied::into_outcome)
    }

    /// Records that the video is processed. With `is_examined`, the reconciler examines the row afterwards.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_processed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        processed: &Processed,
        is_examined: bool,
    ) -> Result<UpdateOutcome, Fault> {
        let Processed { size, etag, media_info, previews, playback, captions, incomplete, renditions } =
            processed;
        let Renditions { transcode, rungs } = renditions;
        let encoding = |error| Fault::new("encode the result", &error);
        let mut item: Item = serde_dynamo::to_item(media_info).map_err(encoding)?;
        let previews: Item = serde_dynamo::to_item(previews).map_err(encoding)?;
        item.extend(previews);
        item.insert("size".to_owned(), number(*size));
        item.insert("etag".to_owned(), text(etag));
        if let Some(playback) = playback {
            item.insert("playback".to_owned(), encode(playback)?);
        }
        if !captions.is_empty() {
            item.insert(EMBEDDED.to_owned(), encode(captions)?);
        }
        if *incomplete {
            item.insert("incomplete".to_owned(), AttributeValue::Bool(true));
        }
        if let Some(transcode) = transcode {
            item.insert("transcode".to_owned(), encode(transcode)?);
        }
        if let Some(rungs) = rungs {
            item.insert("rungs".to_owned(), encode(rungs)?);
        }
        if let Some(media_type) = media_info.media_type() {
            item.insert("contentType".to_owned(), text(media_type));
        }
        let is_waiting = transcode.as_ref().is_some_and(Transcode::is_waiting);
        let wait = match (incomplete, is_examined, is_waiting) {
            (true, ..) => Some(Wait::Storyboard),
            (_, true, _) => Some(Wait::CleanUp),
            (.., true) => Some(Wait::Transcode),
            _ => None,
        };
        self.finish(id, sequencer, Transition::Process, item, wait).await
    }

    /// Records that the object with this entity tag cannot be processed. With `is_examined`, the reconciler examines the row afterwards.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_failed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        (object, failure): ((u64, &str), &Failure),
        is_examined: bool,
    ) -> Result<UpdateOutcome, Fault> {
        let wait = is_examined.then_some(Wait::CleanUp);
        self.finish(id, sequencer, Transition::Fail, failed(object, failure)?, wait).await
    }

    /// Records that the object is missing. A row that counts is examined again, so that it does not count the object.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_lost(&self, id: VideoId, counts: bool) -> Result<UpdateOutcome, Fault> {
        let update = self.transition(id, Transition::Lose, None).set("error", encode(&Failure::lost())?);
        update
            .due(counts.then_some(Wait::CleanUp).or(Transition::Lose.wait()))
            .send()
            .await
            .map(Applied::into_outcome)
    }

    /// Records what was left out because of a fault: the storyboard, unless the video has none, and the playback
    /// with the captions of the object.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn complete(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        key: Option<&Key>,
        playback: Option<(Playback, Renditions, EmbeddedTracks)>,
    ) -> Result<UpdateOutcome, Fault> {
        let mut update = self.transition(id, Transition::Complete, Some(sequencer)).remove(&["incomplete"]);
        if let Some(key) = key {
            update = update.set("storyboardKey", text(key));
        }
        if let Some((playback, Renditions { transcode, rungs }, captions)) = playback {
            update = update.set("playback", encode(&playback)?);
            if !captions.is_empty() {
                // Whoever repeats this must not bring back captions that the user has removed since.
                update = update.condition("attribute_exists(#incomplete)").set(EMBEDDED, encode(&captions)?);
            }
            if let Some(transcode) = transcode {
                update = update.set("transcode", encode(&transcode)?);
            }
            if let Some(rungs) = rungs {
                update = update.set("rungs", encode(&rungs)?);
            }
        }
        update.send().await.map(Applied::into_outcome)
    }

    /// Writes the result of an event.
    pub(super) async fn finish(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        transition: Transition,
        item: Item,
        wait: Option<Wait>,
    ) -> Result<UpdateOutcome, Fault> {
        let mut update =
            self.transition(id, transition, Some(sequencer)).remove(&CONTENT).remove(&["replays"]);
        for (name, value) in item {
            update = update.set(&name, value);
        }
        update.due(wait).send().await.map(Applied::into_outcome)
    }

    /// Creates an update to the status of `transition` that applies if its rule allows it.
    pub(super) fn transition(
        &self,
        id: VideoId,
        transition: Transition,
        sequencer: Option<&Sequencer>,
    ) -> Update<'_> {
        let rule = transition.rule();
        let from: Vec<String> = rule.from.iter().map(|status| format!(":{}", status.as_str())).collect();
        let mut update = Update::new(self, id)
            .condition(&format!("#status IN ({})", from.join(", ")))
            .set("status", text(rule.to.as_str()));
        if let Some(sequencer) = sequencer {
            update = update.value(":event", text(sequencer));
        }
        match rule.event {
            EventRule::None => update,
            EventRule::Newer => update.condition("(attribute_not_exists(#sequencer) OR #sequencer < :event)"),
            EventRule::Own => update.condition("#sequencer = :event"),
            EventRule::Unfinished => update.condition(&format!("#sequencer = :event AND {UNFINISHED}")),
            EventRule::NewerOrUnfinished => update.condition(&format!(
                "(attribute_not_exists(#sequencer) OR #sequencer < :event OR \
                 (#sequencer = :event AND {UNFINISHED}))"
            )),
        }
    }
}
