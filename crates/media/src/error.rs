//! Errors of making previews and renditions, which distinguish unusable videos from faults on our or AWS's side.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
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
    /// The first bytes match no supported container. The name of the format, if it is a well-known one.
    #[error("unsupported format: {}", .0.unwrap_or("unknown"))]
    Unsupported(Option<&'static str>),
    /// The container holds no video stream.
    #[error("no video stream")]
    NoVideo,
    /// The samples are encrypted.
    #[error("encrypted")]
    Encrypted,
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

impl Error {
    /// Returns whether the error is a property of the bytes, so that a retry fails again. Otherwise the object is no
    /// longer the same, or there was a fault on our or AWS's side.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::Gone | Self::Fault(_))
    }
}

/// Runs an `operation` on an object, until the deadline.
///
/// A panic is a defect of this code, but the bytes of the object lead to it, and would again. So it does not count as a
/// fault.
pub(crate) async fn run<T>(
    operation: &'static str,
    deadline: Instant,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout_at(deadline, AssertUnwindSafe(future).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let message = panic_message(panic.as_ref());
            tracing::error!(operation, message, "panicked");
            Err(Error::Unreadable(format!("{operation}: panicked: {message}")))
        }
        Err(late) => Err(Error::Fault(Fault::new(operation, &late))),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
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
            keyframe::Error::Encrypted => Self::Encrypted,
            keyframe::Error::Unknown(why) => Self::Unreadable(why.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_permanent_and_a_timeout_is_a_fault() {
        let run = |future| run("test", Instant::now() + Duration::from_millis(10), future);
        assert!(matches!(run(async { Ok(7) }.boxed()).await, Ok(7)));
        let panicked = run(async { panic!("number {}", 7) }.boxed()).await.unwrap_err();
        assert_eq!(panicked.to_string(), "unreadable: test: panicked: number 7");
        assert!(panicked.is_permanent());
        let late = run(pending().boxed()).await.unwrap_err();
        assert!(matches!(late, Error::Fault(_)) && !late.is_permanent() && !Error::Gone.is_permanent());
    }
}
