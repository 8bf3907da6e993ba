//! Finds keyframes and the duration of a file without Cues or Duration, by searching for the ID of Clusters (RFC 9559,
//! section 25.1). Browsers record such files, and interrupted recordings leave them.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

use super::clusters::{self, Block, Blocks};
use super::cues::{middles, spread};
use super::ebml::{self, id};
use super::window::Window;
use super::{Track, ticks_to_ms};
use crate::keyframe::{Error, Keyframe, interleaved};
use crate::source::{self, Source, in_parallel};

/// Clusters up to this total size are read at once, because probing a smaller file would read as much.
const WALK_MAX: u64 = 8 << 20;
/// Bytes read in search of a Cluster: at first, and then in total.
const SEARCH_READS: [u64; 2] = [256 << 10, 1 << 20];
/// Sizes to which a probe grows in search of a Cluster.
const PROBE_READS: [u64; 6] = [128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
/// Bytes that all probes read. Once they are used up, the remaining ones are left out.
const PROBES_BUDGET: u64 = 20 << 20;
/// Probes at the same time.
const PARALLEL: usize = 4;
/// Limit of probes. More could exceed the limits of the source.
const PROBES_MAX: usize = 100;
/// Size of the first read from a Cluster to a keyframe, and limit of all of these reads.
const KEYFRAME_READ: u64 = 128 << 10;
const KEYFRAME_MAX: u64 = 1 << 20;
/// Largest plausible timestamp, in milliseconds: 30 days. With a later one the bytes are not a Cluster but part of a
/// frame.
const TIME_MAX: u64 = 30 * 24 * 3600 * 1000;

impl Track {
    /// Returns at most `n` keyframes: walks a small file, or probes a large one at evenly spaced offsets.
    pub(super) async fn scan(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let clusters = self.clusters_start..self.segment.end;
        let len = clusters.end.saturating_sub(clusters.start);
        if len <= WALK_MAX {
            return Ok(self.walk(source, clusters, n).await?);
        }
        let n = n.min(PROBES_MAX);
        let limit = source.stats().bytes.saturating_add(PROBES_BUDGET);
        let first = self.first_keyframe(source, clusters.start).await?;
        let mut found = Vec::new();
        let offsets = interleaved(middles(len, n).map(|offset| clusters.start + offset).collect());
        for offsets in offsets.chunks(PARALLEL) {
            if source.stats().bytes >= limit {
                break;
            }
            let probes = offsets.iter().map(|offset| self.probe(source, *offset..clusters.end)).collect();
            let blocks = in_parallel(probes).await?.into_iter().flatten();
            found.extend(blocks.filter_map(|(block, _)| self.keyframe(block)));
        }
        // The first keyframe replaces probes that found nothing.
        if found.len() < n {
            found.extend(first);
        }
        found.sort_by_key(|keyframe| keyframe.time_ms);
        found.dedup();
        Ok(found)
    }

    async fn walk(
        &self,
        source: &Source,
        range: Range<u64>,
        n: usize,
    ) -> Result<Vec<Keyframe>, source::Error> {
        let bytes = source.read(range.clone()).await?;
        let window = Window::new(source, 0, 0, 0).over(range.start, bytes);
        let mut blocks = Blocks::new(self, window, range.start);
        let mut all = Vec::new();
        while let Some(block) = blocks.next_key().await? {
            all.extend(self.keyframe(block));
        }
        all.sort_by_key(|keyframe| keyframe.time_ms);
        let times: Vec<_> = all.iter().map(|keyframe| keyframe.time_ms).collect();
        let duration = self.duration_ms.or(times.last().copied()).unwrap_or(0);
        Ok(spread(&times, duration, n).into_iter().filter_map(|i| all.get(i).cloned()).collect())
    }

    /// Returns the first keyframe at or after the first Cluster that starts in a range, and its Cluster: from its start to
    /// that of its data.
    pub(super) async fn probe(
        &self,
        source: &Source,
        range: Range<u64>,
    ) -> Result<Option<(Block, Range<u64>)>, source::Error> {
        let mut read = BytesMut::new();
        for window in PROBE_READS {
            let at = range.start + read.len() as u64;
            let end = range.start.saturating_add(window).min(range.end);
            // Not cached, because that would evict the index.
            read.extend_from_slice(&source.fetch(at..end).await?);
            let found = self.find_clusters(&read).next();
            if let Some(found) = found {
                let start = range.start + found as u64;
                let window = Window::new(source, KEYFRAME_READ, KEYFRAME_MAX, KEYFRAME_MAX)
                    .over(range.start, read.freeze());
                let mut blocks = Blocks::new(self, window, start);
                let block = blocks.next_key().await?;
                return Ok(block.zip(blocks.cluster));
            }
            if end == range.end {
                break;
            }
        }
        Ok(None)
    }

    /// Returns the offsets in `bytes` at which Clusters seem to start.
    fn find_clusters<'a>(&self, bytes: &'a [u8]) -> impl DoubleEndedIterator<Item = usize> + 'a {
        let latest =
            self.duration_ms.map_or(TIME_MAX, |duration| duration.saturating_add(duration / 8 + 60_000));
        let (scale, origin) = (self.scale, self.origin);
        let id = id::CLUSTER.to_be_bytes();
        let starts = memchr_iter(id[0], bytes).filter(move |at| bytes[*at..].starts_with(&id));
        starts.filter(move |at| {
            ebml::head(&bytes[*at..])
                .and_then(|head| clusters::timestamp(&bytes[at + head.len..]))
                .and_then(|time| ticks_to_ms(time.saturating_sub(origin), scale))
                .is_some_and(|time| time <= latest)
        })
    }

    /// Returns the end time of the last block, in milliseconds, for a file without Duration. `frame_duration` is that
    /// of the track's frames in milliseconds.
    pub(super) async fn end_time(
        &self,
        source: &Source,
        frame_duration: u64,
    ) -> Result<Option<u64>, source::Error> {
        for window in SEARCH_READS {
            let start = self.segment.end.saturating_sub(window).max(self.clusters_start);
            let bytes = source.read(start..self.segment.end).await?;
            if let Some(found) = self.find_clusters(&bytes).next_back() {
                return self.last_block_end(source, start, bytes.clone(), found, frame_duration).await;
            }
        }
        Ok(None)
    }

    /// Returns the latest end time of the blocks from the Cluster at `found` in `bytes` on.
    async fn last_block_end(
        &self,
        source: &Source,
        start: u64,
        bytes: Bytes,
        found: usize,
        frame_duration: u64,
    ) -> Result<Option<u64>, source::Error> {
        let window = Window::new(source, 0, 0, 0).over(start, bytes);
        let mut blocks = Blocks::new(self, window, start + found as u64);
        let mut last = None;
        while let Some(block) = blocks.next().await? {
            let duration = if block.track == self.number { frame_duration } else { 0 };
            last = last.max(ticks_to_ms(block.time, self.scale).map(|time| time.saturating_add(duration)));
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cluster, file, group, info, simple, source, tracks, unknown_size};
    use super::super::open;

    /// A file without Cues, with Clusters of one second, each with a keyframe after two other blocks.
    fn live(clusters: u64, frame: usize, unknown: bool) -> Vec<u8> {
        let clusters = (0..clusters).map(|second| {
            let keyframe = vec![0x1F; frame];
            let key = if second % 2 == 0 { simple } else { group };
            let blocks =
                [simple(1, 0, true, b"audio"), group(2, 1, false, b"."), key(2, 40, true, &keyframe)];
            let made = cluster(second * 1000, &blocks);
            if unknown { unknown_size(made) } else { made }
        });
        let made = file(&[info(0.0), tracks(), clusters.collect::<Vec<_>>().concat()]);
        if !unknown {
            return made;
        }
        let start = made.windows(4).position(|id| id == [0x18, 0x53, 0x80, 0x67]).unwrap();
        [&made[..start], &unknown_size(made[start..].to_vec())].concat()
    }

    #[tokio::test]
    async fn walks_a_small_file() {
        for unknown in [false, true] {
            let source = source(live(10, 1000, unknown));
            let (media_info, track) = open(&source).await.unwrap();
            // The last frame lasts 40 ms.
            assert_eq!(media_info.duration_ms, Some(9080));
            let found = track.keyframes(&source, 100).await.unwrap();
            let times: Vec<_> = found.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!(times, (0..10).map(|second| second * 1000 + 40).collect::<Vec<_>>());
            assert_eq!(source.stats().requests, 1);
        }
    }

    #[tokio::test]
    async fn probes_a_large_file() {
        for unknown in [false, true] {
            let source = source(live(80, 200_000, unknown));
            let (media_info, track) = open(&source).await.unwrap();
            assert_eq!(media_info.duration_ms, Some(79_080));
            let found = track.keyframes(&source, 4).await.unwrap();
            let times: Vec<_> = found.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!(times, [10_040, 30_040, 50_040, 70_040]);
            for keyframe in found {
                let bytes = source.fetch(keyframe.range).await.unwrap();
                assert_eq!(bytes.len(), 200_004);
            }
            assert!(source.stats().bytes < 3 << 20, "{:?}", source.stats());
        }
    }

    #[tokio::test]
    async fn cluster_id_inside_a_frame_is_ignored() {
        let fake = [0x1F, 0x43, 0xB6, 0x75, 0x8A, 0xE7, 0x88, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let keyframe = fake.repeat(200_000);
        let made: Vec<_> =
            (0..4).map(|second| cluster(second * 1000, &[simple(2, 0, true, &keyframe)])).collect();
        let source = source(file(&[info(4000.0), tracks(), made.concat()]));
        let (_, track) = open(&source).await.unwrap();
        let found = track.keyframes(&source, 8).await.unwrap();
        let times: Vec<_> = found.iter().map(|keyframe| keyframe.time_ms).collect();
        assert_eq!(times, [0, 1000, 2000, 3000]);
    }

    #[tokio::test]
    async fn file_without_clusters_has_no_keyframes() {
        for len in [0, 20 << 20] {
            let source = source(file(&[info(0.0), tracks(), vec![0; len]]));
            let (media_info, track) = open(&source).await.unwrap();
            assert_eq!(media_info.duration_ms, None);
            assert_eq!(track.keyframes(&source, 8).await.unwrap(), []);
        }
    }
}
