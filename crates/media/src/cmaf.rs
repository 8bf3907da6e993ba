//! CMAF segments (ISO/IEC 23000-19) made of encoded frames, with the timestamps of the source.

mod file;
mod head;
mod init;

use crate::mp4::boxes::atom;
use crate::rendition::AAC_FRAME;

pub use file::{File, Sample, Unexpected};
pub(crate) use head::{Row, head};
pub(crate) use init::{Geometry, Matrix, UNITY, init as init_of, init_for_decoder};

/// A media segment: `styp`, `moof` and `mdat`.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// The serialised boxes.
    pub bytes: Vec<u8>,
    /// The duration in ticks.
    pub duration: u64,
    /// Number of bytes up to the end of the first sample, enough to show that frame.
    pub first: usize,
}

/// A sample with its times on the timeline of the whole video.
struct Timed<'a> {
    sample: &'a Sample,
    decoded: i64,
    presented: i64,
    duration: i64,
}

/// Why encoded frames cannot be cut into segments.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The encoder returned more or fewer frames than it was given.
    #[error("{samples} encoded frames for {times} presentation times")]
    Count {
        /// Encoded frames.
        samples: usize,
        /// Frames that were to be encoded.
        times: usize,
    },
    /// A segment does not start with its first frame, or has too few ticks between its frames.
    #[error("the frames of a segment cannot be decoded in this order")]
    Order,
}

/// Returns the initialization segment: `ftyp` and `moov`.
pub fn init(file: &File) -> Vec<u8> {
    let mut bytes = atom(*b"ftyp", &[b"iso6", &0u32.to_be_bytes(), b"iso6cmfcmp41"]);
    bytes.extend(&file.moov);
    bytes
}

/// Cuts a chunk of video into segments, one for each keyframe.
///
/// `times` are the presentation times in ascending order, `end` is the end of the last frame, both in ticks of the
/// file's timescale. `number` is the sequence number of the first segment.
///
/// # Errors
/// See [`Mismatch`].
pub fn video(file: &File, times: &[i64], end: i64, number: u32) -> Result<Vec<Segment>, Mismatch> {
    let samples = &file.samples;
    if samples.len() != times.len() {
        return Err(Mismatch::Count { samples: samples.len(), times: times.len() });
    }
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|i| samples[*i].presentation_time);
    let mut presented = vec![0; samples.len()];
    for (i, time) in order.into_iter().zip(times) {
        presented[i] = *time;
    }
    let frames: Vec<(&Sample, i64)> = samples.iter().zip(presented).collect();
    let groups: Vec<&[(&Sample, i64)]> = frames.chunk_by(|_, next| !next.0.is_sync).collect();
    let begins = groups.iter().filter_map(|group| group.first()).map(|(_, time)| *time);
    let ends: Vec<i64> = begins.clone().skip(1).chain([end]).collect();
    let spans = begins.zip(ends);
    let segments = groups.iter().zip(spans).zip(number..).map(|((group, (begin, end)), number)| {
        let presented: Vec<i64> = group.iter().map(|(_, time)| *time).collect();
        let decoded = decode_times(&presented, end).ok_or(Mismatch::Order)?;
        let next = decoded.iter().copied().skip(1).chain([end]);
        let frames =
            group.iter().zip(&decoded).zip(next).map(|(((sample, presented), decoded), next)| Timed {
                sample,
                decoded: *decoded,
                presented: *presented,
                duration: next.saturating_sub(*decoded).max(1),
            });
        let duration = u64::try_from(end.saturating_sub(begin)).unwrap_or(0);
        Ok(segment(file, &frames.collect::<Vec<_>>(), duration, number))
    });
    segments.collect()
}

