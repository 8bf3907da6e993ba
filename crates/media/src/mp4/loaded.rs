//! The sample tables of a track, read as a whole: every sample's times and bytes.

use std::ops::Range;

use super::audio::Packing;
use super::boxes::Fields;
use super::chunks::{ChunkRun, locate};
use super::sync::Sync;
use super::table::{MAX_TABLE_BYTES, Table};
use super::tables::Tables;
use super::times::SampleTimes;
use super::timing::Timing;
use crate::keyframe::Error;
use crate::source::Source;

/// The tables of a track in memory.
pub(super) struct Loaded {
    pub(super) times: SampleTimes,
    pub(super) sync: Sync,
    runs: Vec<ChunkRun>,
    /// The sample description index. Samples that use another description cannot be located.
    pub(super) description: u32,
    sizes: Sizes,
    /// The chunk offset table, and the size of its entries.
    offsets: (Fields, usize),
}

enum Sizes {
    Uniform(u64),
    Each(Vec<u64>),
}

/// Consecutive samples, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) samples: Range<u64>,
    pub(super) bytes: Range<u64>,
}

impl Tables {
    /// Reads the tables. Returns `None` if one of them is missing or too large.
    pub(super) async fn load(&self, source: &Source, timing: &Timing) -> Result<Option<Loaded>, Error> {
        let (Some(_), Some(stsc), Some(chunk_offsets)) = (&self.stts, &self.stsc, &self.chunk_offsets) else {
            return Ok(None);
        };
        let tables = [&self.stts, &self.ctts, &self.stss, &self.sizes.table].into_iter().flatten();
        let too_large = |table: &Table| table.bytes() > MAX_TABLE_BYTES;
        if tables.chain([stsc, chunk_offsets]).any(too_large) {
            return Ok(None);
        }
        let Some(sync) = self.sync(source, MAX_TABLE_BYTES).await? else { return Ok(None) };
        let sizes = match self.sizes.uniform(1) {
            Some(size) => Sizes::Uniform(size),
            None => Sizes::Each(self.sizes.read(source, 0..self.sizes.count).await?),
        };
        Ok(Some(Loaded {
            times: self.sample_times(source, timing, MAX_TABLE_BYTES).await?,
            sync,
            runs: self.runs(source, MAX_TABLE_BYTES).await?,
            description: self.description,
            sizes,
            offsets: (
                chunk_offsets.read(source, 0..chunk_offsets.len()).await?,
                usize::try_from(chunk_offsets.entry_size).unwrap_or(8),
            ),
        }))
    }
}

impl Loaded {
    /// Locates samples one by one, or in groups as `packing` tells. Returns `None` if the tables do not contain all of
    /// them, or if there are more than `limit` groups.
    pub(super) fn locate(
        &self,
        samples: Range<u64>,
        packing: Option<Packing>,
        limit: usize,
    ) -> Option<Vec<Located>> {
        let mut found = Vec::new();
        let mut next = samples.start;
        while next < samples.end {
            let chunk = locate(&self.runs, next).filter(|chunk| chunk.description == self.description)?;
            let offset = self.chunk_offset(chunk.number)?;
            let end = chunk.end.min(self.times.count);
            let (mut first, mut at) = match (&self.sizes, packing) {
                (Sizes::Uniform(size), None) => {
                    (next, offset.checked_add(size.checked_mul(next - chunk.first_sample)?)?)
                }
                (_, Some(packing)) => {
                    let skipped = (next - chunk.first_sample) / packing.group();
                    let bytes = skipped.checked_mul(packing.group_bytes())?;
                    (chunk.first_sample + skipped * packing.group(), offset.checked_add(bytes)?)
                }
                (Sizes::Each(_), None) => (chunk.first_sample, offset),
            };
            if first >= end {
                return None;
            }
            while first < end.min(samples.end) {
                let (count, size) = match (&self.sizes, packing) {
                    (_, Some(packing)) => {
                        let count = packing.group().min(end - first);
                        (count, packing.bytes_of(count))
                    }
                    (Sizes::Uniform(size), None) => (1, *size),
                    (Sizes::Each(sizes), None) => (1, *sizes.get(usize::try_from(first).ok()?)?),
                };
                let until = at.checked_add(size)?;
                if first + count > next {
                    found.push(Located { samples: first..first + count, bytes: at..until });
                }
                (first, at) = (first + count, until);
                if found.len() > limit {
                    return None;
                }
            }
            next = first;
        }
        Some(found)
    }

