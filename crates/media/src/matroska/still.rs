//! Tells a film from a still image in a codec of films.

use std::collections::BTreeMap;

use super::clusters::Blocks;
use super::tracks::Video;
use super::window::Window;
use super::{Track, cues};
use crate::keyframe::Error;
use crate::source::Source;

/// Bytes to read from the first Cluster on.
const READ: u64 = 1 << 20;
/// Frames that a film has in them.
const FRAMES: usize = 3;

impl Track {
    /// Returns the film: `first`, unless it is a still image and one of the `others` is not. A still image has a single
    /// cue, and at the start of the file no other frame. A film can have a single cue, too, so the frames are counted.
    pub(super) async fn moving(
        &self,
        source: &Source,
        first: Video,
        others: Vec<Video>,
    ) -> Result<Video, Error> {
        if others.is_empty() {
            return Ok(first);
        }
        let cues = self.cues_data(source).await?.unwrap_or_default();
        let keyframes = |video: &Video| cues::parse(&cues, video.number).len();
        if keyframes(&first) != 1 {
            return Ok(first);
        }
        let end = self.clusters_start.saturating_add(READ).min(self.segment.end);
        let bytes = source.fetch(self.clusters_start..end).await?;
        let window = Window::new(source, 0, 0, 0).over(self.clusters_start, bytes);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        let mut counts = BTreeMap::<u64, usize>::new();
        while let Some(block) = blocks.next().await? {
            *counts.entry(block.track).or_default() += 1;
        }
        let frames = |video: &Video| counts.get(&video.number).copied().unwrap_or(0);
        let is_still = frames(&first) <= 1;
        let film = others.into_iter().find(|other| frames(other) >= FRAMES || keyframes(other) > 1);
        Ok(film.filter(|_| is_still).unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ebml::id;
    use super::super::fixture::{cluster, cue, entry, file, info, master, seek_head, simple, size, source};
    use super::super::open;

    /// Returns the width of the film in a file with two video tracks of 16 and 320 pixels. They have frames at these
    /// times, and cues at some of them.
    async fn width(frames: [&[i16]; 2], cues: [&[u64]; 2]) -> Option<u32> {
        let entries = [entry(1, 1, "V_VP8", &[size(16, 16)]), entry(2, 1, "V_VP8", &[size(320, 180)])];
        let front =
            |cues| [seek_head(&[(id::CUES, cues)]), info(4000.0), master(id::TRACKS, &entries)].concat();
        let start = front(0).len() as u64;
        let blocks = [1, 2].into_iter().zip(frames).flat_map(|(track, times)| {
            times.iter().map(move |time| simple(track, *time, *time == 0, &[7; 50]))
        });
        let cluster = cluster(0, &blocks.collect::<Vec<_>>());
        let points = [1, 2]
            .into_iter()
            .zip(cues)
            .flat_map(|(track, times)| times.iter().map(move |time| cue(*time, track, start, None)));
        let points = master(id::CUES, &points.collect::<Vec<_>>());
        let bytes = file(&[front(start + cluster.len() as u64), cluster, points]);
        open(&source(bytes)).await.unwrap().0.width
    }

    #[tokio::test]
    async fn a_still_image_is_not_the_film() {
        const MANY: &[i16] = &[0, 40, 80, 120];
        assert_eq!(width([&[0], MANY], [&[0], &[0, 2000]]).await, Some(320));
        assert_eq!(width([&[0], MANY], [&[0], &[0]]).await, Some(320), "a film with one keyframe");
        assert_eq!(width([MANY, MANY], [&[0], &[0, 2000]]).await, Some(16), "two films");
        assert_eq!(width([&[0], MANY], [&[0, 2000], &[0, 2000]]).await, Some(16), "a slow film");
        assert_eq!(width([&[0], &[0]], [&[0], &[0]]).await, Some(16), "two still images");
    }
}
