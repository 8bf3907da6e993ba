//! The time of signatures: AWS rejects requests that are signed too far in the past or the future.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use crate::faults::{Service, service};
use crate::http_api::{Query, respond};
use crate::s3;
use crate::world::World;

/// The difference that S3 tolerates.
const S3_TOLERANCE: Duration = Duration::from_mins(15);
/// The difference that the other services tolerate.
const TOLERANCE: Duration = Duration::from_mins(5);
/// The time that a presigned PUT request has at least when a client receives it: 5 minutes, less the longest invocation
/// and the tolerance of the functions' clock.
const MIN_REST: Duration = Duration::from_mins(3);
/// How far in the future a signature may be: the tolerance of the functions' clock.
const MAX_LEAD: Duration = Duration::from_secs(62);

/// Returns the response to a request that was signed at the wrong time.
pub(crate) fn refuse(request: &Request<Bytes>, now: SystemTime) -> Option<Response<Bytes>> {
    let signed = parse(request.headers().get("x-amz-date")?.to_str().ok()?)?;
    let difference = now.duration_since(signed).unwrap_or_else(|early| early.duration());
    if service(request) == Service::S3 {
        let refusal = || s3::error(StatusCode::FORBIDDEN, "RequestTimeTooSkewed");
        return (difference > S3_TOLERANCE).then(refusal);
    }
    let refusal = || respond(400, json!({"__type": "InvalidSignatureException"}).to_string());
    (difference > TOLERANCE).then(refusal)
}

/// Returns when a presigned request was signed, and when it expires.
pub(crate) fn validity(query: &Query) -> Option<(SystemTime, SystemTime)> {
    let (date, ttl) = (query.get("X-Amz-Date")?, query.get("X-Amz-Expires")?);
    let signed = parse(date)?;
    Some((signed, signed + Duration::from_secs(ttl.parse().ok()?)))
}

/// Parses a time such as `20261127T120000Z`.
fn parse(date: &str) -> Option<SystemTime> {
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
    let (day, time) = ([part(0..4), part(4..6), part(6..8)], [part(9..11), part(11..13), part(13..15)]);
    let text = format!("{}T{}Z", day.join("-"), time.join(":"));
    DateTime::from_str(&text, Format::DateTime).ok()?.try_into().ok()
}

impl World {
    /// A presigned PUT request is not dead on arrival.
    pub(crate) fn check_signature(&self, url: &str) {
        let now = self.network.clock.now();
        let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let is_good = validity(&Query::new(query)).is_some_and(|(signed, expires)| {
            expires.duration_since(now).is_ok_and(|rest| rest >= MIN_REST) && signed <= now + MAX_LEAD
        });
        if !is_good {
            self.violation(&format!("presigned for another time: {url}"));
        }
    }
}
