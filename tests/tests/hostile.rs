//! What `tests/videos/hostile.py` makes: every file ends in a poster or a typed error, in time, within the
//! limits of memory and reading, and none of them reaches what it refers to.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jpeg_decoder::Decoder;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use upreel_media::source::{Source, Stats};
use upreel_media::{Error, poster};

const DEADLINE: Duration = Duration::from_mins(1);
/// As `Source` has them; what is over is refused before it is read.
const MAX_READ: u64 = 256 << 20;
const MAX_REQUESTS: u64 = 2000;
const MAX_MEMORY: i64 = 1 << 30;
/// Where a file has the port of the canary server.
const PORT: &[u8] = b"127.0.0.1:00000/";
const SMALL: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn hostile_files_do_no_harm() {
    let (folder, files) = made();
    assert!(files.len() >= 600, "the set has {} files", files.len());
    let before = (names(&folder), names(Path::new("/")));
    let server = CanaryServer::start().await;
    let mut complaints = Vec::new();
    for ffmpeg in engines() {
        let fifo = CanaryFifo::watch(folder.join("canary.fifo"));
        let start = Instant::now();
        let mut runs: Vec<Run> = stream::iter(&files)
            .map(|file| run(&folder, file, &ffmpeg, server.port))
            .buffer_unordered(2)
            .collect()
            .await;
        let engine = ffmpeg.display();
        println!("{engine}: {} files in {:.0?}", runs.len(), start.elapsed());
        println!("  {}", counts(&runs));
        for (what, key) in RANKINGS {
            runs.sort_by_key(|run| std::cmp::Reverse(key(run)));
            let most: Vec<String> =
                runs[..5].iter().map(|run| format!("{} {:?}", run.file, run.figures())).collect();
            println!("  {what}: {}", most.join(", "));
        }
        complaints.extend(runs.iter().filter_map(|run| run.complaint(&engine.to_string())));
        if fifo.was_opened() {
            complaints.push(format!("{engine}: the canary file was opened"));
        }
    }
    let reached = server.requests.lock().unwrap();
    assert!(reached.is_empty(), "the canary server was reached: {reached:#?}");
    assert!(complaints.is_empty(), "{complaints:#?}");
    // /tmp belongs to others, too.
    assert_eq!((names(&folder), names(Path::new("/"))), before, "a file was left");
    let memory = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(max_rss);
    println!("memory: {} MB here, {} MB in the largest child", memory[0] >> 20, memory[1] >> 20);
    assert!(memory.iter().all(|bytes| *bytes < MAX_MEMORY), "{memory:?} bytes of memory");
}

/// In bytes. What made the set counts as well, if it was made just now.
fn max_rss(who: UsageWho) -> i64 {
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(who).unwrap().max_rss() * unit
}

/// The layer's, which can little, and the one on the PATH, which can much more, and makes the set.
fn engines() -> Vec<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap();
    let on_path =
        std::env::split_paths(&on_path).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file());
    let layer = std::env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut engines: Vec<PathBuf> = layer.into_iter().chain(on_path).collect();
    engines.dedup();
    engines
}

/// The folder of the set, and its files.
fn made() -> (PathBuf, Vec<String>) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("videos");
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (good, folder) = (temporary.join("good"), temporary.join("hostile"));
    let ffmpeg = engines().pop().expect("no ffmpeg");
    let script = |program: &str, name: &str, folders: &[&Path]| {
        let mut command = Command::new(program);
        command.arg(scripts.join(name)).args(folders).env("FFMPEG", &ffmpeg);
        assert!(command.status().unwrap().success(), "{name} failed");
    };
    script("bash", "make.sh", &[&good]);
    script("python3", "hostile.py", &[&folder, &good]);
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let files = manifest.lines().skip(1).map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    (folder, files)
}

