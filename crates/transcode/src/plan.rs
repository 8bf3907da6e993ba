//! Plans a transcoding: cuts the video into chunks at keyframes. A chunk is long enough to be worth starting an
//! encoder, and short enough to be encoded within the function's timeout.

use serde::{Deserialize, Serialize};
use upreel_core::video::MediaInfo;
use upreel_core::{Container, Failure};
use upreel_media::keyframe::CutPoints;
use upreel_media::rendition::{AAC_FRAME, DEFAULT_SCALE, SAMPLE_RATE};

use crate::ladder::{Rung, ladder};
use upreel_media::cmaf::REORDER;

/// Minimum and maximum of the intended duration of a chunk, in seconds.
const CHUNK_SECONDS: (f64, f64) = (10.0, 60.0);
/// Intended pixels of a chunk: 30 s of 1080p at 30 frames per second.
const CHUNK_PIXELS: f64 = 30.0 * 30.0 * 1920.0 * 1080.0;
/// Maximum pixels of a chunk: 10 min of 1080p at 30 frames per second. Encoding more comes close to Lambda's timeout of
/// 15 min.
const MAX_PIXELS: f64 = 20.0 * CHUNK_PIXELS;
/// Intended duration of a segment, in seconds.
const SEGMENT: f64 = 4.0;
/// Seconds between a cut in the video and the corresponding cut in the audio. The delay ensures that all audio that a
/// chunk's encoder needs is stored after the keyframe.
const AUDIO_LAG: f64 = 0.5;
/// Seconds after a chunk's first keyframe to seek to. Seeking to its exact time can find the keyframe before it.
const SEEK_AFTER: f64 = 0.002;
/// [`SEEK_AFTER`] for Matroska, where ffmpeg seeks 3/23 s earlier if frames are reordered.
const SEEK_AFTER_MATROSKA: f64 = 0.132;
/// If the first frame is presented later than this, in seconds, the renditions start with it. Earlier audio is dropped.
const LATE_START: f64 = 5.0;

/// How to encode a video: the ladder and the chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The object's container.
    pub container: Container,
    /// `FFmpeg`'s name for the transfer characteristics, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_transfer: Option<String>,
    /// Ticks per second, the unit of all times here.
    pub scale: u32,
    /// The source's time that becomes time 0 of the renditions.
    pub origin: i64,
    /// Minimum distance of two frames, in ticks.
    pub step: i64,
    /// Whether the video has audio.
    pub audio: bool,
    /// Average frames per second.
    pub frame_rate: f64,
    /// The ladder, the largest rung first.
    pub rungs: Vec<Rung>,
    /// The chunks, in the order of time.
    #[serde(rename = "parts")]
    pub chunks: Vec<Chunk>,
}

/// A chunk of a video, which one invocation encodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The chunk's number, from 0.
    pub index: usize,
    /// Presentation times of the chunk's first frame and of the next chunk's first frame, which is `None` for the last
    /// chunk. `None` if there is no index.
    pub span: Option<(i64, Option<i64>)>,
    /// Time to seek to, in seconds, see [`upreel_media::rendition::Chunk::seek`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seek: Option<String>,
    /// Duration of a segment, in seconds.
    pub segment: f64,
    /// Numbers of the chunk's AAC frames: from the first (inclusive) to the second (exclusive), which is `None` for the
    /// last chunk. `None` if the chunk starts after the end of the audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<(i64, Option<i64>)>,
}

impl Plan {
    /// Plans the transcoding of a video. `cuts` holds its keyframes; without them, the whole video is one chunk.
    ///
    /// # Errors
    /// Returns a failure if a chunk would take too long to encode, because keyframes are too far apart or there is no
    /// index, or if the container or the dimensions are unknown.
    pub fn new(media_info: &MediaInfo, cuts: Option<&CutPoints>) -> Result<Self, Failure> {
        let rate = frame_rate(media_info);
        let pixels =
            f64::from(media_info.width.unwrap_or(1)) * f64::from(media_info.height.unwrap_or(1)) * rate;
        Self::with_chunk_length(
            media_info,
            cuts,
            (CHUNK_PIXELS / pixels).clamp(CHUNK_SECONDS.0, CHUNK_SECONDS.1),
        )
    }

