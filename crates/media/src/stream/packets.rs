//! The bytes of a video stream that its container splits into packets.

use super::elementary::{Codec, units};
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
    /// The presentation time of a frame, in ticks of 90 kHz.
    pub(super) pts: u64,
    /// The number of frames from that one to the keyframe.
    pub(super) frames: u64,
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

    /// Returns the keyframes that are complete. `whole` says that the stream ends with the slice.
    pub(super) fn keyframes(&self, codec: Codec, whole: bool) -> Vec<Found> {
        let units = units(codec, &self.bytes, whole);
        // For each part, the last one up to it with a timestamp.
        let mut last = None;
        let timed: Vec<Option<usize>> = self
            .marks
            .iter()
            .zip(0..)
            .map(|(mark, part)| {
                last = mark.pts.map(|_| part).or(last);
                last
            })
            .collect();
        let keys = units.iter().zip(0usize..).filter(|(unit, _)| unit.key);
        let found = keys.filter_map(|(unit, number)| {
            let range = self.bounds(unit.start, unit.end?)?;
            let origin = &self.marks[timed[self.part_at(unit.start)?]?];
            // The timestamp of a packet is that of the first unit that begins in it.
            let before = units.partition_point(|unit| unit.start < origin.start);
            let frames = (number - before.min(number)) as u64;
            Some(Found { pts: origin.pts?, frames, range })
        });
        found.collect()
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
