//! Detection of formats by a file's first bytes.

use super::Container;

impl Container {
    /// Detects the format from a file's first bytes ([`SNIFF_LEN`](super::SNIFF_LEN) are enough).
    #[must_use]
    pub fn sniff(head: &[u8]) -> Option<Self> {
        match head {
            [0x1A, 0x45, 0xDF, 0xA3, ..] => ebml_doc_type(head),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Self::Avi),
            [b'F', b'L', b'V', 1, ..] => Some(Self::Flv),
            [b'O', b'g', b'g', b'S', 0, ..] => Some(Self::Ogg),
            [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Some(Self::Wmv),
            [0, 0, 1, 0xBA, ..] => Some(Self::MpegPs),
            // Programs for audio files put their tags at the start of any file.
            [b'I', b'D', b'3', ..] => Self::sniff(head.get(id3_len(head).filter(|len| *len > 0)?..)?),
            _ if is_mpeg_video(head) => Some(Self::MpegVideo),
            _ => iso_base_media(head).or_else(|| {
                let head = &head[..head.len().min(super::SNIFF_LEN)];
                let stream = TransportPackets::find(head).map(|_| Self::MpegTs);
                stream.or_else(|| has_pack(head).then_some(Self::MpegPs))
            }),
        }
    }
}

impl Container {
    /// Detects a format for audio alone, as [`Container::sniff`] detects the others.
    #[must_use]
    pub fn sniff_audio(head: &[u8]) -> Option<Self> {
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
            | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            // The tag can be longer than what was read. It is usual only before MP3.
            [b'I', b'D', b'3', ..] => match head.get(id3_len(head)?..)? {
                [] => Some(Self::Mp3),
                rest if rest.starts_with(b"ID3") => None,
                rest => Self::sniff_audio(rest),
            },
            // The frame sync, with the layer (ISO/IEC 13818-7, 6.2.1; ISO/IEC 11172-3, 2.4.2.3).
            [0xFF, second, third, ..] if second & 0xF6 == 0xF0 && third >> 2 & 15 < 13 => Some(Self::Aac),
            [0xFF, second, third, ..]
                if second & 0xE6 == 0xE2 && second & 0x18 != 8 && third >> 4 != 15 && third >> 2 & 3 != 3 =>
            {
                Some(Self::Mp3)
            }
            _ => None,
        }
    }
}

/// Returns whether a file begins with a sequence header of MPEG-1 or MPEG-2 (ISO/IEC 13818-2, 6.2.2.1), which zeros can
/// precede: a size, an aspect ratio and a frame rate. MPEG-4 uses the same start code for a header without them.
fn is_mpeg_video(head: &[u8]) -> bool {
    let zeros = head.iter().take(8).take_while(|byte| **byte == 0).count();
    let Some([1, 0xB3, width, both, height, codes, ..]) = head.get(zeros..) else { return false };
    let has_size = (*width > 0 || both >> 4 > 0) && (both & 0x0F > 0 || *height > 0);
    zeros >= 2 && has_size && codes >> 4 > 0 && matches!(codes & 0x0F, 1..=8)
}

/// Returns whether a pack begins in the head of a file (ISO/IEC 13818-1, table 2-33; ISO/IEC 11172-1, 2.4.3.2). A recording
/// can begin within a pack. Another start code has to follow the pack's header.
fn has_pack(head: &[u8]) -> bool {
    if unsupported_format(head).is_some() {
        return false;
    }
    let packs = (0..head.len()).filter_map(|at| head.get(at..)?.strip_prefix(b"\0\0\x01\xBA"));
    packs.into_iter().any(|pack| {
        let len = match pack {
            [first, ..] if first >> 6 == 1 => pack.get(9).map(|stuffing| 10 + usize::from(stuffing & 7)),
            [first, ..] if first >> 4 == 2 => Some(8),
            _ => None,
        };
        let next = len.and_then(|len| pack.get(len..));
        matches!(next, Some([0, 0, 1, 0xBA..=0xEF, ..]))
    })
}

