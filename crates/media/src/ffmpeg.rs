//! Builds ffmpeg's arguments, runs it and classifies its errors.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use upreel_core::{Container, Fault};

use crate::child::{self, ChildSpec, Feed, Limits, Output};
use crate::error::Error;
use crate::report::MAPPING;
use crate::server::Server;
use crate::source::Source;

/// Pixels of the largest frame that is decoded, 8192 x 4320 (8K). This bounds the memory for a frame.
const MAX_PIXELS: &str = "35389440";

/// Where ffmpeg reads from.
#[derive(Clone)]
pub(crate) enum Input<'a> {
    /// A small file, which is written to standard input.
    File(Container, Vec<Bytes>),
    /// Frames of this size (`WxH`) in the pixel format `yuvj420p`, one a second, which are written to standard input.
    Frames(&'a str, Vec<Bytes>),
    /// The object, which ffmpeg reads from the range server. With a time in seconds, ffmpeg seeks to the last keyframe
    /// at or before it.
    Object(Container, &'a Arc<Source>, Option<String>),
}

/// The processor time that ffmpeg may use for one object, in several runs one after the other.
///
/// Without it, an object that is slow to decode could use up the time until the deadline, which counts as a fault.
#[derive(Debug)]
pub(crate) struct Budget {
    left_ms: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(seconds: u64) -> Self {
        Self { left_ms: AtomicU64::new(seconds * 1000) }
    }

    /// Returns the limits of the next run.
    fn limits(&self) -> Result<Limits, Error> {
        let left = self.left_ms.load(Relaxed).div_ceil(1000);
        let cpu_seconds = Limits::FEW_FRAMES.cpu_seconds.min(left);
        if cpu_seconds > 0 {
            Ok(Limits { cpu_seconds, ..Limits::FEW_FRAMES })
        } else {
            Err(Error::TooComplex)
        }
    }

    fn spend(&self, cpu: Duration) {
        let left = self.left_ms.load(Relaxed);
        self.left_ms.store(left.saturating_sub(u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX)), Relaxed);
    }
}

/// Options, filters and outputs of an ffmpeg command.
pub(crate) struct Pass<'a> {
    /// How much ffmpeg prints: `info` includes the report on the input.
    pub(crate) log_level: &'a str,
    /// Additional input options.
    pub(crate) options: &'a [&'a str],
    /// The filter graphs (`-filter_complex`), which ffmpeg sets up anew independently of each other.
    pub(crate) graphs: &'a [&'a str],
    /// The arguments of each output; each output is a pipe.
    pub(crate) outputs: &'a [&'a [&'a str]],
    /// Where the contents of the last outputs go. The others are collected.
    pub(crate) streams: Vec<mpsc::Sender<Bytes>>,
    pub(crate) limits: Limits,
}

/// Runs ffmpeg to decode a few frames. `graph` is a filter graph that starts at `[0:V:0]`; `outputs` holds the
/// arguments of each output, `options` are additional options of the input.
///
/// Returns the contents of the output pipes and what ffmpeg printed to standard error. It is an error if any pipe is
/// empty.
pub(crate) async fn run(
    ffmpeg: &Path,
    input: &Input<'_>,
    options: &[&str],
    graph: &str,
    outputs: &[&[&str]],
    budget: &Budget,
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, String), Error> {
    let limits = budget.limits()?;
    let options = &[frugal(input), options].concat();
    let outputs: Vec<Vec<&str>> =
        outputs.iter().map(|output| [&["-fps_mode", "passthrough"], *output].concat()).collect();
    let outputs: Vec<&[&str]> = outputs.iter().map(Vec::as_slice).collect();
    let pass =
        Pass { log_level: "info", options, graphs: &[graph], outputs: &outputs, streams: Vec::new(), limits };
    let output = start(ffmpeg, input, pass, deadline).await?;
    budget.spend(output.cpu);
    // The exit status is ignored if every pipe has data: some frames of a damaged file are better than none.
    if output.outputs.iter().all(|output| !output.is_empty()) {
        return Ok((output.outputs, output.stderr));
    }
    Err(classify(&output, limits))
}

