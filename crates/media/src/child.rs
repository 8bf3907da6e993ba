//! One run of ffmpeg: arguments only, no environment, limits, and dead by the deadline.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::Instant;

/// Processor time for one picture, in seconds; an 8K keyframe takes about one.
pub(crate) const CPU_SECONDS: u64 = 30;
/// Far more than a poster or a report takes.
const MAX_STDOUT: u64 = 16 * 1024 * 1024;
const MAX_STDERR: u64 = 256 * 1024;

/// What a run left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Why there is no output.
#[derive(Debug)]
pub(crate) enum Error {
    /// It could not be started or waited for.
    Io(io::Error),
    /// It was killed at the deadline.
    Deadline,
}

/// Runs `program`; `serve` is polled from the moment its limits are in force, and not before.
pub(crate) async fn run<S: Future>(
    program: &Path,
    args: &[&str],
    deadline: Instant,
    serve: S,
) -> Result<Output, Error> {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::Io)?;
    // Also when this future is dropped half way.
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    limit(&group).map_err(Error::Io)?;

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finish = async {
        let (stdout, stderr) = tokio::try_join!(drain(stdout, MAX_STDOUT), drain(stderr, MAX_STDERR))?;
        let status = child.wait().await?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Output { status, stdout, stderr, took: start.elapsed() })
    };
    tokio::select! {
        output = finish => output.map_err(Error::Io),
        () = tokio::time::sleep_until(deadline) => Err(Error::Deadline),
        _ = serve => Err(Error::Io(io::Error::other("the range server ended"))),
    }
}

/// Reads to the end and keeps the beginning, so that a talkative child cannot fill the memory.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(max).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

/// The child's process group, killed when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It is no error if it has ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Sets the child's limits. It has no input yet, so nothing hostile has run before they hold.
#[cfg(target_os = "linux")]
fn limit(group: &Group) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let limits = [
        (Resource::As, 3 << 30, 3 << 30),
        // At the soft limit ffmpeg is told (SIGXCPU), at the hard one it is killed.
        (Resource::Cpu, CPU_SECONDS, CPU_SECONDS + 2),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, 64, 64),
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in limits {
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        match prlimit(group.0, resource, limit) {
            // It has ended already, and its status will say why.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Other systems run the local backend only, where the deadline and ffmpeg's own limits remain.
#[cfg(not(target_os = "linux"))]
fn limit(_: &Group) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    async fn sh(script: &str, deadline: Duration) -> Result<Output, Error> {
        run(Path::new("/bin/sh"), &["-c", script], Instant::now() + deadline, pending::<()>()).await
    }

    #[tokio::test]
    async fn the_child_sees_no_environment_and_no_input() {
        let output =
            sh("env | grep -v -e PWD -e SHLVL -e '^_='; cat; pwd", Duration::from_secs(10)).await.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "/\n");
    }

    #[tokio::test]
    async fn the_deadline_kills_the_whole_group() {
        let mark = tempfile();
        let script = format!("(while :; do echo x > {mark} || exit; done) & sleep 60");
        let ended = sh(&script, Duration::from_millis(200)).await;
        assert!(matches!(ended, Err(Error::Deadline)));
    }

    fn tempfile() -> String {
        format!("/tmp/upreel-child-{}", uuid::Uuid::new_v4())
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let ended = run(Path::new("/nowhere/ffmpeg"), &[], Instant::now(), pending::<()>()).await;
        assert!(matches!(ended, Err(Error::Io(_))));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_child_can_write_no_file() {
        let path = tempfile();
        // The limits come a moment after the start, so wait for them as ffmpeg waits for its input.
        let script = format!("while [ \"$(ulimit -f)\" != 0 ]; do :; done; echo x > {path}");
        let output = sh(&script, Duration::from_secs(10)).await.unwrap();
        assert!(!output.status.success());
        assert_eq!(std::fs::read(&path).unwrap_or_default(), b"");
        let _ = std::fs::remove_file(path);
    }

    #[tokio::test]
    async fn a_talkative_child_is_cut() {
        let output = sh("head -c 20000000 /dev/zero", Duration::from_secs(20)).await.unwrap();
        assert_eq!(output.stdout.len() as u64, MAX_STDOUT);
        assert!(output.status.success());
    }
}
