//! Plans one rung of the ladder beside the playback from the original: with its cuts, its times and its audio.

use serde_json::to_vec;
use sha2::{Digest, Sha256};
use upreel_core::video::MediaInfo;
use upreel_core::{Failure, Fault};
use upreel_media::hls::{Rendition, Segment, Video};
use upreel_media::inspect::Inspection;
use upreel_media::keyframe::CutPoints;
use upreel_media::remux::{Timeline, VideoRange};

use super::chunks::{at, starts_within};
use super::{Chunk, Plan};

/// Intended duration of a chunk, in seconds. It is short, because somebody waits for the rung.
const CHUNK_SECONDS: f64 = 10.0;
/// Intended maximum number of chunks. The row names those that are stored, and may have 400 KB.
const MAX_CHUNKS: f64 = 2000.0;
/// Bytes of a plan's hash that are in the names of its segments.
const NAME_BYTES: usize = 4;

impl Plan {
    /// Plans the encoding of the rung with this name, with the cuts and times of the original. `cuts` are all its keyframes.
    /// The segment at the position `from`, in milliseconds, is a chunk of its own, which is encoded first. If keyframes were
    /// `found`, no chunk but the first one starts at another.
    ///
    /// # Errors
    /// Returns a failure if the video has no such rung, or its index is not the one that the timeline was made of.
    pub fn of_rung(
        media_info: &MediaInfo,
        inspection: &Inspection,
        cuts: &CutPoints,
        timeline: &Timeline,
        (rung, from): (&str, u64),
        found: Option<&[i64]>,
    ) -> Result<Self, Failure> {
        let (mut starts, mut first) = starts(timeline, from);
        if let Some(found) = found {
            let own = starts.get(first).copied();
            let earliest = starts.first().copied();
            starts.retain(|start| Some(*start) == earliest || found.binary_search(start).is_ok());
            first = starts.partition_point(|start| Some(*start) <= own).saturating_sub(1);
        }
        let silent = Inspection { audio: Vec::new(), ..inspection.clone() };
        let mut plan = Self::with_chunk_starts(media_info, &silent, Some(cuts), &starts)?;
        plan.rungs.retain(|other| other.name == rung);
        if plan.rungs.is_empty() || plan.scale != timeline.scale {
            return Err(Failure::new(Failure::UNREADABLE, "The video has no such rendition."));
        }
        for (chunk, start) in plan.chunks.iter_mut().zip(&starts) {
            chunk.span = Some((*start, chunk.span.and_then(|(_, end)| end).or(Some(timeline.end))));
        }
        let (origin, end, cuts) = (timeline.origin, Some(timeline.end), timeline.cuts.clone());
        Ok(Self { origin, end, cuts, first, ..plan })
    }

    /// Names the plan of a rung by its content.
    ///
    /// # Errors
    /// When the plan cannot be written as JSON.
    pub(super) fn named(mut self) -> Result<Self, Fault> {
        let json = to_vec(&self).map_err(|error| Fault::new("write a plan", &error))?;
        self.name = hex::encode(&Sha256::digest(json)[..NAME_BYTES]);
        Ok(self)
    }

    /// Returns the rendition that will be made of a rung, with segments of the rung's maximum bit rate. `codec` is that
    /// of a chunk.
    #[must_use]
    pub fn planned(&self, codec: &str) -> Option<Video> {
        let rung = self.rungs.first()?;
        let scale = self.output_scale();
        let segments = self.chunks.iter().flat_map(|chunk| self.segments(chunk.index));
        let segments = segments.map(|(name, duration)| {
            let bytes = u128::from(duration) * u128::from(rung.max_bitrate) / 8 / u128::from(scale.max(1));
            Segment { name, duration, bytes: u64::try_from(bytes).unwrap_or(u64::MAX), first: 0 }
        });
        let (name, codec, segments) = (rung.name.clone(), codec.to_owned(), segments.collect());
        let rendition = Rendition { name, codec, scale, segments };
        let (width, height, frame_rate) = (rung.width, rung.height, self.frame_rate);
        Some(Video { rendition, width, height, frame_rate, range: VideoRange::Sdr })
    }

