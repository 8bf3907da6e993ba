//! The faults of a call, and the plan that decides which call has one.

use bytes::Bytes;
use fastrand::Rng;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::http_api::respond;
use crate::s3;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500, and the call is not executed.
    InternalError,
    /// 500, although the call is executed.
    InternalErrorAfter,
    /// 500 three times, which exhausts the SDK's attempts.
    InternalErrorThrice,
    /// 503 `SlowDown`, or the service's equivalent.
    SlowDown,
    /// Throttled. `DynamoDB` answers with 400.
    Throttled,
    /// 404 once.
    NotFound,
    /// 409 once: S3's conflict of conditional writes, or `TransactionConflictException`.
    Conflict,
    /// 412 once. Only for conditional requests to S3.
    PreconditionFailed,
    /// 403 once.
    Forbidden,
    /// 400 `RequestTimeout`: S3 did not receive the body in time.
    RequestTimeout,
    /// The connection is reset before the call is executed.
    ResetBefore,
    /// The connection is reset after the call was executed: the response is lost.
    ResetAfter,
    /// The same for the first retry.
    ResetAfterTwice,
    /// No response, and the call is not executed.
    HangBefore,
    /// No response, although the call is executed.
    HangAfter,
    /// The call is executed after some seconds, even if the caller has given up by then.
    Slow,
    /// The connection is reset in the middle of the response's body.
    Truncated,
    /// The response's body is damaged.
    Malformed,
    /// The network delivers the call twice. The second execution comes up to 3 seconds later.
    Duplicate,
    /// The function is killed before the call is executed.
    KillBefore,
    /// The function is killed after the call was executed.
    KillAfter,
    /// Calls of this service fail with 500 until the invocation ends.
    Permanent,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 22] = [
        Self::InternalError,
        Self::InternalErrorAfter,
        Self::InternalErrorThrice,
        Self::SlowDown,
        Self::Throttled,
        Self::NotFound,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::Forbidden,
        Self::RequestTimeout,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ResetAfterTwice,
        Self::HangBefore,
        Self::HangAfter,
        Self::Slow,
        Self::Truncated,
        Self::Malformed,
        Self::Duplicate,
        Self::KillBefore,
        Self::KillAfter,
        Self::Permanent,
    ];

    /// How many calls in a row have the fault.
    pub(crate) fn times(self) -> usize {
        match self {
            Self::ResetAfterTwice => 2,
            Self::InternalErrorThrice => 3,
            Self::Permanent => usize::MAX,
            _ => 1,
        }
    }

    /// Returns whether a service can answer this request so.
    pub(crate) fn applies(self, request: &Request<Bytes>) -> bool {
        let is_s3 = service(request) == Service::S3;
        let is_conditional =
            ["if-match", "if-none-match"].iter().any(|name| request.headers().contains_key(*name));
        match self {
            Self::PreconditionFailed => is_s3 && is_conditional,
            // S3 has conflicts of conditional writes, and of completions with aborts.
            Self::Conflict => !is_s3 || (is_conditional && request.method() == Method::PUT),
            Self::RequestTimeout => is_s3,
            _ => true,
        }
    }

    /// Returns the error response, if the fault is one.
    pub(crate) fn response(self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let is_put = *request.method() == Method::PUT;
        let is_dynamodb = service(request) == Service::DynamoDb;
        let (status, s3_code, json_status, json_code) = match self {
            Self::InternalError | Self::InternalErrorAfter | Self::InternalErrorThrice | Self::Permanent => {
                (500, "InternalError", 500, "InternalServerError")
            }
            Self::SlowDown => (503, "SlowDown", 400, "ThrottlingException"),
            Self::Throttled if is_dynamodb => (503, "", 400, "ProvisionedThroughputExceededException"),
            Self::Throttled => (503, "ServiceUnavailable", 429, "TooManyRequestsException"),
            Self::NotFound if is_put => (404, "NoSuchBucket", 400, "ResourceNotFoundException"),
            Self::NotFound => (404, "NoSuchKey", 400, "ResourceNotFoundException"),
            Self::Conflict => (409, "ConditionalRequestConflict", 400, "TransactionConflictException"),
            Self::PreconditionFailed => (412, "PreconditionFailed", 400, ""),
            Self::Forbidden => (403, "AccessDenied", 400, "AccessDeniedException"),
            Self::RequestTimeout => (400, "RequestTimeout", 400, ""),
            _ => return None,
        };
        let is_transaction = crate::services::operation(request) == "TransactWriteItems";
        let response = match service(request) {
            Service::DynamoDb if self == Self::Conflict && is_transaction => {
                let reasons = json!([{"Code": "None"}, {"Code": "TransactionConflict"}]);
                let body = json!({"__type": "TransactionCanceledException", "message": "injected", "CancellationReasons": reasons});
                respond(400, body.to_string())
            }
            Service::S3 if *request.method() == Method::HEAD => respond(status, ""),
            Service::S3 => s3::error(StatusCode::from_u16(status).unwrap(), s3_code),
            _ => respond(json_status, json!({"__type": json_code, "message": "injected"}).to_string()),
        };
        Some(response)
    }
}

/// An AWS service, or the receiver of the webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    DynamoDb,
    Sqs,
    StepFunctions,
    Lambda,
    Receiver,
}

/// Returns the service that a request is sent to.
pub(crate) fn service(request: &Request<Bytes>) -> Service {
    let host = request.uri().host().unwrap_or_default();
    match host.split('.').next() {
        Some("dynamodb") => Service::DynamoDb,
        Some("sqs") => Service::Sqs,
        Some("states") => Service::StepFunctions,
        Some("lambda") => Service::Lambda,
        Some("receiver") => Service::Receiver,
        _ => Service::S3,
    }
}

/// Decides which calls have a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    /// None.
    Calm,
    /// Each call with this probability, in percent.
    Random(f64),
    /// Only the call with this number, counted from 0.
    At(usize, Fault),
}

impl Plan {
    /// Decides for the call with the number `call`.
    pub(crate) fn decide(self, rng: &mut Rng, call: usize, request: &Request<Bytes>) -> Option<Fault> {
        let fault = match self {
            Self::Calm => return None,
            Self::Random(percent) => {
                if rng.f64() * 100.0 >= percent {
                    return None;
                }
                Fault::ALL[rng.usize(..Fault::ALL.len())]
            }
            Self::At(at, fault) => {
                if call != at {
                    return None;
                }
                fault
            }
        };
        fault.applies(request).then_some(fault)
    }
}
