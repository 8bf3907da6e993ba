//! The codec of an audio sample entry (ISO/IEC 14496-12, 12.2.3), by `FFmpeg`'s name.

use super::boxes::{Fields, Name};
use super::codecs::{self, mpeg4_object};

/// The codec of an audio track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// `FFmpeg`'s name.
    Known(&'static str),
    /// The type of a sample entry that is not known.
    Other(Name),
    Encrypted,
}

impl Codec {
    /// Returns `FFmpeg`'s name, or the type of the sample entry if it consists of letters and digits.
    pub(super) fn name(self) -> String {
        match self {
            Self::Known(name) => name.to_owned(),
            Self::Other(tag) => {
                let tag = String::from_utf8_lossy(&tag).trim_end().to_ascii_lowercase();
                let plain = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if plain { tag } else { "unknown".to_owned() }
            }
            Self::Encrypted => "encrypted".to_owned(),
        }
    }

    /// Returns whether the ffmpeg of the layer has a decoder.
    pub(super) fn is_decodable(self) -> bool {
        matches!(self, Self::Known(_))
    }
}

/// Returns the codec of the first entry in the body of an `stsd` box.
pub(super) fn codec(mut stsd: Fields) -> Codec {
    if codecs::encrypted(&stsd) {
        return Codec::Encrypted;
    }
    let Some((version, _)) = stsd.version_and_flags() else { return Codec::Other([0; 4]) };
    let entry = stsd.skip(4).and_then(|()| stsd.boxes().next());
    let Some((name, entry)) = entry else { return Codec::Other([0; 4]) };
    audio_codec(name, entry, version == 0).map_or(Codec::Other(name), Codec::Known)
}

/// Reads the codec of an audio sample entry. Those in an `stsd` box of version 0 may have `QuickTime`'s extensions.
fn audio_codec(name: Name, mut entry: Fields, quicktime: bool) -> Option<&'static str> {
    entry.skip(8)?;
    let version = entry.u16()?;
    entry.skip(8)?;
    let mut bits = u32::from(entry.u16()?);
    entry.skip(8)?;
    match version {
        1 if quicktime => entry.skip(16)?,
        2 if quicktime => {
            entry.skip(20)?;
            bits = entry.u32()?;
            let flags = entry.u32()?;
            entry.skip(8)?;
            if name == *b"lpcm" {
                return linear_pcm(bits, flags);
            }
        }
        _ => {}
    }
    let child = |name: Name| entry.child(name).or_else(|| entry.child(*b"wave")?.child(name));
    let little_endian =
        || child(*b"enda").and_then(|mut enda| enda.u16()).is_some_and(|order| order & 1 == 1);
    let by_order = |big, little| if little_endian() { little } else { big };
    Some(match &name {
        b"mp4a" => return child(*b"esds").and_then(mpeg4_object).or(Some("aac")),
        b".mp3" => "mp3",
        b"Opus" => "opus",
        b"fLaC" => "flac",
        b"alac" => "alac",
        b"ac-3" | b"sac3" | b"AC-3" => "ac3",
        b"ec-3" => "eac3",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "dts",
        b"mlpa" => "truehd",
        b"samr" => "amr_nb",
        b"sawb" => "amr_wb",
        b"sowt" => signed_pcm(bits, false)?,
        b"twos" => signed_pcm(bits, true)?,
        b"in24" => by_order("pcm_s24be", "pcm_s24le"),
        b"in32" => by_order("pcm_s32be", "pcm_s32le"),
        b"fl32" => by_order("pcm_f32be", "pcm_f32le"),
        b"fl64" => by_order("pcm_f64be", "pcm_f64le"),
        b"raw " | b"NONE" if bits == 16 => "pcm_s16be",
        b"raw " | b"NONE" => "pcm_u8",
        b"ulaw" => "pcm_mulaw",
        b"alaw" => "pcm_alaw",
        b"ima4" => "adpcm_ima_qt",
        b"QDM2" => "qdm2",
        b"nmos" => "nellymoser",
        b"spex" | b"SPXN" => "speex",
        b"ipcm" | b"fpcm" => return iso_pcm(name == *b"fpcm", entry.child(*b"pcmC")?),
        [b'm', b's', high, low] => return wave_format(u16::from_be_bytes([*high, *low]), bits),
        _ => return None,
    })
}

