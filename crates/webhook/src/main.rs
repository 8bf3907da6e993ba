//! The `webhook` function on Lambda.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use upreel_core::clients::{self, Roots};
use upreel_core::{config, telemetry};
use upreel_webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = config::Webhook::from_env()?;
    telemetry::init(&config.log_level);
    let roots = Roots::new(config.aws.ca_bundle.as_deref())?;
    let webhook = &Webhook::new(&clients::from_env(&config.aws, &roots).await, &config)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        webhook.handle(&event.payload).await.map_err(Error::from)
    }))
    .await
}
