//! Makes transport streams and program streams of H.264-like frames for the tests.

use std::ops::Range;

use bytes::Bytes;
use upreel_core::range::{RangeRead, RangeReader};

use crate::source::Source;

/// A film of 25 frames a second.
pub(super) struct Program {
    pub(super) count: usize,
    pub(super) keyframe_every: usize,
    /// Bytes of a frame.
    pub(super) size: usize,
    pub(super) scrambled: bool,
    /// By how many bytes PES packets of a transport stream begin after the start of a frame.
    pub(super) late: usize,
}

impl Program {
    pub(super) fn film(count: usize, keyframe_every: usize) -> Self {
        Self { count, keyframe_every, size: 900, scrambled: false, late: 0 }
    }

    /// Returns the access unit of a frame.
    pub(super) fn frame(&self, n: usize) -> Vec<u8> {
        let start: &[u8] = if n.is_multiple_of(self.keyframe_every) {
            b"\0\0\x01\x09\x10\0\0\x01\x67\x4D\x40\x1F\0\0\x01\x68\xEE\0\0\x01\x65\x88"
        } else {
            b"\0\0\x01\x09\x30\0\0\x01\x41\x9A"
        };
        let mut frame = start.to_vec();
        frame.resize(start.len() + self.size, u8::try_from(n % 200).unwrap() + 20);
        frame
    }
}

/// The header of a PES packet without a timestamp.
pub(super) const UNTIMED: &[u8] = b"\0\0\x01\xE0\0\0\x80\0\0";

/// Encodes a timestamp of 33 bits as the only one of a PES packet.
fn pes_header(frame: usize) -> Vec<u8> {
    let pts = 900_000 + frame as u64 * 3600;
    let byte = |shift: u32| u8::try_from(pts >> shift & 0xFF).unwrap();
    let top = 0x21 | u8::try_from(pts >> 30 & 7).unwrap() << 1;
    let mut header = b"\0\0\x01\xE0\0\0\x80\x80\x05".to_vec();
    header.extend([top, byte(22), byte(14) | 1, byte(7), byte(0) << 1 | 1]);
    header
}

/// Returns packets with bytes `around` them. Each program has a map and a video.
pub(super) fn transport_stream(programs: &[&Program], around: (usize, usize)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |pid: u16, starts: bool, scrambled: bool, mut data: &[u8]| {
        let mut first = starts;
        while !data.is_empty() {
            let (piece, rest) = data.split_at(data.len().min(184));
            data = rest;
            let [high, low] = pid.to_be_bytes();
            let mut packet = vec![0x47, high | if first { 0x40 } else { 0 }, low];
            let scrambled = if scrambled { 0xC0 } else { 0 };
            if piece.len() == 184 {
                packet.push(0x10 | scrambled);
            } else {
                packet.extend([0x30 | scrambled, u8::try_from(183 - piece.len()).unwrap()]);
                if piece.len() < 183 {
                    packet.push(0);
                }
                packet.resize(188 - piece.len(), 0xFF);
            }
            packet.extend(piece);
            out.extend(vec![0; around.0]);
            out.extend(packet);
            out.extend(vec![0; around.1]);
            first = false;
        }
    };
    let pids = |n: usize| (u16::try_from(0x100 + n).unwrap(), u16::try_from(0x200 + n).unwrap());
    let longest = programs.iter().map(|program| program.count).max().unwrap();
    for frame in 0..longest {
        if frame % 20 == 0 {
            let mut table = vec![0, 0, 0xB0, u8::try_from(9 + 4 * programs.len()).unwrap(), 0, 1, 0xC1, 0, 0];
            for n in 0..programs.len() {
                let [high, low] = pids(n).0.to_be_bytes();
                table.extend([0, u8::try_from(n).unwrap() + 1, 0xE0 | high, low]);
            }
            table.extend([0; 4]);
            put(0, true, false, &table);
            for n in 0..programs.len() {
                let (map, video) = pids(n);
                let [high, low] = video.to_be_bytes();
                let table =
                    [0, 2, 0xB0, 18, 0, 1, 0xC1, 0, 0, 0xE1, 0, 0xF0, 0, 0x1B, 0xE0 | high, low, 0xF0, 0];
                put(map, true, false, &[&table[..], &[0; 4]].concat());
            }
        }
        for (n, program) in programs.iter().enumerate().filter(|(_, program)| frame < program.count) {
            // The timestamp is that of the first frame that begins in the packet.
            let (late, next) = (program.late, frame + 1);
            let mut packet = if late == 0 {
                pes_header(frame)
            } else if next < program.count {
                pes_header(next)
            } else {
                UNTIMED.to_vec()
            };
            if frame == 0 && late > 0 {
                put(
                    pids(n).1,
                    true,
                    program.scrambled,
                    &[pes_header(0), program.frame(0)[..late].to_vec()].concat(),
                );
            }
            packet.extend(&program.frame(frame)[late..]);
            if next < program.count {
                packet.extend(&program.frame(next)[..late]);
            }
            put(pids(n).1, true, program.scrambled, &packet);
        }
    }
    out
}

