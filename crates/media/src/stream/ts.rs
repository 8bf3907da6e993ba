//! Reads MPEG-2 transport streams (ISO/IEC 13818-1, 2.4): which stream is the video, and its packets.

use std::collections::BTreeMap;

use upreel_core::container::TransportPackets;

use super::elementary::Codec;
use super::packets::{Elementary, header_of_pes};
use super::timeline::Stamp;
use crate::index::{AudioTrack, StreamId, Streams};

const SYNC: u8 = 0x47;
/// The part of a packet that the standard describes. Others have a timestamp before it, or error correction after it.
const PACKET: usize = 188;

/// A program's video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransportStream {
    /// Bytes from one packet to the next.
    stride: usize,
    /// The packet identifier of the video.
    pub(super) video: u16,
    pub(super) codec: Codec,
    /// The audio streams of its program.
    audio: Vec<u16>,
    /// The other streams of its program, of any kind.
    program: Vec<u16>,
}

/// Why a transport stream has no video that can be read here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Video,
    Encrypted,
}

/// A packet's header and payload (2.4.3.2).
struct Packet<'a> {
    /// Its offset in the slice.
    at: usize,
    pid: u16,
    /// A section or a PES packet starts in this packet.
    starts: bool,
    scrambled: bool,
    payload: &'a [u8],
}

impl TransportStream {
    /// Finds the video in the start of a stream. Of several programs, uses the first one with unencrypted video, as
    /// players do.
    pub(super) fn find(head: &[u8]) -> Result<Self, Missing> {
        let TransportPackets { stride, .. } = TransportPackets::find(head).ok_or(Missing::Video)?;
        let mut maps: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        // In the order of their maps, which is that of ffmpeg's streams.
        let mut programs: Vec<(u16, Vec<(u8, u16)>)> = Vec::new();
        let mut counts: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        maps.insert(0, Vec::new());
        for packet in packets(head, stride) {
            let (seen, scrambled) = counts.entry(packet.pid).or_default();
            *seen += 1;
            *scrambled += u64::from(packet.scrambled);
            let Some(section) = maps.get_mut(&packet.pid) else { continue };
            if packet.starts {
                let pointer = usize::from(packet.payload.first().copied().unwrap_or(0));
                *section = packet.payload.get(1 + pointer..).unwrap_or_default().to_vec();
            } else if !section.is_empty() && section.len() < 4096 {
                section.extend_from_slice(packet.payload);
            }
            let Some(table) = table(section) else { continue };
            if packet.pid == 0 {
                // Program 0 is the network information.
                let listed =
                    table.as_chunks::<4>().0.iter().take(64).filter(|program| program[..2] != [0, 0]);
                for map in listed.map(|program| pid(program[2], program[3])).collect::<Vec<_>>() {
                    maps.entry(map).or_default();
                }
            } else {
                match programs.iter_mut().find(|(map, _)| *map == packet.pid) {
                    Some((_, program)) => *program = streams(table),
                    None => programs.push((packet.pid, streams(table))),
                }
            }
        }
        let packets_of = |pid: u16| counts.get(&pid).copied().unwrap_or_default();
        let videos = programs.iter().flat_map(|(_, streams)| {
            let video = |(kind, pid): &(u8, u16)| Some((*pid, Codec::of_stream_type(*kind)?, streams));
            streams.iter().filter_map(video).collect::<Vec<_>>()
        });
        // Prefers unencrypted video (0) to encrypted video (1), and both to video without packets in the start of the
        // file.
        let kind = |pid: u16| match packets_of(pid) {
            (0, _) => 2,
            (seen, scrambled) => u8::from(scrambled * 2 > seen),
        };
        let (video, codec, streams) = videos.min_by_key(|(pid, ..)| kind(*pid)).ok_or(Missing::Video)?;
        if kind(video) == 1 {
            return Err(Missing::Encrypted);
        }
        let audio = streams.iter().filter(|(kind, _)| is_audio(*kind)).map(|(_, pid)| *pid).collect();
        let program = streams.iter().map(|(_, pid)| *pid).filter(|pid| *pid != video).collect();
        Ok(Self { stride, video, codec, audio, program })
    }

