//! Code shared by the fuzz targets: an object built from the input, and the invariants that hold for every index.

use std::alloc::System;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use cap::Cap;
use futures_executor::block_on;
use upreel_core::Container;
use upreel_core::captions::Text;
use upreel_core::range::{RangeRead, RangeReader};
use upreel_media::keyframe::{FrameData, HEAD, Keyframe};
use upreel_media::source::{Error, Source};
use upreel_media::{Index, Record, Remux, remux};

/// The limit of allocated memory: 256 MiB at a time. libFuzzer's own limit requires a sanitizer.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 256 << 20);

/// The limits of `Source`.
const MAX_READ: u64 = 256 << 20;
/// Those of text tracks are additional.
const MAX_REQUESTS: u64 = 2000 + 6000;

/// Maximum number of bytes of keyframes to read. The parsers don't look into them, so more would find nothing.
const MAX_SAMPLES: u64 = 1 << 20;

/// Number of keyframes to request: one, the candidates for a poster, the tiles of a storyboard.
const KEYFRAMES: [usize; 3] = [1, 8, 100];

/// Opens the input as an object in this container, and reads the keyframes of a poster and a storyboard.
///
/// The input's last byte sets how often the rest is repeated. It is mostly once, so that a real file followed by a zero
/// byte is a seed, and up to 4096 times, so that small inputs make large objects. Those are slow, so only one in 1024
/// of them has its full size.
///
/// # Panics
/// When an invariant is violated.
pub fn index(input: &[u8], container: Container) {
    let Some((last, input)) = input.split_last() else { return };
    let _ = Container::sniff(input);
    let mut doublings = last.saturating_sub(0xF3);
    if doublings > 6 && input.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 1024 != 0 {
        doublings -= 6;
    }
    let object = Object::new(input, doublings);
    block_on(object.poster_and_storyboard(container));
}

/// Like [`index`], for the containers that are told apart by their first bytes, and for those of audio alone.
///
/// # Panics
/// When an invariant is violated.
pub fn other_index(input: &[u8]) {
    if let Some(container) = Container::sniff(input)
        && !matches!(
            container,
            Container::Mp4 | Container::Mov | Container::ThreeGp | Container::Mkv | Container::Webm
        )
    {
        index(input, container);
    } else if let Some(container) = Container::sniff_audio(input) {
        block_on(Object::new(input, 0).audio_alone(container));
    }
}

struct Object {
    source: Source,
    read: Arc<Read>,
}

/// Requests and bytes, counted independently of `Source`.
#[derive(Default)]
struct Read {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// The input, repeated up to a size.
struct Repeated {
    input: Bytes,
    size: u64,
    counts: Arc<Read>,
}

impl RangeReader for Repeated {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        assert!(range.start < range.end && range.end <= self.size, "{range:?} of {}", self.size);
        self.counts.requests.fetch_add(1, Relaxed);
        self.counts.bytes.fetch_add(range.end - range.start, Relaxed);
        Box::pin(std::future::ready(Ok(repeated(&self.input, &range))))
    }
}

impl Object {
    fn new(input: &[u8], doublings: u8) -> Self {
        let size = (input.len() as u64) << doublings;
        let (input, read) = (Bytes::copy_from_slice(input), Arc::new(Read::default()));
        let counts = Arc::clone(&read);
        Self { source: Source::new(size, Repeated { input, size, counts }), read }
    }

    async fn poster_and_storyboard(&self, container: Container) {
        let opened = Index::open(&self.source, container).await;
        self.check_read();
        let Ok(index) = opened else { return self.audio_alone(container).await };
        let index = index.expect("the container has a reader");
        assert_eq!(index.media_info.container, Some(container));
        assert!(index.media_info.frame_rate.is_none_or(|rate| rate.is_finite() && rate >= 0.0));
        assert!(matches!(index.media_info.rotation, None | Some(0 | 90 | 180 | 270)));
        if let Ok(Ok(remux)) = index.remux(&self.source, "etag").await {
            self.check_segments(&remux, container).await;
        }
        self.check_read();
        if let Ok(found) = index.text_tracks(&self.source).await {
            for track in found.tracks {
                let again = Text::read(track.text.text.as_bytes());
                assert_eq!(again.as_ref(), Ok(&track.text), "reading again changes something");
            }
        }
        self.check_read();
        for n in KEYFRAMES {
            let keyframes = index.keyframes(&self.source, n).await;
            self.check_read();
            let Ok(keyframes) = keyframes else { continue };
            self.check_keyframes(&keyframes, n);
            if let Some(frames) = self.fetch(&keyframes).await {
                check_wrapped(&index.wrap(frames.clone()), &frames, container).await;
            }
        }
    }

    /// Makes the segment index of a file without a film, and some segments.
    async fn audio_alone(&self, container: Container) {
        // As the function does, to detect the format.
        let _ = self.source.read(0..HEAD).await;
        if let Ok(Ok(remux)) = remux::audio_alone(&self.source, container, "etag").await {
            self.check_segments(&remux, container).await;
        }
        self.check_read();
    }