/// Returns the length of an `ID3v2` tag at the start of a file (<https://id3.org/id3v2.4.0-structure>, section 3.1).
#[must_use]
pub fn id3_len(head: &[u8]) -> Option<usize> {
    let [b'I', b'D', b'3', _, _, flags, size @ ..] = head.first_chunk::<10>()? else { return None };
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    let size =
        size.iter().try_fold(0, |size, byte| (*byte < 0x80).then(|| size << 7 | usize::from(*byte)))?;
    Some(10 + size + footer)
}

/// The packets of an MPEG-2 transport stream (ISO/IEC 13818-1, 2.4.3.2): 188 bytes long, or with 4 bytes of a timestamp
/// before them, or with 16 bytes for error correction after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportPackets {
    /// Bytes from one packet to the next.
    pub stride: usize,
    /// The offset of the first whole packet, which can begin anywhere in a recording.
    pub first: usize,
}

impl TransportPackets {
    const SYNC: u8 = 0x47;

    /// Finds the packets by the period of their first byte. If a file does not begin with a packet, there have to be five
    /// packets, otherwise three. Other bytes can come first.
    #[must_use]
    pub fn find(head: &[u8]) -> Option<Self> {
        let firsts = 0..super::SNIFF_LEN.min(head.len());
        firsts.flat_map(|first| [188, 192, 204].map(|stride| Self { stride, first })).find(
            |Self { stride, first }| {
                let least = if matches!(first, 0 | 4) { 3 } else { 5 };
                let mut syncs = head.iter().skip(*first).step_by(*stride);
                syncs.len() >= least && syncs.by_ref().take(least + 2).all(|byte| *byte == Self::SYNC)
            },
        )
    }
}

/// Well-known formats that are not supported: the offset and the bytes that identify them, and the name.
const FORMATS: [(usize, &[u8], &str); 39] = [
    (0, b"\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x02", "MXF"),
    (0, b"\xB7\xD8\x00\x20\x37\x49\xDA\x11\xA6\x4E\x00\x07\xE9\x5E\xAD\x8D", "WTV"),
    (0, b".RMF", "RealMedia"),
    (0, b".ra\xFD", "RealAudio"),
    (0, b"GIF8", "GIF"),
    (0, b"\x89PNG\r\n\x1A\n", "PNG"),
    (0, b"\xFF\xD8\xFF", "JPEG"),
    (8, b"WEBP", "WebP"),
    (8, b"WAVE", "WAV"),
    (0, b"RF64", "WAV"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"fLaC", "FLAC"),
    (0, b"MThd", "MIDI"),
    (0, b"caff", "CAF audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"#!AMR", "AMR audio"),
    (0, b"\x0B\x77", "AC-3 audio"),
    (0, b"\x7F\xFE\x80\x01", "DTS audio"),
    (0, b"DKIF", "IVF"),
    (0, b"YUV4MPEG2", "YUV4MPEG"),
    (0, b"NSVf", "NSV"),
    (0, b"NSVs", "NSV"),
    (0, b"nut/multimedia container\0", "NUT"),
    (0, b"SMK2", "Smacker"),
    (0, b"SMK4", "Smacker"),
    (0, b"BIKi", "Bink"),
    (0, b"KB2", "Bink"),
    (0, b"TiVo", "TiVo"),
    (0, b"\x8AMNG", "MNG"),
    (0, b"GXF", "GXF"),
    (0, b"\0\0\0\0\x01\xBC", "GXF"),
    (0, b"\x1F\x07\0", "raw DV"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"#EXTM3U", "an HLS playlist"),
    (0, b"[playlist]", "a playlist"),
];

/// Returns the name of a format that is not supported, if a file's first bytes are those of a well-known one.
#[must_use]
pub fn unsupported_format(head: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, text: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(text));
    if let Some(len) = id3_len(head) {
        return Some(unsupported_format(head.get(len.max(1)..)?).unwrap_or("MP3"));
    }
    if at(4, b"ftyp") {
        return match head.get(8..12)? {
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"mif2" => Some("HEIF"),
            b"avif" => Some("AVIF"),
            b"crx " => Some("Canon raw"),
            _ => None,
        };
    }
    if at(0, b"\x89PNG") && head.windows(4).take(4096).any(|name| name == b"acTL") {
        return Some("APNG");
    }
    let known = FORMATS.iter().find(|(offset, text, _)| at(*offset, text)).map(|(.., name)| *name);
    known.or_else(|| elementary_stream(head))
}

