//! Serves `openapi.yaml` as JSON, for the documentation page and for programs.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::Error as _;

/// The document, transcoded directly from YAML to JSON so that the order of its keys is kept.
static DOCUMENT: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let mut json = Vec::new();
    serde_saphyr::with_deserializer_from_str(include_str!("../../../openapi.yaml"), |yaml| {
        let mut json = serde_json::Serializer::new(&mut json);
        serde_transcode::transcode(yaml, &mut json).map_err(serde_saphyr::Error::custom)
    })
    .map_err(|error| error.to_string())?;
    String::from_utf8(json).map_err(|error| error.to_string())
});

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/openapi.json", get(document))
}

async fn document() -> Response {
    match &*DOCUMENT {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json.as_str()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.as_str()).into_response(),
    }
}
