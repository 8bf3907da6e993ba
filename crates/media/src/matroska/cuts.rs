//! Where a film can be cut.
//!
//! The Cues of some files are wrong: muxers get positions or times wrong, and tools cut or join files without changing
//! them. So chunks start at keyframes that were found.

use std::ops::Range;

use super::Track;
use super::clusters::{Block, Blocks};
use super::cues::Cue;
use super::slices::{BUDGET, Key, READ};
use super::window::Window;
use crate::keyframe::{CutPoints, Error};
use crate::source::{self, Source, in_parallel};

impl Track {
    /// Returns what the Cues tell about the keyframes, or `None` if there are none or if a second is not a whole number of
    /// ticks.
    pub(crate) async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        let Some(scale) = self.ticks_per_second() else { return Ok(None) };
        let point = |cue: &Cue| {
            let cluster = self.segment.start.checked_add(cue.cluster)?;
            Some((i64::try_from(cue.time).ok()?, (cluster, cue.block)))
        };
        let (times, places): (Vec<_>, Vec<_>) = self.all_cues(source).await?.iter().filter_map(point).unzip();
        Ok((!times.is_empty()).then_some(CutPoints {
            scale,
            times,
            places,
            begin: i64::try_from(self.origin).ok(),
            edits: Vec::new(),
            lists_samples: false,
        }))
    }

    /// See [`Index::found_cuts`](crate::Index::found_cuts). The first keyframe of the film is always among them, because the
    /// first cue can be another one.
    pub(crate) async fn found_cuts(
        &self,
        source: &Source,
        cuts: &CutPoints,
        starts: &[i64],
    ) -> Result<CutPoints, source::Error> {
        let named = |start: &i64| {
            // A start that no cue names can be in the Cluster of the cue before it.
            let number = cuts.times.partition_point(|time| time <= start).checked_sub(1)?;
            Some(Key { time: u64::try_from(*start).ok()?, ..Key::of(cuts, number)? })
        };
        let searches = starts.iter().filter_map(named).map(|key| self.found(source, key)).collect();
        let others = in_parallel(searches).await?;
        let mut keys: Vec<Key> =
            self.first_key(source).await?.into_iter().chain(others.into_iter().flatten()).collect();
        keys.sort_unstable_by_key(|key| (key.time, key.cluster, key.block));
        // A chunk ends where the next one starts.
        let mut last: Option<Key> = None;
        keys.retain(|key| {
            let follows = last.is_none_or(|last| {
                key.time > last.time && (key.cluster, key.block) > (last.cluster, last.block)
            });
            if follows {
                last = Some(*key);
            }
            follows
        });
        let point = |key: Key| Some((i64::try_from(key.time).ok()?, (key.cluster, key.block)));
        let (times, places) = keys.into_iter().filter_map(point).unzip();
        Ok(CutPoints { times, places, ..cuts.clone() })
    }

    async fn first_key(&self, source: &Source) -> Result<Option<Key>, source::Error> {
        let window = Window::new(source, READ, READ, BUDGET);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        let block = blocks.next_key().await?;
        Ok(block.zip(blocks.cluster).map(|(block, cluster)| key(&block, &cluster)))
    }

    /// Finds the keyframe of a cue, or another one near it.
    async fn found(&self, source: &Source, cue: Key) -> Result<Option<Key>, source::Error> {
        let end = self.segment.end;
        if let Some((blocks, block)) = cue.find(source, (self.number, end), READ).await? {
            return Ok(blocks.cluster.map(|cluster| key(&block, &cluster)));
        }
        let probed = self.probe(source, cue.cluster..end).await?;
        Ok(probed.map(|(block, cluster)| key(&block, &cluster)))
    }
}

fn key(block: &Block, cluster: &Range<u64>) -> Key {
    let offset = block.element.start.saturating_sub(cluster.end);
    Key { time: block.time, cluster: cluster.start, block: Some(offset) }
}
