//! What can come in between, and what users are told of it.

use upreel_core::{Failure, Fault};

/// Why a task is not done.
pub(crate) enum Error {
    /// The video cannot be transcoded. To try again would be in vain.
    Video(Failure),
    /// A fault of ours or of AWS: to be tried again.
    Fault(Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(crate) fn gone() -> Error {
    Error::Video(Failure::new(
        Failure::UNREADABLE,
        "The file was removed or replaced while it was transcoded.",
    ))
}

/// Without an index a video can be done as a whole, unless it cannot be read at all.
pub(crate) fn fall_back_without_index<T>(error: upreel_media::Error) -> Result<Option<T>, Error> {
    match error {
        upreel_media::Error::Fault(fault) => Err(fault.into()),
        upreel_media::Error::Gone => Err(gone()),
        _ => Ok(None),
    }
}

pub(crate) fn failure(error: upreel_media::Error) -> Error {
    use upreel_media::Error::{Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
    let (code, message) = match error {
        Fault(fault) => return fault.into(),
        Gone => return gone(),
        NoVideo => (Failure::NO_VIDEO, "There is no picture in the file."),
        TooComplex => (Failure::TOO_COMPLEX, "The video is too complex to be transcoded."),
        Unreadable(why) => {
            tracing::warn!(why, "a chunk cannot be encoded");
            (Failure::UNREADABLE, "The file is damaged, or in a codec that is not supported.")
        }
        Size { .. } | Unsupported => {
            (Failure::UNSUPPORTED_MEDIA, "The file is not a video of a supported format.")
        }
    };
    Error::Video(Failure::new(code, message))
}
