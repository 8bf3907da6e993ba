//! Entity tags: `"{digest}"` of a list, and `"{revision}.{digest}"` of a video.
//!
//! The digest covers the whole response with its signed URLs, for `If-None-Match`. It changes with the status and every five
//! minutes, so `If-Match` compares the revision, which changes when the user changes the video.

use axum::response::{IntoResponse, Response};
use base64_simd::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use upreel_core::Fault;
use upreel_http::Problem;

/// Returns a response with an entity tag, or a 304 if the client has this response already.
pub(crate) fn respond(
    content: &impl Serialize,
    revision: Option<u64>,
    request: &HeaderMap,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(content).map_err(|e| Fault::new("encode a response", &e))?;
    let etag = of(&body, revision);
    let tag = HeaderValue::from_str(&etag).map_err(|e| Fault::new("encode an ETag", &e))?;
    headers.insert(header::ETAG, tag);
    if request.get_all(header::IF_NONE_MATCH).iter().any(|value| matches(value, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((headers, body).into_response())
}

/// Returns the entity tag of a response body, including its signed URLs. So after a 304, the client's URLs are those
/// that a new response would contain. The URLs change every five minutes, and with the credentials of the instance that
/// signs.
pub(crate) fn of(body: &[u8], revision: Option<u64>) -> String {
    let digest = URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(body));
    revision.map_or_else(|| format!("\"{digest}\""), |revision| format!("\"{revision}.{digest}\""))
}

/// Returns whether an `If-None-Match` header matches the tag, by weak comparison (RFC 9110, 13.1.2).
pub(crate) fn matches(value: &HeaderValue, etag: &str) -> bool {
    tags(value).any(|tag| tag == "*" || tag == etag)
}

/// Returns whether the `If-Match` headers of a request allow to change a video with this revision. Without such a header,
/// every change is allowed.
pub(crate) fn allows(request: &HeaderMap, revision: u64) -> bool {
    let mut values = request.get_all(header::IF_MATCH).iter().peekable();
    values.peek().is_none()
        || values.any(|value| tags(value).any(|tag| tag == "*" || revision_of(tag) == Some(revision)))
}

/// Returns the tags in a header. A proxy that compresses a response makes its tag weak.
fn tags(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
}

fn revision_of(tag: &str) -> Option<u64> {
    let (revision, _) = tag.strip_prefix('"')?.strip_suffix('"')?.split_once('.')?;
    revision.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_is_a_list() {
        let matches = |value: &'static str| matches(&HeaderValue::from_static(value), "\"a\"");
        assert!(matches("\"a\"") && matches("W/\"a\"") && matches("\"b\", \"a\"") && matches("*"));
        assert!(!matches("\"b\"") && !matches("a") && !matches(""));
    }

    #[test]
    fn if_match_compares_the_revision() {
        let allows = |values: &[&'static str]| {
            let values = values.iter().map(|value| (header::IF_MATCH, HeaderValue::from_static(value)));
            allows(&values.collect(), 3)
        };
        let tag = of(b"a video", Some(3));
        assert!(tag.starts_with("\"3.") && tag != of(b"another status", Some(3)));
        for allowed in [
            &[][..],
            &["*"],
            &["\"3.a\""],
            &["\"3.b\""],
            &["W/\"3.a\""],
            &["\"1.a\", \"3.a\""],
            &["\"1.a\"", "\"3.a\""],
        ] {
            assert!(allows(allowed), "{allowed:?}");
        }
        for refused in [
            "",
            "\"\"",
            "3",
            "\"3\"",
            "\"2.a\"",
            "\"33.a\"",
            "\"-3.a\"",
            "\"3.a",
            "\"a\"",
            "\"99999999999999999999.a\"",
        ] {
            assert!(!allows(&[refused]), "{refused}");
        }
    }
}
