//! Why a video has no pictures, told apart by whose fault that is.

use upreel_core::{Fault, ReadError};

use crate::{keyframe, source};

/// Why there is no picture. All but `Fault` say something about the object, and would come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is empty, or larger than is allowed.
    #[error("{size} bytes, of at most {max}")]
    Size {
        /// Bytes.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// The bytes are of no known container.
    #[error("not a video")]
    Unsupported,
    /// There is no moving picture in it.
    #[error("no video stream")]
    NoVideo,
    /// It is damaged, or its codec is unknown.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// It needs more time or reading than is allowed.
    #[error("too complex")]
    TooComplex,
    /// The object is gone, or is another one now.
    #[error("the object is gone or was replaced")]
    Gone,
    /// A fault of ours or of S3.
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
