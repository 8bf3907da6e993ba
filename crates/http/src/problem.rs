//! Error responses: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use upreel_core::Fault;
use upreel_core::quota::{Exceeded, Refusal};

/// The stable error codes. The status and title of a code never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter or header is missing or malformed.
    InvalidRequest,
    /// The body is not the multipart form that its `Content-Type` announces, or is truncated.
    MalformedBody,
    /// The captions are neither `WebVTT` nor `SubRip`, or a cue cannot be read.
    InvalidCaptions,
    /// The form has no field `file`.
    MissingFile,
    /// The file has no bytes.
    EmptyFile,
    /// The request has no user identity.
    Unauthorized,
    /// The web page that sends the request may not use the local backend.
    Forbidden,
    /// The resource does not exist, or belongs to another user.
    NotFound,
    /// The resource is being made. It exists later.
    NotReady,
    /// The route does not support the method.
    MethodNotAllowed,
    /// The video is being changed by other requests at the same time.
    Conflict,
    /// The video was changed since the response that `If-Match` names.
    PreconditionFailed,
    /// The file exceeds the limit of the service or of this way of uploading.
    TooLarge,
    /// The user may not store more.
    QuotaExceeded,
    /// The file is not a supported video.
    UnsupportedMedia,
    /// The frames of a video cannot be decoded, or not within the limits of a request.
    Undecodable,
    /// The `Idempotency-Key` was used with another body.
    IdempotencyMismatch,
    /// The backend does not fetch videos from URLs.
    FetchDisabled,
    /// A fault. A retry may succeed.
    Internal,
}

impl Code {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidRequest => (S::BAD_REQUEST, "INVALID_REQUEST", "Invalid request"),
            Self::MalformedBody => (S::BAD_REQUEST, "MALFORMED_BODY", "Malformed body"),
            Self::InvalidCaptions => (S::BAD_REQUEST, "INVALID_CAPTIONS", "Captions cannot be read"),
            Self::MissingFile => (S::BAD_REQUEST, "MISSING_FILE", "Missing file"),
            Self::EmptyFile => (S::BAD_REQUEST, "EMPTY_FILE", "Empty file"),
            Self::Unauthorized => (S::UNAUTHORIZED, "UNAUTHORIZED", "Not signed in"),
            Self::Forbidden => (S::FORBIDDEN, "FORBIDDEN", "Forbidden"),
            Self::NotFound => (S::NOT_FOUND, "NOT_FOUND", "Not found"),
            Self::NotReady => (S::NOT_FOUND, "NOT_READY", "Not ready yet"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed"),
            Self::Conflict => (S::CONFLICT, "CONFLICT", "Changed at the same time"),
            Self::PreconditionFailed => (S::PRECONDITION_FAILED, "PRECONDITION_FAILED", "Changed meanwhile"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "TOO_LARGE", "Too large"),
            Self::QuotaExceeded => (S::FORBIDDEN, "QUOTA_EXCEEDED", "Quota used up"),
            Self::UnsupportedMedia => {
                (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA", "Not a supported video")
            }
            Self::Undecodable => (S::UNPROCESSABLE_ENTITY, "UNDECODABLE", "No image can be made"),
            Self::IdempotencyMismatch => {
                (S::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_MISMATCH", "Idempotency-Key used for another body")
            }
            Self::FetchDisabled => (S::FORBIDDEN, "FETCH_DISABLED", "Not enabled"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error"),
        }
    }

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Returns the text in responses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().1
    }
}

/// The longest detail, in bytes. A detail can quote a part of the request, which can be very long.
const MAX_DETAIL: usize = 1024;

/// An error response. Its `detail` is for users; internals are only logged.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    exceeded: Option<Exceeded>,
}

impl Problem {
    /// Creates a problem. `detail` is a sentence that tells the user what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
        Self { code, detail, exceeded: None }
    }

    /// Returns the error code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

/// Logs the fault, which is not part of the response.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::error!(%fault, "request failed");
        Self::new(Code::Internal, "Something failed on our side. Please try again.")
    }
}

/// 413 if the file is larger than what is left, 403 if nothing is.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Type(_) => Self::new(Code::UnsupportedMedia, detail),
            Refusal::Exceeded(exceeded) => {
                let code = if exceeded.is_file_too_large() { Code::TooLarge } else { Code::QuotaExceeded };
                Self { exceeded: Some(exceeded), ..Self::new(code, detail) }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.code.parts();
        let mut body = json!({
            "type": format!("urn:upreel:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": code,
            // Uppy shows these two fields.
            "error": title,
            "message": self.detail,
        });
        if let Some(exceeded) = self.exceeded {
            body["quota"] = json!(exceeded.quota);
            body["limit"] = json!(exceeded.limit);
            body["used"] = json!(exceeded.used);
            body["left"] = json!(exceeded.left());
        }
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
    }
}
