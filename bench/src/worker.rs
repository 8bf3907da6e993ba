//! Runs one method on one video, in a separate process.
//!
//! The process initializes itself as a function does before its first event, prints "ready", waits for a line, runs the
//! method, and prints the measurement.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use upreel_core::video::MediaInfo;
use upreel_media::image::{Format, Images, Size};
use upreel_media::{Source, poster, storyboard};
use upreel_store::objects::{Head, StoredObject};

use crate::files::Video;
use crate::{BoxError, s3};

const DEADLINE: Duration = Duration::from_mins(10);
/// The number of times for which keyframes are made.
pub(crate) const KEYFRAMES: u32 = 20;

/// A method to make a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Download the object, then give it to ffmpeg
    Download,
    /// Give ffmpeg a signed URL
    Http,
    /// Upreel's poster
    Poster,
    /// Upreel's storyboard, after the poster
    Storyboard,
    /// Upreel's image of the keyframe nearest to a time
    Keyframe,
}

impl Method {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Download => "download, then ffmpeg",
            Self::Http => "ffmpeg over http",
            Self::Poster => "Upreel: poster",
            Self::Storyboard => "Upreel: storyboard",
            Self::Keyframe => "Upreel: keyframe at a time",
        }
    }

    pub(crate) const fn is_upreel(self) -> bool {
        matches!(self, Self::Poster | Self::Storyboard | Self::Keyframe)
    }
}

/// Time and memory of a piece of work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Wall-clock time from the event to the result, in milliseconds.
    pub(crate) wall: f64,
    /// Processor time of this process and its children, in milliseconds.
    pub(crate) cpu: f64,
    /// Peak memory of this process, in KiB.
    pub(crate) parent: u64,
    /// Peak memory of its largest child, in KiB.
    pub(crate) child: u64,
}

/// The measurement of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measurement {
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// Size of the JPEG, in bytes.
    pub(crate) jpeg: usize,
    /// Whether Upreel read the container's index; if not, ffmpeg read the file itself.
    pub(crate) index: Option<bool>,
}

/// The input of a method.
pub(crate) struct Setting {
    pub(crate) endpoint: String,
    pub(crate) video: &'static Video,
    pub(crate) ffmpeg: PathBuf,
    /// The number of the run, from 0.
    pub(crate) number: u32,
}

pub(crate) async fn run(method: Method, setting: &Setting) -> Result<(), BoxError> {
    let measurement = match method {
        Method::Download | Method::Http => run_alternative(method, setting).await,
        Method::Poster | Method::Storyboard | Method::Keyframe => run_upreel(method, setting).await,
    }?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&measurement)?)?;
    Ok(())
}

async fn run_alternative(method: Method, setting: &Setting) -> Result<Measurement, BoxError> {
    let objects = s3::objects(&setting.endpoint);
    let url = objects.sign_get(&setting.video.key()?).await?;
    let folder = std::env::temp_dir();
    let (input, output) = (folder.join("in"), folder.join("out.jpg"));

    let start = Start::ready()?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error"]);
    if method == Method::Download {
        download(&url, &input)?;
        ffmpeg.arg("-i").arg(&input).args(["-ss", "1"]);
    } else {
        ffmpeg.args(["-ss", "1", "-i", &url]);
    }
    ffmpeg.args(["-frames:v", "1", "-vf", "scale=640:-2"]).arg(&output);
    let status = ffmpeg.status()?;
    let jpeg = if status.success() { fs::read(&output)? } else { Vec::new() };
    start.measurement(&jpeg, None)
}

/// Downloads an object with the least possible overhead between socket and disk; less than an SDK has.
fn download(url: &str, to: &Path) -> Result<(), BoxError> {
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("not a plain URL")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut response = BufReader::with_capacity(256 << 10, stream);
    let mut line = String::new();
    response.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(line.trim_end().into());
    }
    let mut size = 0;
    while line != "\r\n" {
        line.clear();
        response.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            size = length.trim().parse()?;
        }
    }
    let copied = io::copy(&mut response.take(size), &mut File::create(to)?)?;
    if copied == size { Ok(()) } else { Err("the download is incomplete".into()) }
}

