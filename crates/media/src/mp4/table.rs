//! A table in a full box: entries of fixed size.

use std::ops::Range;

use super::boxes::{Fields, Header, Reader};
use crate::keyframe::Error;
use crate::source::Source;

/// Limit of bytes read from one table: two million samples.
pub(super) const MAX_TABLE_BYTES: u64 = 16 << 20;

/// The location of a table in the object.
#[derive(Debug, Clone)]
pub(super) struct Table {
    range: Range<u64>,
    pub(super) entry_size: u64,
}

impl Table {
    /// Opens the table of a full box: a count, and entries of `entry_size` bytes.
    pub(super) async fn open(reader: &Reader<'_>, header: &Header, entry_size: u64) -> Result<Self, Error> {
        let at = header.body.start + 4;
        let mut head = Fields(reader.read(at.min(header.body.end)..(at + 4).min(header.body.end), 4).await?);
        let declared = u64::from(head.u32().unwrap_or(0));
        // Clamp the count to the entries that fit into the box.
        let room = header.body.end.saturating_sub(at + 4) / entry_size;
        Ok(Self { range: at + 4..at + 4 + declared.min(room) * entry_size, entry_size })
    }

    /// Returns a table of `len` bytes, or as many as the box has, after the first `skip` bytes of its body.
    pub(super) fn bytes_of(header: &Header, skip: u64, len: u64) -> Self {
        let start = (header.body.start + skip).min(header.body.end);
        Self { range: start..start.saturating_add(len).min(header.body.end), entry_size: 1 }
    }

    /// Returns the table that fills the rest of `range` after the header of a full box and the count.
    pub(super) fn after_header(range: Range<u64>, entry_size: u64) -> Self {
        let start = range.start.saturating_add(16).min(range.end);
        Self { range: start..range.end, entry_size }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes() / self.entry_size
    }

    pub(super) fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Reads a range of entries.
    pub(super) async fn read(&self, source: &Source, entries: Range<u64>) -> Result<Fields, Error> {
        let at = |entry: u64| self.range.start + entry.min(self.len()) * self.entry_size;
        let (start, end) = (at(entries.start), at(entries.end));
        if end.saturating_sub(start) > MAX_TABLE_BYTES {
            return Err(Error::Unknown("table exceeds the size limit"));
        }
        Ok(Fields(source.read(start..end).await?))
    }

    /// Reads the first entries, as many as fit into `limit` bytes.
    pub(super) async fn read_prefix(&self, source: &Source, limit: u64) -> Result<Fields, Error> {
        self.read(source, 0..limit / self.entry_size).await
    }
}
