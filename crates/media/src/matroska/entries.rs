//! Sample entries of MP4 for tracks of Matroska.

use super::ebml::{self, child, id};
use crate::mp4::boxes::{Fields, atom, full_box};
use crate::mp4::{Entry, audio_entry, esds, visual_entry};

/// The codec of VP9, whose configuration is in the frames.
pub(super) const VP9: &str = "V_VP9";
/// Code points that are not specified (H.273).
const UNSPECIFIED: u64 = 2;

/// Returns the entry of a video track with this `TrackEntry`, or `None` if players do not play it. `frame` is the start of
/// the first keyframe.
pub(super) fn video(track: &[u8], frame: &[u8]) -> Option<Entry> {
    let settings = child(track, id::VIDEO)?;
    let size = |id| child(settings, id).and_then(ebml::uint).and_then(|size| u16::try_from(size).ok());
    let (width, height) = (size(id::PIXEL_WIDTH)?, size(id::PIXEL_HEIGHT)?);
    let private = child(track, id::CODEC_PRIVATE).unwrap_or_default();
    let colour = Colour::read(child(settings, id::COLOUR).unwrap_or_default());
    let (name, config) = match codec(track)? {
        "V_MPEG4/ISO/AVC" => (*b"avc1", atom(*b"avcC", &[private])),
        "V_MPEGH/ISO/HEVC" => (*b"hvc1", atom(*b"hvcC", &[private])),
        "V_AV1" => (*b"av01", atom(*b"av1C", &[private])),
        VP9 => (*b"vp09", Vp9::read(frame)?.config(u32::from(width) * u32::from(height), &colour)),
        _ => return None,
    };
    let mut fixed = [0; 78];
    fixed[24..26].copy_from_slice(&width.to_be_bytes());
    fixed[26..28].copy_from_slice(&height.to_be_bytes());
    // 72 dots per inch, one frame per sample, 24 bits.
    (fixed[29], fixed[33], fixed[41], fixed[75]) = (0x48, 0x48, 1, 24);
    fixed[76..78].fill(0xFF);
    let body = [&fixed[..], &config, &colour.colr(), &pixel_aspect(settings, (width, height))].concat();
    visual_entry(name, Fields(body.into()))
}

/// Returns the entry of an audio track, or `None` if players do not play it.
pub(super) fn audio(track: &[u8]) -> Option<Entry> {
    let settings = child(track, id::AUDIO).unwrap_or_default();
    let private = child(track, id::CODEC_PRIVATE).unwrap_or_default();
    let (name, config) = match codec(track)? {
        codec if codec == "A_AAC" || codec.starts_with("A_AAC/") => (*b"mp4a", esds(private)?),
        "A_OPUS" => (*b"Opus", opus(private)?),
        _ => return None,
    };
    let channels = child(settings, id::CHANNELS).and_then(ebml::uint).unwrap_or(1);
    let mut fixed = [0; 28];
    fixed[16..18].copy_from_slice(&u16::try_from(channels).ok()?.to_be_bytes());
    fixed[19] = 16;
    let rate = u16::try_from(sample_rate(track)?).unwrap_or(0);
    fixed[24..26].copy_from_slice(&rate.to_be_bytes());
    audio_entry(name, Fields([&fixed[..], &config].concat().into()), false)
}

/// Returns the sample rate of an audio track, in which its frames are counted.
pub(super) fn sample_rate(track: &[u8]) -> Option<u32> {
    if is_opus(track) {
        return Some(48_000);
    }
    let settings = child(track, id::AUDIO).unwrap_or_default();
    let rate = child(settings, id::SAMPLING_FREQUENCY).and_then(ebml::float).unwrap_or(8000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (1.0..=768_000.0).contains(&rate).then(|| rate.round() as u32)
}

pub(super) fn is_opus(track: &[u8]) -> bool {
    codec(track) == Some("A_OPUS")
}

/// Returns the number of audio samples of a frame of Opus, which starts with these bytes.
pub(crate) fn opus_length(start: [u8; 2]) -> u32 {
    // RFC 6716, 3.1.
    let config = usize::from(start[0] >> 3);
    let one = match config {
        0..12 => [480, 960, 1920, 2880][config % 4],
        12..16 => [480, 960][config % 2],
        _ => [120, 240, 480, 960][config % 4],
    };
    let count = match start[0] & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(start[1] & 0x3F),
    };
    one * count
}