/// Opens the object as a function does.
pub(crate) async fn source(setting: &Setting) -> Result<Source, BoxError> {
    let objects = s3::objects(&setting.endpoint);
    let key = setting.video.key()?;
    // An event contains size and entity tag. They are read with another client, because the measured one must not have
    // an open connection yet.
    let other = s3::objects(&setting.endpoint);
    let Head { size, etag, .. } = other.head(&key).await?.ok_or("the object does not exist")?;
    Ok(Source::new(size, StoredObject::new(&objects, &key, &etag)))
}

/// Makes a poster or a storyboard as the thumbnail function does, or a keyframe as the playback function does.
async fn run_upreel(method: Method, setting: &Setting) -> Result<Measurement, BoxError> {
    let source = Arc::new(source(setting).await?);

    if method == Method::Poster {
        let start = Start::ready()?;
        let poster = poster::make(&source, &setting.ffmpeg, Instant::now() + DEADLINE).await?;
        return start.measurement(&poster.jpeg, Some(poster.index.is_some()));
    }
    let poster = poster::make(&source, &setting.ffmpeg, Instant::now() + DEADLINE).await?;
    if method == Method::Keyframe {
        return keyframe(setting, &poster.media_info).await;
    }
    let index = poster.index.ok_or("no storyboard: no index reader finds keyframes")?;
    let start = Start::ready()?;
    let deadline = Instant::now() + DEADLINE;
    let storyboard = storyboard::make(&source, &index, "storyboard.jpg", &setting.ffmpeg, deadline).await?;
    start.measurement(&storyboard.jpeg, Some(true))
}

/// Makes the image of a keyframe. Each run asks for another time, spread over the video.
async fn keyframe(setting: &Setting, media_info: &MediaInfo) -> Result<Measurement, BoxError> {
    let source = Arc::new(source(setting).await?);
    let duration = media_info.duration_ms.ok_or("no duration")?;
    let ms = duration * u64::from(2 * setting.number + 1) / u64::from(2 * KEYFRAMES);
    let size = Size { width: 640, height: 360, crop: false };
    let start = Start::ready()?;
    let images = Images::new(&source, media_info, &setting.ffmpeg, Instant::now() + DEADLINE);
    let image = images.keyframe(ms, size, Format::Jpeg).await?;
    start.measurement(
        &image.ok_or("not by an index: the API makes it from the segments, or ffmpeg seeks")?,
        Some(true),
    )
}

/// The start of a measurement.
pub(crate) struct Start {
    at: Instant,
    cpu: i64,
}

impl Start {
    /// Prints "ready", waits for the event, and starts the measurement.
    pub(crate) fn ready() -> Result<Self, BoxError> {
        writeln!(io::stdout(), "ready")?;
        io::stdin().read_line(&mut String::new())?;
        Self::now()
    }

    pub(crate) fn now() -> Result<Self, BoxError> {
        Ok(Self { at: Instant::now(), cpu: cpu()? })
    }

    pub(crate) fn cost(&self) -> Result<Cost, BoxError> {
        let wall = self.at.elapsed().as_secs_f64() * 1000.0;
        let micros = u32::try_from(cpu()? - self.cpu)?;
        Ok(Cost {
            wall,
            cpu: f64::from(micros) / 1000.0,
            parent: peak()?,
            // Linux counts from the fork, so this is at least the memory of this process at that time.
            child: getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().try_into()?,
        })
    }

    fn measurement(&self, jpeg: &[u8], index: Option<bool>) -> Result<Measurement, BoxError> {
        let cost = self.cost()?;
        if !jpeg.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Err("the output is not a JPEG".into());
        }
        Ok(Measurement { cost, jpeg: jpeg.len(), index })
    }
}

/// Returns the processor time of this process and its finished children, in microseconds.
fn cpu() -> Result<i64, BoxError> {
    let of = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(of(getrusage(UsageWho::RUSAGE_SELF)?) + of(getrusage(UsageWho::RUSAGE_CHILDREN)?))
}

/// Returns the peak memory of this program, in KiB. `ru_maxrss` would include the memory before `exec`.
fn peak() -> Result<u64, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
