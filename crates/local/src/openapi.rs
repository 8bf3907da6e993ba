//! Serves `openapi.yaml` as JSON, for the documentation page and for programs.

use std::sync::LazyLock;

use axum::Router;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::Error as _;

/// The local server that `openapi.yaml` names, with the default port.
const DEFAULT_SERVER: &str = "http://127.0.0.1:3000";

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

/// Returns the document. Its server is the address at which the client has reached this one.
async fn document(headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let server = host.map_or_else(|| DEFAULT_SERVER.to_owned(), |host| format!("http://{host}"));
    match &*DOCUMENT {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json.replace(DEFAULT_SERVER, &server))
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.as_str()).into_response(),
    }
}
