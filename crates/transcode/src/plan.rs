//! Into which parts a video is cut: at keyframes, each part long enough to be worth a start and short enough to be
//! done in time.

use serde::{Deserialize, Serialize};
use upreel_core::video::MediaInfo;
use upreel_core::{Container, Failure};
use upreel_media::keyframe::CutPoints;
use upreel_media::rendition::{AAC_FRAME, DEFAULT_SCALE, SAMPLE_RATE};

use crate::ladder::{Rung, ladder};
use upreel_media::cmaf::REORDER;

/// How long a part is to be, in seconds.
const PART: (f64, f64) = (10.0, 60.0);
/// Pixels in a part: 30 s in 1080p with 30 pictures a second.
const PART_PIXELS: f64 = 30.0 * 30.0 * 1920.0 * 1080.0;
/// A part with more pixels than this comes near to fifteen minutes: 10 min of the same.
const MAX_PIXELS: f64 = 20.0 * PART_PIXELS;
/// How long a segment is to be, in seconds.
const SEGMENT: f64 = 4.0;
/// Sound is cut so many seconds after the picture, so that all that a part's encoder needs lies behind the keyframe.
const AUDIO_LAG: f64 = 0.5;
/// Where ffmpeg looks for the keyframe of a part: a little after it, or else at the one before.
const SEEK_AFTER: f64 = 0.002;
/// The same in Matroska, where ffmpeg looks 3/23 s earlier if pictures are stored out of order.
const SEEK_AFTER_MATROSKA: f64 = 0.132;
/// A first picture this late (in seconds) begins the time; sound and silence before it are left out.
const LATE: f64 = 5.0;

/// How a video is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What the object's bytes are.
    pub container: Container,
    /// The transfer characteristics, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_transfer: Option<String>,
    /// Ticks in a second, for all times here.
    pub scale: u32,
    /// What is the time 0 in the renditions.
    pub origin: i64,
    /// No two pictures are nearer to each other.
    pub step: i64,
    /// Whether there is sound.
    pub audio: bool,
    /// Frames in a second, on average.
    pub frame_rate: f64,
    /// The sizes, the largest first.
    pub rungs: Vec<Rung>,
    /// The parts, in the order of time.
    pub parts: Vec<Part>,
}

/// A part of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Which one, from 0.
    pub index: usize,
    /// When its first picture is shown, and the first one of the next part; `None` without an index.
    pub span: Option<(i64, Option<i64>)>,
    /// In seconds, see [`upreel_media::rendition::Part::seek`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seek: Option<String>,
    /// Seconds of a segment.
    pub segment: f64,
    /// AAC frames, from the first until before the second; `None` where there is no sound any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<(i64, Option<i64>)>,
}

impl Plan {
    /// Plans by what is known of a video, and where it can be cut, if its index tells.
    ///
    /// # Errors
    /// When a part would take too long, because keyframes are too far apart.
    pub fn new(media_info: &MediaInfo, cuts: Option<&CutPoints>) -> Result<Self, Failure> {
        let rate = frame_rate(media_info);
        let pixels =
            f64::from(media_info.width.unwrap_or(1)) * f64::from(media_info.height.unwrap_or(1)) * rate;
        Self::in_parts(media_info, cuts, (PART_PIXELS / pixels).clamp(PART.0, PART.1))
    }

    /// The same with parts of so many seconds.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn in_parts(media_info: &MediaInfo, cuts: Option<&CutPoints>, length: f64) -> Result<Self, Failure> {
        let (Some(container), Some(width), Some(height)) =
            (media_info.container, media_info.width, media_info.height)
        else {
            return Err(Failure::new(Failure::UNREADABLE, "The size of the picture is not known."));
        };
        let frame_rate = frame_rate(media_info);
        let pixels = f64::from(width) * f64::from(height) * frame_rate;
        let duration = media_info.duration_ms.map(seconds);
        let cuts = cuts.filter(|cuts| !cuts.times.is_empty());
        let scale = cuts.map_or(DEFAULT_SCALE, |cuts| cuts.scale);
        let starts = cuts.map(|cuts| chosen(cuts, length)).unwrap_or_default();
        let origin =
            starts.first().copied().filter(|first| *first < 0 || at(*first, scale) > LATE).unwrap_or(0);
        let step = cuts.map_or(1, |cuts| cuts.step.max(1));
        let parts = match cuts {
            Some(cuts) => parts(container, cuts, &starts, origin, duration),
            None => {
                vec![Part { index: 0, span: None, seek: None, segment: SEGMENT, audio: Some((0, None)) }]
            }
        };
        if longest(&parts, scale, duration) * pixels > MAX_PIXELS {
            let why = "Keyframes are too far apart, or there is no index to find them by.";
            return Err(Failure::new(
                Failure::TOO_COMPLEX,
                format!("The video cannot be cut into parts. {why}"),
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
            parts,
        })
    }
}

