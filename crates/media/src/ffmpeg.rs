//! Builds ffmpeg's arguments, runs it and classifies its errors.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::{Container, Fault};

use crate::child::{self, ChildSpec, Limits, Output};
use crate::error::Error;
use crate::server::Server;
use crate::source::Source;

/// Pixels of the largest frame that is decoded, 8192 x 4320 (8K). This bounds the memory for a frame.
const MAX_PIXELS: &str = "35389440";

/// Where ffmpeg reads from.
pub(crate) enum Input<'a> {
    /// A small file, which is written to standard input.
    File(Container, Vec<Bytes>),
    /// The object, which ffmpeg reads from the range server. With a time in seconds, ffmpeg seeks to the last keyframe
    /// at or before it.
    Object(Container, &'a Arc<Source>, Option<String>),
}

/// Options, filters and outputs of an ffmpeg command.
pub(crate) struct Pass<'a> {
    /// Additional input options.
    pub(crate) options: &'a [&'a str],
    /// The filter graph (`-filter_complex`).
    pub(crate) graph: &'a str,
    /// The arguments of each output; each output is a pipe.
    pub(crate) outputs: &'a [&'a [&'a str]],
    pub(crate) limits: Limits,
}

/// Runs ffmpeg to decode a few frames. `graph` is a filter graph that starts at `[0:V:0]`; `outputs` holds the
/// arguments of each output.
///
/// Returns the contents of the output pipes and what ffmpeg printed to standard error. It is an error if any pipe is
/// empty.
pub(crate) async fn run(
    ffmpeg: &Path,
    input: &Input<'_>,
    graph: &str,
    outputs: &[&[&str]],
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, String), Error> {
    // `ignidx` makes ffmpeg stop at the first samples instead of walking through every fragment of the file.
    let options: &[&str] = match input {
        Input::File(..) => &["-threads", "1"],
        Input::Object(..) => &["-threads", "1", "-fflags", "+ignidx"],
    };
    let outputs: Vec<Vec<&str>> =
        outputs.iter().map(|output| [&["-fps_mode", "passthrough"], *output].concat()).collect();
    let outputs: Vec<&[&str]> = outputs.iter().map(Vec::as_slice).collect();
    let pass = Pass { options, graph, outputs: &outputs, limits: Limits::FEW_FRAMES };
    let output = start(ffmpeg, input, &pass, deadline).await?;
    // The exit status is ignored if every pipe has data: some frames of a damaged file are better than none.
    if output.outputs.iter().all(|output| !output.is_empty()) {
        return Ok((output.outputs, output.stderr));
    }
    Err(classify(&output, Limits::FEW_FRAMES))
}

/// Runs ffmpeg over the whole input and returns the contents of the output pipes. Unlike [`run`], it treats any failure
/// of ffmpeg, such as damaged input, as an error.
pub(crate) async fn run_whole(
    ffmpeg: &Path,
    input: &Input<'_>,
    pass: &Pass<'_>,
    deadline: Instant,
) -> Result<Vec<Vec<u8>>, Error> {
    let output = start(ffmpeg, input, pass, deadline).await?;
    let is_cut = |output: &Vec<u8>| output.len() as u64 >= pass.limits.output;
    if output.outputs.iter().any(is_cut) {
        return Err(Error::TooComplex);
    }
    if output.status.success() { Ok(output.outputs) } else { Err(classify(&output, pass.limits)) }
}

async fn start(
    ffmpeg: &Path,
    input: &Input<'_>,
    pass: &Pass<'_>,
    deadline: Instant,
) -> Result<Output, Error> {
    let mut args = vec!["-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"];
    let server = match input {
        Input::File(..) => None,
        Input::Object(..) => {
            Some(Server::bind().map_err(|error| Error::Fault(Fault::new("start the range server", &error)))?)
        }
    };
    let url = server.as_ref().map_or_else(|| "pipe:0".to_owned(), Server::url);
    let (Input::File(container, _) | Input::Object(container, ..)) = input;
    let demuxer = container.demuxer();
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
    args.extend(["-i", &url, "-filter_complex", pass.graph]);
    let pipes: Vec<String> = pipes(pass.outputs.len());
    for (output, pipe) in pass.outputs.iter().zip(&pipes) {
        args.extend(*output);
        args.push(pipe);
    }

    let (source, pieces) = match input {
        Input::File(_, pieces) => (None, Some(pieces.clone())),
        Input::Object(_, source, _) => (Some(*source), None),
    };
    let run = ChildSpec {
        program: ffmpeg,
        args: &args,
        input: pieces,
        outputs: pass.outputs.len(),
        network: server.is_some(),
        limits: pass.limits,
        deadline,
    };
    let output = match (&server, source) {
        (Some(server), Some(source)) => child::run(run, server.run(source)).await,
        _ => child::run(run, pending::<()>()).await,
    };
    let output = output.map_err(|error| match error {
        child::Error::Io(error) => Error::Fault(Fault::new("run ffmpeg", &error)),
        child::Error::Deadline => Error::Fault(Fault::message("run ffmpeg", "killed at the deadline")),
        child::Error::StderrTooLong => Error::TooComplex,
    })?;
    match server.and_then(|server| server.failure()) {
        Some(error) => Err(error.into()),
        None => Ok(output),
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

    let Output { status, stderr, took, .. } = output;
    if stderr.contains("matches no streams") {
        return Error::NoVideo;
    }
    let out_of_time = *took >= Duration::from_secs(limits.cpu_seconds);
    match status.signal() {
        Some(SIGXCPU) => Error::TooComplex,
        Some(SIGKILL) if out_of_time => Error::TooComplex,
        // This code kills the child only after its deadline, so the kernel killed it, most likely because memory ran
        // out. A retry may succeed.
        Some(SIGKILL) => Error::Fault(Fault::message("run ffmpeg", "killed by the system")),
        _ if stderr.contains("received signal 24") => Error::TooComplex,
        _ => Error::Unreadable(stderr_tail(stderr, *status)),
    }
}

/// Returns the exit status and the last three lines of standard error, at most 500 characters, for the log.
fn stderr_tail(stderr: &str, status: std::process::ExitStatus) -> String {
    let lines: Vec<&str> = stderr.lines().rev().take(3).collect();
    let text: String = lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(500).collect();
    format!("{status}: {text}")
}
