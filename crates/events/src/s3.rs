//! S3 event notifications.

use aws_lambda_events::s3::S3Entity;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use upreel_core::video::Record;
use upreel_core::{Fault, Sequencer};

use crate::{PARSE, unknown};

/// An object that was written to the uploads bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The object's key, decoded.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The position of this write among the writes of the same key.
    pub sequencer: Sequencer,
}

impl Created {
    /// Returns the event that a row belongs to.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        Some(Self {
            key: record.key.clone(),
            size: record.video.size?,
            etag: record.etag.clone()?,
            sequencer: record.sequencer.clone()?,
        })
    }
}

/// Returns the written object of a record of S3, or `None` if it is about something else.
pub(crate) fn parse(record: &Value) -> Result<Option<Created>, Fault> {
    if !record["eventName"].as_str().is_some_and(|name| name.starts_with("ObjectCreated:")) {
        return Ok(None);
    }
    let entity = S3Entity::deserialize(&record["s3"]).map_err(|error| Fault::new(PARSE, &error))?;
    object(entity).map(Some).ok_or_else(|| unknown("missing or malformed object field"))
}

/// Returns the event notification for an object that was written. The reverse of [`parse`](crate::parse).
#[must_use]
pub fn event(created: &Created) -> Value {
    notification("", "ObjectCreated:Put", created)
}

/// Returns the event notification for a write to `bucket` with an event name such as `ObjectCreated:Put`.
#[must_use]
pub fn notification(bucket: &str, name: &str, created: &Created) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": format!("arn:aws:s3:::{bucket}")},
            "object": {
                "key": form_encode(&created.key),
                "size": created.size,
                "eTag": created.etag,
                "sequencer": created.sequencer,
            },
        },
    }]})
}

/// Encodes a key as S3 does in events: as form data, but with slashes.
fn form_encode(key: &str) -> String {
    // A percent sign in the key is encoded too, so every `%20` is a space.
    utf8_percent_encode(key, NOT_IN_EVENT).to_string().replace("%20", "+")
}

/// Everything that S3 encodes in the keys of events.
const NOT_IN_EVENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

fn object(entity: S3Entity) -> Option<Created> {
    // Keys are form-encoded: `+` is a space.
    let key = entity.object.key?.replace('+', " ");
    Some(Created {
        key: percent_decode_str(&key).decode_utf8().ok()?.into_owned(),
        size: entity.object.size?.try_into().ok()?,
        etag: entity.object.e_tag?,
        sequencer: entity.object.sequencer?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, parse};

    fn s3(name: &str, key: &str) -> Value {
        json!({"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "b"}, "object": {
            "key": key, "size": 7, "eTag": "e", "sequencer": "0A"}}})
    }

    fn created(event: &Value) -> Vec<Created> {
        let events = parse(event).unwrap().into_iter();
        events
            .filter_map(|event| if let Event::Created(created) = event { Some(created) } else { None })
            .collect()
    }

    fn keys(event: &Value) -> Vec<String> {
        created(event).into_iter().map(|created| created.key).collect()
    }

    #[test]
    fn finds_objects_in_all_wrappings() {
        let put = s3("ObjectCreated:Put", "videos/u/a%2Bb+c%3A.mp4");
        let two = json!({"Records": [put, s3("ObjectCreated:CompleteMultipartUpload", "x")]});
        assert_eq!(keys(&two), ["videos/u/a+b c:.mp4", "x"]);
        let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": two.to_string()}]});
        assert_eq!(keys(&sqs).len(), 2);
        let destination = json!({"requestPayload": two, "requestContext": {"condition": "RetriesExhausted"}});
        let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": destination.to_string()}]});
        assert_eq!(keys(&sqs).len(), 2);
    }

    #[test]
    fn events_round_trip() {
        let key = "videos/a b/c+d%20é*.mp4";
        assert_eq!(form_encode(key), "videos/a+b/c%2Bd%2520%C3%A9*.mp4");
        assert_eq!(form_encode("eu-central-1:x_y~"), "eu-central-1%3Ax_y%7E");
        let object = Created { key: key.into(), size: 7, etag: "e".into(), sequencer: Sequencer::lowest() };
        assert_eq!(created(&event(&object)), [object]);
    }

    #[test]
    fn other_events_have_no_objects() {
        assert_eq!(keys(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})).len(), 0);
        assert_eq!(keys(&json!({"Records": [s3("ObjectRemoved:Delete", "x")]})).len(), 0);
    }

    #[test]
    fn unknown_event_is_an_error() {
        let mut incomplete = s3("ObjectCreated:Put", "x");
        incomplete["s3"]["object"]["sequencer"] = Value::Null;
        for event in [json!({}), json!([]), json!({"Records": [incomplete]})] {
            assert!(parse(&event).is_err(), "{event}");
        }
        let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": "{"}]});
        assert!(parse(&sqs).is_err());
    }
}
