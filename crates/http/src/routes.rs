//! The middleware of every router: CORS, responses to unknown routes, and a log line for each request.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::problem::{Code, Problem};

/// Adds what every router needs: responses to unknown routes and methods and to panics, CORS for these origins, and a
/// log line for each request. Applied once, by `main` or by the local gateway.
pub fn complete(routes: Router, allowed_origins: &[String]) -> Router {
    routes
        .fallback(|| async { Problem::new(Code::NotFound, "There is no such route.") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                Code::MethodNotAllowed,
                "This route does not support this method. The Allow header lists the supported ones.",
            )
        })
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(Code::Internal, "Something failed on our side. Please try again.").into_response()
        }))
        .layer(middleware::from_fn(log))
        .layer(middleware::map_response(nosniff))
        .layer(cors(allowed_origins))
}

/// Returns the CORS layer for these origins. `*` allows every origin, and a trailing `:*` every port of a host.
pub fn cors(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins = origins.to_vec();
        AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| origins.iter().any(|allowed| matches_origin(allowed, origin)))
        })
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // Uppy sends the first two headers.
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            // Amplify and the SDK send these headers in signed requests of IAM callers.
            HeaderName::from_static("x-amz-content-sha256"),
            HeaderName::from_static("x-amz-date"),
            HeaderName::from_static("x-amz-security-token"),
            HeaderName::from_static("x-amz-user-agent"),
            HeaderName::from_static("x-user"),
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}

/// Returns whether an entry of the list of allowed origins, such as `http://localhost:*`, allows this one.
#[must_use]
pub fn matches_origin(allowed: &str, origin: &str) -> bool {
    match allowed.strip_suffix(":*") {
        None => allowed == origin,
        Some(host) => origin
            .strip_prefix(host)
            .and_then(|port| port.strip_prefix(':'))
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit())),
    }
}

/// Makes browsers believe `Content-Type`, instead of guessing the type from the body.
async fn nosniff(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.run(request).await;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, path, status = response.status().as_u16(), ms, "request completed");
    response
}

#[cfg(test)]
mod tests {
    use super::matches_origin as matches;

    #[test]
    fn origins_match_exactly() {
        assert!(matches("https://a.example", "https://a.example"));
        assert!(!matches("https://a.example", "https://a.example.evil.org"));
        assert!(!matches("https://a.example", "http://a.example"));
        assert!(matches("http://localhost:*", "http://localhost:5173"));
        assert!(!matches("http://localhost:*", "http://localhost.evil.org:80"));
        assert!(!matches("http://localhost:*", "http://localhost:80.evil.org"));
    }
}