pub(super) fn codec(track: &[u8]) -> Option<&str> {
    child(track, id::CODEC_ID).and_then(ebml::text)
}

/// Converts the header of Opus in Ogg (RFC 7845, 5.1) to a `dOps` box, whose numbers are big-endian.
fn opus(private: &[u8]) -> Option<Vec<u8>> {
    let [_, channels, s0, s1, r0, r1, r2, r3, g0, g1, rest @ ..] = private.strip_prefix(b"OpusHead")? else {
        return None;
    };
    Some(atom(*b"dOps", &[&[0, *channels, *s1, *s0, *r3, *r2, *r1, *r0, *g1, *g0], rest]))
}

/// Returns a `pasp` box if pixels are not square.
fn pixel_aspect(settings: &[u8], (width, height): (u16, u16)) -> Vec<u8> {
    let number = |id| child(settings, id).and_then(ebml::uint).filter(|number| *number > 0);
    let unit = number(id::DISPLAY_UNIT).unwrap_or(0);
    let (width, height) = (u64::from(width), u64::from(height));
    let size = number(id::DISPLAY_WIDTH).zip(number(id::DISPLAY_HEIGHT)).filter(|_| unit < 4);
    let (across, down) = size.unwrap_or((width, height));
    let across = across.checked_mul(height).and_then(|n| u32::try_from(n).ok());
    let down = down.checked_mul(width).and_then(|n| u32::try_from(n).ok());
    match across.zip(down).filter(|(across, down)| across != down) {
        Some((across, down)) => atom(*b"pasp", &[&across.to_be_bytes(), &down.to_be_bytes()]),
        None => Vec::new(),
    }
}

/// The colours of a video track.
struct Colour {
    primaries: u64,
    transfer: u64,
    matrix: u64,
    is_full: bool,
}

impl Colour {
    fn read(colour: &[u8]) -> Self {
        let code =
            |id| child(colour, id).and_then(ebml::uint).filter(|code| *code < 256).unwrap_or(UNSPECIFIED);
        Self {
            primaries: code(id::PRIMARIES),
            transfer: code(id::TRANSFER_CHARACTERISTICS),
            matrix: code(id::MATRIX_COEFFICIENTS),
            is_full: code(id::RANGE) == 2 && child(colour, id::RANGE).is_some(),
        }
    }

    /// Returns the code points, each in the lowest byte.
    fn codes(&self) -> [u8; 3] {
        [self.primaries, self.transfer, self.matrix].map(|code| code.to_le_bytes()[0])
    }

    fn colr(&self) -> Vec<u8> {
        let [primaries, transfer, matrix] = self.codes();
        if [primaries, transfer, matrix].iter().all(|code| u64::from(*code) == UNSPECIFIED) {
            return Vec::new();
        }
        let range = u8::from(self.is_full) << 7;
        atom(*b"colr", &[b"nclx", &[0, primaries, 0, transfer, 0, matrix, range]])
    }
}

/// The format of VP9 that a keyframe states (VP9 bitstream, 6.2 and 7.2).
struct Vp9 {
    profile: u8,
    depth: u8,
    subsampling: u8,
}

impl Vp9 {
    fn read(frame: &[u8]) -> Option<Self> {
        let start: [u8; 8] = frame.get(..8)?.try_into().ok()?;
        let mut bits = u64::from_be_bytes(start);
        let mut take = |n: u32| {
            let value = bits >> (64 - n);
            bits <<= n;
            u8::try_from(value & 0xFF).unwrap_or(0)
        };
        let marker = take(2);
        let profile = take(1) | take(1) << 1;
        if profile == 3 {
            take(1);
        }
        // An existing frame is shown; the frame type, of which 0 is a keyframe; two flags.
        let is_keyframe = take(1) == 0 && take(1) == 0;
        take(2);
        let sync = [take(8), take(8), take(8)];
        if marker != 2 || !is_keyframe || sync != [0x49, 0x83, 0x42] {
            return None;
        }
        let depth = match profile {
            2.. => 10 + 2 * take(1),
            _ => 8,
        };
        let is_rgb = take(3) == 7;
        let subsampling = match profile {
            _ if is_rgb => 3,
            1 | 3 => {
                take(1);
                if take(1) == 1 { 2 } else { 3 }
            }
            _ => 1,
        };
        Some(Self { profile, depth, subsampling })
    }

