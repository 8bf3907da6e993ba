//! The sample tables of a track (ISO/IEC 14496-12, 8.6 and 8.7), of which only a few entries are read.
//!
//! A table of a long video is larger than the picture that it leads to. So the small ones are read whole,
//! and of the large ones just the entries that are asked for, all at once.

use std::ops::Range;

use super::boxes::{Fields, Header, Reader, find};
use super::table::{FULL, Table};
use super::timing::{Clock, Step, Timing};
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Tables up to this size are read whole for a few keyframes, and up to `FULL` for many.
const LEAN: u64 = 48 * 1024;
/// More keyframes than this are many.
const FEW: usize = 8;
/// A request is worth so many bytes: with fewer for each keyframe, the tables of sizes and chunks are read whole.
const REQUEST: u64 = 8 * 1024;

/// Where the samples of a track are.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Time to sample, 8.6.1.2.
    pub(super) stts: Option<Table>,
    /// Composition offsets, 8.6.1.3, and that of the first sample.
    pub(super) ctts: Option<Table>,
    pub(super) first_offset: u64,
    /// Sync samples, 8.6.2; without it each sample is one.
    pub(super) stss: Option<Table>,
    /// Sample to chunk, 8.7.4.
    stsc: Option<Table>,
    /// Which sample description the first samples have. Those with another one are left alone.
    pub(super) description: u32,
    /// Sample sizes, 8.7.3: one for all, or a table.
    same_size: u64,
    sizes: Option<Table>,
    /// How many samples there are.
    pub(super) count: u64,
    /// Chunk offsets, 8.7.5.
    chunks: Option<Table>,
}

/// Chunks with the same number of samples, up to the next run.
struct Run {
    first_sample: u64,
    first_chunk: u64,
    per_chunk: u64,
    description: u32,
}

/// A sample, and where in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Located {
    sample: u64,
    chunk: u64,
    first_in_chunk: u64,
}

impl Tables {
    /// Reads the heads of the tables among the boxes of `stbl`.
    pub(super) async fn open(reader: &Reader<'_>, boxes: &[Header]) -> Result<Self, Error> {
        let mut tables = Self {
            stts: None,
            ctts: None,
            first_offset: 0,
            stss: None,
            stsc: None,
            description: 1,
            same_size: 0,
            sizes: None,
            count: 0,
            chunks: None,
        };
        if let Some(header) = find(boxes, *b"stts") {
            tables.stts = Some(Table::open(reader, header, 0, 8).await?);
        }
        if let Some(header) = find(boxes, *b"ctts") {
            let entries = Table::open(reader, header, 0, 8).await?;
            let mut first = entries.read(reader.source, 0..1).await?;
            let _count = first.u32();
            // Some writers have it signed in version 0, too; before the start there is nothing.
            tables.first_offset = first.i32().and_then(|offset| offset.try_into().ok()).unwrap_or(0);
            tables.ctts = Some(entries);
        }
        if let Some(header) = find(boxes, *b"stss") {
            tables.stss = Some(Table::open(reader, header, 0, 4).await?);
        }
        if let Some(header) = find(boxes, *b"stsc") {
            let entries = Table::open(reader, header, 0, 12).await?;
            let mut first = entries.read(reader.source, 0..1).await?;
            if first.skip(8).is_some() {
                tables.description = first.u32().unwrap_or(1);
            }
            tables.stsc = Some(entries);
        }
        if let Some(header) = find(boxes, *b"stsz") {
            let end = header.body.end.min(header.body.start + 12);
            let mut head = Fields(reader.read(header.body.start..end, 12).await?);
            let _version = head.version();
            tables.same_size = u64::from(head.u32().unwrap_or(0));
            let entries = Table::open(reader, header, 4, 4).await?;
            if tables.same_size == 0 {
                tables.count = entries.len();
                tables.sizes = Some(entries);
            } else {
                tables.count = u64::from(head.u32().unwrap_or(0));
            }
        } else if find(boxes, *b"stz2").is_some() {
            return Err(Error::Unknown("compact sample sizes"));
        }
        if let Some(header) = find(boxes, *b"stco") {
            tables.chunks = Some(Table::open(reader, header, 0, 4).await?);
        } else if let Some(header) = find(boxes, *b"co64") {
            tables.chunks = Some(Table::open(reader, header, 0, 8).await?);
        }
        Ok(tables)
    }