/// Returns the decode times of the frames of a segment that ends at `end`, for their presentation times in the order of
/// decoding.
///
/// In MP4, a frame lasts until the next one is decoded, whichever is presented next. When Chromium seeks, it shows the
/// first frame that lasts until the wanted time. So each frame gets its own duration, beginning with the last frame,
/// which is decoded when it is presented. A frame is decoded earlier if it is presented earlier. The first frame is
/// decoded when it is presented; for the first ones, little time is left before that of a later frame, which they share.
///
/// So no frame is presented before it is decoded or ends after `end`, and decode times ascend across segments and chunks,
/// although each chunk is made without knowing the others. Of the alternatives, a decode time before the first
/// presentation makes hls.js skip the first frames, and negative composition offsets are not handled alike by all players.
pub(crate) fn decode_times(presented: &[i64], end: i64) -> Option<Vec<i64>> {
    let durations = durations(presented, end)?;
    // A frame has to be decoded when it or a frame after it is presented, whichever is first.
    let mut latest = presented.to_vec();
    for i in (1..latest.len()).rev() {
        latest[i - 1] = latest[i - 1].min(latest[i]);
    }
    let start = presented.first().copied().filter(|first| latest.first() == Some(first))?;
    // At least a tick is left for each frame.
    let least = |i: usize| start.saturating_add(i64::try_from(i).unwrap_or(i64::MAX));
    let mut times = latest.clone();
    for i in (1..times.len()).rev() {
        times[i - 1] = times[i - 1].min(times[i].saturating_sub(durations[i - 1]).max(least(i - 1)));
    }
    let short = times.iter().enumerate().take_while(|(i, time)| **time <= least(*i)).count();
    let next = times.get(short).copied().unwrap_or(start);
    for i in (1..short).rev() {
        let before = times.get(i + 1).copied().unwrap_or(end).saturating_sub(1);
        times[i] = latest[i].min(before);
    }
    let whole: i128 = durations.iter().take(short).copied().map(i128::from).sum();
    let mut before = 0;
    for i in 1..short {
        before += i128::from(durations[i - 1]);
        let share = i64::try_from(i128::from(next.saturating_sub(start)) * before / whole).ok()?;
        times[i] = times[i].min(start.saturating_add(share).max(times[i - 1].saturating_add(1)));
    }
    times.is_sorted_by(|time, next| time < next).then_some(times)
}

/// Returns how long each frame is presented, or `None` if two are presented at the same time.
fn durations(presented: &[i64], end: i64) -> Option<Vec<i64>> {
    let mut order: Vec<usize> = (0..presented.len()).collect();
    order.sort_unstable_by_key(|i| presented[*i]);
    let mut durations = vec![0; presented.len()];
    let mut next = end;
    for i in order.into_iter().rev() {
        durations[i] = next.checked_sub(presented[i]).filter(|duration| *duration > 0)?;
        next = presented[i];
    }
    Some(durations)
}

