//! Reads Flash video (Adobe Flash Video File Format Specification 10.1, annex E; Enhanced RTMP for newer codecs).

use bytes::Bytes;

use super::packets::{Found, TIMESTAMP};
use super::rejoin::{Field, Kind, Packet};
use super::timeline::{MS, Stamp};
use crate::matroska;

/// How a file begins, before its version.
const SIGNATURE: &[u8] = b"FLV\x01";
/// The length of a tag's header.
const HEADER: usize = 11;
const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

/// The video in a Flash file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlashVideo {
    pub(super) codec: matroska::Codec,
}

/// A tag, which holds a frame.
struct Tag<'a> {
    kind: u8,
    /// Its bounds in the slice.
    bounds: (usize, usize),
    /// In milliseconds.
    time: u32,
    data: &'a [u8],
}

/// What a tag of video holds.
struct Video<'a> {
    key: bool,
    /// The data configures the decoder.
    configuration: bool,
    /// How much later than it is decoded it is presented, in milliseconds.
    offset: i32,
    data: &'a [u8],
}

impl<'a> Tag<'a> {
    /// Returns the frame that a tag holds, if it is one of video.
    fn frame(&self) -> Option<Video<'a>> {
        video(self.data).filter(|video| self.kind == VIDEO && !video.configuration)
    }

    /// Returns when its frame or audio is presented and decoded, in ticks. Returns `None` if the tag has neither.
    fn times(&self) -> Option<(u64, u64)> {
        let offset = match (self.kind, self.data) {
            // The configuration of AAC, or of a codec of Enhanced RTMP, whose type is in the same byte.
            (AUDIO, [0xA0..=0xAF, 0, ..] | [0x90, ..]) => return None,
            (AUDIO, _) => 0,
            _ => self.frame()?.offset.into(),
        };
        let presented = i64::from(self.time).saturating_add(offset).saturating_mul(MS);
        Some((u64::try_from(presented).unwrap_or(0), u64::from(self.time) * MS.unsigned_abs()))
    }
}

impl FlashVideo {
    /// The length of a file's header, and of the length of the tag before the first one.
    pub(super) const FILE_HEADER: usize = 13;

    /// Finds the codec in the start of a file.
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        let first = usize::try_from(u32::from_be_bytes(*head.get(5..9)?.first_chunk()?)).ok()?;
        let tags = tags(head.get(first.checked_add(4)?..)?).into_iter();
        let videos: Vec<&[u8]> = tags.filter(|tag| tag.kind == VIDEO).map(|tag| tag.data).collect();
        let (data, id) = videos.iter().find_map(|data| Some((data, codec_id(data)?)))?;
        let configuration = videos.iter().find_map(|data| video(data).filter(|video| video.configuration));
        let private = match id.strip_prefix("V_MS/VFW/FOURCC ") {
            // The byte before each frame says how much of the frame is cropped.
            Some(code) if code.starts_with("VP6") => {
                [&video_for_windows(code.as_bytes())[..], data.get(1..2)?].concat().into()
            }
            Some(code) => video_for_windows(code.as_bytes()),
            None => configuration.map(|video| Bytes::copy_from_slice(video.data)).unwrap_or_default(),
        };
        let id = id.split(' ').next().unwrap_or(id);
        Some(Self { codec: matroska::Codec { id, private, size: (0, 0), aspect: None } })
    }

    /// Returns the keyframes and timestamps in a slice.
    pub(super) fn scan(slice: &[u8]) -> (Vec<Found>, Vec<Stamp>) {
        let (mut keyframes, mut stamps) = (Vec::new(), Vec::new());
        for tag in tags(slice) {
            let Some((pts, _)) = tag.times() else { continue };
            stamps.push(Stamp { at: tag.bounds.0 as u64, stream: tag.kind.into(), pts });
            if tag.frame().is_some_and(|frame| frame.key && !frame.data.is_empty()) {
                keyframes.push(Found { pts, range: tag.bounds });
            }
        }
        (keyframes, stamps)
    }

    /// Returns the tags in bytes at an offset of a file, with what joins recordings, and how many of the bytes they take.
    pub(super) fn packets(bytes: &[u8], start: u64) -> (Vec<Packet>, usize) {
        let mut packets = Vec::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
            let offset = start + at as u64;
            let header = if rest.starts_with(SIGNATURE) { Self::FILE_HEADER } else { 0 };
            // A tag that goes on in the next bytes.
            let end = rest.get(header..).and_then(end).map(|end| header + end);
            if end.is_some_and(|end| end > rest.len() || header > 0 && end + TIMESTAMP > rest.len()) {
                break;
            }
            if header > 0 {
                if let Some(end) = end.filter(|_| offset > 0) {
                    packets.push(Packet { fields: hidden(rest, offset, end), ..Packet::default() });
                }
                at += header;
                continue;
            }
            let Some(tag) = tag(rest, at) else {
                at += 1;
                continue;
            };
            at = tag.bounds.1 + 4;
            let stamp = |(pts, decoded)| (Stamp { at: offset, stream: tag.kind.into(), pts }, decoded);
            packets.push(Packet {
                times: tag.times().map(stamp),
                is_video: tag.kind == VIDEO,
                fields: [Field::read(Kind::Flash, rest, offset, 3), None, None],
            });
        }
        (packets, at.min(bytes.len()))
    }

    /// Returns the frames in a slice that begins with a keyframe.
    pub(super) fn frames(slice: &[u8]) -> Vec<&[u8]> {
        let videos =
            tags(slice).into_iter().filter(|tag| tag.kind == VIDEO).filter_map(|tag| video(tag.data));
        videos
            .filter(|video| !video.configuration && !video.data.is_empty())
            .map(|video| video.data)
            .collect()
    }
}

