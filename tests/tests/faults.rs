//! Faults of S3 while previews are made: the result is the same as without the fault, or a fault. It is never an error
//! of the video, and never a poster or a storyboard of fewer frames.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic fails the test; prints the counts")]

use std::future::{pending, ready};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Fault;
use upreel_core::range::{RangeRead, RangeReader, ReadError};
use upreel_media::{Error, Source, poster, storyboard};
use upreel_tests::HANG_GUARD;

/// Files whose posters take each way: by the index, with a second look at it, and by seeking, with further seeks.
const FILES: [&str; 12] = [
    "h264-moov-at-end.mp4",
    "h264-fragmented.mp4",
    "h264-fragmented-half.mp4",
    "h264-late.mp4",
    "hevc-10-bit-pq-in-bitstream.mp4",
    "vp9-late.webm",
    "h264-no-cues.mkv",
    "vp9-alpha.webm",
    "h264.ts",
    "flv1.flv",
    "mpeg4-late.avi",
    "theora.ogv",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One read fails.
    Fails,
    /// This read and all later ones fail.
    FailsFromThenOn,
    /// One response has fewer bytes.
    Truncated,
    /// This read and all later ones never end.
    Hangs,
}

/// An object in memory whose read number `at` is faulty.
struct Faulty {
    bytes: Bytes,
    kind: Kind,
    at: usize,
    reads: Arc<AtomicUsize>,
}

impl RangeReader for Faulty {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        let read = self.reads.fetch_add(1, SeqCst);
        let fault = || Box::pin(ready(Err(ReadError::from(Fault::message("s3:GetObject", "injected")))));
        match self.kind {
            Kind::Fails if read == self.at => fault(),
            Kind::FailsFromThenOn if read >= self.at => fault(),
            Kind::Truncated if read == self.at => {
                self.bytes.read_range(range.start..range.start + (range.end - range.start) / 2)
            }
            Kind::Hangs if read >= self.at => Box::pin(pending()),
            _ => self.bytes.read_range(range),
        }
    }
}

/// What is stored of a video.
type Previews = (Bytes, upreel_core::video::MediaInfo, Option<Bytes>);

async fn previews(source: Arc<Source>, ffmpeg: &Path, deadline: Duration) -> Result<Previews, Error> {
    let deadline = Instant::now() + deadline;
    let poster = poster::make(&source, ffmpeg, deadline).await?;
    let storyboard = match &poster.index {
        Some(index) => Some(storyboard::make(&source, index, "x.jpg", ffmpeg, deadline).await?.jpeg),
        None => None,
    };
    Ok((poster.jpeg, poster.media_info, storyboard))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_of_s3_is_never_an_error_of_the_video() {
    let (ffmpeg, folder) = make_files();
    let (mut cases, mut faults) = (0, 0);
    for file in FILES {
        let bytes = enlarged(file, std::fs::read(folder.join(file)).unwrap());
        let reads = Arc::new(AtomicUsize::new(0));
        let source = |kind, at| {
            let reader = Faulty { bytes: bytes.clone(), kind, at, reads: reads.clone() };
            Arc::new(Source::new(bytes.len() as u64, reader))
        };
        let whole = previews(source(Kind::Fails, usize::MAX), &ffmpeg, HANG_GUARD).await.unwrap();
        let count = reads.load(SeqCst);
        assert!(count > 0, "{file}");
        let every = [Kind::Fails, Kind::FailsFromThenOn, Kind::Truncated]
            .into_iter()
            .flat_map(|kind| (0..count).map(move |at| (kind, at, HANG_GUARD)));
        // A read that hangs at the start, and one in the middle. The deadline only has to pass.
        let hangs = [0, count / 2].map(|at| (Kind::Hangs, at, Duration::from_millis(300)));
        for (kind, at, deadline) in every.chain(hangs) {
            reads.store(0, SeqCst);
            cases += 1;
            match previews(source(kind, at), &ffmpeg, deadline).await {
                Err(Error::Fault(_)) => faults += 1,
                Ok(made) => assert!(made == whole, "{file}: {kind:?} {at} of {count}: other previews"),
                Err(error) => panic!("{file}: {kind:?} {at} of {count}: {error}"),
            }
        }
    }
    println!("{cases} cases, of which {faults} are faults");
    assert!(faults > cases / 2, "{faults} of {cases}");
}

/// Enlarges a file, if its format allows it, so that it takes more reads.
fn enlarged(file: &str, bytes: Vec<u8>) -> Bytes {
    if file == "h264.ts" {
        return bytes.repeat((4 << 20) / bytes.len()).into();
    }
    let Some(at) =
        bytes.windows(4).rposition(|name| name == b"moov").filter(|_| file.contains("moov-at-end"))
    else {
        return bytes.into();
    };
    let (media, moov) = bytes.split_at(at - 4);
    let len = 1u32 << 20;
    let mut free = vec![0; len as usize];
    free[..4].copy_from_slice(&len.to_be_bytes());
    free[4..8].copy_from_slice(b"free");
    [media, &free, moov].concat().into()
}

/// Returns ffmpeg, and the folder with the files of `tests/videos/make.sh`.
fn make_files() -> (PathBuf, PathBuf) {
    let path = std::env::var_os("PATH").unwrap();
    let ffmpeg = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file());
    let ffmpeg = ffmpeg.unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("good");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("videos/make.sh");
    let status = Command::new("bash").arg(script).arg(&folder).env("FFMPEG", &ffmpeg).status();
    assert!(status.unwrap().success(), "make.sh failed");
    (ffmpeg, folder)
}
