//! What a container presents, sample by sample: the input of a segment index, which does not depend on the container.

use super::Refusal;
use crate::cmaf::Geometry;
use crate::mp4::Entry;

/// Limit of samples of a track: twelve hours of AAC, or of video at 48 frames per second.
pub(crate) const MAX_SAMPLES: u64 = 2 << 20;
/// Limit of samples of all tracks.
pub(crate) const MAX_ALL_SAMPLES: usize = 4 << 20;
/// Limit of times, in ticks, so that calculations do not overflow.
pub(super) const MAX_TIME: i64 = 1 << 48;

/// A sample of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The offset in the object, or [`Sample::SILENCE`].
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u32,
    /// Ticks.
    pub(crate) duration: u32,
    /// The presentation time in ticks, after the edits.
    pub(crate) time: i64,
    pub(crate) is_sync: bool,
}

impl Sample {
    /// The offset of a frame of silence that is not in the object.
    pub(crate) const SILENCE: u64 = u64::MAX;

    pub(crate) fn end(&self) -> i64 {
        self.time.saturating_add(self.duration.into())
    }
}

/// The samples of a track that are presented, in decoding order.
#[derive(Debug, Clone)]
pub(crate) struct TrackSamples {
    pub(crate) entry: Entry,
    /// Ticks per second; never zero.
    pub(crate) scale: u32,
    pub(crate) samples: Vec<Sample>,
}

/// The film.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    pub(crate) track: TrackSamples,
    pub(crate) geometry: Geometry,
    /// The time from which on nothing is presented, if the container says so.
    pub(crate) limit: i64,
}

/// An audio track.
#[derive(Debug, Clone)]
pub(crate) struct Audio {
    pub(crate) track: TrackSamples,
    pub(crate) language: Option<String>,
}

/// The tracks of a presentation.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) film: Film,
    /// The track to play by default first.
    pub(crate) audio: Vec<Audio>,
}

/// Adds `skipped` bytes to the offsets of all samples.
pub(super) fn shift<'a>(tracks: impl Iterator<Item = &'a mut TrackSamples>, skipped: u64) {
    for sample in tracks.flat_map(|track| &mut track.samples) {
        sample.offset = sample.offset.saturating_add(skipped);
    }
}

impl Media {
    /// Adds `skipped` bytes to the offsets of all samples.
    pub(super) fn shift(&mut self, skipped: u64) {
        let audio = self.audio.iter_mut().map(|audio| &mut audio.track);
        shift([&mut self.film.track].into_iter().chain(audio), skipped);
    }
}

/// Returns whether all times and sizes are within the limits, and all samples in an object of `size` bytes.
pub(super) fn check(samples: &[Sample], size: u64) -> Result<(), Refusal> {
    let is_plausible = |sample: &Sample| (-MAX_TIME..MAX_TIME).contains(&sample.time);
    let is_inside = |sample: &Sample| {
        sample.offset.checked_add(sample.size.into()).is_some_and(|end| sample.size > 0 && end <= size)
    };
    if !samples.iter().all(is_inside) {
        return Err(Refusal("TRUNCATED"));
    }
    if samples.len() as u64 > MAX_SAMPLES || !samples.iter().all(is_plausible) {
        return Err(Refusal("TOO_LONG"));
    }
    Ok(())
}