    /// At most `n` keyframes, spread evenly over `timing`.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let limit = if n <= FEW { LEAN } else { FULL };
        let clock = self.clock(source, timing, limit).await?;
        let mut samples = self.sync_samples(source, timing, &clock, n, limit).await?;
        samples.sort_unstable();
        samples.dedup();
        let runs = self.runs(source, limit).await?;
        let worth = REQUEST * samples.len() as u64;
        let tables = self.sizes.iter().chain(&self.chunks).filter(|table| table.bytes() <= worth);
        in_parallel(tables.map(|table| table.read(source, 0..table.len())).collect()).await?;
        let located = samples.into_iter().filter_map(|sample| locate(&runs, sample));
        let located = located.filter(|(_, description)| *description == self.description);
        let places = located.map(|(located, _)| async move {
            let place = self.place(source, located).await?;
            Ok::<_, Error>(place.map(|place| (located.sample, place)))
        });
        let keyframes = in_parallel(places.collect()).await?.into_iter().flatten().map(|(sample, place)| {
            let time = clock.time_of(sample).saturating_add(self.first_offset);
            Keyframe { time_ms: timing.shown_at(time), range: place }
        });
        Ok(keyframes.collect())
    }

    /// The samples to be taken: the keyframe nearest to the middle of each span.
    async fn sync_samples(
        &self,
        source: &Source,
        timing: &Timing,
        clock: &Clock,
        n: usize,
        limit: u64,
    ) -> Result<Vec<u64>, Error> {
        let wanted = span_middles(n).map(|middle| clock.sample_at(timing.at(middle)));
        let Some(stss) = self.stss.as_ref().filter(|table| table.len() > 0) else {
            // A table without entries says that there is no keyframe; the first sample is the best guess.
            let last = if self.stss.is_some() { 0 } else { self.count.saturating_sub(1) };
            return Ok(wanted.map(|sample| sample.min(last)).collect());
        };
        if stss.bytes() > limit {
            // Keyframes are about as far apart everywhere.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an estimate, and read within its bounds"
            )]
            let entries = span_middles(n).map(|middle| (stss.len() as f64 * middle) as u64);
            let read = entries
                .map(|entry| async move { Ok::<_, Error>(stss.read(source, entry..entry + 1).await?.u32()) });
            return Ok(in_parallel(read.collect())
                .await?
                .into_iter()
                .flatten()
                .map(|number| u64::from(number).saturating_sub(1))
                .collect());
        }
        let mut all = stss.head(source, limit).await?;
        let mut sync: Vec<u64> =
            std::iter::from_fn(|| all.u32()).map(|number| u64::from(number).saturating_sub(1)).collect();
        sync.sort_unstable();
        Ok(wanted.filter_map(|sample| nearest(&sync, sample)).collect())
    }

    async fn clock(&self, source: &Source, timing: &Timing, limit: u64) -> Result<Clock, Error> {
        match &self.stts {
            Some(stts) if stts.bytes() <= limit => {
                let mut entries = stts.head(source, limit).await?;
                let mut clock = Clock { steps: Vec::new() };
                let (mut sample, mut time) = (0u64, 0u64);
                while let (Some(count), Some(delta)) = (entries.u32(), entries.u32()) {
                    clock.steps.push(Step { sample, time, delta: u64::from(delta) });
                    sample = sample.saturating_add(u64::from(count));
                    time = time.saturating_add(u64::from(count).saturating_mul(u64::from(delta)));
                }
                Ok(clock)
            }
            // Too long to be read for a few pictures: each sample is shown for about as long.
            _ => {
                let delta = timing.media_duration.checked_div(self.count).unwrap_or(0);
                Ok(Clock { steps: vec![Step { sample: 0, time: 0, delta }] })
            }
        }
    }

    /// The runs of the sample-to-chunk table, as far as they fit into the limit. Later samples are then out
    /// of reach, because the table holds no sums.
    async fn runs(&self, source: &Source, limit: u64) -> Result<Vec<Run>, Error> {
        let (Some(stsc), Some(chunks)) = (&self.stsc, &self.chunks) else { return Ok(Vec::new()) };
        let mut entries = stsc.head(source, limit).await?;
        let mut runs: Vec<Run> = Vec::new();
        while let (Some(chunk), Some(per_chunk), Some(description)) =
            (entries.u32(), entries.u32(), entries.u32())
        {
            let first_chunk = u64::from(chunk).saturating_sub(1);
            let first_sample = match runs.last() {
                None => 0,
                Some(last) if first_chunk > last.first_chunk => {
                    let chunks = first_chunk - last.first_chunk;
                    last.first_sample.saturating_add(chunks.saturating_mul(last.per_chunk))
                }
                Some(_) => return Err(Error::Unknown("chunks out of order")),
            };
            runs.push(Run { first_sample, first_chunk, per_chunk: u64::from(per_chunk), description });
        }
        // The end of the last one.
        let end = if runs.len() as u64 == stsc.len() { chunks.len() } else { 0 };
        if let Some(last) = runs.last() {
            let chunks = end.saturating_sub(last.first_chunk);
            let first_sample = last.first_sample.saturating_add(chunks.saturating_mul(last.per_chunk));
            runs.push(Run { first_sample, first_chunk: end, per_chunk: 0, description: 0 });
        }
        Ok(runs)
    }

    /// The bytes of a sample; `None` when the tables do not have it.
    async fn place(&self, source: &Source, located: Located) -> Result<Option<Range<u64>>, Error> {
        let Some(chunks) = &self.chunks else { return Ok(None) };
        let Located { sample, chunk, first_in_chunk } = located;
        let (mut offset, sizes) = tokio::try_join!(chunks.read(source, chunk..chunk + 1), async {
            match &self.sizes {
                Some(sizes) => sizes.read(source, first_in_chunk..sample + 1).await.map(Some),
                None => Ok(None),
            }
        })?;
        let Some(offset) = (if chunks.width == 4 { offset.u32().map(u64::from) } else { offset.u64() })
        else {
            return Ok(None);
        };
        let (before, size) = match sizes {
            None => ((sample - first_in_chunk).saturating_mul(self.same_size), self.same_size),
            Some(mut sizes) => {
                let sizes: Vec<u64> = std::iter::from_fn(|| sizes.u32()).map(u64::from).collect();
                let Some((size, before)) = sizes.split_last() else { return Ok(None) };
                (before.iter().sum(), *size)
            }
        };
        let start = offset.saturating_add(before);
        Ok(start.checked_add(size).map(|end| start..end))
    }
}

