//! Several frames in a block (RFC 9559, section 10.3). Some muxers store audio so.

use std::ops::Range;

use super::ebml::vint;

/// Bytes from the start of a block's data that contain the sizes of its frames: up to 256 frames.
pub(super) const SIZES: u64 = 2048;

/// Bits of a block's flags.
const LACING: u8 = 0x06;
const XIPH: u8 = 0x02;
const EBML: u8 = 0x06;

/// Returns whether a block with these flags has several frames.
pub(super) const fn is_laced(flags: u8) -> bool {
    flags & LACING != 0
}

/// Returns the ranges of the frames in a block's data of `len` bytes, which starts with `start`. Returns `None` if it is
/// malformed.
pub(super) fn frames(flags: u8, start: &[u8], len: u64) -> Option<Vec<Range<u64>>> {
    let count = usize::from(*start.first()?) + 1;
    let mut at = 1usize;
    let mut sizes: Vec<u64> = Vec::new();
    match flags & LACING {
        // A size is the sum of bytes up to one that is not 255.
        XIPH => {
            for _ in 1..count {
                let mut size = 0;
                loop {
                    let byte = *start.get(at)?;
                    (at, size) = (at + 1, size + u64::from(byte));
                    if byte != 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        // The first size, then differences.
        EBML => {
            for _ in 1..count {
                let (value, bytes) = vint(start.get(at..)?)?;
                at += bytes;
                let zero = (1i64 << (7 * bytes - 1)) - 1;
                let size = match sizes.last() {
                    None => value,
                    Some(last) => last.checked_add_signed(value.cast_signed().checked_sub(zero)?)?,
                };
                sizes.push(size);
            }
        }
        // All have the same size.
        _ => sizes = vec![len.checked_sub(1)? / count as u64; count - 1],
    }
    let mut from = at as u64;
    let mut frames = Vec::new();
    for size in sizes {
        let until = from.checked_add(size)?;
        frames.push(from..until);
        from = until;
    }
    // The last frame takes the rest.
    frames.push(from..len.max(from));
    (from <= len).then_some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(flags: u8, data: &[u8]) -> Option<Vec<u64>> {
        let frames = frames(flags, data, data.len() as u64)?;
        let adjoin = frames.windows(2).all(|pair| pair[0].end == pair[1].start);
        assert!(adjoin && frames.last()?.end == data.len() as u64);
        Some(frames.iter().map(|frame| frame.end - frame.start).collect())
    }

    #[test]
    fn frames_of_every_kind_of_lacing() {
        assert!(is_laced(0x84) && !is_laced(0x80));
        assert_eq!(sizes(0x82, b"\x02\x02\x01aabccc"), Some(vec![2, 1, 3]));
        assert_eq!(sizes(0x86, b"\x02\x82\xBEaabccc"), Some(vec![2, 1, 3]));
        assert_eq!(sizes(0x86, b"\x02\x81\x60\x00abbcc"), Some(vec![1, 2, 2]));
        assert_eq!(sizes(0x84, b"\x02aabbcc"), Some(vec![2, 2, 2]));
        let long = [&b"\x01\xFF\x03"[..], &[7; 260]].concat();
        assert_eq!(sizes(0x82, &long), Some(vec![258, 2]));
        assert_eq!(sizes(0x82, b"\x00aa"), Some(vec![2]));
        for malformed in [&b""[..], b"\x02", b"\x01\xFF", b"\x01\x09a", b"\xFF\x81"] {
            assert_eq!((sizes(0x82, malformed), sizes(0x86, malformed)), (None, None), "{malformed:?}");
        }
    }
}
