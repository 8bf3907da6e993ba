//! Splits an MPEG elementary stream into access units by its start codes, and finds the ones that can be decoded
//! without any other.

use bytes::Bytes;
use memchr::memmem;

use super::bits::Bits;
use super::flv::video_for_windows;
use crate::matroska;

/// A video codec whose elementary stream has start codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// MPEG-1 and MPEG-2 video (ISO/IEC 11172-2, 13818-2).
    Mpeg2,
    /// MPEG-4 part 2 (ISO/IEC 14496-2).
    Mpeg4,
    /// H.264 (ISO/IEC 14496-10), in the byte stream format of annex B.
    H264,
    /// H.265 (ISO/IEC 23008-2), in the byte stream format of annex B.
    Hevc,
    /// VC-1 (SMPTE 421M), in the format of annex E.
    Vc1,
}

impl Codec {
    /// Returns the codec of a stream type in a program map (ISO/IEC 13818-1, table 2-34; SMPTE RP 227).
    pub(super) const fn of_stream_type(stream_type: u8) -> Option<Self> {
        Some(match stream_type {
            0x01 | 0x02 => Self::Mpeg2,
            0x10 => Self::Mpeg4,
            0x1B => Self::H264,
            0x24 => Self::Hevc,
            0xEA => Self::Vc1,
            _ => return None,
        })
    }

    /// Detects the codec of an elementary stream by start codes that only one codec has.
    pub(super) fn detect(stream: &[u8]) -> Option<Self> {
        // MPEG-4 has groups as MPEG-2 does, and slices of MPEG-2 look like headers of the others.
        let starts = || memmem::find_iter(stream, START_CODE).filter_map(|at| stream.get(at + 3..at + 5));
        let has = |test: fn(&[u8]) -> bool| starts().any(test);
        if has(|unit| unit[0] == 0xB6) {
            Some(Self::Mpeg4)
        } else if has(|unit| matches!(unit[0], 0xB3 | 0xB8)) {
            Some(Self::Mpeg2)
        } else if has(|unit| matches!(unit, [0x40 | 0x42, 1])) {
            Some(Self::Hevc)
        } else if has(|unit| unit[0] & 0x9F == 7) {
            Some(Self::H264)
        } else {
            has(|unit| unit[0] == 0x0F).then_some(Self::Vc1)
        }
    }

    /// Returns the headers before the first frame that has any. Later keyframes may lack them.
    pub(super) fn headers(self, stream: &[u8]) -> &[u8] {
        let mut start = None;
        for at in memmem::find_iter(stream, START_CODE) {
            let unit = stream.get(at + START_CODE.len()..).filter(|unit| !unit.is_empty());
            match (unit.map(|unit| part(self, unit, &mut Sps::default())), start) {
                (Some(Part::Header { entry: true }), None) => start = Some(at),
                (Some(Part::Picture { .. }), Some(start)) => return &stream[start..at],
                _ => {}
            }
        }
        &[]
    }

    /// Returns the codec as Matroska describes it, by the start of the stream.
    pub(super) fn in_matroska(self, stream: &[u8]) -> matroska::Codec {
        let headers = Bytes::copy_from_slice(self.headers(stream));
        let (id, private) = match self {
            Self::Mpeg2 => ("V_MPEG2", headers),
            Self::Mpeg4 => ("V_MPEG4/ISO/ASP", headers),
            Self::H264 => ("V_MPEG4/ISO/AVC", headers),
            Self::Hevc => ("V_MPEGH/ISO/HEVC", headers),
            Self::Vc1 => {
                (matroska::Codec::VIDEO_FOR_WINDOWS, [video_for_windows(b"WVC1"), headers].concat().into())
            }
        };
        matroska::Codec { id, private, size: (0, 0), aspect: None }
    }
}

const START_CODE: &[u8] = b"\0\0\x01";

/// An access unit: a frame, which can consist of two fields, and the headers before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) start: usize,
    /// Where the next unit starts, or `None` if that is unknown.
    pub(super) end: Option<usize>,
    /// The frame can be decoded without any other, and headers that describe the stream are in the unit.
    pub(super) key: bool,
}

/// What follows a start code.
enum Part {
    /// A header that precedes a frame. `entry` says that a decoder can start at it.
    Header { entry: bool },
    /// The first slice of a field or frame.
    Picture { intra: bool, entry: bool, field: bool },
    /// Anything else.
    Rest,
}

