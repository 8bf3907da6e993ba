//! Reads and writes EBML elements (RFC 8794).

use std::iter;

/// Element IDs with their marker bits (RFC 8794, section 11; RFC 9559, section 5.1).
pub(super) mod id {
    pub(in super::super) const EBML: u32 = 0x1A45_DFA3;
    pub(in super::super) const EBML_VERSION: u32 = 0x4286;
    pub(in super::super) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(in super::super) const DOC_TYPE: u32 = 0x4282;
    pub(in super::super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(in super::super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(in super::super) const VOID: u32 = 0xEC;
    pub(in super::super) const CRC_32: u32 = 0xBF;

    pub(in super::super) const SEGMENT: u32 = 0x1853_8067;
    pub(in super::super) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(in super::super) const SEEK: u32 = 0x4DBB;
    pub(in super::super) const SEEK_ID: u32 = 0x53AB;
    pub(in super::super) const SEEK_POSITION: u32 = 0x53AC;

    pub(in super::super) const INFO: u32 = 0x1549_A966;
    pub(in super::super) const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
    pub(in super::super) const DURATION: u32 = 0x4489;

    pub(in super::super) const TRACKS: u32 = 0x1654_AE6B;
    pub(in super::super) const TRACK_ENTRY: u32 = 0xAE;
    pub(in super::super) const TRACK_NUMBER: u32 = 0xD7;
    pub(in super::super) const TRACK_TYPE: u32 = 0x83;
    pub(in super::super) const FLAG_ENABLED: u32 = 0xB9;
    pub(in super::super) const FLAG_DEFAULT: u32 = 0x88;
    pub(in super::super) const FLAG_FORCED: u32 = 0x55AA;
    pub(in super::super) const FLAG_HEARING_IMPAIRED: u32 = 0x55AB;
    pub(in super::super) const FLAG_COMMENTARY: u32 = 0x55AF;
    pub(in super::super) const NAME: u32 = 0x536E;
    pub(in super::super) const DEFAULT_DURATION: u32 = 0x0023_E383;
    pub(in super::super) const LANGUAGE: u32 = 0x0022_B59C;
    pub(in super::super) const LANGUAGE_BCP_47: u32 = 0x0022_B59D;
    pub(in super::super) const CODEC_ID: u32 = 0x86;
    pub(in super::super) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(in super::super) const CONTENT_ENCODINGS: u32 = 0x6D80;
    pub(in super::super) const CONTENT_ENCODING: u32 = 0x6240;
    pub(in super::super) const CONTENT_ENCODING_TYPE: u32 = 0x5033;
    pub(in super::super) const CONTENT_COMPRESSION: u32 = 0x5034;
    pub(in super::super) const CONTENT_COMP_ALGO: u32 = 0x4254;
    pub(in super::super) const CONTENT_COMP_SETTINGS: u32 = 0x4255;
    pub(in super::super) const CONTENT_ENCRYPTION: u32 = 0x5035;
    pub(in super::super) const CODEC_DELAY: u32 = 0x56AA;
    pub(in super::super) const AUDIO: u32 = 0xE1;
    pub(in super::super) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(in super::super) const CHANNELS: u32 = 0x9F;
    pub(in super::super) const BIT_DEPTH: u32 = 0x6264;
    pub(in super::super) const VIDEO: u32 = 0xE0;
    pub(in super::super) const STEREO_MODE: u32 = 0x53B8;
    pub(in super::super) const PIXEL_WIDTH: u32 = 0xB0;
    pub(in super::super) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(in super::super) const PIXEL_CROP_BOTTOM: u32 = 0x54AA;
    pub(in super::super) const PIXEL_CROP_TOP: u32 = 0x54BB;
    pub(in super::super) const PIXEL_CROP_LEFT: u32 = 0x54CC;
    pub(in super::super) const PIXEL_CROP_RIGHT: u32 = 0x54DD;
    pub(in super::super) const DISPLAY_WIDTH: u32 = 0x54B0;
    pub(in super::super) const DISPLAY_HEIGHT: u32 = 0x54BA;
    pub(in super::super) const DISPLAY_UNIT: u32 = 0x54B2;
    pub(in super::super) const COLOUR: u32 = 0x55B0;
    pub(in super::super) const MATRIX_COEFFICIENTS: u32 = 0x55B1;
    pub(in super::super) const RANGE: u32 = 0x55B9;
    pub(in super::super) const PRIMARIES: u32 = 0x55BB;
    pub(in super::super) const TRANSFER_CHARACTERISTICS: u32 = 0x55BA;
    pub(in super::super) const PROJECTION: u32 = 0x7670;
    pub(in super::super) const PROJECTION_TYPE: u32 = 0x7671;
    pub(in super::super) const PROJECTION_POSE_YAW: u32 = 0x7673;
    pub(in super::super) const PROJECTION_POSE_PITCH: u32 = 0x7674;
    pub(in super::super) const PROJECTION_POSE_ROLL: u32 = 0x7675;

    pub(in super::super) const CUES: u32 = 0x1C53_BB6B;
    pub(in super::super) const CUE_POINT: u32 = 0xBB;
    pub(in super::super) const CUE_TIME: u32 = 0xB3;
    pub(in super::super) const CUE_TRACK_POSITIONS: u32 = 0xB7;
    pub(in super::super) const CUE_TRACK: u32 = 0xF7;
    pub(in super::super) const CUE_CLUSTER_POSITION: u32 = 0xF1;
    pub(in super::super) const CUE_RELATIVE_POSITION: u32 = 0xF0;
    pub(in super::super) const CUE_DURATION: u32 = 0xB2;

    pub(in super::super) const CLUSTER: u32 = 0x1F43_B675;
    pub(in super::super) const TIMESTAMP: u32 = 0xE7;
    pub(in super::super) const POSITION: u32 = 0xA7;
    pub(in super::super) const PREV_SIZE: u32 = 0xAB;
    pub(in super::super) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(in super::super) const BLOCK_GROUP: u32 = 0xA0;
    pub(in super::super) const BLOCK: u32 = 0xA1;
    pub(in super::super) const BLOCK_DURATION: u32 = 0x9B;
    pub(in super::super) const BLOCK_ADDITIONS: u32 = 0x75A1;
    pub(in super::super) const BLOCK_MORE: u32 = 0xA6;
    pub(in super::super) const BLOCK_ADDITIONAL: u32 = 0xA5;
    pub(in super::super) const REFERENCE_BLOCK: u32 = 0xFB;
}

/// Length of the longest element header: an ID of 4 bytes and a size of 8.
pub(super) const HEAD_MAX: u64 = 12;

/// An element header: ID and size (section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: u32,
    /// The length of the header in bytes.
    pub(super) len: usize,
    /// The length of the data in bytes, or `None` if unknown (section 6.2).
    pub(super) size: Option<u64>,
}

/// Reads an element header. Returns `None` if it is invalid or truncated.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let id_len = bytes.first()?.leading_zeros() as usize + 1;
    if id_len > 4 {
        return None;
    }
    let id = bytes.get(..id_len)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let (size, size_len) = vint(&bytes[id_len..])?;
    Some(Head { id, len: id_len + size_len, size: (size != all_ones(size_len)).then_some(size) })
}

