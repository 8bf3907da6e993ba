//! Transcoding in parts, by as many workers as are asked for, beside one ordinary run of ffmpeg.
//!
//! A worker is a process on one processor: what a function with 1,769 MB of memory has. It reads the object from the
//! S3 of [`s3`](crate::s3) by the code that is deployed; what it makes is counted and dropped.

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
use upreel_media::{Index, poster};
use upreel_transcode::{Manifest, Object, Plan, encode, playlist};

use crate::drive::{Process, Store};
use crate::files::{FILM, make};
use crate::link::Traffic;
use crate::worker::{Cost, Setting, Start, source};
use crate::{Failed, model};

/// As for a function.
const DEADLINE: Duration = Duration::from_mins(15);

/// The plan, and what it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) cost: Cost,
}

/// A part, and what it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Encoded {
    pub(crate) manifest: Manifest,
    /// How many objects were made, and of how many bytes together.
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) cost: Cost,
}

/// One ordinary run, and what it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ordinary {
    pub(crate) bytes: u64,
    pub(crate) cost: Cost,
}

/// All parts, done by some workers.
pub(crate) struct Run {
    pub(crate) workers: usize,
    /// Seconds from the first part's start to the last one's end.
    pub(crate) wall: f64,
    pub(crate) traffic: Traffic,
    pub(crate) parts: Vec<Encoded>,
}

/// Everything that was measured.
pub(crate) struct Measured {
    pub(crate) size: u64,
    pub(crate) planned: Planned,
    pub(crate) reading: Traffic,
    pub(crate) one: Ordinary,
    pub(crate) all: Ordinary,
    pub(crate) processors: usize,
    pub(crate) runs: Vec<Run>,
    /// Milliseconds that the playlists take.
    pub(crate) package: f64,
}

/// Measures, and writes bench/transcode.md.
pub(crate) fn bench(ffmpeg: &Path) -> Result<(), Failed> {
    let folder = make(&[&FILM])?;
    let _alone = crate::alone(&folder)?;
    let file = folder.join(FILM.name);
    let mut store = Store::start(&folder)?;

    let mut process = Process::start(part("plan").arg(&store.endpoint).arg(ffmpeg))?;
    process.hear()?;
    store.traffic()?;
    process.say("go")?;
    let planned: Planned = serde_json::from_str(&process.hear()?)?;
    let reading = store.traffic()?;

    let processors = processors()?;
    let ordinary = |processor: Option<usize>| -> Result<Ordinary, Failed> {
        let mut command = part("ordinary");
        command.arg(&file).arg(ffmpeg).args(processor.map(|processor| processor.to_string()));
        let mut process = Process::start(&mut command)?;
        process.say(&serde_json::to_string(&planned.plan)?)?;
        Ok(serde_json::from_str(&process.hear()?)?)
    };
    say("one ordinary run of ffmpeg, on one processor and on all");
    let (one, all) = (ordinary(processors.first().copied())?, ordinary(None)?);

    let mut runs = Vec::new();
    for workers in [1, 2, 4] {
        say(&format!("{} parts, by {workers} at the same time", planned.plan.chunks.len()));
        store.traffic()?;
        let start = Instant::now();
        let parts = in_parts(&planned.plan, workers, &processors, &store.endpoint, ffmpeg)?;
        let wall = start.elapsed().as_secs_f64();
        runs.push(Run { workers, wall, traffic: store.traffic()?, parts });
    }
    let manifests = runs.first().map(|run| run.parts.iter().map(|part| part.manifest.clone()).collect());
    let start = Instant::now();
    playlist::playlists(&planned.plan, manifests.unwrap_or_default())?;
    let package = start.elapsed().as_secs_f64() * 1000.0;

    let size = fs::metadata(&file)?.len();
    let processors = processors.len();
    let measured = Measured { size, planned, reading, one, all, processors, runs, package };
    let report = model::write(&measured, ffmpeg)?;
    write!(io::stdout(), "{report}")?;
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("transcode.md"), report)?;
    Ok(())
}

