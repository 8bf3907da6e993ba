//! The state machine that transcodes (`statemachines/transcode.asl.json`).

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use upreel_core::Fault;
use upreel_core::transcode::Run;

/// Step Functions, as this function uses it.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
    state_machine: String,
}

impl Executions {
    /// Of the state machine with this ARN, reached through `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, state_machine: String) -> Self {
        Self { client: Client::new(sdk), state_machine }
    }

    /// Starts the transcoding of each upload, unless that was started before: the execution's name says which upload
    /// it is, and no name is taken twice.
    ///
    /// # Errors
    /// When Step Functions fails.
    pub async fn start(&self, runs: &[Run]) -> Result<(), Fault> {
        for run in runs {
            let input = serde_json::to_string(run).map_err(|e| Fault::new("start a transcoding", &e))?;
            let name = format!("{}-{}", run.video_id, run.sequencer.as_str());
            let start = self.client.start_execution().state_machine_arn(&self.state_machine);
            match start.name(name).input(input).send().await {
                Ok(_) => {}
                Err(error) => match error.as_service_error() {
                    Some(StartExecutionError::ExecutionAlreadyExists(_)) => {}
                    _ => return Err(Fault::new("states:StartExecution", &error)),
                },
            }
        }
        Ok(())
    }
}
