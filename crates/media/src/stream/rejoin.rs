//! Joins the clocks of recordings that were joined by their bytes: of MPEG transport and program streams (ISO/IEC
//! 13818-1, 2.4.3 and 2.5.3) and of Flash video.
//!
//! The clock starts again in each clip of a camera, and after a pause of a recording. ffmpeg detects a restart by the
//! packets of each stream; since packets are not stored in the order in which they are played, audio and video move
//! apart. Here the [`Timeline`] tells at which packet a recording begins, and all timestamps from there on are shifted.

mod transport;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use upreel_core::Container;

use self::transport::Layout;
use super::flv::FlashVideo;
use super::kind::Stream;
use super::packets::{PesHeader, TIMESTAMP, timestamp};
use super::patches::Patches;
use super::ps;
use super::timeline::{MS, Pace, Stamp, Timeline};
use crate::source::{self, Source};

/// Bytes to find the first packet in, and to measure the pace of the video.
const HEAD: u64 = 1 << 20;
/// Bytes that are read at a time.
const READ: u64 = 4 << 20;
/// The most timestamps that are shifted, of 16 bytes each: those of some ten hours.
const MAX_FIELDS: usize = 8 << 20;
/// Timestamps of MPEG have 33 bits.
const MODULUS: i64 = 1 << 33;

/// How packets are found in an object.
#[derive(Debug, Clone, Copy)]
enum Format {
    Transport(Layout),
    Program,
    Flash,
}

/// A packet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// Its timestamp, and its decode time.
    pub(super) times: Option<(Stamp, u64)>,
    pub(super) is_video: bool,
    /// What has to be shifted with the clock.
    pub(super) fields: [Option<Field>; 3],
}

/// Bytes of an object that depend on the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) at: u64,
    pub(super) kind: Kind,
    pub(super) bytes: [u8; TIMESTAMP],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A timestamp of an elementary stream of MPEG: 3, 15 and 15 bits, each followed by a marker.
    Stamp,
    /// A program clock reference: 33 bits in units of 90 kHz, followed by an extension that stays as it is.
    Clock,
    /// The last byte of a length, then a time of Flash in milliseconds: its lower 24 bits, then the upper 8.
    Flash,
    /// Other bytes, which replace those of the object.
    Other,
}

impl Field {
    /// Reads a field at an offset of a packet, which begins at `start` of the object.
    pub(super) fn read(kind: Kind, packet: &[u8], start: u64, at: usize) -> Option<Self> {
        Some(Self { at: start + at as u64, kind, bytes: *packet.get(at..)?.first_chunk()? })
    }

    /// Returns the fields of a packet of an elementary stream.
    fn of_pes(header: &PesHeader, packet: &[u8], start: u64) -> [Option<Self>; 2] {
        let read = |time: Option<u64>, at| time.and_then(|_| Self::read(Kind::Stamp, packet, start, at));
        [read(header.pts, header.at), read(header.dts, header.at + TIMESTAMP)]
    }

    /// Returns the bytes with the clock shifted by some ticks.
    fn shifted(&self, ticks: i64) -> [u8; TIMESTAMP] {
        let bits = self.bytes.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let shifted =
            |time: u64| time.cast_signed().saturating_add(ticks).rem_euclid(MODULUS).cast_unsigned();
        let bits = match self.kind {
            Kind::Other => bits,
            Kind::Clock => shifted(bits >> 7) << 7 | bits & 0x7F,
            Kind::Stamp => {
                let time = shifted(timestamp(&self.bytes).unwrap_or_default());
                bits & 0xF1_0001_0001 | time >> 30 << 33 | (time >> 15 & 0x7FFF) << 17 | (time & 0x7FFF) << 1
            }
            Kind::Flash => {
                let time = (bits & 0xFF) << 24 | bits >> 8 & 0xFF_FFFF;
                let time = time.cast_signed().saturating_add(ticks / MS).rem_euclid(1 << 32).cast_unsigned();
                bits & 0xFF << 32 | (time & 0xFF_FFFF) << 8 | time >> 24
            }
        };
        bits.to_be_bytes().last_chunk().copied().unwrap_or_default()
    }
}

impl Format {
    fn find(container: Container, head: &[u8]) -> Option<Self> {
        match container {
            Container::MpegTs => Layout::find(head).map(Self::Transport),
            Container::MpegPs => Some(Self::Program),
            Container::Flv => Some(Self::Flash),
            _ => None,
        }
    }

    /// Measures the pace of the video in the start of an object.
    fn pace(self, head: &[u8], container: Container) -> Pace {
        let (packets, _) = self.packets(head, 0);
        let stamp = |packet: &Packet| packet.times.map(|(stamp, _)| stamp);
        let stamps: Vec<Stamp> = packets.iter().filter_map(stamp).collect();
        if let Ok(Some(stream)) = Stream::find(head, container) {
            return stream.pace(&stamps, head);
        }
        let video = packets.iter().filter(|packet| packet.is_video).find_map(stamp);
        Pace::measure(&stamps, video.map_or(0, |stamp| stamp.stream))
    }

