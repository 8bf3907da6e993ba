//! Reads video of MPEG-1 and MPEG-2 without timestamps (ISO/IEC 11172-2, 13818-2): in no container, or in a program
//! stream that has none. Frames follow each other at the rate that the sequence header states.

use memchr::memmem;

use super::elementary::{Codec, Unit, units};
use super::packets::{Elementary, Found};
use super::timeline::{MS, Stamp};

/// Frames per second by `frame_rate_code` (ISO/IEC 13818-2, table 6-4), as fractions.
const RATES: [(u64, u64); 8] =
    [(24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1)];
const SEQUENCE: &[u8] = b"\0\0\x01\xB3";
const GROUP: &[u8] = b"\0\0\x01\xB8";
const PICTURE: &[u8] = b"\0\0\x01\0";

/// The times of frames that have no timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untimed {
    rate: (u64, u64),
    /// Bytes of the file for each frame, measured at its start.
    bytes: u64,
}

impl Untimed {
    /// Measures the start of a stream. Returns `None` if it has timestamps, or no rate.
    pub(super) fn measure(start: &Elementary, codec: Codec) -> Option<Self> {
        let has_times = start.marks.iter().any(|mark| mark.pts.is_some());
        let units = units(codec, &start.bytes, true);
        // The last frame may be cut off.
        let (last, _) = start.bounds(units.last()?.start, units.last()?.start + 1)?;
        let bytes = (last / (units.len() - 1).max(1)).max(1) as u64;
        let rate = frame_rate(&start.bytes)?;
        (codec == Codec::Mpeg2 && !has_times).then_some(Self { rate, bytes })
    }

    /// Returns the keyframes and the times of all frames in a slice at an offset of the file. The times are exact in
    /// the slice at offset 0, and estimates in all others. `whole` says that the stream ends with the slice.
    pub(super) fn scan(self, slice: &Elementary, offset: u64, whole: bool) -> (Vec<Found>, Vec<Stamp>) {
        let (mut keyframes, mut stamps) = (Vec::new(), Vec::new());
        let before = offset / self.bytes;
        let mut group = 0;
        for (unit, number) in units(Codec::Mpeg2, &slice.bytes, whole).iter().zip(0u64..) {
            let picture = Picture::of(&slice.bytes, unit);
            if picture.starts_group {
                group = number;
            }
            let Some((at, _)) = slice.bounds(unit.start, unit.start + 1) else { continue };
            stamps.push(Stamp { at: at as u64, stream: Self::STREAM, pts: self.time(before + number) });
            let range = unit.end.and_then(|end| slice.bounds(unit.start, end));
            if let Some(range) = range.filter(|_| unit.key) {
                let pts = self.time(before + group + u64::from(picture.in_group));
                keyframes.push(Found { pts, range });
            }
        }
        (keyframes, stamps)
    }

    /// The number of the stream in its timestamps.
    pub(super) const STREAM: u16 = 0;

    /// Returns when a frame is presented, in ticks.
    fn time(self, frame: u64) -> u64 {
        let (frames, seconds) = self.rate;
        frame.saturating_mul(1000 * MS.unsigned_abs()).saturating_mul(seconds) / frames
    }
}

/// The headers of the frame in an access unit.
pub(super) struct Picture {
    /// Whether a group of pictures starts in the unit.
    pub(super) starts_group: bool,
    /// The number of frames of its group that are presented before it (`temporal_reference`).
    pub(super) in_group: u16,
    /// Whether it is a B frame. These refer to a frame of their group that is presented after them.
    pub(super) bidirectional: bool,
}

impl Picture {
    pub(super) fn of(stream: &[u8], unit: &Unit) -> Self {
        let bytes = stream.get(unit.start..unit.end.unwrap_or(stream.len())).unwrap_or_default();
        let header = memmem::find(bytes, PICTURE);
        let reference = header.and_then(|at| bytes.get(at + PICTURE.len()..at + PICTURE.len() + 2));
        let reference = reference.map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        Self {
            starts_group: memmem::find(&bytes[..header.unwrap_or(0)], GROUP).is_some(),
            in_group: reference >> 6,
            bidirectional: reference >> 3 & 7 == 3,
        }
    }
}

