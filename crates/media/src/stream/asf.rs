//! Reads Advanced Systems Format, the container of Windows Media (ASF Specification 01.20.05).

mod aspect;

use bytes::Bytes;

use self::aspect::aspect;
use super::packets::Found;
use super::timeline::{MS, Stamp};
use crate::avi::PICTURES;
use crate::matroska;

pub(super) const HEADER_OBJECT: [u8; 16] =
    *b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C";
pub(super) const FILE_PROPERTIES: [u8; 16] =
    *b"\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65";
pub(super) const STREAM_PROPERTIES: [u8; 16] =
    *b"\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65";
pub(super) const VIDEO_MEDIA: [u8; 16] = *b"\xC0\xEF\x19\xBC\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B";
pub(super) const AUDIO_MEDIA: [u8; 16] = *b"\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B";
/// The objects of encrypted files (sections 3.14 to 3.16).
const ENCRYPTION: [[u8; 16]; 3] = [
    *b"\xFB\xB3\x11\x22\x23\xBD\xD2\x11\xB4\xB7\x00\xA0\xC9\x55\xFC\x6E",
    *b"\x14\xE6\x8A\x29\x22\x26\x17\x4C\xB9\x35\xDA\xE0\x7E\xE9\x28\x9C",
    *b"\x33\x85\x05\x43\x81\x69\xE6\x49\x9B\x74\xAD\x12\xCB\x86\xD5\x8C",
];
/// The length of what precedes the objects in the header object.
const HEADER_FIELDS: usize = 30;
/// The length of the header of the data object, before the first packet.
const DATA_HEADER: usize = 50;
/// Limit of a frame, in bytes.
const MAX_FRAME: u32 = 36 << 20;

/// The video in a file, and its packets, which all have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WindowsMedia {
    pub(super) video: u16,
    pub(super) codec: matroska::Codec,
    /// The numbers of the audio streams.
    audio: Vec<u16>,
    packet: usize,
    /// The offset of the first packet.
    first: u64,
    /// Milliseconds that all timestamps are late.
    preroll: u64,
}

/// A part of a frame (section 5.2.3).
struct Payload<'a> {
    stream: u8,
    key: bool,
    object: u32,
    /// The offset in the frame.
    offset: u32,
    /// The length of the frame, and its time in milliseconds.
    len: u32,
    time: u32,
    data: &'a [u8],
}

/// A frame that is put together.
struct Frame {
    object: u32,
    key: bool,
    len: usize,
    time: u32,
    bounds: (usize, usize),
    data: Vec<u8>,
}

impl WindowsMedia {
    /// Returns whether the header object tells that the file is encrypted.
    pub(super) fn is_encrypted(head: &[u8]) -> bool {
        objects(head).any(|object| ENCRYPTION.iter().any(|id| object.starts_with(id)))
    }

