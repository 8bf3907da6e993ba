//! The bytes of a video stream that its container splits into packets.

use super::elementary::{Codec, Unit, units};
use super::raw::Picture;
use super::timeline::Stamp;

/// The part of an elementary stream that is in a slice of a file.
#[derive(Debug, Default)]
pub(super) struct Elementary {
    pub(super) bytes: Vec<u8>,
    /// Where the parts of `bytes` come from, in ascending order.
    pub(super) marks: Vec<Mark>,
    /// The timestamps of the video and its audio, in the order of the file.
    pub(super) stamps: Vec<Stamp>,
    /// Whether the stream is in no container, so that its bytes are those of the slice.
    is_plain: bool,
}

/// The origin of a part of an elementary stream.
#[derive(Debug)]
pub(super) struct Mark {
    /// Where the part begins in the elementary stream.
    start: usize,
    /// The bounds of the packet in the slice.
    packet: (usize, usize),
    /// The presentation time of the first unit that begins in this part, in ticks of 90 kHz.
    pub(super) pts: Option<u64>,
}

/// A keyframe in a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The presentation time, in ticks of 90 kHz.
    pub(super) pts: u64,
    /// The bounds of its packets in the slice.
    pub(super) range: (usize, usize),
}

impl Elementary {
    /// Returns the elementary stream in a slice of a file without a container: all of its bytes.
    pub(super) fn plain(slice: &[u8]) -> Self {
        let mut elementary = Self { is_plain: true, ..Self::default() };
        elementary.push(0, slice.len(), None, slice);
        elementary
    }

    /// Appends the `data` of the packet from `start` to `end` of the slice.
    pub(super) fn push(&mut self, start: usize, end: usize, pts: Option<u64>, data: &[u8]) {
        self.marks.push(Mark { start: self.bytes.len(), packet: (start, end), pts });
        self.bytes.extend_from_slice(data);
    }

    /// Returns the keyframes that are complete, and the timestamps of the video, which is stream number `video`, and its
    /// audio. Frames without a timestamp are counted from the last one that has one; each lasts `frame` ticks. `whole`
    /// says that the stream ends with the slice.
    pub(super) fn timed(
        mut self,
        codec: Codec,
        video: u16,
        frame: i64,
        whole: bool,
    ) -> (Vec<Found>, Vec<Stamp>) {
        let units = units(codec, &self.bytes, whole);
        let positions = self.positions(codec, &units);
        let origins = self.origins(&units);
        let mut keyframes = Vec::new();
        for ((unit, position), origin) in units.iter().zip(&positions).zip(&origins) {
            let Some((pts, first)) = *origin else { continue };
            let after = position.saturating_sub(positions[first]);
            let pts = pts.saturating_add_signed(after.saturating_mul(frame));
            if after != 0
                && let Some((at, _)) = self.bounds(unit.start, unit.start + 1)
            {
                self.stamps.push(Stamp { at: at as u64, stream: video, pts });
            }
            if unit.key
                && let Some(range) = unit.end.and_then(|end| self.bounds(unit.start, end))
            {
                keyframes.push(Found { pts, range });
            }
        }
        self.stamps.sort_by_key(|stamp| stamp.at);
        (keyframes, self.stamps)
    }

    /// Returns for each unit the last timestamp up to it, and the unit that the timestamp belongs to: that of a packet is
    /// the one of the first unit that begins in it.
    fn origins(&self, units: &[Unit]) -> Vec<Option<(u64, usize)>> {
        let mut marks = self.marks.iter().peekable();
        let mut origin = None;
        let origins = units.iter().zip(0usize..).map(|(unit, number)| {
            while let Some(mark) = marks.next_if(|mark| mark.start <= unit.start) {
                origin = mark.pts.map(|pts| (pts, number)).or(origin);
            }
            origin
        });
        origins.collect()
    }

