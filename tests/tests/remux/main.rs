//! Makes the segments of videos from the originals, and compares them with the originals as ffmpeg presents them: every
//! frame and every audio sample, and their times to the tick. Audio that is encoded is compared with one encoding of the
//! whole. Text tracks are compared with what ffmpeg extracts.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod alone;
mod check;
mod encoded;
mod films;
mod large;
mod layouts;
mod refusals;
mod text;
mod valid;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::remux::{Refusal, Segments};
use upreel_media::{Index, Record, Remux};

/// The start of the arguments for a video with a tone that never repeats.
const FILM: &str = "-f lavfi -i testsrc2=size=160x120:rate=30:duration=12";
const TONE: &str = "-f lavfi -i aevalsrc=0.3*sin(2*PI*(300+40*t)*t)|0.3*sin(2*PI*(500+20*t)*t):s=48000:d=12";
/// Both, of a length that has two segments.
const SHORT: &str = "-f lavfi -i testsrc2=size=160x120:rate=30:duration=5 \
    -f lavfi -i aevalsrc=0.3*sin(2*PI*(300+40*t)*t)|0.3*sin(2*PI*(500+20*t)*t):s=48000:d=5";
const H264: &str = "-c:v libx264 -preset veryfast -threads 1 -pix_fmt yuv420p";
/// A keyframe every two seconds, with frames in between that refer to later ones.
const PYRAMID: &str = "-x264-params keyint=60:min-keyint=60:scenecut=0:bframes=3:b-pyramid=normal";
const AAC: &str = "-c:a aac -b:a 96k";

fn generate(name: &str, args: &str) -> PathBuf {
    upreel_tests::generate(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("remux"), name, args)
}

/// Generates a video of which several others are made.
fn basic() -> String {
    let path = generate("h264.mp4", &format!("{FILM} {TONE} {H264} {PYRAMID} {AAC} -shortest"));
    path.display().to_string()
}

/// Changes the body of the first box of a type in a video.
fn patched(name: &str, kind: [u8; 4], change: impl FnOnce(&mut [u8])) -> PathBuf {
    let mut bytes = std::fs::read(basic()).unwrap();
    let at = bytes.windows(4).position(|found| found == kind).unwrap() + 4;
    change(&mut bytes[at..]);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("remux").join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A video as segments.
struct Remuxed {
    remux: Remux,
    /// For each track, its segments.
    segments: Vec<Vec<Bytes>>,
    /// Bytes that were read to make them.
    read: u64,
    /// The requests for them.
    requests: u64,
    /// The sizes that the index states are estimated, as Matroska does not list those of samples.
    is_estimated: bool,
    /// Whether segments of each track are encoded.
    is_encoded: Vec<bool>,
}

async fn remux(path: &Path) -> Result<Remux, Refusal> {
    let source = upreel_tests::source(path).unwrap();
    let container = match path.extension().unwrap().to_str().unwrap() {
        "mp4" | "mov" | "m4v" | "3gp" => Container::Mp4,
        "webm" => Container::Webm,
        "m4a" | "mka" | "weba" | "wav" | "mp3" | "aac" | "flac" | "ogg" => return alone::remux(path).await,
        _ => Container::Mkv,
    };
    let index = Index::open(&source, container).await.unwrap().unwrap();
    index.remux(&source, "\"etag\"").await.unwrap()
}

/// Makes all segments of a video, each record by itself as a function does.
async fn segments(path: &Path) -> Remuxed {
    let remux = remux(path).await.unwrap_or_else(|refusal| panic!("{}: {refusal:?}", path.display()));
    let mut segments = vec![Vec::new(); remux.tracks.len()];
    let (mut read, mut requests, is_estimated) = (0, 0, is_matroska(path));
    let mut is_encoded = vec![false; remux.tracks.len()];
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    for segment in 0..remux.tracks[0].segments.len() {
        let source = upreel_tests::source(path).unwrap();
        let place = remux.tracks[0].segments[segment].record.clone();
        let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
        let record = Record::from_bytes(&remux.records[place]).unwrap();
        assert_eq!((record.etag(), record.size()), ("\"etag\"", source.size()));
        let made = record.segments(&source).await.unwrap();
        let again = record.segments(&source).await.unwrap();
        assert_eq!(made, again, "the same bytes each time");
        let Segments { complete: mut made, encodable } = made;
        for (track, audio) in encodable {
            let encoded = audio.encode(&ffmpeg(), deadline).await.unwrap();
            if segment == 0 {
                let again = audio.encode(&ffmpeg(), deadline).await.unwrap();
                assert_eq!(again, encoded, "the same bytes each time");
            }
            is_encoded[track] = true;
            made.push((track, encoded));
        }
        assert_eq!(made.len(), remux.tracks.len());
        for (track, bytes) in made {
            if is_encoded[track] {
                segments[track].push(bytes);
                continue;
            }
            let (made, stated) = (bytes.len() as u64, remux.tracks[track].segments[segment].bytes);
            // Audio that is encoded may take most of what is read.
            let others = if is_encoded.contains(&true) { source.stats().bytes / 32 } else { 0 };
            let most = if is_estimated { made / 4 + 8192 + others } else { 0 };
            assert!(made.abs_diff(stated) <= most, "{}: {made} bytes, {stated} stated", path.display());
            segments[track].push(bytes);
        }
        read += source.stats().bytes / 2;
        requests += source.stats().requests / 2;
    }
    for track in &remux.tracks {
        assert_eq!(track.segments.len(), segments[0].len());
    }
    Remuxed { remux, segments, read, requests, is_estimated, is_encoded }
}

/// Returns the ffmpeg under test: the one that Upreel runs.
fn ffmpeg() -> PathBuf {
    std::env::var_os("FFMPEG_PATH").map_or_else(|| PathBuf::from("ffmpeg"), PathBuf::from)
}

fn is_matroska(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["mkv", "webm", "mka", "weba"].iter().any(|known| extension == *known))
}

impl Remuxed {
    /// Writes the segments of a track in a row, after its initialization segment.
    fn write(&self, track: usize, segments: std::ops::Range<usize>, path: &Path) {
        let segments = self.segments[track][segments].iter().map(Bytes::as_ref);
        let bytes: Vec<&[u8]> = std::iter::once(&self.remux.tracks[track].init[..]).chain(segments).collect();
        std::fs::write(path, bytes.concat()).unwrap();
    }
}
