//! Counts the instructions of a function until it requests its first event. The count doesn't depend on the speed or
//! the load of the machine.

use std::sync::Arc;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::BoxError;
use crate::aws::Aws;
use crate::candidate::Candidate;
use crate::deployed::Template;
use crate::run::environment;
use crate::runtime;

pub(crate) async fn instructions(
    candidate: &Candidate,
    function: &str,
    template: &Template,
    aws: &Arc<Aws>,
) -> Result<u64, BoxError> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(candidate.file(function));
    // The function makes no connections, so it reads the roots in its binary or those of the system.
    command.env_clear().envs(environment(function, template, aws));
    let mut child = runtime::run(command, Bytes::new(), 0, aws.clone()).await?.child;
    let pid = child.id().ok_or("the process has exited")?;
    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
    child.wait().await?;
    let profile = std::fs::read_to_string(profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    Ok(total.ok_or("the output of valgrind has no totals")?.trim().parse()?)
}