    /// Returns the names of the segments of a chunk of a rung, and their durations in ticks of the renditions.
    #[must_use]
    pub fn segments(&self, index: usize) -> Vec<(String, u64)> {
        let Some(chunk) = self.chunks.get(index) else { return Vec::new() };
        let end = chunk.span.and_then(|(_, end)| end).or(self.end).unwrap_or_default();
        let (_, end) = self.output_times(usize::MAX, &[], end);
        let durations = self.durations(self.cuts_of(chunk), end);
        durations.enumerate().map(|(i, duration)| (self.segment_name(index, i), duration)).collect()
    }

    /// Returns the cuts within a chunk; none if they are not given.
    pub(crate) fn cuts_of(&self, chunk: &Chunk) -> &[i64] {
        let Some((start, end)) = chunk.span else { return &[] };
        let from = self.cuts.partition_point(|cut| *cut < start);
        let to = end.map_or(self.cuts.len(), |end| self.cuts.partition_point(|cut| *cut < end));
        self.cuts.get(from..to).unwrap_or_default()
    }

    /// Returns the duration of the longest segment, in seconds, if the cuts are given.
    pub(crate) fn longest_segment(&self) -> Option<f64> {
        let ends = self.cuts.iter().skip(1).copied().chain(self.end);
        let durations = self.cuts.iter().zip(ends).map(|(start, end)| end.saturating_sub(*start));
        durations.max().map(|longest| at(longest, self.scale))
    }

    /// Returns the extension of the segments. Those of a rung are stored beside the playlists of the original, where
    /// `.m4s` means that a segment is made when it is requested.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        if self.cuts.is_empty() { "m4s" } else { "mp4" }
    }
}

/// Chooses the times at which chunks start: about 10 s apart, before and after the segment at the position `from`. Also
/// returns the number of the chunk with that segment.
fn starts(timeline: &Timeline, from: u64) -> (Vec<i64>, usize) {
    let Timeline { scale, origin, cuts, end } = timeline;
    let length = (at(end.saturating_sub(*origin), *scale) / MAX_CHUNKS).max(CHUNK_SECONDS);
    let ticks = u128::from(from) * u128::from(*scale) / 1000;
    let position = origin.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX));
    let segment = cuts.partition_point(|cut| *cut <= position).saturating_sub(1);
    let (before, rest) = cuts.split_at(segment.min(cuts.len()));
    let (own, after) = rest.split_at(rest.len().min(1));
    let mut starts = starts_within(before, *scale, length);
    let first = starts.len();
    starts.extend_from_slice(own);
    starts.extend(starts_within(after, *scale, length));
    (starts, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_at_the_position_is_a_chunk_of_its_own() {
        // Cuts at 1, 3, 7, 11, ... seconds.
        let cuts: Vec<i64> = [1000].into_iter().chain((0..9).map(|i| 3000 + 4000 * i)).collect();
        let timeline = Timeline { scale: 1000, origin: 1000, cuts, end: 39_000 };
        let seconds = |from| {
            let (starts, first) = starts(&timeline, from);
            (starts.into_iter().map(|start| start / 1000).collect::<Vec<_>>(), first)
        };
        assert_eq!(seconds(0), (vec![1, 3, 11, 19, 27], 0));
        assert_eq!(seconds(1999), seconds(0));
        assert_eq!(seconds(2000), (vec![1, 3, 7, 15, 23, 31], 1));
        assert_eq!(seconds(19_000), (vec![1, 11, 19, 23, 31], 2));
        assert_eq!(seconds(u64::MAX), (vec![1, 11, 19, 27, 35], 4));
    }

    #[test]
    fn a_long_film_has_few_chunks() {
        let cuts: Vec<i64> = (0..19_000).map(|i| 4 * i).collect();
        let timeline = Timeline { scale: 1, origin: 0, cuts, end: 4 * 19_000 };
        let (starts, _) = starts(&timeline, 30_000_000);
        assert!(starts.len() < 2200, "{}", starts.len());
    }
}
