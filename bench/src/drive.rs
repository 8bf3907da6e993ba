//! Starts S3 and the worker processes, and measures them from outside.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::BoxError;
use crate::files::Video;
use crate::link::Traffic;
use crate::worker::{Measurement, Method};

/// Name prefix of the folders for temporary files.
pub(crate) const TEMPORARY: &str = "tmp.";
/// Interval at which the size of the temporary files is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);
/// Time until S3 has counted the bytes that were in flight when the client disconnected.
const SETTLE: Duration = Duration::from_millis(100);

/// One run of a method.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) measurement: Measurement,
    pub(crate) traffic: Traffic,
    /// Peak size of the temporary files, in bytes.
    pub(crate) temporary: u64,
}

/// A child process of this program. They exchange lines of text.
pub(crate) struct Process {
    child: Child,
    /// The process exits when this is closed, which also happens when the parent is killed.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, BoxError> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { child, stdin, lines })
    }

    pub(crate) fn write_line(&mut self, line: &str) -> Result<(), BoxError> {
        Ok(writeln!(self.stdin.as_mut().ok_or("no input")?, "{line}")?)
    }

    /// Reads the next line. If the process has exited, returns the last line of its standard error as an error.
    pub(crate) fn read_line(&mut self) -> Result<String, BoxError> {
        if let Some(line) = self.lines.next() {
            return Ok(line?);
        }
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut log)?;
        }
        Err(log.lines().last().unwrap_or("a child process has exited").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        // Nothing can handle the error here.
        let _ = self.child.wait();
    }
}

/// The S3 server of `s3.rs`, with the videos of one folder.
pub(crate) struct Store {
    process: Process,
    pub(crate) endpoint: String,
}

impl Store {
    pub(crate) fn start(folder: &Path) -> Result<Self, BoxError> {
        let mut process = Process::start(Command::new(std::env::current_exe()?).arg("s3").arg(folder))?;
        let endpoint = process.read_line()?;
        Ok(Self { process, endpoint })
    }

    /// Returns the traffic since the last call.
    pub(crate) fn traffic(&mut self) -> Result<Traffic, BoxError> {
        self.process.write_line("")?;
        let line = self.process.read_line()?;
        let (requests, bytes) = line.split_once(' ').ok_or("S3 did not report its traffic")?;
        Ok(Traffic { requests: requests.parse()?, bytes: bytes.parse()? })
    }
}

/// Runs a method for the time with this number, with a separate folder for its temporary files in `folder`.
pub(crate) fn run(
    (method, number): (Method, u32),
    video: &Video,
    ffmpeg: &Path,
    store: &mut Store,
    folder: &Path,
) -> Result<Run, BoxError> {
    let temporary = TempDir::with_prefix_in(TEMPORARY, folder)?;
    let name = method.to_possible_value().ok_or("the method has no name")?;
    let mut worker = Process::start(
        Command::new(std::env::current_exe()?)
            .args(["run", name.get_name(), video.name, &store.endpoint])
            .arg(ffmpeg)
            .arg(number.to_string())
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::piped()),
    )?;
    let ready = worker.read_line()?;
    if ready != "ready" {
        return Err(ready.into());
    }
    store.traffic()?;
    worker.write_line("go")?;
    let (line, peak) = peak_size(temporary.path(), || worker.read_line());
    let line = line?;
    drop(worker);
    thread::sleep(SETTLE);
    Ok(Run { measurement: serde_json::from_str(&line)?, traffic: store.traffic()?, temporary: peak })
}

/// Runs `work` and returns its result, together with the peak size of `folder` in bytes while it ran.
fn peak_size<T>(folder: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(bytes_in(folder));
                thread::sleep(SAMPLE_INTERVAL);
            }
            peak.max(bytes_in(folder))
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, sampler.join().unwrap_or(u64::MAX))
    })
}

fn bytes_in(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        // Files that disappear during the count are ignored.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
