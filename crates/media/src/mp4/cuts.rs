//! Cut points: the exact presentation times of all keyframes and edits, and of the end.

use super::Track;
use super::boxes::Fields;
use super::edits::{Edit, Edits};
use super::fragments::Fragments;
use super::moof::Fragment;
use super::remux::Movie;
use super::table::{MAX_TABLE_BYTES, Table};
use super::tables::Tables;
use super::timing::Timing;
use crate::keyframe::{CutPoints, Error};
use crate::remux::Unplayable;
use crate::source::Source;

/// Limit of samples: twelve hours at 120 frames per second.
const MAX_SAMPLES: u64 = 12 * 3600 * 120;
/// Limit of comparisons of a sample with an edit: less than a second.
const MAX_COMPARISONS: u64 = 100_000_000;
/// The most edits of a film. Each one starts a chunk.
const MAX_EDITS: usize = 500;
/// Limit of fragments; reading each one takes a request.
const MAX_FRAGMENTS: usize = 5000;

impl Tables {
    /// Returns the cut points, or `None` if there are too many edits or a table is too large.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        let tables = [&self.stts, &self.stss, &self.ctts];
        let too_large = |table: &&Table| table.bytes() > MAX_TABLE_BYTES;
        if self.sizes.count > MAX_SAMPLES || tables.into_iter().flatten().any(|t| too_large(&t)) {
            return Ok(None);
        }
        let Some(mut collector) = Collector::new(&timing.edits, self.sizes.count) else { return Ok(None) };
        let Some(mut decoded) = RunLengthTable::read(source, self.stts.as_ref()).await? else {
            return Ok(None);
        };
        let mut offsets = RunLengthTable::read(source, self.ctts.as_ref()).await?;
        let mut sync = match &self.stss {
            Some(table) => Some(table.read_prefix(source, MAX_TABLE_BYTES).await?),
            None => None,
        };
        let mut next_sync = next_sync_sample(&mut sync, 0);
        let mut time = 0i64;
        for sample in 0..self.sizes.count {
            let Some(delta) = decoded.next() else { break };
            // Read as signed in version 0, too, because some muxers write negative offsets there.
            let offset = offsets.as_mut().map_or(0, |runs| runs.next().unwrap_or(0).cast_signed());
            let is_sync = next_sync == Some(sample);
            collector.add(time.saturating_add(offset.into()), delta.into(), is_sync);
            if is_sync {
                next_sync = next_sync_sample(&mut sync, sample + 1);
            }
            time = time.saturating_add(delta.into());
        }
        let begin = timing.edits.are_listed().then_some(timing.origin);
        Ok(Some(CutPoints { begin, ..collector.finish(timing.scale) }))
    }
}

/// Collects the cut points of one edit after the other.
struct Collector<'a> {
    parts: Vec<Part<'a>>,
}

/// What an edit presents.
struct Part<'a> {
    edit: &'a Edit,
    keyframes: Vec<i64>,
    /// The presentation times at which its first frame starts and its last frame ends.
    span: Option<(i64, i64)>,
}

impl<'a> Collector<'a> {
    /// Returns `None` if there are too many edits for this number of samples.
    fn new(edits: &'a Edits, samples: u64) -> Option<Self> {
        let parts = edits.iter().map(|edit| Part { edit, keyframes: Vec::new(), span: None });
        let parts: Vec<_> = parts.collect();
        let comparisons = samples.saturating_mul(parts.len() as u64);
        (parts.len() <= MAX_EDITS && comparisons <= MAX_COMPARISONS).then_some(Self { parts })
    }

    fn add(&mut self, media: i64, duration: i64, is_sync: bool) {
        for part in self.parts.iter_mut().filter(|part| part.edit.contains(media)) {
            let time = part.edit.time_of(media);
            let end = if part.edit.is_dwell() {
                time.saturating_add(1)
            } else {
                part.edit.time_of(media.saturating_add(duration)).min(part.edit.limit())
            };
            let (first, last) = part.span.unwrap_or((time, end));
            part.span = Some((first.min(time), last.max(end)));
            if is_sync {
                part.keyframes.push(time);
            }
        }
    }