    /// Returns whether samples need another sample description than the first one.
    pub(super) fn has_other_descriptions(&self) -> bool {
        // The last run only marks the end.
        let runs = self.runs.split_last().map_or(&[][..], |(_, runs)| runs);
        runs.iter().any(|run| run.description != self.description)
    }

    fn chunk_offset(&self, chunk: u64) -> Option<u64> {
        let (table, size) = &self.offsets;
        let start = usize::try_from(chunk).ok()?.checked_mul(*size)?;
        let entry = table.0.get(start..start.checked_add(*size)?)?;
        Some(entry.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::audio::Codec;
    use super::super::boxes::tests::atom;
    use super::super::times::{DecodeTimes, Offsets};
    use super::*;

    /// Ten samples in chunks of four, at the offsets 100, 200 and 300.
    fn loaded(sizes: Sizes) -> Loaded {
        let run = |first_sample, first_chunk, samples_per_chunk| ChunkRun {
            first_sample,
            first_chunk,
            samples_per_chunk,
            description: 1,
        };
        let offsets: Vec<u8> = [100u32, 200, 300].into_iter().flat_map(u32::to_be_bytes).collect();
        Loaded {
            times: SampleTimes { decode: DecodeTimes::constant(1), offsets: Offsets::constant(0), count: 10 },
            sync: Sync::every_sample(),
            runs: vec![run(0, 0, 4), run(12, 3, 0)],
            description: 1,
            sizes,
            offsets: (Fields(offsets.into()), 4),
        }
    }

    fn ranges(loaded: &Loaded, samples: Range<u64>, packing: Option<Packing>) -> Option<Vec<[u64; 4]>> {
        let located = loaded.locate(samples, packing, 100)?;
        let numbers =
            |Located { samples, bytes }: &Located| [samples.start, samples.end, bytes.start, bytes.end];
        Some(located.iter().map(numbers).collect())
    }

    #[test]
    fn samples_are_located_one_by_one() {
        let found = Some(vec![[3, 4, 106, 109], [4, 5, 200, 204], [5, 6, 204, 209]]);
        let each = loaded(Sizes::Each(vec![1, 2, 3, 3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(ranges(&each, 3..6, None), found);
        let uniform = loaded(Sizes::Uniform(10));
        assert_eq!(ranges(&uniform, 7..9, None), Some(vec![[7, 8, 230, 240], [8, 9, 300, 310]]));
        assert_eq!((ranges(&uniform, 9..11, None), ranges(&each, 20..21, None)), (None, None));
        assert_eq!(each.locate(0..10, None, 5), None, "more than the limit");
    }

    #[test]
    fn samples_of_constant_size_are_located_in_groups() {
        // Two channels of 16 bits, although the table states a size of 1.
        let entry = atom(*b"sowt", &[], &[&[0; 16], &2u16.to_be_bytes()[..], &[0; 10]].concat());
        let stsd = Fields([&[0, 0, 0, 0, 0, 0, 0, 1], &entry[..]].concat().into());
        let packing = Packing::read(stsd, Codec::Known("pcm_s16le"));
        let found = ranges(&loaded(Sizes::Uniform(1)), 2..6, packing);
        assert_eq!(found, Some(vec![[0, 4, 100, 116], [4, 8, 200, 216]]));
    }
}
