//! Reads Theora in Ogg (RFC 3533; Theora specification, annex A), and the times of its audio.

use bytes::Bytes;
use memchr::memmem;

use super::packets::Found;
use super::timeline::{MS, Stamp};
use crate::matroska;

const CAPTURE: &[u8] = b"OggS";
/// The length of a page's header, before the table of segments.
const HEADER: usize = 27;

/// The video in an Ogg file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Theora {
    serial: u32,
    pub(super) codec: matroska::Codec,
    /// Frames per second, as a fraction.
    rate: (u32, u32),
    /// The bits of a granule position that count the frames after a keyframe.
    shift: u32,
    /// The granule position of the first frame: 1, or 0 before version 3.2.1.
    first: u64,
    audio: Vec<Audio>,
}

/// An audio stream, whose granule positions are the number of samples up to the end of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Audio {
    serial: u32,
    /// Samples per second.
    rate: u32,
    /// Samples at the start that are not played.
    skip: u32,
}

/// A packet: a header or a frame.
struct Packet {
    /// The pages that it is on.
    bounds: (usize, usize),
    /// The number of its frame, if its page tells.
    frame: Option<u64>,
    data: Vec<u8>,
}

impl Theora {
    /// Finds the first Theora stream in the start of a file.
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let page = pages(head).find(|page| page.body.starts_with(b"\x80theora"))?;
        let field = |at: usize| Some(u32::from_be_bytes(*page.body.get(at..)?.first_chunk()?));
        let rate = (field(22)?, field(26)?);
        let shift = u32::from(u16::from_be_bytes(*page.body.get(40..)?.first_chunk()?) >> 5 & 0x1F);
        let mut stream = Self {
            serial: page.serial,
            codec: matroska::Codec { id: "V_THEORA", private: Bytes::new(), size: (0, 0) },
            rate,
            shift,
            first: u64::from(page.body.get(7..10)? >= &[3, 2, 1][..]),
            audio: pages(head).take_while(|page| page.starts).filter_map(|page| audio(&page)).collect(),
        };
        let headers: Vec<Vec<u8>> =
            stream.packets(head).into_iter().take(3).map(|packet| packet.data).collect();
        let [first, second, _] = headers.as_slice() else { return None };
        // Three packets, and the lengths of the first two in Xiph's lacing.
        let mut private = vec![2];
        for header in [first, second] {
            private.extend(vec![255; header.len() / 255]);
            private.push(u8::try_from(header.len() % 255).ok()?);
        }
        private.extend(headers.concat());
        stream.codec.private = private.into();
        (rate.0 > 0 && rate.1 > 0).then_some(stream)
    }

    /// Returns the frames per second that the header states, as a fraction.
    pub(super) fn frame_rate(&self) -> (u64, u64) {
        (self.rate.0.into(), self.rate.1.into())
    }

    /// Returns the keyframes and timestamps in a slice.
    pub(super) fn scan(&self, slice: &[u8]) -> (Vec<Found>, Vec<Stamp>) {
        let (mut keyframes, mut stamps) = (Vec::new(), Vec::new());
        for packet in self.packets(slice) {
            let Some(frame) = packet.frame else { continue };
            let ticks = u128::from(frame) * u128::from(1000 * MS.unsigned_abs()) * u128::from(self.rate.1);
            let pts = u64::try_from(ticks / u128::from(self.rate.0)).unwrap_or(u64::MAX);
            stamps.push(Stamp { at: packet.bounds.0 as u64, stream: 0, pts });
            if is_keyframe(&packet.data) {
                keyframes.push(Found { pts, frames: 0, range: packet.bounds });
            }
        }
        stamps.extend(self.ends_of_audio(slice));
        stamps.sort_by_key(|stamp| stamp.at);
        (keyframes, stamps)
    }

    /// Returns the times at which the audio on each page ends.
    fn ends_of_audio(&self, slice: &[u8]) -> impl Iterator<Item = Stamp> {
        pages(slice).filter_map(|page| {
            let (audio, stream) =
                self.audio.iter().zip(1..).find(|(audio, _)| audio.serial == page.serial)?;
            // The pages with headers have the position 0, and those on which no packet ends -1.
            let samples = u64::try_from(page.granule).ok().filter(|samples| *samples > 0)?;
            let ticks = u128::from(samples.saturating_sub(audio.skip.into()))
                * u128::from(1000 * MS.unsigned_abs())
                / u128::from(audio.rate);
            let pts = u64::try_from(ticks).unwrap_or(u64::MAX);
            Some(Stamp { at: page.bounds.0 as u64, stream, pts })
        })
    }

    /// Returns the frames from the first keyframe on.
    pub(super) fn frames(&self, slice: &[u8]) -> Vec<Vec<u8>> {
        // A damaged page must not be shown. What it says about times is checked against other pages.
        if pages(slice)
            .any(|page| page.serial == self.serial && !is_intact(&slice[page.bounds.0..page.bounds.1]))
        {
            return Vec::new();
        }
        let packets = self.packets(slice).into_iter().skip_while(|packet| !is_keyframe(&packet.data));
        packets.map(|packet| packet.data).collect()
    }

    /// Returns the complete packets of the stream.
    fn packets(&self, slice: &[u8]) -> Vec<Packet> {
        let mut packets: Vec<Packet> = Vec::new();
        // A packet that goes on on the next page.
        let mut open: Option<Packet> = None;
        for page in pages(slice).filter(|page| page.serial == self.serial) {
            let mut rest = page.body;
            if !page.continues {
                open = None;
            }
            // The rest of a packet whose start is not in the slice.
            let mut skip = page.continues && open.is_none();
            let first = packets.len();
            for length in page.lengths {
                let Some((part, after)) = rest.split_at_checked(usize::from(*length)) else { break };
                rest = after;
                let ends = *length < 255;
                if !skip {
                    let new = || Packet { bounds: (page.bounds.0, 0), frame: None, data: Vec::new() };
                    let packet = open.get_or_insert_with(new);
                    packet.data.extend_from_slice(part);
                    packet.bounds.1 = page.bounds.1;
                    if ends {
                        packets.extend(open.take());
                    }
                }
                skip &= !ends;
            }
            // The position of a page is that of the last packet that ends on it.
            if page.granule >= 0 {
                let position = page.granule.unsigned_abs();
                let last = (position >> self.shift) + (position & ((1 << self.shift) - 1));
                for (packet, back) in packets[first..].iter_mut().rev().zip(0..) {
                    packet.frame = last.checked_sub(back + self.first);
                }
            }
        }
        packets
    }
}

