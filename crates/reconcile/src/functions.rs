//! What the reconciler starts on AWS: the thumbnail function, and the executions of the state machine.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::Value;
use upreel_core::Fault;
use upreel_core::transcode::Run;
use upreel_function::config::Reconcile;
use upreel_store::{Executions, sdk};

use crate::{DeadLetter, Workers};

/// The timeout of the thumbnail function in `template.yaml`, and a margin.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(125);
/// Time in seconds that a dead letter is hidden from others while it is examined.
const VISIBILITY_TIMEOUT: i32 = 30;

/// The functions, the state machine and the dead-letter queue on AWS.
#[derive(Debug, Clone)]
pub struct Functions {
    lambda: aws_sdk_lambda::Client,
    sqs: aws_sdk_sqs::Client,
    config: Reconcile,
    executions: Option<Executions>,
}

impl Functions {
    /// Creates the clients. `state_machine` is the ARN of the state machine, if transcoding is enabled.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: Reconcile, state_machine: Option<String>) -> Self {
        let timeouts = sdk::timeouts(INVOCATION_TIMEOUT, INVOCATION_TIMEOUT);
        let lambda = aws_sdk_lambda::config::Builder::from(sdk).timeout_config(timeouts).build();
        Self {
            lambda: aws_sdk_lambda::Client::from_conf(lambda),
            sqs: aws_sdk_sqs::Client::new(sdk),
            config,
            executions: state_machine.map(|arn| Executions::new(sdk, arn)),
        }
    }

    /// Invokes the thumbnail function, and returns whether it has not failed.
    async fn invoke(&self, event: &Value, kind: InvocationType) -> Result<bool, Fault> {
        let invoke = self.lambda.invoke().function_name(&self.config.thumbnail_function);
        let invoke = invoke.invocation_type(kind).payload(Blob::new(event.to_string()));
        let invoked = invoke.send().await.map_err(|error| Fault::new("lambda:InvokeFunction", &error))?;
        Ok(invoked.function_error.is_none())
    }
}

impl Workers for Functions {
    async fn send(&self, event: Value) -> Result<(), Fault> {
        self.invoke(&event, InvocationType::Event).await.map(drop)
    }

    async fn attempt(&self, event: Value) -> Result<bool, Fault> {
        self.invoke(&event, InvocationType::RequestResponse).await
    }

    async fn is_transcoding(&self, run: &Run, restarts: u32) -> Result<bool, Fault> {
        match &self.executions {
            Some(executions) => executions.is_running(run, restarts).await,
            None => Ok(false),
        }
    }

    async fn transcode(&self, run: &Run, restarts: u32) -> Result<(), Fault> {
        match &self.executions {
            Some(executions) => executions.start(run, restarts).await,
            None => Ok(()),
        }
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Fault> {
        let receive = self.sqs.receive_message().queue_url(&self.config.dead_letter_queue_url);
        let receive = receive.max_number_of_messages(10).visibility_timeout(VISIBILITY_TIMEOUT);
        let received = receive.send().await.map_err(|error| Fault::new("sqs:ReceiveMessage", &error))?;
        let letters = received.messages.into_iter().flatten().filter_map(|message| {
            let event = serde_json::from_str(message.body()?).ok()?;
            Some(DeadLetter { receipt: message.receipt_handle?, event })
        });
        Ok(letters.collect())
    }

    async fn delete_dead_letter(&self, receipt: &str) -> Result<(), Fault> {
        let delete = self.sqs.delete_message().queue_url(&self.config.dead_letter_queue_url);
        let deleted = delete.receipt_handle(receipt).send().await;
        deleted.map(drop).map_err(|error| Fault::new("sqs:DeleteMessage", &error))
    }
}
