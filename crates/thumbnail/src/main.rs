//! Starts the `thumbnail` function on Lambda.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use upreel_core::Fault;
use upreel_function::{App, Invoker, deadline, diagnostic, measured};
use upreel_store::Executions;

/// Time left to record the outcome after ffmpeg is killed.
const MARGIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let (app, sdk) = App::with_sdk().await?;
        let executions = app.config.state_machine.clone().map(|arn| Executions::new(&sdk, arn));
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
            let (app, executions) = (app.clone(), executions.clone());
            Box::pin(measured("thumbnail", Invoker::Free, async move {
                handle(&app, executions.as_ref(), &event).await.map_err(|fault| diagnostic(&fault))
            }))
        }))
        .await
    })
    .await
}

async fn handle(app: &App, executions: Option<&Executions>, event: &LambdaEvent<Value>) -> Result<(), Fault> {
    let runs = upreel_thumbnail::handle(app, &event.payload, deadline(&event.context, MARGIN)).await?;
    if let Some(executions) = executions {
        for run in &runs {
            executions.start(run, 0).await?;
        }
    }
    Ok(())
}
