//! Runs ffmpeg as a child process that has arguments and pipes only: no environment, resource limits, and killed at
//! the deadline.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use command_fds::{CommandFdExt, FdMapping};
use futures_util::future::try_join_all;
use futures_util::{Stream, StreamExt, stream};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument;

use crate::sandbox::{self, Permissions};
use crate::watchdog::Watchdog;

/// Resource limits of a child process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// CPU time, in seconds.
    pub(crate) cpu_seconds: u64,
    /// Address space, in bytes.
    pub(crate) memory: u64,
    /// Bytes kept of each output pipe; the rest is discarded.
    pub(crate) output: u64,
}

impl Limits {
    /// Limits for decoding a few frames. An 8K keyframe takes a second; one with 10 bits took 0.9 GB with one thread
    /// and 1.3 GB with four. The memory is less than that of the thumbnail function: if a frame needs more, ffmpeg
    /// reports it. Otherwise the kernel would kill ffmpeg, which counts as a fault.
    pub(crate) const FEW_FRAMES: Self = Self { cpu_seconds: 30, memory: 1536 << 20, output: 16 << 20 };
}

/// Bytes of standard error after which the child is killed.
const MAX_STDERR: u64 = 256 * 1024;

/// Bytes of a streamed pipe that are passed on at a time, at most.
const PIECE: usize = 64 * 1024;

/// The processor time from which on a child that is killed at its deadline can count as busy.
const BUSY: Duration = Duration::from_mins(1);

/// A child process to run.
pub(crate) struct ChildSpec<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [&'a str],
    /// Written to `pipe:0`; `None` connects it to `/dev/null`.
    pub(crate) input: Option<Feed>,
    /// Number of output pipes that are collected: `pipe:1`, then `pipe:3`, `pipe:4` and so on.
    pub(crate) outputs: usize,
    /// The output pipes after those, whose contents are passed on as they arrive, in bounded memory. If a receiver is
    /// dropped, the rest of its pipe is discarded.
    pub(crate) streams: Vec<mpsc::Sender<Bytes>>,
    /// Whether it may connect to the range server. If not, it cannot create sockets.
    pub(crate) network: bool,
    pub(crate) limits: Limits,
    pub(crate) deadline: Instant,
}

/// The input of a child process.
#[derive(Debug)]
pub(crate) enum Feed {
    /// Pieces that are in memory.
    Pieces(Vec<Bytes>),
    /// Pieces that arrive while the child runs, until the sender is dropped.
    Stream(mpsc::Receiver<Bytes>),
}

/// The result of a child process that ended by itself.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    /// The contents of the collected output pipes, each cut at [`Limits::output`].
    pub(crate) outputs: Vec<Vec<u8>>,
    pub(crate) stderr: String,
    /// The processor time that the child used; zero where it isn't known.
    pub(crate) cpu: Duration,
}

/// Why a child process has no result.
#[derive(Debug)]
pub(crate) enum Error {
    /// The child could not be started, fed or waited for.
    Io(io::Error),
    /// The child was killed at the deadline.
    Deadline {
        /// Whether it was busy for a minute or more, instead of waiting for its input or for a processor.
        busy: bool,
    },
    /// The child was killed because it wrote more than 256 KiB to standard error.
    StderrTooLong,
}

/// Runs a child process to its end. Its input is written, and `serve` is polled, only after its limits are in force.
///
/// `serve` is a server that the child connects to; it must not return before the child ends.
pub(crate) async fn run<S: Future>(spec: ChildSpec<'_>, serve: S) -> Result<Output, Error> {
    let permissions = Permissions::of(spec.program, spec.network);
    // `upreel-function` finds the span by this name, and sends it to X-Ray.
    run_with(spec, permissions, serve).instrument(tracing::debug_span!("ffmpeg")).await
}

