//! Blocks in Clusters (RFC 9559, sections 5.1.3 and 10).

use std::ops::Range;

use futures_util::future::try_join;

use super::cues::Cue;
use super::ebml::{self, children, id};
use super::window::{Element, Window};
use super::{Track, ticks_to_ms};
use crate::keyframe::Keyframe;
use crate::source::{Error, Source};

/// The start of a Cluster, or of a block, with what may surround it.
const NEAR: u64 = 4096;
/// What one keyframe may take when there is only the Cluster to start from.
const SEARCH_MAX: u64 = 2 << 20;
/// What one read takes on such a search.
const STEP: u64 = 256 << 10;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// When it is shown, in ticks of the segment.
    pub(super) time: u64,
    pub(super) key: bool,
    /// Its data, from the track's number on.
    pub(super) place: Range<u64>,
}

/// Walks through blocks. Clusters are not walked as the levels that they are: whatever says where the next
/// element is leads on, so those of unknown size need no care.
pub(super) struct Blocks<'a> {
    track: &'a Track,
    window: Window<'a>,
    at: u64,
    /// Where the present Cluster starts, and its timestamp.
    cluster: Option<u64>,
    timestamp: Option<u64>,
    /// Whether a `BlockGroup` of the track is a keyframe because the Cues say so. Else what is behind its
    /// block has to be read.
    trust: bool,
}

impl<'a> Blocks<'a> {
    pub(super) const fn new(track: &'a Track, window: Window<'a>, at: u64) -> Self {
        Self { track, window, at, cluster: None, timestamp: None, trust: false }
    }

    /// From the start of a Cluster to its block that starts `offset` bytes into the data.
    async fn jump(&mut self, offset: u64) -> Result<bool, Error> {
        let Some(cluster) = self.window.element(self.at).await?.filter(|it| it.id == id::CLUSTER) else {
            return Ok(false);
        };
        let start = self.window.read(cluster.data, 256).await?;
        self.timestamp = timestamp(start);
        self.at = cluster.data.saturating_add(offset);
        self.trust = true;
        Ok(self.timestamp.is_some())
    }

    /// The next block.
    pub(super) async fn next(&mut self) -> Result<Option<Block>, Error> {
        let limit = self.track.segment.end;
        while self.at < limit
            && let Some(element) = self.window.element(self.at).await?
        {
            if element.id == id::CLUSTER {
                (self.cluster, self.timestamp) = (Some(self.at), None);
                self.at = element.data;
                continue;
            }
            let Some(end) = element.end(limit) else { break };
            self.at = end;
            let block = match element.id {
                id::TIMESTAMP if end - element.data <= 8 => {
                    self.timestamp = ebml::uint(self.window.read(element.data, end - element.data).await?);
                    None
                }
                id::SIMPLE_BLOCK => self.block(element.data..end).await?,
                id::BLOCK_GROUP => self.group(&element, end).await?,
                _ => None,
            };
            if block.is_some() {
                return Ok(block);
            }
        }
        Ok(None)
    }

    /// The next keyframe of the track.
    pub(super) async fn next_key(&mut self) -> Result<Option<Block>, Error> {
        while let Some(block) = self.next().await? {
            if block.key && block.track == self.track.number {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// A `BlockGroup` (section 5.1.3.5): a keyframe refers to no other block.
    async fn group(&mut self, group: &Element, end: u64) -> Result<Option<Block>, Error> {
        let mut found = None;
        let mut refers = false;
        let mut at = group.data;
        while at < end
            && let Some(element) = self.window.element(at).await?
            && let Some(next) = element.end(end)
        {
            match element.id {
                id::BLOCK => {
                    found = self.block(element.data..next).await?;
                    if self.trust || found.as_ref().is_some_and(|found| found.track != self.track.number) {
                        break;
                    }
                }
                id::REFERENCE_BLOCK => refers = true,
                _ => {}
            }
            at = next;
        }
        // If the limit was reached before the group's end, it is not known.
        let key = self.trust || (!refers && at == end);
        Ok(found.map(|block| Block { key, ..block }))
    }

    async fn block(&mut self, place: Range<u64>) -> Result<Option<Block>, Error> {
        let start = self.window.read(place.start, Header::MAX.min(place.end - place.start)).await?;
        let header = Header::parse(start);
        Ok(header.zip(self.timestamp).map(|(header, timestamp)| Block {
            track: header.track,
            // A time before the start is shown at the start.
            time: timestamp.saturating_add_signed(header.time.into()),
            key: header.flags & 0x80 != 0,
            place,
        }))
    }
}

/// The start of a block (section 10.1).
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

/// The timestamp at the start of a Cluster's data. It comes first, but for a checksum and the like; no more of
/// them are passed over, because this is asked of each place that looks like a Cluster.
pub(super) fn timestamp(data: &[u8]) -> Option<u64> {
    let early = [id::CRC_32, id::VOID, id::POSITION, id::PREV_SIZE];
    let first = children(data).take(8).find(|child| !early.contains(&child.id))?;
    ebml::uint(first.data).filter(|_| first.id == id::TIMESTAMP)
}

impl Track {
    /// The keyframe at a cue; `None` if there is none.
    pub(super) async fn locate(&self, source: &Source, cue: Cue) -> Result<Option<Keyframe>, Error> {
        let Some(cluster) = self.segment.start.checked_add(cue.cluster) else { return Ok(None) };
        let mut found = None;
        if let Some(offset) = cue.block {
            // Exact, if the muxer was; else the Cluster is walked.
            found = self.pointed(source, cluster, offset).await?;
        }
        if found.is_none() {
            found = self.search(source, cluster, cue.time).await?;
        }
        Ok(found.and_then(|block| self.keyframe(block)))
    }

    async fn pointed(&self, source: &Source, cluster: u64, offset: u64) -> Result<Option<Block>, Error> {
        if offset > NEAR / 2 {
            // Both places at once. A Cluster's data begin a little after its start.
            let block = cluster.saturating_add(offset);
            let both = (
                source.read(cluster..cluster.saturating_add(NEAR)),
                source.read(block..block.saturating_add(NEAR + ebml::HEAD_MAX)),
            );
            try_join(both.0, both.1).await?;
        }
        let mut blocks = Blocks::new(self, Window::new(source, NEAR, NEAR, 8 * NEAR), cluster);
        if !blocks.jump(offset).await? {
            return Ok(None);
        }
        let at = blocks.at;
        let block = blocks.next().await?;
        // A block further on is not the one that was meant.
        let meant = |block: &Block| block.key && block.track == self.number && block.place.start - at <= NEAR;
        Ok(block.filter(meant))
    }

    /// The first keyframe of a Cluster at or after a time.
    async fn search(&self, source: &Source, cluster: u64, time: u64) -> Result<Option<Block>, Error> {
        let mut blocks = Blocks::new(self, Window::new(source, NEAR, STEP, SEARCH_MAX), cluster);
        while let Some(block) = blocks.next_key().await? {
            if blocks.cluster != Some(cluster) {
                break;
            }
            if block.time >= time {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The first keyframe at or after an element.
    pub(super) async fn first(&self, source: &Source, at: u64) -> Result<Option<Keyframe>, Error> {
        let mut blocks = Blocks::new(self, Window::new(source, NEAR, STEP, SEARCH_MAX), at);
        Ok(blocks.next_key().await?.and_then(|block| self.keyframe(block)))
    }

    pub(super) fn keyframe(&self, block: Block) -> Option<Keyframe> {
        Some(Keyframe { time_ms: ticks_to_ms(block.time, self.scale)?, range: block.place })
    }
}
