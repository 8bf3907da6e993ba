//! Reads element headers of an object without reading the data between them.

use bytes::Bytes;

use super::ebml::{self, HEAD_MAX};
use crate::source::{Error, Source};

/// A lower bound of the average size of elements, in bytes. Elements can take two bytes, but a file with video frames
/// has larger ones on average.
const ELEMENT: u64 = 16;

/// A buffer over a range of the object that moves along with the reads, within limits on bytes and elements.
pub(super) struct Window<'a> {
    source: &'a Source,
    start: u64,
    bytes: Bytes,
    /// The size of the next read.
    next_read: u64,
    /// The largest size of a read.
    max_read: u64,
    /// The bytes that may still be read.
    budget: u64,
    /// The elements that may still be read.
    elements_left: u64,
}

/// The header of an element in the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) id: u32,
    /// The offset of its data.
    pub(super) data: u64,
    /// The size of its data, or `None` if unknown.
    pub(super) size: Option<u64>,
}

impl Element {
    /// Returns the offset of its end, or `None` if the size is unknown or the end is after `limit`.
    pub(super) fn end(&self, limit: u64) -> Option<u64> {
        self.data.checked_add(self.size?).filter(|end| *end <= limit)
    }
}

impl<'a> Window<'a> {
    /// Creates an empty window. The first read takes `first` bytes, and each further one four times as many, up to
    /// `max_read`. All reads together take about `budget` bytes.
    pub(super) const fn new(source: &'a Source, first: u64, max_read: u64, budget: u64) -> Self {
        Self {
            source,
            start: 0,
            bytes: Bytes::new(),
            next_read: first,
            max_read,
            budget,
            elements_left: budget / (4 * ELEMENT) + 1000,
        }
    }

    /// Fills the window with the `bytes` at `start`, which have already been read.
    pub(super) fn over(self, start: u64, bytes: Bytes) -> Self {
        let elements = self.elements_left + bytes.len() as u64 / ELEMENT;
        Self { start, bytes, elements_left: elements, ..self }
    }

    /// Returns whether the window contains the header of an element at `at`.
    pub(super) fn holds_header(&self, at: u64) -> bool {
        self.get(at, HEAD_MAX).is_some()
    }

    /// Returns `len` bytes at `at`, clamped to the object's size, or `None` if the window does not contain them.
    fn get(&self, at: u64, len: u64) -> Option<&[u8]> {
        let end = at.saturating_add(len).min(self.source.size());
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(end.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..to)
    }

    /// Reads `len` bytes at `at`. Returns fewer at the end of the object or when the budget is used up.
    pub(super) async fn read(&mut self, at: u64, len: u64) -> Result<&[u8], Error> {
        if self.get(at, len).is_none() {
            let ahead = self.next_read.max(len).min(self.budget);
            self.budget -= ahead;
            self.next_read = (self.next_read * 4).min(self.max_read);
            // Counts against the budget even if the source has the bytes in its cache.
            (self.start, self.bytes) = (at, self.source.cached(at));
            self.bytes.truncate(usize::try_from(ahead).unwrap_or(usize::MAX));
            if self.get(at, len).is_none() {
                self.bytes = self.source.read(at..at.saturating_add(ahead)).await?;
            }
        }
        // Fewer bytes if the budget is used up.
        Ok(self.get(at, len).unwrap_or(&self.bytes))
    }

    /// Reads the header of the element at `at`. Returns `None` if it is invalid or a limit is reached.
    pub(super) async fn element(&mut self, at: u64) -> Result<Option<Element>, Error> {
        let Some(elements) = self.elements_left.checked_sub(1) else { return Ok(None) };
        self.elements_left = elements;
        let head = ebml::head(self.read(at, HEAD_MAX).await?);
        Ok(head.and_then(|head| {
            Some(Element { id: head.id, data: at.checked_add(head.len as u64)?, size: head.size })
        }))
    }
}
