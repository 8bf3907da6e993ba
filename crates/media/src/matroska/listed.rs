//! Lists the frames of tracks.

use super::clusters::{Blocks, Frame, Start};
use crate::remux::{MAX_ALL_SAMPLES, MAX_SAMPLES, Refusal, Sample, Unplayable};

/// The frames of a track, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The number of the track.
    pub(crate) number: u64,
    /// The times are in ticks of the file. A frame that follows another in the same block has the time of that one.
    pub(crate) samples: Vec<Sample>,
    /// The first bytes of each frame.
    pub(crate) starts: Vec<Start>,
}

impl Listed {
    pub(super) const fn new(number: u64) -> Self {
        Self { number, samples: Vec::new(), starts: Vec::new() }
    }

    /// Adds those of the frames in a later part of the file that are not in this one.
    pub(super) fn followed_by(mut self, later: &Self) -> Self {
        let last = self.samples.last().map(|last| last.offset);
        let new = later.samples.iter().zip(&later.starts).filter(|(sample, _)| Some(sample.offset) > last);
        for (sample, start) in new {
            self.samples.push(*sample);
            self.starts.push(*start);
        }
        self
    }
}

/// Adds the frames of all blocks to those of their tracks, up to the block after which `is_enough`.
pub(super) async fn list(
    blocks: &mut Blocks<'_>,
    tracks: &mut [Listed],
    mut is_enough: impl FnMut(&[Listed]) -> bool,
) -> Result<(), Unplayable> {
    let mut total = 0;
    while let Some(block) = blocks.next().await? {
        let Some(track) = tracks.iter_mut().find(|track| track.number == block.track) else { continue };
        let time = i64::try_from(block.time).map_err(|_| Refusal("TIMES"))?;
        for Frame { range, start } in blocks.frames(&block).await?.ok_or(Refusal("NO_INDEX"))? {
            let size = u32::try_from(range.end - range.start).unwrap_or(0);
            if size > 0 {
                let offset = range.start;
                track.samples.push(Sample { offset, size, duration: 0, time, is_sync: block.key });
                track.starts.push(start);
            }
        }
        total += 1;
        if track.samples.len() as u64 > MAX_SAMPLES || total > MAX_ALL_SAMPLES {
            return Err(Refusal("TOO_LONG").into());
        }
        if is_enough(tracks) {
            break;
        }
    }
    Ok(())
}
