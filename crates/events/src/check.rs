//! Verdicts of checks, as `EventBridge` delivers them: the one of `GuardDuty` Malware Protection for S3, and the one of a
//! moderator, which has the same shape.
//!
//! Such an event names the object by its entity tag. So it does not matter whether the object was replaced, and whether the
//! event is late or repeated.

use serde_json::{Value, json};
use upreel_core::check::{Check, CheckResult};
use upreel_core::video::Record;

use crate::s3::Created;

/// The `source` of the events of a moderator.
pub const MODERATION: &str = "upreel.moderation";
/// The `source` and the `detail-type` of a scan's result.
pub const SCAN: [&str; 2] = ["aws.guardduty", "GuardDuty Malware Protection Object Scan Result"];

/// An object that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The object's key.
    pub key: String,
    /// The kind of check.
    pub check: Check,
    /// The result, for the object with its entity tag (without quotes).
    pub result: CheckResult,
}

impl Checked {
    /// Returns the event to process now: that of the row, if it is not finished and belongs to the checked object. A verdict
    /// on an object that was replaced has no effect, and one that precedes the object's own event is found by that.
    #[must_use]
    pub fn event(&self, record: &Record) -> Option<Created> {
        let is_same = |created: &Created| created.key == self.key && created.etag == self.result.etag;
        Created::of(record).filter(is_same).filter(|_| record.state().is_unfinished())
    }
}

/// Returns what a verdict says, or `None` if it is none.
pub(crate) fn parse(event: &Value) -> Option<Checked> {
    let detail = &event["detail"];
    let (check, value) = if [&event["source"], &event["detail-type"]] == SCAN {
        (Check::Scan, &detail["scanResultDetails"]["scanResultStatus"])
    } else if event["source"] == MODERATION {
        (Check::Moderation, &detail["verdict"])
    } else {
        return None;
    };
    let object = &detail["s3ObjectDetails"];
    let text = |value: &Value| value.as_str().map(|text| text.trim_matches('"').to_owned());
    let result = CheckResult { etag: text(&object["eTag"])?, value: text(value)? };
    Some(Checked { key: text(&object["objectKey"])?, check, result })
}

/// Returns the event of `EventBridge` for the result of a check. The reverse of [`parse`](crate::parse).
#[must_use]
pub fn event(bucket: &str, checked: &Checked) -> Value {
    let CheckResult { etag, value } = &checked.result;
    let object = json!({"bucketName": bucket, "objectKey": checked.key, "eTag": etag});
    let ([source, kind], mut detail) = match checked.check {
        Check::Scan => (SCAN, json!({"scanResultDetails": {"scanResultStatus": value}})),
        Check::Moderation => ([MODERATION, "Verdict"], json!({"verdict": value})),
    };
    detail["s3ObjectDetails"] = object;
    json!({"version": "0", "source": source, "detail-type": kind, "detail": detail})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, parse};

    fn checked(check: Check) -> Checked {
        let result = CheckResult { etag: "e".to_owned(), value: "v".to_owned() };
        Checked { key: "videos/u/a b.mp4".to_owned(), check, result }
    }

    #[test]
    fn verdicts_name_the_object_in_all_wrappings() {
        for check in [Check::Scan, Check::Moderation] {
            let event = event("b", &checked(check));
            let mut quoted = event.clone();
            quoted["detail"]["s3ObjectDetails"]["eTag"] = json!("\"e\"");
            let destination = json!({"requestPayload": event});
            let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": event.to_string()}]});
            for event in [event, quoted, destination, sqs] {
                assert_eq!(parse(&event).unwrap(), [Event::Checked(checked(check))], "{event}");
            }
        }
    }

    #[test]
    fn other_events_of_the_bus_are_errors() {
        for (path, value) in [("source", "x"), ("detail-type", "GuardDuty Finding"), ("detail", "x")] {
            let mut event = event("b", &checked(Check::Scan));
            event[path] = json!(value);
            assert!(parse(&event).is_err(), "{path}");
        }
    }
}
