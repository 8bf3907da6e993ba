//! Joins the clocks of MPEG transport streams (ISO/IEC 13818-1, 2.4.3) that were joined by their bytes.
//!
//! The clock starts again in each clip of a camera, and after a pause of a recording. ffmpeg detects a restart by the
//! packets of each stream; since packets are not stored in the order in which they are played, audio and video move
//! apart. Here the [`Timeline`] tells at which packet a recording begins, and all timestamps from there on are shifted.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use upreel_core::range::{RangeRead, RangeReader};

use super::timeline::{Pace, Stamp, Timeline};
use crate::source::{self, Source};

/// Size of a packet.
const PACKET: usize = 188;
/// The distances of packets: alone, after a timestamp (cameras, Blu-ray), before a checksum.
const DISTANCES: [usize; 3] = [PACKET, 192, 204];
const SYNC_BYTE: u8 = 0x47;
/// Packets in a row that must have their sync byte to recognise the distance.
const RECOGNISED: usize = 8;
/// Bytes to find the first packet in, and to measure the pace of the video.
const HEAD: u64 = 1 << 20;
/// Packets that are read at a time.
const READ_PACKETS: u64 = 16 << 10;
/// Timestamps have 33 bits.
const MODULUS: i64 = 1 << 33;

/// Where the packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    first: u64,
    distance: u64,
}

impl Layout {
    fn find(head: &[u8]) -> Option<Self> {
        let is_layout = |first: usize, distance: usize| {
            (0..RECOGNISED).all(|i| head.get(first + i * distance) == Some(&SYNC_BYTE))
        };
        let candidates =
            DISTANCES.into_iter().flat_map(|distance| (0..distance).map(move |first| (first, distance)));
        let (first, distance) =
            candidates.into_iter().find(|(first, distance)| is_layout(*first, *distance))?;
        Some(Self { first: first as u64, distance: distance as u64 })
    }

    /// Returns the packets in bytes that begin with one, and their offsets. `at` is the offset of the first one.
    fn packets(self, bytes: &[u8], at: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let distance = usize::try_from(self.distance).unwrap_or(PACKET);
        (at..).step_by(distance).zip(bytes.chunks(distance))
    }

    /// Returns the start of the packet with the byte at `offset`, or the start of the object.
    fn floor(self, offset: u64) -> u64 {
        offset.checked_sub(self.first).map_or(0, |at| self.first + at - at % self.distance)
    }
}

/// Where a packet has timestamps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stamps {
    pid: u16,
    is_video: bool,
    clock: Option<usize>,
    presented: Option<usize>,
    decoded: Option<usize>,
}

impl Stamps {
    /// Finds the timestamps of a packet.
    fn find(packet: &[u8]) -> Option<Self> {
        let [SYNC_BYTE, high, low, flags, ..] = *packet else { return None };
        let mut stamps = Self { pid: u16::from_be_bytes([high & 0x1F, low]), ..Self::default() };
        let mut at = 4;
        if flags & 0x20 != 0 {
            let length = usize::from(*packet.get(4)?);
            if length >= 7 && packet.get(5)? & 0x10 != 0 {
                stamps.clock = Some(6);
            }
            at += 1 + length;
        }
        if high & 0x40 != 0 && flags & 0x10 != 0 {
            // The header of a packet of an elementary stream (2.4.3.6).
            let header = packet.get(at..at + 19).unwrap_or_default();
            if let [0, 0, 1, id @ (0xBD | 0xC0..=0xEF | 0xFD), _, _, marker, flags, ..] = *header
                && marker & 0xC0 == 0x80
            {
                stamps.is_video = matches!(id, 0xE0..=0xEF);
                stamps.presented = (flags & 0x80 != 0).then_some(at + 9);
                stamps.decoded = (flags & 0xC0 == 0xC0).then_some(at + 14);
            }
        }
        Some(stamps)
    }
}

