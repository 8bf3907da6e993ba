//! Sample entries of tracks that are played as they are, and their codecs (RFC 6381; ISO/IEC 14496-15, annex E).

use std::ops::Range;

use bytes::Bytes;

use super::boxes::{Fields, Name, atom, full_box};
use super::codecs::{decoder_config, descriptor};
use crate::nal;
use crate::rendition::SAMPLE_RATE;

/// Length of the fields of a visual sample entry before the boxes inside (ISO/IEC 14496-12, 12.1.3).
const VISUAL: usize = 78;
/// Length of the fields of an audio sample entry (12.2.3).
const AUDIO: usize = 28;

/// A sample entry for players.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The whole box.
    pub(crate) bytes: Vec<u8>,
    /// The codec (RFC 6381).
    pub(crate) codec: String,
    /// Number of channels of audio.
    pub(crate) channels: u32,
    /// A frame of silence that can stand between the samples.
    pub(crate) silence: Option<Silence>,
    /// The NAL units of video, if it has any.
    pub(crate) units: Option<nal::Format>,
    /// How the samples are decoded, if players do not play them. Then they are encoded, and this is the entry of the
    /// encoded audio.
    pub(crate) decoding: Option<Decoding>,
}

/// How audio is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoding {
    /// The initialization segment of the samples as they are, for ffmpeg.
    pub(crate) init: Vec<u8>,
    /// Bytes of a tick, if the samples can be divided at each: those of PCM.
    pub(crate) tick_bytes: Option<u32>,
    /// When the samples are presented, in ticks.
    pub(crate) presented: Range<i64>,
}

/// A frame of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) frame: &'static [u8],
    /// The duration in milliseconds, or `None` for that of the other frames.
    pub(crate) ms: Option<u32>,
}

/// Returns a visual sample entry for players, or `None` if they do not play it: another codec, or one whose parameter sets
/// are not in the entry.
pub(crate) fn visual(name: Name, mut body: Fields) -> Option<Entry> {
    let mut fixed = body.take(VISUAL)?.to_vec();
    let config = |name| body.child(name).map(|config| config.0);
    let units = |codec, config: &[u8], at: usize| {
        let length = usize::from(config.get(at).copied().unwrap_or(3) & 3) + 1;
        Some(nal::Format { codec, length })
    };
    let (name, codec, units) = match &name {
        b"avc1" | b"avc3" => {
            let config = config(*b"avcC")?;
            (*b"avc1", avc(&config)?, units(nal::Codec::H264, &config, 4))
        }
        b"hvc1" | b"hev1" => {
            let config = config(*b"hvcC")?;
            (*b"hvc1", hevc(&config)?, units(nal::Codec::Hevc, &config, 21))
        }
        b"av01" => (name, av1(&config(*b"av1C")?)?, None),
        b"vp09" => (name, vp9(&config(*b"vpcC")?)?, None),
        _ => return None,
    };
    refer_to_this_file(&mut fixed);
    // Without `QuickTime`'s order of fields and gamma, and without the marks of devices: other files do not have them.
    let inner = body.boxes().filter(|(name, _)| !matches!(name, b"fiel" | b"gama" | b"uuid"));
    let inner = inner.flat_map(|(name, body)| match body.0.strip_prefix(b"nclc") {
        // `QuickTime`'s colours, as ISO states them: limited range.
        Some(colours) if name == *b"colr" && colours.len() >= 6 => {
            atom(name, &[b"nclx", &colours[..6], &[0]])
        }
        _ => atom(name, &[&body.0]),
    });
    let bytes = atom(name, &[&fixed, &inner.collect::<Vec<_>>()]);
    Some(Entry { bytes, codec, channels: 0, silence: None, units, decoding: None })
}

/// Sets the data reference index, which is that of the original's file.
fn refer_to_this_file(fixed: &mut [u8]) {
    fixed[..8].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
}