fn frame_rate(media_info: &MediaInfo) -> f64 {
    media_info.frame_rate.filter(|rate| (1.0..=1000.0).contains(rate)).unwrap_or(30.0)
}

/// The keyframes at which parts begin: the last one that keeps a part within `length`, else the next one.
fn chosen(cuts: &CutPoints, length: f64) -> Vec<i64> {
    let mut chosen: Vec<i64> = Vec::new();
    let mut before: Option<i64> = None;
    for time in cuts.times.iter().copied() {
        let Some(start) = chosen.last().copied() else {
            chosen.push(time);
            continue;
        };
        let within = |time: i64| at(time - start, cuts.scale) <= length;
        if !within(time) {
            // All keyframes up to here are within; the last of them begins the next part, if there is one.
            let begin = before.filter(|before| *before > start).unwrap_or(time);
            chosen.push(begin);
            // This one may be too far away from that, too.
            if begin != time && at(time - begin, cuts.scale) > length {
                chosen.push(time);
            }
        }
        before = Some(time);
    }
    chosen
}

fn parts(
    container: Container,
    cuts: &CutPoints,
    starts: &[i64],
    origin: i64,
    duration: Option<f64>,
) -> Vec<Part> {
    let scale = cuts.scale;
    let frames = |start: i64| {
        // Sound before the first picture belongs to the first part.
        let first = starts.first() == Some(&start);
        frame_from(if first { at(origin, scale) } else { at(start, scale) + AUDIO_LAG })
    };
    let part = |(index, start): (usize, &i64)| {
        let end = starts.get(index + 1).copied();
        let end_at = end.map(|end| at(end, scale)).or(duration);
        let length = end_at.map_or(SEGMENT, |end| end - at(*start, scale));
        let segments = (length / SEGMENT).round().max(1.0);
        Part {
            index,
            span: Some((*start, end)),
            seek: (index > 0).then(|| seek(container, cuts, *start)),
            // Rounded up, so that no picture is left over for a segment of its own.
            segment: (length / segments).max(1.0) + 0.001,
            // ffmpeg cannot encode sound of which it sees nothing.
            audio: cuts.audio_end.is_none_or(|end| *start < end).then(|| (frames(*start), end.map(frames))),
        }
    };
    starts.iter().enumerate().map(part).collect()
}

/// A moment at which ffmpeg, looking for the keyframe at or before it, finds this one.
fn seek(container: Container, cuts: &CutPoints, start: i64) -> String {
    let next = cuts.times.partition_point(|time| *time <= start);
    let room = cuts.times.get(next).map_or(f64::MAX, |next| at(next - start, cuts.scale));
    let after = match container {
        Container::Webm | Container::Mkv if room > 2.0 * SEEK_AFTER_MATROSKA => SEEK_AFTER_MATROSKA,
        _ => SEEK_AFTER.min(room / 2.0),
    };
    format!("{:.6}", at(start, cuts.scale) + after)
}