async fn run_with<S: Future>(
    spec: ChildSpec<'_>,
    permissions: Permissions,
    serve: S,
) -> Result<Output, Error> {
    let start = Instant::now();
    let (mut child, mut outputs) = spawn(&spec, permissions).map_err(Error::Io)?;
    // Kills the child's process group when this future returns or is dropped.
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = ProcessGroup(pid);
    set_limits(&group, spec.limits).map_err(Error::Io)?;
    let _watchdog = Watchdog::start(pid);

    let stdin = child.stdin.take();
    let stderr = outputs.remove(0);
    let streamed = outputs.split_off(spec.outputs);
    let finish = async {
        let outputs = try_join_all(outputs.into_iter().map(|pipe| drain(pipe, spec.limits.output)));
        let outputs = async { outputs.await.map_err(Error::Io) };
        let streams = streamed.into_iter().zip(spec.streams);
        let streams = try_join_all(streams.map(|(pipe, sender)| pass_on(pipe, sender)));
        let streams = async { streams.await.map_err(Error::Io) };
        let fed = async { write_stdin(stdin, spec.input).await.map_err(Error::Io) };
        let (outputs, _, stderr, ()) = tokio::try_join!(outputs, streams, read_stderr(stderr), fed)?;
        // The child has closed its pipes, so it has ended or is about to. `wait` removes it from the process table.
        let cpu = cpu_time(pid);
        let status = child.wait().await.map_err(Error::Io)?;
        Ok(Output { status, outputs, stderr, cpu })
    };
    tokio::select! {
        output = finish => output,
        () = tokio::time::sleep_until(spec.deadline) => {
            let cpu = cpu_time(pid);
            Err(Error::Deadline { busy: cpu >= BUSY && cpu >= start.elapsed() / 2 })
        }
        _ = serve => Err(Error::Io(io::Error::other("the range server stopped"))),
    }
}

/// Starts the child, and returns the read ends of its standard error and output pipes, in this order.
fn spawn(spec: &ChildSpec<'_>, permissions: Permissions) -> io::Result<(Child, Vec<pipe::Receiver>)> {
    let mut command = Command::new(spec.program);
    command.args(spec.args).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
    // Opened here because the seccomp filter of the spawning thread forbids opening files.
    let null = || File::options().read(true).write(true).open("/dev/null").map(Stdio::from);
    command.stdin(if spec.input.is_some() { Stdio::piped() } else { null()? });
    command.stdout(null()?);

    // Standard error comes first. All pipes are close-on-exec, so that no other child inherits them.
    let (mut ends, mut mappings) = (Vec::new(), Vec::new());
    for child_fd in [2, 1].into_iter().chain(3..).take(1 + spec.outputs + spec.streams.len()) {
        let (write, read) = pipe::pipe()?;
        ends.push(read);
        mappings.push(FdMapping { parent_fd: write.into_blocking_fd()?, child_fd });
    }
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    // `spawn` drops the command and with it our copies of the write ends. Otherwise the reads would never end.
    Ok((sandbox::spawn(command, permissions)?, ends))
}

/// Reads a pipe to its end and keeps the first `max` bytes, so that the child cannot exhaust our memory.
async fn drain(mut pipe: impl AsyncRead + Unpin, max: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut pipe).take(max).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// Reads a pipe to its end and sends what arrives. Waits while the receiver is busy, and then the child waits too.
async fn pass_on(mut pipe: impl AsyncRead + Unpin, sender: mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        if pipe.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        if sender.send(piece.freeze()).await.is_err() {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
            return Ok(());
        }
    }
}

