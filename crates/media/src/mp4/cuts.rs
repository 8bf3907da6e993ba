//! Cut points: the exact presentation times of all keyframes, and the end of the audio.

use super::boxes::{Fields, Reader, find};
use super::fragments::Fragments;
use super::moof::Fragment;
use super::movie::Media;
use super::table::{MAX_TABLE_BYTES, Table};
use super::tables::Tables;
use super::timing::Timing;
use crate::keyframe::{CutPoints, Error};
use crate::source::{Source, in_parallel};

/// Limit of samples: twelve hours at 120 frames per second.
const MAX_SAMPLES: u64 = 12 * 3600 * 120;
/// Limit of fragments; reading each one takes a request.
const MAX_FRAGMENTS: usize = 5000;

impl Tables {
    /// Returns the keyframes' presentation times, or `None` if the edit list is complex or a table is too large.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        let tables = [&self.stts, &self.stss, &self.ctts];
        let too_large = |table: &&Table| table.bytes() > MAX_TABLE_BYTES;
        if timing.complex_edits
            || self.count > MAX_SAMPLES
            || tables.into_iter().flatten().any(|t| too_large(&t))
        {
            return Ok(None);
        }
        let Some(mut decoded) = RunLengthTable::read(source, self.stts.as_ref()).await? else {
            return Ok(None);
        };
        let mut offsets = RunLengthTable::read(source, self.ctts.as_ref()).await?;
        let mut sync = match &self.stss {
            Some(table) => Some(table.read_prefix(source, MAX_TABLE_BYTES).await?),
            None => None,
        };
        let mut times = Vec::new();
        let mut next_sync = next_sync_sample(&mut sync, 0);
        let mut time = 0i64;
        // Presentation times have the same smallest distance as decode times.
        let mut step = i64::MAX;
        for sample in 0..self.count {
            let Some(delta) = decoded.next() else { break };
            // Read as signed in version 0, too, because some muxers write negative offsets there.
            let offset = offsets.as_mut().map_or(0, |runs| runs.next().unwrap_or(0).cast_signed());
            if next_sync == Some(sample) {
                times.push(time.saturating_add(i64::from(offset)).saturating_add(timing.shift));
                next_sync = next_sync_sample(&mut sync, sample + 1);
            }
            time = time.saturating_add(i64::from(delta));
            step = step.min(i64::from(delta).max(1));
        }
        let step = step.min(timing.scale.into());
        Ok(Some(CutPoints { scale: timing.scale, step, times, audio_end: None }))
    }
}

impl Fragments {
    /// Returns the times of the first keyframe of each fragment in the index, or `None` without an index.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        if timing.complex_edits || self.index.is_empty() || self.index.len() > MAX_FRAGMENTS {
            return Ok(None);
        }
        let entries = self.index.iter();
        let entries =
            entries.map(|entry| async move { self.at(&mut Reader::new(source), entry.offset).await });
        let fragments = in_parallel(entries.collect()).await?.into_iter().flatten();
        let times = fragments.filter_map(|Fragment { keyframe, composition_offset, .. }| {
            let (time, _) = keyframe?;
            Some(time.cast_signed().saturating_add(composition_offset.into()).saturating_add(timing.shift))
        });
        Ok(Some(CutPoints { scale: timing.scale, step: 1, times: times.collect(), audio_end: None }))
    }
}

/// The first audio track. Its sample tables have not been read.
#[derive(Debug)]
pub(super) struct AudioTrack {
    pub(super) media: Media,
    pub(super) movie_scale: u32,
}

impl AudioTrack {
    /// Returns the end of the last sample in ticks of `scale`, or `None` if the edit list is complex or the
    /// time-to-sample table is missing or too large.
    pub(super) async fn end_time(&self, source: &Source, scale: u32) -> Result<Option<i64>, Error> {
        let mut reader = Reader::new(source);
        let timing = self.media.timing(&mut reader, self.movie_scale).await?;
        let boxes = self.media.stbl(&mut reader, false).await?;
        let Some(stts) = find(&boxes, *b"stts") else { return Ok(None) };
        let table = Table::open(&reader, stts, 0, 8).await?;
        if timing.complex_edits || table.bytes() > MAX_TABLE_BYTES {
            return Ok(None);
        }
        let mut runs = table.read_prefix(source, MAX_TABLE_BYTES).await?;
        let runs = std::iter::from_fn(|| Some(u64::from(runs.u32()?) * u64::from(runs.u32()?)));
        let end = runs.fold(0, u64::saturating_add).cast_signed().saturating_add(timing.shift);
        // Rounded up, so that the last sample is inside.
        let ticks = (i128::from(end) * i128::from(scale)).div_euclid(timing.scale.into()) + 1;
        Ok(i64::try_from(ticks).ok())
    }
}

/// Returns the index (from 0) of the first sync sample at or after `sample`. Without a table every sample is one.
fn next_sync_sample(sync: &mut Option<Fields>, sample: u64) -> Option<u64> {
    let Some(sync) = sync else { return Some(sample) };
    std::iter::from_fn(|| sync.u32())
        .map(|number| u64::from(number).saturating_sub(1))
        .find(|found| *found >= sample)
}

/// A run-length coded table (`stts`, `ctts`): a sample count, and a value that applies to each of these samples.
struct RunLengthTable {
    fields: Fields,
    remaining: u32,
    value: u32,
}

impl RunLengthTable {
    async fn read(source: &Source, table: Option<&Table>) -> Result<Option<Self>, Error> {
        let Some(table) = table else { return Ok(None) };
        Ok(Some(Self { fields: table.read_prefix(source, MAX_TABLE_BYTES).await?, remaining: 0, value: 0 }))
    }

    fn next(&mut self) -> Option<u32> {
        while self.remaining == 0 {
            self.remaining = self.fields.u32()?;
            self.value = self.fields.u32()?;
        }
        self.remaining -= 1;
        Some(self.value)
    }
}
