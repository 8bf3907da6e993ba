//! One table in a box: a count, and entries of the same width.

use std::ops::Range;

use super::boxes::{Fields, Header, Reader};
use crate::keyframe::Error;
use crate::source::Source;

/// What is read of a table at the most.
pub(super) const FULL: u64 = 8 << 20;

/// Entries of the same width, somewhere in the object.
#[derive(Debug, Clone)]
pub(super) struct Table {
    place: Range<u64>,
    pub(super) width: u64,
}

impl Table {
    /// A full box with a count and entries of `width` bytes; `skip` more bytes precede the count.
    pub(super) async fn open(
        reader: &Reader<'_>,
        header: &Header,
        skip: u64,
        width: u64,
    ) -> Result<Self, Error> {
        let at = header.body.start + 4 + skip;
        let mut head = Fields(reader.read(at.min(header.body.end)..(at + 4).min(header.body.end), 4).await?);
        let declared = u64::from(head.u32().unwrap_or(0));
        // A count that the box has no room for is cut, whatever it says.
        let room = header.body.end.saturating_sub(at + 4) / width;
        Ok(Self { place: at + 4..at + 4 + declared.min(room) * width, width })
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes() / self.width
    }

    pub(super) fn bytes(&self) -> u64 {
        self.place.end - self.place.start
    }

    /// Some of the entries.
    pub(super) async fn read(&self, source: &Source, entries: Range<u64>) -> Result<Fields, Error> {
        let at = |entry: u64| self.place.start + entry.min(self.len()) * self.width;
        let (start, end) = (at(entries.start), at(entries.end));
        if end.saturating_sub(start) > FULL {
            return Err(Error::Unknown("a table that is larger than any honest one"));
        }
        Ok(Fields(source.read(start..end).await?))
    }

    /// All entries, or as many of the first ones as fit into `limit` bytes.
    pub(super) async fn head(&self, source: &Source, limit: u64) -> Result<Fields, Error> {
        self.read(source, 0..limit / self.width).await
    }
}
