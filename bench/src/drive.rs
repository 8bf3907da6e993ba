//! Starts S3 and the workers, and watches from outside what they do.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::Failed;
use crate::files::Video;
use crate::link::Traffic;
use crate::worker::{Method, Taken};

/// How the names of folders for temporary files begin.
pub(crate) const TEMPORARY: &str = "tmp.";
/// How often the folder for temporary files is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// For what is on the way to a client that has gone.
const SETTLE: Duration = Duration::from_millis(100);

/// One run of a method.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) taken: Taken,
    pub(crate) traffic: Traffic,
    /// The most bytes of temporary files at one time.
    pub(crate) temporary: u64,
}

/// A process of this program that is talked to in lines.
pub(crate) struct Process {
    child: Child,
    /// Its end tells the process to end, also when this one is killed.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failed> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { child, stdin, lines })
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<(), Failed> {
        Ok(writeln!(self.stdin.as_mut().ok_or("no input")?, "{line}")?)
    }

    /// Its next line; what it has said on standard error if there is none.
    pub(crate) fn hear(&mut self) -> Result<String, Failed> {
        if let Some(line) = self.lines.next() {
            return Ok(line?);
        }
        let mut why = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut why)?;
        }
        Err(why.lines().last().unwrap_or("a process has ended").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        // There is nobody left to tell.
        let _ = self.child.wait();
    }
}

/// The S3 of `s3.rs`, with the videos of one folder.
pub(crate) struct Store {
    process: Process,
    pub(crate) endpoint: String,
}

impl Store {
    pub(crate) fn start(folder: &Path) -> Result<Self, Failed> {
        let mut process = Process::start(Command::new(std::env::current_exe()?).arg("s3").arg(folder))?;
        let endpoint = process.hear()?;
        Ok(Self { process, endpoint })
    }

    pub(crate) fn traffic(&mut self) -> Result<Traffic, Failed> {
        self.process.say("")?;
        let line = self.process.hear()?;
        let (requests, bytes) = line.split_once(' ').ok_or("S3 does not say what it sent")?;
        Ok(Traffic { requests: requests.parse()?, bytes: bytes.parse()? })
    }
}

/// Runs a method once. Its temporary files are in a folder of its own below `folder`.
pub(crate) fn run(
    method: Method,
    video: &Video,
    ffmpeg: &Path,
    store: &mut Store,
    folder: &Path,
) -> Result<Run, Failed> {
    let temporary = TempDir::with_prefix_in(TEMPORARY, folder)?;
    let name = method.to_possible_value().ok_or("a method without a name")?;
    let mut worker = Process::start(
        Command::new(std::env::current_exe()?)
            .args(["run", name.get_name(), video.name, &store.endpoint])
            .arg(ffmpeg)
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::piped()),
    )?;
    let ready = worker.hear()?;
    if ready != "ready" {
        return Err(ready.into());
    }
    store.traffic()?;
    worker.say("go")?;
    let (line, most) = watch(temporary.path(), || worker.hear());
    let line = line?;
    drop(worker);
    thread::sleep(SETTLE);
    Ok(Run { taken: serde_json::from_str(&line)?, traffic: store.traffic()?, temporary: most })
}

/// The most bytes in a folder while something is done.
fn watch<T>(folder: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(bytes_in(folder));
                thread::sleep(LOOK);
            }
            most.max(bytes_in(folder))
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, looking.join().unwrap_or(u64::MAX))
    })
}

fn bytes_in(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        // What has gone in the meantime has no size.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(media_info) if media_info.is_dir() => folders.push(entry.path()),
                Ok(media_info) => bytes += media_info.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
