//! The files of `tests/videos/hostile.py`: each ends in a poster or a typed error within the limits of memory, reads and
//! processor time, after which the kernel kills ffmpeg, whatever the machine's load. None makes ffmpeg open the file or
//! URL that it refers to.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test")]
#![expect(clippy::print_stdout, reason = "prints the measurements")]

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
use upreel_core::video::MediaInfo;
use upreel_media::source::{Source, Stats};
use upreel_media::{Error, poster};
use upreel_tests::HANG_GUARD;

/// The limits of `Source`, which rejects a read that would exceed them.
const MAX_READ: u64 = 256 << 20;
const MAX_REQUESTS: u64 = 2000;
const MAX_MEMORY: i64 = 1 << 30;
/// Placeholder for the address of the canary server in the files.
const PLACEHOLDER: &[u8] = b"127.0.0.1:00000/";
/// Files of this size or more don't contain the placeholder.
const SMALL: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn hostile_files_end_in_a_poster_or_a_typed_error() {
    let (folder, files) = make_files();
    assert!(files.len() >= 600, "the set has {} files", files.len());
    let before = (names(&folder), names(Path::new("/")));
    let server = CanaryServer::start().await;
    let mut errors = Vec::new();
    for ffmpeg in ffmpegs() {
        let fifo = CanaryFifo::watch(folder.join("canary.fifo"));
        let start = Instant::now();
        let mut runs: Vec<Run> = stream::iter(&files)
            .map(|file| run(&folder, file, &ffmpeg, server.port))
            .buffer_unordered(2)
            .collect()
            .await;
        let name = ffmpeg.display();
        println!("{name}: {} files in {:.0?}", runs.len(), start.elapsed());
        println!("  {}", counts(&runs));
        for (title, key) in RANKINGS {
            runs.sort_by_key(|run| std::cmp::Reverse(key(run)));
            let top: Vec<String> =
                runs[..5].iter().map(|run| format!("{} {:?}", run.file, run.measurements())).collect();
            println!("  {title}: {}", top.join(", "));
        }
        errors.extend(runs.iter().filter_map(|run| run.error(&name.to_string())));
        if fifo.was_opened() {
            errors.push(format!("{name}: the canary file was opened"));
        }
    }
    let requests = server.requests.lock().unwrap();
    assert!(requests.is_empty(), "the canary server received requests: {requests:#?}");
    assert!(errors.is_empty(), "{errors:#?}");
    // /tmp isn't compared, because other programs use it too.
    assert_eq!((names(&folder), names(Path::new("/"))), before, "a file was created or removed");
    let memory = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(max_rss);
    println!("memory: {} MB in this process, {} MB in the largest child", memory[0] >> 20, memory[1] >> 20);
    assert!(memory.iter().all(|bytes| *bytes < MAX_MEMORY), "{memory:?} bytes of memory");
}

/// Returns the peak memory in bytes. That of the children includes the scripts that generated the files, if they ran.
fn max_rss(who: UsageWho) -> i64 {
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(who).unwrap().max_rss() * unit
}

/// Returns the ffmpeg programs to test: that of the layer, with few features, and the one on the PATH, which has more
/// and generates the files.
fn ffmpegs() -> Vec<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap();
    let on_path =
        std::env::split_paths(&on_path).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file());
    let layer = std::env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut ffmpegs: Vec<PathBuf> = layer.into_iter().chain(on_path).collect();
    ffmpegs.dedup();
    ffmpegs
}

/// Generates the files, and returns their folder and names.
fn make_files() -> (PathBuf, Vec<String>) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("videos");
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (good, folder) = (temporary.join("good"), temporary.join("hostile"));
    let ffmpeg = ffmpegs().pop().expect("no ffmpeg");
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

/// The result of one file.
struct Run {
    file: String,
    outcome: Result<(Bytes, MediaInfo), Error>,
    duration: Duration,
    stats: Stats,
}

type Ranking = (&'static str, fn(&Run) -> u128);

const RANKINGS: [Ranking; 3] = [
    ("slowest", |run| run.duration.as_micros()),
    ("most bytes", |run| run.stats.bytes.into()),
    ("most requests", |run| run.stats.requests.into()),
];

async fn run(folder: &Path, file: &str, ffmpeg: &Path, port: u16) -> Run {
    let source = Arc::new(source(&folder.join(file), port));
    let start = Instant::now();
    let outcome = poster::make(&source, ffmpeg, start + HANG_GUARD).await;
    let outcome = outcome.map(|poster| (poster.jpeg, poster.media_info));
    Run { file: file.to_owned(), outcome, duration: start.elapsed(), stats: source.stats() }
}

/// Opens a file. In a small one, the placeholder is replaced by the port of the canary server.
fn source(path: &Path, port: u16) -> Source {
    let size = path.metadata().unwrap().len();
    if size >= SMALL {
        return upreel_tests::source(path).unwrap();
    }
    let mut bytes = std::fs::read(path).unwrap();
    while let Some(at) = bytes.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER) {
        bytes[at + 10..at + 15].copy_from_slice(port.to_string().as_bytes());
    }
    Source::new(size, Bytes::from(bytes))
}

impl Run {
    fn measurements(&self) -> (Duration, u64, u64) {
        (self.duration, self.stats.bytes, self.stats.requests)
    }

    fn kind(&self) -> &'static str {
        match self.outcome {
            Ok(_) => "poster",
            Err(Error::Size { .. }) => "size",
            Err(Error::Unsupported(_)) => "unsupported",
            Err(Error::NoVideo) => "no video",
            Err(Error::Encrypted) => "encrypted",
            Err(Error::Unreadable(_)) => "unreadable",
            Err(Error::TooComplex) => "too complex",
            Err(Error::Gone) => "gone",
            Err(Error::Fault(_)) => "fault",
        }
    }

    /// Returns a description of what is wrong with the result, if anything.
    fn error(&self, ffmpeg: &str) -> Option<String> {
        let error = match &self.outcome {
            Ok((jpeg, media_info)) => poster_error(jpeg).or_else(|| media_info_error(media_info)),
            Err(error @ (Error::Fault(_) | Error::Gone)) => Some(error.to_string()),
            Err(_) => None,
        };
        let error = error.or_else(|| {
            (self.stats.bytes > MAX_READ || self.stats.requests > MAX_REQUESTS)
                .then(|| "read limit exceeded".to_owned())
        })?;
        Some(format!("{ffmpeg}: {}: {error} {:?}", self.file, self.measurements()))
    }
}

/// Returns a description of what is wrong with media info: it is implausible, or it comes from the text of the files
/// that imitate ffmpeg's report.
fn media_info_error(media_info: &MediaInfo) -> Option<String> {
    let forged = media_info.width == Some(99) || media_info.duration_ms == Some(9 * 3_600_000);
    (forged || *media_info != media_info.clone().plausible()).then(|| format!("{media_info:?}"))
}

/// Returns a description of what is wrong with a poster: it isn't a JPEG of the right size, or it shows the canary.
fn poster_error(jpeg: &[u8]) -> Option<String> {
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

/// A server that answers every request with 404 and records it. No file may cause a request to it.
struct CanaryServer {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CanaryServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The placeholder has room for five digits.
        assert!(port >= 10_000, "{port}");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let recorded = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 200];
                let length = stream.read(&mut request).await.unwrap_or_default();
                recorded.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        Self { port, requests }
    }
}

/// A named pipe that no program may open. Opening it for writing blocks until another program opens it for reading.
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
