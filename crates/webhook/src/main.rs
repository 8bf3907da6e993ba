//! The `webhook` function on Lambda.

use std::process::ExitCode;

use upreel_core::clients::{self, Roots};
use upreel_core::runtime::{self, BoxError, Invocation};
use upreel_core::{config, telemetry};
use upreel_webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(init(), async |webhook: &Webhook, invocation: Invocation| {
        Ok(webhook.handle(&invocation.json()?).await?)
    })
    .await
}

async fn init() -> Result<Webhook, BoxError> {
    let config = config::Webhook::from_env()?;
    telemetry::init(&config.log_level);
    let roots = Roots::new(config.aws.ca_bundle.as_deref())?;
    Ok(Webhook::new(&clients::from_env(&config.aws, &roots).await, &config)?)
}
