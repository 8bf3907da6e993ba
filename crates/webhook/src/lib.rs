//! A video has changed: a signed webhook tells it.
//!
//! One function with two triggers. Records of the table's stream that tell something go into a queue, as
//! they are; a message of the queue is delivered, on its own, and tried again later and later until the
//! queue gives up and moves it to its dead-letter queue. So a receiver that is down holds up no shard of the
//! stream, one event holds up no other, and what was given up on is whole and can be sent again.
//!
//! Delivered at least once, in any order: `id` is the same each time, `sequence` tells the order.
//!
//! IAM: `sqs:SendMessage` and `ChangeMessageVisibility` on the queue. Lambda, in its name: `dynamodb:DescribeStream`,
//! `GetRecords`, `GetShardIterator` and `ListStreams`; `sqs:ReceiveMessage`, `DeleteMessage` and
//! `GetQueueAttributes` on the queue, `SendMessage` on its dead-letter queue.

mod endpoint;
mod event;
mod queue;

use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::join_all;
use serde_json::{Value, json};
use upreel_core::Fault;
use upreel_function::config;

pub use endpoint::{Endpoint, Invalid, SIGNATURE};
pub use event::{Event, Kind};

use crate::queue::{BATCH, Queue};

/// The wait after the first attempt; each next one is twice as long. With the twelve attempts that the template
/// lets a message have, the last comes 17 hours after the first.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// SQS hides a message no longer than that.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// What the function is given.
#[derive(Debug, Clone)]
pub struct Webhook {
    queue: Queue,
    endpoint: Endpoint,
}

impl Webhook {
    /// The endpoint and the queue of `config`; the queue is reached through `sdk`.
    ///
    /// # Errors
    /// When the endpoint cannot be one.
    pub fn new(sdk: &SdkConfig, config: &config::Webhook) -> Result<Self, Invalid> {
        let endpoint = Endpoint::new(&config.url, &config.secret)?;
        Ok(Self { queue: Queue::new(sdk, &config.queue_url), endpoint })
    }

    /// Handles a batch of either trigger; the answer names what must come again (`ReportBatchItemFailures`).
    ///
    /// # Errors
    /// When the event is of neither shape.
    pub async fn handle(&self, event: &Value) -> Result<Value, Fault> {
        let unknown = || Fault::message("understand the event", "of another shape");
        let records = event["Records"].as_array().ok_or_else(unknown)?;
        let failed = match records.first().and_then(|record| record["eventSource"].as_str()) {
            Some("aws:dynamodb") => self.enqueue(records).await,
            Some("aws:sqs") => join_all(records.iter().map(|message| self.attempt(message))).await,
            _ => return Err(unknown()),
        };
        let failed: Vec<Value> =
            failed.into_iter().flatten().map(|item| json!({"itemIdentifier": item})).collect();
        Ok(json!({"batchItemFailures": failed}))
    }

    /// Puts what is told into the queue. Gives the first record that could not be: Lambda goes on there, so
    /// those after it are left to that.
    async fn enqueue(&self, records: &[Value]) -> Vec<Option<String>> {
        let told: Vec<&Value> = records.iter().filter(|record| Kind::from_record(record).is_some()).collect();
        for batch in told.chunks(BATCH) {
            let bodies: Vec<String> = batch.iter().map(ToString::to_string).collect();
            let first = match self.queue.send(&bodies).await {
                Ok(failed) => failed.into_iter().min(),
                Err(fault) => {
                    tracing::error!(%fault, "changes could not be queued");
                    Some(0)
                }
            };
            if let Some(record) = first.and_then(|place| batch.get(place)) {
                return vec![record["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned)];
            }
        }
        Vec::new()
    }

    /// One attempt at one message; gives the message if it must come again.
    async fn attempt(&self, message: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let record: Value = serde_json::from_str(&text(&message["body"])).unwrap_or_default();
        deliver(&self.endpoint, &record).await.err()?;
        let attempt = message["attributes"]["ApproximateReceiveCount"].as_str();
        let wait = back_off(attempt.and_then(|count| count.parse().ok()).unwrap_or(1));
        // If it cannot be set, the message comes when the queue's own timeout is over.
        if let Err(fault) = self.queue.hide(&text(&message["receiptHandle"]), wait).await {
            tracing::warn!(%fault, "the wait could not be set");
        }
        Some(text(&message["messageId"]))
    }
}

/// Delivers what a record of the table's stream tells, and logs what became of it.
///
/// # Errors
/// When the record tells nothing, or the receiver did not take it.
pub async fn deliver(endpoint: &Endpoint, record: &Value) -> Result<(), Fault> {
    let delivered = async {
        let event = Event::from_record(record)?;
        endpoint.post(&event.to_string()).await?;
        Ok(event)
    };
    match delivered.await {
        Ok(event) => {
            tracing::info!(videoId = %event.object.id, event = %event.id, kind = ?event.kind, "delivered");
            Ok(())
        }
        Err(fault) => {
            let id = &record["dynamodb"]["Keys"]["videoId"]["S"];
            tracing::warn!(videoId = id.as_str(), %fault, "not delivered");
            Err(fault)
        }
    }
}

/// How long to wait after this attempt, counted from 1.
fn back_off(attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_what_sqs_takes() {
        assert_eq!([1, 2, 3].map(|attempt| back_off(attempt).as_secs()), [30, 60, 120]);
        let eleven: Duration = (1..12).map(back_off).sum();
        assert_eq!(eleven.as_secs() / 3600, 17, "between the first of twelve attempts and the last");
        assert_eq!([13, 99, u32::MAX].map(back_off), [LONGEST_WAIT; 3]);
        assert_eq!(back_off(0), FIRST_WAIT);
    }
}
