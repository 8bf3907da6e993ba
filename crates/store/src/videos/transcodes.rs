//! Transitions of the transcode. Each is one conditional write, which applies only while the row belongs to the same
//! run.
//!
//! A repetition finds:
//!
//! - [`VideoStore::mark_transcode_started`]: the transcode is running. It is written again until the transcode has
//!   ended, then [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_chunk_encoded`]: the chunk is in the set and is not counted twice. After the end
//!   [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_transcoded`]: the transcode is done, so [`UpdateOutcome::Superseded`].
//! - [`VideoStore::mark_transcode_failed`]: the first failure stays, so [`UpdateOutcome::Superseded`]; only
//!   [`Failure::INTERNAL`] is replaced.

use aws_sdk_dynamodb::types::AttributeValue;
use upreel_core::limits::Wait;
use upreel_core::transcode::{Transcode, TranscodeStatus};
use upreel_core::{Failure, Fault, Sequencer, VideoId};

use super::update::{Applied, Update, encode};
use super::{UpdateOutcome, VideoStore, text};

/// The condition for [`Transcode::can_resume`].
const CAN_RESUME: &str = "(#transcode.#status = :RUNNING OR #transcode.#error.#code = :INTERNAL)";

impl VideoStore {
    /// Records that transcoding has started, with the number of chunks. `restarts` is the one of the row.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_started(
        &self,
        id: VideoId,
        run: &Sequencer,
        chunks: usize,
        restarts: u32,
    ) -> Result<UpdateOutcome, Fault> {
        let transcode = Transcode { chunks, restarts, ..Transcode::waiting(run.clone()) };
        let update = self.update_run(id, run, &format!("(attribute_not_exists(#transcode) OR {CAN_RESUME})"));
        let update = update.set("transcode", encode(&transcode)?).due(Some(Wait::Transcode));
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that a chunk is encoded.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_chunk_encoded(
        &self,
        id: VideoId,
        run: &Sequencer,
        index: usize,
    ) -> Result<UpdateOutcome, Fault> {
        let update = self
            .update_run(id, run, CAN_RESUME)
            .add("transcodeChunks", AttributeValue::Ns(vec![index.to_string()]));
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that all renditions can be played.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcoded(&self, id: VideoId, run: &Sequencer) -> Result<UpdateOutcome, Fault> {
        let update = self
            .update_run(id, run, CAN_RESUME)
            .set("transcode.status", text(TranscodeStatus::Done.as_str()))
            .remove(&["transcodeChunks", "transcode.error"]);
        update.send().await.map(Applied::into_outcome)
    }

    /// Records that the video cannot be transcoded.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_failed(
        &self,
        id: VideoId,
        run: &Sequencer,
        failure: &Failure,
        restarts: u32,
    ) -> Result<UpdateOutcome, Fault> {
        let transcode = Transcode {
            status: TranscodeStatus::Failed,
            restarts,
            error: Some(failure.clone()),
            ..Transcode::waiting(run.clone())
        };
        let update = self.update_run(id, run, &format!("(attribute_not_exists(#transcode) OR {CAN_RESUME})"));
        let mut update = update.set("transcode", encode(&transcode)?).remove(&["transcodeChunks"]);
        if failure.code == Failure::INTERNAL {
            update = update.due(Some(Wait::Replay(restarts)));
        }
        update.send().await.map(Applied::into_outcome)
    }

    /// Creates an update that applies only if the video is processed, its row belongs to this run, and `condition`
    /// holds.
    fn update_run(&self, id: VideoId, run: &Sequencer, condition: &str) -> Update<'_> {
        Update::new(self, id)
            .condition("#status = :PROCESSED AND #sequencer = :run")
            .condition(condition)
            .value(":run", text(run))
    }
}