/// Returns packs of 2048 bytes at most, whose packets do not begin where frames do.
pub(super) fn program_stream(program: &Program) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in 0..program.count {
        let data = program.frame(frame);
        for (n, piece) in data.chunks(500).enumerate() {
            out.extend(pack(if n == 0 { pes_header(frame) } else { UNTIMED.to_vec() }, piece));
        }
    }
    out
}

/// Returns a pack with one packet of a program stream.
pub(super) fn pack(mut packet: Vec<u8>, data: &[u8]) -> Vec<u8> {
    packet.extend(data);
    let len = u16::try_from(packet.len() - 6).unwrap().to_be_bytes();
    packet[4..6].copy_from_slice(&len);
    [&b"\0\0\x01\xBA\x44\0\x04\0\x04\x01\0\0\x03\xF8"[..], &packet].concat()
}

/// Returns Flash video with frames of `ms` milliseconds, after the configuration of H.264.
pub(super) fn flash_video(count: u8, keyframe_every: u8, ms: u32) -> Vec<u8> {
    let mut out = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    let mut put = |time: u32, data: &[u8]| {
        let size = u32::try_from(data.len()).unwrap().to_be_bytes();
        let time = time.to_be_bytes();
        let tag = [&[9], &size[1..], &time[1..], &time[..1], &[0; 3], data].concat();
        out.extend(&tag);
        out.extend(u32::try_from(tag.len()).unwrap().to_be_bytes());
    };
    put(0, b"\x17\0\0\0\0\x01configuration");
    for n in 0..count {
        let kind = if n.is_multiple_of(keyframe_every) { 0x17 } else { 0x27 };
        put(u32::from(n) * ms, &[&[kind, 1, 0, 0, 0][..], &[n; 300]].concat());
    }
    out
}

