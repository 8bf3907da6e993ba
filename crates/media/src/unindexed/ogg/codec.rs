//! The codecs of audio in Ogg: their headers, and how long their packets are.

use super::MAX_START;
use super::vorbis::Vorbis;
use crate::matroska::{AudioCodec, opus_length};
use crate::remux::Refusal;
use crate::unindexed::flac::{Header, Info};

/// Samples per second of Opus, whatever those of the original were.
const OPUS_RATE: u32 = 48_000;
/// The longest packet of Opus, in samples (RFC 6716, 3.2.5).
const MAX_OPUS: u32 = 5760;

/// The codec of a stream.
pub(super) enum Codec {
    /// RFC 7845: its header, and whether the comments have been read.
    Opus { header: Vec<u8>, has_comments: bool },
    /// Vorbis I specification, annex A.
    Vorbis(Vorbis),
    /// RFC 9639, 10.1.
    Flac(Info),
}

impl Codec {
    /// Reads the first header of a stream.
    pub(super) fn of(header: &[u8]) -> Option<Self> {
        match header {
            // The highest version that older decoders understand.
            [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..16, _, _, _, _, _, _, _, _, _, _, ..] => {
                Some(Self::Opus { header: header.to_vec(), has_comments: false })
            }
            [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => Vorbis::read(header).map(Self::Vorbis),
            // After the header of the mapping, and those of the file and the block.
            [0x7F, b'F', b'L', b'A', b'C', 1, ..] => Info::read(header.get(17..)?).map(Self::Flac),
            _ => None,
        }
    }

    /// Returns the duration of a packet of this size in samples, or `None` if it is a header or damaged. `start` is its start.
    pub(super) fn duration(&mut self, start: &[u8], size: usize) -> Result<Option<u32>, Refusal> {
        match self {
            Self::Opus { has_comments, .. } => {
                if start.starts_with(b"OpusHead") || start.starts_with(b"OpusTags") && !*has_comments {
                    *has_comments = start.starts_with(b"OpusTags");
                    return Ok(None);
                }
                let [first, second] = [0, 1].map(|at| start.get(at).copied().unwrap_or(0));
                let length = opus_length([first, second]);
                Ok((size > 0 && (1..=MAX_OPUS).contains(&length)).then_some(length))
            }
            Self::Vorbis(vorbis) => vorbis.duration(start, size <= MAX_START),
            Self::Flac(info) => match Header::read(start) {
                Some(frame) if !info.describes(&frame) => Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS")),
                frame => Ok(frame.map(|frame| frame.samples)),
            },
        }
    }

    /// The number of samples at the start that are only there for the decoder.
    pub(super) fn skipped(&self) -> i64 {
        match self {
            Self::Opus { header, .. } => header
                .get(10..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |skip| u16::from_le_bytes(*skip).into()),
            _ => 0,
        }
    }

    /// Returns whether samples before the time 0 are not presented, besides those of [`Codec::skipped`].
    pub(super) const fn can_start_early(&self) -> bool {
        matches!(self, Self::Vorbis(_))
    }

    pub(super) fn description(&self) -> Result<AudioCodec, Refusal> {
        match self {
            Self::Opus { header, .. } => {
                let channels = header.get(9).copied().unwrap_or(0);
                Ok(AudioCodec { id: "A_OPUS", private: header.clone(), rate: OPUS_RATE, channels })
            }
            Self::Vorbis(vorbis) => vorbis.description(),
            Self::Flac(info) => Ok(info.codec()),
        }
    }
}