    /// Like [`Plan::new`], with chunks of about `length` seconds.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn with_chunk_length(
        media_info: &MediaInfo,
        cuts: Option<&CutPoints>,
        length: f64,
    ) -> Result<Self, Failure> {
        let (Some(container), Some(width), Some(height)) =
            (media_info.container, media_info.width, media_info.height)
        else {
            return Err(Failure::new(Failure::UNREADABLE, "The dimensions of the video are not known."));
        };
        let frame_rate = frame_rate(media_info);
        let pixels = f64::from(width) * f64::from(height) * frame_rate;
        let duration = media_info.duration_ms.map(seconds);
        let cuts = cuts.filter(|cuts| !cuts.times.is_empty());
        let scale = cuts.map_or(DEFAULT_SCALE, |cuts| cuts.scale);
        let starts = cuts.map(|cuts| chunk_starts(cuts, length)).unwrap_or_default();
        let origin =
            starts.first().copied().filter(|first| *first < 0 || at(*first, scale) > LATE_START).unwrap_or(0);
        let step = cuts.map_or(1, |cuts| cuts.step.max(1));
        let chunks = match cuts {
            Some(cuts) => chunks(container, cuts, &starts, origin, duration),
            None => {
                vec![Chunk { index: 0, span: None, seek: None, segment: SEGMENT, audio: Some((0, None)) }]
            }
        };
        if longest(&chunks, scale, duration) * pixels > MAX_PIXELS {
            let why = "Keyframes are too far apart, or there is no index to find them by.";
            return Err(Failure::new(
                Failure::TOO_COMPLEX,
                format!("The video cannot be cut into chunks. {why}"),
            ));
        }
        Ok(Self {
            container,
            color_transfer: media_info.color_transfer.clone(),
            scale,
            origin: origin - i64::try_from(REORDER).unwrap_or(0) * step,
            step,
            audio: media_info.audio_codec.is_some(),
            frame_rate,
            rungs: ladder(width, height, frame_rate),
            chunks,
        })
    }
}

/// Returns the frame rate; 30 if it is unknown or implausible.
fn frame_rate(media_info: &MediaInfo) -> f64 {
    media_info.frame_rate.filter(|rate| (1.0..=1000.0).contains(rate)).unwrap_or(30.0)
}

/// Chooses the keyframes at which chunks start: the last one that keeps the chunk before it within `length` seconds, or
/// the next one if there is none.
fn chunk_starts(cuts: &CutPoints, length: f64) -> Vec<i64> {
    let mut starts: Vec<i64> = Vec::new();
    let mut before: Option<i64> = None;
    for time in cuts.times.iter().copied() {
        let Some(start) = starts.last().copied() else {
            starts.push(time);
            continue;
        };
        let within = |time: i64| at(time - start, cuts.scale) <= length;
        if !within(time) {
            // All keyframes before this one are within `length`. The last of them, if any, starts the next chunk.
            let begin = before.filter(|before| *before > start).unwrap_or(time);
            starts.push(begin);
            // This keyframe may be too far from that one as well.
            if begin != time && at(time - begin, cuts.scale) > length {
                starts.push(time);
            }
        }
        before = Some(time);
    }
    starts
}

