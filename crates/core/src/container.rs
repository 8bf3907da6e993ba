//! The supported container formats, and their detection by a file's first bytes.

mod sniff;

use serde::{Deserialize, Serialize};

use crate::media_type::MediaType;

pub use self::sniff::{TransportPackets, id3_len, unsupported_format};

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
    /// MPEG-2 transport stream (ISO/IEC 13818-1), in packets of 188, 192 or 204 bytes.
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

    /// Returns a sentence for users whose file is in none of the formats. It names the file's format if that is a
    /// well-known one.
    #[must_use]
    pub fn unsupported(format: Option<&str>) -> String {
        match format {
            Some(format) => format!("{format} is not supported. Supported: {}.", Self::names()),
            None => format!("This file isn't a supported video. Supported: {}.", Self::names()),
        }
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

    /// Returns the format of a media type.
    #[must_use]
    pub fn from_media_type(media_type: &MediaType) -> Option<Self> {
        Self::ALL.into_iter().find(|container| container.format().media_types.contains(&media_type.essence()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_media_types_round_trip() {
        for container in Container::ALL {
            let name = format!("a.b.{}", container.extension().to_uppercase());
            assert_eq!(Container::from_file_name(&name), Some(container));
            for media_type in container.format().media_types {
                let media_type = format!("{}; codecs=\"avc1\"", media_type.to_uppercase()).parse().unwrap();
                assert_eq!(Container::from_media_type(&media_type), Some(container));
            }
        }
        assert_eq!(Container::from_file_name("mp4"), None);
        assert_eq!(Container::from_media_type(&"text/html".parse().unwrap()), None);
    }
}
