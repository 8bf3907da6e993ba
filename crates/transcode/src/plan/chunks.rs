//! Where chunks start and end, and how ffmpeg finds them.

use upreel_core::Container;
use upreel_media::keyframe::CutPoints;
use upreel_media::rendition::{AAC_FRAME, SAMPLE_RATE};

use super::Chunk;

/// Intended duration of a segment, in seconds.
const SEGMENT: f64 = 4.0;
/// Seconds between a cut in the video and the corresponding cut in the audio. The delay ensures that all audio that a
/// chunk's encoder needs is stored after the keyframe.
const AUDIO_LAG: f64 = 0.5;
/// Seconds after a chunk's first keyframe to seek to. Seeking to its exact time can find the keyframe before it.
const SEEK_AFTER: f64 = 0.002;
/// [`SEEK_AFTER`] for Matroska, where ffmpeg seeks 3/23 s earlier if frames are reordered.
const SEEK_AFTER_MATROSKA: f64 = 0.132;

/// Chooses the times at which chunks start: the start of each edit, and keyframes within the edits.
pub(super) fn chunk_starts(cuts: &CutPoints, length: f64) -> Vec<i64> {
    let starts_edit = |time: &i64| cuts.edits.binary_search_by_key(time, |(start, _)| *start).is_ok();
    let edits = cuts.times.chunk_by(|_, next| !starts_edit(next));
    edits.flat_map(|times| starts_within(times, cuts.scale, length)).collect()
}

/// Chooses the keyframes at which chunks start: the last one that keeps the chunk before it within `length` seconds, or
/// the next one if there is none.
pub(super) fn starts_within(times: &[i64], scale: u32, length: f64) -> Vec<i64> {
    let mut starts: Vec<i64> = Vec::new();
    let mut before: Option<i64> = None;
    for time in times.iter().copied() {
        let Some(start) = starts.last().copied() else {
            starts.push(time);
            continue;
        };
        let within = |time: i64| at(time - start, scale) <= length;
        if !within(time) {
            // All keyframes before this one are within `length`. The last of them, if any, starts the next chunk.
            let begin = before.filter(|before| *before > start).unwrap_or(time);
            starts.push(begin);
            // This keyframe may be too far from that one as well.
            if begin != time && at(time - begin, scale) > length {
                starts.push(time);
            }
        }
        before = Some(time);
    }
    starts
}

/// Describes the chunks that start at `starts`.
pub(super) fn chunks(
    container: Container,
    cuts: &CutPoints,
    starts: &[i64],
    origin: i64,
    duration: Option<f64>,
) -> Vec<Chunk> {
    let scale = cuts.scale;
    let since_origin = |time: i64| at(time.saturating_sub(origin), scale);
    let chunk = |(index, start): (usize, &i64)| {
        let end = starts.get(index + 1).copied();
        let from = if index == 0 { origin.min(*start) } else { *start };
        let length = end.map(since_origin).or(duration).map(|end| end - since_origin(from));
        // The first chunk contains all frames from the start of the presentation on, even those before a keyframe. With
        // an edit list, it starts with the first edit.
        let start = if cuts.edits.is_empty() { from } else { *start };
        let frames = |time: i64| {
            let time = since_origin(time);
            // A slice has all audio that the chunk needs. An edit begins with its own audio, not with silence.
            if cuts.lists_samples { frame_at(time) } else { frame_at(time + AUDIO_LAG) + 1 }
        };
        let edit = cuts.edits.partition_point(|(first, _)| *first <= start).saturating_sub(1);
        let until = cuts.edits.get(edit).map(|(_, until)| *until);
        Chunk {
            index,
            span: Some((start, end)),
            until: until.filter(|until| end.is_none_or(|end| *until < end)),
            seek: (index > 0 && !cuts.lists_samples).then(|| seek(container, cuts, start)),
            segment: segment(length),
            audio_frames: (if index == 0 { 0 } else { frames(start) }, end.map(frames)),
            audio_spans: Vec::new(),
        }
    };
    starts.iter().enumerate().map(chunk).collect()
}

/// Returns the duration of a segment that divides a chunk of this length evenly.
pub(super) fn segment(length: Option<f64>) -> f64 {
    length.map_or(SEGMENT, |length| (length / (length / SEGMENT).round().max(1.0)).max(1.0))
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
pub(super) fn longest(chunks: &[Chunk], scale: u32, origin: i64, duration: Option<f64>) -> f64 {
    let length = |chunk: &Chunk| match chunk.span {
        Some((start, Some(end))) => at(end - start, scale),
        Some((start, None)) => duration.map_or(0.0, |duration| duration - at(start - origin, scale)),
        None => duration.unwrap_or(0.0),
    };
    chunks.iter().map(length).fold(0.0, f64::max)
}

/// Converts ticks to seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks, and only used to choose cuts")]
pub(super) fn at(time: i64, scale: u32) -> f64 {
    time as f64 / f64::from(scale.max(1))
}

/// Converts seconds to ticks.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and durations are far below 2^53 ticks")]
pub(super) fn ticks(seconds: f64, scale: u32) -> i64 {
    (seconds * f64::from(scale)).round() as i64
}

/// Returns the number of the AAC frame that is played at a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "AAC frames of a video are far fewer than 2^53"
)]
pub(super) fn frame_at(seconds: f64) -> i64 {
    (seconds * f64::from(SAMPLE_RATE) / AAC_FRAME as f64).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(times: impl IntoIterator<Item = i64>) -> CutPoints {
        CutPoints { scale: 600, times: times.into_iter().collect(), ..CutPoints::default() }
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
    fn each_edit_starts_a_chunk() {
        let mut cuts = cuts([0, 600, 1200, 1500, 1800, 9000, 9600]);
        cuts.lists_samples = true;
        cuts.edits = vec![(0, 1400), (1500, 9300), (9600, 9700)];
        let starts = chunk_starts(&cuts, 10.0);
        assert_eq!(starts, [0, 1500, 1800, 9000, 9600]);
        let chunks = chunks(Container::Mp4, &cuts, &starts, 0, Some(20.0));
        let ends: Vec<_> = chunks.iter().map(|chunk| (chunk.span.unwrap().1, chunk.until)).collect();
        let expected = [(1500, Some(1400)), (1800, None), (9000, None), (9600, Some(9300))];
        assert_eq!(ends[..4], expected.map(|(end, until)| (Some(end), until)));
        assert_eq!(ends[4], (None, Some(9700)));
        assert!(chunks.iter().all(|chunk| chunk.seek.is_none()));
        assert_eq!(chunks[1].audio_frames.0, 117, "2.5 s are 117.2 AAC frames");
    }

    #[test]
    fn matroska_seeks_later_unless_the_next_keyframe_is_close() {
        let times = cuts([0, 600, 660]);
        assert_eq!(seek(Container::Mkv, &times, 0), "0.132000");
        assert_eq!(seek(Container::Mkv, &times, 600), "1.002000");
        assert_eq!(seek(Container::Mp4, &times, 0), "0.002000");
    }

    #[test]
    fn segments_divide_a_chunk_evenly() {
        for (length, expected) in [(60.0, 4.0), (10.0, 10.0 / 3.0), (4.04, 4.04), (6.0, 3.0), (0.3, 1.0)] {
            assert!((segment(Some(length)) - expected).abs() < 1e-9, "{length}");
        }
        assert!((segment(None) - 4.0).abs() < 1e-9);
    }
}
