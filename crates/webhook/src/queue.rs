//! The SQS queue of the events to deliver.

use std::collections::HashSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use upreel_core::Fault;

/// SQS's limit on the messages of one batch.
pub(crate) const BATCH: usize = 10;

/// The queue of the webhooks.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub(crate) fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(sdk), url: url.to_owned() }
    }

    /// Sends up to [`BATCH`] messages. Returns the indices of those that SQS rejected.
    pub(crate) async fn send(&self, bodies: &[String]) -> Result<HashSet<usize>, Fault> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (index, body) in bodies.iter().enumerate() {
            let entry =
                SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            request = request.entries(entry.map_err(|error| Fault::new("sqs:SendMessage", &error))?);
        }
        let sent = request.send().await.map_err(|error| Fault::new("sqs:SendMessage", &error))?;
        Ok(sent.failed.iter().filter_map(|entry| entry.id.parse().ok()).collect())
    }

    /// Sets the visibility timeout of a received message: SQS delivers it again after `timeout` from now.
    pub(crate) async fn set_visibility_timeout(&self, receipt: &str, timeout: Duration) -> Result<(), Fault> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX));
        change.send().await.map(drop).map_err(|error| Fault::new("sqs:ChangeMessageVisibility", &error))
    }
}
