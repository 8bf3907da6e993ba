//! `upreel-bench`: compares the thumbnail engine with common alternatives on large files, and measures transcoding in
//! chunks.
//!
//! A local S3 simulates the latency and the bandwidth that a function has ([`link`]). Each method runs in a separate
//! process ([`worker`]). S3 counts requests and bytes, and [`drive`] measures the temporary files.

mod drive;
mod files;
mod link;
mod machine;
mod model;
mod playback;
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
use crate::worker::{KEYFRAMES, Method, Setting};

/// Any error; `main` prints it.
type BoxError = Box<dyn Error + Send + Sync>;

/// Compares Upreel's thumbnail engine with common alternatives, on videos of up to 5 GB.
///
/// The first run generates the videos (17 GB; with --quick 1.1 GB). A complete run writes bench/results.md.
#[derive(Parser)]
struct Arguments {
    /// Only the 60 MB and the 1 GB MP4
    #[arg(long)]
    quick: bool,
    /// Only videos whose file name begins with one of these: mp4, mkv, webm, mov, ts, mp4-5g ...
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only Upreel, without the alternatives
    #[arg(long)]
    ours: bool,
    /// Number of runs of each method; the download of 5 GB runs once
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Upreel's ffmpeg; the alternatives use the one on the PATH [default: `$FFMPEG_PATH`]
    #[arg(long)]
    ffmpeg: Option<PathBuf>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

/// Another benchmark, and the hidden subcommands of the child processes.
#[derive(Subcommand)]
enum Mode {
    /// Transcodes a video of two minutes in chunks, and in a single run of ffmpeg; writes bench/transcode.md
    Transcode,
    /// Prepares the playback of the videos, and makes their segments; writes bench/playback.md
    Playback,
    #[command(hide = true)]
    Player { video: String, endpoint: String },
    #[command(hide = true)]
    S3 { folder: PathBuf },
    #[command(hide = true)]
    Plan { endpoint: String, ffmpeg: PathBuf },
    #[command(hide = true)]
    Encode { endpoint: String, ffmpeg: PathBuf, processor: usize },
    #[command(hide = true)]
    SingleRun { file: PathBuf, ffmpeg: PathBuf, processor: Option<usize> },
    #[command(hide = true)]
    Run { method: Method, video: String, endpoint: String, ffmpeg: PathBuf, number: u32 },
}

/// Runs on one thread, like the functions.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.mode {
        None => bench(&arguments),
        Some(Mode::Transcode) => upreel_ffmpeg(&arguments).and_then(|ffmpeg| transcode::bench(&ffmpeg)),
        Some(Mode::Playback) => playback::bench(&arguments),
        Some(Mode::Player { video, endpoint }) => playback::run(&video, &endpoint).await,
        Some(Mode::Plan { endpoint, ffmpeg }) => transcode::plan(endpoint, ffmpeg).await,
        Some(Mode::Encode { endpoint, ffmpeg, processor }) => {
            transcode::encode_requested(endpoint, ffmpeg, processor).await
        }
        Some(Mode::SingleRun { file, ffmpeg, processor }) => transcode::single_run(&file, &ffmpeg, processor),
        Some(Mode::S3 { folder }) => s3::serve(folder).await.map(|never| match never {}),
        Some(Mode::Run { method, video, endpoint, ffmpeg, number }) => match Video::named(&video) {
            Some(video) => worker::run(method, &Setting { endpoint, video, ffmpeg, number }).await,
            None => Err(format!("unknown video: {video}").into()),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, the exit code alone reports the error.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the videos that the arguments select.
fn selected(arguments: &Arguments) -> Result<Vec<&'static Video>, BoxError> {
    let wanted = |video: &&Video| {
        (arguments.only.is_empty() || arguments.only.iter().any(|only| video.name.starts_with(only)))
            && (video.quick || !arguments.quick)
    };
    let videos: Vec<_> = VIDEOS.iter().filter(wanted).collect();
    if videos.is_empty() {
        return Err("no video matches".into());
    }
    Ok(videos)
}

fn bench(arguments: &Arguments) -> Result<(), BoxError> {
    let videos = selected(arguments)?;
    let ffmpeg = upreel_ffmpeg(arguments)?;
    let folder = files::make(&videos)?;
    let _lock = lock(&folder)?;
    let mut store = Store::start(&folder)?;
    let mut rows = Vec::new();
    for video in videos {
        let size = fs::metadata(folder.join(video.name))?.len();
        for method in [Method::Download, Method::Http, Method::Poster, Method::Storyboard, Method::Keyframe] {
            if arguments.ours && !method.is_upreel() {
                continue;
            }
            let once = method == Method::Download && size > 2_000_000_000;
            let runs = match method {
                _ if once => 1,
                Method::Keyframe => KEYFRAMES,
                _ => arguments.runs,
            };
            writeln!(io::stderr(), "{}: {}", video.title, method.title())?;
            let run = |number| drive::run((method, number), video, &ffmpeg, &mut store, &folder);
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

/// Returns the path of Upreel's ffmpeg.
fn upreel_ffmpeg(arguments: &Arguments) -> Result<PathBuf, BoxError> {
    let ffmpeg = arguments.ffmpeg.clone().or_else(|| std::env::var_os("FFMPEG_PATH").map(PathBuf::from));
    Ok(ffmpeg.ok_or("set FFMPEG_PATH to Upreel's ffmpeg, as `make bench` does")?)
}

/// Locks the folder, so that two benchmarks don't distort each other. Removes temporary files that a killed benchmark
/// left.
fn lock(folder: &Path) -> Result<File, BoxError> {
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|error| format!("another benchmark is running: {error}"))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(drive::TEMPORARY) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(lock)
}
