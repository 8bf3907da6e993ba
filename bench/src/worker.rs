//! One method on one video, once, in a process of its own.
//!
//! It prepares itself as a function does before its first event, says that it is ready, waits for a line,
//! works, and prints what that took.

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
use upreel_media::{Source, poster, storyboard};
use upreel_store::objects::{Head, StoredObject};

use crate::files::Video;
use crate::{Failed, s3};

/// Nothing here takes longer, but for a download of 5 GB.
const DEADLINE: Duration = Duration::from_mins(10);

/// How a picture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Download the object, then give it to ffmpeg
    Download,
    /// Give ffmpeg a signed URL
    Http,
    /// The engine's poster
    Poster,
    /// The engine's storyboard, after the poster
    Storyboard,
}

impl Method {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Download => "download, then ffmpeg",
            Self::Http => "ffmpeg over http",
            Self::Poster => "Upreel: poster",
            Self::Storyboard => "Upreel: storyboard",
        }
    }

    pub(crate) const fn ours(self) -> bool {
        matches!(self, Self::Poster | Self::Storyboard)
    }
}

/// What it cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// In milliseconds, from the event to the result.
    pub(crate) wall: f64,
    /// Processor time of this process and its children, in milliseconds.
    pub(crate) cpu: f64,
    /// The most memory that this process has had, in KiB.
    pub(crate) parent: u64,
    /// The most memory that one of its children has had, in KiB.
    pub(crate) child: u64,
}

/// What it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Taken {
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// Bytes of the picture.
    pub(crate) picture: usize,
    /// The engine knew the container's index, and did not leave the reading to ffmpeg.
    pub(crate) index: Option<bool>,
}

/// Where the method's pieces are.
pub(crate) struct Setting {
    pub(crate) endpoint: String,
    pub(crate) video: &'static Video,
    pub(crate) ffmpeg: PathBuf,
}

pub(crate) async fn run(method: Method, setting: &Setting) -> Result<(), Failed> {
    let taken = match method {
        Method::Download | Method::Http => usual(method, setting).await,
        Method::Poster | Method::Storyboard => ours(method, setting).await,
    }?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&taken)?)?;
    Ok(())
}

async fn usual(method: Method, setting: &Setting) -> Result<Taken, Failed> {
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
    let picture = if status.success() { fs::read(&output)? } else { Vec::new() };
    start.taken(&picture, None)
}

/// Downloads with as little as there can be between the socket and the disk; an SDK takes more.
fn download(url: &str, to: &Path) -> Result<(), Failed> {
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("not a plain URL")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = BufReader::with_capacity(256 << 10, stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(line.trim_end().into());
    }
    let mut size = 0;
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            size = length.trim().parse()?;
        }
    }
    let copied = io::copy(&mut answer.take(size), &mut File::create(to)?)?;
    if copied == size { Ok(()) } else { Err("the download was cut".into()) }
}

/// The object, as a function finds it.
pub(crate) async fn source(setting: &Setting) -> Result<Source, Failed> {
    let objects = s3::objects(&setting.endpoint);
    let key = setting.video.key()?;
    // The event says this, so it is asked by another client: the one that is measured has no connection yet.
    let other = s3::objects(&setting.endpoint);
    let Head { size, etag, .. } = other.head(&key).await?.ok_or("there is no such object")?;
    Ok(Source::new(size, StoredObject::new(&objects, &key, &etag)))
}

/// As the thumbnail function does it.
async fn ours(method: Method, setting: &Setting) -> Result<Taken, Failed> {
    let source = Arc::new(source(setting).await?);

    if method == Method::Poster {
        let start = Start::ready()?;
        let poster = poster::make(&source, &setting.ffmpeg, Instant::now() + DEADLINE).await?;
        return start.taken(&poster.jpeg, Some(poster.index.is_some()));
    }
    let poster = poster::make(&source, &setting.ffmpeg, Instant::now() + DEADLINE).await?;
    let index = poster.index.ok_or("no index, no storyboard")?;
    let start = Start::ready()?;
    let deadline = Instant::now() + DEADLINE;
    let storyboard = storyboard::make(&source, &index, "storyboard.jpg", &setting.ffmpeg, deadline).await?;
    start.taken(&storyboard.jpeg, Some(true))
}

/// The moment from which it is measured.
pub(crate) struct Start {
    at: Instant,
    cpu: i64,
}

impl Start {
    /// Says that all is prepared, and waits for the event.
    pub(crate) fn ready() -> Result<Self, Failed> {
        writeln!(io::stdout(), "ready")?;
        io::stdin().read_line(&mut String::new())?;
        Self::now()
    }

    pub(crate) fn now() -> Result<Self, Failed> {
        Ok(Self { at: Instant::now(), cpu: cpu()? })
    }

    pub(crate) fn cost(&self) -> Result<Cost, Failed> {
        let wall = self.at.elapsed().as_secs_f64() * 1000.0;
        let micros = u32::try_from(cpu()? - self.cpu)?;
        Ok(Cost {
            wall,
            cpu: f64::from(micros) / 1000.0,
            parent: peak()?,
            // Not below this process's own peak at its start: the system counts from the fork.
            child: getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().try_into()?,
        })
    }

    fn taken(&self, picture: &[u8], index: Option<bool>) -> Result<Taken, Failed> {
        let cost = self.cost()?;
        if !picture.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Err("there is no picture".into());
        }
        Ok(Taken { cost, picture: picture.len(), index })
    }
}

/// Processor time of this process and the children that have ended, in microseconds.
fn cpu() -> Result<i64, Failed> {
    let of = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(of(getrusage(UsageWho::RUSAGE_SELF)?) + of(getrusage(UsageWho::RUSAGE_CHILDREN)?))
}

/// The most memory that this program has had, in KiB. `ru_maxrss` would hold what was there before `exec`.
fn peak() -> Result<u64, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
