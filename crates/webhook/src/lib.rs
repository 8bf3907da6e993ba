//! Delivers changes of videos as signed webhooks.
//!
//! The function has two event source mappings. From the table's stream it sends the records that have an event to a
//! queue, unchanged. From the queue it delivers each message separately, and retries with increasing delays until the
//! queue moves the message to its dead-letter queue. So an unavailable receiver does not block a shard of the stream,
//! an event does not block others, and a dead letter is complete and can be redriven.
//!
//! Events are delivered at least once, in any order: `id` is the same for each delivery, and `sequence` gives the
//! order.
//!
//! IAM: `sqs:SendMessage` and `ChangeMessageVisibility` on the queue. For the event source mappings:
//! `dynamodb:DescribeStream`, `GetRecords`, `GetShardIterator` and `ListStreams`; `sqs:ReceiveMessage`, `DeleteMessage`
//! and `GetQueueAttributes` on the queue, `SendMessage` on its dead-letter queue. `secretsmanager:GetSecretValue` on the
//! secret.

mod endpoint;
mod event;
mod queue;

use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::join_all;
use serde_json::{Value, json};
use upreel_core::Fault;
use upreel_function::config;
use upreel_store::Secret;

use crate::queue::{BATCH, Queue};

pub use endpoint::{Endpoint, Invalid, SIGNATURE};
pub use event::{Event, Kind};

/// The delay after the first attempt. Each further delay is twice as long. The template allows twelve attempts, of
/// which the last follows 17 hours after the first.
const FIRST_DELAY: Duration = Duration::from_secs(30);
/// The longest visibility timeout of SQS.
const MAX_DELAY: Duration = Duration::from_hours(12);

/// The state shared by all invocations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhook {
    queue: Queue,
    endpoint: Endpoint,
}

impl Webhook {
    /// Creates the endpoint and the queue client.
    ///
    /// # Errors
    /// When the URL of the endpoint is invalid.
    pub fn new(sdk: &SdkConfig, config: &config::Webhook) -> Result<Self, Invalid> {
        let secret = Secret::stored(sdk, &config.secret_arn);
        Ok(Self::with_endpoint(sdk, &config.queue_url, Endpoint::new(&config.url, secret)?))
    }

    /// Creates the queue client, with an endpoint that exists already.
    #[must_use]
    pub fn with_endpoint(sdk: &SdkConfig, queue_url: &str, endpoint: Endpoint) -> Self {
        Self { queue: Queue::new(sdk, queue_url), endpoint }
    }

    /// Handles a batch from the stream or the queue. Returns the items to retry (`ReportBatchItemFailures`).
    ///
    /// # Errors
    /// When the event is from neither source.
    pub async fn handle(&self, event: &Value) -> Result<Value, Fault> {
        let unknown = || Fault::message("parse the event", "unknown event source");
        let records = event["Records"].as_array().ok_or_else(unknown)?;
        let failed = match records.first().and_then(|record| record["eventSource"].as_str()) {
            Some("aws:dynamodb") => self.enqueue(records).await,
            Some("aws:sqs") => join_all(records.iter().map(|message| self.try_deliver(message))).await,
            _ => return Err(unknown()),
        };
        let failed: Vec<Value> =
            failed.into_iter().flatten().map(|item| json!({"itemIdentifier": item})).collect();
        Ok(json!({"batchItemFailures": failed}))
    }

    /// Sends the records that have an event to the queue. Returns the first record that could not be sent: Lambda
    /// retries from there, so the records after it are skipped.
    async fn enqueue(&self, records: &[Value]) -> Vec<Option<String>> {
        let records: Vec<&Value> =
            records.iter().filter(|record| Kind::from_record(record).is_some()).collect();
        for batch in records.chunks(BATCH) {
            let bodies: Vec<String> = batch.iter().map(ToString::to_string).collect();
            let first = match self.queue.send(&bodies).await {
                Ok(failed) => failed.into_iter().min(),
                Err(fault) => {
                    tracing::error!(%fault, "changes not queued");
                    Some(0)
                }
            };
            if let Some(record) = first.and_then(|index| batch.get(index)) {
                return vec![record["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned)];
            }
        }
        Vec::new()
    }

    /// Tries to deliver a message. Returns its identifier if it has to be retried.
    async fn try_deliver(&self, message: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let record: Value = serde_json::from_str(&text(&message["body"])).unwrap_or_default();
        deliver(&self.endpoint, &record).await.err()?;
        let attempt = message["attributes"]["ApproximateReceiveCount"].as_str();
        let delay = back_off(attempt.and_then(|count| count.parse().ok()).unwrap_or(1));
        // If this fails, the message is retried after the queue's own visibility timeout.
        if let Err(fault) = self.queue.set_visibility_timeout(&text(&message["receiptHandle"]), delay).await {
            tracing::warn!(%fault, "visibility timeout not set");
        }
        Some(text(&message["messageId"]))
    }
}

/// Delivers the event for a record of the table's stream, and logs the outcome.
///
/// # Errors
/// When the record has no event, or the receiver did not accept it.
pub async fn deliver(endpoint: &Endpoint, record: &Value) -> Result<(), Fault> {
    let delivered = async {
        let event = Event::from_record(record)?;
        endpoint.post(&event.to_string()).await?;
        Ok(event)
    };
    match delivered.await {
        Ok(event) => {
            tracing::info!(videoId = %event.object.id, event = %event.id, kind = ?event.kind, "webhook delivered");
            Ok(())
        }
        Err(fault) => {
            let id = &record["dynamodb"]["Keys"]["videoId"]["S"];
            tracing::warn!(videoId = id.as_str(), %fault, "webhook not delivered");
            Err(fault)
        }
    }
}

/// Returns the delay after this attempt, counted from 1.
fn back_off(attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    FIRST_DELAY.saturating_mul(factor).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit_of_sqs() {
        assert_eq!([1, 2, 3].map(|attempt| back_off(attempt).as_secs()), [30, 60, 120]);
        let eleven: Duration = (1..12).map(back_off).sum();
        assert_eq!(eleven.as_secs() / 3600, 17, "from the first to the last of twelve attempts");
        assert_eq!([13, 99, u32::MAX].map(back_off), [MAX_DELAY; 3]);
        assert_eq!(back_off(0), FIRST_DELAY);
    }
}
