//! Ranges of an object that stay in memory, for an index that is larger than the cache.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{Error, Source, in_parallel, to_usize};

/// Size of the pieces in which a range is read.
const PIECE: u64 = 2 << 20;

/// Ranges in memory, by their offsets. There are few.
#[derive(Default)]
pub(super) struct Pinned(Vec<(u64, Bytes)>);

impl Pinned {
    /// Returns the bytes that start at `offset`, up to the end of their range.
    pub(super) fn from(&self, offset: u64) -> Bytes {
        let at = |(start, bytes): &(u64, Bytes)| {
            let at = to_usize(offset.checked_sub(*start)?);
            (at < bytes.len()).then(|| bytes.slice(at..))
        };
        self.0.iter().filter_map(at).max_by_key(Bytes::len).unwrap_or_default()
    }
}

impl Source {
    /// Reads a range whole, in pieces side by side, and keeps it as long as the source. The caller limits its size.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(crate) async fn pin(&self, range: Range<u64>) -> Result<(), Error> {
        let range = range.start..range.end.min(self.size());
        let len = to_usize(range.end.saturating_sub(range.start));
        if self.cached(range.start).len() >= len {
            return Ok(());
        }
        let starts = (range.start..range.end).step_by(to_usize(PIECE));
        let pieces = starts.map(|start| self.fetch(start..range.end.min(start + PIECE)));
        let mut bytes = BytesMut::with_capacity(len);
        for piece in in_parallel(pieces.collect()).await? {
            bytes.extend_from_slice(&piece);
        }
        self.state().pinned.0.push((range.start, bytes.freeze()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pinned_range_is_read_once_with_few_requests() {
        let object: Bytes = (0..5_000_000u32).map(|i| i.to_be_bytes()[1] ^ i.to_be_bytes()[3]).collect();
        let source = Source::new(object.len() as u64, object.clone());
        source.pin(1000..4_900_000).await.unwrap();
        source.pin(2000..4_000_000).await.unwrap();
        assert_eq!((source.stats().requests, source.stats().bytes), (3, 4_899_000));
        for range in [1000..2000, 2_097_000..2_099_000, 4_899_990..4_900_000, 1000..4_900_000] {
            let expected = object.slice(to_usize(range.start)..to_usize(range.end));
            assert_eq!(source.read(range.clone()).await.unwrap(), expected);
            assert_eq!(source.fetch(range).await.unwrap(), expected);
        }
        assert_eq!(source.stats().requests, 3);
        assert_eq!(source.read(4_899_000..4_901_000).await.unwrap(), object.slice(4_899_000..4_901_000));
        assert_eq!(source.stats().bytes, 4_900_000, "only the rest is read");
    }
}
