//! The elements of an object, without reading what is between their starts.

use bytes::Bytes;

use super::ebml::{self, HEAD_MAX};
use crate::source::{Error, Source};

/// Elements may be of two bytes, but in a file with a picture they have more than this on average.
const ELEMENT: u64 = 16;

/// A part of the object that follows the reader, within a limit on what it may read.
pub(super) struct Window<'a> {
    source: &'a Source,
    start: u64,
    bytes: Bytes,
    /// What the next read takes, and what a read takes at most.
    ahead: u64,
    most: u64,
    /// What may be read yet.
    left: u64,
    /// How many elements may be met yet.
    elements: u64,
}

/// The start of an element in the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) id: u32,
    /// Where its data begin.
    pub(super) data: u64,
    /// `None` if unknown.
    pub(super) size: Option<u64>,
}

impl Element {
    /// Where it ends, if that is known, and no later than `limit`.
    pub(super) fn end(&self, limit: u64) -> Option<u64> {
        self.data.checked_add(self.size?).filter(|end| *end <= limit)
    }
}

impl<'a> Window<'a> {
    /// The first read takes `first` bytes, each further one four times as many, `most` at most; together
    /// they take about `left`.
    pub(super) const fn new(source: &'a Source, first: u64, most: u64, left: u64) -> Self {
        Self {
            source,
            start: 0,
            bytes: Bytes::new(),
            ahead: first,
            most,
            left,
            elements: left / (4 * ELEMENT) + 1000,
        }
    }

    /// The same with the `bytes` from `start` read already.
    pub(super) fn over(self, start: u64, bytes: Bytes) -> Self {
        let elements = self.elements + bytes.len() as u64 / ELEMENT;
        Self { start, bytes, elements, ..self }
    }

    /// Whether the start of an element at `at` is there without a further read.
    pub(super) fn holds(&self, at: u64) -> bool {
        self.part(at, HEAD_MAX).is_some()
    }

    /// So many bytes, if they are there as far as the object goes.
    fn part(&self, at: u64, len: u64) -> Option<&[u8]> {
        let end = at.saturating_add(len).min(self.source.size());
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(end.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..to)
    }

    /// `len` bytes from `at`; fewer at the end of the object, or when the limit is reached.
    pub(super) async fn read(&mut self, at: u64, len: u64) -> Result<&[u8], Error> {
        if self.part(at, len).is_none() {
            let ahead = self.ahead.max(len).min(self.left);
            self.left -= ahead;
            self.ahead = (self.ahead * 4).min(self.most);
            // Counted alike, but not read again if the source has enough.
            (self.start, self.bytes) = (at, self.source.kept(at));
            self.bytes.truncate(usize::try_from(ahead).unwrap_or(usize::MAX));
            if self.part(at, len).is_none() {
                self.bytes = self.source.read(at..at.saturating_add(ahead)).await?;
            }
        }
        // The source gives less than it should if the object has shrunk.
        Ok(self.part(at, len).unwrap_or(&self.bytes))
    }

    /// The start of the element at `at`; `None` if there is none, or a limit is reached.
    pub(super) async fn element(&mut self, at: u64) -> Result<Option<Element>, Error> {
        let Some(left) = self.elements.checked_sub(1) else { return Ok(None) };
        self.elements = left;
        let head = ebml::head(self.read(at, HEAD_MAX).await?);
        Ok(head.and_then(|head| {
            Some(Element { id: head.id, data: at.checked_add(head.len as u64)?, size: head.size })
        }))
    }
}
