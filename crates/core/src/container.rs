//! The supported container formats, and their detection by a file's first bytes.

use serde::{Deserialize, Serialize};

/// A container format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// MPEG-4 part 14, ISO base media (ISO/IEC 14496-12, 14496-14).
    Mp4,
    /// Apple `QuickTime` file format.
    Mov,
    /// 3GPP and 3GPP2 file format (TS 26.244).
    #[serde(rename = "3gp")]
    ThreeGp,
    /// `WebM`, the subset of Matroska for the web.
    Webm,
    /// Matroska (RFC 9559).
    Mkv,
    /// Audio Video Interleave, RIFF.
    Avi,
    /// MPEG-2 transport stream (ISO/IEC 13818-1), in packets of 188 or 192 bytes.
    MpegTs,
    /// MPEG-1 and MPEG-2 program stream (ISO/IEC 11172-1, 13818-1).
    MpegPs,
    /// Flash video.
    Flv,
    /// Ogg (RFC 3533).
    Ogg,
    /// Advanced Systems Format, as Windows Media writes it.
    Wmv,
}

/// The properties of a container format. Upreel writes the first item of each list and accepts all of them.
struct Format {
    /// The name shown to users.
    name: &'static str,
    /// File name extensions, in lower case.
    extensions: &'static [&'static str],
    /// Media types, in lower case.
    media_types: &'static [&'static str],
    /// The name of `FFmpeg`'s demuxer, as `-format_whitelist` expects it.
    demuxer: &'static str,
}

/// The number of leading bytes that [`Container::sniff`] needs: enough for an EBML header, the longest one.
pub const SNIFF_LEN: usize = 4096;

impl Container {
    /// Every container format.
    pub const ALL: [Self; 11] = [
        Self::Mp4,
        Self::Mov,
        Self::ThreeGp,
        Self::Webm,
        Self::Mkv,
        Self::Avi,
        Self::MpegTs,
        Self::MpegPs,
        Self::Flv,
        Self::Ogg,
        Self::Wmv,
    ];

    /// Returns the properties of the format. `formats_are_complete_everywhere` in `tests/tests/tidy.rs` compares this
    /// table with the other lists of formats, and the browser tests read the names from it.
    const fn format(self) -> Format {
        const MOV: &str = "mov,mp4,m4a,3gp,3g2,mj2";
        const MATROSKA: &str = "matroska,webm";
        match self {
            Self::Mp4 => Format {
                name: "MP4",
                extensions: &["mp4", "m4v"],
                media_types: &["video/mp4", "video/x-m4v", "application/mp4"],
                demuxer: MOV,
            },
            Self::Mov => Format {
                name: "MOV",
                extensions: &["mov", "qt"],
                media_types: &["video/quicktime"],
                demuxer: MOV,
            },
            Self::ThreeGp => Format {
                name: "3GP",
                extensions: &["3gp", "3g2", "3gpp"],
                media_types: &["video/3gpp", "video/3gpp2"],
                demuxer: MOV,
            },
            Self::Webm => Format {
                name: "WebM",
                extensions: &["webm"],
                media_types: &["video/webm"],
                demuxer: MATROSKA,
            },
            Self::Mkv => Format {
                name: "Matroska",
                extensions: &["mkv"],
                media_types: &["video/x-matroska", "video/matroska"],
                demuxer: MATROSKA,
            },
            Self::Avi => Format {
                name: "AVI",
                extensions: &["avi"],
                media_types: &["video/x-msvideo", "video/avi", "video/vnd.avi", "video/msvideo"],
                demuxer: "avi",
            },
            Self::MpegTs => Format {
                name: "MPEG-TS",
                extensions: &["ts", "mts", "m2ts"],
                media_types: &["video/mp2t"],
                demuxer: "mpegts",
            },
            Self::MpegPs => Format {
                name: "MPEG-PS",
                extensions: &["mpg", "mpeg", "vob", "m2p"],
                media_types: &["video/mpeg", "video/mp2p"],
                demuxer: "mpeg",
            },
            Self::Flv => {
                Format { name: "FLV", extensions: &["flv"], media_types: &["video/x-flv"], demuxer: "flv" }
            }
            Self::Ogg => Format {
                name: "Ogg",
                extensions: &["ogv", "ogg"],
                media_types: &["video/ogg", "application/ogg"],
                demuxer: "ogg",
            },
            Self::Wmv => Format {
                name: "WMV",
                extensions: &["wmv", "asf"],
                media_types: &["video/x-ms-wmv", "video/x-ms-asf"],
                demuxer: "asf",
            },
        }
    }

