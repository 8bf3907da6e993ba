//! How ffmpeg is called, and what its end means.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::{Container, Fault};

use crate::child::{self, Limits, Output, Run};
use crate::error::Error;
use crate::server::Server;
use crate::source::Source;

/// 8K (8192 x 4320) and nothing larger, so that a frame's memory is bounded.
const MAX_PIXELS: &str = "35389440";

/// Where ffmpeg reads from.
pub(crate) enum Input<'a> {
    /// A small file, on its standard input.
    File(Container, Vec<Bytes>),
    /// The object by way of the range server, from the keyframe before a time in seconds.
    Object(Container, &'a Arc<Source>, Option<String>),
}

/// What is to be done with the input.
pub(crate) struct Pass<'a> {
    /// Further options of the input.
    pub(crate) options: &'a [&'a str],
    /// The filters.
    pub(crate) graph: &'a str,
    /// The arguments of each output, which is a pipe.
    pub(crate) outputs: &'a [&'a [&'a str]],
    pub(crate) limits: Limits,
}

/// Runs ffmpeg for pictures: the filters, as a graph from `[0:V:0]`, and for each of `outputs` its arguments. The
/// pipes' contents and the report come back, if each pipe has something.
pub(crate) async fn run(
    ffmpeg: &Path,
    input: &Input<'_>,
    graph: &str,
    outputs: &[&[&str]],
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, String), Error> {
    // Stop at the first samples instead of walking through every fragment of the file.
    let options: &[&str] = match input {
        Input::File(..) => &["-threads", "1"],
        Input::Object(..) => &["-threads", "1", "-fflags", "+ignidx"],
    };
    let outputs: Vec<Vec<&str>> =
        outputs.iter().map(|output| [&["-fps_mode", "passthrough"], *output].concat()).collect();
    let outputs: Vec<&[&str]> = outputs.iter().map(Vec::as_slice).collect();
    let pass = Pass { options, graph, outputs: &outputs, limits: Limits::PICTURES };
    let output = start(ffmpeg, input, &pass, deadline).await?;
    // Some pictures of a damaged file are better than none, so the status alone does not count.
    if output.outputs.iter().all(|output| !output.is_empty()) {
        return Ok((output.outputs, output.stderr));
    }
    Err(fault_of(&output, Limits::PICTURES))
}

/// Runs ffmpeg for everything that is in the input, to its end: what is damaged or cut short is an error.
pub(crate) async fn run_whole(
    ffmpeg: &Path,
    input: &Input<'_>,
    pass: &Pass<'_>,
    deadline: Instant,
) -> Result<Vec<Vec<u8>>, Error> {
    let output = start(ffmpeg, input, pass, deadline).await?;
    let full = |output: &Vec<u8>| output.len() as u64 >= pass.limits.output;
    if output.outputs.iter().any(full) {
        return Err(Error::TooComplex);
    }
    if output.status.success() { Ok(output.outputs) } else { Err(fault_of(&output, pass.limits)) }
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
            Some(Server::bind().map_err(|error| Error::Fault(Fault::new("bind the range server", &error)))?)
        }
    };
    let url = server.as_ref().map_or_else(|| "pipe:0".to_owned(), Server::url);
    let (Input::File(container, _) | Input::Object(container, ..)) = input;
    let demuxer = container.demuxer();
    // The demuxer is chosen here, from the bytes: a manifest that names other files or hosts is never
    // opened, and the two lists hold should one be reached all the same.
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
    let run = Run {
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
        child::Error::Report => Error::TooComplex,
    })?;
    match server.and_then(|server| server.failure()) {
        Some(error) => Err(error.into()),
        None => Ok(output),
    }
}

/// `pipe:1`, then `pipe:3` and so on; the second is for the report.
fn pipes(count: usize) -> Vec<String> {
    (1..=count).map(|i| if i == 1 { 1 } else { i + 1 }).map(|fd| format!("pipe:{fd}")).collect()
}

/// Tells the file's faults from ours.
fn fault_of(output: &Output, limits: Limits) -> Error {
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
        // Nobody here kills it, so the system did: there may be more memory next time.
        Some(SIGKILL) => Error::Fault(Fault::message("run ffmpeg", "killed by the system")),
        _ if stderr.contains("received signal 24") => Error::TooComplex,
        _ => Error::Unreadable(stderr_tail(stderr, *status)),
    }
}

/// The end of what ffmpeg said, for the log.
fn stderr_tail(stderr: &str, status: std::process::ExitStatus) -> String {
    let lines: Vec<&str> = stderr.lines().rev().take(3).collect();
    let text: String = lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(500).collect();
    format!("{status}: {text}")
}
