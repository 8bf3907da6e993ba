//! The `presign` function on Lambda.

use std::process::ExitCode;

use upreel_core::gateway;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    gateway::run(upreel_presign::router).await
}