/// Detects streams that are in no container.
fn elementary_stream(head: &[u8]) -> Option<&'static str> {
    let start = head.iter().take(8).position(|byte| *byte != 0)?;
    match head.get(start..)? {
        // The start codes of a sequence header (VC-1, MPEG-4), and the first NAL unit of H.264 and H.265.
        [1, 0x0F, ..] if start >= 2 => Some("raw VC-1"),
        [1, 0xB0 | 0x00, ..] if start >= 2 => Some("raw MPEG-4 video"),
        [1, 0x40 | 0x42 | 0x46, 1, ..] if start >= 2 => Some("raw HEVC"),
        [1, 0x67 | 0x27 | 0x47 | 0x09 | 0x06, ..] if start >= 2 => Some("raw H.264"),
        [0x12, 0, 0x0A, ..] if start == 0 => Some("raw AV1"),
        // The frame sync of MPEG audio (ISO/IEC 11172-3) and of AAC (ISO/IEC 13818-7).
        [0xFF, 0xF1 | 0xF9, ..] if start == 0 => Some("AAC audio"),
        [0xFF, second, third, ..]
            if start == 0 && second >> 5 == 7 && second & 6 != 0 && third >> 4 != 15 =>
        {
            Some("MP3")
        }
        _ => None,
    }
}

/// Detects ISO base media by the major brand (ISO/IEC 14496-12, 4.3). Early `QuickTime` files have no brand and are
/// detected by their first atom.
fn iso_base_media(head: &[u8]) -> Option<Container> {
    let size = u32::from_be_bytes(*head.first_chunk()?);
    let brand = head.get(8..12)?;
    match head.get(4..8)? {
        b"ftyp" if size < 8 => None,
        b"ftyp" => match brand {
            b"qt  " => Some(Container::Mov),
            [b'3', b'g', b'p' | b'g' | b'2' | b'r' | b's' | b'e', _] => Some(Container::ThreeGp),
            // Still images (ISO/IEC 23008-12, AVIF, Canon raw) share the box structure.
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"mif2" | b"avif" | b"crx " => None,
            _ => Some(Container::Mp4),
        },
        b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" if size == 1 || size >= 8 => {
            Some(Container::Mov)
        }
        b"styp" | b"moof" | b"sidx" => Some(Container::Mp4),
        _ => None,
    }
}

/// Reads the format from `DocType` (0x4282) in the EBML header (RFC 8794).
fn ebml_doc_type(head: &[u8]) -> Option<Container> {
    let (length, mut rest) = ebml_size(head.get(4..)?)?;
    rest = rest.get(..usize::try_from(length).ok()?.min(rest.len()))?;
    while !rest.is_empty() {
        let id_len = rest.first()?.leading_zeros() as usize + 1;
        let id = rest.get(..id_len)?;
        let (length, body) = ebml_size(rest.get(id_len..)?)?;
        let length = usize::try_from(length).ok()?;
        if id == [0x42, 0x82] {
            let text = body.get(..length)?;
            return match text.strip_suffix(b"\0").unwrap_or(text) {
                b"webm" => Some(Container::Webm),
                b"matroska" => Some(Container::Mkv),
                _ => None,
            };
        }
        rest = body.get(length..)?;
    }
    None
}

