//! Finds the keyframe nearest to a time.

use std::iter;

use super::boxes::Reader;
use super::chunks::ChunkRun;
use super::fragments::Fragments;
use super::sync::Choice;
use super::table::MAX_TABLE_BYTES;
use super::tables::Tables;
use super::timing::{Timing, signed};
use super::{Samples, Track};
use crate::keyframe::{Error, Keyframe, nearest};
use crate::source::{Source, in_parallel};

/// Tables up to this size (in bytes) are read whole, and larger ones are estimated. The times of the frames of half an hour
/// fit, even if each lasts differently long.
const TABLE: u64 = 256 * 1024;
/// Bytes of the sample-to-chunk table that are read. It cannot be estimated, and has an entry for each change of the number of
/// samples in a chunk: 2.4 MB for two hours at 60 frames per second, with audio after every other frame.
const CHUNK_TABLE: u64 = 4 << 20;

impl Track {
    /// See [`Index::nearest`](crate::Index::nearest).
    pub(crate) async fn nearest(&self, source: &Source, ms: u64) -> Result<Option<Keyframe>, Error> {
        let (tables, fragments) = match &self.samples {
            Samples::Tables(tables) => (Some(tables), None),
            Samples::Fragments(fragments, tables) => (tables.as_ref(), Some(fragments)),
        };
        let mut found = Vec::new();
        if let Some(tables) = tables {
            found.extend(tables.nearest(source, &self.timing, ms).await?);
        }
        if let Some(fragments) = fragments {
            found.extend(fragments.nearest(source, &self.timing, ms).await?);
        }
        Ok(nearest(&found, ms).cloned())
    }
}

impl Tables {
    /// Locates the samples of a choice.
    pub(super) async fn located(
        &self,
        source: &Source,
        timing: &Timing,
        runs: &[ChunkRun],
        choice: Choice,
    ) -> Result<Option<Keyframe>, Error> {
        let mut ranges = self.byte_ranges(source, runs, choice.first..choice.shown + 1).await?;
        let range = ranges.pop().filter(|_| ranges.len() as u64 == choice.shown - choice.first);
        Ok(range.map(|range| Keyframe { time_ms: timing.ms(choice.time), range, lead_in: ranges }))
    }

    async fn nearest(&self, source: &Source, timing: &Timing, ms: u64) -> Result<Option<Keyframe>, Error> {
        let end = i64::try_from(timing.media_duration).unwrap_or(i64::MAX);
        // Where parts are left out, only exact times tell what is presented.
        let presents_all = timing.edits.present_all(self.first_offset.into(), end);
        let limit = if presents_all { TABLE } else { MAX_TABLE_BYTES };
        let (times, runs, sync) = tokio::try_join!(
            self.sample_times(source, timing, limit),
            self.runs(source, limit.max(CHUNK_TABLE)),
            self.sync(source, limit),
        )?;
        let wanted = iter::once(timing.time_of(ms));
        let choice = sync.and_then(|sync| sync.choose(&times, &timing.edits, wanted).pop());
        let Some(choice) = choice else { return Ok(None) };
        self.located(source, timing, &runs, choice).await
    }
}

impl Fragments {
    /// Without an index, the fragments would have to be walked from the start.
    async fn nearest(&self, source: &Source, timing: &Timing, ms: u64) -> Result<Vec<Keyframe>, Error> {
        let time = timing.time_of(ms);
        let media = timing.edits.at(time).map_or(time, |edit| edit.media_at(time));
        let next = self.index.partition_point(|entry| signed(entry.time) <= media);
        let around = self.index.iter().skip(next.saturating_sub(1)).take(2);
        let fragments = around.map(|entry| async move { self.at(&mut Reader::new(source), entry).await });
        let fragments = in_parallel(fragments.collect()).await?.into_iter().flatten();
        let keyframes = fragments.filter_map(|fragment| {
            let time = timing.edits.times_of(fragment.keyframe_time()?).next()?;
            Some(Keyframe::new(timing.ms(time), fragment.keyframe?.range))
        });
        Ok(keyframes.collect())
    }
}
