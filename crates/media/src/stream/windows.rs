//! Frames of the codecs of Video for Windows, whose containers do not always tell keyframes from others.

use memchr::memmem;

use super::bits::Bits;
use super::elementary::{Codec, units};

/// Returns whether a frame can be decoded without any other, by the code of its codec. Returns `None` if the frames of the
/// codec do not tell, or the codec is not known here.
pub(crate) fn is_keyframe(codec: [u8; 4], frame: &[u8]) -> Option<bool> {
    let bits = |count: u32, skipped: usize| {
        let mut bits = Bits::new(frame.get(skipped / 8..)?);
        bits.read((skipped % 8).try_into().ok()?)?;
        bits.read(count)
    };
    Some(match &codec.map(|byte| byte.to_ascii_uppercase()) {
        // All frames of these are keyframes: pixels, and still images.
        [0, 0, 0, 0]
        | b"RGB "
        | b"DIB "
        | b"RAW "
        | b"UYVY"
        | b"YUY2"
        | b"YV12"
        | b"I420"
        | b"IYUV"
        | b"MJPG"
        | b"AVRN"
        | b"LJPG"
        | b"JPEG"
        | b"DMB1"
        | b"MJ2C"
        | b"MPNG"
        | b"DVSD"
        | b"DV25"
        | b"DV50"
        | b"HFYU"
        | b"FFVH"
        | b"LAGS"
        | b"MAGY"
        | b"CFHD" => true,
        // vop_coding_type 0 is an intra picture (ISO/IEC 14496-2, table 6-20).
        b"XVID" | b"DIVX" | b"DX50" | b"FMP4" | b"MP4V" | b"MP4S" | b"M4S2" | b"3IV2" | b"XVIX" | b"BLZ0"
        | b"RMP4" | b"SEDG" | b"UMP4" => {
            let vop = memmem::find(frame, b"\0\0\x01\xB6").and_then(|at| frame.get(at + 4));
            vop.is_some_and(|byte| byte >> 6 == 0)
        }
        b"H264" | b"X264" | b"AVC1" | b"DAVC" | b"VSSH" => has_key(Codec::H264, frame),
        b"HEVC" | b"H265" | b"X265" | b"HEV1" | b"HVC1" => has_key(Codec::Hevc, frame),
        b"MPG1" | b"MPG2" | b"MPEG" | b"PIM1" => has_key(Codec::Mpeg2, frame),
        // The type of a picture is 0 if it is an intra picture.
        b"MP42" | b"DIV2" | b"MP43" | b"DIV3" | b"DIV4" | b"DIV5" | b"DIV6" | b"AP41" | b"COL1" | b"WMV1" => {
            bits(2, 0) == Some(0)
        }
        b"WMV2" => bits(1, 0) == Some(0),
        // A start code of 22 bits, the time, five other fields, and the type (ITU-T H.263, 5.1.3). A source format of 7 is
        // followed by a longer header with the type, which can repeat others before it (5.1.4).
        b"H263" | b"U263" | b"M263" | b"VIVO" | b"VX1K" => match (bits(3, 35), bits(3, 38)) {
            (Some(7), Some(1)) => bits(3, 59) == Some(0),
            (Some(7), _) => bits(3, 41) == Some(0),
            _ => bits(1, 38) == Some(0),
        },
        b"VP80" => frame.first().is_some_and(|byte| byte & 1 == 0),
        [b'V', b'P', b'6', _] => frame.first().is_some_and(|byte| byte & 0x80 == 0),
        _ => return None,
    })
}

fn has_key(codec: Codec, frame: &[u8]) -> bool {
    units(codec, frame, true).iter().any(|unit| unit.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_tell_whether_they_are_keyframes() {
        let (vop, other) = (b"\0\0\x01\xB0\xF5\0\0\x01\xB6\x10", b"\0\0\x01\xB6\x56");
        let cases: [(&[u8; 4], &[u8], &[u8]); 8] = [
            (b"xvid", vop, other),
            (b"H264", b"\0\0\x01\x67\x4D\x40\0\0\x01\x65\x88", b"\0\0\x01\x41\x9A"),
            (b"DIV3", &[0x20], &[0x60]),
            (b"WMV2", &[0x20], &[0xA0]),
            (b"H263", &[0, 0, 0x80, 2, 8, 0], &[0, 0, 0x80, 2, 0x0A, 0]),
            (b"U263", &[0, 0, 0x80, 2, 0x1C, 0x80, 0, 0], &[0, 0, 0x80, 2, 0x1C, 0x80, 0, 4]),
            (b"VP80", &[0x10, 0], &[0x11, 0]),
            (b"VP62", &[0x10], &[0x90]),
        ];
        for (codec, key, other) in cases {
            assert_eq!(is_keyframe(*codec, key), Some(true), "{codec:?}");
            assert_eq!(
                (is_keyframe(*codec, other), is_keyframe(*codec, &[])),
                (Some(false), Some(false)),
                "{codec:?}"
            );
        }
        assert_eq!((is_keyframe(*b"mjpg", &[9]), is_keyframe(*b"IV50", &[9])), (Some(true), None));
    }
}