/// Reads a variable-size integer (RFC 8794, 4). Returns it and the bytes after it.
fn ebml_size(data: &[u8]) -> Option<(u64, &[u8])> {
    let first = *data.first()?;
    let len = first.leading_zeros() as usize + 1;
    let bytes = data.get(..len).filter(|_| len <= 8)?;
    let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Some((value & !(1 << (7 * len)), &data[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_formats_by_their_first_bytes() {
        let ts: Vec<u8> = (0..600).map(|i| if i % 188 == 0 { 0x47 } else { 0 }).collect();
        let m2ts: Vec<u8> = (0..600).map(|i| if i % 192 == 4 { 0x47 } else { 0 }).collect();
        let webm = b"\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm";
        let mkv = b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska";
        let cases: [(&[u8], Option<Container>); 23] = [
            (b"\0\0\0\x18ftypisom\0\0\0\0", Some(Container::Mp4)),
            (b"\0\0\0\x18ftypqt  \0\0\0\0", Some(Container::Mov)),
            (b"\0\0\0\x18ftyp3gp5\0\0\0\0", Some(Container::ThreeGp)),
            (b"\0\0\0\x18ftypheic\0\0\0\0", None),
            (b"\0\0\0\x08wide\0\0\x10\0mdat", Some(Container::Mov)),
            (b"\0\0\0\0moovabcd", None),
            (webm, Some(Container::Webm)),
            (mkv, Some(Container::Mkv)),
            (b"\x1A\x45\xDF\xA3\xFF", None),
            (b"RIFF\0\0\0\0AVI LIST", Some(Container::Avi)),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (&ts, Some(Container::MpegTs)),
            (&m2ts, Some(Container::MpegTs)),
            (b"GIF89a", None),
            (b"\0\0\x01\xBA\x44", Some(Container::MpegPs)),
            (b"\0\0\x01\xB3\x14\0\xB4\x13", Some(Container::MpegVideo)),
            (b"\0\0\0\x01\xB3\x01\x40\xF0\x24", Some(Container::MpegVideo)),
            (b"\0\0\x01\xB3\x14\0\xB4\x1F", None),
            (b"FLV\x01\x05", Some(Container::Flv)),
            (b"OggS\0\x02", Some(Container::Ogg)),
            (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9", Some(Container::Wmv)),
            (b"PK\x03\x04", None),
            (b"", None),
        ];
        for (bytes, container) in cases {
            assert_eq!(Container::sniff(bytes), container, "{bytes:?}");
        }
    }

    /// Packets of `stride` bytes, with a byte of 0x47 at `first`.
    fn transport_stream(stride: usize, first: usize, len: usize) -> Vec<u8> {
        (0..len).map(|i| if i % stride == first { 0x47 } else { 0xFF }).collect()
    }

    #[test]
    fn transport_streams_begin_anywhere_and_have_three_packet_lengths() {
        for stride in [188, 192, 204] {
            for first in [0, 4, 129, 187] {
                let head = transport_stream(stride, first, 4096);
                assert_eq!(TransportPackets::find(&head), Some(TransportPackets { stride, first }));
                assert_eq!(Container::sniff(&head), Some(Container::MpegTs));
            }
        }
        assert_eq!(
            Container::sniff(&transport_stream(188, 0, 377)),
            Some(Container::MpegTs),
            "three packets"
        );
        assert_eq!(Container::sniff(&transport_stream(188, 100, 600)), None, "too few packets");
        assert_eq!(Container::sniff(&[0xFF; 4096]), None);
        let late = [vec![0xFF; 2000], transport_stream(188, 0, 2096)].concat();
        assert_eq!(TransportPackets::find(&late), Some(TransportPackets { stride: 188, first: 2000 }));
    }

    #[test]
    fn program_streams_begin_anywhere() {
        let pack: &[u8] = b"\0\0\x01\xBA\x44\0\x04\0\x04\x01\0\0\x03\xF9\xFF\0\0\x01\xE0\x07\xDA";
        let old: &[u8] = b"\0\0\x01\xBA\x21\0\x01\0\x01\x80\0\x01\0\0\x01\xC0\x07\xDA";
        for (before, pack) in [(1, pack), (2047, pack), (300, old)] {
            let head = [&vec![0x55; before], pack, &[0x55; 100]].concat();
            assert_eq!(Container::sniff(&head), Some(Container::MpegPs), "{before}");
            assert_eq!(Container::sniff(&head[..before + 10]), None, "no start code after it");
            let pdf = [b"%PDF", &head[..]].concat();
            assert_eq!(Container::sniff(&pdf), None, "another format");
        }
    }

    #[test]
    fn tags_before_the_file_are_skipped() {
        let tag = [&b"ID3\x04\0\0\0\0\x01\x02"[..], &[0; 130]].concat();
        let tagged = |file: &[u8]| [&tag, file].concat();
        assert_eq!(Container::sniff(&tagged(b"\0\0\0\x18ftypisom\0\0\0\0")), Some(Container::Mp4));
        assert_eq!(Container::sniff(&tagged(b"fLaC")), None);
        assert_eq!(unsupported_format(&tagged(b"fLaC")), Some("FLAC"));
        assert_eq!(unsupported_format(&tagged(b"\xFF\xFB\x90\0")), Some("MP3"));
        assert_eq!(
            (Container::sniff(b"ID3\x04\0\0\0\0\0\0"), id3_len(b"ID3\x04\0\0\0\0\x80\0")),
            (None, None)
        );
    }

    #[test]
    fn detects_audio() {
        for (head, container) in [
            (&b"RIFF\0\0\0\0WAVEfmt "[..], Some(Container::Wav)),
            (b"RF64\xFF\xFF\xFF\xFFWAVEds64", Some(Container::Wav)),
            (b"RIFF\0\0\0\0AVI LIST", None),
            (b"fLaC\0\0\0\x22", Some(Container::Flac)),
            (b"\xFF\xFB\x90\x64", Some(Container::Mp3)),
            (b"\xFF\xF3\x90\x64", Some(Container::Mp3)),
            (b"\xFF\xF1\x50\x80", Some(Container::Aac)),
            (b"\xFF\xF8\x50\x80", Some(Container::Aac)),
            // Layer I, a reserved version, sample rate or bit rate; UTF-16.
            (b"\xFF\xFF\x90\x64", None),
            (b"\xFF\xEB\x90\x64", None),
            (b"\xFF\xFB\x9C\x64", None),
            (b"\xFF\xFB\xF0\x64", None),
            (b"\xFF\xF1\x74\x80", None),
            (b"\xFF\xFE<\0", None),
            (b"\xFF\xD8\xFF\xE0", None),
            (b"ID3\x04\0\0\0\0\0\x02..\xFF\xFB\x90\x64", Some(Container::Mp3)),
            (b"ID3\x04\0\0\0\0\0\0fLaC", Some(Container::Flac)),
            (b"ID3\x04\0\0\0\0\0\0ID3\x04\0\0\0\0\0\0", None),
            (b"ID3\x04\0\0\0\0\x80\0", None),
            (b"", None),
        ] {
            assert_eq!(Container::sniff_audio(head), container, "{head:?}");
            assert_eq!(Container::sniff(head).filter(|found| found.is_audio()), None);
        }
    }

    #[test]
    fn names_formats_that_are_not_supported() {
        for (head, name) in [
            (&b"\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x02\x04\0"[..], "MXF"),
            (b".RMF\0\0\0\x12", "RealMedia"),
            (b"GIF89a", "GIF"),
            (b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", "PNG"),
            (b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\x08acTL", "APNG"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
            (b"\0\0\0\x01\x67\x42", "raw H.264"),
            (b"\0\0\0\x01\x40\x01\x0C", "raw HEVC"),
            (b"\xFF\xF1\x50", "AAC audio"),
            (b"\xFF\xFB\x90", "MP3"),
        ] {
            assert_eq!((Container::sniff(head), unsupported_format(head)), (None, Some(name)), "{head:?}");
        }
        for unknown in [&b""[..], b"text", b"\0\0\0", b"\xFF\xFF\xFF\xFF", &[0; 100]] {
            assert_eq!(unsupported_format(unknown), None);
        }
    }

    #[test]
    fn truncated_headers_are_not_detected() {
        let mkv = b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska";
        for end in 0..mkv.len() {
            assert_eq!(Container::sniff(&mkv[..end]), None);
        }
    }
}
