//! NAL units of H.264 (ISO/IEC 14496-10, 7.3.1) and HEVC (ISO/IEC 23008-2, 7.3.1), with their lengths before them or in the byte stream format of annex B.

use memchr::memmem;

/// Returns whether a frame has a slice of an IDR picture, or is in neither of the two formats.
pub(crate) fn has_idr(frame: &[u8]) -> bool {
    let types =
        with_lengths(frame, 4).or_else(|| with_lengths(frame, 2)).unwrap_or_else(|| in_byte_stream(frame));
    types.is_empty() || types.contains(&5)
}

/// A codec whose frames consist of NAL units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    H264,
    Hevc,
}

/// NAL units with their lengths before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: Codec,
    /// Bytes of a length.
    pub(crate) length: usize,
}

impl Format {
    /// Returns whether decoding can start at a frame that starts with these bytes. If they end before its first slice, this
    /// is not known, and assumed.
    pub(crate) fn is_random_access(self, mut frame: &[u8]) -> bool {
        while let Some((length, rest)) = frame.split_at_checked(self.length)
            && let Some(first) = rest.first()
        {
            let (clean, other) = match self.codec {
                Codec::H264 => (*first & 0x1F == 5, matches!(*first & 0x1F, 1..=4)),
                Codec::Hevc => (matches!(*first >> 1 & 0x3F, 16..=23), *first >> 1 & 0x3F < 16),
            };
            if clean || other {
                return clean;
            }
            let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            frame = rest.get(length..).unwrap_or_default();
        }
        true
    }
}

/// Returns the types of units whose lengths are stored in `size` bytes (ISO/IEC 14496-15, 5.2.3), or `None` if the lengths
/// do not cover the frame.
fn with_lengths(mut frame: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut types = Vec::new();
    while !frame.is_empty() {
        let (length, rest) = frame.split_at_checked(size)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (unit, rest) = rest.split_at_checked(length)?;
        types.push(unit.first()? & 0x1F);
        frame = rest;
    }
    Some(types)
}

fn in_byte_stream(frame: &[u8]) -> Vec<u8> {
    memmem::find_iter(frame, b"\0\0\x01").filter_map(|at| Some(frame.get(at + 3)? & 0x1F)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_idr_slices() {
        assert!(has_idr(b"\0\0\0\x02\x06\x01\0\0\0\x01\x65"));
        assert!(!has_idr(b"\0\0\0\x02\x06\x01\0\0\0\x01\x61"));
        assert!(has_idr(b"\0\x02\x06\x01\0\x01\x65"), "lengths of two bytes");
        assert!(has_idr(b"\0\0\x01\x67\x01\0\0\x01\x65\x88"));
        assert!(!has_idr(b"\0\0\0\x01\x67\x01\0\0\x01\x61\x88"));
        assert!(has_idr(b"unknown") && has_idr(b""), "nothing is known about it");
    }

    #[test]
    fn first_slice_tells_whether_decoding_can_start() {
        let h264 = |frame: &[u8]| Format { codec: Codec::H264, length: 4 }.is_random_access(frame);
        assert!(h264(b"\0\0\0\x02\x06\x01\0\0\0\x09\x65"), "supplemental information, then an IDR picture");
        assert!(!h264(b"\0\0\0\x02\x06\x01\0\0\0\x09\x61"));
        assert!(h264(b"\0\0\0\x99\x06\x01\0\0\0\x09\x61"), "the slice is not among these bytes");
        assert!(h264(b"\xFF\xFF\xFF\xFF") && h264(b""));
        let hevc = |frame: &[u8]| Format { codec: Codec::Hevc, length: 2 }.is_random_access(frame);
        assert!(hevc(b"\0\x02\x40\x01\0\x09\x26\x01") && hevc(b"\0\x09\x2A\x01"));
        assert!(!hevc(b"\0\x09\x02\x01"));
    }
}