fn say(text: &str) {
    // Nobody has to listen.
    let _ = writeln!(io::stderr(), "{text}");
}

/// This program, to do a part of the work.
fn part(name: &str) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "upreel-bench".into());
    let mut command = Command::new(program);
    command.arg(name);
    command
}

/// Hands out the parts, each to the worker that is free next.
fn in_parts(
    plan: &Plan,
    workers: usize,
    processors: &[usize],
    endpoint: &str,
    ffmpeg: &Path,
) -> Result<Vec<Encoded>, Failed> {
    let left = Mutex::new(0..plan.chunks.len());
    let work = |processor: usize| -> Result<Vec<Encoded>, Failed> {
        let mut worker = Process::start(part("encode").arg(endpoint).arg(ffmpeg).arg(processor.to_string()))?;
        worker.say(&serde_json::to_string(plan)?)?;
        let mut done = Vec::new();
        loop {
            let Some(index) = left.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            worker.say(&index.to_string())?;
            done.push(serde_json::from_str(&worker.hear()?)?);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            processors.iter().cycle().take(workers).map(|p| scope.spawn(|| work(*p))).collect();
        let mut parts = Vec::new();
        for worker in workers {
            parts.extend(worker.join().map_err(|_| "a worker has panicked")??);
        }
        Ok(parts)
    })
}

/// The processors that this process may use.
fn processors() -> Result<Vec<usize>, Failed> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|processor| set.is_set(*processor).unwrap_or(false)).collect())
}

/// Keeps this process, and those that it starts, to one processor.
fn stay_on(processor: usize) -> Result<(), Failed> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn line() -> Result<String, Failed> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn tell(result: &impl Serialize) -> Result<(), Failed> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(result)?)?)
}

/// Plans as the function does, for which the facts are in the video's row.
pub(crate) async fn plan(endpoint: String, ffmpeg: PathBuf) -> Result<(), Failed> {
    let setting = Setting { endpoint, video: &FILM, ffmpeg };
    let known = Arc::new(source(&setting).await?);
    let media_info = poster::make(&known, &setting.ffmpeg, Instant::now() + DEADLINE).await?.media_info;
    let source = source(&setting).await?;
    let container = media_info.container.ok_or("the container is not known")?;
    let start = Start::ready()?;
    let index = Index::open(&source, container).await?.ok_or("there is no index")?;
    let plan = Plan::new(&media_info, index.cuts(&source).await?.as_ref());
    let plan = plan.map_err(|failure| failure.message)?;
    tell(&Planned { plan, cost: start.cost()? })
}

/// Encodes the parts of which it is told the numbers, each with a connection of its own.
pub(crate) async fn work(endpoint: String, ffmpeg: PathBuf, processor: usize) -> Result<(), Failed> {
    stay_on(processor)?;
    let setting = Setting { endpoint, video: &FILM, ffmpeg };
    let plan: Plan = serde_json::from_str(&line()?)?;
    while let Ok(index) = line()?.trim().parse() {
        let source = Arc::new(source(&setting).await?.allow_full_read());
        let start = Start::now()?;
        let deadline = Instant::now() + DEADLINE;
        let (manifest, objects) = encode(&source, &plan, index, &setting.ffmpeg, deadline).await?;
        let bytes = objects.iter().map(|Object { bytes, .. }| bytes.len() as u64).sum();
        tell(&Encoded { manifest, objects: objects.len() as u64, bytes, cost: start.cost()? })?;
    }
    Ok(())
}

/// What a person would start who has the file: one run that makes the same sizes with the same settings.
pub(crate) fn ordinary(file: &Path, ffmpeg: &Path, processor: Option<usize>) -> Result<(), Failed> {
    if let Some(processor) = processor {
        stay_on(processor)?;
    }
    let plan: Plan = serde_json::from_str(&line()?)?;
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
    tell(&Ordinary { bytes: output.metadata()?.len(), cost: start.cost()? })
}

/// One file with a track for each size, as the encoders of `upreel_media::rendition` are set.
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