fn chunks(
    container: Container,
    cuts: &CutPoints,
    starts: &[i64],
    origin: i64,
    duration: Option<f64>,
) -> Vec<Chunk> {
    let scale = cuts.scale;
    let frames = |start: i64| {
        // Audio before the first frame belongs to the first chunk.
        let first = starts.first() == Some(&start);
        frame_from(if first { at(origin, scale) } else { at(start, scale) + AUDIO_LAG })
    };
    let chunk = |(index, start): (usize, &i64)| {
        let end = starts.get(index + 1).copied();
        let end_at = end.map(|end| at(end, scale)).or(duration);
        let length = end_at.map_or(SEGMENT, |end| end - at(*start, scale));
        let segments = (length / SEGMENT).round().max(1.0);
        Chunk {
            index,
            span: Some((*start, end)),
            seek: (index > 0).then(|| seek(container, cuts, *start)),
            // Rounded up, so that no single frame is left over for a last segment.
            segment: (length / segments).max(1.0) + 0.001,
            // ffmpeg fails to encode audio if the chunk starts after its end.
            audio: cuts.audio_end.is_none_or(|end| *start < end).then(|| (frames(*start), end.map(frames))),
        }
    };
    starts.iter().enumerate().map(chunk).collect()
}

/// Returns a time, in seconds, from which ffmpeg seeks back to the keyframe at `start` and no other.
fn seek(container: Container, cuts: &CutPoints, start: i64) -> String {
    let next = cuts.times.partition_point(|time| *time <= start);
    let room = cuts.times.get(next).map_or(f64::MAX, |next| at(next - start, cuts.scale));
    let after = match container {
        Container::Webm | Container::Mkv if room > 2.0 * SEEK_AFTER_MATROSKA => SEEK_AFTER_MATROSKA,
        _ => SEEK_AFTER.min(room / 2.0),
    };
    format!("{:.6}", at(start, cuts.scale) + after)
}

/// Returns the duration of the longest chunk, in seconds.
fn longest(chunks: &[Chunk], scale: u32, duration: Option<f64>) -> f64 {
    let length = |chunk: &Chunk| match chunk.span {
        Some((start, Some(end))) => at(end - start, scale),
        Some((start, None)) => duration.map_or(0.0, |duration| duration - at(start, scale)),
        None => duration.unwrap_or(0.0),
    };
    chunks.iter().map(length).fold(0.0, f64::max)
}

