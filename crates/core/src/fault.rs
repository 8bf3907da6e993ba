//! Errors on our side: in AWS, the network, the machine or this code.

use std::error::Error;

/// An error on our side that a retry may resolve.
///
/// A client's mistake is a problem (an HTTP error response). A defect of a video is a [`Failure`](crate::Failure),
/// which is recorded and not retried.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct Fault {
    operation: &'static str,
    cause: String,
}

impl Fault {
    /// Wraps the error that ended `operation`, with the chain of its sources.
    pub fn new(operation: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            cause = format!("{cause}: {error}");
            source = error.source();
        }
        Self { operation, cause }
    }

    /// Creates a fault of `operation` from a message, without an error to wrap.
    pub fn message(operation: &'static str, cause: impl Into<String>) -> Self {
        Self { operation, cause: cause.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_operation_and_every_source() {
        let io = std::io::Error::other("connection reset");
        assert_eq!(Fault::new("s3:GetObject", &io).to_string(), "s3:GetObject: connection reset");
        let outer = Fault::new("read the plan", &Fault::message("s3:GetObject", "timed out"));
        assert_eq!(outer.to_string(), "read the plan: s3:GetObject: timed out");
    }
}
