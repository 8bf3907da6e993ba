//! Errors of making previews and renditions, which distinguish unusable videos from faults on our or AWS's side.

use upreel_core::{Fault, ReadError};

use crate::{keyframe, source};

/// Why a video could not be processed. Every variant but `Fault` is a property of the object, so a retry fails again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is empty or exceeds the size limit.
    #[error("size is {size} bytes, the maximum is {max}")]
    Size {
        /// The object's size, in bytes.
        size: u64,
        /// The largest allowed size, in bytes.
        max: u64,
    },
    /// The first bytes match no supported container.
    #[error("unsupported container")]
    Unsupported,
    /// The container holds no video stream.
    #[error("no video stream")]
    NoVideo,
    /// The file is damaged or its codec is not supported.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// Processing would exceed a limit on CPU time, output or bytes read.
    #[error("too complex")]
    TooComplex,
    /// The object was deleted or replaced while it was read.
    #[error("object was deleted or replaced")]
    Gone,
    /// A fault on our or AWS's side.
    #[error(transparent)]
    Fault(Fault),
}

impl From<source::Error> for Error {
    fn from(error: source::Error) -> Self {
        match error {
            source::Error::Limit => Self::TooComplex,
            source::Error::Read(ReadError::Gone) => Self::Gone,
            source::Error::Read(ReadError::Fault(fault)) => Self::Fault(fault),
        }
    }
}

impl From<keyframe::Error> for Error {
    fn from(error: keyframe::Error) -> Self {
        match error {
            keyframe::Error::Source(error) => error.into(),
            keyframe::Error::NoVideo => Self::NoVideo,
            keyframe::Error::Unknown(why) => Self::Unreadable(why.to_owned()),
        }
    }
}