    /// Returns the position of each unit in the order of presentation. It is known of MPEG-1 and MPEG-2 only; units of other
    /// codecs are counted in their own order.
    fn positions(&self, codec: Codec, units: &[Unit]) -> Vec<i64> {
        if codec != Codec::Mpeg2 {
            return (0..).take(units.len()).collect();
        }
        let frames: Vec<Picture> = units.iter().map(|unit| Picture::of(&self.bytes, unit)).collect();
        // The slice can begin within a group, whose last frames are in it.
        let cut = frames.iter().take_while(|frame| !frame.starts_group);
        let lens = cut.map(|frame| i64::from(frame.in_group) + if frame.bidirectional { 2 } else { 1 });
        let (len, count) = lens.zip(1..).fold((0, 0), |(longest, _), (len, count)| (len.max(longest), count));
        let mut group = count - len;
        let positions = frames.iter().zip(0..).map(|(frame, number)| {
            group = if frame.starts_group { number } else { group };
            group + i64::from(frame.in_group)
        });
        positions.collect()
    }

    /// Returns the duration of a frame in ticks, if only some of the frames have a timestamp.
    pub(super) fn frame(&self, codec: Codec) -> Option<i64> {
        let units = units(codec, &self.bytes, false);
        let mut origins: Vec<(u64, usize)> = self.origins(&units).into_iter().flatten().collect();
        origins.dedup();
        if origins.len() * 2 > units.len() {
            return None;
        }
        let gap = |pair: &[(u64, usize)]| {
            let ticks = i64::try_from(pair[1].0.checked_sub(pair[0].0)?).ok()?;
            Some(ticks / i64::try_from(pair[1].1 - pair[0].1).ok()?)
        };
        let mut gaps: Vec<i64> = origins.windows(2).filter_map(gap).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().filter(|ticks| *ticks > 0)
    }

    /// Returns the complete units from the first keyframe on. `whole` says that the stream ends with the slice.
    pub(super) fn units_from_keyframe(&self, codec: Codec, whole: bool) -> Vec<&[u8]> {
        let units = units(codec, &self.bytes, whole);
        let frames = units.iter().skip_while(|unit| !unit.key);
        frames.filter_map(|unit| self.bytes.get(unit.start..unit.end?)).collect()
    }

    /// Returns the bounds of the packets that contain the bytes from `start` to `end`.
    pub(super) fn bounds(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        if self.is_plain {
            return Some((start, end));
        }
        let (first, last) = (self.part_at(start)?, self.part_at(end.checked_sub(1)?)?);
        Some((self.marks[first].packet.0, self.marks[last].packet.1))
    }

    /// Returns the index of the mark of the part that contains the byte at `at`.
    fn part_at(&self, at: usize) -> Option<usize> {
        self.marks.partition_point(|mark| mark.start <= at).checked_sub(1)
    }
}

/// The header of a PES packet (ISO/IEC 13818-1, 2.4.3.6).
pub(super) struct PesHeader {
    /// The length of the header in bytes.
    pub(super) len: usize,
    /// The presentation time, in ticks of 90 kHz.
    pub(super) pts: Option<u64>,
    /// The decode time, if it differs.
    pub(super) dts: Option<u64>,
    /// Where the presentation time is in the packet. The decode time follows it.
    pub(super) at: usize,
}

/// The length of a timestamp in bytes.
pub(super) const TIMESTAMP: usize = 5;

/// Parses the header of a PES packet of audio or video.
pub(super) fn header_of_pes(packet: &[u8]) -> Option<PesHeader> {
    let [0, 0, 1, 0xBD..=0xEF | 0xFD, _, _, marker, flags, length, rest @ ..] = packet else { return None };
    if marker >> 6 != 2 {
        return None;
    }
    let len = usize::from(*length);
    let time = |at: usize| rest.get(at..).filter(|_| len >= at + TIMESTAMP).and_then(timestamp);
    let pts = if flags & 0x80 != 0 { time(0) } else { None };
    let dts = if flags & 0xC0 == 0xC0 { time(TIMESTAMP) } else { None };
    Some(PesHeader { len: 9 + len, pts, dts, at: 9 })
}

