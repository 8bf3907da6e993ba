//! Transitions of the transcode. Each is one conditional write, which applies only while the row belongs to the same
//! run.
//!
//! A repetition finds:
//!
//! - [`VideoStore::mark_transcode_wanted`]: the transcode is no longer offered, so [`UpdateOutcome::Superseded`]. The
//!   first position stays.
//! - [`VideoStore::mark_transcode_started`]: the transcode is running. It is written again until the transcode has
//!   ended, then [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_chunk_encoded`]: the chunk is in the set and is not counted twice. After the end
//!   [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_transcoded`] and [`VideoStore::mark_rung_encoded`]: the transcode is done, so
//!   [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_transcode_failed`]: the first failure stays, so [`UpdateOutcome::Superseded`]; only
//!   [`Failure::INTERNAL`] is replaced.

use aws_sdk_dynamodb::types::AttributeValue;
use upreel_core::limits::Wait;
use upreel_core::transcode::{Run, Transcode, TranscodeStatus, chunk_of_rung};
use upreel_core::video::Record;
use upreel_core::{Failure, Fault};

use super::update::{Applied, Update, encode};
use super::{UpdateOutcome, VideoStore, number, text};

impl VideoStore {
    /// Records that the renditions of a run are wanted, so that its execution is going to be started. A rung is encoded
    /// from the position `from` on, in milliseconds.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_wanted(&self, run: &Run, from: u64) -> Result<UpdateOutcome, Fault> {
        let (path, status) = (path(run), TranscodeStatus::Running.as_str());
        let mut update = self.update_run(run, &format!("{}.#status = :OFFERED", name(&path)));
        if run.rung.is_some() {
            update = update.set(&format!("{path}.from"), number(from));
        }
        let update = update.set(&format!("{path}.status"), text(status)).due(Some(Wait::Transcode));
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that transcoding has started, with the number of chunks. `before` is the state in the row, if it has
    /// one.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_started(
        &self,
        run: &Run,
        chunks: usize,
        before: Option<&Transcode>,
    ) -> Result<UpdateOutcome, Fault> {
        let transcode = Transcode { chunks, ..restarted(run, before) };
        let update = self.update_run(run, &is_open(run));
        let update = update.set(&path(run), encode(&transcode)?).due(Some(Wait::Transcode));
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that a chunk is encoded and stored. Its number counts for the progress of the whole ladder, its name
    /// says which segments of a rung can be played. The names are outside of the rung's map, because `DynamoDB` adds to
    /// sets only there.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_chunk_encoded(
        &self,
        run: &Run,
        (index, chunk): (usize, &str),
    ) -> Result<UpdateOutcome, Fault> {
        let update = self.update_run(run, &can_resume(run));
        let update = match &run.rung {
            Some(rung) => update.add("rungChunks", AttributeValue::Ss(vec![chunk_of_rung(rung, chunk)])),
            None => update.add("transcodeChunks", AttributeValue::Ns(vec![index.to_string()])),
        };
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that all renditions can be played.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcoded(&self, run: &Run) -> Result<UpdateOutcome, Fault> {
        let update = self
            .update_run(run, &can_resume(run))
            .set("transcode.status", text(TranscodeStatus::Done.as_str()))
            .remove(&["transcodeChunks", "transcode.error"]);
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that a rung can be played, beside the original and those that can be played according to `record`. If they
    /// are others by now, the playlist with all of them is not stored yet: the result is [`UpdateOutcome::Superseded`].
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_rung_encoded(&self, run: &Run, record: &Record) -> Result<UpdateOutcome, Fault> {
        let path = path(run);
        let mut update = self.update_run(run, &can_resume(run));
        for (other, transcode) in
            record.rungs.iter().flatten().filter(|(name, _)| run.rung.as_ref() != Some(*name))
        {
            let operator = if transcode.status == TranscodeStatus::Done { "=" } else { "<>" };
            update = update.condition(&format!("#rungs.#{other}.#status {operator} :DONE"));
        }
        let mut update = update
            .set(&format!("{path}.status"), text(TranscodeStatus::Done.as_str()))
            .remove(&[&format!("{path}.error")]);
        let chunks = run.rung.iter().flat_map(|rung| record.stored_chunks(rung)).cloned().collect::<Vec<_>>();
        if !chunks.is_empty() {
            update = update.delete("rungChunks", AttributeValue::Ss(chunks));
        }
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that the video cannot be transcoded. `before` is the state in the row, if it has one.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_failed(
        &self,
        run: &Run,
        failure: &Failure,
        before: Option<&Transcode>,
    ) -> Result<UpdateOutcome, Fault> {
        let (status, error) = (TranscodeStatus::Failed, Some(failure.clone()));
        let transcode = Transcode { status, error, ..restarted(run, before) };
        let mut update = self.update_run(run, &is_open(run)).set(&path(run), encode(&transcode)?);
        if run.rung.is_none() {
            update = update.remove(&["transcodeChunks"]);
        }
        if failure.code == Failure::INTERNAL {
            // The row can have other rungs, which must be examined even if this one is not repeated.
            let wait = if run.rung.is_some() { Wait::Transcode } else { Wait::Replay(transcode.restarts) };
            update = update.due(Some(wait));
        }
        update.send().await.map(Applied::into_outcome)
    }

    /// Creates an update that applies only if the video is processed, its row belongs to this run, and `condition`
    /// holds.
    fn update_run(&self, run: &Run, condition: &str) -> Update<'_> {
        Update::new(self, run.video_id)
            .condition("#status = :PROCESSED AND #sequencer = :run")
            .condition(condition)
            .value(":run", text(&run.sequencer))
    }
}

/// Returns the state of a run without the result of the execution before.
fn restarted(run: &Run, before: Option<&Transcode>) -> Transcode {
    let (restarts, from) = before.map_or((0, 0), |before| (before.restarts, before.from));
    Transcode { restarts, from, ..Transcode::waiting(run.sequencer.clone()) }
}

/// Returns the path of a run's [`Transcode`] in the row.
pub(super) fn path(run: &Run) -> String {
    run.rung.as_ref().map_or_else(|| "transcode".to_owned(), |rung| format!("rungs.{rung}"))
}

/// Returns a path as it is in conditions.
pub(super) fn name(path: &str) -> String {
    format!("#{}", path.replace('.', ".#"))
}

/// Returns the condition for [`Transcode::can_resume`].
fn can_resume(run: &Run) -> String {
    let name = name(&path(run));
    format!("({name}.#status = :RUNNING OR {name}.#error.#code = :INTERNAL)")
}

/// Returns the condition for the start of a run. Rungs have a state before that.
fn is_open(run: &Run) -> String {
    let can_resume = can_resume(run);
    if run.rung.is_some() {
        can_resume
    } else {
        format!("(attribute_not_exists(#transcode) OR {can_resume})")
    }
}
