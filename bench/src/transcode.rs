//! Transcodes a video in chunks with several workers, and in a single run of ffmpeg.
//!
//! A worker is a process on one processor, like a function with 1,769 MB of memory. It runs the deployed code, reads
//! the object from the S3 of [`s3`](crate::s3), and counts and discards its output.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use upreel_media::inspect::inspect;
use upreel_media::slice::Slice;
use upreel_media::{Index, poster};
use upreel_transcode::{Manifest, Object, Plan, encode, playlist};

use crate::drive::{Process, Store};
use crate::files::{FILM, make};
use crate::link::Traffic;
use crate::worker::{Cost, Setting, Start, source};
use crate::{BoxError, model};

/// The timeout of a function.
const DEADLINE: Duration = Duration::from_mins(15);

/// The plan, and its cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The slices of the chunks.
    pub(crate) slices: Vec<Vec<u8>>,
    pub(crate) cost: Cost,
}

/// An encoded chunk, and its cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Encoded {
    pub(crate) manifest: Manifest,
    /// Number of objects.
    pub(crate) objects: u64,
    /// Total size of the objects.
    pub(crate) bytes: u64,
    pub(crate) cost: Cost,
}

/// A single run of ffmpeg for the whole video: size of the output, and cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SingleRun {
    pub(crate) bytes: u64,
    pub(crate) cost: Cost,
}

/// All chunks, encoded by a number of workers.
pub(crate) struct Run {
    pub(crate) workers: usize,
    /// Time from the start of the first chunk to the end of the last one, in seconds.
    pub(crate) wall: f64,
    pub(crate) traffic: Traffic,
    pub(crate) chunks: Vec<Encoded>,
}

/// All measurements.
pub(crate) struct Measurements {
    /// Size of the source, in bytes.
    pub(crate) size: u64,
    pub(crate) planned: Planned,
    pub(crate) plan_traffic: Traffic,
    /// The single run on one processor.
    pub(crate) one: SingleRun,
    /// The single run on all processors.
    pub(crate) all: SingleRun,
    pub(crate) processors: usize,
    pub(crate) runs: Vec<Run>,
    /// Time to write the playlists, in milliseconds.
    pub(crate) package: f64,
}

/// Runs the benchmark, and writes bench/transcode.md.
pub(crate) fn bench(ffmpeg: &Path) -> Result<(), BoxError> {
    let folder = make(&[&FILM])?;
    let _lock = crate::lock(&folder)?;
    let file = folder.join(FILM.name);
    let mut store = Store::start(&folder)?;

    let mut process = Process::start(subcommand("plan").arg(&store.endpoint).arg(ffmpeg))?;
    process.read_line()?;
    store.traffic()?;
    process.write_line("go")?;
    let planned: Planned = serde_json::from_str(&process.read_line()?)?;
    let plan_traffic = store.traffic()?;

    let processors = processors()?;
    let single_run = |processor: Option<usize>| -> Result<SingleRun, BoxError> {
        let mut command = subcommand("single-run");
        command.arg(&file).arg(ffmpeg).args(processor.map(|processor| processor.to_string()));
        let mut process = Process::start(&mut command)?;
        process.write_line(&serde_json::to_string(&planned.plan)?)?;
        Ok(serde_json::from_str(&process.read_line()?)?)
    };
    log("a single run of ffmpeg, on one processor and on all");
    let (one, all) = (single_run(processors.first().copied())?, single_run(None)?);

    let mut runs = Vec::new();
    for workers in [1, 2, 4] {
        log(&format!("{} chunks, {workers} workers", planned.plan.chunks.len()));
        store.traffic()?;
        let start = Instant::now();
        let chunks = encode_chunks(&planned, workers, &processors, &store.endpoint, ffmpeg)?;
        let wall = start.elapsed().as_secs_f64();
        runs.push(Run { workers, wall, traffic: store.traffic()?, chunks });
    }
    let manifests = runs.first().map(|run| run.chunks.iter().map(|chunk| chunk.manifest.clone()).collect());
    let start = Instant::now();
    playlist::playlists(&planned.plan, manifests.unwrap_or_default())?;
    let package = start.elapsed().as_secs_f64() * 1000.0;

    let size = fs::metadata(&file)?.len();
    let processors = processors.len();
    let measurements = Measurements { size, planned, plan_traffic, one, all, processors, runs, package };
    let report = model::write(&measurements, ffmpeg)?;
    write!(io::stdout(), "{report}")?;
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("transcode.md"), report)?;
    Ok(())
}

fn log(text: &str) {
    // Progress messages are optional.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Returns the command of a hidden subcommand of this program.
fn subcommand(name: &str) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "upreel-bench".into());
    let mut command = Command::new(program);
    command.arg(name);
    command
}

/// Encodes all chunks, each with the next free worker.
fn encode_chunks(
    Planned { plan, slices, .. }: &Planned,
    workers: usize,
    processors: &[usize],
    endpoint: &str,
    ffmpeg: &Path,
) -> Result<Vec<Encoded>, BoxError> {
    let indices = Mutex::new(0..plan.chunks.len());
    let work = |processor: usize| -> Result<Vec<Encoded>, BoxError> {
        let mut worker =
            Process::start(subcommand("encode").arg(endpoint).arg(ffmpeg).arg(processor.to_string()))?;
        worker.write_line(&serde_json::to_string(plan)?)?;
        let mut done = Vec::new();
        loop {
            let Some(index) = indices.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            worker.write_line(&index.to_string())?;
            worker.write_line(&serde_json::to_string(&slices.get(index))?)?;
            done.push(serde_json::from_str(&worker.read_line()?)?);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            processors.iter().cycle().take(workers).map(|p| scope.spawn(|| work(*p))).collect();
        let mut chunks = Vec::new();
        for worker in workers {
            chunks.extend(worker.join().map_err(|_| "a worker panicked")??);
        }
        Ok(chunks)
    })
}

