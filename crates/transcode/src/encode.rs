//! Encodes one chunk of a video to segments, and describes them in a manifest.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::Fault;
use upreel_media::cmaf::{self, File, Segment};
use upreel_media::index::Streams;
use upreel_media::inspect::{Inspection, inspect};
use upreel_media::rendition::{self, AAC_FRAME, Encoded, SAMPLE_RATE};
use upreel_media::slice::Slice;
use upreel_media::{Error, Source};

use crate::plan::Plan;

/// The name of the audio track that is played by default. The others are `audio-2` and so on.
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
    /// A track for each rung, then one for each audio stream.
    pub tracks: Vec<Track>,
}

/// A track of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// The track's folder: the rung's name, or [`audio_name`].
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

/// A function that inspects an object. Its arguments are the object, its container, the streams that its index chose, the
/// path of ffmpeg, and the time at which ffmpeg is killed.
pub type Inspect = for<'a> fn(
    &'a Arc<Source>,
    Container,
    &'a Streams,
    &'a Path,
    Instant,
) -> BoxFuture<'a, Result<Inspection, Error>>;

/// A function that encodes a chunk. Its arguments are the object, the plan, the chunk's number, its slice if the plan has
/// slices, the path of ffmpeg, and the time at which ffmpeg is killed.
pub type Encode = for<'a> fn(
    &'a Arc<Source>,
    &'a Plan,
    usize,
    Option<&'a Slice>,
    &'a Path,
    Instant,
) -> BoxFuture<'a, Result<(Manifest, Vec<Object>), Error>>;

/// The functions that run ffmpeg.
#[derive(Clone, Copy)]
pub struct Engine {
    /// Inspects an object for its plan.
    pub inspect: Inspect,
    /// Encodes a chunk.
    pub encode: Encode,
}

impl Engine {
    /// The functions of this crate and of `upreel_media`.
    pub const FFMPEG: Self = Self {
        inspect: |source, container, streams, ffmpeg, deadline| {
            Box::pin(inspect(source, container, streams, ffmpeg, deadline))
        },
        encode: |source, plan, index, slice, ffmpeg, deadline| {
            Box::pin(encode(source, plan, index, slice, ffmpeg, deadline))
        },
    };
}

/// Returns the name of the track of an audio stream, by its position in the plan.
pub(crate) fn audio_name(position: usize) -> String {
    if position == 0 { AUDIO.to_owned() } else { format!("{AUDIO}-{}", position + 1) }
}

/// Encodes the chunk with the number `index` of the video in `source`, from its slice if the plan has slices. Returns
/// its manifest, and the segments to store. ffmpeg is killed at `deadline`.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn encode(
    source: &Arc<Source>,
    plan: &Plan,
    index: usize,
    slice: Option<&Slice>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<(Manifest, Vec<Object>), Error> {
    let unknown = || Error::Fault(Fault::new("encode a chunk", &UnknownChunk(index)));
    let chunk = plan.chunks.get(index).ok_or_else(unknown)?;
    // The same frames give the same file again, so a retry doesn't help.
    let unusable = |error: &dyn std::error::Error| Error::Unreadable(error.to_string());
    let job = rendition::Chunk {
        container: plan.container,
        video: plan.video.clone(),
        audio: &plan.audio,
        scale: plan.scale,
        output_scale: plan.output_scale(),
        origin: plan.origin,
        span: chunk.span,
        end: plan.end,
        until: chunk.until,
        audio_spans: &chunk.audio_spans,
        is_sliced: plan.is_sliced,
        frame_duration: plan.frame_duration(),
        seek: chunk.seek.clone(),
        segment: chunk.segment,
        cuts: plan.cuts_of(chunk),
        longest: plan.longest_segment(),
        audio_frames: chunk.audio_frames,
        is_silent: false,
    };
    let rungs: Vec<rendition::Rung<'_>> =
        plan.rungs.iter().map(upreel_media::ladder::Rung::encoder_settings).collect();
    let input = match slice {
        Some(slice) => &slice.open(source).await?,
        None => source,
    };
    let encoded = rendition::encode(input, &job, &rungs, ffmpeg, deadline).await?;

    match (chunk.span, encoded.times.first()) {
        (_, None) => return Err(Error::Unreadable("a chunk has no frames".to_owned())),
        // ffmpeg found another keyframe than the planned one, so frames would be missing.
        (Some((start, _)), Some(first)) if index > 0 && *first != start => {
            return Err(Error::Unreadable(format!("a chunk starts at {first} instead of {start}")));
        }
        _ => {}
    }
    let (times, end) = plan.output_times(index, &encoded.times, encoded.end);
    let cuts = plan.cuts_of(chunk);
    let frames = times.len();

    let mut output = ChunkOutput { index, plan, tracks: Vec::new(), objects: Vec::new() };
    for (rung, bytes) in plan.rungs.iter().zip(encoded.videos) {
        let file = File::read(bytes).map_err(|e| unusable(&e))?;
        let segments = cmaf::video(&file, &times, end, output.first_number()).map_err(|e| unusable(&e))?;
        if !cuts.is_empty() && !plan.is_cut_at(cuts, end, &segments) {
            return Err(Error::Unreadable(format!(
                "the segments of chunk {index} are not cut as the original"
            )));
        }
        output.add(&rung.name, &file, segments).map_err(|e| unusable(&e))?;
    }
    let wanted = usize::try_from(encoded.audio_frames).unwrap_or(0);
    for (position, bytes) in encoded.audio.into_iter().enumerate() {
        let file = File::read(bytes).map_err(|e| unusable(&e))?;
        let kept = file.samples.get(Encoded::WARM_UP..Encoded::WARM_UP + wanted);
        let kept = kept.ok_or_else(|| unusable(&TooFewAudioFrames(file.samples.len())))?;
        let segments = audio_segments(encoded.audio_frames, chunk.segment);
        let start = chunk.audio_frames.0.saturating_mul(AAC_FRAME);
        let segments = cmaf::audio(&file, kept, start, segments, output.first_number());
        output.add(&audio_name(position), &file, segments).map_err(|e| unusable(&e))?;
    }
    Ok((Manifest { index, plan: String::new(), frames, tracks: output.tracks }, output.objects))
}

