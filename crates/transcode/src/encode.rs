//! Encodes one chunk of a video to segments, and describes them in a manifest.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use upreel_core::Fault;
use upreel_media::rendition::{self, AAC_FRAME, Encoded, SAMPLE_RATE};
use upreel_media::{Error, Source};

use crate::plan::Plan;
use upreel_media::cmaf::{self, File, Segment};

/// The name of the audio track.
pub(crate) const AUDIO: &str = "audio";
/// Sequence numbers reserved for each chunk: more than it ever has segments.
const NUMBERS_PER_CHUNK: usize = 1000;

/// An object to store.
#[derive(Debug)]
pub struct Object {
    /// The name within the folder of the renditions, such as `v720/0003-01.m4s`.
    pub name: String,
    /// The content.
    pub bytes: Bytes,
}

/// Describes an encoded chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The chunk's number, from 0.
    pub index: usize,
    /// The SHA-256 of the plan, because a chunk of another plan cannot be used.
    #[serde(default)]
    pub plan: String,
    /// Number of video frames.
    #[serde(rename = "pictures")]
    pub frames: usize,
    /// A track for each rung, then the audio track if there is one.
    pub tracks: Vec<Track>,
}

/// A track of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// The track's folder: the rung's name, or `audio`.
    pub name: String,
    /// The codec, as in the playlist's `CODECS` attribute (RFC 6381).
    pub codec: String,
    /// A hash of the initialization segment, which must be the same for all chunks.
    pub init: String,
    /// The segments in the order of time.
    pub segments: Vec<SegmentEntry>,
}

/// A segment of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentEntry {
    /// The file name in the track's folder.
    pub name: String,
    /// The duration in ticks; for audio, in samples.
    pub duration: u64,
    /// Size in bytes.
    pub bytes: usize,
    /// Bytes from the start of the segment to the end of its first frame.
    pub first: usize,
}

/// A function that encodes a chunk. Its arguments are the object, the plan, the chunk's number, the path of ffmpeg, and
/// the time at which ffmpeg is killed.
pub type Encode = for<'a> fn(
    &'a Arc<Source>,
    &'a Plan,
    usize,
    &'a Path,
    Instant,
) -> BoxFuture<'a, Result<(Manifest, Vec<Object>), Error>>;

