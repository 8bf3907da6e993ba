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

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use upreel_core::transcode::{Transcode, TranscodeStatus};
use upreel_core::{Failure, Fault, Sequencer, Status, VideoId};

use super::{UpdateOutcome, VideoStore, text};

/// The condition for [`Transcode::can_resume`].
const CAN_RESUME: &str = "(transcode.#status = :running OR transcode.#error.#code = :internal)";

impl VideoStore {
    /// Records that transcoding has started, with the number of chunks.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcode_started(
        &self,
        id: VideoId,
        run: &Sequencer,
        chunks: usize,
    ) -> Result<UpdateOutcome, Fault> {
        let transcode = Transcode { chunks, ..Transcode::waiting(run.clone()) };
        self.set_transcode(id, transcode, "SET transcode = :transcode").await
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
            .update_expression("ADD transcodeChunks :index")
            .expression_attribute_values(":index", AttributeValue::Ns(vec![index.to_string()]));
        self.apply_as_owner(update).await
    }

    /// Records that all renditions can be played.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcoded(&self, id: VideoId, run: &Sequencer) -> Result<UpdateOutcome, Fault> {
        let update = self
            .update_run(id, run, CAN_RESUME)
            .update_expression("SET transcode.#status = :done REMOVE transcodeChunks, transcode.#error")
            .expression_attribute_values(":done", text(TranscodeStatus::Done.as_str()));
        self.apply_as_owner(update).await
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
    ) -> Result<UpdateOutcome, Fault> {
        let transcode = Transcode {
            run: run.clone(),
            status: TranscodeStatus::Failed,
            chunks: 0,
            error: Some(failure.clone()),
        };
        self.set_transcode(id, transcode, "SET transcode = :transcode REMOVE transcodeChunks").await
    }

    /// Writes the whole transcode, unless it has ended.
    async fn set_transcode(
        &self,
        id: VideoId,
        transcode: Transcode,
        expression: &str,
    ) -> Result<UpdateOutcome, Fault> {
        let update = self.update_run(
            id,
            &transcode.run,
            &format!("(attribute_not_exists(transcode) OR {CAN_RESUME})"),
        );
        let transcode =
            serde_dynamo::to_attribute_value(transcode).map_err(|e| Fault::new("encode a transcode", &e))?;
        let update =
            update.update_expression(expression).expression_attribute_values(":transcode", transcode);
        self.apply_as_owner(update).await
    }

    /// Creates an update that applies only if the video is processed, its row belongs to this run, and `condition`
    /// holds.
    fn update_run(&self, id: VideoId, run: &Sequencer, condition: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("videoId", text(id))
            .condition_expression(format!("#status = :processed AND sequencer = :run AND {condition}"))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#code", "code")
            .expression_attribute_values(":internal", text(Failure::INTERNAL))
            .expression_attribute_values(":processed", text(Status::Processed.as_str()))
            .expression_attribute_values(":running", text(TranscodeStatus::Running.as_str()))
            .expression_attribute_values(":run", text(run.as_str()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}