/// How samples are grouped in packets of a constant size, although the size table lists them one by one: in PCM, and in
/// compressed audio of a constant bit rate in `QuickTime` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packing {
    samples: u64,
    bytes: u64,
}

impl Packing {
    /// The most samples in a group, as in ffmpeg.
    const GROUP: u64 = 1024;
    /// A packet of at least this many samples is a group by itself, as in ffmpeg.
    const LONG: u64 = 160;

    /// Reads the first entry in the body of an `stsd` box. Returns `None` if samples have the sizes that the table states.
    pub(super) fn read(mut stsd: Fields, codec: Codec) -> Option<Self> {
        stsd.skip(8)?;
        let (_, mut entry) = stsd.boxes().next()?;
        entry.skip(8)?;
        let version = entry.u16()?;
        entry.skip(6)?;
        let mut channels = u64::from(entry.u16()?);
        entry.skip(10)?;
        let mut compressed = None;
        match version {
            1 => {
                let samples = entry.u32()?;
                entry.skip(4)?;
                compressed = Some((u64::from(samples), u64::from(entry.u32()?)));
            }
            2 => {
                entry.skip(12)?;
                channels = entry.u32()?.into();
            }
            _ => {}
        }
        let Codec::Known(name) = codec else { return None };
        let (samples, bytes) = match name {
            "pcm_u8" | "pcm_s8" | "pcm_alaw" | "pcm_mulaw" => (1, channels),
            "adpcm_ima_qt" => (64, channels * 34),
            _ if name.starts_with("pcm_") => {
                let bits: String = name.chars().filter(char::is_ascii_digit).collect();
                (1, channels * bits.parse::<u64>().ok()? / 8)
            }
            _ => compressed?,
        };
        ((1..1 << 16).contains(&samples) && (1..1 << 16).contains(&bytes)).then_some(Self { samples, bytes })
    }

    /// Returns the bytes of a sample, if each is a packet.
    pub(super) fn sample_bytes(self) -> Option<u32> {
        u32::try_from(self.bytes).ok().filter(|_| self.samples == 1)
    }

    /// The number of samples of a group.
    pub(super) const fn group(self) -> u64 {
        if self.samples >= Self::LONG { self.samples } else { Self::GROUP / self.samples * self.samples }
    }

    pub(super) const fn group_bytes(self) -> u64 {
        self.bytes_of(self.group())
    }

    /// Returns the size of `samples`, at most a group, in bytes.
    pub(super) const fn bytes_of(self, samples: u64) -> u64 {
        samples.div_ceil(self.samples) * self.bytes
    }
}

/// Returns the codec of `lpcm`, by the flags of a sound description of version 2 (`QuickTime` File Format).
fn linear_pcm(bits: u32, flags: u32) -> Option<&'static str> {
    const FLOAT: u32 = 1;
    const BIG_ENDIAN: u32 = 2;
    const SIGNED: u32 = 4;
    let big_endian = flags & BIG_ENDIAN != 0;
    if flags & FLOAT != 0 {
        return float_pcm(bits, big_endian);
    }
    match bits {
        1..=8 if flags & SIGNED == 0 => Some("pcm_u8"),
        _ if flags & SIGNED == 0 => None,
        _ => signed_pcm(bits, big_endian),
    }
}

/// Returns the codec of `ipcm` or `fpcm`, by the body of the `pcmC` box (ISO/IEC 23003-5).
fn iso_pcm(float: bool, mut config: Fields) -> Option<&'static str> {
    const LITTLE_ENDIAN: u8 = 1;
    config.skip(4)?;
    let big_endian = config.u8()? & LITTLE_ENDIAN == 0;
    let bits = config.u8()?.into();
    if float { float_pcm(bits, big_endian) } else { signed_pcm(bits, big_endian) }
}

