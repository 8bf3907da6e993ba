//! Clusters and their blocks (RFC 9559, sections 5.1.3 and 10).

use std::ops::Range;

use super::Track;
use super::ebml::{self, children, id};
use super::lacing;
use super::window::{Element, Window};
use crate::source::Error;

/// A Block or `SimpleBlock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// The presentation time, in ticks of the Segment.
    pub(super) time: u64,
    pub(super) key: bool,
    /// The byte range of its data, which starts with the track number.
    pub(super) range: Range<u64>,
    /// The offset of its frame.
    pub(super) frame: u64,
    /// Its flags (section 10.2).
    pub(super) flags: u8,
    /// The byte range of the whole `SimpleBlock` or `BlockGroup`.
    pub(super) element: Range<u64>,
}

/// The first bytes of a frame, which tell how long it is.
pub(crate) type Start = [u8; 6];

/// A frame of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) range: Range<u64>,
    /// Its first bytes.
    pub(super) start: Start,
}

/// Iterates over blocks. It treats a Cluster's start and its children as one flat sequence of elements, so Clusters of
/// unknown size need no special handling.
pub(super) struct Blocks<'a> {
    /// The number of the film's track.
    film: u64,
    /// Where the last Cluster ends at the latest.
    limit: u64,
    window: Window<'a>,
    at: u64,
    /// The current Cluster: from its start to that of its data.
    pub(super) cluster: Option<Range<u64>>,
    /// The timestamp of the current Cluster.
    pub(super) timestamp: Option<u64>,
    /// The object ends within an element.
    is_truncated: bool,
}

impl<'a> Blocks<'a> {
    pub(super) const fn new(track: &Track, window: Window<'a>, at: u64) -> Self {
        Self::within(track.number, track.segment.end, window, at)
    }

    /// Iterates over the blocks from `at` to `limit`. `film` is the number of the film's track.
    pub(super) const fn within(film: u64, limit: u64, window: Window<'a>, at: u64) -> Self {
        Self { film, limit, window, at, cluster: None, timestamp: None, is_truncated: false }
    }

    /// Returns whether there is no block after the last one, or nothing whole.
    pub(super) const fn are_complete(&self) -> bool {
        self.at >= self.limit || self.is_truncated
    }

    /// Moves from the start of a Cluster to the block at `offset` in its data. Returns where that is, or `None` if there
    /// is no Cluster or it has no timestamp.
    pub(super) async fn seek_to_block(&mut self, offset: u64) -> Result<Option<u64>, Error> {
        let Some(cluster) = self.window.element(self.at).await?.filter(|it| it.id == id::CLUSTER) else {
            return Ok(None);
        };
        let start = self.window.read(cluster.data, 256).await?;
        self.timestamp = timestamp(start);
        self.cluster = Some(self.at..cluster.data);
        self.at = cluster.data.saturating_add(offset);
        Ok(self.timestamp.map(|_| self.at))
    }

    /// Returns the offset of the current Cluster.
    pub(super) fn cluster_start(&self) -> Option<u64> {
        self.cluster.as_ref().map(|cluster| cluster.start)
    }

    /// Returns the next block.
    pub(super) async fn next(&mut self) -> Result<Option<Block>, Error> {
        let limit = self.limit;
        while self.at < limit
            && let Some(element) = self.window.element(self.at).await?
        {
            if element.id == id::CLUSTER {
                (self.cluster, self.timestamp) = (Some(self.at..element.data), None);
                self.at = element.data;
                continue;
            }
            let Some(end) = element.end(limit) else {
                self.is_truncated = element.size.is_some();
                break;
            };
            let start = std::mem::replace(&mut self.at, end);
            let block = match element.id {
                id::TIMESTAMP if end - element.data <= 8 => {
                    self.timestamp = ebml::uint(self.window.read(element.data, end - element.data).await?);
                    None
                }
                id::SIMPLE_BLOCK => self.block(element.data..end).await?,
                id::BLOCK_GROUP => self.block_group(&element, end).await?,
                _ => None,
            };
            if let Some(block) = block {
                return Ok(Some(Block { element: start..end, ..block }));
            }
        }
        Ok(None)
    }

