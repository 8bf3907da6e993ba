//! Starts the `reconcile` function on Lambda.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use upreel_function::config::Reconcile;
use upreel_function::{App, Invoker, deadline, diagnostic, measured};
use upreel_reconcile::Functions;

/// Time left to finish the rows that are being handled.
const MARGIN: Duration = Duration::from_mins(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let config = Reconcile::from_env()?;
        let (app, sdk) = App::with_sdk().await?;
        let workers = Functions::new(&sdk, config, app.config.state_machine.clone());
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
            let (app, workers) = (app.clone(), workers.clone());
            Box::pin(measured("reconcile", Invoker::Free, async move {
                let deadline = deadline(&event.context, MARGIN);
                let handled = upreel_reconcile::handle(&app, &workers, &event.payload, deadline).await;
                handled.map_err(|fault| diagnostic(&fault))
            }))
        }))
        .await
    })
    .await
}
