//! The sample tables of a track (ISO/IEC 14496-12, 8.6 and 8.7).
//!
//! The tables of a long video are larger than a keyframe. So small tables are read whole, and of large ones only the
//! required entries, concurrently.

use std::ops::Range;

use super::boxes::{Fields, Header, Reader, find};
use super::chunks::{ChunkRun, SampleLocation, locate};
use super::table::{MAX_TABLE_BYTES, Table};
use super::timing::{DecodeTimes, DurationRun, Timing};
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Tables up to this size (in bytes) are read whole for a few keyframes, and up to `MAX_TABLE_BYTES` for many.
const SMALL_TABLE: u64 = 48 * 1024;
/// The largest number of keyframes that counts as few.
const FEW_KEYFRAMES: usize = 8;
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
    pub(super) first_offset: u64,
    /// Sync samples (8.6.2). Without this table every sample is one.
    pub(super) stss: Option<Table>,
    /// Sample to chunk (8.7.4).
    stsc: Option<Table>,
    /// The sample description index of the first samples. Samples with another one are ignored.
    pub(super) description: u32,
    /// The size of every sample (8.7.3), if there is no table.
    uniform_size: u64,
    /// The sample sizes (8.7.3).
    sizes: Option<Table>,
    /// The number of samples.
    pub(super) count: u64,
    /// Chunk offsets (8.7.5).
    chunk_offsets: Option<Table>,
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
            uniform_size: 0,
            sizes: None,
            count: 0,
            chunk_offsets: None,
        };
        if let Some(header) = find(boxes, *b"stts") {
            tables.stts = Some(Table::open(reader, header, 0, 8).await?);
        }
        if let Some(header) = find(boxes, *b"ctts") {
            let entries = Table::open(reader, header, 0, 8).await?;
            let mut first = entries.read(reader.source, 0..1).await?;
            let _count = first.u32();
            // Some muxers write signed offsets in version 0, too. Negative ones count as zero.
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
            let _version = head.version_and_flags();
            tables.uniform_size = u64::from(head.u32().unwrap_or(0));
            let entries = Table::open(reader, header, 4, 4).await?;
            if tables.uniform_size == 0 {
                tables.count = entries.len();
                tables.sizes = Some(entries);
            } else {
                tables.count = u64::from(head.u32().unwrap_or(0));
            }
        } else if find(boxes, *b"stz2").is_some() {
            return Err(Error::Unknown("compact sample sizes (stz2) are not supported"));
        }
        if let Some(header) = find(boxes, *b"stco") {
            tables.chunk_offsets = Some(Table::open(reader, header, 0, 4).await?);
        } else if let Some(header) = find(boxes, *b"co64") {
            tables.chunk_offsets = Some(Table::open(reader, header, 0, 8).await?);
        }
        Ok(tables)
    }

    /// Returns at most `n` keyframes, spread evenly over the track's duration.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let limit = if n <= FEW_KEYFRAMES { SMALL_TABLE } else { MAX_TABLE_BYTES };
        let decode_times = self.decode_times(source, timing, limit).await?;
        let mut samples = self.sync_samples(source, timing, &decode_times, n, limit).await?;
        samples.sort_unstable();
        samples.dedup();
        let runs = self.runs(source, limit).await?;
        let budget = REQUEST_COST * samples.len() as u64;
        let tables = self.sizes.iter().chain(&self.chunk_offsets).filter(|table| table.bytes() <= budget);
        in_parallel(tables.map(|table| table.read(source, 0..table.len())).collect()).await?;
        let locations = samples.into_iter().filter_map(|sample| locate(&runs, sample));
        let locations = locations.filter(|(_, description)| *description == self.description);
        let ranges = locations.map(|(location, _)| async move {
            let range = self.byte_range(source, location).await?;
            Ok::<_, Error>(range.map(|range| (location.sample, range)))
        });
        let keyframes = in_parallel(ranges.collect()).await?.into_iter().flatten().map(|(sample, range)| {
            let time = decode_times.time_of(sample).saturating_add(self.first_offset);
            Keyframe { time_ms: timing.presentation_ms(time), range }
        });
        Ok(keyframes.collect())
    }

    /// Returns the keyframe nearest to the middle of each of `n` equal spans, as sample indices from 0.
    async fn sync_samples(
        &self,
        source: &Source,
        timing: &Timing,
        decode_times: &DecodeTimes,
        n: usize,
        limit: u64,
    ) -> Result<Vec<u64>, Error> {
        let wanted = span_middles(n).map(|middle| decode_times.sample_at(timing.media_time_at(middle)));
        let Some(stss) = self.stss.as_ref().filter(|table| table.len() > 0) else {
            // An empty table means that there is no sync sample. The first sample is the best guess.
            let last = if self.stss.is_some() { 0 } else { self.count.saturating_sub(1) };
            return Ok(wanted.map(|sample| sample.min(last)).collect());
        };
        if stss.bytes() > limit {
            // Assumes that the distance between keyframes is about constant.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an estimate; `read` clamps it to the table"
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
        let mut all = stss.read_prefix(source, limit).await?;
        let mut sync: Vec<u64> =
            std::iter::from_fn(|| all.u32()).map(|number| u64::from(number).saturating_sub(1)).collect();
        sync.sort_unstable();
        Ok(wanted.filter_map(|sample| nearest(&sync, sample)).collect())
    }

    async fn decode_times(&self, source: &Source, timing: &Timing, limit: u64) -> Result<DecodeTimes, Error> {
        match &self.stts {
            Some(stts) if stts.bytes() <= limit => {
                let mut entries = stts.read_prefix(source, limit).await?;
                let mut decode_times = DecodeTimes { runs: Vec::new() };
                let (mut sample, mut time) = (0u64, 0u64);
                while let (Some(count), Some(delta)) = (entries.u32(), entries.u32()) {
                    decode_times.runs.push(DurationRun { sample, time, delta: u64::from(delta) });
                    sample = sample.saturating_add(u64::from(count));
                    time = time.saturating_add(u64::from(count).saturating_mul(u64::from(delta)));
                }
                Ok(decode_times)
            }
            // The table is missing, or too large for a few keyframes. Assumes a constant sample duration.
            _ => {
                let delta = timing.media_duration.checked_div(self.count).unwrap_or(0);
                Ok(DecodeTimes { runs: vec![DurationRun { sample: 0, time: 0, delta }] })
            }
        }
    }

    /// Reads the sample-to-chunk table, up to `limit` bytes. Samples in the rest of a larger table cannot be located,
    /// because its entries do not contain sample numbers.
    async fn runs(&self, source: &Source, limit: u64) -> Result<Vec<ChunkRun>, Error> {
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

    /// Returns the byte range of a sample, or `None` if the tables do not contain it.
    async fn byte_range(
        &self,
        source: &Source,
        location: SampleLocation,
    ) -> Result<Option<Range<u64>>, Error> {
        let Some(chunk_offsets) = &self.chunk_offsets else { return Ok(None) };
        let SampleLocation { sample, chunk, first_in_chunk } = location;
        let (mut offset, sizes) = tokio::try_join!(chunk_offsets.read(source, chunk..chunk + 1), async {
            match &self.sizes {
                Some(sizes) => sizes.read(source, first_in_chunk..sample + 1).await.map(Some),
                None => Ok(None),
            }
        })?;
        let Some(offset) =
            (if chunk_offsets.entry_size == 4 { offset.u32().map(u64::from) } else { offset.u64() })
        else {
            return Ok(None);
        };
        let (before, size) = match sizes {
            None => ((sample - first_in_chunk).saturating_mul(self.uniform_size), self.uniform_size),
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

/// Returns the entry of a sorted list that is nearest to `wanted`, the lower one of two.
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
    fn nearest_entry_of_a_sorted_list() {
        for (wanted, found) in [(0, 0), (4, 0), (5, 0), (6, 10), (10, 10), (99, 20)] {
            assert_eq!(nearest(&[0, 10, 20], wanted), Some(found), "{wanted}");
        }
        assert_eq!(nearest(&[7], 0), Some(7));
        assert_eq!(nearest(&[], 0), None);
    }
}
