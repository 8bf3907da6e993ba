//! The packets of a transport stream (ISO/IEC 13818-1, 2.4.3).

use super::{Field, Kind, Packet};
use crate::stream::packets::header_of_pes;
use crate::stream::timeline::Stamp;

/// Size of a packet.
pub(super) const PACKET: usize = 188;
/// The distances of packets: alone, after a timestamp (cameras, Blu-ray), before a checksum.
const DISTANCES: [usize; 3] = [PACKET, 192, 204];
pub(super) const SYNC_BYTE: u8 = 0x47;
/// Packets in a row that must have their sync byte to recognise the distance.
const RECOGNISED: usize = 8;

/// Where the packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    first: usize,
    distance: usize,
}

impl Layout {
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let is_layout = |layout: &Self| {
            (0..RECOGNISED).all(|i| head.get(layout.first + i * layout.distance) == Some(&SYNC_BYTE))
        };
        let candidates =
            DISTANCES.into_iter().flat_map(|distance| (0..distance).map(move |first| (first, distance)));
        candidates.map(|(first, distance)| Self { first, distance }).find(is_layout)
    }

    /// See [`Format::packets`](super::Format::packets).
    pub(super) fn packets(self, bytes: &[u8], start: u64) -> (Vec<Packet>, usize) {
        let first = if start == 0 { self.first.min(bytes.len()) } else { 0 };
        let chunks = bytes[first..].chunks_exact(self.distance);
        let used = bytes.len() - chunks.remainder().len();
        let offsets = (start + first as u64..).step_by(self.distance);
        (chunks.zip(offsets).filter_map(|(bytes, at)| packet(&bytes[..PACKET], at)).collect(), used)
    }
}

/// Reads the packet at an offset.
fn packet(bytes: &[u8], start: u64) -> Option<Packet> {
    let [SYNC_BYTE, high, low, flags, ..] = *bytes else { return None };
    let stream = u16::from_be_bytes([high & 0x1F, low]);
    let mut packet = Packet::default();
    let mut at = 4;
    if flags & 0x20 != 0 {
        let length = usize::from(*bytes.get(4)?);
        if length >= 7 && bytes.get(5)? & 0x10 != 0 {
            packet.fields[0] = Field::read(Kind::Clock, bytes, start, 6);
        }
        at += 1 + length;
    }
    if high & 0x40 != 0
        && flags & 0x10 != 0
        && let Some(content) = bytes.get(at..)
        && let Some(header) = header_of_pes(content)
    {
        packet.is_video = matches!(content.get(3), Some(0xE0..=0xEF));
        [packet.fields[1], packet.fields[2]] = Field::of_pes(&header, content, start + at as u64);
        packet.times = header.pts.map(|pts| (Stamp { at: start, stream, pts }, header.dts.unwrap_or(pts)));
    }
    Some(packet)
}
