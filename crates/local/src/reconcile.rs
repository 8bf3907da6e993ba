//! Runs the reconciler on a schedule. The functions are queues and tasks of this process.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use upreel_core::Fault;
use upreel_core::limits::Limits;
use upreel_core::transcode::Run;
use upreel_function::App;
use upreel_reconcile::{DeadLetter, Workers, handle};

use crate::queue::{Handler, Queue};
use crate::transcode;

/// Interval in which the reconciler examines the rows; the schedule in `template.yaml` has 15 minutes.
pub const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// Interval of the listings. Each reads the whole data folder.
const LISTING_INTERVAL: Duration = Duration::from_hours(24);
/// The timeout of a run.
const TIMEOUT: Duration = Duration::from_mins(15);

/// The limits of the local backend, whose queues lose nothing and retry within minutes.
#[must_use]
pub fn limits() -> Limits {
    let result = Duration::from_mins(10);
    Limits { result, replay: [result, result * 6, result * 36], ..Limits::default() }
}

/// The queues, as the reconciler sees them.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) videos: Arc<Queue>,
    pub(crate) transcodes: Option<Arc<Queue>>,
    /// The thumbnail function.
    pub(crate) thumbnail: Handler,
}

impl Workers for Queues {
    async fn send(&self, event: Value) -> Result<(), Fault> {
        self.videos.send_again(event).map_err(|error| Fault::new("write the queue", &error))
    }

    async fn attempt(&self, event: Value) -> Result<bool, Fault> {
        Ok((self.thumbnail)(event).await.is_ok())
    }

    async fn is_transcoding(&self, run: &Run, _restarts: u32) -> Result<bool, Fault> {
        Ok(self.transcodes.as_ref().is_some_and(|queue| transcode::is_pending(queue, run)))
    }

    async fn transcode(&self, run: &Run, _restarts: u32) -> Result<(), Fault> {
        self.transcodes.as_ref().map_or(Ok(()), |queue| transcode::send(queue, run))
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Fault> {
        let letters = self.videos.dead_letters().map_err(|error| Fault::new("read the queue", &error))?;
        Ok(letters.into_iter().map(|letter| DeadLetter { receipt: letter.id, event: letter.event }).collect())
    }

    async fn delete_dead_letter(&self, receipt: &str) -> Result<(), Fault> {
        self.videos.delete_dead_letter(receipt).map_err(|error| Fault::new("write the queue", &error))
    }
}

/// Sweeps the rows in this interval and lists the buckets once a day, until the future is dropped.
pub(crate) async fn run(app: App, queues: Queues, sweeps: Duration) {
    let (mut sweep, mut list) = (interval(sweeps), interval(LISTING_INTERVAL));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = sweep.tick() => json!({"task": "sweep"}),
            _ = list.tick() => json!({"task": "list"}),
        };
        if let Err(fault) = handle(&app, &queues, &event, Instant::now() + TIMEOUT).await {
            tracing::warn!(%fault, "reconciling is not complete, the next run continues");
        }
    }
}

/// Returns the handler of the events that the thumbnail function's queue gives up.
pub(crate) fn give_up(app: App, queues: Queues) -> Handler {
    Arc::new(move |event| {
        let (app, queues) = (app.clone(), queues.clone());
        let record = json!({"requestPayload": event, "requestContext": {"condition": "RetriesExhausted"}});
        Box::pin(async move { handle(&app, &queues, &record, Instant::now() + TIMEOUT).await })
    })
}
