//! The transcoding's tasks on Lambda; the state machine and the rule that watches it invoke them.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use tokio::time::Instant;
use upreel_core::App;
use upreel_transcode::task::{self, Task};

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = &App::from_env().await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let deadline = Instant::now() + left.saturating_sub(MARGIN);
        let task = Task::of_event(event.payload).map_err(|fault| diagnostic(&fault.into()))?;
        task::handle(app, &task, deadline).await.map_err(|error| diagnostic(&error))
    }))
    .await
}

/// By this name the state machine knows what not to try again.
fn diagnostic(error: &task::Error) -> Diagnostic {
    let error_type = match error {
        task::Error::Video(_) => "VideoError",
        task::Error::Fault(_) => "Fault",
    };
    Diagnostic { error_type: error_type.to_owned(), error_message: error.to_string() }
}
