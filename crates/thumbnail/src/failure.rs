//! The failures that users see.

use upreel_core::{Container, Failure};
use upreel_media::Error;

/// Converts an error to the failure that users see. `with_audio` says whether files with audio alone are accepted.
pub(crate) fn failure(error: &Error, with_audio: bool) -> Failure {
    use Error::{Encrypted, Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
    match error {
        Size { size: 0, .. } => Failure::new(Failure::EMPTY_FILE, "The file is empty."),
        Size { max, .. } => {
            Failure::new(Failure::TOO_LARGE, format!("The file exceeds the maximum size of {max} bytes."))
        }
        Unsupported(format) => {
            Failure::new(Failure::UNSUPPORTED_MEDIA, Container::unsupported(*format, with_audio))
        }
        NoVideo if with_audio => {
            Failure::new(Failure::NO_VIDEO, "The file has neither a video nor an audio stream.")
        }
        NoVideo => Failure::new(Failure::NO_VIDEO, "The file has no video stream."),
        Encrypted => Failure::new(Failure::ENCRYPTED, "The file is encrypted. Upload it without DRM."),
        TooComplex => Failure::new(Failure::TOO_COMPLEX, "The video is too complex to process."),
        Unreadable(_) | Gone | Fault(_) => {
            Failure::new(Failure::UNREADABLE, "The file is damaged, or its codec is not supported.")
        }
    }
}

/// Returns the failure of an object that exceeds the quota of its user.
pub(crate) fn over_quota() -> Failure {
    let message =
        "The file is larger than what was left of your storage. Delete videos, and upload it again.";
    Failure::new(Failure::QUOTA_EXCEEDED, message)
}