/// Reads a timestamp of 33 bits, which are separated by marker bits.
pub(super) fn timestamp(bytes: &[u8]) -> Option<u64> {
    let [top, rest @ ..] = bytes.first_chunk::<TIMESTAMP>()?.map(u64::from);
    Some((top >> 1 & 7) << 30 | rest[0] << 22 | (rest[1] >> 1) << 15 | rest[2] << 7 | rest[3] >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 3600;

    /// Returns frames of three groups in the order of their coding, and the place of each in the presentation.
    fn film() -> Vec<(Vec<u8>, u64)> {
        let closed = [(0u16, 1u16), (3, 2), (1, 3), (2, 3), (6, 2), (4, 3), (5, 3)];
        let open = [(2, 1), (0, 3), (1, 3), (5, 2), (3, 3), (4, 3)];
        let mut frames = Vec::new();
        for (before, group) in [(0, &closed[..]), (7, &open), (13, &open)] {
            for (place, kind) in group {
                let start: &[u8] = b"\0\0\x01\xB3\x14\0\xB4\x13\xFF\xFF\xE0\x18\0\0\x01\xB8\0\x08\0\0";
                let mut frame = if *kind == 1 { start.to_vec() } else { Vec::new() };
                frame.extend(
                    [&[0, 0, 1, 0][..], &(place << 6 | kind << 3).to_be_bytes(), &[0x22; 9]].concat(),
                );
                frames.push((frame, before + u64::from(*place)));
            }
        }
        frames
    }

    /// Splits frames into packets of `len` bytes, each with the timestamp of the first frame that begins in it.
    fn packed(frames: &[(Vec<u8>, u64)], len: usize) -> Elementary {
        let bytes: Vec<u8> = frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let mut at = 0;
        let starts: Vec<(usize, u64)> = frames
            .iter()
            .map(|(bytes, place)| {
                at += bytes.len();
                (at - bytes.len(), *place)
            })
            .collect();
        let mut stream = Elementary::default();
        for (data, at) in bytes.chunks(len).zip((0..).step_by(len)) {
            let first = starts.iter().find(|(start, _)| (at..at + data.len()).contains(start));
            let pts = first.map(|(_, place)| 90_000 + place * FRAME);
            stream.stamps.extend(pts.map(|pts| Stamp { at: at as u64, stream: 0xE0, pts }));
            stream.push(at, at + data.len(), pts, data);
        }
        stream
    }

    #[test]
    fn frames_without_a_timestamp_are_counted_in_the_order_of_presentation() {
        let film = film();
        for skipped in 0..film.len() {
            for len in [20, 50, 70, 100] {
                let stream = packed(&film[skipped..], len);
                let (keyframes, stamps) = stream.timed(Codec::Mpeg2, 0xE0, FRAME.cast_signed(), true);
                let found: Vec<u64> = keyframes.iter().map(|found| (found.pts - 90_000) / FRAME).collect();
                let keys = [(0, 0), (7, 9), (13, 15)].into_iter().filter(|(number, _)| *number >= skipped);
                assert_eq!(found, keys.map(|(_, place)| place).collect::<Vec<_>>(), "{skipped} {len}");
                let places: Vec<u64> = film[skipped..].iter().map(|(_, place)| *place).collect();
                let last = stamps.iter().map(|stamp| (stamp.pts - 90_000) / FRAME).max();
                assert_eq!(last, places.into_iter().max(), "{skipped} {len}");
            }
        }
    }

    #[test]
    fn a_frame_lasts_the_mean_between_sparse_timestamps() {
        let units =
            |number: usize| [b"\0\0\x01\x09\x30\0\0\x01\x41\x9A".to_vec(), vec![0x22; number % 3]].concat();
        let film: Vec<(Vec<u8>, u64)> = (0..100).map(|n| (units(n), n as u64)).collect();
        assert_eq!(packed(&film, 100).frame(Codec::H264), Some(3600));
        assert_eq!(packed(&film, 9).frame(Codec::H264), None, "every frame has one");
    }
}
