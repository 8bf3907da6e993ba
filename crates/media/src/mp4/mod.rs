//! Reads MP4, MOV and 3GP: ISO/IEC 14496-12 (ISO base media file format), 14496-14 (MP4), the `QuickTime` File
//! Format, 3GPP TS 26.244.
//!
//! [`movie`] locates the `moov` box, and [`film`] chooses among its video tracks. The sample [`tables`] or the movie
//! [`fragments`] list the track's keyframes, and its [`edits`] say which of them are presented, and when.
//! [`wrap`](wrap()) makes a small file of keyframes.

#![expect(clippy::similar_names, reason = "box names such as `traf` and `trak` are given by the standard")]

mod audio;
pub mod boxes;
mod chunks;
mod codecs;
mod cuts;
mod edits;
mod film;
mod fragments;
mod headers;
mod moof;
mod movie;
pub mod runs;
mod segments;
mod sizes;
mod sound;
mod sync;
mod table;
mod tables;
mod tail;
mod times;
mod timing;
mod wrap;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use self::fragments::Fragments;
use self::sound::Sound;
use self::tables::Tables;
use self::timing::Timing;
use crate::index::SoundTrack;
use crate::keyframe::{CutPoints, Error, FrameData, Keyframe};
use crate::source::Source;

pub(crate) use self::movie::open;

/// The film, the location of its samples, and the sound.
#[derive(Debug)]
pub(crate) struct Track {
    timing: Timing,
    boxes: wrap::Boxes,
    samples: Samples,
    stream: Option<u32>,
    sound: Sound,
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

    /// Returns where the presentation can be cut, or `None` if the index does not tell.
    pub(crate) async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        let cuts = match &self.samples {
            Samples::Tables(tables) => tables.cuts(source, &self.timing).await?,
            Samples::Fragments(fragments) => fragments.cuts(source, &self.timing).await?,
        };
        let (Some(mut cuts), Samples::Tables(_)) = (cuts.clone(), &self.samples) else { return Ok(cuts) };
        if let Some(sound) = self.sound.chosen() {
            cuts.audio_end = sound.end_time(source, cuts.scale).await?;
        }
        Ok(Some(cuts))
    }

    /// Returns the number of the film's stream in ffmpeg, if it is known.
    pub(crate) fn stream(&self) -> Option<u32> {
        self.stream
    }

    /// Describes the sound tracks, the one to use first.
    pub(crate) fn sound(&self) -> Vec<SoundTrack> {
        self.sound.describe()
    }

    pub(crate) fn wrap(&self, frames: Vec<FrameData>) -> Vec<Bytes> {
        wrap::wrap(&self.boxes, frames)
    }
}

/// The media info and the video track of an object.
pub(crate) type Opened = (MediaInfo, Track);
