//! Plans one rung of the ladder beside the playback from the original: with its cuts, its times and its audio.

use upreel_core::Failure;
use upreel_core::video::MediaInfo;
use upreel_media::inspect::Inspection;
use upreel_media::keyframe::CutPoints;
use upreel_media::remux::Timeline;

use super::chunks::chunk_starts;
use super::{Chunk, Plan};

/// Intended duration of a chunk, in seconds. It is short, because somebody waits for the rung.
const CHUNK_SECONDS: f64 = 10.0;

impl Plan {
    /// Plans the encoding of the rung with this name, with the cuts and times of the original. `cuts` are all its keyframes.
    ///
    /// # Errors
    /// Returns a failure if the video has no such rung, or its index is not the one that the timeline was made of.
    pub fn of_rung(
        media_info: &MediaInfo,
        inspection: &Inspection,
        cuts: &CutPoints,
        timeline: &Timeline,
        rung: &str,
    ) -> Result<Self, Failure> {
        let given = CutPoints { times: timeline.cuts.clone(), edits: Vec::new(), ..cuts.clone() };
        let starts = chunk_starts(&given, CHUNK_SECONDS);
        let silent = Inspection { audio: Vec::new(), ..inspection.clone() };
        let mut plan = Self::with_chunk_starts(media_info, &silent, Some(cuts), &starts)?;
        plan.rungs.retain(|other| other.name == rung);
        if plan.rungs.is_empty() || plan.scale != timeline.scale {
            return Err(Failure::new(Failure::UNREADABLE, "The video has no such rendition."));
        }
        for (chunk, start) in plan.chunks.iter_mut().zip(&starts) {
            chunk.span = Some((*start, chunk.span.and_then(|(_, end)| end).or(Some(timeline.end))));
        }
        Ok(Self { origin: timeline.origin, end: Some(timeline.end), cuts: timeline.cuts.clone(), ..plan })
    }

    /// Returns the cuts within a chunk; none if they are not given.
    pub(crate) fn cuts_of(&self, chunk: &Chunk) -> &[i64] {
        let Some((start, end)) = chunk.span else { return &[] };
        let from = self.cuts.partition_point(|cut| *cut < start);
        let to = end.map_or(self.cuts.len(), |end| self.cuts.partition_point(|cut| *cut < end));
        self.cuts.get(from..to).unwrap_or_default()
    }

    /// Returns the extension of the segments. Those of a rung are stored beside the playlists of the original, where
    /// `.m4s` means that a segment is made when it is requested.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        if self.cuts.is_empty() { "m4s" } else { "mp4" }
    }
}
