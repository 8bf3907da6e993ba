//! Reads texts that are scattered over an object.

use std::ops::Range;

use bytes::Bytes;

use super::Sample;
use crate::matroska::text_block;
use crate::source::{self, Source, Stats, in_parallel, to_usize};

/// Limits of all texts of an object. A film of two hours has some 1,500 in each language.
const MAX_REQUESTS: u64 = 6000;
const MAX_READ: u64 = 48 << 20;
/// Bytes between two texts that are read and thrown away, because another request takes longer.
const GAP: u64 = 32 << 10;
/// The longest text, in bytes, with what its container says of it.
pub(crate) const MAX_TEXT: u64 = 64 << 10;

/// A text as the container has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) payload: Bytes,
    /// How long it is shown, in milliseconds, if it says so.
    pub(crate) duration: Option<u64>,
    /// The settings of a cue of `WebVTT`.
    pub(crate) settings: Option<Bytes>,
}

/// What is found where a block of Matroska is expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Block(Block),
    /// Its bytes, counted from the expected start, are these.
    Longer(Range<u64>),
    Nothing,
}

/// The reads of texts, within limits.
#[derive(Debug, Default)]
pub(super) struct Reads {
    stats: Stats,
}

impl Reads {
    pub(super) const fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns whether samples can be read within the limits.
    pub(super) fn allow<'a>(&self, source: &Source, samples: impl Iterator<Item = &'a Sample>) -> bool {
        let extents = extents(samples.map(|sample| sample.range.clone()).collect());
        self.cost(source, &extents).is_some()
    }

    /// Returns the stats after reading these extents, or `None` if that exceeds a limit.
    fn cost(&self, source: &Source, extents: &[Range<u64>]) -> Option<Stats> {
        let mut stats = self.stats;
        for extent in extents {
            let len = extent.end.saturating_sub(extent.start);
            if (source.cached(extent.start).len() as u64) < len {
                stats.requests += 1;
                stats.bytes = stats.bytes.saturating_add(len);
            }
        }
        (stats.requests <= MAX_REQUESTS && stats.bytes <= MAX_READ).then_some(stats)
    }

    /// Reads the texts of samples. A damaged one is `None`.
    pub(super) async fn blocks(
        &mut self,
        source: &Source,
        mut samples: Vec<Sample>,
    ) -> Result<Vec<Option<Block>>, source::Error> {
        let mut blocks: Vec<Option<Block>> = Vec::new();
        let mut longer = Vec::new();
        let bytes = self.near(source, ranges(&samples)).await?;
        for (sample, bytes) in samples.iter_mut().zip(bytes) {
            let found = find(sample, bytes);
            if let Found::Longer(range) = &found {
                let start = sample.range.start;
                sample.range = start.saturating_add(range.start)..start.saturating_add(range.end);
                longer.push((blocks.len(), sample.clone()));
            }
            blocks.push(if let Found::Block(block) = found { Some(block) } else { None });
        }
        let (places, longer): (Vec<usize>, Vec<Sample>) = longer.into_iter().unzip();
        let bytes = self.near(source, ranges(&longer)).await?;
        for ((place, sample), bytes) in places.into_iter().zip(&longer).zip(bytes) {
            if let (Found::Block(block), Some(slot)) = (find(sample, bytes), blocks.get_mut(place)) {
                *slot = Some(block);
            }
        }
        Ok(blocks)
    }

    /// Reads ranges in any order. Those that are stored close together take one request.
    async fn near(&mut self, source: &Source, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, source::Error> {
        let extents = extents(ranges.clone());
        let before = self.stats.requests;
        self.stats = self.cost(source, &extents).ok_or(source::Error::Limit)?;
        source.allow(Stats { requests: self.stats.requests - before, bytes: 0 });
        let read = in_parallel(extents.iter().map(|extent| source.fetch(extent.clone())).collect()).await?;
        let slice = |range: Range<u64>| {
            let at = extents.partition_point(|extent| extent.start <= range.start).checked_sub(1)?;
            let (extent, bytes) = (extents.get(at)?, read.get(at)?);
            let at = |offset: u64| to_usize(offset.saturating_sub(extent.start)).min(bytes.len());
            Some(bytes.slice(at(range.start)..at(range.end.max(range.start))))
        };
        Ok(ranges.into_iter().map(|range| slice(range).unwrap_or_default()).collect())
    }
}

fn ranges(samples: &[Sample]) -> Vec<Range<u64>> {
    samples.iter().map(|sample| sample.range.clone()).collect()
}

/// Joins ranges that are close together, in the order of the file.
fn extents(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut extents: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match extents.last_mut().filter(|last| range.start <= last.end.saturating_add(GAP)) {
            Some(last) => last.end = last.end.max(range.end),
            None => extents.push(range),
        }
    }
    extents
}

/// Returns the text in the bytes of a sample.
fn find(sample: &Sample, bytes: Bytes) -> Found {
    match sample.block {
        Some(track) => text_block(&bytes, track),
        None if (bytes.len() as u64) < sample.range.end - sample.range.start => Found::Nothing,
        None => Found::Block(Block { payload: bytes, ..Block::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_close_together_are_read_at_once() {
        let far = 5 + GAP;
        assert_eq!(extents(vec![far..far + 1, 0..4, 2..3]), [0..4, far..far + 1]);
        assert_eq!(extents(vec![far - 1..far + 1, 0..4, 4..7]), vec![Range { start: 0, end: far + 1 }]);
        assert_eq!(extents(Vec::new()), []);
        assert_eq!(
            extents(vec![u64::MAX - 1..u64::MAX, 0..u64::MAX]),
            vec![Range { start: 0, end: u64::MAX }]
        );
    }
}
