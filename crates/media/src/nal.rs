//! NAL units of H.264 (ISO/IEC 14496-10, 7.3.1), with their lengths before them or in the byte stream format of annex B.

use memchr::memmem;

/// Returns whether a frame has a slice of an IDR picture, or is in neither of the two formats.
pub(crate) fn has_idr(frame: &[u8]) -> bool {
    let types =
        with_lengths(frame, 4).or_else(|| with_lengths(frame, 2)).unwrap_or_else(|| in_byte_stream(frame));
    types.is_empty() || types.contains(&5)
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
}
