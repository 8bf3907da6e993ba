//! The `thumbnail` function on Lambda.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::Instant;
use upreel_core::clients::{self, Roots};
use upreel_core::{App, Config, telemetry};
use upreel_thumbnail::{executions::Executions, handle};

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::init(&config.log_level);
    let sdk = clients::from_env(&config.aws, &Roots::new(config.aws.ca_bundle.as_deref())?).await;
    let executions = &config.state_machine.clone().map(|arn| Executions::new(&sdk, arn));
    let app = &App::new(&sdk, &sdk, config);
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let runs = handle(app, &event.payload, Instant::now() + left.saturating_sub(MARGIN)).await?;
        for (executions, run) in executions.iter().flat_map(|of| runs.iter().map(move |run| (of, run))) {
            executions.start(run).await?;
        }
        Ok::<_, Error>(())
    }))
    .await
}