/// Reads standard error, up to [`MAX_STDERR`]. ffmpeg takes half a minute to print megabytes of metadata, which only a
/// hostile file has.
async fn read_stderr(pipe: impl AsyncRead + Unpin) -> Result<String, Error> {
    let mut text = Vec::new();
    pipe.take(MAX_STDERR + 1).read_to_end(&mut text).await.map_err(Error::Io)?;
    if text.len() as u64 > MAX_STDERR {
        Err(Error::StderrTooLong)
    } else {
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Writes the input. The child may close its end early; that is not an error, as its output shows whether it read
/// enough.
async fn write_stdin(pipe: Option<ChildStdin>, input: Option<Feed>) -> io::Result<()> {
    let (Some(mut pipe), Some(input)) = (pipe, input) else { return Ok(()) };
    let written = match input {
        Feed::Pieces(pieces) => write_all(&mut pipe, stream::iter(pieces)).await,
        Feed::Stream(receiver) => {
            let pieces =
                stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
            write_all(&mut pipe, pieces).await
        }
    };
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

async fn write_all(pipe: &mut ChildStdin, pieces: impl Stream<Item = Bytes>) -> io::Result<()> {
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.next().await {
        pipe.write_all(&piece).await?;
    }
    Ok(())
}

/// The child's process group, killed when this is dropped.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Fails if the group has already ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Returns the processor time that all threads of a process have used, or zero if it isn't known.
#[cfg(target_os = "linux")]
fn cpu_time(pid: Option<Pid>) -> Duration {
    /// Ticks per second in `/proc` (`USER_HZ`), the same on all of Linux's architectures that Rust supports.
    const TICKS: u64 = 100;
    let stat = pid.map(|pid| std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())));
    let stat = stat.and_then(Result::ok).unwrap_or_default();
    // `utime` and `stime` are the fields 14 and 15. The second field, the name in brackets, can contain spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

#[cfg(not(target_os = "linux"))]
fn cpu_time(_: Option<Pid>) -> Duration {
    Duration::ZERO
}

/// Sets the child's resource limits. The child has no input yet, so it has not processed any untrusted data.
#[cfg(target_os = "linux")]
fn set_limits(group: &ProcessGroup, limits: Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let values = [
        (Resource::As, limits.memory, limits.memory),
        // ffmpeg receives SIGXCPU at the soft limit and SIGKILL at the hard limit.
        (Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 2),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, 64, 64),
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in values {
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        match prlimit(group.0, resource, limit) {
            // The child has already ended; its exit status is checked later.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sets no limits: `prlimit` is Linux only. On other systems only the local backend runs, with the deadline and
/// ffmpeg's own limits.
#[cfg(not(target_os = "linux"))]
fn set_limits(_: &ProcessGroup, _: Limits) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn script<'a>(args: &'a [&'a str], deadline: Duration) -> ChildSpec<'a> {
        let deadline = Instant::now() + deadline;
        ChildSpec {
            program: Path::new("/bin/sh"),
            args,
            input: None,
            outputs: 1,
            streams: Vec::new(),
            network: false,
            limits: Limits::FEW_FRAMES,
            deadline,
        }
    }

    async fn sh(text: &str, deadline: Duration) -> Result<Output, Error> {
        run(script(&["-c", text], deadline), pending::<()>()).await
    }

    async fn sh_with_input(input: &[&'static [u8]], text: &str) -> Output {
        let args = ["-c", text];
        let mut spec = script(&args, Duration::from_secs(20));
        spec.input = Some(Feed::Pieces(input.iter().map(|piece| Bytes::from_static(piece)).collect()));
        super::run(spec, pending::<()>()).await.unwrap()
    }

    #[tokio::test]
    async fn child_has_no_environment_and_no_input() {
        let output =
            sh("env | grep -v -e PWD -e SHLVL -e '^_='; cat; pwd", Duration::from_secs(10)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.outputs[0]), "/\n", "{}", output.stderr);
    }

    #[tokio::test]
    async fn deadline_kills_the_process_group() {
        let mark = uuid::Uuid::new_v4().to_string();
        let ended = sh(&format!("(sleep 60; : {mark}) & sleep 60"), Duration::from_millis(300)).await;
        assert!(matches!(ended, Err(Error::Deadline { busy: false })), "{ended:?}");
        #[cfg(target_os = "linux")]
        for attempt in 0.. {
            let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
            let commands = processes.filter_map(|path| std::fs::read_to_string(path.join("cmdline")).ok());
            if commands.filter(|command| command.contains(&mark)).count() == 0 {
                break;
            }
            assert!(attempt < 100, "the process is still running");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn missing_program_is_an_error() {
        for outputs in [1, 4] {
            let mut spec = script(&[], Duration::from_secs(10));
            (spec.program, spec.outputs) = (Path::new("/nowhere/ffmpeg"), outputs);
            let ended = super::run(spec, pending::<()>()).await;
            assert!(matches!(ended, Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotFound));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn resource_limits_are_set() {
        // The limits are set shortly after the start, so the script waits for them, as ffmpeg waits for its input.
        let text = "while [ \"$(ulimit -f)\" != 0 ]; do :; done; while [ \"$(ulimit -c)\" != 0 ]; do :; done;
            ulimit -v; ulimit -t; ulimit -n; ulimit -v unlimited || echo kept";
        let output = sh(text, Duration::from_secs(10)).await.unwrap();
        let printed = String::from_utf8_lossy(&output.outputs[0]).into_owned();
        assert_eq!(printed, format!("{}\n30\n64\nkept\n", (1536u64 << 20) / 1024), "{}", output.stderr);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn processor_time_is_counted_and_limited() {
        use std::os::unix::process::ExitStatusExt;
        let mut spec = script(&["-c", "while :; do :; done"], Duration::from_mins(10));
        spec.limits.cpu_seconds = 1;
        let output = super::run(spec, pending::<()>()).await.unwrap();
        // The kernel counts by its clock ticks.
        assert!((500..=2000).contains(&output.cpu.as_millis()), "{output:?}");
        assert_eq!(output.status.signal(), Some(24), "SIGXCPU");
    }

    #[tokio::test]
    async fn endless_stderr_is_an_error() {
        let ended = sh("exec yes >&2", Duration::from_secs(20)).await;
        assert!(matches!(ended, Err(Error::StderrTooLong)), "{ended:?}");
    }

    #[tokio::test]
    async fn output_is_cut_at_the_limit() {
        let text = "head -c 20000000 /dev/zero";
        let output = sh(text, Duration::from_secs(20)).await.unwrap();
        assert_eq!(output.outputs[0].len(), 16 << 20);
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn all_input_pieces_are_written() {
        static LARGE: [u8; 300_000] = [7; 300_000];
        let output = sh_with_input(&[b"one", b"", &LARGE, b"three"], "exec cat").await;
        assert_eq!(output.outputs, [[b"one".as_slice(), &LARGE, b"three"].concat()], "{}", output.stderr);
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn child_that_stops_reading_its_input_is_not_an_error() {
        static LARGE: [u8; 300_000] = [7; 300_000];
        let output = sh_with_input(&[b"one", &LARGE, &LARGE], "head -c 3; exec 0<&-; echo; exit 3").await;
        assert_eq!((output.outputs, output.status.code()), (vec![b"one\n".to_vec()], Some(3)));
    }

    #[tokio::test]
    async fn outputs_are_separate() {
        let mut spec = script(&["-c", "echo a; echo b >&3; echo c >&4; echo d >&2"], Duration::from_secs(10));
        spec.outputs = 3;
        let output = super::run(spec, pending::<()>()).await.unwrap();
        assert_eq!(output.outputs, [b"a\n", b"b\n", b"c\n"], "{}", output.stderr);
        assert_eq!(output.stderr, "d\n");
    }

    #[tokio::test]
    async fn input_and_output_can_be_streamed_from_child_to_child() {
        let text = ["-c", "echo first; exec head -c 20000000 /dev/zero >&3"];
        let mut producer = script(&text, Duration::from_secs(20));
        let (sender, mut received) = mpsc::channel(1);
        producer.streams = vec![sender];
        let mut consumer = script(&["-c", "exec wc -c"], Duration::from_secs(20));
        let (feed, input) = mpsc::channel(1);
        consumer.input = Some(Feed::Stream(input));
        let relay = async {
            while let Some(piece) = received.recv().await {
                feed.send(piece).await.unwrap();
            }
            drop(feed);
        };
        let (producer, consumer, ()) =
            tokio::join!(super::run(producer, pending::<()>()), super::run(consumer, pending::<()>()), relay);
        assert_eq!(producer.unwrap().outputs, [b"first\n"]);
        assert_eq!(String::from_utf8_lossy(&consumer.unwrap().outputs[0]).trim(), "20000000");
    }

    #[tokio::test]
    async fn stream_without_receiver_is_discarded() {
        let text = ["-c", "head -c 20000000 /dev/zero >&3; echo done"];
        let mut spec = script(&text, Duration::from_secs(20));
        spec.streams = vec![mpsc::channel(1).0];
        assert_eq!(super::run(spec, pending::<()>()).await.unwrap().outputs, [b"done\n"]);
    }

    #[tokio::test]
    async fn parallel_runs_do_not_hold_each_others_pipes() {
        let runs = (0..8).map(|number| async move {
            let (text, deadline) = (format!("cat; echo {number}; echo x >&4"), Duration::from_secs(20));
            let args = ["-c", text.as_str()];
            let mut spec = script(&args, deadline);
            (spec.input, spec.outputs) = (Some(Feed::Pieces(vec![Bytes::from(vec![b'a'; 100_000])])), 3);
            let output = super::run(spec, pending::<()>()).await.unwrap();
            assert_eq!(output.outputs[0].len(), 100_002, "{}", output.stderr);
            assert_eq!(output.outputs[2], b"x\n");
        });
        futures_util::future::join_all(runs).await;
    }

    #[tokio::test]
    async fn server_is_not_polled_if_the_child_does_not_start() {
        let mut spec = script(&[], Duration::from_secs(10));
        spec.program = Path::new("/nowhere/ffmpeg");
        let ended = super::run(spec, async { panic!("the server was polled") }).await;
        assert!(matches!(ended, Err(Error::Io(_))));
    }
}