fn avc(config: &[u8]) -> Option<String> {
    let [1, profile, constraints, level, _, sets, _, _, ..] = config else { return None };
    (sets & 31 > 0).then(|| format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

fn hevc(config: &[u8]) -> Option<String> {
    let &[1, profile, c0, c1, c2, c3, ref constraints @ .., level] = config.get(..13)? else { return None };
    let arrays = *config.get(22)?;
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6))?;
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let profile = format!("hvc1.{space}{}.{compatibility:X}.{tier}{level}", profile & 31);
    let constraints = constraints.iter().take(used).map(|byte| format!("{byte:X}"));
    let parts: Vec<String> = std::iter::once(profile).chain(constraints).collect();
    (arrays > 0).then(|| parts.join("."))
}

fn av1(config: &[u8]) -> Option<String> {
    let [_, profile_and_level, flags, _, ..] = config else { return None };
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match flags & 0x60 {
        0x60 => 12,
        0x40 => 10,
        _ => 8,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", profile_and_level >> 5, profile_and_level & 31))
}

fn vp9(config: &[u8]) -> Option<String> {
    let [_, _, _, _, profile, level, depth, ..] = config else { return None };
    Some(format!("vp09.{profile:02}.{level:02}.{:02}", depth >> 4))
}

/// Returns an audio sample entry for players, or `None` if they do not play it. Those in an `stsd` box of version 0 may
/// have `QuickTime`'s extensions.
pub(crate) fn audio(name: Name, mut body: Fields, quicktime: bool) -> Option<Entry> {
    let mut fixed = body.take(AUDIO)?.to_vec();
    let version = u16::from_be_bytes([fixed[8], fixed[9]]);
    match version {
        1 if quicktime => body.skip(16)?,
        2 if quicktime => body.skip(36)?,
        _ => {}
    }
    let child = |name: Name| body.child(name).or_else(|| body.child(*b"wave")?.child(name));
    // Without QuickTime's version, revision and vendor.
    fixed[8..16].fill(0);
    refer_to_this_file(&mut fixed);
    let (config, codec, channels, silence) = match &name {
        b"mp4a" => {
            let esds = child(*b"esds")?;
            let aac = Aac::read(&audio_config(esds.clone())?)?;
            let silence = if aac.object == Aac::LC { silence(aac.channels) } else { None };
            (atom(*b"esds", &[&esds.0]), format!("mp4a.40.{}", aac.object), aac.channels, silence)
        }
        b"Opus" => {
            let config = child(*b"dOps")?;
            let channels = u32::from(*config.0.get(1)?);
            (atom(*b"dOps", &[&config.0]), "opus".to_owned(), channels, opus_silence(channels))
        }
        _ => return None,
    };
    if version == 2 {
        // These fields are placeholders in version 2.
        fixed[16..18].copy_from_slice(&u16::try_from(channels).ok()?.to_be_bytes());
        fixed[24..28].fill(0);
    }
    let bytes = atom(name, &[&fixed, &config]);
    (channels > 0).then_some(Entry { bytes, codec, channels, silence, units: None, decoding: None })
}

/// Returns the entry of the AAC that [`rendition`](crate::rendition) encodes: AAC-LC, 48 kHz, stereo.
pub(crate) fn encoded() -> Option<Entry> {
    /// With the mark that there is no SBR, as the encoder writes it.
    const CONFIG: [u8; 5] = [0x11, 0x90, 0x56, 0xE5, 0x00];
    let mut fixed = [0; AUDIO];
    (fixed[17], fixed[19]) = (2, 16);
    fixed[24..26].copy_from_slice(&u16::try_from(SAMPLE_RATE).ok()?.to_be_bytes());
    audio(*b"mp4a", Fields([&fixed[..], &esds(&CONFIG)?].concat().into()), false)
}

/// Makes the `esds` box of AAC with this configuration (ISO/IEC 14496-14, 5.6).
pub(crate) fn esds(config: &[u8]) -> Option<Vec<u8>> {
    let len = |content: usize| u8::try_from(content).ok().filter(|len| *len < 128);
    let decoder = [&[0x40, 0x15], &[0; 11][..], &[5, len(config.len())?], config].concat();
    let stream = [&[0, 0, 0, 4, len(decoder.len())?], &decoder[..], &[6, 1, 2]].concat();
    Some(full_box(*b"esds", 0, 0, &[&[3, len(stream.len())?], &stream]))
}

/// Returns the configuration of AAC in the body of an `esds` box (ISO/IEC 14496-1, 7.2.6.7).
fn audio_config(esds: Fields) -> Option<Bytes> {
    const SPECIFIC: u8 = 5;
    const AAC: u8 = 0x40;
    let (object, mut config) = decoder_config(esds)?;
    if object != AAC {
        return None;
    }
    config.skip(12)?;
    let (tag, len) = descriptor(&mut config)?;
    (tag == SPECIFIC).then(|| config.take(len))?
}

/// The start of an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
struct Aac {
    object: u8,
    channels: u32,
}

impl Aac {
    const LC: u8 = 2;
    const SBR: u8 = 5;
    const PS: u8 = 29;

    fn read(config: &[u8]) -> Option<Self> {
        let start: [u8; 8] = std::array::from_fn(|i| config.get(i).copied().unwrap_or(0));
        let mut bits = u64::from_be_bytes(start);
        let mut take = |n: u32| {
            let value = bits >> (64 - n);
            bits <<= n;
            value
        };
        let object = u8::try_from(take(5)).ok().filter(|_| config.len() >= 2)?;
        // An explicit sample rate has 24 bits.
        if take(4) == 15 {
            take(24);
        }
        // 0 is another arrangement of channels, which browsers do not play.
        let channels = match u32::try_from(take(4)).ok()? {
            7 => 8,
            n @ 1..=6 => n,
            _ => return None,
        };
        matches!(object, Self::LC | Self::SBR | Self::PS).then_some(Self { object, channels })
    }
}

/// A stereo frame of silence in AAC-LC.
pub(crate) const STEREO_SILENCE: &[u8] = &[0x21, 0x10, 0x04, 0x60, 0x8C, 0x1C];

/// Returns a frame of silence in AAC-LC, as ffmpeg encodes it, for any sample rate.
fn silence(channels: u32) -> Option<Silence> {
    let frame: &[u8] = match channels {
        1 => &[0x01, 0x18, 0x20, 0x07],
        2 => STEREO_SILENCE,
        6 => b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\x23\x10\x04\x60\x8C\x0C\x23\x00\x00\xE0",
        _ => return None,
    };
    Some(Silence { frame, ms: None })
}

/// Returns a frame of silence in Opus (RFC 6716): 20 ms of CELT, at the full bandwidth.
fn opus_silence(channels: u32) -> Option<Silence> {
    let frame: &[u8] = match channels {
        1 => &[0xF8, 0xFF, 0xFE],
        2 => &[0xFC, 0xFF, 0xFE],
        _ => return None,
    };
    Some(Silence { frame, ms: Some(20) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(config: Name, bytes: &[u8]) -> Fields {
        let colr = atom(*b"colr", &[b"nclc\0\x01\0\x01\0\x01"]);
        let fiel = atom(*b"fiel", &[&[1, 0]]);
        Fields([&[7; VISUAL], &atom(config, &[bytes])[..], &fiel, &colr].concat().into())
    }

    #[test]
    fn codecs_of_video() {
        let codec = |name, config, bytes: &[u8]| visual(name, entry(config, bytes)).map(|entry| entry.codec);
        let avc = [1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67];
        assert_eq!(codec(*b"avc1", *b"avcC", &avc).as_deref(), Some("avc1.64001e"));
        assert_eq!(codec(*b"avc3", *b"avcC", &avc).as_deref(), Some("avc1.64001e"));
        assert_eq!(
            codec(*b"avc1", *b"avcC", &[1, 0x64, 0, 0x1E, 0xFF, 0xE0, 0, 0]),
            None,
            "no parameter sets"
        );
        let mut hevc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 63, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(codec(*b"hev1", *b"hvcC", &hevc).as_deref(), Some("hvc1.1.6.L63.90"));
        hevc[1] = 0x62;
        (hevc[2], hevc[3]) = (0x20, 0);
        assert_eq!(codec(*b"hvc1", *b"hvcC", &hevc).as_deref(), Some("hvc1.A2.4.H63.90"));
        assert_eq!(codec(*b"hvc1", *b"hvcC", &hevc[..22]), None);
        assert_eq!(codec(*b"av01", *b"av1C", &[0x81, 1, 0x0C, 0]).as_deref(), Some("av01.0.01M.08"));
        assert_eq!(codec(*b"av01", *b"av1C", &[0x81, 0x2D, 0xCC, 0]).as_deref(), Some("av01.1.13H.10"));
        let vpcc = [1, 0, 0, 0, 0, 30, 0x82, 2, 2, 2, 0, 0];
        assert_eq!(codec(*b"vp09", *b"vpcC", &vpcc).as_deref(), Some("vp09.00.30.08"));
        assert_eq!(codec(*b"apcn", *b"avcC", &avc), None);
    }

    #[test]
    fn colours_of_quicktime_become_those_of_iso() {
        let avc = [1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67];
        let made = visual(*b"avc1", entry(*b"avcC", &avc)).unwrap();
        let (_, mut body) = Fields(made.bytes.into()).boxes().next().unwrap();
        assert_eq!(body.take(8).unwrap()[..], [0, 0, 0, 0, 0, 0, 0, 1]);
        body.skip(VISUAL - 8).unwrap();
        assert!(body.child(*b"fiel").is_none() && body.child(*b"avcC").is_some());
        assert_eq!(body.child(*b"colr").unwrap().0[..], *b"nclx\0\x01\0\x01\0\x01\0");
    }

    fn sound(version: u16, extra: usize, boxes: &[u8]) -> Fields {
        let mut fixed = [0; AUDIO];
        (fixed[9], fixed[17]) = (version.to_be_bytes()[1], 2);
        Fields([&fixed[..], &vec![0; extra], boxes].concat().into())
    }

    #[test]
    fn audio_of_iso_and_of_quicktime() {
        let config = esds(&[0x11, 0x90]).unwrap();
        let wave = atom(*b"wave", &[&atom(*b"frma", &[b"mp4a"]), &config]);
        let plain = audio(*b"mp4a", sound(0, 0, &config), false).unwrap();
        assert_eq!((plain.codec.as_str(), plain.channels, plain.silence), ("mp4a.40.2", 2, silence(2)));
        assert_eq!(audio(*b"mp4a", sound(1, 16, &wave), true).unwrap(), plain);
        assert_eq!(audio(*b"mp4a", sound(2, 36, &config), true).unwrap().codec, "mp4a.40.2");
        let opus = atom(*b"dOps", &[&[0, 6, 1, 56, 0, 0, 0xBB, 0x80, 0, 0, 0]]);
        let opus = audio(*b"Opus", sound(0, 0, &opus), false).unwrap();
        assert_eq!((opus.codec.as_str(), opus.channels), ("opus", 6));
        assert_eq!(audio(*b"sowt", sound(0, 0, &[]), true), None);
    }

    #[test]
    fn kinds_of_aac() {
        let read = |config: &[u8]| {
            let entry = audio(*b"mp4a", sound(0, 0, &esds(config).unwrap()), false)?;
            Some((entry.codec, entry.channels, entry.silence.is_some()))
        };
        assert_eq!(read(&[0x11, 0x88]), Some(("mp4a.40.2".to_owned(), 1, true)));
        assert_eq!(read(&[0x2B, 0x92, 0x08, 0]), Some(("mp4a.40.5".to_owned(), 2, false)), "HE-AAC");
        assert_eq!(read(&[0x11, 0xB0]), Some(("mp4a.40.2".to_owned(), 6, true)));
        assert_eq!(read(&[0x11, 0x80]), None, "another arrangement of channels");
        assert_eq!((read(&[0x0B, 0x92]), read(&[0xF9, 0x48]), read(&[0x11])), (None, None, None));
        // MP3 in `mp4a`.
        let mut mp3 = esds(&[0x11, 0x90]).unwrap();
        let object = mp3.iter().position(|byte| *byte == 0x40).unwrap();
        mp3[object] = 0x6B;
        assert_eq!(audio(*b"mp4a", sound(0, 0, &mp3), false), None);
    }
}
