//! Parsers of the events that AWS services send to the functions. They depend on no AWS client, so that they can be
//! fuzzed alone.

pub mod check;
pub mod s3;

use serde_json::Value;
use upreel_core::Fault;

use crate::check::Checked;
use crate::s3::Created;

const PARSE: &str = "parse the event";

/// An event of the thumbnail function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An object was written.
    Created(Created),
    /// A check of an object has a verdict.
    Checked(Checked),
}

/// Returns the events in an invocation of the thumbnail function. There is none for `s3:TestEvent` and other event names.
///
/// They can be wrapped by a Lambda destination, or in the body of an SQS message when the dead-letter queue is redriven.
///
/// # Errors
/// When the event is of an unknown type, or a field is missing or malformed.
pub fn parse(event: &Value) -> Result<Vec<Event>, Fault> {
    if event["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if let Some(payload) = event.get("requestPayload") {
        return parse(payload);
    }
    if event.get("detail-type").is_some() {
        let checked = check::parse(event).ok_or_else(|| unknown("missing or malformed object of a check"))?;
        return Ok(vec![Event::Checked(checked)]);
    }
    let records = event["Records"].as_array().ok_or_else(|| unknown("missing Records"))?;
    let mut events = Vec::new();
    for record in records {
        if record["eventSource"] == "aws:sqs" {
            let body = record["body"].as_str().ok_or_else(|| unknown("missing message body"))?;
            let event = serde_json::from_str(body).map_err(|error| Fault::new(PARSE, &error))?;
            events.extend(parse(&event)?);
        } else if let Some(created) = s3::parse(record)? {
            events.push(Event::Created(created));
        }
    }
    Ok(events)
}

fn unknown(cause: &str) -> Fault {
    Fault::message(PARSE, cause)
}
