//! The events that start this function, in the shapes that AWS sends.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use upreel_core::{Fault, Sequencer};

/// An object was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The key's text.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The order of this write among those of the same key.
    pub sequencer: Sequencer,
}

/// Finds the written objects in an S3 notification, also in one that comes through SQS: as the body of
/// a message (the dead-letter queue's replay), or wrapped by a Lambda destination. `s3:TestEvent` and
/// other events have none.
///
/// # Errors
/// When the event is of another shape.
pub fn parse(event: &Value) -> Result<Vec<Created>, Fault> {
    if event["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if let Some(payload) = event.get("requestPayload") {
        return parse(payload);
    }
    let records = event["Records"].as_array().ok_or_else(|| unknown("no Records"))?;
    let mut created = Vec::new();
    for record in records {
        if record["eventSource"] == "aws:sqs" {
            let body = record["body"].as_str().ok_or_else(|| unknown("a message without a body"))?;
            let event =
                serde_json::from_str(body).map_err(|error| Fault::new("understand the event", &error))?;
            created.extend(parse(&event)?);
        } else if record["eventName"].as_str().is_some_and(|name| name.starts_with("ObjectCreated:")) {
            created
                .push(object(&record["s3"]["object"]).ok_or_else(|| unknown("an object without a field"))?);
        }
    }
    Ok(created)
}

fn object(object: &Value) -> Option<Created> {
    // Keys are form-encoded: a blank comes as a plus.
    let key = object["key"].as_str()?.replace('+', " ");
    Some(Created {
        key: percent_decode_str(&key).decode_utf8().ok()?.into_owned(),
        size: object["size"].as_u64()?,
        etag: object["eTag"].as_str()?.to_owned(),
        sequencer: object["sequencer"].as_str()?.parse().ok()?,
    })
}

fn unknown(what: &str) -> Fault {
    Fault::new("understand the event", &std::io::Error::other(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn s3(name: &str, key: &str) -> Value {
        json!({"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "b"}, "object": {
            "key": key, "size": 7, "eTag": "e", "sequencer": "0A"}}})
    }

    fn keys(event: &Value) -> Vec<String> {
        parse(event).unwrap().into_iter().map(|created| created.key).collect()
    }

    #[test]
    fn every_shape_gives_its_objects() {
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
    fn other_events_have_none() {
        assert_eq!(keys(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})).len(), 0);
        assert_eq!(keys(&json!({"Records": [s3("ObjectRemoved:Delete", "x")]})).len(), 0);
    }

    #[test]
    fn an_unknown_shape_is_no_silence() {
        let mut cut = s3("ObjectCreated:Put", "x");
        cut["s3"]["object"]["sequencer"] = Value::Null;
        for event in [json!({}), json!([]), json!({"Records": [cut]})] {
            assert!(parse(&event).is_err(), "{event}");
        }
        let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": "{"}]});
        assert!(parse(&sqs).is_err());
    }
}
