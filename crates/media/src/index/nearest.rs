//! Finds the keyframe nearest to a time.

use super::{Index, Track};
use crate::keyframe::{Error, Keyframe};
use crate::source::Source;

/// Largest keyframe, in bytes; an uncompressed 4K frame is smaller. Larger ones are left to ffmpeg, which reads them
/// piece by piece.
const MAX_KEYFRAME: u64 = 36 << 20;
/// Largest total of the samples that are decoded only because a keyframe depends on them, in bytes.
const MAX_LEAD_INS: u64 = 8 << 20;

impl Index {
    /// Returns the keyframe nearest to a playing time in milliseconds, or `None` if the index does not lead to it: fragments
    /// and Clusters that nothing lists, and large files of containers without an index.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn nearest(&self, source: &Source, ms: u64) -> Result<Option<Keyframe>, Error> {
        let found = match &self.track {
            Track::Mp4(track) => track.nearest(source, ms).await?,
            Track::Matroska(track) => track.nearest(source, ms).await?,
            Track::Avi(track) => track.nearest(ms).cloned(),
            Track::Stream(track) => track.nearest(source, ms).await?,
        };
        let mut found: Vec<Keyframe> = found.into_iter().collect();
        retain_readable(&mut found, source.size());
        Ok(found.pop())
    }
}

/// Removes keyframes that are too large, or not in an object of this size.
pub(super) fn retain_readable(keyframes: &mut Vec<Keyframe>, size: u64) {
    let mut lead_ins = 0;
    keyframes.retain(|keyframe| {
        lead_ins += keyframe.bytes().saturating_sub(keyframe.range.end.saturating_sub(keyframe.range.start));
        (keyframe.lead_in.is_empty() || lead_ins <= MAX_LEAD_INS)
            && keyframe.ranges().all(|range| {
                range.start < range.end && range.end <= size && range.end - range.start <= MAX_KEYFRAME
            })
    });
}
