//! One run of ffmpeg: arguments and pipes only, no environment, limits, and dead by the deadline.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use command_fds::{CommandFdExt, FdMapping};
use futures_util::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;

use crate::sandbox::{self, Needs};

/// What a run may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Processor time, in seconds.
    pub(crate) cpu_seconds: u64,
    /// Address space, in bytes.
    pub(crate) memory: u64,
    /// What is kept of each pipe, in bytes.
    pub(crate) output: u64,
}

impl Limits {
    /// For a few pictures. An 8K keyframe takes a second; one of 10 bits took 0.9 GB with one thread and 1.3 GB
    /// with four.
    pub(crate) const PICTURES: Self = Self { cpu_seconds: 30, memory: 2 << 30, output: 16 << 20 };
}

const MAX_STDERR: u64 = 256 * 1024;

/// What to run, and with what.
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [&'a str],
    /// What it reads from `pipe:0`; without it there is nothing to read.
    pub(crate) input: Option<Vec<Bytes>>,
    /// How many pipes it writes to: `pipe:1`, then `pipe:3`, `pipe:4` and so on.
    pub(crate) outputs: usize,
    /// It may connect to the range server. Otherwise it can make no socket.
    pub(crate) network: bool,
    pub(crate) limits: Limits,
    pub(crate) deadline: Instant,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) outputs: Vec<Vec<u8>>,
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
    /// It was killed because its report had no end.
    Report,
}

/// Runs the program; it is fed, and `serve` is polled, from the moment its limits are in force, and not
/// before.
pub(crate) async fn run<S: Future>(run: Run<'_>, serve: S) -> Result<Output, Error> {
    let needs = Needs::of(run.program, run.network);
    run_as(run, needs, serve).await
}

async fn run_as<S: Future>(run: Run<'_>, needs: Needs, serve: S) -> Result<Output, Error> {
    let start = Instant::now();
    let (mut child, mut outputs) = spawn(&run, needs).map_err(Error::Io)?;
    // Also when this future is dropped half way.
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    limit(&group, run.limits).map_err(Error::Io)?;

    let stdin = child.stdin.take();
    let stderr = outputs.remove(0);
    let finish = async {
        let outputs = try_join_all(outputs.into_iter().map(|pipe| drain(pipe, run.limits.output)));
        let outputs = async { outputs.await.map_err(Error::Io) };
        let fed = async { feed(stdin, run.input).await.map_err(Error::Io) };
        let (outputs, stderr, ()) = tokio::try_join!(outputs, report(stderr), fed)?;
        let status = child.wait().await.map_err(Error::Io)?;
        Ok(Output { status, outputs, stderr, took: start.elapsed() })
    };
    tokio::select! {
        output = finish => output,
        () = tokio::time::sleep_until(run.deadline) => Err(Error::Deadline),
        _ = serve => Err(Error::Io(io::Error::other("the range server ended"))),
    }
}

/// Starts it; what comes out of its pipes is at the other ends that are returned.
fn spawn(run: &Run<'_>, needs: Needs) -> io::Result<(Child, Vec<pipe::Receiver>)> {
    let mut command = Command::new(run.program);
    command.args(run.args).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
    // Opened here, because the thread that starts the child may not open anything.
    let null = || File::options().read(true).write(true).open("/dev/null").map(Stdio::from);
    command.stdin(if run.input.is_some() { Stdio::piped() } else { null()? });
    command.stdout(null()?);

    // Standard error comes first. All are closed on exec, so that no other child keeps one open.
    let (mut ends, mut mappings) = (Vec::new(), Vec::new());
    for child_fd in [2, 1].into_iter().chain(3..).take(1 + run.outputs) {
        let (write, read) = pipe::pipe()?;
        ends.push(read);
        mappings.push(FdMapping { parent_fd: write.into_blocking_fd()?, child_fd });
    }
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    // The writing ends go with the command, or there would be no end to read.
    Ok((sandbox::spawn(command, needs)?, ends))
}

