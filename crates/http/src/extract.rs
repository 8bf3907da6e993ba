//! Extractors whose errors are problems. The extractors of `axum` respond with plain text, which quotes the request and
//! names Rust types.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The parameters of the query.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri).map_err(|_| {
            let detail =
                "A query parameter occurs twice or has a malformed value. Send each one once, as documented.";
            Problem::new(Code::InvalidRequest, detail)
        })?;
        Ok(Self(query.0))
    }
}

/// The variable segments of the path.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Fails if a segment is not UTF-8. No resource has such an identifier.
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::new(Code::NotFound, "There is nothing at this path."))?;
        Ok(Self(path.0))
    }
}

/// Returns the `Idempotency-Key`, if there is one.
///
/// # Errors
/// When it is malformed.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "The Idempotency-Key must have 1 to 255 ASCII characters.",
        )),
    }
}