/// The longest part, in seconds.
fn longest(parts: &[Part], scale: u32, duration: Option<f64>) -> f64 {
    let length = |part: &Part| match part.span {
        Some((start, Some(end))) => at(end - start, scale),
        Some((start, None)) => duration.map_or(0.0, |duration| duration - at(start, scale)),
        None => duration.unwrap_or(0.0),
    };
    parts.iter().map(length).fold(0.0, f64::max)
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks, and used to choose, not to cut")]
fn at(time: i64, scale: u32) -> f64 {
    time as f64 / f64::from(scale.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a video")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The first AAC frame that begins at a moment or after it.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "frames of a video")]
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
        CutPoints { scale: 600, step: 1, times: times.into_iter().collect(), audio_end: None }
    }

    fn plan(media_info: &MediaInfo, cuts: Option<&CutPoints>) -> Plan {
        Plan::new(media_info, cuts).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    #[test]
    fn parts_begin_at_keyframes_and_follow_each_other() {
        let every_two_seconds = cuts((0..50).map(|i| i * 1200));
        let plan = plan(&media_info(), Some(&every_two_seconds));
        let spans: Vec<_> = plan.parts.iter().map(|part| part.span.unwrap_or_default()).collect();
        assert_eq!(
            spans,
            [(0, Some(18_000)), (18_000, Some(36_000)), (36_000, Some(54_000)), (54_000, None)]
        );
        for pair in plan.parts.windows(2) {
            assert_eq!(pair[0].audio.unwrap().1, Some(pair[1].audio.unwrap().0));
        }
        assert_eq!(plan.parts[0].audio.unwrap().0, 0);
        // 30 s are 1406.25 frames; half a second more are 23.4.
        assert_eq!(plan.parts[1].audio.unwrap().0, 1430);
        assert_eq!(plan.parts[1].seek.as_deref(), Some("30.002000"));
        assert_eq!((plan.parts[0].seek.as_deref(), plan.origin), (None, -2));
    }

    #[test]
    fn a_part_is_no_longer_than_it_has_to_be() {
        let far_apart = cuts([0, 6000, 30_000, 33_000, 60_000]);
        let starts = chosen(&far_apart, 30.0);
        assert_eq!(starts, [0, 6000, 30_000, 33_000, 60_000], "{starts:?}");
        let lonely = chosen(&cuts([0, 600, 1200, 60_000]), 30.0);
        assert_eq!(lonely, [0, 1200, 60_000]);
    }

    #[test]
    fn more_pixels_make_shorter_parts() {
        let every_second = cuts((0..100).map(|i| i * 600));
        let count = |width, height, rate| {
            let media_info = MediaInfo {
                width: Some(width),
                height: Some(height),
                frame_rate: Some(rate),
                ..media_info()
            };
            plan(&media_info, Some(&every_second)).parts.len()
        };
        assert_eq!(count(640, 360, 30.0), 2);
        assert_eq!(count(1920, 1080, 30.0), 4);
        assert_eq!(count(3840, 2160, 60.0), 10);
    }

    #[test]
    fn without_an_index_there_is_one_part_or_none() {
        let whole = plan(&media_info(), None);
        assert_eq!((whole.parts.len(), whole.scale), (1, DEFAULT_SCALE));
        assert_eq!((whole.parts[0].span, whole.parts[0].audio), (None, Some((0, None))));
        let long = MediaInfo { duration_ms: Some(3_600_000), ..media_info() };
        assert_eq!(Plan::new(&long, None).unwrap_err().code, Failure::TOO_COMPLEX);
        assert_eq!(Plan::new(&long, Some(&cuts([0]))).unwrap_err().code, Failure::TOO_COMPLEX);
        let unknown = MediaInfo { width: None, ..media_info() };
        assert_eq!(Plan::new(&unknown, None).unwrap_err().code, Failure::UNREADABLE);
    }

    #[test]
    fn matroska_is_sought_later_unless_the_next_keyframe_is_near() {
        let times = cuts([0, 600, 660]);
        assert_eq!(seek(Container::Mkv, &times, 0), "0.132000");
        assert_eq!(seek(Container::Mkv, &times, 600), "1.002000");
        assert_eq!(seek(Container::Mp4, &times, 0), "0.002000");
    }

    #[test]
    fn a_late_or_early_first_picture_moves_the_origin() {
        let origin = |first| plan(&media_info(), Some(&cuts([first, first + 600]))).origin;
        assert_eq!([origin(0), origin(600), origin(600_000), origin(-40)], [-2, -2, 599_998, -42]);
        let late = plan(&media_info(), Some(&cuts([600_000])));
        assert_eq!(late.parts[0].audio.unwrap().0, 46_875);
    }

    #[test]
    fn parts_after_the_sound_have_none() {
        let heard = |audio_end| {
            let cuts = CutPoints { audio_end, ..cuts((0..50).map(|i| i * 1200)) };
            plan(&media_info(), Some(&cuts)).parts.iter().map(|part| part.audio.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(heard(None), [true; 4]);
        assert_eq!(heard(Some(18_001)), [true, true, false, false]);
        assert_eq!(heard(Some(18_000)), [true, false, false, false]);
        assert_eq!(heard(Some(0)), [false; 4]);
    }
}