/// Reads a variable-size integer (section 4). Returns its value and its length in bytes.
pub(super) fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = bytes.first()?.leading_zeros() as usize + 1;
    let raw = bytes.get(..len).filter(|_| len <= 8)?.iter().fold(0, |raw, byte| raw << 8 | u64::from(*byte));
    Some((raw & all_ones(len), len))
}

/// Returns the largest value of a variable-size integer of `len` bytes, which stands for an unknown size.
const fn all_ones(len: usize) -> u64 {
    (1 << (7 * len)) - 1
}

/// A child element in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child<'a> {
    pub(super) id: u32,
    /// The whole element.
    pub(super) all: &'a [u8],
    /// The data after the header.
    pub(super) data: &'a [u8],
}

/// Iterates over the children in the data of a master element, up to the first malformed one.
pub(super) fn children(mut bytes: &[u8]) -> impl Iterator<Item = Child<'_>> {
    iter::from_fn(move || {
        let head = head(bytes)?;
        let end = head.len.checked_add(usize::try_from(head.size?).ok()?)?;
        let (all, rest) = bytes.split_at_checked(end)?;
        bytes = rest;
        Some(Child { id: head.id, all, data: &all[head.len..] })
    })
}

/// Returns the data of the first child with the given ID.
pub(super) fn child(bytes: &[u8], id: u32) -> Option<&[u8]> {
    children(bytes).find(|child| child.id == id).map(|child| child.data)
}