    /// Returns the packets in bytes at an offset of the object, and how many of the bytes they take. The others are needed
    /// again with those that follow.
    fn packets(self, bytes: &[u8], start: u64) -> (Vec<Packet>, usize) {
        match self {
            Self::Transport(layout) => layout.packets(bytes, start),
            Self::Program => {
                let mut end = bytes.len().saturating_sub(ps::LONGEST);
                let packets = ps::packets(bytes).filter_map(|packet| {
                    end = end.max(packet.bounds.1);
                    let header = packet.header()?;
                    let at = start + packet.bounds.0 as u64;
                    let stamp = Stamp { at, stream: packet.stream(&header)?, pts: header.pts? };
                    let [presented, decoded] = Field::of_pes(&header, packet.bytes, at);
                    Some(Packet {
                        times: Some((stamp, header.dts.unwrap_or(stamp.pts))),
                        is_video: packet.is_video(),
                        fields: [presented, decoded, None],
                    })
                });
                (packets.collect(), end)
            }
            Self::Flash => FlashVideo::packets(bytes, start),
        }
    }
}

/// Reads an object, and returns one with a continuous clock if it is joined from several recordings. Otherwise returns the
/// source itself.
///
/// # Errors
/// Fails if the object cannot be read, or if the read would exceed a limit.
pub(super) async fn rejoin(source: &Arc<Source>, container: Container) -> Result<Arc<Source>, source::Error> {
    let head = source.read(0..HEAD).await?;
    let Some(format) = Format::find(container, &head) else { return Ok(source.clone()) };
    let mut timeline = Timeline::new(&[], format.pace(&head, container));
    let mut fields: Vec<Field> = Vec::new();
    let (mut at, mut rest) = (0, BytesMut::new());
    while at < source.size() {
        let end = at.saturating_add(READ).min(source.size());
        rest.extend_from_slice(&source.fetch(at..end).await?);
        at = end;
        let bytes: Bytes = rest.split().freeze();
        let (packets, used) = format.packets(&bytes, at - bytes.len() as u64);
        rest.extend_from_slice(bytes.get(used..).unwrap_or_default());
        for packet in packets {
            if let Some((stamp, decoded)) = packet.times {
                timeline.push(stamp, Some(decoded));
            }
            // The first recording keeps its clock.
            let kept = |field: &Field| timeline.is_joined() || field.kind == Kind::Other;
            fields.extend(packet.fields.into_iter().flatten().filter(kept));
        }
        if fields.len() > MAX_FIELDS {
            tracing::warn!("too many timestamps to join the clocks of the recordings");
            return Ok(source.clone());
        }
    }
    let shifts = timeline.shifts();
    let shifted = |field: Field| {
        let next = shifts.partition_point(|(from, _)| *from <= field.at);
        let shift = next.checked_sub(1).and_then(|last| shifts.get(last)).map_or(0, |(_, shift)| *shift);
        (field.at, field.shifted(shift))
    };
    let patches = Patches(fields.into_iter().map(shifted).collect());
    if !patches.0.is_empty() {
        tracing::info!(recordings = shifts.len() + 1, "joining the clocks of recordings");
    }
    Ok(patches.patch(source))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{flash_video, pack};
    use super::super::patches::tests::read_in_pieces;
    use super::transport::{PACKET, SYNC_BYTE};
    use super::*;

    /// Adds to a field.
    fn shift(kind: Kind, bytes: &mut [u8], at: usize, ticks: i64) {
        let shifted = Field::read(kind, bytes, 0, at).unwrap().shifted(ticks);
        bytes[at..at + TIMESTAMP].copy_from_slice(&shifted);
    }

    /// A packet with a clock, and the timestamps of a frame.
    fn packet(pid: u16, id: u8, presented: i64, decoded: i64) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC_BYTE, 0x40 | high, low, 0x30, 7, 0x10, 0, 0, 0, 0, 0x7E, 0];
        packet.extend([0, 0, 1, id, 0, 0, 0x80, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1]);
        packet.resize(PACKET, 0xFF);
        shift(Kind::Clock, &mut packet, 6, decoded);
        shift(Kind::Stamp, &mut packet, 21, presented);
        shift(Kind::Stamp, &mut packet, 26, decoded);
        packet
    }

    fn times(packet: &[u8]) -> (u64, u64, u64) {
        let clock = packet[6..11].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)) >> 7;
        (clock, timestamp(&packet[21..]).unwrap(), timestamp(&packet[26..]).unwrap())
    }

    /// Returns a clip of 50 frames, with audio. The function makes a packet of a frame or of audio.
    fn clip(start: i64, packet: impl Fn(bool, i64, i64) -> Vec<u8>) -> Vec<Vec<u8>> {
        let frames = (0..50).map(|i| packet(true, start + (i + 2) * 3600, start + i * 3600));
        let audio = (0..50).map(|i| packet(false, start + i * 3600, start + i * 3600));
        frames.zip(audio).flat_map(|(frame, audio)| [frame, audio]).collect()
    }

    fn transport_clip(start: i64) -> Vec<Vec<u8>> {
        clip(start, |is_video, presented, decoded| {
            let (pid, id) = if is_video { (256, 0xE0) } else { (257, 0xC0) };
            packet(pid, id, presented, decoded)
        })
    }

    async fn read(object: Vec<u8>, container: Container) -> (bool, Vec<u8>) {
        read_in_pieces(object, 100, async |source| rejoin(&source, container).await.unwrap()).await
    }

    #[tokio::test]
    async fn clocks_of_joined_clips_are_continuous() {
        for (distance, before) in [(188, 0), (192, 4), (204, 0), (188, 59)] {
            let mut object = vec![1; before];
            for packet in [126_000, 126_000, 900_000_000].map(transport_clip).concat() {
                object.extend(packet);
                object.resize(object.len() + distance - PACKET, 0);
            }
            let (_, bytes) = read(object, Container::MpegTs).await;
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
        let object = [MODULUS - 20_000, 7 * 90_000].map(transport_clip).concat().concat();
        assert_eq!(read(object.clone(), Container::MpegTs).await, (true, object));
    }

    #[tokio::test]
    async fn clocks_of_joined_program_streams_are_continuous() {
        // Of MPEG-2, and of MPEG-1 after bytes of stuffing and the size of a buffer.
        let headers: [(&[u8], usize); 2] = [
            (&[0x80, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1], 9),
            (&[0xFF, 0xFF, 0x60, 4, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1], 10),
        ];
        for (header, at) in headers {
            let clip = |start: i64| {
                clip(start, |is_video, presented, decoded| {
                    let mut packet =
                        [&[0, 0, 1, if is_video { 0xE0 } else { 0xBD }, 0, 0][..], header].concat();
                    shift(Kind::Stamp, &mut packet, at, presented);
                    shift(Kind::Stamp, &mut packet, at + TIMESTAMP, decoded);
                    // Subtitles have other times than the audio, with which they share an identifier.
                    let mut subtitles = packet.clone();
                    subtitles[3] = 0xBD;
                    shift(Kind::Stamp, &mut subtitles, at + TIMESTAMP, 200_000);
                    [pack(packet, &[0x80; 20]), pack(subtitles, &[0x20; 20])].concat()
                })
            };
            let (is_same, kept) = read(clip(0).concat(), Container::MpegPs).await;
            assert!(is_same && kept == clip(0).concat());
            let (_, bytes) =
                read([0, 50_000, 900_000_000].map(clip).concat().concat(), Container::MpegPs).await;
            let (packets, _) = Format::Program.packets(&bytes, 0);
            let video = packets.iter().filter(|packet| packet.is_video).filter_map(|packet| packet.times);
            let found: Vec<_> = video.map(|(stamp, decoded)| (stamp.pts, decoded)).collect();
            let expected: Vec<_> = (0..150).map(|i| ((i + 2) * 3600, i * 3600)).collect();
            assert_eq!(found, expected);
            let audio = packets.iter().filter(|packet| !packet.is_video).filter_map(|packet| packet.times);
            assert!(audio.map(|(stamp, _)| stamp.pts).eq((0..150).map(|i| i * 3600)));
        }
    }

    #[tokio::test]
    async fn clocks_of_joined_flash_videos_are_continuous() {
        let made = flash_video(100, 25, 40);
        let metadata = [&[18, 0, 0, 30][..], &[0; 7], &[5; 30], &[0, 0, 0, 41]].concat();
        let (header, tags) = made.split_at(FlashVideo::FILE_HEADER);
        let file = [header, &metadata, tags].concat();
        assert_eq!(read(file.clone(), Container::Flv).await, (true, file.clone()));
        // With the header of each file, and as one file whose clock starts again.
        for object in [file.repeat(3), [&file, tags, tags].concat()] {
            let (is_same, bytes) = read(object, Container::Flv).await;
            let (packets, used) = FlashVideo::packets(&bytes, 0);
            assert_eq!((is_same, used), (false, bytes.len()));
            let found = packets.iter().filter_map(|packet| packet.times).map(|(stamp, _)| stamp.pts);
            assert!(found.eq((0..300).map(|i| i * 3600)));
            // Each tag follows the one before.
            let mut at = FlashVideo::FILE_HEADER;
            while at < bytes.len() {
                let size = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().unwrap()) & 0xFF_FFFF;
                let next = at + 11 + usize::try_from(size(at)).unwrap();
                assert_eq!(size(next), size(at) + 11);
                at = next + 4;
            }
        }
    }

    #[tokio::test]
    async fn other_bytes_are_kept() {
        for object in
            [Vec::new(), vec![0x47; 5000], vec![7; 5000], transport_clip(0).concat()[..1000].to_vec()]
        {
            for container in [Container::MpegTs, Container::MpegPs, Container::Flv] {
                assert_eq!(read(object.clone(), container).await, (true, object.clone()));
            }
        }
    }
}
