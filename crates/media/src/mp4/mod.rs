//! Reads MP4, MOV and 3GP: ISO/IEC 14496-12 (ISO base media file format), 14496-14 (MP4), the `QuickTime` File
//! Format, 3GPP TS 26.244.
//!
//! [`movie`] locates the `moov` box and its first video track. The sample [`tables`] or the movie [`fragments`] list
//! the track's keyframes. [`wrap`](wrap()) makes a small file of keyframes.

#![expect(clippy::similar_names, reason = "box names such as `traf` and `trak` are given by the standard")]

pub mod boxes;
mod chunks;
mod codecs;
mod cuts;
mod fragments;
mod headers;
mod moof;
mod movie;
pub mod runs;
mod segments;
mod table;
mod tables;
mod timing;
mod wrap;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use self::fragments::Fragments;
use self::tables::Tables;
use self::timing::Timing;
use crate::keyframe::{CutPoints, Error, Keyframe};
use crate::source::Source;

pub(crate) use self::movie::open;

/// The first video track and the location of its samples.
#[derive(Debug)]
pub(crate) struct Track {
    timing: Timing,
    boxes: wrap::Boxes,
    samples: Samples,
    audio: Option<cuts::AudioTrack>,
}

/// Where the samples are listed: in the sample tables or in movie fragments.
#[derive(Debug)]
enum Samples {
    Tables(Tables),
    Fragments(Fragments),
}

impl Track {
    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        match &self.samples {
            Samples::Tables(tables) => tables.keyframes(source, &self.timing, n).await,
            Samples::Fragments(fragments) => fragments.keyframes(source, &self.timing, n).await,
        }
    }

    /// Returns the keyframes' presentation times, or `None` if the index does not contain them.
    pub(crate) async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        match &self.samples {
            Samples::Tables(tables) => {
                let Some(cuts) = tables.cuts(source, &self.timing).await? else { return Ok(None) };
                let audio_end = match &self.audio {
                    Some(audio) => audio.end_time(source, cuts.scale).await?,
                    None => None,
                };
                Ok(Some(CutPoints { audio_end, ..cuts }))
            }
            Samples::Fragments(fragments) => fragments.cuts(source, &self.timing).await,
        }
    }

    pub(crate) fn wrap(&self, samples: Vec<Bytes>) -> Vec<Bytes> {
        wrap::wrap(&self.boxes, self.timing.scale, samples)
    }
}

/// The media info and the video track of an object.
pub(crate) type Opened = (MediaInfo, Track);