/// Encodes the chunk number `index` of the video in `source`. Returns its manifest, and the segments to store. ffmpeg
/// is killed at `deadline`.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn encode(
    source: &Arc<Source>,
    plan: &Plan,
    index: usize,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<(Manifest, Vec<Object>), Error> {
    let unknown = || Error::Fault(Fault::new("encode a chunk", &UnknownChunk(index)));
    let chunk = plan.chunks.get(index).ok_or_else(unknown)?;
    // The same frames give the same file again, so a retry doesn't help.
    let unusable = |error: &dyn std::error::Error| Error::Unreadable(error.to_string());
    let job = rendition::Chunk {
        container: plan.container,
        color_transfer: plan.color_transfer.as_deref(),
        scale: plan.scale,
        span: chunk.span,
        seek: chunk.seek.clone(),
        segment: chunk.segment,
        audio: chunk.audio.filter(|_| plan.audio),
    };
    let rungs: Vec<rendition::Rung<'_>> =
        plan.rungs.iter().map(crate::ladder::Rung::encoder_settings).collect();
    let encoded = rendition::encode(source, &job, &rungs, ffmpeg, deadline).await?;

    let mut times = encoded.times;
    match (chunk.span, times.first()) {
        (_, None) => return Err(Error::Unreadable("a chunk has no frames".to_owned())),
        // ffmpeg found another keyframe than the planned one, so frames would be missing.
        (Some((start, _)), Some(first)) if index > 0 && *first != start => {
            return Err(Error::Unreadable(format!("a chunk starts at {first} instead of {start}")));
        }
        _ => {}
    }
    for time in &mut times {
        *time = time.saturating_sub(plan.origin).max(0);
    }
    let frames = times.len();
    let end = chunk.span.and_then(|(_, end)| end).map(|end| end - plan.origin);

    let mut output = ChunkOutput { index, tracks: Vec::new(), objects: Vec::new() };
    for (rung, bytes) in plan.rungs.iter().zip(encoded.videos) {
        let file = File::read(bytes).map_err(|e| unusable(&e))?;
        let segments =
            cmaf::video(&file, &times, end, plan.step, output.first_number()).map_err(|e| unusable(&e))?;
        output.add(&rung.name, &file, segments).map_err(|e| unusable(&e))?;
    }
    if let Some((bytes, (first, end))) = encoded.audio.zip(chunk.audio) {
        let file = File::read(bytes).map_err(|e| unusable(&e))?;
        let all = &file.samples;
        // With an end, the frames are counted from the end of the file, which is exact even if the source had only
        // silence. Without an end, they are counted from the start, and there may be none.
        let kept = match end.map(|end| usize::try_from(end - first).unwrap_or(0)) {
            Some(wanted) => {
                let to = all.len().saturating_sub(Encoded::OVERLAP);
                to.checked_sub(wanted)
                    .map(|from| &all[from..to])
                    .ok_or_else(|| unusable(&TooFewAudioFrames(all.len())))?
            }
            None => &all[Encoded::WARM_UP.min(all.len())..],
        };
        let segments = output.tracks.first().map_or(1, |track| track.segments.len());
        let segments = cmaf::audio(
            &file,
            kept,
            first * AAC_FRAME - plan.origin_in_samples(),
            segments,
            output.first_number(),
        );
        output.add(AUDIO, &file, segments).map_err(|e| unusable(&e))?;
    }
    Ok((Manifest { index, plan: String::new(), frames, tracks: output.tracks }, output.objects))
}

#[derive(Debug, thiserror::Error)]
#[error("the plan has no chunk {0}")]
struct UnknownChunk(usize);

#[derive(Debug, thiserror::Error)]
#[error("the encoder returned only {0} audio frames")]
struct TooFewAudioFrames(usize);

impl Plan {
    /// Returns [`Plan::origin`] in audio samples.
    #[must_use]
    pub fn origin_in_samples(&self) -> i64 {
        let samples = i128::from(self.origin) * i128::from(SAMPLE_RATE) / i128::from(self.scale.max(1));
        i64::try_from(samples).unwrap_or(0)
    }
}

/// The tracks and objects of a chunk, collected while it is encoded.
struct ChunkOutput {
    index: usize,
    tracks: Vec<Track>,
    objects: Vec<Object>,
}

impl ChunkOutput {
    /// Returns the sequence number (`mfhd`) of the chunk's first segment. Sequence numbers ascend across chunks.
    fn first_number(&self) -> u32 {
        u32::try_from(self.index * NUMBERS_PER_CHUNK + 1).unwrap_or(u32::MAX)
    }

    /// Adds a track: its segments, and its initialization segment if this chunk stores it.
    fn add(&mut self, name: &str, file: &File, segments: Vec<Segment>) -> Result<(), cmaf::Unexpected> {
        let init = cmaf::init(file);
        let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&init));
        // Chunk 0 stores the initialization segments of the video tracks. Not every chunk has audio, so every one that
        // has stores the audio's initialization segment; they are identical.
        if self.index == 0 || name == AUDIO {
            self.objects.push(Object { name: format!("{name}/init.mp4"), bytes: init.into() });
        }
        let mut entries = Vec::with_capacity(segments.len());
        for (i, Segment { bytes, duration, first }) in segments.into_iter().enumerate() {
            let entry = SegmentEntry {
                name: format!("{:04}-{i:02}.m4s", self.index),
                duration,
                bytes: bytes.len(),
                first,
            };
            self.objects.push(Object { name: format!("{name}/{}", entry.name), bytes: bytes.into() });
            entries.push(entry);
        }
        let codec = file.codec()?;
        self.tracks.push(Track { name: name.to_owned(), codec, init: hash, segments: entries });
        Ok(())
    }
}
