//! An object of which any range can be read: cached, counted, and limited.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use upreel_core::{RangeReader, ReadError};

/// A video that needs more than this is refused: a hostile file must not cost a download.
const MAX_READ: u64 = 256 << 20;
/// Likewise; a storyboard takes some 300.
const MAX_REQUESTS: u64 = 2000;
/// What the cache keeps: the tables of an index, or the blocks between which ffmpeg goes back and forth.
const KEPT: usize = 16 << 20;

/// Ranges that are asked for at the same time.
const PARALLEL: usize = 16;

/// An object, and what has been read of it.
pub struct Source {
    size: u64,
    reader: Box<dyn RangeReader>,
    max: Stats,
    state: Mutex<State>,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests for a range.
    pub requests: u64,
    /// Bytes in their answers.
    pub bytes: u64,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Reading on would pass a limit.
    #[error("too much of the object was read")]
    Limit,
}

#[derive(Default)]
struct State {
    /// What is kept, by its offset.
    extents: BTreeMap<u64, Bytes>,
    age: VecDeque<u64>,
    kept: usize,
    stats: Stats,
}

impl Source {
    /// Creates a source over an object of `size` bytes.
    #[must_use]
    pub fn new(size: u64, reader: impl RangeReader + 'static) -> Self {
        let max = Stats { requests: MAX_REQUESTS, bytes: MAX_READ };
        Self { size, reader: Box::new(reader), max, state: Mutex::default() }
    }

    /// Allows for reading all of it, though not over and over: what is encoded is not only looked at.
    #[must_use]
    pub fn allow_full_read(mut self) -> Self {
        let bytes = self.size.saturating_mul(2).saturating_add(MAX_READ);
        self.max = Stats { requests: MAX_REQUESTS + bytes / (64 << 10), bytes };
        self
    }

    /// The object's size.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What was read so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    /// The bytes of a range, as far as the object goes; kept, so that a second call costs nothing.
    ///
    /// # Errors
    /// When the object cannot be read, or too much of it was read already.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let len = range.end.saturating_sub(range.start);
        self.read_ahead(range.start, len, len).await
    }

    /// `len` bytes from `offset`, like [`Source::read`]. If they have to be fetched, then `ahead` bytes
    /// are, because what follows will be wanted next.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub async fn read_ahead(&self, offset: u64, len: u64, ahead: u64) -> Result<Bytes, Error> {
        let end = offset.saturating_add(len).min(self.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let head = self.state().kept_at(offset);
        let got = offset + head.len() as u64;
        if got >= end {
            return Ok(head.slice(..index(end - offset)));
        }
        let tail = self.fetch(got..end.max(offset.saturating_add(ahead).min(self.size))).await?;
        let bytes = if head.is_empty() {
            tail
        } else {
            let mut joined = BytesMut::with_capacity(head.len() + tail.len());
            joined.extend_from_slice(&head);
            joined.extend_from_slice(&tail);
            joined.freeze()
        };
        self.state().keep(offset, bytes.clone());
        // A short answer ends the read as the end of the object would.
        let len = bytes.len().min(index(end - offset));
        Ok(bytes.slice(..len))
    }

    /// What is kept from `offset` on, without a request.
    pub(crate) fn kept(&self, offset: u64) -> Bytes {
        self.state().kept_at(offset)
    }

    /// The bytes of a range, without keeping them, because a frame is read once.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub async fn fetch(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let range = range.start..range.end.min(self.size);
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(Bytes::new());
        }
        {
            let mut state = self.state();
            let kept = state.kept_at(range.start);
            if kept.len() as u64 >= len {
                return Ok(kept.slice(..index(len)));
            }
            // Counted before the answer, so that parallel requests cannot pass the limit together.
            if state.stats.bytes + len > self.max.bytes || state.stats.requests >= self.max.requests {
                return Err(Error::Limit);
            }
            state.stats.requests += 1;
            state.stats.bytes += len;
        }
        Ok(self.reader.read_range(range).await?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The lock is never held over anything that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is kept from `offset` on.
    fn kept_at(&self, offset: u64) -> Bytes {
        let before = self.extents.range(..=offset).next_back();
        before.map_or_else(Bytes::new, |(start, bytes)| bytes.slice(bytes.len().min(index(offset - start))..))
    }

    fn keep(&mut self, offset: u64, bytes: Bytes) {
        if bytes.len() > KEPT {
            return;
        }
        // What lies within is no longer needed, and would hide what follows it.
        let end = offset + bytes.len() as u64;
        let within =
            self.extents.range(offset..end).filter(|(start, bytes)| *start + bytes.len() as u64 <= end);
        for start in within.map(|(start, _)| *start).collect::<Vec<_>>() {
            self.forget(start);
        }
        self.kept += bytes.len();
        self.extents.insert(offset, bytes);
        self.age.push_back(offset);
        while self.kept > KEPT
            && let Some(oldest) = self.age.front().copied()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, start: u64) {
        self.kept -= self.extents.remove(&start).map_or(0, |bytes| bytes.len());
        self.age.retain(|kept| *kept != start);
    }
}

