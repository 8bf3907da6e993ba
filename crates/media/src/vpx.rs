//! The size that the frames of VP8 (RFC 6386, 9.1) and VP9 (VP9 Bitstream Specification, 6.2) state.

use crate::stream::Bits;

/// Returns the width and the height of a VP8 keyframe in pixels.
pub(crate) fn vp8_size(frame: &[u8]) -> Option<(u32, u32)> {
    let [tag, _, _, 0x9D, 1, 0x2A, size @ ..] = frame.get(..10)? else { return None };
    // The upper two bits of each number state how players should scale the frame.
    let [width, height] = [0, 2].map(|at| u32::from(u16::from_le_bytes([size[at], size[at + 1]]) & 0x3FFF));
    (tag & 1 == 0).then_some((width, height))
}

/// Returns the width and the height of a VP9 keyframe in pixels.
pub(crate) fn vp9_size(frame: &[u8]) -> Option<(u32, u32)> {
    const RGB: u32 = 7;
    let mut bits = Bits::new(frame);
    let marker = bits.read(2)?;
    let profile = bits.read(1)? | bits.read(1)? << 1;
    if profile == 3 {
        bits.read(1)?;
    }
    // `show_existing_frame` and `frame_type`; two more flags follow.
    let (existing, depends) = (bits.read(1)?, bits.read(1)?);
    bits.read(2)?;
    if marker != 2 || existing + depends > 0 || bits.read(24)? != 0x49_83_42 {
        return None;
    }
    // `ten_or_twelve_bit`.
    if profile >= 2 {
        bits.read(1)?;
    }
    let is_rgb = bits.read(3)? == RGB;
    // `color_range`, unless it is RGB; in odd profiles the subsampling, unless it is RGB, and a reserved bit.
    bits.read(match (is_rgb, profile % 2) {
        (false, 0) => 1,
        (false, _) => 4,
        (true, 0) => 0,
        (true, _) => 1,
    })?;
    Some((bits.read(16)? + 1, bits.read(16)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_state_their_size() {
        assert_eq!(vp8_size(b"\x10\x02\x00\x9D\x01\x2A\x90\x01\x2C\x41"), Some((400, 300)));
        // Profile 0, then profile 2 with 10 bits, both of 320 x 180 pixels.
        assert_eq!(vp9_size(b"\x82\x49\x83\x42\x20\x13\xF0\x0B\x30"), Some((320, 180)));
        assert_eq!(vp9_size(b"\x92\x49\x83\x42\x50\x09\xF8\x05\x98"), Some((320, 180)));
    }

    #[test]
    fn other_frames_do_not() {
        for frame in
            [&b""[..], b"\x11\x02\x00\x9D\x01\x2A\x90\x01\x2C\x41", b"\x10\x02\x00\x9D\x01\x2A\x90\x01\x2C"]
        {
            assert_eq!(vp8_size(frame), None, "{frame:?}");
        }
        for frame in
            [&b""[..], b"\x86\x49\x83\x42\x20\x13\xF0\x0B\x30", b"\x82\x49\x83\x42\x20\x13\xF0", &[0x8A; 9]]
        {
            assert_eq!(vp9_size(frame), None, "{frame:?}");
        }
    }
}
