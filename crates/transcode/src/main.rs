//! Starts the `transcode` function on Lambda, which runs the tasks of the state machine
//! (`statemachines/transcode.asl.json`).

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use upreel_core::Fault;
use upreel_function::{App, Invoker, deadline, diagnostic, measured};
use upreel_transcode::Task;

/// Time left to record the outcome after ffmpeg is killed.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let app = App::from_env().await?;
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
            let app = app.clone();
            Box::pin(measured("transcode", Invoker::StateMachine, async move {
                handle(&app, event).await.map_err(|fault| diagnostic(&fault))
            }))
        }))
        .await
    })
    .await
}

async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, Fault> {
    let task = Task::from_event(event.payload)?;
    upreel_transcode::handle(app, &task, deadline(&event.context, MARGIN)).await
}
