//! The `transcode` function on Lambda: tasks of the state machine (`transcode.asl.yaml`).

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::Instant;
use upreel_core::App;
use upreel_transcode::{Task, handle};

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = &App::from_env().await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let task = Task::of_event(event.payload)?;
        handle(app, &task, Instant::now() + left.saturating_sub(MARGIN)).await.map_err(Error::from)
    }))
    .await
}
