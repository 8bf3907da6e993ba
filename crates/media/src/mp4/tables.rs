//! The sample tables of a track (ISO/IEC 14496-12, 8.6 and 8.7).
//!
//! The tables of a long video are larger than a keyframe. So small tables are read whole, and of large ones only the
//! required entries, concurrently.

use std::ops::Range;

use super::boxes::{Header, Reader, find};
use super::chunks::{ChunkRun, locate};
use super::sizes::Sizes;
use super::sync::{Choice, Sync};
use super::table::{MAX_TABLE_BYTES, Table};
use super::times::{DecodeTimes, Offsets, SampleTimes};
use super::timing::Timing;
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Tables up to this size (in bytes) are read whole for a few keyframes, and up to `MAX_TABLE_BYTES` for many.
pub(super) const SMALL_TABLE: u64 = 48 * 1024;
/// Bytes of the sample-to-chunk table that are read for a few keyframes.
const SMALL_CHUNK_TABLE: u64 = 192 * 1024;
/// The largest number of keyframes that counts as few.
pub(super) const FEW_KEYFRAMES: usize = 8;
/// The cost of a request, in bytes. The size and chunk offset tables are read whole if that is at most this much per
/// keyframe.
const REQUEST_COST: u64 = 8 * 1024;

/// The sample tables of a track.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Decoding time to sample (8.6.1.2).
    pub(super) stts: Option<Table>,
    /// Composition time offsets (8.6.1.3).
    pub(super) ctts: Option<Table>,
    /// The composition time offset of the first sample.
    pub(super) first_offset: i32,
    /// Sync samples (8.6.2). Without this table every sample is one.
    pub(super) stss: Option<Table>,
    /// Sample to chunk (8.7.4).
    pub(super) stsc: Option<Table>,
    /// The sample description index of the first samples. Samples with another one are ignored.
    pub(super) description: u32,
    /// The sample sizes (8.7.3).
    pub(super) sizes: Sizes,
    /// Chunk offsets (8.7.5).
    pub(super) chunk_offsets: Option<Table>,
}

impl Tables {
    /// Reads the headers of the tables among the boxes of `stbl`.
    pub(super) async fn open(reader: &Reader<'_>, boxes: &[Header]) -> Result<Self, Error> {
        let mut tables = Self {
            stts: None,
            ctts: None,
            first_offset: 0,
            stss: None,
            stsc: None,
            description: 1,
            sizes: Sizes::open(reader, boxes).await?,
            chunk_offsets: None,
        };
        if let Some(header) = find(boxes, *b"stts") {
            tables.stts = Some(Table::open(reader, header, 8).await?);
        }
        if let Some(header) = find(boxes, *b"ctts") {
            let entries = Table::open(reader, header, 8).await?;
            let mut first = entries.read(reader.source, 0..1).await?;
            let _count = first.u32();
            tables.first_offset = first.i32().unwrap_or(0);
            tables.ctts = Some(entries);
        }
        if let Some(header) = find(boxes, *b"stss") {
            tables.stss = Some(Table::open(reader, header, 4).await?);
        }
        if let Some(header) = find(boxes, *b"stsc") {
            let entries = Table::open(reader, header, 12).await?;
            let mut first = entries.read(reader.source, 0..1).await?;
            if first.skip(8).is_some() {
                tables.description = first.u32().unwrap_or(1);
            }
            tables.stsc = Some(entries);
        }
        if let Some(header) = find(boxes, *b"stco") {
            tables.chunk_offsets = Some(Table::open(reader, header, 4).await?);
        } else if let Some(header) = find(boxes, *b"co64") {
            tables.chunk_offsets = Some(Table::open(reader, header, 8).await?);
        }
        Ok(tables)
    }

    /// Adds the chunk offsets of an object of `size` bytes, before the header of their table has been read. It is expected
    /// at the start of `range`, with as many entries as there is room for.
    pub(super) fn with_offsets_expected_in(self, range: Range<u64>, size: u64) -> Self {
        let entry_size = if size > u32::MAX.into() { 8 } else { 4 };
        Self { chunk_offsets: Some(Table::after_header(range, entry_size)), ..self }
    }

