//! The `webhook` function on Lambda.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use upreel_function::app::sdk_config;
use upreel_function::{Invoker, config, diagnostic, measured, telemetry};
use upreel_webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let config = config::Webhook::from_env()?;
        telemetry::init(&config.log_level, &config.stack);
        let webhook = Webhook::new(&sdk_config(&config.aws).await?, &config)?;
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
            let webhook = webhook.clone();
            Box::pin(measured("webhook", Invoker::Free, async move {
                webhook.handle(&event.payload).await.map_err(|fault| diagnostic(&fault))
            }))
        }))
        .await
    })
    .await
}
