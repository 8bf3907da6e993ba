//! Extractors whose errors are problems. Those of `axum` respond with plain text, which repeats the request and names
//! types of this program.

use axum::extract::FromRequestParts;
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
            let detail = "A parameter of the query is given twice, or its value is malformed.";
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
        // Fails if a segment is not UTF-8. No identifier is such a text.
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::new(Code::NotFound, "There is nothing at this path."))?;
        Ok(Self(path.0))
    }
}