    /// Finds the video in the header object: the first stream that is not a preview.
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let (mut packet, mut preroll, mut videos, mut audio) = (0, 0, Vec::new(), Vec::new());
        for object in objects(head) {
            if object.starts_with(&FILE_PROPERTIES) {
                preroll = field(object, 80)?;
                packet = usize::try_from(u32::from_le_bytes(*object.get(92..)?.first_chunk()?)).ok()?;
            } else if object.starts_with(&STREAM_PROPERTIES) {
                videos.extend(video_stream(object));
                let is_audio = object.get(24..40) == Some(&AUDIO_MEDIA);
                audio.extend(object.get(72).filter(|_| is_audio).map(|number| u16::from(number & 0x7F)));
            }
        }
        // `biCompression` of the format.
        let is_picture = |codec: &matroska::Codec| {
            let code = codec.private.get(16..20).and_then(|code| code.first_chunk()).copied();
            code.is_some_and(|code| PICTURES.contains(&&code))
        };
        let (video, mut codec) = videos.into_iter().min_by_key(|(_, codec)| is_picture(codec))?;
        codec.aspect = aspect(head, video);
        let first = field(head, 16)?.checked_add(DATA_HEADER as u64)?;
        (64..=1 << 20).contains(&packet).then_some(Self { video, codec, audio, packet, first, preroll })
    }

    /// Returns the keyframes and timestamps in a slice at an offset of the file.
    pub(super) fn scan(&self, slice: &[u8], offset: u64) -> (Vec<Found>, Vec<Stamp>) {
        let pts = |time: u32| u64::from(time).saturating_sub(self.preroll) * MS.unsigned_abs();
        let frames = self.frames_from(slice, self.skip(offset));
        let mut stamps: Vec<Stamp> = frames
            .iter()
            .map(|frame| Stamp { at: frame.bounds.0 as u64, stream: self.video, pts: pts(frame.time) })
            .collect();
        stamps.extend(self.packets(slice, self.skip(offset)).flat_map(|(at, packet)| {
            let audio = payloads(packet).unwrap_or_default().into_iter();
            let audio =
                audio.filter(|payload| payload.offset == 0 && self.audio.contains(&payload.stream.into()));
            audio.map(move |payload| Stamp {
                at: at as u64,
                stream: payload.stream.into(),
                pts: pts(payload.time),
            })
        }));
        stamps.sort_by_key(|stamp| stamp.at);
        let keyframes = frames.into_iter().filter(|frame| frame.key);
        let keyframes = keyframes.map(|frame| Found { pts: pts(frame.time), range: frame.bounds });
        (keyframes.collect(), stamps)
    }

    /// Returns the frames from the first keyframe on, in a slice that begins with a packet.
    pub(super) fn frames(&self, slice: &[u8]) -> Vec<Vec<u8>> {
        let frames = self.frames_from(slice, 0).into_iter().skip_while(|frame| !frame.key);
        frames.map(|frame| frame.data).collect()
    }

    /// Returns the bytes from an offset to the next packet.
    fn skip(&self, offset: u64) -> usize {
        let packet = self.packet as u64;
        let into = match offset.checked_sub(self.first) {
            Some(after) => after % packet,
            None => return usize::try_from(self.first - offset).unwrap_or(usize::MAX),
        };
        usize::try_from(if into == 0 { 0 } else { packet - into }).unwrap_or(usize::MAX)
    }

    /// Returns the packets of a slice, and their offsets in it. The first packet begins after `skip` bytes.
    fn packets<'a>(&self, slice: &'a [u8], skip: usize) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        let len = self.packet;
        let packets = slice.get(skip..).unwrap_or_default().chunks_exact(len);
        packets.zip(0..).map(move |(packet, number)| (skip + number * len, packet))
    }

    /// Puts the complete frames together.
    fn frames_from(&self, slice: &[u8], skip: usize) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut open: Option<Frame> = None;
        for (start, packet) in self.packets(slice, skip) {
            for payload in payloads(packet).unwrap_or_default() {
                if u16::from(payload.stream) != self.video || payload.len == 0 || payload.len > MAX_FRAME {
                    continue;
                }
                let len = usize::try_from(payload.len).unwrap_or(usize::MAX);
                if payload.offset == 0 {
                    let (object, key, time) = (payload.object, payload.key, payload.time);
                    open = Some(Frame { object, key, len, time, bounds: (start, 0), data: Vec::new() });
                }
                let Some(mut frame) = open.take_if(|frame| frame.object == payload.object) else { continue };
                if usize::try_from(payload.offset) != Ok(frame.data.len()) {
                    continue;
                }
                frame.data.extend_from_slice(payload.data);
                frame.bounds.1 = start + self.packet;
                if frame.data.len() >= frame.len {
                    frames.push(frame);
                } else {
                    open = Some(frame);
                }
            }
        }
        frames
    }
}

