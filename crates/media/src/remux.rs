//! Makes a video playable from its original: CMAF segments of the samples as they are, without encoding.
//!
//! [`Index::remux`] runs once. It makes the *segment index*: a [`Record`] for each time span between two cuts, which
//! lists where the samples of that span are in the object, and has the ready-made boxes of its segments. [`Record::segments`]
//! makes the segments of a span with a few range reads, however long the video is.
//!
//! Audio that players do not play is encoded when its segment is made ([`Encodable`]).
//!
//! Matroska does not list samples, only keyframes. There, a record states the range of the object whose blocks contain the
//! samples, and the boxes are made when the range is read.

mod alone;
mod audio;
mod cuts;
mod encodable;
mod encoded;
mod keyframes;
mod media;
mod outline;
mod plan;
mod read;
mod record;
mod span;
mod time;

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hls::Sound;
use crate::index::Index;
use crate::keyframe;
use crate::source::{self, Source};

pub use self::alone::audio_alone;
pub(crate) use self::cuts::MAX_BYTES;
pub use self::encodable::Encodable;
pub(crate) use self::media::{Audio, Film, MAX_ALL_SAMPLES, MAX_SAMPLES, Media, Sample, TrackSamples};
pub(crate) use self::outline::{Outline, OutlinedAudio};
pub use self::record::{Record, Segments};

/// A video that can be played from its original.
#[derive(Debug, Clone, PartialEq)]
pub struct Remux {
    /// The segment index: all records, one after the other.
    pub records: Bytes,
    /// The film first, if there is one, then the audio tracks, the one to play by default first. All have the same number of segments.
    pub tracks: Vec<Track>,
    /// Where the film is cut, so that renditions can have the same segments.
    pub timeline: Timeline,
}

/// The cuts of a film at the source's presentation times, as [`Index::cuts`] counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Ticks per second. That of the film's track can be a multiple.
    pub scale: u32,
    /// The source's time that is the time 0 of all tracks here.
    pub origin: i64,
    /// When segments start.
    pub cuts: Vec<i64>,
    /// When the last segment ends.
    pub end: i64,
}

/// What renditions have to know of the original, so that players can switch between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Where the film is cut.
    pub timeline: Timeline,
    /// The audio that is played with each rendition of the film, if there is any.
    pub sound: Option<Sound>,
}

/// The file with [`Original`].
pub const ORIGINAL: &str = "original.json";

/// The file with the segment index.
pub const RECORDS: &str = "records";

/// Returns the folder of a track's playlist and segments, by its position in [`Remux::tracks`].
#[must_use]
pub fn folder(position: usize) -> String {
    match position {
        0 => "source".to_owned(),
        1 => "source-audio".to_owned(),
        _ => format!("source-audio-{position}"),
    }
}

/// Returns the file name of a segment: the offset and length of its record.
#[must_use]
pub fn segment_name(record: &Range<u64>) -> String {
    format!("{}-{}.m4s", record.start, record.end.saturating_sub(record.start))
}

/// Returns the place of the record that a file name states. A segment has a single name.
#[must_use]
pub fn record_of(name: &str) -> Option<Range<u64>> {
    let (start, length) = name.strip_suffix(".m4s")?.split_once('-')?;
    let (start, length) = (start.parse::<u64>().ok()?, length.parse::<u64>().ok()?);
    let end = start.checked_add(length).filter(|end| *end > start)?;
    Some(start..end).filter(|record| segment_name(record) == name)
}

/// A track of the presentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Whether it is the film or audio.
    pub kind: Kind,
    /// The codec (RFC 6381).
    pub codec: String,
    /// Ticks per second.
    pub scale: u32,
    /// The initialization segment: `ftyp` and `moov`.
    pub init: Bytes,
    /// Its segments, in the order of time.
    pub segments: Vec<SegmentEntry>,
}

/// The properties of a track that playlists state.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The film.
    Video {
        /// The width as presented, after rotation, in pixels.
        width: u32,
        /// The height as presented, after rotation, in pixels.
        height: u32,
        /// Frames per second, if they are known.
        frame_rate: Option<f64>,
        /// The dynamic range.
        range: VideoRange,
    },
    /// An audio track.
    Audio {
        /// The language as a BCP 47 tag or an ISO 639-2 code, if it is known.
        language: Option<String>,
        /// Number of channels.
        channels: u32,
    },
}

/// The dynamic range of a video (`VIDEO-RANGE`, RFC 8216bis, 4.4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoRange {
    /// Standard dynamic range.
    Sdr,
    /// Hybrid Log-Gamma.
    Hlg,
    /// Perceptual quantizer.
    Pq,
}

/// A segment of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// The duration in ticks of the track.
    pub duration: u64,
    /// The place of its record in [`Remux::records`].
    pub record: Range<u64>,
    /// The length of the segment in bytes: approximate if the samples are not listed, or encoded.
    pub bytes: u64,
}