/// Returns a page of Ogg. The flag 1 says that its first packet began before, and 2 that its stream starts.
pub(super) fn ogg_page(serial: u8, flags: u8, granule: i64, lengths: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend([serial, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    page.push(u8::try_from(lengths.len()).unwrap());
    page.extend(lengths);
    page.extend(body);
    let sum = super::ogg::checksum(&page).to_le_bytes();
    page[22..26].copy_from_slice(&sum);
    page
}

/// Returns Theora of 25 frames a second after other pages. Frames continue on the next page. `first` is the position of
/// the first frame, which depends on the version.
pub(super) fn theora(count: u8, keyframe_every: u8, first: u8, others: &[u8]) -> Vec<u8> {
    let mut out = others.to_vec();
    let mut page = |granule: i64, flags: u8, lengths: &[u8], body: &[u8]| {
        out.extend(ogg_page(7, flags, granule, lengths, body));
    };
    let mut header = [b"\x80theora\x03\x02", &[first][..]].concat();
    header.resize(22, 0);
    header.extend([0, 0, 0, 25, 0, 0, 0, 1]);
    header.resize(40, 0);
    // A shift of 6 bits.
    header.extend([0, 6 << 5]);
    page(0, 2, &[42], &header);
    page(0, 0, &[9, 9], b"\x81comments\x82settings"[..18].as_ref());
    for n in 0..count {
        let key = n.is_multiple_of(keyframe_every);
        let mut frame = vec![if key { 0 } else { 0x40 }];
        frame.resize(701, n);
        // The frame continues on a second page. No packet ends on the first one.
        page(-1, 0, &[255], &frame[..255]);
        let granule =
            i64::from(n / keyframe_every * keyframe_every + first) << 6 | i64::from(n % keyframe_every);
        page(granule, 1, &[255, 191], &frame[255..]);
    }
    out
}

/// Returns VP8 in Ogg, of 25 frames a second. There is a frame that is not shown before each keyframe but the first.
pub(super) fn vp8(count: u8, keyframe_every: u8) -> Vec<u8> {
    let mut header = b"OVP80\x01\x01\x00\x01\x40\x00\xB4\0\0\x01\0\0\x01".to_vec();
    header.extend([0, 0, 0, 25, 0, 0, 0, 1]);
    let mut out = ogg_page(9, 2, 0, &[26], &header);
    out.extend(ogg_page(9, 0, 0, &[9], b"OVP80\x02 cc"));
    for n in 0..count {
        let is_key = n.is_multiple_of(keyframe_every);
        let hidden = if is_key && n > 0 { &[0x01, 0, 0, 1][..] } else { &[] };
        let mut frame = if is_key { b"\x10\0\0\x9D\x01\x2A".to_vec() } else { vec![0x11] };
        frame.resize(100, n);
        let lengths = if hidden.is_empty() { &[100][..] } else { &[4, 100] };
        let granule = i64::from(n + 1) << 32 | i64::from(n % keyframe_every) << 3;
        out.extend(ogg_page(9, 0, granule, lengths, &[hidden, &frame].concat()));
    }
    out
}

/// Gives all streams of a file in Ogg another serial number.
pub(super) fn renumbered(file: &[u8], serial: u8) -> Vec<u8> {
    let pages = super::ogg::pages(file).flat_map(|page| {
        let flags = u8::from(page.continues) | u8::from(page.starts) << 1;
        ogg_page(serial, flags, page.granule, page.lengths, page.body)
    });
    pages.collect()
}

/// Returns Windows Media with packets of 200 bytes and frames of 40 ms, which are on two packets each. Audio begins a
/// second after the last of them.
pub(super) fn windows_media(count: u8, keyframe_every: u8) -> Vec<u8> {
    const PREROLL: u32 = 3000;
    let object =
        |id: &[u8; 16], data: &[u8]| [&id[..], &(24 + data.len() as u64).to_le_bytes(), data].concat();
    let mut file = vec![0; 76];
    file[56..64].copy_from_slice(&u64::from(PREROLL).to_le_bytes());
    file[68..72].copy_from_slice(&200u32.to_le_bytes());
    let mut stream = vec![0; 54];
    stream[..16].copy_from_slice(&super::asf::VIDEO_MEDIA);
    stream[48] = 2;
    stream.extend([64, 1, 0, 0, 180, 0, 0, 0, 2, 40, 0]);
    stream.extend([40; 40]);
    let mut audio = vec![0; 54];
    audio[..16].copy_from_slice(&super::asf::AUDIO_MEDIA);
    audio[48] = 1;
    let streams = [stream, audio].map(|stream| object(&super::asf::STREAM_PROPERTIES, &stream)).concat();
    let headers = [object(&super::asf::FILE_PROPERTIES, &file), streams].concat();
    let mut out = object(&super::asf::HEADER_OBJECT, &[&[2, 0, 0, 0, 1, 2][..], &headers].concat());
    out.extend([0; 50]);
    let frames = (0..count).map(|n| (2, n)).chain([(1, count + 25)]);
    for (stream, n) in frames {
        for part in 0..2u32 {
            let key = if n.is_multiple_of(keyframe_every) { 0x80 } else { 0 };
            // One payload; the lengths of padding and of replicated data are bytes, those of offsets 32 bits.
            let mut packet = vec![0x82, 0, 0, 0x08, 0x5D];
            let payload = 1 + 1 + 4 + 1 + 8 + 150;
            packet.push(u8::try_from(200 - 12 - payload).unwrap());
            packet.extend([0; 6]);
            packet.extend([stream | key, n]);
            packet.extend((part * 150).to_le_bytes());
            packet.push(8);
            packet.extend(300u32.to_le_bytes());
            packet.extend((PREROLL + u32::from(n) * 40).to_le_bytes());
            packet.extend([n; 150]);
            packet.resize(200, 0);
            out.extend(packet);
        }
    }
    out
}

struct Memory(Bytes);

impl RangeReader for Memory {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        let index = |offset: u64| usize::try_from(offset).unwrap();
        Box::pin(std::future::ready(Ok(self.0.slice(index(range.start)..index(range.end)))))
    }
}

pub(super) fn source(bytes: Vec<u8>) -> Source {
    Source::new(bytes.len() as u64, Memory(bytes.into()))
}