fn signed_pcm(bits: u32, big_endian: bool) -> Option<&'static str> {
    Some(match (bits, big_endian) {
        (1..=8, _) => "pcm_s8",
        // Old files leave it 0.
        (0 | 9..=16, true) => "pcm_s16be",
        (0 | 9..=16, false) => "pcm_s16le",
        (17..=24, true) => "pcm_s24be",
        (17..=24, false) => "pcm_s24le",
        (25..=32, true) => "pcm_s32be",
        (25..=32, false) => "pcm_s32le",
        _ => return None,
    })
}

fn float_pcm(bits: u32, big_endian: bool) -> Option<&'static str> {
    Some(match (bits, big_endian) {
        (32, true) => "pcm_f32be",
        (32, false) => "pcm_f32le",
        (64, true) => "pcm_f64be",
        (64, false) => "pcm_f64le",
        _ => return None,
    })
}

/// Returns the codec of a format tag of WAVE (RFC 2361), which `QuickTime` files name as `ms` and two bytes.
pub(crate) fn wave_format(tag: u16, bits: u32) -> Option<&'static str> {
    Some(match tag {
        0x01 if bits == 8 => "pcm_u8",
        0x01 => return signed_pcm(bits, false),
        0x02 => "adpcm_ms",
        0x03 => return float_pcm(bits, false),
        0x06 => "pcm_alaw",
        0x07 => "pcm_mulaw",
        0x11 => "adpcm_ima_wav",
        0x50 => "mp2",
        0x55 => "mp3",
        0x160 => "wmav1",
        0x161 => "wmav2",
        0x162 => "wmapro",
        0xFF | 0x1600 | 0x1602 | 0x1610 => "aac",
        0x2000 => "ac3",
        0x2001 => "dts",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;

    /// An `stsd` body with one entry: a version of the sound description, bits per sample, and what follows.
    fn stsd(name: Name, version: u16, bits: u16, rest: &[u8]) -> Fields {
        let fields = [&[0; 8], &version.to_be_bytes()[..], &[0; 8], &bits.to_be_bytes(), &[0; 8]].concat();
        Fields([&[0, 0, 0, 0, 0, 0, 0, 1], &atom(name, &[], &[&fields, rest].concat())[..]].concat().into())
    }

    fn name(name: Name, version: u16, bits: u16, rest: &[u8]) -> String {
        codec(stsd(name, version, bits, rest)).name()
    }

    #[test]
    fn elementary_stream_descriptor_names_the_codec() {
        let esds = atom(*b"esds", &[0], b"\x03\x19\0\x01\0\x04\x11\x6B");
        assert_eq!(name(*b"mp4a", 0, 16, &esds), "mp3");
        assert_eq!(name(*b"mp4a", 0, 16, &[]), "aac");
        let wave = atom(*b"wave", &[], &esds);
        assert_eq!(name(*b"mp4a", 1, 16, &[&[0; 16], &wave[..]].concat()), "mp3", "QuickTime's version 1");
    }

    #[test]
    fn pcm_is_named_by_its_size_and_byte_order() {
        let enda =
            |order: u8| [&[0; 16], &atom(*b"wave", &[], &atom(*b"enda", &[], &[0, order]))[..]].concat();
        for (tag, bits, found) in [
            (*b"sowt", 16, "pcm_s16le"),
            (*b"sowt", 24, "pcm_s24le"),
            (*b"twos", 8, "pcm_s8"),
            (*b"twos", 16, "pcm_s16be"),
            (*b"raw ", 8, "pcm_u8"),
            (*b"raw ", 16, "pcm_s16be"),
        ] {
            assert_eq!(name(tag, 0, bits, &[]), found);
        }
        assert_eq!(name(*b"in24", 1, 16, &enda(0)), "pcm_s24be");
        assert_eq!(name(*b"in24", 1, 16, &enda(1)), "pcm_s24le");
        assert_eq!(name(*b"fl32", 1, 16, &enda(1)), "pcm_f32le");
    }

    #[test]
    fn lpcm_is_named_by_its_flags() {
        let lpcm = |bits: u32, flags: u32| {
            let words = [0, 0, 0, 2, 0x7F00_0000, bits, flags, 4, 1];
            let rest: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
            name(*b"lpcm", 2, 16, &rest)
        };
        assert_eq!([lpcm(16, 12), lpcm(16, 14), lpcm(24, 12)], ["pcm_s16le", "pcm_s16be", "pcm_s24le"]);
        assert_eq!([lpcm(32, 9), lpcm(64, 11), lpcm(8, 8)], ["pcm_f32le", "pcm_f64be", "pcm_u8"]);
        assert_eq!([lpcm(16, 8), lpcm(33, 12)], ["lpcm", "lpcm"], "no decoder");
        assert!(!codec(stsd(*b"lpcm", 2, 16, &[])).is_decodable(), "cut off");
    }

    #[test]
    fn iso_pcm_is_named_by_its_configuration() {
        let entry = |tag, flags: u8, bits: u8| name(tag, 0, 16, &atom(*b"pcmC", &[0], &[flags, bits]));
        assert_eq!(entry(*b"ipcm", 1, 16), "pcm_s16le");
        assert_eq!(entry(*b"ipcm", 0, 24), "pcm_s24be");
        assert_eq!(entry(*b"fpcm", 1, 32), "pcm_f32le");
        assert_eq!(name(*b"ipcm", 0, 16, &[]), "ipcm");
    }

    #[test]
    fn wave_format_tags() {
        assert_eq!(name(*b"ms\0\x02", 1, 16, &[0; 16]), "adpcm_ms");
        assert_eq!(name(*b"ms\0\x11", 1, 16, &[0; 16]), "adpcm_ima_wav");
        assert_eq!(name(*b"ms\0\x55", 0, 16, &[]), "mp3");
        assert_eq!(name(*b"ms\x0F\x55", 0, 16, &[]), "unknown");
    }

    #[test]
    fn extensions_are_only_in_the_first_version_of_the_box() {
        let mut body =
            stsd(*b"mp4a", 1, 16, &atom(*b"esds", &[0], b"\x03\x19\0\x01\0\x04\x11\x6B")).0.to_vec();
        body[0] = 1;
        assert_eq!(codec(Fields(body.into())).name(), "mp3");
    }

    #[test]
    fn unknown_codecs_keep_the_name_of_their_entry() {
        let other = codec(stsd(*b"apac", 0, 16, &[]));
        assert_eq!((other.name().as_str(), other.is_decodable()), ("apac", false));
        assert_eq!(Codec::Other(*b"a\nb!").name(), "unknown");
        assert_eq!(codec(stsd(*b"enca", 0, 16, &[])), Codec::Encrypted);
        assert_eq!(codec(Fields(vec![0; 3].into())).name(), "unknown");
    }

    /// The names of all decoders in the recipe of the layer.
    #[test]
    fn decodable_codecs_are_in_the_layer() {
        let recipe = include_str!("../../../../layers/ffmpeg/build.sh");
        let decoders = recipe.split_once("\ndecoders=(").unwrap().1.split_once("\n)").unwrap().0;
        let has = |name: &str| decoders.split_whitespace().any(|decoder| decoder == name);
        let known = [
            "aac",
            "opus",
            "flac",
            "alac",
            "ac3",
            "eac3",
            "truehd",
            "nellymoser",
            "speex",
            "wmav1",
            "wmav2",
            "wmapro",
            "qdm2",
            "adpcm_ima_qt",
            "adpcm_ima_wav",
            "adpcm_ms",
            "pcm_alaw",
            "pcm_mulaw",
            "pcm_s8",
            "pcm_u8",
            "pcm_s16be",
            "pcm_s16le",
            "pcm_s24be",
            "pcm_s24le",
            "pcm_s32be",
            "pcm_s32le",
            "pcm_f32be",
            "pcm_f32le",
            "pcm_f64be",
            "pcm_f64le",
        ];
        for name in known {
            assert_eq!(Codec::Known(name).is_decodable(), has(name), "{name}");
        }
    }
}
