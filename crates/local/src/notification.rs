//! The event notifications of S3, and the intents that precede them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use upreel_core::Sequencer;
use upreel_events::s3::{Created, notification};

/// A completed write to S3.
pub(crate) struct CompletedWrite<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    /// The `eventName`, such as `ObjectCreated:Put`.
    pub(crate) event_name: &'static str,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
}

impl CompletedWrite<'_> {
    /// Returns the event notification.
    pub(crate) fn event(&self, sequencer: Sequencer) -> Value {
        let created =
            Created { key: self.key.to_owned(), size: self.size, etag: self.etag.to_owned(), sequencer };
        notification(self.bucket, self.event_name, &created)
    }
}

/// The stored intent of a write to S3 that has begun. Its file is removed when it is dropped before the write is done.
pub(crate) struct Intent {
    pub(crate) path: PathBuf,
    pub(crate) id: String,
    pub(crate) done: bool,
}

impl Drop for Intent {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}