    /// Returns the name shown to users.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.format().name
    }

    /// Returns the names of all formats as a list for a sentence: `MP4, MOV, ... or WMV`.
    #[must_use]
    pub fn names() -> String {
        let [first @ .., last] = Self::ALL.map(Self::name);
        format!("{} or {last}", first.join(", "))
    }

    /// Returns the file name extension used in keys.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        self.format().extensions[0]
    }

    /// Returns every file name extension of the format, in lower case.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        self.format().extensions
    }

    /// Returns the media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        self.format().media_types[0]
    }

    /// Returns the name of `FFmpeg`'s demuxer.
    #[must_use]
    pub const fn demuxer(self) -> &'static str {
        self.format().demuxer
    }

    /// Returns the format of a file name's extension, ignoring case.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Self::ALL.into_iter().find(|container| {
            container.extensions().iter().any(|known| known.eq_ignore_ascii_case(extension))
        })
    }

    /// Returns the format of a media type. Parameters after `;` and case are ignored.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|container| {
            container.format().media_types.iter().any(|known| known.eq_ignore_ascii_case(essence))
        })
    }

    /// Detects the format from a file's first bytes ([`SNIFF_LEN`] are enough).
    #[must_use]
    pub fn sniff(head: &[u8]) -> Option<Self> {
        match head {
            [0x1A, 0x45, 0xDF, 0xA3, ..] => ebml_doc_type(head),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Self::Avi),
            [b'F', b'L', b'V', 1, ..] => Some(Self::Flv),
            [b'O', b'g', b'g', b'S', 0, ..] => Some(Self::Ogg),
            [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Some(Self::Wmv),
            [0, 0, 1, 0xBA, ..] => Some(Self::MpegPs),
            _ if is_transport_stream(head) => Some(Self::MpegTs),
            _ => iso_base_media(head),
        }
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

/// Returns whether packets begin with 0x47 (ISO/IEC 13818-1, 2.4.3), in M2TS after four more bytes.
fn is_transport_stream(head: &[u8]) -> bool {
    [(188, 0), (192, 4)].into_iter().any(|(packet, first)| {
        let syncs: Vec<bool> = head.iter().skip(first).step_by(packet).take(5).map(|b| *b == 0x47).collect();
        syncs.len() >= 3 && syncs.iter().all(|sync| *sync)
    })
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
    fn extensions_and_media_types_round_trip() {
        for container in Container::ALL {
            let name = format!("a.b.{}", container.extension().to_uppercase());
            assert_eq!(Container::from_file_name(&name), Some(container));
            let media_type = format!("{}; codecs=\"avc1\"", container.media_type());
            assert_eq!(Container::from_media_type(&media_type), Some(container));
        }
        assert_eq!(Container::from_file_name("mp4"), None);
        assert_eq!(Container::from_media_type("text/html"), None);
    }

    #[test]
    fn detects_formats_by_their_first_bytes() {
        let ts: Vec<u8> = (0..600).map(|i| if i % 188 == 0 { 0x47 } else { 0 }).collect();
        let m2ts: Vec<u8> = (0..600).map(|i| if i % 192 == 4 { 0x47 } else { 0 }).collect();
        let webm = b"\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm";
        let mkv = b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska";
        let cases: [(&[u8], Option<Container>); 20] = [
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

    #[test]
    fn truncated_headers_are_not_detected() {
        let mkv = b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska";
        for end in 0..mkv.len() {
            assert_eq!(Container::sniff(&mkv[..end]), None);
        }
    }
}