    /// Returns the streams of the program. Other programs are other films.
    pub(super) fn streams(&self) -> Streams {
        let id = |pid: u16| StreamId::Id(pid.into());
        let audio = self.program.iter().map(|pid| AudioTrack::new(id(*pid)));
        Streams { film: Some(id(self.video)), audio: audio.collect(), ..Streams::default() }
    }

    /// Returns the video's bytes in a slice of the file.
    pub(super) fn demux(&self, slice: &[u8]) -> Elementary {
        let mut out = Elementary::default();
        for packet in packets(slice, self.stride).filter(|packet| !packet.scrambled) {
            let header = if packet.starts { header_of_pes(packet.payload) } else { None };
            let pts = header.as_ref().and_then(|header| header.pts);
            if let Some(pts) = pts.filter(|_| packet.pid == self.video || self.audio.contains(&packet.pid)) {
                out.stamps.push(Stamp { at: packet.at as u64, stream: packet.pid, pts });
            }
            if packet.pid == self.video {
                // A frame can begin anywhere in a PES packet.
                let data = packet.payload.get(header.map_or(0, |header| header.len)..).unwrap_or_default();
                out.push(packet.at, packet.at + PACKET, pts, data);
            }
        }
        out
    }
}

/// Returns the packets of a slice that starts anywhere. Where the packets lose their order, the next ones are searched.
fn packets(slice: &[u8], stride: usize) -> impl Iterator<Item = Packet<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let bytes = slice.get(at..at + PACKET)?;
            let follows = slice.get(at + stride).is_none_or(|byte| *byte == SYNC);
            if bytes[0] != SYNC || !(follows || at > 0 && slice.get(at - stride.min(at)) == Some(&SYNC)) {
                at += 1 + memchr::memchr(SYNC, &slice[at + 1..])?;
                continue;
            }
            let packet = packet(bytes, at);
            at += stride;
            if packet.is_some() {
                return packet;
            }
        }
    })
}

fn packet(bytes: &[u8], at: usize) -> Option<Packet<'_>> {
    let control = bytes[3];
    let skip = match control >> 4 & 3 {
        1 => 4,
        3 => 5 + usize::from(bytes[4]),
        _ => return None,
    };
    // The transport_error_indicator.
    let intact = bytes[1] & 0x80 == 0;
    Some(Packet {
        at,
        pid: pid(bytes[1], bytes[2]),
        starts: bytes[1] & 0x40 != 0,
        scrambled: control >> 6 != 0,
        payload: bytes.get(skip..).filter(|_| intact)?,
    })
}

fn pid(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high & 0x1F, low])
}

/// Returns the content of a complete section of the program association or program map table (2.4.4), without its
/// header and checksum.
fn table(section: &[u8]) -> Option<&[u8]> {
    let [kind @ (0 | 2), high, low, ..] = *section else { return None };
    let end = 3 + (usize::from(high & 0x0F) << 8 | usize::from(low));
    let content = section.get(8..end.checked_sub(4)?)?;
    if kind == 0 { Some(content) } else { content.get(2..) }
}

/// Returns the stream types and packet identifiers of a program map (2.4.4.8).
fn streams(map: &[u8]) -> Vec<(u8, u16)> {
    let length = |high: u8, low: u8| usize::from(high & 0x0F) << 8 | usize::from(low);
    let mut streams = Vec::new();
    let Some([high, low]) = map.first_chunk() else { return streams };
    let mut rest = map.get(2 + length(*high, *low)..).unwrap_or_default();
    while let Some([kind, pid_high, pid_low, high, low]) = rest.first_chunk() {
        streams.push((*kind, pid(*pid_high, *pid_low)));
        rest = rest.get(5 + length(*high, *low)..).unwrap_or_default();
    }
    streams
}

/// The stream types of audio (table 2-34, ATSC A/53, Blu-ray).
const fn is_audio(stream_type: u8) -> bool {
    matches!(stream_type, 0x03 | 0x04 | 0x0F | 0x11 | 0x1C | 0x80..=0x87)
}