/// Returns the tags of a slice that starts anywhere. Each is followed by its length, which tells where tags are.
fn tags(slice: &[u8]) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(rest) = slice.get(at..).filter(|rest| rest.len() > HEADER) {
        match tag(rest, at) {
            Some(tag) => {
                at = tag.bounds.1 + 4;
                tags.push(tag);
            }
            None => at += 1,
        }
    }
    tags
}

/// Makes a tag of the header of a file that was appended to another one and of its first tag, which are its metadata.
/// ffmpeg skips it, because its kind is the first byte of the signature. `end` is the end of the first tag.
fn hidden(bytes: &[u8], start: u64, end: usize) -> [Option<Field>; 3] {
    let put = |at: usize, put: &dyn Fn(&mut [u8; TIMESTAMP])| {
        let mut field = Field::read(Kind::Other, bytes, start, at)?;
        put(&mut field.bytes);
        Some(field)
    };
    let [_, size @ ..] = u32::try_from(end.saturating_sub(HEADER)).unwrap_or_default().to_be_bytes();
    let length = u32::try_from(end).unwrap_or_default().to_be_bytes();
    [
        put(0, &|bytes| bytes[1..4].copy_from_slice(&size)),
        put(end, &|bytes| bytes[..4].copy_from_slice(&length)),
        None,
    ]
}

/// Returns the end of the tag at the start of bytes, by its header.
fn end(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER>()?;
    // The stream identifier is always 0.
    let is_tag = matches!(header[0], AUDIO | VIDEO | SCRIPT) && header[8..] == [0; 3];
    let size = usize::try_from(u32::from_be_bytes([0, header[1], header[2], header[3]])).ok()?;
    is_tag.then_some(HEADER + size)
}

fn tag(bytes: &[u8], at: usize) -> Option<Tag<'_>> {
    let end = end(bytes)?;
    let header = bytes.first_chunk::<HEADER>()?;
    let time = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
    let data = bytes.get(HEADER..end)?;
    // The last tag may lack its length.
    let length =
        bytes.get(end..).and_then(|rest| rest.first_chunk()).map(|length| u32::from_be_bytes(*length));
    let fits = length.map_or(end == bytes.len(), |length| usize::try_from(length) == Ok(end));
    fits.then(|| Tag { kind: header[0], bounds: (at, at + end), time, data })
}

/// Parses the header of a frame (E.4.3.1, and Enhanced RTMP, extended header).
fn video(data: &[u8]) -> Option<Video<'_>> {
    let first = *data.first()?;
    let key = first >> 4 & 7 == 1;
    // A number of 24 bits with a sign.
    let offset = |at: usize| {
        let [a, b, c] = *data.get(at..)?.first_chunk()?;
        Some(i32::from_be_bytes([a, b, c, 0]) >> 8)
    };
    let (configuration, offset, skip) = if first & 0x80 != 0 {
        let code = data.get(1..5)?;
        match first & 0x0F {
            0 => (true, 0, 5),
            1 if matches!(code, b"hvc1" | b"avc1") => (false, offset(5)?, 8),
            1 | 3 => (false, 0, 5),
            _ => return None,
        }
    } else {
        match first & 0x0F {
            7 | 12 => (*data.get(1)? == 0, offset(2)?, 5),
            // A byte for the cropping of VP6.
            4 | 5 => (false, 0, 2),
            _ => (false, 0, 1),
        }
    };
    Some(Video { key, configuration, offset, data: data.get(skip..)? })
}

/// Returns the codec's identifier in Matroska; after a space, the code of a Video for Windows codec.
fn codec_id(data: &[u8]) -> Option<&'static str> {
    let first = *data.first()?;
    if first & 0x80 != 0 {
        return Some(match data.get(1..5)? {
            b"avc1" => "V_MPEG4/ISO/AVC",
            b"hvc1" => "V_MPEGH/ISO/HEVC",
            b"av01" => "V_AV1",
            b"vp09" => "V_VP9",
            b"vp08" => "V_VP8",
            _ => return None,
        });
    }
    Some(match first & 0x0F {
        2 => "V_MS/VFW/FOURCC FLV1",
        3 => "V_MS/VFW/FOURCC FSV1",
        4 => "V_MS/VFW/FOURCC VP6F",
        5 => "V_MS/VFW/FOURCC VP6A",
        6 => "V_MS/VFW/FOURCC FSV2",
        7 => "V_MPEG4/ISO/AVC",
        12 => "V_MPEGH/ISO/HEVC",
        _ => return None,
    })
}

/// Returns a `BITMAPINFOHEADER` with only its size and the codec.
pub(super) fn video_for_windows(code: &[u8]) -> Bytes {
    let mut header = vec![0; 40];
    header[0] = 40;
    for (to, from) in header[16..20].iter_mut().zip(code) {
        *to = *from;
    }
    header.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cropping_of_vp6_is_part_of_its_configuration() {
        let data = [0x14, 0x80, 1, 2, 3];
        let tag = [&[VIDEO, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0][..], &data].concat();
        let length = u32::try_from(tag.len()).unwrap().to_be_bytes();
        let file = [&b"FLV\x01\x01\0\0\0\x09\0\0\0\0"[..], &tag, &length].concat();
        let found = FlashVideo::find(&file).unwrap();
        assert_eq!(found.codec.private, [&video_for_windows(b"VP6F")[..], &[0x80]].concat());
        assert_eq!(FlashVideo::frames(&file[13..]), [&data[2..]]);
    }
}
