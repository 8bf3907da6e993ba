//! The `thumbnail` function on Lambda.

use std::process::ExitCode;
use std::time::Duration;

use upreel_core::App;
use upreel_core::runtime::{self, BoxError, Invocation};
use upreel_thumbnail::executions::Executions;

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(init(), async |(app, executions): &(App, Option<Executions>), invocation: Invocation| {
        let deadline = invocation.deadline_but(MARGIN);
        let runs = upreel_thumbnail::handle(app, &invocation.json()?, deadline).await?;
        if let Some(executions) = executions {
            executions.start(&runs).await?;
        }
        Ok(())
    })
    .await
}

async fn init() -> Result<(App, Option<Executions>), BoxError> {
    let (app, sdk) = App::with_sdk().await?;
    let executions = app.config.state_machine.clone().map(|arn| Executions::new(&sdk, arn));
    Ok((app, executions))
}
