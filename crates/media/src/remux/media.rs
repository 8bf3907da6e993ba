//! What a container presents, sample by sample: the input of a segment index, which does not depend on the container.

use std::ops::Range;

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

    /// Returns where the bytes are in the object, without those in the gaps of the track.
    pub(crate) fn pieces(&self, gaps: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> {
        let (mut at, mut left) = (self.offset, u64::from(self.size));
        let mut gaps = gaps.iter().skip(gaps.partition_point(|gap| gap.start <= at));
        std::iter::from_fn(move || {
            let start = at;
            let end = start.saturating_add(left);
            let gap = gaps.next().filter(|gap| gap.start < end);
            let piece = start..gap.map_or(end, |gap| gap.start);
            at = gap.map_or(end, |gap| gap.end);
            left = left.saturating_sub(piece.end.saturating_sub(piece.start));
            (piece.start < piece.end).then_some(piece)
        })
    }
}

/// The samples of a track that are presented, in decoding order.
#[derive(Debug, Clone)]
pub(crate) struct TrackSamples {
    pub(crate) entry: Entry,
    /// Ticks per second; never zero.
    pub(crate) scale: u32,
    pub(crate) samples: Vec<Sample>,
    /// What is within samples, but does not belong to them, in the order of the object: the headers of pages.
    pub(crate) gaps: Vec<Range<u64>>,
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
    for track in tracks {
        for sample in &mut track.samples {
            sample.offset = sample.offset.saturating_add(skipped);
        }
        for gap in &mut track.gaps {
            *gap = gap.start.saturating_add(skipped)..gap.end.saturating_add(skipped);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_can_be_in_pieces() {
        let pieces = |offset, size, gaps: &[(u64, u64)]| -> Vec<(u64, u64)> {
            let gaps: Vec<Range<u64>> = gaps.iter().map(|(start, end)| *start..*end).collect();
            let sample = Sample { offset, size, duration: 1, time: 0, is_sync: true };
            sample.pieces(&gaps).map(|piece| (piece.start, piece.end)).collect()
        };
        let gaps = [(50, 60), (130, 140), (150, 160), (400, 410)];
        assert_eq!(pieces(10, 40, &gaps), [(10, 50)]);
        assert_eq!(pieces(100, 30, &gaps), [(100, 130)]);
        assert_eq!(pieces(60, 70, &gaps), [(60, 130)]);
        assert_eq!(pieces(100, 60, &gaps), [(100, 130), (140, 150), (160, 180)]);
        assert_eq!(pieces(100, 5, &[]), [(100, 105)]);
        assert_eq!(pieces(u64::MAX - 1, 5, &gaps), [(u64::MAX - 1, u64::MAX)]);
    }
}
