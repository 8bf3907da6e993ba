//! Filters the log events of `s3s`, which logs every refused request and every upload that a client aborts as an error.

use std::fmt::{Debug, Write};

use tracing::field::Field;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use crate::serve::INCOMPLETE;

/// Leaves out the events of `s3s` that are not faults of the local S3.
pub struct OnlyFaults;

impl<S> Filter<S> for OnlyFaults {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // The crates `s3s` and `s3s_fs`.
        if !event.metadata().target().starts_with("s3s") {
            return true;
        }
        let mut text = String::new();
        event.record(&mut |_: &Field, value: &dyn Debug| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{value:?} ");
        });
        is_fault(&text)
    }
}

/// Returns whether the text of an event contains an error of the server that the client has not caused.
fn is_fault(text: &str) -> bool {
    text.contains("code: InternalError") && !text.contains(INCOMPLETE)
}

#[cfg(test)]
mod tests {
    use std::io;

    use s3s::{S3Error, s3_error};

    use super::*;

    #[test]
    fn refusals_and_aborted_uploads_are_no_faults() {
        let logged = |error: S3Error| is_fault(&format!("op returns error {error:?}"));
        assert!(logged(S3Error::internal_error(io::Error::other("disk full"))));
        assert!(logged(s3_error!(InternalError)));
        assert!(!logged(s3_error!(NoSuchKey)) && !logged(s3_error!(AccessDenied, "InternalError")));
        let aborted = io::Error::new(io::ErrorKind::ConnectionAborted, INCOMPLETE);
        assert!(!logged(S3Error::internal_error(io::Error::other(aborted))));
    }
}