/// Reads to the end and keeps the beginning, so that a talkative child cannot fill the memory.
async fn drain(mut pipe: impl AsyncRead + Unpin, max: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut pipe).take(max).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// Reads what it says. Megabytes of metadata take ffmpeg half a minute to print, and no honest file has them.
async fn report(pipe: impl AsyncRead + Unpin) -> Result<String, Error> {
    let mut text = Vec::new();
    pipe.take(MAX_STDERR + 1).read_to_end(&mut text).await.map_err(Error::Io)?;
    if text.len() as u64 > MAX_STDERR {
        Err(Error::Report)
    } else {
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Writes it all, or as much as the child wants: its output tells whether that was enough.
async fn feed(pipe: Option<ChildStdin>, input: Option<Vec<Bytes>>) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    for piece in input.into_iter().flatten() {
        match pipe.write_all(&piece).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other?,
        }
    }
    Ok(())
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
fn limit(group: &Group, limits: Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let values = [
        (Resource::As, limits.memory, limits.memory),
        // At the soft limit ffmpeg is told (SIGXCPU), at the hard one it is killed.
        (Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 2),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, 64, 64),
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in values {
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
fn limit(_: &Group, _: Limits) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn script<'a>(args: &'a [&'a str], deadline: Duration) -> Run<'a> {
        let deadline = Instant::now() + deadline;
        Run {
            program: Path::new("/bin/sh"),
            args,
            input: None,
            outputs: 1,
            network: false,
            limits: Limits::PICTURES,
            deadline,
        }
    }

    async fn sh(text: &str, deadline: Duration) -> Result<Output, Error> {
        run(script(&["-c", text], deadline), pending::<()>()).await
    }

    async fn fed(input: &[&'static [u8]], text: &str) -> Output {
        let args = ["-c", text];
        let mut run = script(&args, Duration::from_secs(20));
        run.input = Some(input.iter().map(|piece| Bytes::from_static(piece)).collect());
        super::run(run, pending::<()>()).await.unwrap()
    }

    #[tokio::test]
    async fn the_child_sees_no_environment_and_no_input() {
        let output =
            sh("env | grep -v -e PWD -e SHLVL -e '^_='; cat; pwd", Duration::from_secs(10)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.outputs[0]), "/\n", "{}", output.stderr);
    }

    #[tokio::test]
    async fn the_deadline_kills_the_whole_group() {
        let mark = uuid::Uuid::new_v4().to_string();
        let ended = sh(&format!("(sleep 60; : {mark}) & sleep 60"), Duration::from_millis(300)).await;
        assert!(matches!(ended, Err(Error::Deadline)));
        #[cfg(target_os = "linux")]
        for attempt in 0.. {
            let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
            let commands = processes.filter_map(|path| std::fs::read_to_string(path.join("cmdline")).ok());
            if commands.filter(|command| command.contains(&mark)).count() == 0 {
                break;
            }
            assert!(attempt < 100, "it lives on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        for outputs in [1, 4] {
            let mut run = script(&[], Duration::from_secs(10));
            (run.program, run.outputs) = (Path::new("/nowhere/ffmpeg"), outputs);
            let ended = super::run(run, pending::<()>()).await;
            assert!(matches!(ended, Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotFound));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_limits_hold() {
        // They come a moment after the start, so wait for them as ffmpeg waits for its input.
        let text = "while [ \"$(ulimit -f)\" != 0 ]; do :; done; while [ \"$(ulimit -c)\" != 0 ]; do :; done;
            ulimit -v; ulimit -t; ulimit -n; ulimit -v unlimited || echo kept";
        let output = sh(text, Duration::from_secs(10)).await.unwrap();
        let said = String::from_utf8_lossy(&output.outputs[0]).into_owned();
        assert_eq!(said, format!("{}\n30\n64\nkept\n", (2u64 << 30) / 1024), "{}", output.stderr);
    }

    #[tokio::test]
    async fn a_report_without_end_is_an_error() {
        let ended = sh("exec yes >&2", Duration::from_secs(20)).await;
        assert!(matches!(ended, Err(Error::Report)), "{ended:?}");
    }

    #[tokio::test]
    async fn a_talkative_child_is_cut() {
        let text = "head -c 20000000 /dev/zero";
        let output = sh(text, Duration::from_secs(20)).await.unwrap();
        assert_eq!(output.outputs[0].len(), 16 << 20);
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn the_input_is_fed_piece_by_piece() {
        static LARGE: [u8; 300_000] = [7; 300_000];
        let output = fed(&[b"one", b"", &LARGE, b"three"], "exec cat").await;
        assert_eq!(output.outputs, [[b"one".as_slice(), &LARGE, b"three"].concat()], "{}", output.stderr);
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn a_child_may_leave_its_input() {
        static LARGE: [u8; 300_000] = [7; 300_000];
        let output = fed(&[b"one", &LARGE, &LARGE], "head -c 3; exec 0<&-; echo; exit 3").await;
        assert_eq!((output.outputs, output.status.code()), (vec![b"one\n".to_vec()], Some(3)));
    }

    #[tokio::test]
    async fn outputs_come_apart() {
        let mut run = script(&["-c", "echo a; echo b >&3; echo c >&4; echo d >&2"], Duration::from_secs(10));
        run.outputs = 3;
        let output = super::run(run, pending::<()>()).await.unwrap();
        assert_eq!(output.outputs, [b"a\n", b"b\n", b"c\n"], "{}", output.stderr);
        assert_eq!(output.stderr, "d\n");
    }

    #[tokio::test]
    async fn runs_do_not_keep_each_other_waiting() {
        let runs = (0..8).map(|number| async move {
            let (text, deadline) = (format!("cat; echo {number}; echo x >&4"), Duration::from_secs(20));
            let args = ["-c", text.as_str()];
            let mut run = script(&args, deadline);
            (run.input, run.outputs) = (Some(vec![Bytes::from(vec![b'a'; 100_000])]), 3);
            let output = super::run(run, pending::<()>()).await.unwrap();
            assert_eq!(output.outputs[0].len(), 100_002, "{}", output.stderr);
            assert_eq!(output.outputs[2], b"x\n");
        });
        futures_util::future::join_all(runs).await;
    }

    #[tokio::test]
    async fn nothing_is_served_to_a_child_that_did_not_start() {
        let mut run = script(&[], Duration::from_secs(10));
        run.program = Path::new("/nowhere/ffmpeg");
        let ended = super::run(run, async { panic!("served") }).await;
        assert!(matches!(ended, Err(Error::Io(_))));
    }
}