/// Parses an unsigned integer (section 7.2). Returns `None` for an empty one, which stands for the default value as a
/// missing element does.
pub(super) fn uint(data: &[u8]) -> Option<u64> {
    (1..=8).contains(&data.len()).then(|| data.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Parses a float (section 7.3). Returns `None` if it is not finite.
pub(super) fn float(data: &[u8]) -> Option<f64> {
    let value = match data.len() {
        4 => f64::from(f32::from_be_bytes(data.try_into().ok()?)),
        8 => f64::from_be_bytes(data.try_into().ok()?),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// Parses a string, which a zero byte may terminate early (sections 7.4 and 13).
pub(super) fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data.split(|byte| *byte == 0).next()?).ok()
}

/// Writes an element header. The size always takes 8 bytes.
pub(super) fn put_head(out: &mut Vec<u8>, id: u32, size: usize) {
    let id = id.to_be_bytes();
    out.extend(id.iter().skip_while(|byte| **byte == 0));
    out.extend((size as u64 | 1 << 56).to_be_bytes());
}

/// Writes the header of an element of unknown size.
pub(super) fn put_head_of_unknown_size(out: &mut Vec<u8>, id: u32) {
    out.extend(id.to_be_bytes());
    out.push(0xFF);
}

/// Writes an element.
pub(super) fn put(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    put_head(out, id, data.len());
    out.extend(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_variable_size_integers() {
        assert_eq!(vint(&[0x81]), Some((1, 1)));
        assert_eq!(vint(&[0x40, 0x02, 9]), Some((2, 2)));
        assert_eq!(vint(&[1, 0, 0, 0, 0, 0, 1, 0]), Some((256, 8)));
        for bad in [&[][..], &[0x40], &[0; 9], &[1, 0, 0]] {
            assert_eq!(vint(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_element_headers() {
        assert_eq!(head(&[0xA3, 0x83, 1]), Some(Head { id: id::SIMPLE_BLOCK, len: 2, size: Some(3) }));
        let segment = [0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(head(&segment), Some(Head { id: id::SEGMENT, len: 12, size: None }));
        assert_eq!(head(&[0x1F, 0x43, 0xB6, 0x75, 0xFF]).unwrap().size, None);
        for bad in [&[][..], &[0xA3], &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80], &[0x1F, 0x43]] {
            assert_eq!(head(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn children_end_at_the_first_malformed_element() {
        let mut bytes = Vec::new();
        put(&mut bytes, id::VOID, b"..");
        put(&mut bytes, id::TIMESTAMP_SCALE, &[1, 0]);
        bytes.extend([0xA3, 0x90, 1]);
        let found: Vec<_> = children(&bytes).map(|child| (child.id, child.data)).collect();
        assert_eq!(found, [(id::VOID, &b".."[..]), (id::TIMESTAMP_SCALE, &[1, 0])]);
        assert_eq!(child(&bytes, id::TIMESTAMP_SCALE).and_then(uint), Some(256));
        assert_eq!(children(&[0xA3, 0xFF, 1]).count(), 0, "unknown size");
    }

    #[test]
    fn parses_values() {
        assert_eq!((uint(&[]), uint(&[1, 2]), uint(&[0; 9])), (None, Some(258), None));
        assert_eq!(float(&1.5f32.to_be_bytes()), Some(1.5));
        assert_eq!(float(&2.5f64.to_be_bytes()), Some(2.5));
        assert_eq!((float(&[]), float(&f64::NAN.to_be_bytes())), (None, None));
        assert_eq!((text(b"webm\0\0"), text(b"V_\xFF")), (Some("webm"), None));
    }
}
