//! `upreel-bench`: the thumbnail engine beside the usual ways, on large files; and transcoding in parts.
//!
//! S3 is here, at the cost that it has for a function: see [`link`]. Each method runs in a process of its
//! own ([`worker`]); what it reads is counted by S3, what it leaves in its temporary folder by [`drive`].

mod drive;
mod files;
mod link;
mod machine;
mod model;
mod report;
mod s3;
mod transcode;
mod worker;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::drive::Store;
use crate::files::{VIDEOS, Video};
use crate::report::Row;
use crate::worker::{Method, Setting};

/// Why there is no result: said to the person who started it.
type Failed = Box<dyn Error + Send + Sync>;

/// Compares Upreel's thumbnail engine with the usual ways, on videos of up to 5 GB.
///
/// The videos are made the first time (17 GB; --quick: 1.1 GB). A complete run writes bench/results.md.
#[derive(Parser)]
struct Arguments {
    /// Only the 60 MB and the 1 GB MP4
    #[arg(long)]
    quick: bool,
    /// Only videos whose file's name begins with one of these: mp4, mkv, webm, mov, ts, mp4-5g ...
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only Upreel, not the usual ways
    #[arg(long)]
    ours: bool,
    /// How often each method runs; on 5 GB the download runs once
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Upreel's ffmpeg; the usual ways take the one on the PATH [default: `$FFMPEG_PATH`]
    #[arg(long)]
    ffmpeg: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Another benchmark, and the processes that they start.
#[derive(Subcommand)]
enum Part {
    /// Transcodes a video of two minutes in parts, and by one ordinary run; writes bench/transcode.md
    Transcode,
    #[command(hide = true)]
    S3 { folder: PathBuf },
    #[command(hide = true)]
    Plan { endpoint: String, ffmpeg: PathBuf },
    #[command(hide = true)]
    Encode { endpoint: String, ffmpeg: PathBuf, processor: usize },
    #[command(hide = true)]
    Ordinary { file: PathBuf, ffmpeg: PathBuf, processor: Option<usize> },
    #[command(hide = true)]
    Run { method: Method, video: String, endpoint: String, ffmpeg: PathBuf },
}

/// One thread, like the functions.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.part {
        None => bench(&arguments),
        Some(Part::Transcode) => ours(&arguments).and_then(|ffmpeg| transcode::bench(&ffmpeg)),
        Some(Part::Plan { endpoint, ffmpeg }) => transcode::plan(endpoint, ffmpeg).await,
        Some(Part::Encode { endpoint, ffmpeg, processor }) => {
            transcode::work(endpoint, ffmpeg, processor).await
        }
        Some(Part::Ordinary { file, ffmpeg, processor }) => transcode::ordinary(&file, &ffmpeg, processor),
        Some(Part::S3 { folder }) => s3::serve(folder).await.map(|never| match never {}),
        Some(Part::Run { method, video, endpoint, ffmpeg }) => match Video::named(&video) {
            Some(video) => worker::run(method, &Setting { endpoint, video, ffmpeg }).await,
            None => Err(format!("there is no video {video}").into()),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if that fails too.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Failed> {
    let wanted = |video: &&Video| {
        (arguments.only.is_empty() || arguments.only.iter().any(|only| video.name.starts_with(only)))
            && (video.quick || !arguments.quick)
    };
    let videos: Vec<_> = VIDEOS.iter().filter(wanted).collect();
    if videos.is_empty() {
        return Err("there is no such video".into());
    }
    let ffmpeg = ours(arguments)?;
    let folder = files::make(&videos)?;
    let _alone = alone(&folder)?;
    let mut store = Store::start(&folder)?;
    let mut rows = Vec::new();
    for video in videos {
        let size = fs::metadata(folder.join(video.name))?.len();
        for method in [Method::Download, Method::Http, Method::Poster, Method::Storyboard] {
            if arguments.ours && !method.ours() {
                continue;
            }
            let once = method == Method::Download && size > 2_000_000_000;
            let runs = if once { 1 } else { arguments.runs };
            writeln!(io::stderr(), "{}: {}", video.title, method.title())?;
            let run = |_| drive::run(method, video, &ffmpeg, &mut store, &folder);
            let runs: Result<Vec<_>, _> = (0..runs).map(run).collect();
            rows.push(Row { video, size, method, runs: runs.map_err(|error| error.to_string()) });
        }
    }
    let report = report::write(&rows, &ffmpeg)?;
    write!(io::stdout(), "{report}")?;
    if !arguments.quick && !arguments.ours && arguments.only.is_empty() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("results.md"), report)?;
    }
    Ok(())
}

/// Upreel's ffmpeg.
fn ours(arguments: &Arguments) -> Result<PathBuf, Failed> {
    let ffmpeg = arguments.ffmpeg.clone().or_else(|| std::env::var_os("FFMPEG_PATH").map(PathBuf::from));
    Ok(ffmpeg.ok_or("name Upreel's ffmpeg with FFMPEG_PATH, as `make bench` does")?)
}

/// Holds the folder, as two at once would measure each other; removes what a killed one has left.
fn alone(folder: &Path) -> Result<File, Failed> {
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|error| format!("another benchmark runs: {error}"))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(drive::TEMPORARY) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(lock)
}
