//! How ffmpeg is called, and what its end means.

use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::{Container, Fault};

use crate::child::{self, CPU_SECONDS, Output, Run};
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

/// Runs ffmpeg: the filters, as a graph from `[0:V:0]`, and for each of `outputs` its arguments. The pipes'
/// contents and the report come back, if each pipe has something.
pub(crate) async fn run(
    ffmpeg: &Path,
    input: &Input<'_>,
    graph: &str,
    outputs: &[&[&str]],
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, String), Error> {
    let mut args = vec!["-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"];
    let server = match input {
        Input::File(..) => None,
        Input::Object(..) => {
            Some(Server::bind().map_err(|error| Error::Fault(Fault::new("bind the range server", &error)))?)
        }
    };
    let url = server.as_ref().map_or_else(|| "pipe:0".to_owned(), Server::url);
    let (Input::File(container, _) | Input::Object(container, ..)) = input;
    let demuxer = demuxer(*container);
    // The demuxer is chosen here, from the bytes: a manifest that names other files or hosts is never
    // opened, and the two lists hold should one be reached all the same.
    args.extend(["-f", demuxer, "-format_whitelist", demuxer, "-max_pixels", MAX_PIXELS, "-threads", "1"]);
    if let Input::Object(_, _, seek) = input {
        // Stop at the first samples instead of walking through every fragment of the file.
        args.extend(["-fflags", "+ignidx", "-protocol_whitelist", "http,tcp", "-recv_buffer_size", "65536"]);
        if let Some(seconds) = seek {
            args.extend(["-noaccurate_seek", "-ss", seconds]);
        }
    } else {
        args.extend(["-protocol_whitelist", "pipe"]);
    }
    args.extend(["-i", &url, "-filter_complex", graph]);
    let pipes: Vec<String> = pipes(outputs.len());
    for (output, pipe) in outputs.iter().zip(&pipes) {
        args.extend(["-fps_mode", "passthrough"]);
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
        outputs: outputs.len(),
        network: server.is_some(),
        deadline,
    };
    let output = match (&server, source) {
        (Some(server), Some(source)) => child::run(run, server.run(source)).await,
        _ => child::run(run, pending::<()>()).await,
    };
    let output = output.map_err(|error| match error {
        child::Error::Io(error) => Error::Fault(Fault::new("run ffmpeg", &error)),
        child::Error::Deadline => {
            Error::Fault(Fault::new("run ffmpeg", &io::Error::other("killed at the deadline")))
        }
        child::Error::Report => Error::TooComplex,
    })?;
    if let Some(error) = server.and_then(|server| server.failure()) {
        return Err(error.into());
    }
    judge(output)
}

/// `pipe:1`, then `pipe:3` and so on; the second is for the report.
fn pipes(count: usize) -> Vec<String> {
    (1..=count).map(|i| if i == 1 { 1 } else { i + 1 }).map(|fd| format!("pipe:{fd}")).collect()
}

/// ffmpeg's name of the demuxer.
const fn demuxer(container: Container) -> &'static str {
    match container {
        Container::Mp4 | Container::Mov | Container::ThreeGp => "mov,mp4,m4a,3gp,3g2,mj2",
        Container::Webm | Container::Mkv => "matroska,webm",
        Container::Avi => "avi",
        Container::MpegTs => "mpegts",
        Container::MpegPs => "mpeg",
        Container::Flv => "flv",
        Container::Ogg => "ogg",
        Container::Wmv => "asf",
    }
}

/// Tells pictures from the file's faults and ours.
fn judge(output: Output) -> Result<(Vec<Vec<u8>>, String), Error> {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;

    let Output { status, outputs, stderr, took } = output;
    // Some pictures of a damaged file are better than none, so the status alone does not count.
    if outputs.iter().all(|output| !output.is_empty()) {
        return Ok((outputs, stderr));
    }
    if stderr.contains("matches no streams") {
        return Err(Error::NoVideo);
    }
    let out_of_time = took >= Duration::from_secs(CPU_SECONDS);
    match status.signal() {
        Some(SIGXCPU) => Err(Error::TooComplex),
        Some(SIGKILL) if out_of_time => Err(Error::TooComplex),
        // Nobody here kills it, so the system did: there may be more memory next time.
        Some(SIGKILL) => {
            Err(Error::Fault(Fault::new("run ffmpeg", &io::Error::other("killed by the system"))))
        }
        _ if stderr.contains("received signal 24") => Err(Error::TooComplex),
        _ => Err(Error::Unreadable(last_words(&stderr, status))),
    }
}

/// The end of what ffmpeg said, for the log.
fn last_words(stderr: &str, status: std::process::ExitStatus) -> String {
    let lines: Vec<&str> = stderr.lines().rev().take(3).collect();
    let text: String = lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(500).collect();
    format!("{status}: {text}")
}