/// Cuts audio `samples`, which begin at `start`, into about `segments` segments.
pub fn audio(file: &File, samples: &[Sample], start: i64, segments: usize, number: u32) -> Vec<Segment> {
    let mut at = start;
    let timed: Vec<Timed<'_>> = samples
        .iter()
        .map(|sample| {
            let (decoded, duration) = (at, AAC_FRAME);
            at = at.saturating_add(duration);
            Timed { sample, decoded, presented: decoded, duration }
        })
        .collect();
    let groups = timed.chunks(timed.len().div_ceil(segments.max(1)).max(1));
    let length = |group: &[Timed<'_>]| group.iter().map(|timed| timed.duration.unsigned_abs()).sum();
    groups.zip(number..).map(|(group, number)| segment(file, group, length(group), number)).collect()
}

fn segment(file: &File, samples: &[Timed<'_>], duration: u64, number: u32) -> Segment {
    let begin = samples.first().map_or(0, |timed| timed.decoded.cast_unsigned());
    let row = |timed: &Timed<'_>| Row {
        size: u32::try_from(file.data(timed.sample).len()).unwrap_or(u32::MAX),
        duration: u32::try_from(timed.duration).unwrap_or(0),
        offset: u32::try_from(timed.presented.saturating_sub(timed.decoded)).unwrap_or(0),
        is_sync: timed.sample.is_sync,
    };
    let mut bytes = head(number, begin, &samples.iter().map(row).collect::<Vec<_>>());
    let data = samples.iter().map(|timed| file.data(timed.sample));
    let first = bytes.len() + data.clone().next().map_or(0, <[u8]>::len);
    data.for_each(|data| bytes.extend(data));
    Segment { bytes, duration, first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_frame_is_decoded_when_it_is_presented() {
        assert_eq!(decode_times(&[0, 10, 20], 30).unwrap(), [0, 10, 20]);
        // I P B B P B B
        assert_eq!(decode_times(&[0, 30, 10, 20, 60, 40, 50], 70).unwrap(), [0, 5, 10, 20, 30, 40, 50]);
        // With a B-frame as reference.
        assert_eq!(decode_times(&[100, 140, 120, 110, 130], 150).unwrap(), [100, 103, 106, 110, 130]);
    }

    #[test]
    fn frames_last_as_long_as_they_are_presented() {
        // A group of pictures with B-frames as references, I4 P8 B6 b5 b7 and so on, of 25 frames per second.
        let order = (0..12).flat_map(|i| [4, 2, 1, 3].map(|n| 40 * (4 * i + n)));
        let presented: Vec<i64> = [0].into_iter().chain(order).collect();
        let decoded = decode_times(&presented, 49 * 40).unwrap();
        let lasts: Vec<i64> = decoded.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(lasts[..4], [13, 13, 14, 40]);
        assert!(lasts[3..46].iter().all(|duration| *duration == 40), "{lasts:?}");
        assert_eq!(decoded.last(), presented.last());

        // Of a variable frame rate.
        let decoded = decode_times(&[0, 10, 40, 20, 80, 70, 90], 100).unwrap();
        assert_eq!(decoded, [0, 4, 8, 20, 60, 70, 90]);
        // The third frame is presented long before the second one, and for long.
        assert_eq!(decode_times(&[0, 1000, 5, 1010, 1020], 1030).unwrap(), [0, 1, 5, 1010, 1020]);
        // Hardly enough ticks.
        assert_eq!(decode_times(&[0, 1016, 16, 3, 15, 13], 1021).unwrap(), [0, 1, 2, 3, 12, 13]);
    }

    #[test]
    fn no_frame_lasts_longer_than_its_segment() {
        // In the first case, I P B with a long gap: spread evenly, the P would last 616 ticks, but it is presented 202
        // ticks before the end.
        for (presented, end) in
            [(&[8300, 9767, 9533][..], 9969), (&[0, 160, 4, 8, 12], 164), (&[0, 9, 8, 7, 6], 10)]
        {
            let decoded = decode_times(presented, end).unwrap();
            assert!(decoded.is_sorted_by(|a, b| a < b), "{decoded:?}");
            let next = decoded.iter().skip(1).copied().chain([end]);
            let ends =
                presented.iter().zip(&decoded).zip(next).map(|((time, decoded), next)| time + next - decoded);
            assert_eq!(ends.max(), Some(end), "{decoded:?}");
            assert!(presented.iter().zip(&decoded).all(|(presented, decoded)| decoded <= presented));
        }
    }

    #[test]
    fn decode_times_ascend_and_are_not_after_presentation() {
        // Two steps of a tick are enough for a B-frame as reference, if a tick is divided into four.
        for presented in [&[0, 16, 8, 4, 12, 24, 20][..], &[4, 8, 12], &[-8, 0, -4]] {
            let decoded = decode_times(presented, 50).unwrap();
            assert!(decoded.is_sorted_by(|a, b| a < b), "{decoded:?}");
            assert!(
                decoded.iter().zip(presented).all(|(decoded, presented)| decoded <= presented),
                "{decoded:?}"
            );
            assert_eq!(decoded[0], presented[0]);
        }
    }

    #[test]
    fn impossible_orders_are_errors() {
        assert_eq!(decode_times(&[10, 0], 40), None, "the first frame is not presented first");
        assert_eq!(decode_times(&[0, 3, 2, 1], 40), None, "too few ticks");
        assert_eq!(decode_times(&[0, 0], 40), None, "two frames at the same time");
        assert_eq!(decode_times(&[], 40), None);
    }
}