/// Runs ffmpeg over the whole input and returns the contents of the collected output pipes. Unlike [`run`], it treats
/// any failure of ffmpeg, such as damaged input, as an error.
pub(crate) async fn run_whole(
    ffmpeg: &Path,
    input: &Input<'_>,
    pass: Pass<'_>,
    deadline: Instant,
) -> Result<Vec<Vec<u8>>, Error> {
    let limits = pass.limits;
    check_whole(start(ffmpeg, input, pass, deadline).await?, limits)
}

/// Returns the output of a run that succeeded and was not cut.
pub(crate) fn check_whole(output: Output, limits: Limits) -> Result<Vec<Vec<u8>>, Error> {
    if output.outputs.iter().any(|output| output.len() as u64 >= limits.output) {
        return Err(Error::TooComplex);
    }
    if output.status.success() { Ok(output.outputs) } else { Err(classify(&output, limits)) }
}

/// Returns ffmpeg's report on the input, without decoding it for an output.
pub(crate) async fn report(
    ffmpeg: &Path,
    input: &Input<'_>,
    budget: &Budget,
    deadline: Instant,
) -> Result<String, Error> {
    let limits = budget.limits()?;
    let options = frugal(input);
    let pass = Pass { log_level: "info", options, graphs: &[], outputs: &[], streams: Vec::new(), limits };
    let output = start(ffmpeg, input, pass, deadline).await?;
    budget.spend(output.cpu);
    // ffmpeg fails all the same, because there is no output.
    if !output.stderr.contains("Input #0, ") {
        return Err(classify(&output, limits));
    }
    // With an output, ffmpeg prints this line, so that one in the file's own text is a second one.
    Ok(format!("{}\n{MAPPING}\n", output.stderr))
}