/// The refusals that need not apply if all samples are listed.
const IN_OUTLINE: [&str; 4] = ["NO_INDEX", "AUDIO_GAP", "KEYFRAMES_TOO_FAR_APART", "SEGMENT_TOO_LARGE"];

/// Why a video cannot be played from its original: a stable code.
///
/// | code | meaning |
/// |---|---|
/// | `CODEC`, `CONTAINER` | players do not play it |
/// | `AUDIO_CODEC` | players do not play it, and it cannot be encoded |
/// | `ENCRYPTED` | the samples are encrypted |
/// | `OPEN_GOP` | decoding cannot start at every keyframe |
/// | `STARTS_WITHIN_GOP`, `ENDS_WITHIN_GOP` | frames that were trimmed away would have to be sent |
/// | `EDITS` | several edits, or another speed |
/// | `KEYFRAMES_TOO_FAR_APART`, `SEGMENT_TOO_LARGE`, `SCATTERED` | a segment would be too long, too large, or takes too many reads |
/// | `SEVERAL_SAMPLE_DESCRIPTIONS` | the codec's configuration changes |
/// | `FILM_STARTS_LATE`, `AUDIO_LONGER`, `AUDIO_GAP` | audio and film do not go together, and silence of this codec is not known |
/// | `TIMES` | impossible times |
/// | `TOO_LONG`, `TOO_MANY_FRAGMENTS`, `INDEX_TOO_LARGE` | a limit |
/// | `NO_INDEX`, `TRUNCATED` | samples are not listed, damaged, or missing |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

/// Why there is no segment index, or no segment.
#[derive(Debug, thiserror::Error)]
pub enum Unplayable {
    /// The video cannot be played so.
    #[error("players cannot play the samples as they are: {}", .0.0)]
    Refused(Refusal),
    /// The object cannot be read.
    #[error(transparent)]
    Failed(source::Error),
}

impl From<Refusal> for Unplayable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<source::Error> for Unplayable {
    fn from(error: source::Error) -> Self {
        match error {
            source::Error::Limit => Self::Refused(Refusal("NO_INDEX")),
            source::Error::Read(_) => Self::Failed(error),
        }
    }
}

impl From<keyframe::Error> for Unplayable {
    fn from(error: keyframe::Error) -> Self {
        match error {
            keyframe::Error::Source(error) => error.into(),
            keyframe::Error::Encrypted => Self::Refused(Refusal("ENCRYPTED")),
            keyframe::Error::NoVideo | keyframe::Error::Unknown(_) => Self::Refused(Refusal("NO_INDEX")),
        }
    }
}

impl Index {
    /// Makes the segment index of an object with the entity tag `etag`, or tells why the object cannot be played so.
    ///
    /// # Errors
    /// Fails if the object cannot be read.
    pub async fn remux(&self, source: &Source, etag: &str) -> Result<Result<Remux, Refusal>, source::Error> {
        match self.planned(source, etag).await {
            Ok(remux) => Ok(Ok(remux)),
            Err(Unplayable::Refused(refusal)) => Ok(Err(refusal)),
            Err(Unplayable::Failed(error)) => Err(error),
        }
    }

    async fn planned(&self, source: &Source, etag: &str) -> Result<Remux, Unplayable> {
        // Whoever reads the object later does not know that something precedes the file.
        let skipped = source.skipped();
        let object = (etag, source.size().saturating_add(skipped));
        let outlined = match self.outline(source).await {
            Ok(None) => None,
            Ok(Some(mut outline)) => {
                outline.shift(skipped);
                Some(outline.plan(&self.media_info, object))
            }
            Err(Unplayable::Refused(refusal)) => Some(Err(refusal)),
            Err(error @ Unplayable::Failed(_)) => return Err(error),
        };
        let refusal = match outlined {
            None => None,
            Some(Ok(remux)) => return Ok(remux),
            Some(Err(refusal)) if !IN_OUTLINE.contains(&refusal.0) => return Err(refusal.into()),
            Some(Err(refusal)) => Some(refusal),
        };
        let mut media = match (self.media(source).await, refusal) {
            (Err(Unplayable::Refused(Refusal("INDEX_TOO_LARGE"))), Some(refusal)) => {
                return Err(refusal.into());
            }
            (media, _) => media?,
        };
        keyframes::check(&media.film.track, source).await?;
        media.shift(skipped);
        Ok(plan::plan(media, &self.media_info, object)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_a_single_name() {
        assert_eq!(segment_name(&(91_834..92_855)), "91834-1021.m4s");
        assert_eq!(record_of("91834-1021.m4s"), Some(91_834..92_855));
        let max = u64::MAX;
        for name in
            ["0-0.m4s", "00-1.m4s", "0-01.m4s", "+0-1.m4s", "1-0-1.m4s", "0-1", &format!("1-{max}.m4s")]
        {
            assert_eq!(record_of(name), None, "{name}");
        }
    }
}
