//! Starts the `fetch` function on Lambda.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use upreel_fetch::Client;
use upreel_function::{App, Invoker, deadline, diagnostic, measured};

/// Time left to end the attempt in an orderly way.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let app = App::from_env().await?;
        let client = Client::public();
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
            let (app, client) = (app.clone(), client.clone());
            Box::pin(measured("fetch", Invoker::Free, async move {
                let deadline = deadline(&event.context, MARGIN);
                let handled = upreel_fetch::handle(&app, &client, event.payload, deadline).await;
                handled.map_err(|fault| diagnostic(&fault))
            }))
        }))
        .await
    })
    .await
}