/// Where a sample is, and its description's number.
fn locate(runs: &[Run], sample: u64) -> Option<(Located, u32)> {
    let next = runs.partition_point(|run| run.first_sample <= sample);
    let run = runs.get(next.checked_sub(1)?)?;
    runs.get(next)?;
    let nth = (sample - run.first_sample).checked_div(run.per_chunk)?;
    let first_in_chunk = run.first_sample + nth * run.per_chunk;
    Some((Located { sample, chunk: run.first_chunk.checked_add(nth)?, first_in_chunk }, run.description))
}

/// The entry of a sorted list that is nearest.
fn nearest(sorted: &[u64], wanted: u64) -> Option<u64> {
    let next = sorted.partition_point(|entry| *entry < wanted);
    let after = sorted.get(next);
    let before = next.checked_sub(1).and_then(|i| sorted.get(i));
    match (before, after) {
        (Some(before), Some(after)) if wanted - before <= after - wanted => Some(*before),
        (_, Some(after)) => Some(*after),
        (before, None) => before.copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_keyframe() {
        for (wanted, found) in [(0, 0), (4, 0), (5, 0), (6, 10), (10, 10), (99, 20)] {
            assert_eq!(nearest(&[0, 10, 20], wanted), Some(found), "{wanted}");
        }
        assert_eq!(nearest(&[7], 0), Some(7));
        assert_eq!(nearest(&[], 0), None);
    }

    #[test]
    fn samples_are_found_in_their_chunks() {
        let run = |first_sample, first_chunk, per_chunk| Run {
            first_sample,
            first_chunk,
            per_chunk,
            description: 1,
        };
        // Two chunks of three samples, one of one, and the end.
        let runs = [run(0, 0, 3), run(6, 2, 1), run(7, 3, 0)];
        let at = |sample| locate(&runs, sample).map(|(l, _)| (l.chunk, l.first_in_chunk));
        assert_eq!([at(0), at(2), at(3), at(6)], [Some((0, 0)), Some((0, 0)), Some((1, 3)), Some((2, 6))]);
        assert_eq!([at(7), at(99)], [None, None]);
        assert_eq!(locate(&[run(0, 0, 0), run(0, 1, 0)], 0), None, "no samples in a chunk");
    }
}