/// Reads the first five bytes as a number.
fn read_40_bits(bytes: &[u8]) -> Option<u64> {
    Some(bytes.first_chunk::<5>()?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Overwrites the first five bytes with a number.
fn write_40_bits(bytes: &mut [u8], number: u64) -> Option<()> {
    bytes.first_chunk_mut::<5>()?.copy_from_slice(&number.to_be_bytes()[3..]);
    Some(())
}

/// Reads a timestamp of an elementary stream: 3, 15 and 15 bits, each followed by a marker.
fn read_stamp(bytes: &[u8]) -> Option<i64> {
    let bits = read_40_bits(bytes)?.cast_signed();
    Some((bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF)
}

/// Adds to a timestamp of an elementary stream.
fn shift_stamp(bytes: &mut [u8], shift: i64) -> Option<()> {
    let stamp = (read_stamp(bytes)? + shift).rem_euclid(MODULUS).cast_unsigned();
    let others = read_40_bits(bytes)? & 0xF1_0001_0001;
    write_40_bits(bytes, others | stamp >> 30 << 33 | (stamp >> 15 & 0x7FFF) << 17 | (stamp & 0x7FFF) << 1)
}

/// Adds to a program clock reference: 33 bits in units of 90 kHz, followed by an extension that stays as it is.
fn shift_clock(bytes: &mut [u8], shift: i64) -> Option<()> {
    let bits = read_40_bits(bytes)?;
    let clock = ((bits >> 7).cast_signed() + shift).rem_euclid(MODULUS).cast_unsigned();
    write_40_bits(bytes, clock << 7 | bits & 0x7F)
}

/// The timestamp of a packet, its decode time if that differs, and whether the packet is one of video.
type Found = (Stamp, Option<u64>, bool);

/// Returns the timestamp of the packet at an offset.
fn stamp(at: u64, packet: &[u8]) -> Option<Found> {
    let stamps = Stamps::find(packet)?;
    let read = |at: Option<usize>| at.and_then(|at| read_stamp(packet.get(at..)?)).map(i64::cast_unsigned);
    let pts = read(stamps.presented)?;
    Some((Stamp { at, stream: stamps.pid, pts }, read(stamps.decoded).or(Some(pts)), stamps.is_video))
}

/// An object whose timestamps are shifted.
struct Rejoined {
    source: Arc<Source>,
    layout: Layout,
    shifts: Vec<(u64, i64)>,
}

impl RangeReader for Rejoined {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(async move {
            let start = self.layout.floor(range.start);
            let end = self.layout.floor(range.end.saturating_sub(1)).saturating_add(self.layout.distance);
            let bytes = self.source.fetch(start..end).await.map_err(source::Error::into_read_error)?;
            let bytes = self.shift(start, BytesMut::from(bytes));
            let at = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes.slice(at(range.start)..at(range.end)))
        })
    }
}

impl Rejoined {
    /// Shifts the timestamps in bytes that begin with a packet, at offset `start`.
    fn shift(&self, start: u64, mut bytes: BytesMut) -> Bytes {
        let skip =
            usize::try_from(self.layout.first.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
        let distance = usize::try_from(self.layout.distance).unwrap_or(PACKET);
        let offsets = (start.max(self.layout.first)..).step_by(distance);
        for (packet, offset) in bytes[skip..].chunks_mut(distance).zip(offsets) {
            let next = self.shifts.partition_point(|(from, _)| *from <= offset);
            let Some((_, shift)) = next.checked_sub(1).and_then(|i| self.shifts.get(i)) else { continue };
            let Some(stamps) = Stamps::find(packet) else { continue };
            for at in [stamps.presented, stamps.decoded].into_iter().flatten() {
                packet.get_mut(at..).and_then(|bytes| shift_stamp(bytes, *shift));
            }
            stamps.clock.and_then(|at| shift_clock(packet.get_mut(at..)?, *shift));
        }
        bytes.freeze()
    }
}

/// Reads a transport stream, and returns one with a continuous clock if it is joined from several. Otherwise returns the
/// source itself.
///
/// # Errors
/// Fails if the object cannot be read, or if the read would exceed a limit.
pub(super) async fn rejoin(source: &Arc<Source>) -> Result<Arc<Source>, source::Error> {
    let head = source.read(0..HEAD).await?;
    let Some(layout) = Layout::find(&head) else { return Ok(source.clone()) };
    let head = head.get(usize::try_from(layout.first).unwrap_or(usize::MAX)..).unwrap_or_default();
    let head: Vec<Found> =
        layout.packets(head, layout.first).filter_map(|(at, packet)| stamp(at, packet)).collect();
    let video = head.iter().find(|(.., is_video)| *is_video).map_or(0, |(stamp, ..)| stamp.stream);
    let head: Vec<Stamp> = head.into_iter().map(|(stamp, ..)| stamp).collect();
    let mut timeline = Timeline::new(&[], Pace::measure(&head, video));
    let mut at = layout.first;
    while at < source.size() {
        let bytes = source.fetch(at..at.saturating_add(READ_PACKETS * layout.distance)).await?;
        let found = layout.packets(&bytes, at).filter_map(|(at, packet)| stamp(at, packet));
        for (stamp, decoded, _) in found {
            timeline.push(stamp, decoded);
        }
        at = at.saturating_add(READ_PACKETS * layout.distance);
    }
    let shifts = timeline.shifts();
    if shifts.is_empty() {
        return Ok(source.clone());
    }
    tracing::info!(recordings = shifts.len() + 1, "joining the clocks of a transport stream");
    let rejoined = Rejoined { source: source.clone(), layout, shifts };
    Ok(Arc::new(Source::new(source.size(), rejoined).allow_full_read()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with a clock, and the timestamps of a frame.
    fn packet(pid: u16, id: u8, presented: i64, decoded: i64) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC_BYTE, 0x40 | high, low, 0x30, 7, 0x10, 0, 0, 0, 0, 0x7E, 0];
        packet.extend([0, 0, 1, id, 0, 0, 0x80, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1]);
        packet.resize(PACKET, 0xFF);
        shift_clock(&mut packet[6..], decoded);
        shift_stamp(&mut packet[21..], presented);
        shift_stamp(&mut packet[26..], decoded);
        packet
    }

    fn times(packet: &[u8]) -> (i64, i64, i64) {
        let clock = read_40_bits(&packet[6..]).unwrap() >> 7;
        (clock.cast_signed(), read_stamp(&packet[21..]).unwrap(), read_stamp(&packet[26..]).unwrap())
    }

    /// A clip of 50 frames, with audio.
    fn clip(start: i64) -> Vec<Vec<u8>> {
        let frames = (0..50).map(|i| packet(256, 0xE0, start + (i + 2) * 3600, start + i * 3600));
        let audio = (0..50).map(|i| packet(257, 0xC0, start + i * 3600, start + i * 3600));
        frames.zip(audio).flat_map(|(frame, audio)| [frame, audio]).collect()
    }

    async fn read(object: Vec<u8>) -> (Arc<Source>, Vec<u8>) {
        let size = object.len() as u64;
        let source = Arc::new(Source::new(size, Bytes::from(object)));
        let rejoined = rejoin(&source).await.unwrap();
        let mut bytes = Vec::new();
        // In pieces that do not begin with a packet.
        for start in (0..size).step_by(100) {
            bytes.extend(rejoined.fetch(start..(start + 100).min(size)).await.unwrap());
        }
        (rejoined, bytes)
    }

    #[tokio::test]
    async fn clocks_of_joined_clips_are_continuous() {
        for (distance, before) in [(188, 0), (192, 4), (204, 0), (188, 59)] {
            let mut object = vec![1; before];
            for packet in [clip(126_000), clip(126_000), clip(900_000_000)].concat() {
                object.extend(packet);
                object.resize(object.len() + distance - PACKET, 0);
            }
            let (_, bytes) = read(object).await;
            let found: Vec<_> = bytes[before..].chunks(distance).map(times).collect();
            let frames: Vec<_> = found.iter().step_by(2).map(|(_, presented, _)| *presented).collect();
            let expected: Vec<_> = (0..150).map(|i| 126_000 + (i + 2) * 3600).collect();
            assert_eq!(frames, expected, "{distance}");
            let audio = found.iter().skip(1).step_by(2).map(|(_, presented, _)| *presented);
            assert!(audio.zip(&frames).all(|(audio, frame)| frame - audio == 7200));
            assert!(found.iter().all(|(clock, _, decoded)| clock == decoded));
        }
    }

    #[tokio::test]
    async fn continuous_clocks_are_kept() {
        // The timestamps wrap around, and there is a gap of 5 s.
        let object = [clip(MODULUS - 20_000), clip(7 * 90_000)].concat().concat();
        let source = Arc::new(Source::new(object.len() as u64, Bytes::from(object)));
        assert!(Arc::ptr_eq(&rejoin(&source).await.unwrap(), &source));
    }

    #[tokio::test]
    async fn other_bytes_are_kept() {
        for object in [Vec::new(), vec![0x47; 5000], vec![7; 5000], clip(0).concat()[..1000].to_vec()] {
            let (_, bytes) = read(object.clone()).await;
            assert_eq!(bytes, object);
        }
    }
}
