//! Starts executions of the transcoding state machine (`statemachines/transcode.asl.json`).

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use upreel_core::Fault;
use upreel_core::transcode::Run;

/// A client for the executions of one state machine.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
    state_machine: String,
}

impl Executions {
    /// Creates a client for the state machine with the ARN `state_machine`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, state_machine: String) -> Self {
        Self { client: Client::new(sdk), state_machine }
    }

    /// Starts an execution for each run, unless it was started before. The execution's name consists of video id and
    /// sequencer, and Step Functions rejects a name that is already in use.
    ///
    /// # Errors
    /// Returns a fault if Step Functions fails.
    pub async fn start(&self, runs: &[Run]) -> Result<(), Fault> {
        for run in runs {
            let input = serde_json::to_string(run).map_err(|e| Fault::new("start an execution", &e))?;
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