/// Converts ticks to seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks, and only used to choose cuts")]
fn at(time: i64, scale: u32) -> f64 {
    time as f64 / f64::from(scale.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 milliseconds")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Returns the number of the first AAC frame that starts at or after a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "AAC frames of a video are far fewer than 2^53"
)]
fn frame_from(seconds: f64) -> i64 {
    (seconds * f64::from(SAMPLE_RATE) / AAC_FRAME as f64).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_info() -> MediaInfo {
        MediaInfo {
            duration_ms: Some(100_000),
            width: Some(1920),
            height: Some(1080),
            frame_rate: Some(30.0),
            container: Some(Container::Mp4),
            audio_codec: Some("aac".into()),
            ..MediaInfo::default()
        }
    }

    fn cuts(times: impl IntoIterator<Item = i64>) -> CutPoints {
        CutPoints {
            scale: 600,
            step: 1,
            times: times.into_iter().collect(),
            edits: Vec::new(),
            start: 0,
            end: None,
            audio_end: None,
        }
    }

    fn plan(media_info: &MediaInfo, cuts: Option<&CutPoints>) -> Plan {
        Plan::new(media_info, cuts).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    #[test]
    fn chunks_start_at_keyframes_without_gaps() {
        let every_two_seconds = cuts((0..50).map(|i| i * 1200));
        let plan = plan(&media_info(), Some(&every_two_seconds));
        let spans: Vec<_> = plan.chunks.iter().map(|chunk| chunk.span.unwrap_or_default()).collect();
        assert_eq!(
            spans,
            [(0, Some(18_000)), (18_000, Some(36_000)), (36_000, Some(54_000)), (54_000, None)]
        );
        for pair in plan.chunks.windows(2) {
            assert_eq!(pair[0].audio.unwrap().1, Some(pair[1].audio.unwrap().0));
        }
        assert_eq!(plan.chunks[0].audio.unwrap().0, 0);
        // 30 s are 1406.25 AAC frames, and another half second is 23.4.
        assert_eq!(plan.chunks[1].audio.unwrap().0, 1430);
        assert_eq!(plan.chunks[1].seek.as_deref(), Some("30.002000"));
        assert_eq!((plan.chunks[0].seek.as_deref(), plan.origin), (None, -2));
    }

    #[test]
    fn chunks_are_as_short_as_keyframes_allow() {
        let far_apart = cuts([0, 6000, 30_000, 33_000, 60_000]);
        let starts = chunk_starts(&far_apart, 30.0);
        assert_eq!(starts, [0, 6000, 30_000, 33_000, 60_000], "{starts:?}");
        let sparse = chunk_starts(&cuts([0, 600, 1200, 60_000]), 30.0);
        assert_eq!(sparse, [0, 1200, 60_000]);
    }

    #[test]
    fn chunks_are_shorter_for_larger_videos() {
        let every_second = cuts((0..100).map(|i| i * 600));
        let count = |width, height, rate| {
            let media_info = MediaInfo {
                width: Some(width),
                height: Some(height),
                frame_rate: Some(rate),
                ..media_info()
            };
            plan(&media_info, Some(&every_second)).chunks.len()
        };
        assert_eq!(count(640, 360, 30.0), 2);
        assert_eq!(count(1920, 1080, 30.0), 4);
        assert_eq!(count(3840, 2160, 60.0), 10);
    }

    #[test]
    fn video_without_index_is_one_chunk_or_too_complex() {
        let whole = plan(&media_info(), None);
        assert_eq!((whole.chunks.len(), whole.scale), (1, DEFAULT_SCALE));
        assert_eq!((whole.chunks[0].span, whole.chunks[0].audio), (None, Some((0, None))));
        let long = MediaInfo { duration_ms: Some(3_600_000), ..media_info() };
        assert_eq!(Plan::new(&long, None).unwrap_err().code, Failure::TOO_COMPLEX);
        assert_eq!(Plan::new(&long, Some(&cuts([0]))).unwrap_err().code, Failure::TOO_COMPLEX);
        let unknown = MediaInfo { width: None, ..media_info() };
        assert_eq!(Plan::new(&unknown, None).unwrap_err().code, Failure::UNREADABLE);
    }

    #[test]
    fn matroska_seeks_later_unless_the_next_keyframe_is_close() {
        let times = cuts([0, 600, 660]);
        assert_eq!(seek(Container::Mkv, &times, 0), "0.132000");
        assert_eq!(seek(Container::Mkv, &times, 600), "1.002000");
        assert_eq!(seek(Container::Mp4, &times, 0), "0.002000");
    }

    #[test]
    fn late_or_early_first_frame_moves_the_origin() {
        let origin = |first| plan(&media_info(), Some(&cuts([first, first + 600]))).origin;
        assert_eq!([origin(0), origin(600), origin(600_000), origin(-40)], [-2, -2, 599_998, -42]);
        let late = plan(&media_info(), Some(&cuts([600_000])));
        assert_eq!(late.chunks[0].audio.unwrap().0, 46_875);
    }

    #[test]
    fn chunks_after_the_end_of_audio_have_none() {
        let has_audio = |audio_end| {
            let cuts = CutPoints { audio_end, ..cuts((0..50).map(|i| i * 1200)) };
            plan(&media_info(), Some(&cuts))
                .chunks
                .iter()
                .map(|chunk| chunk.audio.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(has_audio(None), [true; 4]);
        assert_eq!(has_audio(Some(18_001)), [true, true, false, false]);
        assert_eq!(has_audio(Some(18_000)), [true, false, false, false]);
        assert_eq!(has_audio(Some(0)), [false; 4]);
    }
}
