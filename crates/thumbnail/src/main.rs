//! The `thumbnail` function on Lambda.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::Instant;
use upreel_core::App;

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = &App::from_env().await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let deadline = Instant::now() + left.saturating_sub(MARGIN);
        upreel_thumbnail::handle(app, &event.payload, deadline).await.map_err(Error::from)
    }))
    .await
}
