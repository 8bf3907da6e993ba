//! Finds the keyframe that a cue points at.

use futures_util::future::try_join;

use super::Track;
use super::clusters::{Block, Blocks};
use super::cues::Cue;
use super::ebml;
use super::window::Window;
use crate::keyframe::Keyframe;
use crate::source::{Error, Source};

/// Size of the read at the start of a Cluster or block, with some margin.
const HEADER_READ: u64 = 4096;
/// Limit of bytes read in search of one keyframe in a Cluster.
const SEARCH_MAX: u64 = 2 << 20;
/// Largest read of such a search.
const SEARCH_READ: u64 = 256 << 10;

impl Track {
    /// Returns the keyframe that a cue points at, or `None` if there is none. If the time of the cue is wrong, this is
    /// another one of its Cluster.
    pub(super) async fn locate(&self, source: &Source, cue: Cue) -> Result<Option<Keyframe>, Error> {
        let Some(cluster) = self.segment.start.checked_add(cue.cluster) else { return Ok(None) };
        let mut found = None;
        if let Some(offset) = cue.block {
            // If the muxer wrote a wrong position, the Cluster is searched instead.
            found = self.block_at(source, cluster, offset).await?;
        }
        if found.is_none() {
            found = self.search(source, cluster, cue.time).await?;
        }
        Ok(found.and_then(|block| self.keyframe(block)))
    }

    /// Returns the keyframe at `offset` in a Cluster's data, or `None` if there is another block.
    async fn block_at(&self, source: &Source, cluster: u64, offset: u64) -> Result<Option<Block>, Error> {
        if offset > HEADER_READ / 2 {
            // Read both concurrently into the cache. The Cluster's data starts up to `HEAD_MAX` bytes after its start.
            let block = cluster.saturating_add(offset);
            let both = (
                source.read(cluster..cluster.saturating_add(HEADER_READ)),
                source.read(block..block.saturating_add(HEADER_READ + ebml::HEAD_MAX)),
            );
            try_join(both.0, both.1).await?;
        }
        let mut blocks =
            Blocks::new(self, Window::new(source, HEADER_READ, HEADER_READ, 8 * HEADER_READ), cluster);
        let Some(at) = blocks.seek_to_block(offset).await? else { return Ok(None) };
        let block = blocks.next().await?;
        // A block further on is not the one that the cue points at.
        let is_target =
            |block: &Block| block.key && block.track == self.number && block.range.start - at <= HEADER_READ;
        Ok(block.filter(is_target))
    }

    /// Returns the first keyframe of a Cluster at or after a time, or the last one before it.
    async fn search(&self, source: &Source, cluster: u64, time: u64) -> Result<Option<Block>, Error> {
        let mut blocks =
            Blocks::new(self, Window::new(source, HEADER_READ, SEARCH_READ, SEARCH_MAX), cluster);
        let mut before = None;
        while let Some(block) = blocks.next_key().await? {
            if blocks.cluster_start() != Some(cluster) {
                break;
            }
            if block.time >= time {
                return Ok(Some(block));
            }
            before = Some(block);
        }
        Ok(before)
    }

    /// Returns the first keyframe at or after an offset.
    pub(super) async fn first_keyframe(&self, source: &Source, at: u64) -> Result<Option<Keyframe>, Error> {
        let mut blocks = Blocks::new(self, Window::new(source, HEADER_READ, SEARCH_READ, SEARCH_MAX), at);
        Ok(blocks.next_key().await?.and_then(|block| self.keyframe(block)))
    }

    pub(super) fn keyframe(&self, block: Block) -> Option<Keyframe> {
        Some(Keyframe::new(self.time_ms(block.time)?, block.range))
    }
}
