//! SQS: what waits for its delivery.

use std::collections::HashSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use upreel_core::Fault;

/// How many messages SQS takes at a time.
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

    /// Sends up to [`BATCH`] messages; tells which were not taken, by their place.
    pub(crate) async fn send(&self, bodies: &[String]) -> Result<HashSet<usize>, Fault> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (place, body) in bodies.iter().enumerate() {
            let entry =
                SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body).build();
            request = request.entries(entry.map_err(|error| Fault::new("sqs:SendMessage", &error))?);
        }
        let sent = request.send().await.map_err(|error| Fault::new("sqs:SendMessage", &error))?;
        Ok(sent.failed.iter().filter_map(|entry| entry.id.parse().ok()).collect())
    }

    /// Hides a message that was received for so long from now; then it is received again.
    pub(crate) async fn hide(&self, receipt: &str, time: Duration) -> Result<(), Fault> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(time.as_secs()).unwrap_or(i32::MAX));
        change.send().await.map(drop).map_err(|error| Fault::new("sqs:ChangeMessageVisibility", &error))
    }
}
