//! The results of the container readers: keyframes and cut points.

use std::ops::Range;

use bytes::Bytes;

use crate::source;

/// Size of the first read of an object, in bytes. It often covers the whole index.
pub const HEAD: u64 = 64 * 1024;

/// A frame that can be decoded without any other, or with a few that are stored before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyframe {
    /// The presentation time, in milliseconds from the start.
    pub time_ms: u64,
    /// The byte range in the object.
    pub range: Range<u64>,
    /// The byte ranges of the samples to decode before it, which are not shown: an edit list left them out.
    pub lead_in: Vec<Range<u64>>,
}

impl Keyframe {
    /// Creates a keyframe that can be decoded without any other frame.
    #[must_use]
    pub const fn new(time_ms: u64, range: Range<u64>) -> Self {
        Self { time_ms, range, lead_in: Vec::new() }
    }

    /// Returns the byte ranges of the samples to decode, in this order.
    pub fn ranges(&self) -> impl Iterator<Item = &Range<u64>> {
        self.lead_in.iter().chain([&self.range])
    }

    /// Returns the number of bytes to read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges().fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)))
    }
}

/// The bytes of a [`Keyframe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameData {
    /// The samples to decode before it.
    pub lead_in: Vec<Bytes>,
    /// The sample that is shown.
    pub shown: Bytes,
}

/// The points where a video can be cut into chunks that are decoded independently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutPoints {
    /// Ticks per second.
    pub scale: u32,
    /// The presentation times, in ticks, ascending: of the keyframes, and of the first frame of each edit, which is decoded
    /// from a keyframe that is not presented.
    pub times: Vec<i64>,
    /// Of Matroska: for each of the `times` the offset of the keyframe's Cluster, and that of its block in the Cluster's data
    /// if it is known.
    pub places: Vec<(u64, Option<u64>)>,
    /// The start of the presentation, which is time 0 of the media info and of [`Keyframe`]s. `None` if the index does
    /// not tell: then the presentation begins with the stream that begins first.
    pub begin: Option<i64>,
    /// The edits of the film, each as the one of `times` at which it starts, and the end of its last frame. An edit can
    /// present any frames of the media, in any order and more than once. Empty if there is no edit list.
    pub edits: Vec<(i64, i64)>,
    /// Whether the index lists all samples, so that slices have exactly the audio that a chunk needs.
    pub lists_samples: bool,
}

/// An error of reading an index.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The object has no video track.
    #[error("no video track")]
    NoVideo,
    /// The samples are encrypted.
    #[error("encrypted")]
    Encrypted,
    /// The index is damaged, unsupported, or implausibly large. ffmpeg may still be able to read the object.
    #[error("{0}")]
    Unknown(&'static str),
}

/// Returns the keyframe nearest to a playing time in milliseconds.
pub(crate) fn nearest(keyframes: &[Keyframe], ms: u64) -> Option<&Keyframe> {
    keyframes.iter().min_by_key(|keyframe| keyframe.time_ms.abs_diff(ms))
}

/// Returns the middles of `n` equal spans, as fractions of the whole.
#[expect(clippy::cast_precision_loss, reason = "`n` is a few hundred at most")]
pub(crate) fn span_middles(n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| (i as f64 + 0.5) / n as f64)
}

/// Orders offsets so that the first ones are spread over all of them, however many follow.
pub(crate) fn interleaved(offsets: Vec<u64>) -> Vec<u64> {
    let bits = offsets.len().next_power_of_two().trailing_zeros();
    let mut order: Vec<(u64, u64)> = (0u64..)
        .zip(offsets)
        .map(|(i, offset)| (i.reverse_bits().unbounded_shr(64 - bits), offset))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, offset)| offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_offsets_are_spread_over_all() {
        assert_eq!(interleaved((0..8).collect()), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(interleaved((0..5).collect()), [0, 4, 2, 1, 3]);
        assert_eq!((interleaved(vec![7]), interleaved(Vec::new())), (vec![7], Vec::new()));
    }
}
