//! Reads byte ranges of an object, with a cache, counters and limits.

mod pinned;
#[cfg(test)]
pub(crate) mod rounds;
mod whole;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use upreel_core::container::id3_len;
use upreel_core::{Fault, RangeReader, ReadError};

use self::pinned::Pinned;

/// Limit of bytes read from one object. A hostile file must not cost a full download.
const MAX_READ: u64 = 256 << 20;
/// Limit of requests for one object. A storyboard takes some 300. Text tracks have a limit of their own.
const MAX_REQUESTS: u64 = 2000;
/// Cache size in bytes: enough for the tables of an index, or for the blocks that ffmpeg alternates between.
const CACHE_SIZE: usize = 16 << 20;

/// Bytes between two ranges that are read and thrown away, because another request takes longer.
const GAP: u64 = 64 << 10;
/// Most bytes of several ranges that are read by one request.
const MAX_EXTENT: u64 = 8 << 20;

/// The length of the header of an ID3 tag, which states the length of the tag.
const ID3_HEADER: u64 = 10;

/// Number of concurrent range requests.
const PARALLEL: usize = 16;

/// An object and its cached extents.
pub struct Source {
    /// Bytes at the start of the object that are not part of the source.
    skipped: u64,
    size: u64,
    reader: Box<dyn RangeReader>,
    limits: Stats,
    state: Mutex<State>,
}

/// Counters of a source's reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of range requests.
    pub requests: u64,
    /// Number of requested bytes.
    pub bytes: u64,
}

/// An error of a read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The read would exceed a limit on bytes or requests.
    #[error("the read would exceed the limit for this object")]
    Limit,
}

impl Error {
    /// Converts the error for a reader that reads from another source.
    pub(crate) fn into_read_error(self) -> ReadError {
        match self {
            Self::Read(error) => error,
            Self::Limit => ReadError::Fault(Fault::new("read a part of an object", &self)),
        }
    }
}

#[derive(Default)]
struct State {
    /// The cached extents, by their offset in the object.
    extents: BTreeMap<u64, Bytes>,
    insertion_order: VecDeque<u64>,
    cached_bytes: usize,
    /// Ranges that are not evicted.
    pinned: Pinned,
    stats: Stats,
    /// Requests and bytes beyond the limits.
    allowed: Stats,
}

impl Source {
    /// Creates a source over an object of `size` bytes.
    #[must_use]
    pub fn new(size: u64, reader: impl RangeReader + 'static) -> Self {
        let limits = Stats { requests: MAX_REQUESTS, bytes: MAX_READ };
        Self { skipped: 0, size, reader: Box::new(reader), limits, state: Mutex::default() }
    }