    fn finish(self, scale: u32) -> CutPoints {
        let edits: Vec<(i64, i64)> = self.parts.iter().filter_map(|part| part.span).collect();
        let starts = edits.iter().map(|(first, _)| *first);
        let keyframes = self.parts.iter().flat_map(|part| part.keyframes.iter().copied());
        CutPoints {
            scale,
            times: starts.chain(keyframes).collect(),
            edits,
            lists_samples: true,
            ..CutPoints::default()
        }
    }
}

impl Track {
    /// Returns the cut points of several edits of movie fragments, or `None` if not all of them play normally, or a limit is
    /// exceeded.
    pub(super) async fn cuts_of_edits(
        &self,
        source: &Source,
        tables: Option<&Tables>,
    ) -> Result<Option<CutPoints>, Error> {
        if !self.timing.edits.iter().all(Edit::plays_normally) {
            return Ok(None);
        }
        let listed = async {
            let mut movie = Movie::open(self, source).await?;
            movie.list(self.id, tables, &self.timing, None).await
        };
        let (samples, edits) = match listed.await {
            Ok(listed) => listed,
            Err(Unplayable::Refused(_)) => return Ok(None),
            Err(Unplayable::Failed(error)) => return Err(error.into()),
        };
        let Some(mut collector) = Collector::new(&edits, samples.len() as u64) else { return Ok(None) };
        for sample in &samples {
            collector.add(sample.time, sample.duration.into(), sample.is_sync);
        }
        let begin = Some(self.timing.origin);
        Ok(Some(CutPoints { begin, ..collector.finish(self.timing.scale) }))
    }
}

impl Fragments {
    /// Returns the times of the first keyframe of each fragment, or `None` if there are too many fragments. There is only
    /// one edit.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        let Some(edit) = timing.edits.only() else { return Ok(None) };
        let Some(fragments) = self.all(source, MAX_FRAGMENTS).await? else { return Ok(None) };
        let keyframes = fragments.iter().filter_map(Fragment::keyframe_time);
        // Without an edit list, times can be negative.
        let start = if timing.edits.are_listed() { edit.start } else { i64::MIN };
        let times: Vec<i64> = keyframes.map(|time| edit.time_of(time).max(start)).collect();
        let begin = Some(timing.origin);
        Ok(Some(CutPoints { scale: timing.scale, times, begin, lists_samples: true, ..CutPoints::default() }))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the cut points of forty frames of 10 ticks with a keyframe every ten.
    fn cuts(edits: &[[u32; 2]]) -> CutPoints {
        let mut words = vec![0, u32::try_from(edits.len()).unwrap()];
        words.extend(edits.iter().flat_map(|[duration, media]| [*duration, *media, 0x1_0000]));
        let elst: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        let edits = Edits::read(&mut Fields(elst.into()), 100, 100, Some(400)).unwrap();
        let mut collector = Collector::new(&edits, 40).unwrap();
        for frame in 0..40 {
            collector.add(frame * 10, 10, frame % 10 == 0);
        }
        let mut cuts = collector.finish(100);
        cuts.times.sort_unstable();
        cuts.times.dedup();
        cuts
    }

    #[test]
    fn cut_points_are_keyframes_and_starts_of_edits() {
        let all = cuts(&[[400, 0]]);
        assert_eq!((all.times, all.edits), (vec![0, 100, 200, 300], vec![(0, 400)]));
        let trimmed = cuts(&[[200, 130]]);
        assert_eq!((trimmed.times, trimmed.edits), (vec![0, 70, 170], vec![(0, 200)]));
        let parts = cuts(&[[50, 100], [100, 250]]);
        assert_eq!((parts.times, parts.edits), (vec![0, 50, 100], vec![(0, 50), (50, 150)]));
    }

    #[test]
    fn a_frame_that_starts_before_an_edit_is_not_presented() {
        let between = cuts(&[[200, 135]]);
        assert_eq!((between.times, between.edits), (vec![5, 65, 165], vec![(5, 200)]));
        let delayed = cuts(&[[30, u32::MAX], [200, 100]]);
        assert_eq!((delayed.times, delayed.edits), (vec![30, 130], vec![(30, 230)]));
    }
}
