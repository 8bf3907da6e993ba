//! Answers to requests that cannot be served: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use upreel_core::Fault;

/// The stable codes. A code's status and title never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter or header is missing or malformed.
    InvalidRequest,
    /// The body is not the multipart form that its header announces, or was cut off.
    MalformedBody,
    /// The form has no field `file`.
    MissingFile,
    /// The file has no bytes.
    EmptyFile,
    /// Nobody is signed in.
    Unauthorized,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The route exists, with other methods.
    MethodNotAllowed,
    /// More bytes than this way of uploading, or the service, takes.
    TooLarge,
    /// Not a video.
    UnsupportedMedia,
    /// The `Idempotency-Key` was used for another body.
    IdempotencyMismatch,
    /// A fault of ours; trying again may help.
    Internal,
}

impl Code {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidRequest => (S::BAD_REQUEST, "INVALID_REQUEST", "Invalid request"),
            Self::MalformedBody => (S::BAD_REQUEST, "MALFORMED_BODY", "Malformed body"),
            Self::MissingFile => (S::BAD_REQUEST, "MISSING_FILE", "Missing file"),
            Self::EmptyFile => (S::BAD_REQUEST, "EMPTY_FILE", "Empty file"),
            Self::Unauthorized => (S::UNAUTHORIZED, "UNAUTHORIZED", "Not signed in"),
            Self::NotFound => (S::NOT_FOUND, "NOT_FOUND", "Not found"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "TOO_LARGE", "Too large"),
            Self::UnsupportedMedia => {
                (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA", "Not a supported video")
            }
            Self::IdempotencyMismatch => {
                (S::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_MISMATCH", "Idempotency-Key used for another body")
            }
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// The text in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().1
    }
}

/// An error answer. What users may know is in `detail`; internals go to the log only.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
}

impl Problem {
    /// A problem with a sentence that says what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

/// The fault is logged here, once, and stays out of the answer.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::error!(%fault, "request failed");
        Self::new(Code::Internal, "Something failed on our side. Please try again.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.code.parts();
        let body = json!({
            "type": format!("urn:upreel:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": code,
            // Uppy shows these two.
            "error": title,
            "message": self.detail,
        });
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
    }
}
