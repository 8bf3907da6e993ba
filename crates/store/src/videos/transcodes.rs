//! Where the transcoding of a video stands, beside its status: each move is one conditional write, that holds only
//! while the row is of the same upload.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};

use super::{UpdateOutcome, VideoStore, text};
use upreel_core::Fault;
use upreel_core::id::{Sequencer, VideoId};
use upreel_core::transcode::{Transcode, TranscodeStatus};
use upreel_core::{Failure, Status};

/// [`Transcode::can_resume`].
const ALIVE: &str = "(transcode.#status = :running OR transcode.#error.#code = :internal)";

impl VideoStore {
    /// The upload is to be transcoded, in so many chunks. The beginning may be told again, until the end is.
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

    /// A chunk is encoded; it counts once, however often it is told.
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
            .of_run(id, run, ALIVE)
            .update_expression("ADD transcodeChunks :index")
            .expression_attribute_values(":index", AttributeValue::Ns(vec![index.to_string()]));
        self.finished(update).await
    }

    /// The renditions can be played.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn mark_transcoded(&self, id: VideoId, run: &Sequencer) -> Result<UpdateOutcome, Fault> {
        let update = self
            .of_run(id, run, ALIVE)
            .update_expression("SET transcode.#status = :done REMOVE transcodeChunks, transcode.#error")
            .expression_attribute_values(":done", text(TranscodeStatus::Done.as_str()));
        self.finished(update).await
    }

    /// There will be no renditions. Of several reasons the first one stays.
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

    /// Writes all of it, unless it has come to an end.
    async fn set_transcode(
        &self,
        id: VideoId,
        transcode: Transcode,
        expression: &str,
    ) -> Result<UpdateOutcome, Fault> {
        let update =
            self.of_run(id, &transcode.run, &format!("(attribute_not_exists(transcode) OR {ALIVE})"));
        let transcode =
            serde_dynamo::to_attribute_value(transcode).map_err(|e| Fault::new("encode a transcode", &e))?;
        let update =
            update.update_expression(expression).expression_attribute_values(":transcode", transcode);
        self.finished(update).await
    }

    /// An update that holds while the video is there and of this upload.
    fn of_run(&self, id: VideoId, run: &Sequencer, condition: &str) -> UpdateItemFluentBuilder {
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