/// Reads 64 bits.
fn field(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns the complete objects in the header object.
fn objects(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let size = field(head, 16).filter(|_| head.starts_with(&HEADER_OBJECT)).unwrap_or(0);
    let end = usize::try_from(size).unwrap_or(usize::MAX).min(head.len());
    objects_in(head.get(HEADER_FIELDS..end).unwrap_or_default())
}

fn objects_in(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::try_from(field(bytes, 16)?).ok().filter(|len| *len >= 24)?;
        let (object, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        Some(object)
    })
}

/// Returns the number and codec of a stream of video (section 3.3, and 9.2 for the type-specific data).
fn video_stream(object: &[u8]) -> Option<(u16, matroska::Codec)> {
    if object.get(24..40)? != VIDEO_MEDIA {
        return None;
    }
    let number = object.get(72)? & 0x7F;
    let size = |at: usize| Some(u32::from_le_bytes(*object.get(at..)?.first_chunk()?));
    let (width, height) = (size(78)?, size(82)?);
    let format = usize::from(u16::from_le_bytes(*object.get(87..)?.first_chunk()?));
    let private = object.get(89..)?.get(..format).filter(|private| private.len() >= 40)?;
    let private = Bytes::copy_from_slice(private);
    Some((
        number.into(),
        matroska::Codec {
            id: matroska::Codec::VIDEO_FOR_WINDOWS,
            private,
            size: (width, height),
            aspect: None,
        },
    ))
}

/// A cursor over little-endian values whose lengths are given by two bits.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn value(&mut self, kind: u8) -> Option<u32> {
        let len = [0, 1, 2, 4][usize::from(kind & 3)];
        Some(self.take(len)?.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }
}

/// Parses a packet (section 5.2). Returns none of its payloads if it is damaged.
fn payloads(packet: &[u8]) -> Option<Vec<Payload<'_>>> {
    let mut cursor = Cursor(packet);
    let mut flags = cursor.byte()?;
    if flags & 0x80 != 0 {
        // Error correction data.
        cursor.take(usize::from(flags & 0x0F))?;
        flags = cursor.byte()?;
    }
    let properties = cursor.byte()?;
    cursor.value(flags >> 5)?;
    cursor.value(flags >> 1)?;
    let padding = usize::try_from(cursor.value(flags >> 3)?).ok()?;
    // The send time and the duration of the packet.
    cursor.take(6)?;
    cursor.0 = cursor.0.get(..cursor.0.len().checked_sub(padding)?)?;
    if flags & 1 == 0 {
        return Some(payload(&mut cursor, properties, None)?.into_iter().collect());
    }
    let count = cursor.byte()?;
    let mut payloads = Vec::new();
    for _ in 0..count & 0x3F {
        payloads.extend(payload(&mut cursor, properties, Some(count >> 6))?);
    }
    Some(payloads)
}

/// Parses a payload, whose length is stored in a value of the given kind if it is one of several. Returns `Some(None)`
/// for compressed payloads, which hold several small frames and are not used for video.
#[expect(clippy::option_option, reason = "damaged, or not used")]
fn payload<'a>(cursor: &mut Cursor<'a>, properties: u8, length: Option<u8>) -> Option<Option<Payload<'a>>> {
    let stream = cursor.byte()?;
    let object = cursor.value(properties >> 4)?;
    let offset = cursor.value(properties >> 2)?;
    let replicated = usize::try_from(cursor.value(properties)?).ok()?;
    let (mut len, mut time) = (0, 0);
    if replicated >= 8 {
        let mut data = Cursor(cursor.take(replicated)?);
        (len, time) = (data.value(3)?, data.value(3)?);
    } else {
        cursor.take(replicated)?;
    }
    let data = match length {
        Some(kind) => {
            let length = usize::try_from(cursor.value(kind)?).ok()?;
            cursor.take(length)?
        }
        None => cursor.take(cursor.0.len())?,
    };
    let payload = Payload { stream: stream & 0x7F, key: stream & 0x80 != 0, object, offset, len, time, data };
    Some((replicated >= 8).then_some(payload))
}
