//! Reads program streams of MPEG-1 (ISO/IEC 11172-1, 2.4.3) and MPEG-2 (ISO/IEC 13818-1, 2.5).

use std::collections::BTreeMap;

use memchr::memmem;

use super::elementary::Codec;
use super::packets::{Elementary, PesHeader, TIMESTAMP, header_of_pes, timestamp};
use super::raw::Untimed;
use super::timeline::Stamp;
use crate::index::{StreamId, Streams};

/// The start code of a pack, from which reading can start.
const PACK: &[u8] = b"\0\0\x01\xBA";

/// The length of the longest packet, in bytes.
pub(super) const LONGEST: usize = 6 + u16::MAX as usize;

/// The video in a program stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProgramStream {
    /// The `stream_id` of the video.
    pub(super) video: u16,
    pub(super) codec: Codec,
    /// The times of its frames, if it has no timestamps.
    pub(super) untimed: Option<Untimed>,
}

/// A packet of audio or video.
pub(super) struct Packet<'a> {
    id: u8,
    /// The bounds of the packet in the slice.
    pub(super) bounds: (usize, usize),
    pub(super) bytes: &'a [u8],
}

impl Packet<'_> {
    /// Parses the header.
    pub(super) fn header(&self) -> Option<PesHeader> {
        header_of_pes(self.bytes).or_else(|| header_of_mpeg1(self.bytes))
    }

    pub(super) const fn is_video(&self) -> bool {
        matches!(self.id, 0xE0..=0xEF | 0xFD)
    }

    /// Returns the number of the stream in timestamps, or `None` if it is one of subtitles. Streams of a DVD share an
    /// identifier, and the first byte of their data tells them apart.
    pub(super) fn stream(&self, header: &PesHeader) -> Option<u16> {
        match (self.id, self.bytes.get(header.len)) {
            (0xBD, Some(0x20..=0x3F)) => None,
            (0xBD, Some(number)) => Some(u16::from_be_bytes([self.id, *number])),
            _ => Some(self.id.into()),
        }
    }
}

impl ProgramStream {
    /// Finds the video in the start of a stream: the one with most packets.
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for packet in packets(head).filter(Packet::is_video) {
            *counts.entry(packet.id).or_default() += 1;
        }
        let (video, _) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
        let mut stream = Self { video: video.into(), codec: Codec::Mpeg2, untimed: None };
        let start = stream.demux(head);
        stream.codec = Codec::detect(&start.bytes)?;
        stream.untimed = Untimed::measure(&start, stream.codec);
        Some(stream)
    }

    /// Returns the stream of the film. ffmpeg's ID of a stream is its start code, which begins with 1.
    pub(super) fn streams(&self) -> Streams {
        Streams { film: Some(StreamId::Id(0x100 | u32::from(self.video))), ..Streams::default() }
    }

    /// Returns the video's bytes in a slice of the file.
    pub(super) fn demux(&self, slice: &[u8]) -> Elementary {
        let mut out = Elementary::default();
        for packet in packets(slice) {
            let Some(header) = packet.header() else { continue };
            let (start, end) = packet.bounds;
            let stream = packet.stream(&header).filter(|id| !packet.is_video() || *id == self.video);
            if let (Some(stream), Some(pts)) = (stream, header.pts) {
                out.stamps.push(Stamp { at: start as u64, stream, pts });
            }
            if u16::from(packet.id) == self.video {
                out.push(start, end, header.pts, packet.bytes.get(header.len..).unwrap_or_default());
            }
        }
        out
    }
}

/// Returns whether the video is encrypted, as on DVDs (`PES_scrambling_control`, ISO/IEC 13818-1, table 2-22), where some
/// of the packets are not.
pub(super) fn is_scrambled(head: &[u8]) -> bool {
    let videos = packets(head).filter(Packet::is_video);
    let (seen, scrambled) = videos.fold((0usize, 0usize), |(seen, scrambled), packet| {
        let is_scrambled = packet.bytes.get(6).is_some_and(|flags| flags >> 6 == 2 && flags >> 4 & 3 != 0);
        (seen + 1, scrambled + usize::from(is_scrambled))
    });
    scrambled * 10 > seen
}

/// Returns the packets of a slice that starts anywhere. They are searched from the next pack where their order is lost.
pub(super) fn packets(slice: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = slice.get(at..)?;
            let &[0, 0, 1, id, high, low, ..] = rest else {
                // A pack at `at` itself is cut off.
                at += 1 + memmem::find(rest.get(1..)?, PACK)?;
                continue;
            };
            let (length, is_packet) = match id {
                // The length of a pack follows from its second byte: MPEG-2 or MPEG-1.
                0xBA if high >> 6 == 1 => (14 + usize::from(*rest.get(13)? & 7), false),
                0xBA if high >> 4 == 2 => (12, false),
                0xB9 => (4, false),
                0xBB..=0xFF => (
                    6 + usize::from(u16::from_be_bytes([high, low])),
                    matches!(id, 0xBD | 0xC0..=0xEF | 0xFD),
                ),
                _ => {
                    at += 1 + memmem::find(&rest[1..], PACK)?;
                    continue;
                }
            };
            let start = at;
            at += length;
            if is_packet {
                return Some(Packet { id, bounds: (start, at), bytes: slice.get(start..at)? });
            }
        }
    })
}

/// Parses the header of a packet of MPEG-1 (ISO/IEC 11172-1, 2.4.3.3): stuffing, the size of a buffer, timestamps.
fn header_of_mpeg1(packet: &[u8]) -> Option<PesHeader> {
    let mut len = 6 + packet.get(6..)?.iter().take(16).take_while(|byte| **byte == 0xFF).count();
    if packet.get(len)? >> 6 == 1 {
        len += 2;
    }
    let (pts, dts) = (packet.get(len..), packet.get(len + TIMESTAMP..));
    let (pts, dts) = (pts.and_then(timestamp), dts.and_then(timestamp));
    Some(match packet.get(len)? >> 4 {
        2 => PesHeader { len: len + TIMESTAMP, pts, dts: None, at: len },
        3 => PesHeader { len: len + 2 * TIMESTAMP, pts, dts, at: len },
        _ => PesHeader { len: len + 1, pts: None, dts: None, at: len },
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Program, program_stream};
    use super::*;

    #[test]
    fn video_of_dvds_is_encrypted_in_some_packets() {
        let mut bytes = program_stream(&Program::film(30, 10));
        assert!(!is_scrambled(&bytes));
        let starts: Vec<usize> = packets(&bytes).map(|packet| packet.bounds.0).collect();
        for start in starts.into_iter().step_by(3) {
            bytes[start + 6] |= 0x10;
        }
        assert!(is_scrambled(&bytes));
    }

    #[test]
    fn slices_may_end_anywhere() {
        let bytes = program_stream(&Program::film(3, 10));
        let whole = packets(&bytes).count();
        for len in 0..bytes.len() {
            assert!(packets(&bytes[..len]).count() <= whole, "{len}");
        }
        assert_eq!(packets(PACK).count(), 0, "only a start code");
    }
}
