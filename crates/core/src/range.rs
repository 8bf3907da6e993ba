//! Reading an object by byte ranges.

use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;

use crate::Fault;

/// A pending read of a byte range.
pub type RangeRead<'a> = Pin<Box<dyn Future<Output = Result<Bytes, ReadError>> + Send + 'a>>;

/// An object of which any byte range can be read: an S3 object, or bytes in memory for tests and fuzzing.
pub trait RangeReader: Send + Sync {
    /// Reads `range`, which is not empty and ends within the object.
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_>;
}

/// Why a byte range could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object was deleted, or replaced by another one (its `ETag` changed).
    #[error("the object was deleted or replaced")]
    Gone,
    /// The read failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl RangeReader for Bytes {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let bytes = self.slice(at(range.start)..at(range.end).max(at(range.start)));
        Box::pin(std::future::ready(Ok(bytes)))
    }
}