/// Returns the processors that this process may use.
fn processors() -> Result<Vec<usize>, BoxError> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|processor| set.is_set(*processor).unwrap_or(false)).collect())
}

/// Pins this process and its children to one processor.
fn pin_to(processor: usize) -> Result<(), BoxError> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn read_line() -> Result<String, BoxError> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn print_json(result: &impl Serialize) -> Result<(), BoxError> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(result)?)?)
}

/// Makes the plan as the function does. Its media info comes from a poster, which isn't measured, because a function
/// reads it from the video's row.
pub(crate) async fn plan(endpoint: String, ffmpeg: PathBuf) -> Result<(), BoxError> {
    let setting = Setting { endpoint, video: &FILM, ffmpeg, number: 0 };
    let poster_source = Arc::new(source(&setting).await?);
    let media_info =
        poster::make(&poster_source, &setting.ffmpeg, Instant::now() + DEADLINE).await?.media_info;
    let source = Arc::new(source(&setting).await?);
    let container = media_info.container.ok_or("the container is unknown")?;
    let start = Start::ready()?;
    let index = Index::open(&source, container).await?.ok_or("the container has no index reader")?;
    let inspection =
        inspect(&source, container, &index.streams(), &setting.ffmpeg, Instant::now() + DEADLINE).await?;
    let plan = Plan::with_slices(&source, Some(&index), &media_info, &inspection, None).await;
    let (plan, slices) = plan.map_err(|error| format!("{error:?}"))?;
    let slices = slices.iter().map(|slice| slice.to_bytes().to_vec()).collect();
    print_json(&Planned { plan, slices, cost: start.cost()? })
}

/// Encodes the chunks whose indices it reads from standard input, each with a new connection.
pub(crate) async fn encode_requested(
    endpoint: String,
    ffmpeg: PathBuf,
    processor: usize,
) -> Result<(), BoxError> {
    pin_to(processor)?;
    let setting = Setting { endpoint, video: &FILM, ffmpeg, number: 0 };
    let plan: Plan = serde_json::from_str(&read_line()?)?;
    while let Ok(index) = read_line()?.trim().parse() {
        let slice: Option<Vec<u8>> = serde_json::from_str(&read_line()?)?;
        let slice = slice.and_then(|bytes| Slice::from_bytes(bytes.into()));
        let source = Arc::new(source(&setting).await?.allow_full_read());
        let start = Start::now()?;
        let deadline = Instant::now() + DEADLINE;
        let (manifest, objects) =
            encode(&source, &plan, index, slice.as_ref(), &setting.ffmpeg, deadline).await?;
        let bytes = objects.iter().map(|Object { bytes, .. }| bytes.len() as u64).sum();
        print_json(&Encoded { manifest, objects: objects.len() as u64, bytes, cost: start.cost()? })?;
    }
    Ok(())
}

/// Transcodes a local file in a single run of ffmpeg, with the same sizes and settings.
pub(crate) fn single_run(file: &Path, ffmpeg: &Path, processor: Option<usize>) -> Result<(), BoxError> {
    if let Some(processor) = processor {
        pin_to(processor)?;
    }
    let plan: Plan = serde_json::from_str(&read_line()?)?;
    let output = tempfile::tempfile()?;
    let start = Start::now()?;
    let status = Command::new(ffmpeg)
        .args(["-nostdin", "-v", "error", "-i", "fd:"])
        .args(arguments(&plan))
        .stdin(File::open(file)?)
        .stdout(Stdio::from(output.try_clone()?))
        .status()?;
    if !status.success() {
        return Err(status.to_string().into());
    }
    print_json(&SingleRun { bytes: output.metadata()?.len(), cost: start.cost()? })
}

/// Returns ffmpeg's arguments for one file with a track for each size, with the settings of `upreel_media::rendition`.
fn arguments(plan: &Plan) -> Vec<String> {
    let rungs = || plan.rungs.iter().enumerate();
    let mut graph = format!("[0:V:0]split={}", plan.rungs.len());
    graph.extend(rungs().map(|(i, _)| format!("[s{i}]")));
    graph.extend(
        rungs().map(|(i, rung)| format!(";[s{i}]scale={}:{}:flags=bicubic[v{i}]", rung.width, rung.height)),
    );
    let mut words = vec!["-filter_complex".to_owned(), graph];
    for (i, rung) in rungs() {
        let of = |name: &str| format!("-{name}:v:{i}");
        let (rate, buffer) = (rung.max_bitrate.to_string(), (rung.max_bitrate * 2).to_string());
        words.extend(["-map".to_owned(), format!("[v{i}]"), of("maxrate"), rate, of("bufsize"), buffer]);
        words.extend([of("level"), rung.level.clone()]);
    }
    let rest = "-map 0:a:0? -c:v libx264 -preset veryfast -profile:v high -crf 22 \
                -x264-params keyint=infinite:scenecut=0:open-gop=0 -force_key_frames expr:gte(t,n_forced*4) \
                -c:a aac -b:a 128k -ar 48000 -movflags +empty_moov+frag_keyframe -f mp4 pipe:1";
    words.extend(rest.split_whitespace().map(str::to_owned));
    words
}
