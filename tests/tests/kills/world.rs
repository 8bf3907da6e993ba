//! What the clients know: the videos that they have uploaded, and what was acknowledged.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::{Index, Record};

use crate::backend::{Backend, system_ffmpeg};

/// The widths of the clips, by which the audit recognises which of them a video was made from.
pub(crate) const WIDTHS: [u64; 4] = [160, 192, 224, 256];
/// The size of the clip that is uploaded in two parts.
const LARGE: usize = 6 << 20;

/// A sequence of pseudo-random numbers (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }

    /// Returns an independent sequence.
    pub(crate) const fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// A video that a client has begun to upload.
#[derive(Clone)]
pub(crate) struct Video {
    /// The presigned URL, if the video can be uploaded again.
    pub(crate) url: Option<String>,
    pub(crate) begun: Instant,
    /// The clips that can be stored: the last acknowledged one, and those that were sent after it.
    pub(crate) clips: Vec<usize>,
    /// Whether an upload was acknowledged.
    pub(crate) is_stored: bool,
    pub(crate) deletion: Deletion,
    /// Held while a client uploads or deletes the video.
    pub(crate) busy: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    None,
    Requested,
    Acknowledged,
}

pub(crate) struct World {
    pub(crate) http: Client,
    pub(crate) api: String,
    pub(crate) clips: Vec<Vec<u8>>,
    /// The initialization segment and the segments of each clip.
    pub(crate) segments: Vec<Vec<Bytes>>,
    pub(crate) stopped: AtomicBool,
    pub(crate) videos: Mutex<BTreeMap<String, Video>>,
    /// Numbers of responses, by operation and status.
    responses: Mutex<BTreeMap<String, usize>>,
    /// Responses that no client should get.
    pub(crate) broken: Mutex<Vec<String>>,
}

impl World {
    pub(crate) async fn new(backend: &Backend, folder: &Path) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let clips = WIDTHS.map(|width| clip(folder, width));
        let mut clips = clips.to_vec();
        let last = clips.last_mut().unwrap();
        let free = u32::try_from(LARGE - last.len()).unwrap();
        last.extend(free.to_be_bytes());
        last.extend(b"free");
        last.resize(LARGE, 0);
        let mut segments_of_clips = Vec::new();
        for clip in &clips {
            segments_of_clips.push(segments(folder, clip).await);
        }
        Self {
            http,
            api: backend.api(),
            clips,
            segments: segments_of_clips,
            stopped: AtomicBool::new(false),
            videos: Mutex::default(),
            responses: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    pub(crate) fn video_count(&self) -> usize {
        self.videos.lock().unwrap().len()
    }

    pub(crate) fn begin(&self, id: &str, url: Option<String>, clip: usize) -> Video {
        let video = Video {
            url,
            begun: Instant::now(),
            clips: vec![clip],
            is_stored: false,
            deletion: Deletion::None,
            busy: Arc::default(),
        };
        self.videos.lock().unwrap().insert(id.to_owned(), video.clone());
        video
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Video)) {
        change(self.videos.lock().unwrap().get_mut(id).unwrap());
    }

    pub(crate) fn stored(&self, id: &str, clip: usize) {
        self.change(id, |video| (video.is_stored, video.clips) = (true, vec![clip]));
    }

    /// Picks a video that fulfils the condition.
    pub(crate) fn pick(&self, random: &mut Random, is: impl Fn(&Video) -> bool) -> Option<(String, Video)> {
        let videos = self.videos.lock().unwrap();
        let found: Vec<_> = videos.iter().filter(|(_, video)| is(video)).collect();
        let (id, video) = (!found.is_empty()).then(|| random.pick(&found))?;
        Some(((*id).clone(), (*video).clone()))
    }

    pub(crate) fn count(&self, operation: &str, outcome: impl std::fmt::Display) {
        let name = format!("{operation} {outcome}");
        *self.responses.lock().unwrap().entry(name).or_default() += 1;
    }

    pub(crate) fn report(&self, violation: String) {
        self.broken.lock().unwrap().push(violation);
    }

    pub(crate) fn figures(&self) -> String {
        let mut text = String::from("responses:");
        for (name, count) in self.responses.lock().unwrap().iter() {
            write!(text, " {name}: {count},").unwrap();
        }
        text
    }
}

/// Returns a clip of this width. Its height is the same for all clips.
fn clip(folder: &Path, width: u64) -> Vec<u8> {
    let path = folder.join(format!("{width}.mp4"));
    let source = format!("testsrc=size={width}x96:rate=10:duration=2");
    let encoded = Command::new(system_ffmpeg())
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-c:v", "libx264"])
        .args(["-preset", "ultrafast", "-movflags", "+faststart"])
        .arg(&path)
        .status();
    assert!(encoded.unwrap().success());
    std::fs::read(path).unwrap()
}

/// Returns what a player should get of a clip: the initialization segment, then the segments.
async fn segments(folder: &Path, clip: &[u8]) -> Vec<Bytes> {
    let path = folder.join("clip.mp4");
    std::fs::write(&path, clip).unwrap();
    let source = upreel_tests::source(&path).unwrap();
    let index = Index::open(&source, Container::Mp4).await.unwrap().unwrap();
    let remux = index.remux(&source, "").await.unwrap().unwrap();
    let [film] = remux.tracks.as_slice() else { panic!("a clip has no audio") };
    let mut all = vec![film.init.clone()];
    for segment in &film.segments {
        let place =
            usize::try_from(segment.record.start).unwrap()..usize::try_from(segment.record.end).unwrap();
        let record = Record::from_bytes(&remux.records[place]).unwrap();
        all.extend(record.segments(&source).await.unwrap().complete.into_iter().map(|(_, bytes)| bytes));
    }
    all
}
