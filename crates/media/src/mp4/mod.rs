//! Reads MP4, MOV and 3GP: ISO/IEC 14496-12 (ISO base media file format), 14496-14 (MP4), the `QuickTime` File
//! Format, 3GPP TS 26.244.
//!
//! [`movie`] locates the `moov` box, and [`film`] chooses among its video tracks. The sample [`tables`] or the movie
//! [`fragments`] list the track's keyframes, and its [`edits`] say which of them are presented, and when.
//! [`wrap`](wrap()) makes a small file of keyframes.

#![expect(clippy::similar_names, reason = "box names such as `traf` and `trak` are given by the standard")]

mod ahead;
mod alone;
mod audio;
pub mod boxes;
mod chunks;
mod codecs;
mod cuts;
mod edits;
mod entries;
mod film;
mod fragmented;
mod fragments;
mod headers;
mod language;
mod listed;
mod loaded;
mod moof;
mod movie;
mod nearest;
mod remux;
pub mod runs;
mod segments;
mod sizes;
mod slice_file;
mod slices;
mod sound;
mod sync;
mod table;
mod tables;
mod tail;
mod text;
mod times;
mod timing;
mod walks;
mod wrap;

use std::ops::Range;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use self::fragments::Fragments;
use self::sound::Sound;
use self::tables::Tables;
use self::timing::Timing;
use crate::index::{StreamId, Streams};
use crate::keyframe::{CutPoints, Error, FrameData, Keyframe};
use crate::source::Source;

pub(crate) use self::alone::audio_alone;
pub(crate) use self::audio::wave_format;
#[cfg(test)]
pub(crate) use self::entries::Silence;
pub(crate) use self::entries::{
    Decoding, Entry, STEREO_SILENCE, audio as audio_entry, encoded as encoded_entry, esds,
    visual as visual_entry,
};
pub(crate) use self::movie::{open, preload};

/// The film, the location of its samples, and the audio.
#[derive(Debug)]
pub(crate) struct Track {
    timing: Timing,
    boxes: wrap::Boxes,
    samples: Samples,
    id: u32,
    sound: Sound,
    /// The text tracks.
    text: Vec<movie::Media>,
    /// The range of the `moov` box.
    moov: Range<u64>,
}

/// Where the samples are listed: in the sample tables or in movie fragments, which may continue tables.
#[derive(Debug)]
enum Samples {
    Tables(Tables),
    Fragments(Fragments, Option<Tables>),
}

impl Track {
    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        match &self.samples {
            Samples::Tables(tables) => tables.keyframes(source, &self.timing, n).await,
            Samples::Fragments(fragments, None) => fragments.keyframes(source, &self.timing, n).await,
            Samples::Fragments(fragments, Some(tables)) => {
                let mut all = tables.keyframes(source, &self.timing, n).await?;
                all.extend(fragments.keyframes(source, &self.timing, n).await?);
                Ok(spread(all, n))
            }
        }
    }

    /// Returns where the presentation can be cut, or `None` if the index does not tell.
    pub(crate) async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        match &self.samples {
            Samples::Tables(tables) => tables.cuts(source, &self.timing).await,
            Samples::Fragments(_, tables) if self.timing.edits.iter().nth(1).is_some() => {
                self.cuts_of_edits(source, tables.as_ref()).await
            }
            Samples::Fragments(fragments, None) => fragments.cuts(source, &self.timing).await,
            Samples::Fragments(fragments, Some(tables)) => {
                let first = tables.cuts(source, &self.timing).await?;
                let Some((first, mut cuts)) = first.zip(fragments.cuts(source, &self.timing).await?) else {
                    return Ok(None);
                };
                cuts.begin = first.begin;
                cuts.times.extend(first.times);
                Ok(Some(cuts))
            }
        }
    }

    /// Returns the streams to present.
    pub(crate) fn streams(&self) -> Streams {
        Streams { film: Some(StreamId::Id(self.id)), audio: self.sound.streams(), ..Streams::default() }
    }

    pub(crate) fn wrap(&self, frames: Vec<FrameData>) -> Vec<Bytes> {
        wrap::wrap(&self.boxes, frames)
    }
}

/// Returns at most `n` of the keyframes, spread evenly, in the order of time.
fn spread(mut keyframes: Vec<Keyframe>, n: usize) -> Vec<Keyframe> {
    keyframes.sort_by_key(|keyframe| keyframe.time_ms);
    keyframes.dedup_by_key(|keyframe| keyframe.time_ms);
    let count = keyframes.len();
    let kept = |i: usize| count <= n || i * n / count != (i + 1) * n / count;
    keyframes.into_iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, keyframe)| keyframe).collect()
}

/// The media info and the video track of an object.
pub(crate) type Opened = (MediaInfo, Track);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_of_tables_and_fragments_are_spread() {
        let times = |count: u64, n| {
            let all = (0..count).rev().chain([0]).map(|time| Keyframe::new(time, 0..1)).collect();
            spread(all, n).iter().map(|keyframe| keyframe.time_ms).collect::<Vec<_>>()
        };
        assert_eq!(times(3, 8), [0, 1, 2]);
        assert_eq!(times(10, 5), [1, 3, 5, 7, 9]);
        assert_eq!(times(10, 3), [3, 6, 9]);
    }
}
