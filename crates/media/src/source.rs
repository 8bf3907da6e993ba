//! An object of which any range can be read: cached in blocks, counted, and limited.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use upreel_core::objects::ReadError;

/// What one request to S3 reads: large enough to cover an index or a keyframe in a few requests,
/// small enough to waste little. Measured against others in the prototypes.
pub const BLOCK: u64 = 512 * 1024;
/// Blocks that are kept; ffmpeg goes back and forth between an index and the samples.
const KEPT: usize = 32;
/// A poster that needs more than this is refused: a hostile file must not cost a download.
const MAX_READ: u64 = 256 * 1024 * 1024;

/// Reads one range of the object.
pub type Fetch = Box<dyn Fn(Range<u64>) -> BoxFuture<'static, Result<Bytes, ReadError>> + Send + Sync>;

/// An object, and what has been read of it.
pub struct Source {
    size: u64,
    fetch: Fetch,
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

/// Why no more can be read.
#[derive(Debug, Default)]
pub enum Stop {
    /// Nothing stopped it.
    #[default]
    No,
    /// The object could not be read.
    Read(ReadError),
    /// Reading on would pass the limit.
    Limit,
}

#[derive(Default)]
struct State {
    blocks: HashMap<u64, Arc<OnceCell<Bytes>>>,
    age: VecDeque<u64>,
    stats: Stats,
    stop: Stop,
}

/// A block could not be read; [`Source::stopped`] tells why.
#[derive(Debug, thiserror::Error)]
#[error("the source has stopped")]
pub struct Stopped;

impl Source {
    /// An object of `size` bytes, read by `fetch`.
    #[must_use]
    pub fn new(size: u64, fetch: Fetch) -> Self {
        Self { size, fetch, state: Mutex::default() }
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

    /// Why reading stopped, if it did; asked once.
    #[must_use]
    pub fn stopped(&self) -> Stop {
        std::mem::take(&mut self.state().stop)
    }

    /// The bytes from `offset` to the end of its block, at most up to `end`. Empty at the end.
    ///
    /// # Errors
    /// When the object cannot be read, or too much of it was read already.
    pub async fn read(&self, offset: u64, end: u64) -> Result<Bytes, Stopped> {
        let end = end.min(self.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let index = offset / BLOCK;
        let cell = self.state().cell(index);
        let block = cell.get_or_try_init(|| self.load(index)).await?;
        let within = |position: u64| usize::try_from(position - index * BLOCK).unwrap_or(usize::MAX);
        let stop = within(end).min(block.len());
        // A short answer ends the read as the end of the object would.
        Ok(block.slice(within(offset).min(stop)..stop))
    }

    async fn load(&self, index: u64) -> Result<Bytes, Stopped> {
        let range = index * BLOCK..(index * BLOCK + BLOCK).min(self.size);
        {
            let mut state = self.state();
            if state.stats.bytes + (range.end - range.start) > MAX_READ {
                state.stop = Stop::Limit;
                return Err(Stopped);
            }
            state.stats.requests += 1;
        }
        let result = (self.fetch)(range).await;
        let mut state = self.state();
        match result {
            Ok(block) => {
                state.stats.bytes += block.len() as u64;
                Ok(block)
            }
            Err(error) => {
                state.stop = Stop::Read(error);
                Err(Stopped)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The lock is never held over anything that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cell(&mut self, index: u64) -> Arc<OnceCell<Bytes>> {
        if let Some(cell) = self.blocks.get(&index) {
            return cell.clone();
        }
        if self.age.len() == KEPT
            && let Some(oldest) = self.age.pop_front()
        {
            self.blocks.remove(&oldest);
        }
        self.age.push_back(index);
        self.blocks.entry(index).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::Fault;

    fn pattern(range: Range<u64>) -> Bytes {
        range.map(|i| u8::try_from(i % 251).unwrap_or_default()).collect()
    }

    fn source(size: u64) -> Source {
        Source::new(size, Box::new(|range| Box::pin(async move { Ok(pattern(range)) })))
    }

    #[tokio::test]
    async fn any_range_is_the_object_s() {
        let size = 2 * BLOCK + 1000;
        let source = source(size);
        for (start, end) in
            [(0, 1), (BLOCK - 1, BLOCK + 1), (2 * BLOCK, size + 99), (size - 1, size), (size, size)]
        {
            let (mut at, mut got) = (start, Vec::new());
            loop {
                let part = source.read(at, end).await.unwrap();
                if part.is_empty() {
                    break;
                }
                at += part.len() as u64;
                got.extend_from_slice(&part);
            }
            assert_eq!(got, pattern(start..end.min(size)), "{start}..{end}");
        }
        assert_eq!(source.stats(), Stats { requests: 3, bytes: size }, "each block is fetched once");
    }

    #[tokio::test]
    async fn a_source_that_asks_for_too_much_is_stopped() {
        let source = source(10 * MAX_READ);
        let mut at = 0;
        while let Ok(part) = source.read(at, u64::MAX).await {
            at += part.len() as u64;
        }
        assert_eq!(at, MAX_READ);
        assert!(matches!(source.stopped(), Stop::Limit));
    }

    #[tokio::test]
    async fn a_failed_read_is_remembered_and_may_be_tried_again() {
        let fail = || ReadError::Fault(Fault::new("s3:GetObject", &std::io::Error::other("down")));
        let source = Source::new(10, Box::new(move |_| Box::pin(async move { Err(fail()) })));
        assert!(source.read(0, 1).await.is_err());
        assert!(matches!(source.stopped(), Stop::Read(ReadError::Fault(_))));
        assert!(matches!(source.stopped(), Stop::No));
    }
}