    /// Returns the sum of all sample durations, if the table of decoding times is small. It is more reliable than the
    /// duration in the media header.
    pub(super) async fn duration(&self, source: &Source) -> Result<Option<u64>, Error> {
        let Some(stts) = self.stts.as_ref().filter(|stts| stts.bytes() <= SMALL_TABLE) else {
            return Ok(None);
        };
        let times = DecodeTimes::read(stts.read_prefix(source, SMALL_TABLE).await?);
        Ok(Some(times.time_of(self.sizes.count)).filter(|duration| *duration > 0))
    }

    /// Returns at most `n` keyframes, spread evenly over the presentation.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let few = n <= FEW_KEYFRAMES;
        let first = i64::from(self.first_offset);
        let last = i64::try_from(timing.media_duration).unwrap_or(i64::MAX);
        // Where parts are left out, only exact times tell what is presented.
        let limit = if few && timing.edits.present_all(first, last) { SMALL_TABLE } else { MAX_TABLE_BYTES };
        let (times, runs, sync) = tokio::try_join!(
            self.sample_times(source, timing, limit),
            self.runs(source, if few { SMALL_CHUNK_TABLE } else { limit }),
            self.sync(source, limit),
        )?;
        let located = runs.last().map_or(0, |end| end.first_sample).min(times.count);
        let choices = if let Some(sync) = sync {
            #[expect(clippy::cast_precision_loss, reason = "a share of the samples need not be exact")]
            let share = located as f64 / times.count.max(1) as f64;
            let wanted = span_middles(n).map(|middle| timing.time_at(middle * share));
            sync.choose(&times, &timing.edits, wanted)
        } else {
            self.estimated_choices(source, timing, &times, n).await?
        };
        let budget = REQUEST_COST * choices.len() as u64;
        let sizes = self.sizes.table.iter();
        let tables = sizes.chain(&self.chunk_offsets).filter(|table| table.bytes() <= budget);
        in_parallel(tables.map(|table| table.read(source, 0..table.len())).collect()).await?;
        let keyframes = choices.into_iter().map(|choice| self.located(source, timing, &runs, choice));
        Ok(in_parallel(keyframes.collect()).await?.into_iter().flatten().collect())
    }

    /// Chooses entries of a table of sync samples that is too large to be read, assuming that the distance between
    /// keyframes is about constant.
    async fn estimated_choices(
        &self,
        source: &Source,
        timing: &Timing,
        times: &SampleTimes,
        n: usize,
    ) -> Result<Vec<Choice>, Error> {
        let Some(stss) = &self.stss else { return Ok(Vec::new()) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an estimate; `read` clamps it to the table"
        )]
        let entries = span_middles(n).map(|middle| (stss.len() as f64 * middle) as u64);
        let read = entries
            .map(|entry| async move { Ok::<_, Error>(stss.read(source, entry..entry + 1).await?.u32()) });
        let samples = in_parallel(read.collect()).await?.into_iter().flatten();
        let choices = samples.filter_map(|number| {
            let sample = u64::from(number).saturating_sub(1);
            let time = timing.edits.times_of(times.media_time(sample)).next()?;
            Some(Choice { time, first: sample, shown: sample })
        });
        let mut choices: Vec<Choice> = choices.collect();
        choices.sort_unstable_by_key(|choice| choice.time);
        choices.dedup();
        Ok(choices)
    }

    /// Reads the times of all samples. A table that has more than `limit` bytes is estimated.
    pub(super) async fn sample_times(
        &self,
        source: &Source,
        timing: &Timing,
        limit: u64,
    ) -> Result<SampleTimes, Error> {
        let count = self.sizes.count;
        let decode = async {
            Ok::<_, Error>(match self.stts.as_ref().filter(|stts| stts.bytes() <= limit) {
                Some(stts) => DecodeTimes::read(stts.read_prefix(source, limit).await?),
                None => DecodeTimes::constant(timing.media_duration.checked_div(count).unwrap_or(0)),
            })
        };
        let offsets = async {
            Ok(match self.ctts.as_ref().filter(|ctts| ctts.bytes() <= limit) {
                Some(ctts) => Offsets::read(ctts.read_prefix(source, limit).await?),
                None => Offsets::constant(self.first_offset),
            })
        };
        let (decode, offsets) = tokio::try_join!(decode, offsets)?;
        Ok(SampleTimes { decode, offsets, count })
    }

    /// Reads the table of sync samples, unless it has more than `limit` bytes.
    pub(super) async fn sync(&self, source: &Source, limit: u64) -> Result<Option<Sync>, Error> {
        match &self.stss {
            Some(stss) if stss.bytes() > limit => Ok(None),
            Some(stss) => Ok(Some(Sync::read(stss.read_prefix(source, limit).await?))),
            None => Ok(Some(Sync::every_sample())),
        }
    }

    /// Reads the sample-to-chunk table, up to `limit` bytes. Samples in the rest of a larger table cannot be located,
    /// because its entries do not contain sample numbers.
    pub(super) async fn runs(&self, source: &Source, limit: u64) -> Result<Vec<ChunkRun>, Error> {
        let (Some(stsc), Some(chunk_offsets)) = (&self.stsc, &self.chunk_offsets) else {
            return Ok(Vec::new());
        };
        let mut entries = stsc.read_prefix(source, limit).await?;
        let mut runs: Vec<ChunkRun> = Vec::new();
        while let (Some(chunk), Some(samples_per_chunk), Some(description)) =
            (entries.u32(), entries.u32(), entries.u32())
        {
            let first_chunk = u64::from(chunk).saturating_sub(1);
            let first_sample = match runs.last() {
                None => 0,
                Some(last) if first_chunk > last.first_chunk => {
                    let chunks = first_chunk - last.first_chunk;
                    last.first_sample.saturating_add(chunks.saturating_mul(last.samples_per_chunk))
                }
                Some(_) => return Err(Error::Unknown("sample-to-chunk entries are not in order")),
            };
            runs.push(ChunkRun {
                first_sample,
                first_chunk,
                samples_per_chunk: u64::from(samples_per_chunk),
                description,
            });
        }
        // A sentinel that marks the end of the last run.
        let end = if runs.len() as u64 == stsc.len() { chunk_offsets.len() } else { 0 };
        if let Some(last) = runs.last() {
            let chunks = end.saturating_sub(last.first_chunk);
            let first_sample =
                last.first_sample.saturating_add(chunks.saturating_mul(last.samples_per_chunk));
            runs.push(ChunkRun { first_sample, first_chunk: end, samples_per_chunk: 0, description: 0 });
        }
        Ok(runs)
    }

    /// Returns the byte ranges of consecutive samples. Ends at the first one that the tables do not contain, or that
    /// needs another sample description.
    pub(super) async fn byte_ranges(
        &self,
        source: &Source,
        runs: &[ChunkRun],
        samples: Range<u64>,
    ) -> Result<Vec<Range<u64>>, Error> {
        let mut ranges = Vec::new();
        let mut next = samples.start;
        while next < samples.end {
            let Some(chunk) = locate(runs, next).filter(|chunk| chunk.description == self.description) else {
                break;
            };
            let end = chunk.end.min(samples.end);
            let skipped = self.sizes.uniform(next - chunk.first_sample);
            let first = if skipped.is_some() { next } else { chunk.first_sample };
            let (offset, sizes) = tokio::try_join!(
                self.chunk_offset(source, chunk.number),
                self.sizes.read(source, first..end),
            )?;
            let Some(offset) = offset else { break };
            let mut at = offset.saturating_add(skipped.unwrap_or(0));
            for (sample, size) in (first..).zip(&sizes) {
                let Some(end) = at.checked_add(*size) else { return Ok(ranges) };
                if sample >= next {
                    ranges.push(at..end);
                }
                at = end;
            }
            if first + (sizes.len() as u64) < end {
                break;
            }
            next = end;
        }
        Ok(ranges)
    }

    /// Returns the offset of a chunk, or `None` if there is no such chunk.
    async fn chunk_offset(&self, source: &Source, chunk: u64) -> Result<Option<u64>, Error> {
        let Some(table) = &self.chunk_offsets else { return Ok(None) };
        let mut entry = table.read(source, chunk..chunk.saturating_add(1)).await?;
        Ok(if table.entry_size == 4 { entry.u32().map(u64::from) } else { entry.u64() })
    }
}