fn names(folder: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What came of one file.
struct Run {
    file: String,
    outcome: Result<Bytes, Error>,
    took: Duration,
    stats: Stats,
}

type Ranking = (&'static str, fn(&Run) -> u128);

const RANKINGS: [Ranking; 3] = [
    ("slowest", |run| run.took.as_micros()),
    ("most bytes", |run| run.stats.bytes.into()),
    ("most requests", |run| run.stats.requests.into()),
];

async fn run(folder: &Path, file: &str, ffmpeg: &Path, port: u16) -> Run {
    let source = Arc::new(source(&folder.join(file), port));
    let start = Instant::now();
    let outcome = poster::make(&source, ffmpeg, start + DEADLINE).await;
    let outcome = outcome.map(|poster| poster.jpeg);
    Run { file: file.to_owned(), outcome, took: start.elapsed(), stats: source.stats() }
}

/// The file, with the port of the canary server in it if it is one of the small ones, which may name it.
fn source(path: &Path, port: u16) -> Source {
    let size = path.metadata().unwrap().len();
    if size >= SMALL {
        return upreel_tests::source(path).unwrap();
    }
    let mut bytes = std::fs::read(path).unwrap();
    while let Some(at) = bytes.windows(PORT.len()).position(|window| window == PORT) {
        bytes[at + 10..at + 15].copy_from_slice(port.to_string().as_bytes());
    }
    Source::new(size, Bytes::from(bytes))
}

impl Run {
    fn figures(&self) -> (Duration, u64, u64) {
        (self.took, self.stats.bytes, self.stats.requests)
    }

    fn kind(&self) -> &'static str {
        match self.outcome {
            Ok(_) => "poster",
            Err(Error::Size { .. }) => "size",
            Err(Error::Unsupported) => "unsupported",
            Err(Error::NoVideo) => "no video",
            Err(Error::Unreadable(_)) => "unreadable",
            Err(Error::TooComplex) => "too complex",
            Err(Error::Gone) => "gone",
            Err(Error::Fault(_)) => "fault",
        }
    }

    fn complaint(&self, engine: &str) -> Option<String> {
        let wrong = match &self.outcome {
            Ok(jpeg) => wrong_picture(jpeg),
            Err(error @ (Error::Fault(_) | Error::Gone)) => Some(error.to_string()),
            Err(_) => None,
        };
        let wrong = wrong
            .or_else(|| {
                (self.took > DEADLINE + Duration::from_secs(1)).then(|| "after the deadline".to_owned())
            })
            .or_else(|| {
                (self.stats.bytes > MAX_READ || self.stats.requests > MAX_REQUESTS)
                    .then(|| "read on".to_owned())
            })?;
        Some(format!("{engine}: {}: {wrong} {:?}", self.file, self.figures()))
    }
}

/// What is wrong with a poster: it is none, or it is the canary.
fn wrong_picture(jpeg: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(jpeg);
    let pixels = match decoder.decode() {
        Ok(pixels) => pixels,
        Err(error) => return Some(error.to_string()),
    };
    let info = decoder.info().unwrap();
    if info.width != 640 {
        return Some(format!("the poster is {}x{}", info.width, info.height));
    }
    let magenta = pixels.chunks(3).filter(|pixel| matches!(pixel, [200..=255, 0..=60, 200..=255])).count();
    (magenta > pixels.len() / 3 / 2).then(|| "the poster shows the canary".to_owned())
}

fn counts(runs: &[Run]) -> String {
    let mut kinds: Vec<&str> = runs.iter().map(Run::kind).collect();
    kinds.sort_unstable();
    let chunks = kinds.chunk_by(|a, b| a == b);
    chunks.map(|kind| format!("{} {}", kind.len(), kind[0])).collect::<Vec<_>>().join(", ")
}

/// Answers everything with nothing, and remembers what was asked for.
struct CanaryServer {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CanaryServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The files have room for five digits.
        assert!(port >= 10_000, "{port}");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 200];
                let length = stream.read(&mut request).await.unwrap_or_default();
                seen.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        Self { port, requests }
    }
}

/// A pipe by name: to open it for writing waits until somebody opens it for reading.
struct CanaryFifo {
    path: PathBuf,
    opened: Arc<AtomicBool>,
    writer: thread::JoinHandle<io::Result<File>>,
}

impl CanaryFifo {
    fn watch(path: PathBuf) -> Self {
        let opened = Arc::new(AtomicBool::new(false));
        let (name, flag) = (path.clone(), opened.clone());
        let writer = thread::spawn(move || {
            let file = File::options().write(true).open(name);
            flag.store(true, SeqCst);
            file
        });
        Self { path, opened, writer }
    }

    fn was_opened(self) -> bool {
        let opened = self.opened.load(SeqCst);
        if !opened {
            drop(File::open(&self.path));
        }
        self.writer.join().unwrap().unwrap();
        opened
    }
}
