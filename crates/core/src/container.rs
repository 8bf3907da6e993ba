//! The supported container formats, and their detection by a file's first bytes.
//!
//! Formats and names of files with audio alone count only if the parameter `Audio` is on.

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
    /// MPEG-1 and MPEG-2 video in no container (ISO/IEC 11172-2, 13818-2).
    MpegVideo,
    /// Flash video.
    Flv,
    /// Ogg (RFC 3533).
    Ogg,
    /// Advanced Systems Format, as Windows Media writes it.
    Wmv,
    /// MPEG-1 and MPEG-2 audio, layer III, in no container (ISO/IEC 11172-3, 13818-3).
    Mp3,
    /// AAC in ADTS frames (ISO/IEC 13818-7).
    Aac,
    /// FLAC in its own format (RFC 9639).
    Flac,
    /// Waveform audio, RIFF.
    Wav,
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
    pub const ALL: [Self; 16] = [
        Self::Mp4,
        Self::Mov,
        Self::ThreeGp,
        Self::Webm,
        Self::Mkv,
        Self::Avi,
        Self::MpegTs,
        Self::MpegPs,
        Self::MpegVideo,
        Self::Flv,
        Self::Ogg,
        Self::Wmv,
        Self::Mp3,
        Self::Aac,
        Self::Flac,
        Self::Wav,
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
            Self::MpegVideo => Format {
                name: "MPEG video",
                extensions: &["m2v", "m1v", "mpv"],
                media_types: &["video/mpv"],
                demuxer: "mpegvideo",
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
            Self::Mp3 | Self::Aac | Self::Flac | Self::Wav => self.audio_format(),
        }
    }

    /// Returns the properties of a format for audio alone.
    const fn audio_format(self) -> Format {
        match self {
            Self::Mp3 => Format {
                name: "MP3",
                extensions: &["mp3"],
                media_types: &["audio/mpeg", "audio/mp3"],
                demuxer: "mp3",
            },
            Self::Aac => Format {
                name: "AAC",
                extensions: &["aac"],
                media_types: &["audio/aac", "audio/aacp", "audio/x-aac"],
                demuxer: "aac",
            },
            Self::Flac => Format {
                name: "FLAC",
                extensions: &["flac"],
                media_types: &["audio/flac", "audio/x-flac"],
                demuxer: "flac",
            },
            _ => Format {
                name: "WAV",
                extensions: &["wav"],
                media_types: &["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"],
                demuxer: "wav",
            },
        }
    }

    /// Returns the file name extensions and media types of files with audio alone, if the format is also for video.
    const fn audio(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Mp4 => (&["m4a", "m4b"], &["audio/mp4", "audio/x-m4a", "audio/m4a"]),
            Self::ThreeGp => (&[], &["audio/3gpp", "audio/3gpp2"]),
            Self::Webm => (&["weba"], &["audio/webm"]),
            Self::Mkv => (&["mka"], &["audio/x-matroska", "audio/matroska"]),
            Self::Ogg => (&["oga", "opus"], &["audio/ogg", "audio/opus", "audio/vorbis"]),
            _ => (&[], &[]),
        }
    }

    /// Returns whether the format is for audio alone.
    #[must_use]
    pub const fn is_audio(self) -> bool {
        matches!(self, Self::Mp3 | Self::Aac | Self::Flac | Self::Wav)
    }

    /// Returns the formats that are accepted, with or without those for audio alone.
    fn accepted(with_audio: bool) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |container| with_audio || !container.is_audio())
    }

    /// Returns the name shown to users.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.format().name
    }

    /// Returns the names of the formats as a list for a sentence: `MP4, MOV, ... or WMV`.
    #[must_use]
    pub fn names(with_audio: bool) -> String {
        let mut first: Vec<&str> = Self::accepted(with_audio).map(Self::name).collect();
        let last = first.pop().unwrap_or_default();
        format!("{} or {last}", first.join(", "))
    }

    /// Returns a sentence for users whose file is in none of the formats. It names the file's format if that is a
    /// well-known one.
    #[must_use]
    pub fn unsupported(format: Option<&str>, with_audio: bool) -> String {
        let names = Self::names(with_audio);
        match format {
            Some(format) => format!("{format} is not supported. Supported: {names}."),
            None => format!("This file isn't a supported video. Supported: {names}."),
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

    /// Returns the media type of a file with audio alone.
    #[must_use]
    pub const fn audio_media_type(self) -> &'static str {
        match self.audio().1 {
            [first, ..] => first,
            [] => self.media_type(),
        }
    }

    /// Returns the name of `FFmpeg`'s demuxer.
    #[must_use]
    pub const fn demuxer(self) -> &'static str {
        self.format().demuxer
    }

    /// Returns the format of a file name's extension, ignoring case.
    #[must_use]
    pub fn from_file_name(name: &str, with_audio: bool) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Self::accepted(with_audio).find(|container| {
            let audio = if with_audio { container.audio().0 } else { &[] };
            let mut known = container.extensions().iter().chain(audio);
            known.any(|known| known.eq_ignore_ascii_case(extension))
        })
    }

    /// Returns the format of a media type.
    #[must_use]
    pub fn from_media_type(media_type: &MediaType, with_audio: bool) -> Option<Self> {
        Self::accepted(with_audio).find(|container| {
            let of_audio = with_audio && container.audio().1.contains(&media_type.essence());
            of_audio || container.format().media_types.contains(&media_type.essence())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_media_types_round_trip() {
        for container in Container::ALL {
            let name = format!("a.b.{}", container.extension().to_uppercase());
            assert_eq!(Container::from_file_name(&name, true), Some(container));
            let video = Some(container).filter(|container| !container.is_audio());
            assert_eq!(Container::from_file_name(&name, false), video);
            for media_type in container.format().media_types {
                let media_type = format!("{}; codecs=\"avc1\"", media_type.to_uppercase()).parse().unwrap();
                assert_eq!(Container::from_media_type(&media_type, true), Some(container));
                assert_eq!(Container::from_media_type(&media_type, false), video);
            }
            let (extensions, media_types) = container.audio();
            for extension in extensions {
                let name = format!("a.{extension}");
                assert_eq!(Container::from_file_name(&name, true), Some(container));
                assert_eq!(Container::from_file_name(&name, false), None, "{name}");
            }
            for media_type in media_types {
                let media_type = media_type.parse().unwrap();
                assert_eq!(Container::from_media_type(&media_type, true), Some(container));
                assert_eq!(Container::from_media_type(&media_type, false), None);
            }
        }
        assert_eq!(Container::from_file_name("mp4", true), None);
        assert_eq!(Container::from_media_type(&"text/html".parse().unwrap(), true), None);
        assert!(Container::names(true).ends_with("WMV, MP3, AAC, FLAC or WAV"));
        assert!(Container::names(false).ends_with("Ogg or WMV"));
    }
}
