//! The `reconcile` function: heals what lost events, faults and killed functions leave behind. Nothing here needs a human
//! unless the cause is still there.
//!
//! - [`sweep`], every 15 minutes: the rows that have been in a state for too long, found by an index of such rows, and the
//!   videos that are to be deleted by now.
//! - [`listing`], every week: the objects in the buckets against the rows.
//! - [`give_up`], whenever Lambda gives up an event of the thumbnail function: records the failure.
//!
//! Every change is one of the conditional transitions that the other functions use, so it does not matter whether two of
//! these run at the same time, or one is repeated or killed.
//!
//! IAM: `dynamodb:GetItem`, `PutItem` and `UpdateItem` on the table, `Query` on its indexes `byDue` and `byExpiry`;
//! `s3:ListBucket` on all buckets; `s3:GetObject` and `s3:DeleteObject` on `videos/*`; `s3:DeleteObject` on `thumbnails/*`,
//! `storyboards/*`, `hls/*`, `playback/*`, `segments/*` and `work/*`; `lambda:InvokeFunction` on the thumbnail function;
//! `sqs:ReceiveMessage` and `DeleteMessage` on the dead-letter queue; `states:StartExecution` and `DescribeExecution`, if
//! transcoding is enabled; `cloudfront:CreateInvalidation`, if there is a CDN.

mod expiry;
mod finished;
mod functions;
pub mod give_up;
pub mod listing;
mod replay;
pub mod sweep;

use serde_json::Value;
use tokio::time::Instant;
use upreel_core::Fault;
use upreel_core::transcode::Run;
use upreel_function::App;
use upreel_function::telemetry::{self, Unit};

pub use functions::Functions;

/// An event in the dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// What identifies the message when it is deleted.
    pub receipt: String,
    /// The event.
    pub event: Value,
}

/// What the reconciler starts: on AWS by invoking functions, on one machine by queues.
pub trait Workers: Sync {
    /// Sends an event to the thumbnail function, which handles it asynchronously, with retries.
    fn send(&self, event: Value) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Runs the thumbnail function once, and returns whether it has handled the event.
    fn attempt(&self, event: Value) -> impl Future<Output = Result<bool, Fault>> + Send;

    /// Returns whether an execution of a run is transcoding. `restarts` counts the earlier executions.
    fn is_transcoding(&self, run: &Run, restarts: u32) -> impl Future<Output = Result<bool, Fault>> + Send;

    /// Starts an execution of a run.
    fn transcode(&self, run: &Run, restarts: u32) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Returns some events of the thumbnail function's dead-letter queue.
    fn dead_letters(&self) -> impl Future<Output = Result<Vec<DeadLetter>, Fault>> + Send;

    /// Deletes an event from the dead-letter queue.
    fn delete_dead_letter(&self, receipt: &str) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Handles an event: of the schedule, or of an event that was given up.
///
/// # Errors
/// Returns a fault if something could not be examined; the rest is done all the same.
pub async fn handle(
    app: &App,
    workers: &impl Workers,
    event: &Value,
    deadline: Instant,
) -> Result<(), Fault> {
    if event.get("requestPayload").is_some() {
        return give_up::handle(app, event).await;
    }
    if event["task"] == "list" {
        let is_dry_run = event["dryRun"] == true;
        return listing::run(app, workers, is_dry_run, deadline).await.map(drop);
    }
    sweep::run(app, workers, deadline).await.map(drop)
}

/// Writes metrics of this function.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn count(metrics: &[(&'static str, usize)]) {
    let metrics: Vec<_> = metrics.iter().map(|(name, count)| (*name, Unit::Count, *count as f64)).collect();
    telemetry::metrics("reconcile", &metrics, &[]);
}
