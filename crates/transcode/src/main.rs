//! The `transcode` function on Lambda: the tasks of the state machine (`statemachines/transcode.asl.json`).

use std::process::ExitCode;
use std::time::Duration;

use upreel_core::App;
use upreel_core::runtime::{self, Invocation};
use upreel_transcode::{Task, handle};

/// What it takes to write the outcome down after ffmpeg was killed.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(App::from_env(), async |app: &App, invocation: Invocation| {
        let task = Task::of_event(invocation.json()?)?;
        Ok(handle(app, &task, invocation.deadline_but(MARGIN)).await?)
    })
    .await
}