/// Returns the number of segments for AAC frames, with about `segment` seconds each. It is independent of the video, whose
/// last frame can be shown for a long time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "saturates, and the frames of a chunk are few"
)]
fn audio_segments(frames: i64, segment: f64) -> usize {
    let seconds = (frames * AAC_FRAME) as f64 / f64::from(SAMPLE_RATE);
    (seconds / segment.max(1.0)).round().max(1.0) as usize
}

#[derive(Debug, thiserror::Error)]
#[error("the plan has no chunk {0}")]
struct UnknownChunk(usize);

#[derive(Debug, thiserror::Error)]
#[error("the encoder returned only {0} audio frames")]
struct TooFewAudioFrames(usize);

impl Plan {
    /// Converts times of a chunk's frames, and the end of the last one, to ticks of the renditions. The first frame of
    /// the video is shown from the start of the presentation on. Each time is later than the one before it.
    pub(crate) fn output_times(&self, index: usize, times: &[i64], end: i64) -> (Vec<i64>, i64) {
        let output = |time: i64| time.saturating_sub(self.origin).saturating_mul(self.subdivision().into());
        // The original can start later than its audio.
        let first = self.cuts.first().map_or(0, |cut| output(*cut));
        let mut next = if index == 0 { first } else { i64::MIN };
        let ascending = |(i, time): (usize, &i64)| {
            let time = if index == 0 && i == 0 { first } else { output(*time).max(next) };
            next = time.saturating_add(self.subdivision().into());
            time
        };
        (times.iter().enumerate().map(ascending).collect(), output(end))
    }
}

impl Plan {
    /// Returns whether the segments of a chunk that ends at `end`, in ticks of the renditions, start at these cuts.
    fn is_cut_at(&self, cuts: &[i64], end: i64, segments: &[Segment]) -> bool {
        self.durations(cuts, end).eq(segments.iter().map(|segment| segment.duration))
    }

    /// Returns the durations of segments that start at `cuts`, if the last one ends at `end` in ticks of the
    /// renditions.
    pub(crate) fn durations(&self, cuts: &[i64], end: i64) -> impl Iterator<Item = u64> {
        let (starts, _) = self.output_times(usize::MAX, cuts, end);
        let ends: Vec<i64> = starts.iter().skip(1).copied().chain([end]).collect();
        starts.into_iter().zip(ends).map(|(start, end)| end.saturating_sub(start).unsigned_abs())
    }
}

/// The tracks and objects of a chunk, collected while it is encoded.
struct ChunkOutput<'a> {
    index: usize,
    plan: &'a Plan,
    tracks: Vec<Track>,
    objects: Vec<Object>,
}

impl ChunkOutput<'_> {
    /// Returns the sequence number (`mfhd`) of the chunk's first segment. Sequence numbers ascend across chunks.
    fn first_number(&self) -> u32 {
        u32::try_from(self.index * NUMBERS_PER_CHUNK + 1).unwrap_or(u32::MAX)
    }

    /// Adds a track: its segments, and its initialization segment if this chunk stores it.
    fn add(&mut self, name: &str, file: &File, segments: Vec<Segment>) -> Result<(), cmaf::Unexpected> {
        let init = cmaf::init(file);
        let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&init));
        // They are the same in all chunks.
        if self.index == self.plan.first {
            self.objects.push(Object { name: format!("{name}/init.mp4"), bytes: init.into() });
        }
        let mut entries = Vec::with_capacity(segments.len());
        for (i, Segment { bytes, duration, first }) in segments.into_iter().enumerate() {
            let size = bytes.len();
            let entry =
                SegmentEntry { name: self.plan.segment_name(self.index, i), duration, bytes: size, first };
            self.objects.push(Object { name: format!("{name}/{}", entry.name), bytes: bytes.into() });
            entries.push(entry);
        }
        let codec = file.codec()?;
        self.tracks.push(Track { name: name.to_owned(), codec, init: hash, segments: entries });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use upreel_core::video::MediaInfo;
    use upreel_media::keyframe::CutPoints;

    use super::*;

    #[test]
    fn audio_segments_have_the_intended_duration() {
        // An hour of audio has 168,750 frames.
        assert_eq!(
            [audio_segments(168_750, 4.0), audio_segments(10, 4.0), audio_segments(0, 0.0)],
            [900, 1, 1]
        );
    }

    #[test]
    fn output_times_start_at_zero_and_ascend() {
        let media_info = MediaInfo {
            container: Some(Container::Mp4),
            width: Some(64),
            height: Some(64),
            ..MediaInfo::default()
        };
        let inspection = Inspection { start: Some(1.0), ..Inspection::default() };
        let cuts = CutPoints { scale: 1000, times: vec![1500, 90_000], ..CutPoints::default() };
        let plan = Plan::with_chunk_length(&media_info, &inspection, Some(&cuts), 5.0).unwrap();
        assert_eq!(plan.origin, 1000);
        assert_eq!(plan.output_times(0, &[1500, 1501, 1700], 90_000), (vec![0, 2004, 2800], 356_000));
        assert_eq!(plan.output_times(0, &[900, 900, 1000], 2000), (vec![0, 4, 8], 4000));
        assert_eq!(plan.output_times(1, &[90_000, 90_001], 90_002), (vec![356_000, 356_004], 356_008));
    }
}
