//! The event notifications of S3.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// Everything that S3 encodes in the keys of events.
const NOT_IN_EVENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

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
    pub(crate) fn event(&self, sequencer: u64) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventName": self.event_name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": self.bucket, "arn": format!("arn:aws:s3:::{}", self.bucket)},
                "object": {
                    "key": form_encode(self.key),
                    "size": self.size,
                    "eTag": self.etag,
                    "sequencer": format!("{sequencer:016X}"),
                },
            },
        }]})
    }
}

/// Encodes a key as S3 does in events: as form data, but with slashes.
fn form_encode(key: &str) -> String {
    // A percent sign in the key is encoded too, so every `%20` is a space.
    utf8_percent_encode(key, NOT_IN_EVENT).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::form_encode;

    #[test]
    fn encodes_keys_as_s3_does() {
        assert_eq!(form_encode("videos/a b/c+d%20é*.mp4"), "videos/a+b/c%2Bd%2520%C3%A9*.mp4");
        assert_eq!(form_encode("eu-central-1:x_y~"), "eu-central-1%3Ax_y%7E");
    }
}
