//! Executions of the transcoding state machine (`statemachines/transcode.asl.json`).
//!
//! An execution's name consists of video, event, rung and the number of restarts. Step Functions refuses a name that is
//! already in use, so a repeated start does nothing.

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
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

    /// Starts an execution for a run, unless it was started before. `restarts` counts the earlier executions of the run.
    ///
    /// # Errors
    /// Returns a fault if Step Functions fails.
    pub async fn start(&self, run: &Run, restarts: u32) -> Result<(), Fault> {
        let input = serde_json::to_string(run).map_err(|e| Fault::new("start an execution", &e))?;
        let start = self.client.start_execution().state_machine_arn(&self.state_machine);
        match start.name(name(run, restarts)).input(input).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(StartExecutionError::ExecutionAlreadyExists(_)) => Ok(()),
                _ => Err(Fault::new("states:StartExecution", &error)),
            },
        }
    }

    /// Returns whether an execution of a run is running. It is not if it has ended or was never started.
    ///
    /// # Errors
    /// Returns a fault if Step Functions fails.
    pub async fn is_running(&self, run: &Run, restarts: u32) -> Result<bool, Fault> {
        let machine = self.state_machine.replacen(":stateMachine:", ":execution:", 1);
        let arn = format!("{machine}:{}", name(run, restarts));
        match self.client.describe_execution().execution_arn(arn).send().await {
            Ok(execution) => {
                Ok(matches!(execution.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive))
            }
            Err(error) => match error.as_service_error() {
                Some(DescribeExecutionError::ExecutionDoesNotExist(_)) => Ok(false),
                _ => Err(Fault::new("states:DescribeExecution", &error)),
            },
        }
    }
}

/// Returns the name of an execution: the run, and from the second execution on a number.
fn name(run: &Run, restarts: u32) -> String {
    if restarts == 0 { run.to_string() } else { format!("{run}-{}", restarts + 1) }
}
