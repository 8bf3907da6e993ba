//! What the readers of containers find: keyframes, and points where a video can be cut.

use std::ops::Range;

use crate::source;

/// What the first read of an object takes: often the whole index.
pub const HEAD: u64 = 64 * 1024;

/// A picture that can be decoded without another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyframe {
    /// When it is shown, in milliseconds from the start.
    pub time_ms: u64,
    /// Where its bytes are.
    pub range: Range<u64>,
}

/// Where a video can be cut into parts that can be decoded each for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutPoints {
    /// Ticks in a second.
    pub scale: u32,
    /// No two pictures are nearer to each other than this, in ticks.
    pub step: i64,
    /// When the keyframes are shown, in ticks, as ffmpeg counts them (`-copyts`); ascending.
    pub times: Vec<i64>,
    /// From when on there is no sound, if the index tells.
    pub audio_end: Option<i64>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// There is no moving picture in it.
    #[error("no video track")]
    NoVideo,
    /// It is damaged, of an unknown kind, or larger than any honest one: ffmpeg may know better.
    #[error("{0}")]
    Unknown(&'static str),
}

/// The middles of `n` equal spans, as fractions of the whole.
#[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
pub(crate) fn span_middles(n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| (i as f64 + 0.5) / n as f64)
}
