//! Reads video in Ogg (RFC 3533): Theora (its specification, annex A) and VP8, and the times of the audio.

mod chain;
mod page;
mod search;

use std::collections::BTreeSet;

use bytes::Bytes;

use self::chain::Chain;
pub(super) use self::chain::unchain;
#[cfg(test)]
pub(crate) use self::page::checksum;
use self::page::is_intact;
pub(crate) use self::page::{Page, pages};
use super::packets::Found;
use super::timeline::{MS, Stamp};
use crate::keyframe::Error;
use crate::matroska;
use crate::source::Source;

/// The video in an Ogg file.
#[derive(Debug, Clone)]
pub(super) struct OggVideo {
    /// The streams of the video. A chain has several.
    serials: BTreeSet<u32>,
    format: Format,
    pub(super) codec: matroska::Codec,
    audio: Vec<Audio>,
    /// The file's links, if they were searched for.
    chain: Chain,
}

/// What the first header of a video says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    /// Frames per second, as a fraction.
    rate: (u32, u32),
    positions: Positions,
}

/// What the granule position of a page means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Positions {
    Theora {
        /// The bits that count the frames after a keyframe.
        shift: u32,
        /// The position of the first frame: 1, or 0 before version 3.2.1.
        first: u64,
    },
    Vp8,
}

impl Positions {
    /// Returns the number of frames up to the end of a page.
    fn frames(self, position: u64) -> u64 {
        match self {
            Self::Theora { shift, first } => {
                ((position >> shift) + (position & ((1 << shift) - 1)) + 1).saturating_sub(first)
            }
            Self::Vp8 => position >> 32,
        }
    }

    /// Returns the position that is a number of frames later.
    fn later(self, position: u64, frames: u64) -> Option<u64> {
        let shift = match self {
            Self::Theora { shift, .. } => shift,
            Self::Vp8 => 32,
        };
        let after_keyframe = position & ((1 << shift) - 1);
        Some((position >> shift).checked_add(frames)?.checked_mul(1 << shift)? | after_keyframe)
    }

    /// Returns whether a packet is a keyframe.
    fn is_keyframe(self, packet: &[u8]) -> bool {
        match self {
            // Its first bits are 0 (Theora specification, 7.1).
            Self::Theora { .. } => packet.first().is_some_and(|first| first & 0xC0 == 0),
            // RFC 6386, 9.1.
            Self::Vp8 => matches!(packet, [first, _, _, 0x9D, 1, 0x2A, ..] if first & 1 == 0),
        }
    }

    /// Returns whether a packet is presented, and counts as a frame.
    fn is_shown(self, packet: &[u8]) -> bool {
        matches!(self, Self::Theora { .. }) || packet.first().is_some_and(|first| first & 0x10 != 0)
    }
}

impl Format {
    /// Reads the first header of a video stream.
    fn read(header: &[u8]) -> Option<Self> {
        let field = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk()?));
        let format = if header.starts_with(b"\x80theora") {
            let shift = u32::from(u16::from_be_bytes(*header.get(40..)?.first_chunk()?) >> 5 & 0x1F);
            let first = u64::from(header.get(7..10)? >= &[3, 2, 1][..]);
            Self { rate: (field(22)?, field(26)?), positions: Positions::Theora { shift, first } }
        } else if header.starts_with(b"OVP80\x01") {
            Self { rate: (field(18)?, field(22)?), positions: Positions::Vp8 }
        } else {
            return None;
        };
        (format.rate.0 > 0 && format.rate.1 > 0).then_some(format)
    }
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

impl OggVideo {
    /// Finds the first video in the start of a file.
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let (page, format) =
            pages(head).find_map(|page| Format::read(page.body).map(|format| (page, format)))?;
        let size =
            |at: usize| page.body.get(at..)?.first_chunk().map(|size| u16::from_be_bytes(*size).into());
        let mut stream = Self {
            serials: BTreeSet::from([page.serial]),
            format,
            codec: matroska::Codec { id: "V_THEORA", private: Bytes::new(), size: (0, 0), aspect: None },
            audio: pages(head).take_while(|page| page.starts).filter_map(|page| audio(&page)).collect(),
            chain: Chain::default(),
        };
        if format.positions == Positions::Vp8 {
            stream.codec.id = "V_VP8";
            stream.codec.size = (size(8)?, size(10)?);
            return Some(stream);
        }
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
        Some(stream)
    }

    /// Finds the links of a chain in the whole file.
    pub(super) fn find_links(&mut self, file: &[u8]) {
        self.chain = Chain::of(file);
        self.serials.extend(self.chain.videos());
    }

    /// Finds the links of a chain in a large file, whose start is `head`. Returns the timestamps where they start.
    pub(super) async fn search_links(&mut self, source: &Source, head: &[u8]) -> Result<Vec<Stamp>, Error> {
        let found = search::search(source, head).await?;
        let (chain, parts) = found.ok_or(Error::Unknown("a chain of many links"))?;
        self.chain = chain;
        self.serials.extend(self.chain.videos());
        let stamps = parts.iter().flat_map(|(at, part)| super::from(*at, self.scan(part, *at).1));
        Ok(stamps.collect())
    }

    /// Returns the frames per second that the header states, as a fraction.
    pub(super) fn frame_rate(&self) -> (u64, u64) {
        (self.format.rate.0.into(), self.format.rate.1.into())
    }

    /// Returns the keyframes and timestamps in a slice at an offset of the file.
    pub(super) fn scan(&self, slice: &[u8], offset: u64) -> (Vec<Found>, Vec<Stamp>) {
        let slice = &self.chain.join(slice, offset);
        let (mut keyframes, mut stamps) = (Vec::new(), Vec::new());
        let rate = self.format.rate;
        for packet in self.packets(slice) {
            let Some(frame) = packet.frame else { continue };
            let ticks = u128::from(frame) * u128::from(1000 * MS.unsigned_abs()) * u128::from(rate.1);
            let pts = u64::try_from(ticks / u128::from(rate.0)).unwrap_or(u64::MAX);
            stamps.push(Stamp { at: packet.bounds.0 as u64, stream: 0, pts });
            if self.format.positions.is_keyframe(&packet.data) {
                keyframes.push(Found { pts, range: packet.bounds });
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
        if pages(slice).any(|page| {
            self.serials.contains(&page.serial) && !is_intact(&slice[page.bounds.0..page.bounds.1])
        }) {
            return Vec::new();
        }
        let packets = self
            .packets(slice)
            .into_iter()
            .skip_while(|packet| !self.format.positions.is_keyframe(&packet.data));
        packets.map(|packet| packet.data).collect()
    }

    /// Returns the complete packets of the stream.
    fn packets(&self, slice: &[u8]) -> Vec<Packet> {
        let mut packets: Vec<Packet> = Vec::new();
        // A packet that goes on on the next page.
        let mut open: Option<Packet> = None;
        for page in pages(slice).filter(|page| self.serials.contains(&page.serial)) {
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
                let positions = self.format.positions;
                let mut frames = positions.frames(page.granule.unsigned_abs());
                for packet in
                    packets[first..].iter_mut().rev().filter(|packet| positions.is_shown(&packet.data))
                {
                    packet.frame = frames.checked_sub(1);
                    frames = frames.saturating_sub(1);
                }
            }
        }
        packets
    }
}

/// Returns whether all streams of a file are audio, or describe it.
pub(super) fn is_audio_alone(head: &[u8]) -> bool {
    let mut first = pages(head).take_while(|page| page.starts).peekable();
    first.peek().is_some() && first.all(|page| audio(&page).is_some() || page.body.starts_with(b"fishead\0"))
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
