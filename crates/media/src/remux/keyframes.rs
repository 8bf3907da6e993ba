//! Examines a few keyframes: whether decoding can start there, whatever the container says.

use super::media::{Sample, TrackSamples};
use super::{Refusal, Unplayable};
use crate::source::{Source, in_parallel};

/// Bytes of a keyframe to examine: up to its first slice.
const START: u64 = 4096;

/// Refuses a film whose keyframes are only points to recover at, after some frames (intra refresh). Encoders do so at all
/// keyframes but the first, so three of them are examined.
pub(super) async fn check(film: &TrackSamples, source: &Source) -> Result<(), Unplayable> {
    let Some(units) = film.entry.units else { return Ok(()) };
    let keyframes: Vec<&Sample> = film.samples.iter().filter(|sample| sample.is_sync).skip(1).collect();
    let mut chosen = vec![0, keyframes.len() / 2, keyframes.len().saturating_sub(1)];
    chosen.dedup();
    let chosen = chosen.into_iter().filter_map(|i| keyframes.get(i));
    let reads = chosen.map(|keyframe| {
        let end = keyframe.offset.saturating_add(u64::from(keyframe.size).min(START));
        source.fetch(keyframe.offset..end)
    });
    let starts = in_parallel(reads.collect()).await?;
    if starts.iter().all(|start| units.is_random_access(start)) {
        Ok(())
    } else {
        Err(Refusal("OPEN_GOP").into())
    }
}