    /// Returns the `vpcC` box (VP Codec ISO Media File Format Binding 1.0).
    fn config(&self, pixels: u32, colour: &Colour) -> Vec<u8> {
        let levels = [
            (10, 36_864),
            (11, 73_728),
            (20, 122_880),
            (21, 245_760),
            (30, 552_960),
            (31, 983_040),
            (40, 2_228_224),
            (50, 8_912_896),
        ];
        let level = levels.iter().find(|(_, most)| pixels <= *most).map_or(60, |(level, _)| *level);
        let format = self.depth << 4 | self.subsampling << 1 | u8::from(colour.is_full);
        full_box(*b"vpcC", 1, 0, &[&[self.profile, level, format], &colour.codes(), &[0, 0]])
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{data, float, master, size, uint};
    use super::*;

    fn track(codec: &str, private: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
        let own = [data(id::CODEC_ID, codec.as_bytes()), data(id::CODEC_PRIVATE, private)].concat();
        [own, more.concat()].concat()
    }

    #[test]
    fn entries_of_video() {
        let avc = [1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67];
        let codec = |codec, private: &[u8], frame: &[u8]| {
            video(&track(codec, private, &[size(1280, 720)]), frame).map(|entry| entry.codec)
        };
        assert_eq!(codec("V_MPEG4/ISO/AVC", &avc, &[]).as_deref(), Some("avc1.64001e"));
        assert_eq!(codec("V_AV1", &[0x81, 5, 0x0C, 0], &[]).as_deref(), Some("av01.0.05M.08"));
        let key = [0x82, 0x49, 0x83, 0x42, 0x20, 0, 0, 0];
        assert_eq!(codec(VP9, &[], &key).as_deref(), Some("vp09.00.31.08"));
        // Profile 2 with 10 bits.
        let key = [0x92, 0x49, 0x83, 0x42, 0x10, 0, 0, 0];
        assert_eq!(codec(VP9, &[], &key).as_deref(), Some("vp09.02.31.10"));
        assert_eq!(
            (codec(VP9, &[], &[0x86; 8]), codec(VP9, &[], &[]), codec("V_VP8", &[], &[])),
            (None, None, None)
        );
    }

    #[test]
    fn colours_and_pixel_aspect_are_kept() {
        let colour = master(id::COLOUR, &[uint(id::PRIMARIES, 9), uint(id::TRANSFER_CHARACTERISTICS, 18)]);
        let display = [uint(id::DISPLAY_WIDTH, 16), uint(id::DISPLAY_HEIGHT, 9), uint(id::DISPLAY_UNIT, 3)];
        let pixels = [uint(id::PIXEL_WIDTH, 720), uint(id::PIXEL_HEIGHT, 576)];
        let settings = master(id::VIDEO, &[pixels.concat(), display.concat(), colour]);
        let avc = [1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67];
        let entry = video(&track("V_MPEG4/ISO/AVC", &avc, &[settings]), &[]).unwrap();
        let (_, mut body) = Fields(entry.bytes.into()).boxes().next().unwrap();
        body.skip(78).unwrap();
        assert_eq!(body.child(*b"colr").unwrap().0[..], *b"nclx\0\x09\0\x12\0\x02\0");
        let mut pasp = body.child(*b"pasp").unwrap();
        assert_eq!((pasp.u32(), pasp.u32()), (Some(16 * 576), Some(9 * 720)));
    }

    #[test]
    fn entries_of_audio() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
        let opus = track("A_OPUS", head, &[]);
        let entry = audio(&opus).unwrap();
        assert_eq!((entry.codec.as_str(), entry.channels, sample_rate(&opus)), ("opus", 2, Some(48_000)));
        let settings = master(id::AUDIO, &[float(id::SAMPLING_FREQUENCY, 44_100.0), uint(id::CHANNELS, 2)]);
        let aac = track("A_AAC", &[0x12, 0x10], &[settings]);
        let entry = audio(&aac).unwrap();
        assert_eq!((entry.codec.as_str(), entry.channels, sample_rate(&aac)), ("mp4a.40.2", 2, Some(44_100)));
        assert_eq!(audio(&track("A_VORBIS", &[], &[])), None);
        assert_eq!(audio(&track("A_OPUS", b"OpusHead\x01", &[])), None);
        let lengths = [[0xFC, 0], [0x78, 0], [0x0B, 3], [0xE1, 0]].map(opus_length);
        assert_eq!(lengths, [960, 960, 2880, 240]);
    }
}