/// Returns the frames per second that the first sequence header states, as a fraction.
pub(super) fn frame_rate(stream: &[u8]) -> Option<(u64, u64)> {
    let code = stream.get(memmem::find(stream, SEQUENCE)? + 7)? & 0x0F;
    RATES.get(usize::from(code).checked_sub(1)?).copied()
}

/// Converts a fraction to frames per second.
#[expect(clippy::cast_precision_loss, reason = "the result is rounded anyway")]
pub(super) fn per_second((frames, seconds): (u64, u64)) -> f64 {
    (frames as f64 * 1000.0 / seconds as f64).round() / 1000.0
}

/// Returns the ticks that a frame lasts.
pub(super) fn ticks((frames, seconds): (u64, u64)) -> i64 {
    (1000 * MS).saturating_mul(i64::try_from(seconds).unwrap_or(i64::MAX))
        / i64::try_from(frames).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{UNTIMED, pack, source};
    use super::super::open;
    use super::*;
    use upreel_core::Container;

    /// Groups of 12 frames, in the order of their coding: the first frame of each is presented as the third.
    fn film(groups: usize, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..groups {
            // 320 x 180 at 25 frames a second.
            out.extend(b"\0\0\x01\xB3\x14\0\xB4\x13\xFF\xFF\xE0\x18\0\0\x01\xB8\0\x08\0\0");
            for (frame, kind) in [(2u16, 1u16), (0, 3), (1, 3)].into_iter().chain((3..12).map(|n| (n, 2))) {
                out.extend(PICTURE);
                out.extend((frame << 6 | kind << 3).to_be_bytes());
                out.extend([0xFF, 0xF8, 0, 0, 1, 1]);
                out.extend(vec![0x22; size]);
            }
        }
        out
    }

    #[tokio::test]
    async fn frames_without_timestamps_follow_each_other() {
        let source = source(film(4, 500));
        let (media_info, track) = open(&source, Container::MpegVideo).await.unwrap().unwrap();
        assert_eq!((media_info.duration_ms, media_info.frame_rate), (Some(1920), Some(25.0)));
        let keyframes = track.keyframes(&source, 100).await.unwrap();
        let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
        assert_eq!(times, [80, 560, 1040, 1520]);
    }

    #[tokio::test]
    async fn a_program_stream_may_have_no_timestamps() {
        let packs = film(4, 500).chunks(2000).flat_map(|piece| pack(UNTIMED.to_vec(), piece)).collect();
        let source = source(packs);
        let (media_info, track) = open(&source, Container::MpegPs).await.unwrap().unwrap();
        assert_eq!((media_info.duration_ms, media_info.frame_rate), (Some(1920), Some(25.0)));
        let keyframes = track.keyframes(&source, 100).await.unwrap();
        let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
        assert_eq!(times, [80, 560, 1040, 1520]);
    }

    #[tokio::test]
    async fn times_in_a_large_file_follow_from_its_bytes() {
        let source = source(film(400, 4000));
        let (media_info, track) = open(&source, Container::MpegVideo).await.unwrap().unwrap();
        let duration = media_info.duration_ms.unwrap();
        assert!(duration.abs_diff(192_000) < 500, "{duration}");
        let keyframes = track.keyframes(&source, 100).await.unwrap();
        assert!(keyframes.len() > 90);
        for keyframe in keyframes {
            let right = keyframe.range.start * 192_000 / source.size() + 80;
            assert!(keyframe.time_ms.abs_diff(right) < 600, "{keyframe:?} {right}");
        }
    }

    #[test]
    fn frame_rate_is_looked_up_by_its_code() {
        assert_eq!(frame_rate(&film(1, 1)), Some((25, 1)));
        assert_eq!(frame_rate(b"\0\0\x01\xB3\x14\0\xB4\x10"), None);
        assert_eq!(frame_rate(b"\0\0\x01\xB3\x14\0\xB4"), None);
        assert_eq!((per_second((24_000, 1001)), ticks((24_000, 1001))), (23.976, 3753));
        assert_eq!((ticks((0, u64::MAX)), ticks((u64::MAX, 1))), (i64::MAX, 0));
    }
}
