//! A poster and the facts, from one run of ffmpeg over ranges of the object.
//!
//! ffmpeg reads from the loopback server here. A reader of the container's own index, which cuts one
//! sample out and hands it over on standard input, fits in front of [`attempt`]: it needs the same
//! [`Source`], and leaves to this path what it does not know.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::objects::ReadError;
use upreel_core::video::Facts;
use upreel_core::{Container, Fault};

use crate::child::{self, CPU_SECONDS, Output, Run};
use crate::index::{HEAD, Index};
use crate::report;
use crate::server::Server;
use crate::source::{self, Source};

/// Where to look first, in seconds: many videos begin black.
const FIRST_CHOICE: &str = "1";
/// 8K (8192 x 4320) and nothing larger, so that a frame's memory is bounded.
const MAX_PIXELS: &str = "35389440";
/// 640 pixels wide with square pixels, an even height, and no height out of proportion.
const FILTER: &str = "scale=w=640:h='clip(2*round(320*ih/(iw*sar)),2,4096)':flags=area:out_color_matrix=bt601,setsar=1,format=yuvj420p";

/// What a video gives.
#[derive(Debug)]
pub struct Poster {
    /// The picture, 640 pixels wide, upright.
    pub jpeg: Bytes,
    /// The same, 1280 pixels wide.
    pub large: Bytes,
    /// A `BlurHash` of it, to be shown while it loads.
    pub blur_hash: String,
    /// What is known of the video.
    pub facts: Facts,
    /// Where the keyframes are, if the container's index could be read.
    pub index: Option<Index>,
}

/// Why there is no poster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is empty, or larger than is allowed.
    #[error("{size} bytes, of at most {max}")]
    Size {
        /// Bytes.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// The bytes are of no known container.
    #[error("not a video")]
    Unsupported,
    /// There is no moving picture in it.
    #[error("no video stream")]
    NoVideo,
    /// It is damaged, or its codec is unknown.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// It needs more time or reading than is allowed.
    #[error("too complex")]
    TooComplex,
    /// The object is gone, or is another one now.
    #[error("the object is gone or was replaced")]
    Gone,
    /// A fault of ours or of S3.
    #[error(transparent)]
    Fault(Fault),
}

/// Makes the poster of `source` with the `ffmpeg` program, by `deadline`.
///
/// # Errors
/// See [`Error`]: all but `Fault` say something about the object, and would come again.
pub async fn make(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Poster, Error> {
    let head = source.read(0..HEAD).await?;
    let container = Container::sniff(&head).ok_or(Error::Unsupported)?;
    let mut poster = match attempt(source, container, Some(FIRST_CHOICE), ffmpeg, deadline).await {
        // Too short for the first choice, or damaged there.
        Err(Error::Unreadable(why)) => {
            tracing::debug!(why, "no picture at the first choice, taking the first one");
            attempt(source, container, None, ffmpeg, deadline).await
        }
        other => other,
    }?;
    poster.facts.container = Some(container);
    // ffmpeg was told not to walk through the fragments, so it knows the length of the first only.
    if head.windows(4).any(|name| name == b"mvex") {
        poster.facts.duration_ms = None;
    }
    Ok(poster)
}

async fn attempt(
    source: &Arc<Source>,
    container: Container,
    seek: Option<&str>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Poster, Error> {
    let server = Server::bind().map_err(|error| Error::Fault(Fault::new("bind the range server", &error)))?;
    let url = server.url();
    let args = arguments(demuxer(container), seek, &url);
    let run = Run { program: ffmpeg, args: &args, input: None, outputs: 1, network: true, deadline };
    let output = child::run(run, server.run(source)).await.map_err(|error| {
        Error::Fault(match error {
            child::Error::Io(error) => Fault::new("run ffmpeg", &error),
            child::Error::Deadline => {
                Fault::new("run ffmpeg", &std::io::Error::other("killed at the deadline"))
            }
        })
    })?;
    if let Some(error) = server.failure() {
        return Err(error.into());
    }
    judge(output)
}

fn arguments<'a>(demuxer: &'a str, seek: Option<&'a str>, url: &'a str) -> Vec<&'a str> {
    let mut args = vec!["-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"];
    // Stop at the first samples instead of walking through every fragment of the file.
    args.extend(["-fflags", "+ignidx"]);
    // The demuxer is chosen here, from the bytes: a manifest that names other files or hosts is never
    // opened, and the two lists hold should one be reached all the same.
    args.extend(["-f", demuxer, "-format_whitelist", demuxer, "-protocol_whitelist", "http,tcp"]);
    args.extend(["-max_pixels", MAX_PIXELS, "-threads", "1", "-recv_buffer_size", "65536"]);
    if let Some(seconds) = seek {
        args.extend(["-noaccurate_seek", "-ss", seconds]);
    }
    // A capital V leaves cover pictures out.
    args.extend(["-i", url, "-map", "0:V:0", "-an", "-sn", "-dn"]);
    args.extend(["-frames:v", "1", "-fps_mode", "passthrough", "-vf", FILTER]);
    args.extend(["-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-f", "image2pipe", "pipe:1"]);
    args
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

impl From<source::Error> for Error {
    fn from(error: source::Error) -> Self {
        match error {
            source::Error::Limit => Self::TooComplex,
            source::Error::Read(ReadError::Gone) => Self::Gone,
            source::Error::Read(ReadError::Fault(fault)) => Self::Fault(fault),
        }
    }
}

/// Tells a picture from the file's faults and ours.
fn judge(output: Output) -> Result<Poster, Error> {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;

    let Output { status, mut outputs, stderr, took } = output;
    let stdout = outputs.swap_remove(0);
    if stdout.starts_with(&[0xFF, 0xD8, 0xFF]) && stdout.ends_with(&[0xFF, 0xD9]) {
        return Ok(Poster {
            jpeg: stdout.clone().into(),
            large: stdout.into(),
            blur_hash: String::new(),
            facts: report::parse(&stderr),
            index: None,
        });
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
            Err(Error::Fault(Fault::new("run ffmpeg", &std::io::Error::other("killed by the system"))))
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