/// Reads the first header of an audio stream: Vorbis, Opus (RFC 7845, 5.1), FLAC or Speex.
fn audio(page: &Page<'_>) -> Option<Audio> {
    let big = |at: usize| Some(u32::from_be_bytes(*page.body.get(at..)?.first_chunk()?));
    let little = |at: usize| Some(u32::from_le_bytes(*page.body.get(at..)?.first_chunk()?));
    let (rate, skip) = match page.body {
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => (little(12)?, 0),
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => (48_000, little(10)? & 0xFFFF),
        // A rate of 20 bits, after the header of the mapping and the start of STREAMINFO.
        [0x7F, b'F', b'L', b'A', b'C', ..] => (big(27)? >> 12, 0),
        [b'S', b'p', b'e', b'e', b'x', b' ', ..] => (little(36)?, 0),
        _ => return None,
    };
    (rate > 0).then_some(Audio { serial: page.serial, rate, skip })
}

/// Returns whether a packet is an intra frame: its first bits are 0 (Theora specification, 7.1).
fn is_keyframe(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & 0xC0 == 0)
}

struct Page<'a> {
    bounds: (usize, usize),
    serial: u32,
    granule: i64,
    /// It is the first page of its stream.
    starts: bool,
    /// Its first packet began on the page before.
    continues: bool,
    lengths: &'a [u8],
    body: &'a [u8],
}

/// Returns the complete pages of a slice that starts anywhere.
fn pages(slice: &[u8]) -> impl Iterator<Item = Page<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memmem::find(slice.get(at..)?, CAPTURE)?;
            let Some(page) = page(slice, at) else {
                at += 1;
                continue;
            };
            at = page.bounds.1;
            return Some(page);
        }
    })
}

/// Returns whether the checksum of a page is right: a CRC of 32 bits with the polynomial 0x04C11DB7, over the page with
/// zeros in place of the checksum.
fn is_intact(page: &[u8]) -> bool {
    let stored = page.get(22..26).and_then(|sum| sum.try_into().ok()).map(u32::from_le_bytes);
    stored == Some(checksum(page))
}

pub(super) fn checksum(page: &[u8]) -> u32 {
    page.iter().enumerate().fold(0u32, |sum, (at, byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 }
        })
    })
}

/// Parses a page (RFC 3533, section 6).
fn page(slice: &[u8], at: usize) -> Option<Page<'_>> {
    let header = slice.get(at..at.checked_add(HEADER)?)?;
    let lengths = slice.get(at + HEADER..)?.get(..usize::from(header[26]))?;
    let start = at + HEADER + lengths.len();
    let end = start + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
    let body = slice.get(start..end).filter(|_| header[4] == 0)?;
    Some(Page {
        bounds: (at, end),
        serial: u32::from_le_bytes(*header[14..].first_chunk()?),
        granule: i64::from_le_bytes(*header[6..].first_chunk()?),
        starts: header[5] & 2 != 0,
        continues: header[5] & 1 != 0,
        lengths,
        body,
    })
}
