//! Reads the samples of a segment with few requests.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::source::{Error, Source, in_parallel};

/// Bytes between two extents that are read and thrown away instead of sending another request: a 64th of the media, at
/// least this; more if there are many extents.
const GAP: u64 = 32 << 10;
const MAX_GAP: u64 = 4 << 20;
/// Wanted number of requests, which run at the same time.
const REQUESTS: usize = 16;
/// Limits of what one record can make this service read.
const MAX_REQUESTS: usize = 64;
const MAX_WASTE: u64 = 32 << 20;
/// Most bytes of one request.
const MAX_READ: u64 = 8 << 20;

/// The ranges to read for some extents of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reads(Vec<Range<u64>>);

impl Reads {
    /// Joins extents that are close together. Returns `None` if they are scattered over too much of the object.
    pub(super) fn plan(mut extents: Vec<Range<u64>>) -> Option<Self> {
        extents.sort_unstable_by_key(|extent| extent.start);
        let media = extents.iter().map(|extent| extent.end - extent.start).fold(0, u64::saturating_add);
        let mut gap = GAP.max(media / 64);
        let mut joined = join(&extents, gap);
        while joined.len() > REQUESTS && gap < MAX_GAP {
            gap *= 2;
            joined = join(&extents, gap);
        }
        let read = joined.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
        (joined.len() <= MAX_REQUESTS && read <= media.saturating_mul(2).saturating_add(MAX_WASTE))
            .then_some(Self(joined))
    }

    /// Reads the ranges.
    pub(super) async fn fetch(&self, source: &Source) -> Result<Fetched, Error> {
        let pieces = self.0.iter().flat_map(|range| {
            let starts = (range.start..range.end).step_by(usize::try_from(MAX_READ).unwrap_or(usize::MAX));
            starts.map(|start| start..range.end.min(start + MAX_READ))
        });
        let pieces =
            pieces.map(|piece| async move { Ok::<_, Error>((piece.start, source.fetch(piece).await?)) });
        Ok(Fetched(in_parallel(pieces.collect()).await?))
    }
}

fn join(extents: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for extent in extents {
        match joined.last_mut() {
            Some(last) if extent.start <= last.end.saturating_add(gap) => last.end = last.end.max(extent.end),
            _ => joined.push(extent.clone()),
        }
    }
    joined
}

/// What was read: pieces of the object in the order of their offsets.
pub(super) struct Fetched(Vec<(u64, Bytes)>);

impl Fetched {
    /// Appends the bytes of an extent.
    pub(super) fn copy(&self, extent: &Range<u64>, to: &mut BytesMut) {
        let mut at = extent.start;
        let first = self.0.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        for (start, bytes) in self.0.iter().skip(first) {
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            let until = usize::try_from(extent.end - start).unwrap_or(usize::MAX).min(bytes.len());
            let Some(part) = bytes.get(from..until) else { break };
            to.extend_from_slice(part);
            at += part.len() as u64;
            if at >= extent.end {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_extents_take_one_request() {
        let plan = |extents: &[Range<u64>]| -> Option<Vec<(u64, u64)>> {
            let Reads(reads) = Reads::plan(extents.to_vec())?;
            Some(reads.into_iter().map(|range| (range.start, range.end)).collect())
        };
        assert_eq!(plan(&[]).unwrap(), []);
        assert_eq!(plan(&[900_000..900_010, 10..20, 15..100]).unwrap(), [(10, 100), (900_000, 900_010)]);
        assert_eq!(plan(&[10..20, 20 + GAP..20 + 2 * GAP]).unwrap(), [(10, 20 + 2 * GAP)]);
        let apart =
            |count: u64, gap: u64| plan(&(0..count).map(|i| i * gap..i * gap + 1).collect::<Vec<_>>());
        assert_eq!(apart(16, 300_000).unwrap().len(), 16);
        assert_eq!(apart(17, 300_000).unwrap(), [(0, 16 * 300_000 + 1)]);
        assert_eq!(apart(64, 5 << 20).unwrap().len(), 64);
        assert_eq!(apart(65, 5 << 20), None, "too many");
        assert_eq!(apart(64, 1 << 20), None, "too far apart");
        let large = [0..6_400_000, 6_490_000..6_500_000, 6_610_000..6_620_000];
        assert_eq!(plan(&large).unwrap(), [(0, 6_500_000), (6_610_000, 6_620_000)]);
    }

    #[tokio::test]
    async fn extents_are_copied_from_several_reads() {
        let object: Bytes = (0..20_000_000u32).map(|i| i.to_be_bytes()[2] ^ i.to_be_bytes()[3]).collect();
        let source = Source::new(object.len() as u64, object.clone());
        let extents = [0..10, 5_000_000..19_000_000, 19_000_007..20_000_000];
        let reads = Reads::plan(extents.to_vec()).unwrap();
        assert_eq!(reads.0, [0..10, 5_000_000..20_000_000]);
        let fetched = reads.fetch(&source).await.unwrap();
        assert_eq!(source.stats().requests, 3);
        for extent in &extents {
            let mut copy = BytesMut::new();
            fetched.copy(extent, &mut copy);
            let range = usize::try_from(extent.start).unwrap()..usize::try_from(extent.end).unwrap();
            assert!(copy == object.slice(range));
        }
    }
}
