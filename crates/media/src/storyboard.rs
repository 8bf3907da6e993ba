//! Up to 100 keyframes as one picture, and a WebVTT file that tells a player which part is when.

use std::path::Path;

use bytes::Bytes;
use tokio::time::Instant;

use crate::index::Index;
use crate::poster::Error;
use crate::source::Source;

/// Pictures for scrubbing.
#[derive(Debug)]
pub struct Storyboard {
    /// All tiles, row by row.
    pub jpeg: Bytes,
    /// Which tile is when, with `#xywh=` of the image (Media Fragments URI 1.0).
    pub vtt: String,
}

/// Makes the storyboard of a video whose index is known. `image` is what the WebVTT file calls the picture.
///
/// # Errors
/// See [`Error`].
pub async fn make(
    _source: &Source,
    _index: &Index,
    _image: &str,
    _ffmpeg: &Path,
    _deadline: Instant,
) -> Result<Storyboard, Error> {
    Err(Error::Unsupported)
}