/// Does what reads of a source at the same time, and gives the results in the same order.
pub(crate) async fn in_parallel<T, E>(reads: Vec<impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    stream::iter(reads).buffered(PARALLEL).try_collect().await
}

/// Ranges that are held in memory fit into memory.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::Fault;
    use upreel_core::range::RangeRead;

    /// An object of any size whose bytes follow from their offset.
    struct Pattern;

    impl RangeReader for Pattern {
        fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
            Box::pin(async { Ok(pattern(range)) })
        }
    }

    /// An object that S3 cannot read.
    struct Broken;

    impl RangeReader for Broken {
        fn read_range(&self, _: Range<u64>) -> RangeRead<'_> {
            Box::pin(async { Err(Fault::message("s3:GetObject", "down").into()) })
        }
    }

    fn pattern(range: Range<u64>) -> Bytes {
        range.map(|i| u8::try_from(i % 251).unwrap_or_default()).collect()
    }

    fn source(size: u64) -> Source {
        Source::new(size, Pattern)
    }

    #[tokio::test]
    async fn any_range_is_the_object_s_and_is_fetched_once() {
        let size = 10_000;
        let source = source(size);
        for range in [0..100, 50..200, 9_990..20_000, 10_000..10_001, 20_000..30_000, 0..10_000] {
            let expected = pattern(range.start.min(size)..range.end.min(size));
            assert_eq!(source.read(range.clone()).await.unwrap(), expected, "{range:?}");
            let before = source.stats();
            assert_eq!(source.read(range.clone()).await.unwrap(), expected, "{range:?}");
            assert_eq!(source.stats(), before, "{range:?}");
        }
        let before = source.stats();
        assert_eq!(source.fetch(5..9).await.unwrap(), pattern(5..9));
        assert_eq!(source.stats(), before);
    }

    #[tokio::test]
    async fn reading_ahead_saves_requests() {
        let source = source(10_000);
        assert_eq!(source.read_ahead(100, 8, 500).await.unwrap(), pattern(100..108));
        assert_eq!(source.read(200..600).await.unwrap(), pattern(200..600));
        assert_eq!(source.kept(590), pattern(590..600));
        assert_eq!(source.kept(600), Bytes::new());
        assert_eq!(source.stats(), Stats { requests: 1, bytes: 500 });
    }

    #[tokio::test]
    async fn a_small_read_does_not_hide_a_larger_one() {
        let source = source(10_000);
        source.read(500..510).await.unwrap();
        source.read(0..9000).await.unwrap();
        source.read(8000..9500).await.unwrap();
        let before = source.stats();
        for start in [0, 499, 505, 7999, 9400] {
            assert_eq!(source.read(start..start + 100).await.unwrap(), pattern(start..start + 100));
        }
        assert_eq!(source.stats(), before);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let source = source(MAX_READ);
        for i in 0..40 {
            source.read(i << 20..(i + 1) << 20).await.unwrap();
        }
        assert_eq!(source.state().kept, KEPT);
        assert_eq!(source.state().extents.len(), KEPT >> 20);
        let before = source.stats().requests;
        source.read(39 << 20..40 << 20).await.unwrap();
        assert_eq!(source.stats().requests, before, "the newest is still there");
    }

    #[tokio::test]
    async fn a_source_that_asks_for_too_much_is_stopped() {
        let large = source(u64::MAX);
        let mut at = 0;
        while let Ok(part) = large.fetch(at..at + (1 << 20)).await {
            at += part.len() as u64;
        }
        assert_eq!(at, MAX_READ);
        let small = source(u64::MAX);
        let mut count = 0;
        while small.fetch(count..count + 1).await.is_ok() {
            count += 1;
        }
        assert_eq!(count, MAX_REQUESTS);
        assert!(matches!(small.read(0..1).await, Err(Error::Limit)));
    }

    #[tokio::test]
    async fn a_failed_read_is_an_error_and_may_be_tried_again() {
        let source = Source::new(10, Broken);
        assert!(matches!(source.read(0..1).await, Err(Error::Read(ReadError::Fault(_)))));
        assert!(source.read(0..1).await.is_err());
    }
}