    /// Leaves out an ID3 tag at the start of the object. Some programs put such a tag before files of any format; the
    /// offsets that a file states do not count it. Reads `ahead` bytes of the object at once.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub async fn without_tag(mut self, ahead: u64) -> Result<Self, Error> {
        let head = self.read_ahead(0, ID3_HEADER, ahead).await?;
        let tag = id3_len(&head).map_or(0, |len| len as u64);
        if (1..self.size).contains(&tag) {
            self.skipped = tag;
            self.size -= tag;
            self.state = Mutex::default();
        }
        Ok(self)
    }

    /// Raises the limits to twice the object's size plus the default, because encoding reads the whole object.
    #[must_use]
    pub fn allow_full_read(mut self) -> Self {
        let bytes = self.size.saturating_mul(2).saturating_add(MAX_READ);
        self.limits = Stats { requests: MAX_REQUESTS + bytes / (64 << 10), bytes };
        self
    }

    /// Returns the object's size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of bytes at the start of the object that are not part of the source.
    pub(crate) const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns how much has been read so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    /// Reads a range, clamped to the object's size, and caches it.
    ///
    /// # Errors
    /// Fails if the object cannot be read, or if the read would exceed a limit.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let len = range.end.saturating_sub(range.start);
        self.read_ahead(range.start, len, len).await
    }

    /// Reads `len` bytes from `offset`, like [`Source::read`]. On a cache miss it fetches and caches up to `ahead`
    /// bytes, because the bytes that follow are usually needed next.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub async fn read_ahead(&self, offset: u64, len: u64, ahead: u64) -> Result<Bytes, Error> {
        let end = offset.saturating_add(len).min(self.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let head = self.state().cached_from(offset);
        let got = offset + head.len() as u64;
        if got >= end {
            return Ok(head.slice(..to_usize(end - offset)));
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
        self.state().insert(offset, bytes.clone());
        Ok(bytes.slice(..to_usize(end - offset).min(bytes.len())))
    }

    /// Returns the cached bytes that start at `offset`, without a request.
    pub(crate) fn cached(&self, offset: u64) -> Bytes {
        self.state().cached_from(offset)
    }

    /// Reads a range without caching it, because a frame is read only once.
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
            let cached = state.cached_from(range.start);
            if cached.len() as u64 >= len {
                return Ok(cached.slice(..to_usize(len)));
            }
            // Counted before the response arrives, so that concurrent requests cannot exceed the limit together.
            if state.stats.bytes.saturating_add(len) > self.limits.bytes.saturating_add(state.allowed.bytes)
                || state.stats.requests >= self.limits.requests + state.allowed.requests
            {
                return Err(Error::Limit);
            }
            state.stats.requests += 1;
            state.stats.bytes += len;
        }
        let bytes = self.reader.read_range(range.start + self.skipped..range.end + self.skipped).await?;
        if bytes.len() as u64 != len {
            // The object has these bytes, or its entity tag would be another one.
            let cause = format!("the response has {} bytes instead of {len}", bytes.len());
            return Err(ReadError::from(Fault::message("read a range", cause)).into());
        }
        Ok(bytes)
    }

    /// Reads ranges without caching them, in the given order. Those that are stored close together take one request.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub async fn fetch_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let mut all = Vec::with_capacity(ranges.len());
        let mut rest = ranges;
        while let Some(first) = rest.first() {
            let mut extent = first.clone();
            let near = rest.iter().take_while(|range| {
                let fits = extent.start <= range.start
                    && range.start <= extent.end.saturating_add(GAP)
                    && range.end.max(extent.end) - extent.start <= MAX_EXTENT;
                if fits {
                    extent.end = extent.end.max(range.end);
                }
                fits
            });
            let (now, later) = rest.split_at(near.count().max(1));
            rest = later;
            let bytes = self.fetch(extent.clone()).await?;
            let at = |offset: u64| to_usize(offset.saturating_sub(extent.start)).min(bytes.len());
            all.extend(
                now.iter().map(|range| bytes.slice(at(range.start)..at(range.end).max(at(range.start)))),
            );
        }
        Ok(all)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the cached bytes that start at `offset`, up to the end of their extent.
    fn cached_from(&self, offset: u64) -> Bytes {
        let before = self.extents.range(..=offset).next_back();
        let cached = before.map_or_else(Bytes::new, |(start, bytes)| {
            bytes.slice(bytes.len().min(to_usize(offset - start))..)
        });
        let pinned = self.pinned.from(offset);
        if pinned.len() > cached.len() { pinned } else { cached }
    }

    fn insert(&mut self, offset: u64, bytes: Bytes) {
        if bytes.len() > CACHE_SIZE {
            return;
        }
        // Extents inside the new one are redundant, and `cached_from` would stop at their end.
        let end = offset + bytes.len() as u64;
        let within =
            self.extents.range(offset..end).filter(|(start, bytes)| *start + bytes.len() as u64 <= end);
        for start in within.map(|(start, _)| *start).collect::<Vec<_>>() {
            self.evict(start);
        }
        self.cached_bytes += bytes.len();
        self.extents.insert(offset, bytes);
        self.insertion_order.push_back(offset);
        while self.cached_bytes > CACHE_SIZE
            && let Some(oldest) = self.insertion_order.front().copied()
        {
            self.evict(oldest);
        }
    }

    fn evict(&mut self, start: u64) {
        self.cached_bytes -= self.extents.remove(&start).map_or(0, |bytes| bytes.len());
        self.insertion_order.retain(|cached| *cached != start);
    }
}

