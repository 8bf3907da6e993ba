//! How many instructions a function takes until it asks for its first event: the same on every machine, and whatever
//! else runs there.

use std::sync::Arc;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::Failed;
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
) -> Result<u64, Failed> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(candidate.file(function));
    // Nothing is connected to, so the roots that are in the binary, or the system's, are the ones that count.
    command.env_clear().envs(environment(function, template, aws));
    let mut child = runtime::run(command, Bytes::new(), 0, aws.clone()).await?.child;
    let pid = child.id().ok_or("it has ended")?;
    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
    child.wait().await?;
    let profile = std::fs::read_to_string(profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    Ok(total.ok_or("valgrind has counted nothing")?.trim().parse()?)
}