/// Splits a stream into access units. `whole` says that the stream ends with a complete unit. Everything before the
/// first start code of a unit is skipped.
pub(super) fn units(codec: Codec, stream: &[u8], whole: bool) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut sps = Sps::default();
    // Where a unit begins whose picture has not been found.
    let mut boundary = None;
    // A header from which a decoder can start, since the boundary.
    let mut entered = false;
    // The current unit consists of a single field so far.
    let mut half = false;
    for at in memmem::find_iter(stream, START_CODE) {
        let Some(unit) = stream.get(at + START_CODE.len()..).filter(|unit| !unit.is_empty()) else { break };
        match part(codec, unit, &mut sps) {
            Part::Rest => {}
            Part::Header { entry } => {
                boundary = boundary.or(Some(at));
                entered |= entry;
            }
            Part::Picture { field: true, .. } if half => {
                (boundary, entered, half) = (None, false, false);
            }
            Part::Picture { intra, entry, field } => {
                let start = boundary.take().unwrap_or(at);
                if let Some(last) = units.last_mut() {
                    last.end = Some(start);
                }
                units.push(Unit { start, end: None, key: intra && (entry || entered) });
                (entered, half) = (false, field);
            }
        }
    }
    if let Some(last) = units.last_mut() {
        last.end = boundary.filter(|_| !half).or(whole.then_some(stream.len()));
    }
    units
}

fn part(codec: Codec, unit: &[u8], sps: &mut Sps) -> Part {
    let byte = |at: usize| unit.get(at).copied().unwrap_or(0);
    match codec {
        Codec::Mpeg2 => match byte(0) {
            0xB3 | 0xB8 => Part::Header { entry: true },
            // picture_coding_type 1 is an intra picture (ISO/IEC 13818-2, table 6-12).
            0x00 => Part::Picture { intra: byte(2) >> 3 & 7 == 1, entry: false, field: is_mpeg2_field(unit) },
            _ => Part::Rest,
        },
        Codec::Mpeg4 => match byte(0) {
            0x00..=0x2F | 0xB0 => Part::Header { entry: true },
            0xB3 | 0xB5 => Part::Header { entry: false },
            // vop_coding_type 0 is an intra picture (ISO/IEC 14496-2, table 6-20).
            0xB6 => Part::Picture { intra: byte(1) >> 6 == 0, entry: false, field: false },
            _ => Part::Rest,
        },
        Codec::H264 => h264_part(unit, sps),
        Codec::Hevc => match byte(0) >> 1 & 0x3F {
            // first_slice_segment_in_pic_flag; the types 16 to 21 are random access points (table 7-1).
            kind @ 0..=31 if byte(2) & 0x80 != 0 => {
                Part::Picture { intra: (16..=21).contains(&kind), entry: false, field: false }
            }
            32 | 33 => Part::Header { entry: true },
            34 | 35 | 39 | 41..=44 | 48..=55 => Part::Header { entry: false },
            _ => Part::Rest,
        },
        Codec::Vc1 => match byte(0) {
            0x0F => Part::Header { entry: true },
            0x0E => Part::Header { entry: false },
            // The type of a frame depends on the sequence header. The frame after an entry point is an intra frame.
            0x0D => Part::Picture { intra: true, entry: false, field: false },
            _ => Part::Rest,
        },
    }
}

/// Returns whether a picture is a field: `picture_structure` in the picture coding extension after it (ISO/IEC 13818-2,
/// 6.2.3.1).
fn is_mpeg2_field(picture: &[u8]) -> bool {
    let near = &picture[..picture.len().min(64)];
    let extension = memmem::find(near, b"\0\0\x01\xB5").and_then(|at| near.get(at + 4..at + 7));
    extension.is_some_and(|bytes| bytes[0] >> 4 == 8 && matches!(bytes[2] & 3, 1 | 2))
}

/// The fields of an H.264 sequence parameter set that lead to `field_pic_flag` in a slice header.
#[derive(Default)]
struct Sps {
    separate_planes: bool,
    frame_num_bits: u32,
    may_have_fields: bool,
}

fn h264_part(unit: &[u8], sps: &mut Sps) -> Part {
    match unit[0] & 0x1F {
        // Only the first slice of a picture begins at macroblock 0.
        kind @ (1 | 5) if unit.get(1).is_some_and(|byte| byte & 0x80 != 0) => {
            let mut bits = Bits::new(&unit[1..]);
            let mut read = || {
                bits.exp_golomb()?;
                let slice_type = bits.exp_golomb()?;
                bits.exp_golomb()?;
                bits.read(if sps.separate_planes { 2 } else { 0 })?;
                bits.read(sps.frame_num_bits)?;
                Some((matches!(slice_type, 2 | 4 | 7 | 9), sps.may_have_fields && bits.read(1)? == 1))
            };
            let (intra, field) = read().unwrap_or_default();
            Part::Picture { intra: intra || kind == 5, entry: kind == 5, field }
        }
        7 => {
            if let Some(parsed) = h264_sps(&unit[1..]) {
                *sps = parsed;
            }
            Part::Header { entry: true }
        }
        // Supplemental enhancement information: payload type 6 is a recovery point (ISO/IEC 14496-10, D.1.8).
        6 => Part::Header { entry: unit.get(1) == Some(&6) },
        8 | 9 => Part::Header { entry: false },
        _ => Part::Rest,
    }
}

