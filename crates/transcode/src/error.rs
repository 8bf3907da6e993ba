//! Errors of a task, and the failures that users see.

use upreel_core::{Failure, Fault};

/// Why a task did not complete.
#[derive(Debug)]
pub enum Error {
    /// The video cannot be transcoded; a retry would fail again.
    Video(Failure),
    /// A fault on our or AWS's side; the task should be retried.
    Fault(Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Returns the fault for an object that was deleted or replaced. If that is true, the event of the new object or the
/// deletion ends the run; a retry finds out.
pub(crate) fn gone() -> Error {
    Error::Fault(Fault::message("read the object", "it was deleted or replaced"))
}

/// Returns the failure for a record without a container.
pub(crate) fn unknown_container() -> Error {
    Error::Video(Failure::new(Failure::UNREADABLE, "The format of the video is not known."))
}

/// Returns `None`, so that the video is encoded as one chunk without an index, unless the object could not be read.
pub(crate) fn fall_back_without_index<T>(error: upreel_media::Error) -> Result<Option<T>, Error> {
    match error {
        upreel_media::Error::Fault(fault) => Err(fault.into()),
        upreel_media::Error::Gone => Err(gone()),
        _ => Ok(None),
    }
}

/// Converts an error of encoding a chunk.
pub(crate) fn failure(error: upreel_media::Error) -> Error {
    use upreel_media::Error::{Encrypted, Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
    let (code, message) = match error {
        Fault(fault) => return fault.into(),
        Gone => return gone(),
        NoVideo => (Failure::NO_VIDEO, "The file has no video stream."),
        Encrypted => (Failure::ENCRYPTED, "The file is encrypted. Upload it without DRM."),
        TooComplex => (Failure::TOO_COMPLEX, "The video is too complex to transcode."),
        Unreadable(why) => {
            tracing::warn!(why, "chunk cannot be encoded");
            (Failure::UNREADABLE, "The file is damaged, or its codec is not supported.")
        }
        Size { .. } | Unsupported(_) => {
            (Failure::UNSUPPORTED_MEDIA, "The file is not a video in a supported format.")
        }
    };
    Error::Video(Failure::new(code, message))
}