    /// Makes the first and the last segments.
    async fn check_segments(&self, remux: &Remux, container: Container) {
        let film = remux.tracks.first().expect("a track");
        let count = film.segments.len();
        assert!(remux.tracks.iter().all(|track| track.segments.len() == count) && count > 0);
        for segment in [0, count - 1] {
            let place = film.segments[segment].record.clone();
            let place =
                usize::try_from(place.start).expect("fits")..usize::try_from(place.end).expect("fits");
            let record = Record::from_bytes(&remux.records[place]).expect("a record");
            let Ok(segments) = record.segments(&self.source).await else { continue };
            assert_eq!(segments.complete.len() + segments.encodable.len(), remux.tracks.len());
            for (track, bytes) in segments.complete {
                let stated = remux.tracks[track].segments[segment].bytes;
                // Only MP4 lists all samples.
                assert!(container == Container::Mkv || bytes.len() as u64 == stated);
            }
        }
    }

    fn check_read(&self) {
        let stats = self.source.stats();
        let (requests, bytes) = (self.read.requests.load(Relaxed), self.read.bytes.load(Relaxed));
        assert_eq!((stats.requests, stats.bytes), (requests, bytes));
        assert!(requests <= MAX_REQUESTS && bytes <= MAX_READ, "{stats:?}");
        let size = self.source.size();
        if size <= HEAD {
            assert!(requests <= 1 && bytes <= size, "{stats:?} of an object that fits into the first read");
        }
    }

    fn check_keyframes(&self, keyframes: &[Keyframe], n: usize) {
        assert!(keyframes.len() <= n, "{} of {n}", keyframes.len());
        assert!(keyframes.is_sorted_by_key(|keyframe| keyframe.time_ms), "{keyframes:?}");
        for range in keyframes.iter().flat_map(Keyframe::ranges) {
            assert!(range.start < range.end && range.end <= self.source.size(), "{range:?}");
        }
    }

    /// Reads the keyframes, or returns `None` when they are too large together.
    async fn fetch(&self, keyframes: &[Keyframe]) -> Option<Vec<FrameData>> {
        let mut frames = Vec::new();
        let mut left = MAX_SAMPLES;
        for keyframe in keyframes {
            left = left.checked_sub(keyframe.bytes())?;
            let ranges: Vec<Range<u64>> = keyframe.ranges().cloned().collect();
            let mut samples = match self.source.fetch_all(&ranges).await {
                Ok(samples) => samples,
                Err(Error::Limit) => return None,
                Err(Error::Read(error)) => panic!("{error}"),
            };
            let lengths: Vec<u64> = samples.iter().map(|sample| sample.len() as u64).collect();
            assert_eq!(lengths, ranges.iter().map(|range| range.end - range.start).collect::<Vec<_>>());
            let shown = samples.pop().expect("every keyframe has a range");
            frames.push(FrameData { lead_in: samples, shown });
        }
        self.check_read();
        Some(frames)
    }
}

/// Checks that the wrapped file contains every sample in order, and that it can be opened.
async fn check_wrapped(pieces: &[Bytes], frames: &[FrameData], container: Container) {
    if !matches!(container, Container::Mp4 | Container::Mkv) {
        // The frames are parts of the samples, and in another container.
        return;
    }
    let samples: Vec<Bytes> =
        frames.iter().flat_map(|frame| frame.lead_in.iter().chain([&frame.shown])).cloned().collect();
    let frames = if container == Container::Mkv {
        // Only the frame of a block is kept; blocks without a frame are left out.
        let frames: Vec<_> = pieces.iter().skip(2).step_by(2).cloned().collect();
        let mut blocks = samples.iter().map(|block| block.as_ptr_range());
        for frame in &frames {
            let frame = frame.as_ptr_range();
            assert!(frame.start < frame.end);
            assert!(
                blocks.any(|block| block.start <= frame.start && frame.end <= block.end),
                "the frame is in no block"
            );
        }
        frames
    } else {
        pieces[1..].to_vec()
    };
    if container != Container::Mkv {
        assert_eq!(frames, samples);
    }
    if frames.is_empty() {
        return;
    }
    let again = Object::new(&pieces.concat(), 0).source;
    let opened = Index::open(&again, container).await;
    assert!(opened.is_ok(), "{:?}", opened.err());
}

/// Returns a range of the endlessly repeated input.
fn repeated(input: &Bytes, range: &Range<u64>) -> Bytes {
    let len = usize::try_from(range.end - range.start).expect("fits");
    let begin = usize::try_from(range.start % input.len() as u64).expect("fits");
    if begin + len <= input.len() {
        return input.slice(begin..begin + len);
    }
    let mut bytes = Vec::with_capacity(len);
    let mut rest = &input[begin..];
    while bytes.len() < len {
        bytes.extend_from_slice(&rest[..rest.len().min(len - bytes.len())]);
        rest = input;
    }
    bytes.into()
}
