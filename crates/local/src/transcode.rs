//! Runs the tasks of the transcoding state machine in a loop, with a few chunks at a time.
//!
//! Videos to transcode wait in a separate [`Queue`], with the same retries and dead letters as the other ones. A retry
//! skips the chunks that are already encoded.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use upreel_core::Fault;
use upreel_core::transcode::Run;
use upreel_function::App;
use upreel_transcode::{Task, handle};
use upreel_videos::Start;

use crate::queue::{Handler, Queue};

/// The encode function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_mins(15);

/// Sends a run to the queue. Its identifier is that of the run, because other runs of the same video can be pending.
pub(crate) fn send(queue: &Queue, run: &Run) -> Result<(), Fault> {
    let event = serde_json::to_value(run).map_err(|error| Fault::new("queue a transcoding", &error))?;
    queue
        .send(run.to_string(), run.key.clone(), event)
        .map_err(|error| Fault::new("queue a transcoding", &error))
}

/// Returns whether a run is in the queue.
pub(crate) fn is_pending(queue: &Queue, run: &Run) -> bool {
    queue.is_pending(&run.to_string())
}

/// Returns what starts a run when its renditions are requested.
pub(crate) fn starter(queue: Arc<Queue>) -> Start {
    Arc::new(move |run, _| {
        let started = if is_pending(&queue, &run) { Ok(()) } else { send(&queue, &run) };
        Box::pin(ready(started))
    })
}

/// Returns the handler of the queue, which transcodes one run. It encodes at most `workers` chunks at the same time,
/// across all runs.
pub(crate) fn handler(app: App, workers: usize) -> Handler {
    let slots = Arc::new(Semaphore::new(workers));
    Arc::new(move |event| {
        let (app, slots) = (app.clone(), slots.clone());
        Box::pin(async move { transcode(&app, &read(event)?, &slots).await })
    })
}

/// Returns the handler of the runs that the queue gives up.
pub(crate) fn give_up(app: App) -> Handler {
    Arc::new(move |event| {
        let app = app.clone();
        Box::pin(
            async move { handle(&app, &Task::Fail(read(event)?), Instant::now() + TIMEOUT).await.map(drop) },
        )
    })
}

fn read(event: Value) -> Result<Run, Fault> {
    serde_json::from_value(event).map_err(|error| Fault::new("read the event", &error))
}

async fn transcode(app: &App, run: &Run, slots: &Semaphore) -> Result<(), Fault> {
    let perform = async |task: Task| handle(app, &task, Instant::now() + TIMEOUT).await;
    let plan = perform(Task::Plan(run.clone())).await?;
    let chunks: Vec<usize> = serde_json::from_value(plan["chunks"].clone())
        .map_err(|error| Fault::new("read the plan", &error))?;
    if chunks.is_empty() {
        return Ok(());
    }
    stream::iter(chunks)
        .map(|index| async move {
            let _slot = slots.acquire().await.map_err(|error| Fault::new("wait", &error))?;
            perform(Task::Encode { run: run.clone(), index }).await
        })
        .buffer_unordered(slots.available_permits().max(1))
        .try_for_each(|_| ready(Ok(())))
        .await?;
    perform(Task::Package(run.clone())).await.map(drop)
}

/// Returns the number of chunks to encode at the same time: half the processors, because each chunk uses several.
#[must_use]
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2)
}