/// Runs reads of a source concurrently and returns their results in the same order.
pub(crate) async fn in_parallel<T, E>(reads: Vec<impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    stream::iter(reads).buffered(PARALLEL).try_collect().await
}

/// Converts an offset into a buffer. Larger than `usize` saturates, because no buffer has that size.
pub(crate) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use upreel_core::range::RangeRead;

    use super::*;

    /// An object of any size whose bytes are computed from their offset.
    struct Pattern;

    impl RangeReader for Pattern {
        fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
            Box::pin(async { Ok(pattern(range)) })
        }
    }

    /// An object whose reads fail.
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
    async fn a_tag_at_the_start_is_not_part_of_the_source() {
        let tag = [&b"ID3\x04\0\0\0\0\x01\x02"[..], &[0; 130]].concat();
        for ahead in [0, 64, 1000] {
            let object = Bytes::from([&tag[..], b"the file"].concat());
            let source = Source::new(object.len() as u64, object).without_tag(ahead).await.unwrap();
            assert_eq!((source.size(), &source.read(0..100).await.unwrap()[..]), (8, &b"the file"[..]));
            let source = Arc::new(source);
            let (without, with) = (source.whole(false), source.whole(true));
            assert_eq!((without.size(), &without.read(4..8).await.unwrap()[..]), (8, &b"file"[..]));
            assert_eq!((with.size(), &with.read(0..3).await.unwrap()[..]), (148, &b"ID3"[..]));

            assert_eq!(source.fetch(4..8).await.unwrap()[..], b"file"[..]);
        }
        for untagged in [tag.clone(), b"ID3".to_vec(), b"no tag at all".to_vec()] {
            let object = Bytes::from(untagged.clone());
            let source = Source::new(object.len() as u64, object).without_tag(0).await.unwrap();
            assert_eq!(source.read(0..1000).await.unwrap(), untagged);
        }
    }

    #[tokio::test]
    async fn reads_any_range_and_caches_it() {
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
    async fn read_ahead_saves_requests() {
        let source = source(10_000);
        assert_eq!(source.read_ahead(100, 8, 500).await.unwrap(), pattern(100..108));
        assert_eq!(source.read(200..600).await.unwrap(), pattern(200..600));
        assert_eq!(source.cached(590), pattern(590..600));
        assert_eq!(source.cached(600), Bytes::new());
        assert_eq!(source.stats(), Stats { requests: 1, bytes: 500 });
    }

    #[tokio::test]
    async fn small_cached_extent_does_not_hide_a_larger_one() {
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
    async fn cache_size_is_bounded() {
        let source = source(MAX_READ);
        for i in 0..40 {
            source.read(i << 20..(i + 1) << 20).await.unwrap();
        }
        assert_eq!(source.state().cached_bytes, CACHE_SIZE);
        assert_eq!(source.state().extents.len(), CACHE_SIZE >> 20);
        let before = source.stats().requests;
        source.read(39 << 20..40 << 20).await.unwrap();
        assert_eq!(source.stats().requests, before, "the newest extent is still cached");
    }

    #[tokio::test]
    async fn reads_beyond_the_limits_are_errors() {
        let large = source(u64::MAX);
        let mut at = 0;
        while let Ok(bytes) = large.fetch(at..at + (1 << 20)).await {
            at += bytes.len() as u64;
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
    async fn response_of_another_length_is_a_fault() {
        let source = Source::new(10, Bytes::from_static(b"short"));
        assert_eq!(source.read(0..5).await.unwrap(), "short");
        for range in [0..6, 5..6, 9..10] {
            assert!(matches!(source.fetch(range).await, Err(Error::Read(ReadError::Fault(_)))));
        }
    }

    #[tokio::test]
    async fn failed_read_is_an_error_and_can_be_retried() {
        let source = Source::new(10, Broken);
        assert!(matches!(source.read(0..1).await, Err(Error::Read(ReadError::Fault(_)))));
        assert!(source.read(0..1).await.is_err());
    }
}