/// Parses the start of a sequence parameter set (ISO/IEC 14496-10, 7.3.2.1.1).
fn h264_sps(data: &[u8]) -> Option<Sps> {
    // Emulation prevention bytes can occur, but not in the few profiles and levels that exist.
    let mut bits = Bits::new(data);
    let profile = bits.read(8)?;
    bits.read(16)?;
    bits.exp_golomb()?;
    let mut sps = Sps::default();
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        let chroma_format = bits.exp_golomb()?;
        sps.separate_planes = chroma_format == 3 && bits.read(1)? == 1;
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.read(1)?;
        if bits.read(1)? == 1 {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.read(1)? == 1 {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    sps.frame_num_bits = bits.exp_golomb()?.checked_add(4).filter(|bits| *bits <= 16)?;
    match bits.exp_golomb()? {
        0 => drop(bits.exp_golomb()?),
        1 => {
            bits.read(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            for _ in 0..bits.exp_golomb()?.min(255) {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?;
    bits.read(1)?;
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    sps.may_have_fields = bits.read(1)? == 0;
    Some(sps)
}

/// Skips a scaling list (ISO/IEC 14496-10, 7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(bits.exp_golomb()?);
            let delta = if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 };
            next = (last + delta).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a stream of units; each is a start code, some bytes and padding.
    fn stream(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().flat_map(|part| [START_CODE, part, &[0xFF; 5]].concat()).collect()
    }

    /// Returns the numbers of the parts at which the key units begin and end.
    fn keys(codec: Codec, parts: &[&[u8]], whole: bool) -> Vec<(usize, usize)> {
        let starts: Vec<usize> = (0..=parts.len()).map(|n| stream(&parts[..n]).len()).collect();
        let part_at = |at: usize| starts.binary_search(&at).unwrap();
        let units = units(codec, &stream(parts), whole);
        let keys = units.iter().filter(|unit| unit.key);
        keys.filter_map(|unit| Some((part_at(unit.start), part_at(unit.end?)))).collect()
    }

    #[test]
    fn a_keyframe_has_its_headers_and_all_slices() {
        let (sps, pps, aud, sei): (&[u8], &[u8], &[u8], &[u8]) = (&[0x67, 77], &[0x68], &[9], &[6, 5]);
        let (idr, more, p): (&[u8], &[u8], &[u8]) = (&[0x65, 0x88], &[0x65, 0x08], &[0x41, 0x9A]);
        let parts = [p, aud, sps, pps, sei, idr, more, aud, p, aud, p];
        assert_eq!(keys(Codec::H264, &parts, false), [(1, 7)]);
        assert_eq!(keys(Codec::H264, &[sps, pps, idr], false), [], "the end is unknown");
        assert_eq!(keys(Codec::H264, &[sps, pps, idr], true), [(0, 3)]);
    }

    #[test]
    fn a_recovery_point_is_a_keyframe_if_it_is_intra() {
        let (recovery, i, p): (&[u8], &[u8], &[u8]) = (&[6, 6], &[0x61, 0x88], &[0x41, 0x9A]);
        assert_eq!(keys(Codec::H264, &[recovery, i, p, i, recovery, p, p], false), [(0, 2)]);
    }

    #[test]
    fn two_fields_are_one_frame() {
        let field = |kind: u8| vec![0x00, 0x00, kind << 3, 0, 0, 1, 0xB5, 0x80, 0, 1];
        let (intra, inter) = (field(1), field(2));
        let parts: [&[u8]; 5] = [&[0xB3], &intra, &inter, &intra, &inter];
        // The extension is a start code of its own, so only the units are counted.
        let units = units(Codec::Mpeg2, &stream(&parts), true);
        assert_eq!(units.iter().map(|unit| unit.key).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn finds_keyframes_of_every_codec() {
        for (codec, header, intra, inter) in [
            (Codec::Mpeg2, &[0xB3][..], &[0x00, 0, 1 << 3][..], &[0x00, 0, 2 << 3][..]),
            (Codec::Mpeg4, &[0x20], &[0xB6, 0x10], &[0xB6, 0x50]),
            (Codec::Hevc, &[0x42, 1], &[21 << 1, 1, 0x80], &[1 << 1, 1, 0x80]),
            (Codec::Vc1, &[0x0F], &[0x0D], &[0x0D]),
        ] {
            assert_eq!(keys(codec, &[inter, header, intra, inter, inter], false), [(1, 3)], "{codec:?}");
            assert_eq!(Codec::detect(&stream(&[inter, header])), Some(codec));
            assert_eq!(codec.headers(&stream(&[inter, header, intra])), stream(&[header]));
        }
    }
}
