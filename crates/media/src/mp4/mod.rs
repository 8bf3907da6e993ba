//! MP4, MOV and 3GP: ISO/IEC 14496-12 (ISO base media file format), 14496-14 (MP4), the `QuickTime` File
//! Format, 3GPP TS 26.244.
//!
//! [`movie`] finds the first video track in the `moov` box, wherever that is. Its keyframes are found by
//! the sample [`tables`], or by the [`fragments`] that follow. [`wrap`](wrap()) makes a small file of them.

#![expect(clippy::similar_names, reason = "the names of boxes are what they are")]

pub mod boxes;
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

/// The first video track, and what finds its keyframes.
#[derive(Debug)]
pub(crate) struct Track {
    timing: Timing,
    boxes: wrap::Boxes,
    samples: Samples,
    sound: Option<cuts::Sound>,
}

/// Where the samples are listed.
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

    /// When the keyframes are shown; `None` if only reading everything would tell.
    pub(crate) async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        match &self.samples {
            Samples::Tables(tables) => {
                let Some(cuts) = tables.cuts(source, &self.timing).await? else { return Ok(None) };
                let audio_end = match &self.sound {
                    Some(sound) => sound.end(source, cuts.scale).await?,
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

/// The facts and the track of an object.
pub(crate) type Opened = (MediaInfo, Track);