/// Returns options for reading little of an input. `ignidx` makes ffmpeg stop at the first samples instead of walking
/// through every fragment of the file.
const fn frugal(input: &Input<'_>) -> &'static [&'static str] {
    match input {
        Input::File(..) | Input::Frames(..) => &["-threads", "1"],
        Input::Object(..) => &["-threads", "1", "-fflags", "+ignidx"],
    }
}

async fn start(ffmpeg: &Path, input: &Input<'_>, pass: Pass<'_>, deadline: Instant) -> Result<Output, Error> {
    let mut args = vec!["-hide_banner", "-nostdin", "-nostats", "-loglevel", pass.log_level];
    let server = match input {
        Input::File(..) | Input::Frames(..) => None,
        Input::Object(..) => {
            Some(Server::bind().map_err(|error| Error::Fault(Fault::new("start the range server", &error)))?)
        }
    };
    let url = server.as_ref().map_or_else(|| "pipe:0".to_owned(), Server::url);
    let demuxer = match input {
        Input::File(container, _) | Input::Object(container, ..) => container.demuxer(),
        Input::Frames(..) => "rawvideo",
    };
    // The demuxer follows from the file's first bytes, so ffmpeg never opens a manifest that refers to other files
    // or hosts. The whitelists for formats and protocols are a second line of defence.
    args.extend(["-f", demuxer, "-format_whitelist", demuxer, "-max_pixels", MAX_PIXELS]);
    args.extend(pass.options);
    if let Input::Object(_, _, seek) = input {
        args.extend(["-protocol_whitelist", "http,tcp", "-recv_buffer_size", "65536"]);
        if let Some(seconds) = seek {
            args.extend(["-noaccurate_seek", "-ss", seconds]);
        }
    } else {
        args.extend(["-protocol_whitelist", "pipe"]);
    }
    if let Input::Frames(size, _) = input {
        args.extend(["-pixel_format", "yuvj420p", "-framerate", "1", "-video_size", size]);
    }
    args.extend(["-i", &url]);
    args.extend(pass.graphs.iter().flat_map(|graph| ["-filter_complex", graph]));
    let pipes: Vec<String> = pipes(pass.outputs.len());
    for (output, pipe) in pass.outputs.iter().zip(&pipes) {
        args.extend(*output);
        args.push(pipe);
    }

    let (source, pieces) = match input {
        Input::File(_, pieces) | Input::Frames(_, pieces) => (None, Some(Feed::Pieces(pieces.clone()))),
        Input::Object(_, source, _) => (Some(*source), None),
    };
    let run = ChildSpec {
        program: ffmpeg,
        args: &args,
        input: pieces,
        outputs: pass.outputs.len() - pass.streams.len(),
        streams: pass.streams,
        network: server.is_some(),
        limits: pass.limits,
        deadline,
    };
    let output = match (&server, source) {
        (Some(server), Some(source)) => child::run(run, server.run(source)).await,
        _ => child::run(run, pending::<()>()).await,
    };
    let output = output?;
    match server.and_then(|server| server.failure()) {
        Some(error) => Err(error.into()),
        None => Ok(output),
    }
}

impl From<child::Error> for Error {
    fn from(error: child::Error) -> Self {
        match error {
            child::Error::Io(error) => Self::Fault(Fault::new("run ffmpeg", &error)),
            child::Error::Deadline { busy: false } => {
                Self::Fault(Fault::message("run ffmpeg", "killed at the deadline"))
            }
            // A retry would be as slow.
            child::Error::Deadline { busy: true } | child::Error::StderrTooLong => Self::TooComplex,
        }
    }
}

/// Names the output pipes: `pipe:1`, then `pipe:3` and so on. Descriptor 2 is standard error.
fn pipes(count: usize) -> Vec<String> {
    (1..=count).map(|i| if i == 1 { 1 } else { i + 1 }).map(|fd| format!("pipe:{fd}")).collect()
}

/// Classifies a failed run: is the file unusable, or is it a fault on our side?
fn classify(output: &Output, limits: Limits) -> Error {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;

    let Output { status, stderr, cpu, .. } = output;
    match status.signal() {
        Some(SIGXCPU) => Error::TooComplex,
        // ffmpeg can end by itself at the limit, and says why only at the log level `info`.
        Some(SIGKILL) | None if *cpu >= Duration::from_secs(limits.cpu_seconds) => Error::TooComplex,
        // This code kills the child only after its deadline, so the kernel or an operator killed it, most likely
        // because the machine's memory ran out. A retry may succeed. One file can't cause it: see `Limits`.
        Some(SIGKILL) => Error::Fault(Fault::message("run ffmpeg", "killed by the system")),
        _ if stderr.contains("received signal 24") => Error::TooComplex,
        _ if stderr.contains("matches no streams") => Error::NoVideo,
        _ => Error::Unreadable(stderr_tail(stderr, *status)),
    }
}

/// Returns the exit status and the last three lines of standard error, at most 500 characters, for the log.
fn stderr_tail(stderr: &str, status: std::process::ExitStatus) -> String {
    let lines: Vec<&str> = stderr.lines().rev().take(3).collect();
    let text: String = lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(500).collect();
    format!("{status}: {text}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn classified(wait_status: i32, cpu: u64, stderr: &str) -> Error {
        let status = ExitStatus::from_raw(wait_status);
        let cpu = Duration::from_secs(cpu);
        let output = Output { status, outputs: Vec::new(), stderr: stderr.to_owned(), cpu };
        classify(&output, Limits::FEW_FRAMES)
    }

    #[test]
    fn only_a_kill_by_the_system_is_a_fault() {
        const EXIT_1: i32 = 1 << 8;
        assert!(matches!(classified(EXIT_1, 0, "x: Invalid data"), Error::Unreadable(_)));
        assert!(matches!(classified(EXIT_1, 0, "Stream map '0:V:0' matches no streams."), Error::NoVideo));
        assert!(matches!(classified(EXIT_1, 30, "Exiting normally, received signal 24."), Error::TooComplex));
        for crash in [4, 6, 7, 8, 11, 31] {
            assert!(matches!(classified(crash, 0, ""), Error::Unreadable(_)), "signal {crash}");
        }
        assert!(matches!(classified(24, 30, ""), Error::TooComplex));
        assert!(matches!(classified(9, 32, ""), Error::TooComplex));
        // The file's text in the report doesn't matter.
        assert!(matches!(classified(9, 1, "matches no streams received signal 24"), Error::Fault(_)));
    }

    #[test]
    fn runs_share_the_processor_time_of_an_object() {
        let budget = Budget::new(40);
        assert_eq!(budget.limits().unwrap().cpu_seconds, 30);
        budget.spend(Duration::from_millis(30_500));
        assert_eq!(budget.limits().unwrap().cpu_seconds, 10);
        budget.spend(Duration::from_secs(32));
        assert!(matches!(budget.limits(), Err(Error::TooComplex)));
    }
}