    /// Returns the next keyframe of the track.
    pub(super) async fn next_key(&mut self) -> Result<Option<Block>, Error> {
        while let Some(block) = self.next().await? {
            if block.key && block.track == self.film {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Returns the data of the last block, or less of it if a limit is reached.
    pub(super) async fn data(&mut self, block: &Block) -> Result<&[u8], Error> {
        self.window.read(block.range.start, block.range.end.saturating_sub(block.range.start)).await
    }

    /// Returns the first bytes of the last block's frame, at most `len`.
    pub(super) async fn start(&mut self, block: &Block, len: u64) -> Result<&[u8], Error> {
        self.window.read(block.frame, len.min(block.range.end.saturating_sub(block.frame))).await
    }

    /// Returns the frames of the last block, with the first bytes of each. Returns `None` if it is malformed.
    pub(super) async fn frames(&mut self, block: &Block) -> Result<Option<Vec<Frame>>, Error> {
        let len = block.range.end.saturating_sub(block.frame);
        let ranges = if lacing::is_laced(block.flags) {
            let start = self.window.read(block.frame, lacing::SIZES.min(len)).await?;
            let Some(ranges) = lacing::frames(block.flags, start, len) else { return Ok(None) };
            ranges
        } else {
            std::iter::once(0..len).collect()
        };
        let mut frames = Vec::new();
        for range in ranges {
            let range = block.frame + range.start..block.frame + range.end;
            let len = (size_of::<Start>() as u64).min(range.end - range.start);
            let start = self.window.read(range.start, len).await?;
            let start = std::array::from_fn(|i| start.get(i).copied().unwrap_or(0));
            frames.push(Frame { range, start });
        }
        Ok(Some(frames))
    }

    /// Reads a `BlockGroup` (section 5.1.3.5). It is a keyframe if it has no `ReferenceBlock`.
    async fn block_group(&mut self, group: &Element, end: u64) -> Result<Option<Block>, Error> {
        let mut found = None;
        let mut has_reference = false;
        let mut at = group.data;
        while at < end
            && let Some(element) = self.window.element(at).await?
            && let Some(next) = element.end(end)
        {
            match element.id {
                id::BLOCK => {
                    found = self.block(element.data..next).await?;
                    if found.as_ref().is_some_and(|found| found.track != self.film) {
                        break;
                    }
                }
                id::REFERENCE_BLOCK => has_reference = true,
                _ => {}
            }
            at = next;
        }
        // If a limit ended the walk before the group's end, a ReferenceBlock may follow.
        let key = !has_reference && at == end;
        Ok(found.map(|block| Block { key, ..block }))
    }

    async fn block(&mut self, range: Range<u64>) -> Result<Option<Block>, Error> {
        let start = self.window.read(range.start, Header::MAX.min(range.end - range.start)).await?;
        let header = Header::parse(start);
        Ok(header.zip(self.timestamp).map(|(header, timestamp)| Block {
            track: header.track,
            // Negative times are clamped to 0.
            time: timestamp.saturating_add_signed(header.time.into()),
            key: header.flags & 0x80 != 0,
            frame: range.start + header.len as u64,
            element: range.clone(),
            range,
            flags: header.flags,
        }))
    }
}

/// A block header (section 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) track: u64,
    pub(super) time: i16,
    pub(super) flags: u8,
    pub(super) len: usize,
}

impl Header {
    const MAX: u64 = 11;

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (track, at) = ebml::vint(bytes)?;
        let [high, low, flags] = bytes.get(at..at + 3)?.try_into().ok()?;
        Some(Self { track, time: i16::from_be_bytes([high, low]), flags, len: at + 3 })
    }
}

/// Returns the timestamp at the start of a Cluster's data. Only a checksum, padding and the like may precede it, and at
/// most 8 elements are read, because the scan calls this for everything that looks like a Cluster.
pub(super) fn timestamp(data: &[u8]) -> Option<u64> {
    let early = [id::CRC_32, id::VOID, id::POSITION, id::PREV_SIZE];
    let first = children(data).take(8).find(|child| !early.contains(&child.id))?;
    ebml::uint(first.data).filter(|_| first.id == id::TIMESTAMP)
}
