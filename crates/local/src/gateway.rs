//! A stand-in for API Gateway in front of the functions, and the web page.
//!
//! It passes requests to the routers of the deployed functions, adds the request context that API Gateway would add,
//! and enforces the limits: 10 MB for a request to API Gateway, 6 MiB for the event that Lambda receives.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use upreel_events::Event;
use upreel_function::App;
use upreel_http::{ApiGatewayProxyRequestContext, Code, Problem, RequestContext, complete};
use upreel_videos::Start;

use crate::openapi;
use crate::queue::Queue;

/// API Gateway's limit for the body of a request, in bytes.
const MAX_REQUEST: usize = 10 * 1000 * 1000;
/// Lambda's limit for an event, in bytes.
const MAX_EVENT: usize = 6 * 1024 * 1024;
/// Estimated size of the rest of an event besides headers, path and body, in bytes.
const CONTEXT_SIZE: usize = 1024;
/// Maximum number of bytes that are read of a body that is too large. A browser that receives the response while it
/// still sends reports a network error instead of the response.
const MAX_DRAIN: usize = 256 * 1024 * 1024;
const DEFAULT_USER: &str = "local";

/// The page's Content-Security-Policy. Images and videos come from the S3 port, and hls.js plays them from a `blob:`.
const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' http: data:; media-src http: blob:; \
                           connect-src 'self' http:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                           style-src 'self' ";
/// The hashes of the `style` elements in media-chrome's shadow roots, one per line: the only inline styles that the policy
/// allows.
const STYLES: &str = include_str!("../../../web/page/vendor/media-chrome.styles");

pub(crate) fn router(
    app: &App,
    queues: Vec<Arc<Queue>>,
    start: Option<Start>,
    fetch: Option<upreel_presign::Start>,
) -> Router {
    let copies_urls = fetch.is_some();
    let functions = Router::new()
        .merge(upreel_upload::router(app.clone()))
        .merge(upreel_presign::router(app.clone(), fetch))
        .merge(upreel_videos::router(app.clone(), start))
        .merge(upreel_playback::router(app.clone()));
    let functions = complete(functions, &app.config.allowed_origins);
    let proxy = Router::new().fallback(invoke).with_state(functions);
    Router::new()
        .merge(pages(app.config.audio, copies_urls))
        .merge(openapi::router())
        .route("/_local/dlq", get(dead_letters))
        .route("/_local/dlq/replay", post(replay))
        .route("/_local/events", post(send))
        .with_state(queues)
        .fallback_service(proxy)
}

/// Path, content type and text of each file of the web page.
const PAGES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("../../../web/page/index.html")),
    ("/style.css", CSS, include_str!("../../../web/page/style.css")),
    ("/app.js", JAVASCRIPT, include_str!("../../../web/page/app.js")),
    ("/captions.js", JAVASCRIPT, include_str!("../../../web/page/captions.js")),
    ("/player.js", JAVASCRIPT, include_str!("../../../web/page/player.js")),
    ("/vendor/hls.min.mjs", JAVASCRIPT, include_str!("../../../web/page/vendor/hls.min.mjs")),
    (
        "/vendor/media-chrome.min.mjs",
        JAVASCRIPT,
        include_str!("../../../web/page/vendor/media-chrome.min.mjs"),
    ),
    ("/upreel.js", JAVASCRIPT, include_str!("../../../web/upreel/upreel.js")),
    ("/renditions.js", JAVASCRIPT, include_str!("../../../web/page/renditions.js")),
    ("/storyboard.js", JAVASCRIPT, include_str!("../../../web/page/storyboard.js")),
    ("/docs", HTML, include_str!("../../../web/page/docs.html")),
    ("/docs.js", JAVASCRIPT, include_str!("../../../web/page/docs.js")),
    ("/elements.js", JAVASCRIPT, include_str!("../../../web/page/elements.js")),
    ("/try-it.js", JAVASCRIPT, include_str!("../../../web/page/try-it.js")),
    ("/docs.css", CSS, include_str!("../../../web/page/docs.css")),
];
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Returns the routes of the page. `with_audio` says whether it offers files with audio alone for an upload, and `with_urls`
/// whether it has a field for the URL of a video.
fn pages<S: Clone + Send + Sync + 'static>(with_audio: bool, with_urls: bool) -> Router<S> {
    let policy = PAGE_POLICY.to_owned() + &STYLES.replace('\n', " ");
    PAGES.into_iter().fold(Router::new(), |pages, (path, content_type, text)| {
        let headers = [
            (header::CONTENT_TYPE, content_type.to_owned()),
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        let mut text = text.to_owned();
        if with_audio {
            text = text.replace("accept=\"video/", "accept=\"audio/*,video/");
        }
        if with_urls {
            text = text.replace("class=\"from-url\" hidden", "class=\"from-url\"");
        }
        pages.route(path, get(move || async move { (headers, text) }))
    })
}

async fn dead_letters(State(queues): State<Vec<Arc<Queue>>>) -> Response {
    let letters = queues.iter().map(|queue| queue.dead_letters()).collect::<io::Result<Vec<_>>>();
    match letters {
        Ok(letters) => Json(json!({"messages": letters.concat()})).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn replay(State(queues): State<Vec<Arc<Queue>>>) -> Response {
    match queues.iter().map(|queue| queue.replay()).sum::<io::Result<usize>>() {
        Ok(count) => Json(json!({"replayed": count})).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Takes the place of `EventBridge`: sends the verdict of a check to the thumbnail function.
async fn send(State(queues): State<Vec<Arc<Queue>>>, Json(event): Json<Value>) -> Response {
    let checked = match upreel_events::parse(&event).as_deref() {
        Ok([Event::Checked(checked)]) => checked.clone(),
        _ => return (StatusCode::BAD_REQUEST, "This is not the verdict of a check.").into_response(),
    };
    // The first queue is that of the thumbnail function.
    let id = uuid::Uuid::now_v7().to_string();
    match queues.first().map(|queue| queue.send(id, checked.key, event)) {
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

async fn invoke(State(functions): State<Router>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    // API Gateway answers preflight requests itself, so they have no user and no limits.
    if parts.method == Method::OPTIONS {
        return call(functions, Request::from_parts(parts, Body::empty())).await;
    }
    let body = match read(&parts.headers, body).await {
        Ok(body) if event_size(&parts, &body) > MAX_EVENT => Err(too_large()),
        other => other,
    };
    match body {
        Ok(body) => {
            parts.extensions.insert(RequestContext::ApiGatewayV1(context(&parts)));
            parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
            call(functions, Request::from_parts(parts, body.into())).await
        }
        Err(problem) => reject(functions, parts.headers, problem).await,
    }
}

async fn call(functions: Router, request: Request) -> Response {
    functions.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Estimates the size of the event that Lambda would receive. API Gateway encodes the body in base64 and sends the
/// headers and the query twice (single values and lists).
fn event_size(parts: &Parts, body: &[u8]) -> usize {
    let headers: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 6).sum();
    base64_simd::STANDARD.encoded_length(body.len())
        + 2 * headers
        + 2 * parts.uri.to_string().len()
        + CONTEXT_SIZE
}

/// Returns API Gateway's request context, with the user that a Cognito authorizer would have found: that of the header
/// `x-user`, or the default one.
fn context(parts: &Parts) -> ApiGatewayProxyRequestContext {
    let user = parts.headers.get("x-user").map_or(Ok(DEFAULT_USER), HeaderValue::to_str).unwrap_or_default();
    let mut context = ApiGatewayProxyRequestContext::default();
    context.authorizer.fields.insert("claims".to_owned(), json!({"sub": user}));
    context.path = Some(parts.uri.path().to_owned());
    context.http_method = parts.method.clone();
    context
}

/// Returns the problem in place of a function's response, with the CORS headers that the function would have sent.
async fn reject(functions: Router, headers: HeaderMap, problem: Problem) -> Response {
    let mut response = problem.into_response();
    let mut request = Request::new(Body::empty());
    if let Some(origin) = headers.get(header::ORIGIN) {
        request.headers_mut().insert(header::ORIGIN, origin.clone());
    }
    let sample = call(functions, request).await;
    let is_cors =
        |name: &header::HeaderName| name == header::VARY || name.as_str().starts_with("access-control-");
    for (name, value) in sample.headers().iter().filter(|(name, _)| is_cors(name)) {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// Reads a body of at most [`MAX_REQUEST`] bytes. A larger one is read and discarded, up to [`MAX_DRAIN`].
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut stream = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0);
    // A client such as curl waits for `100 Continue`, which the first read of the body sends. Reject the body before
    // that.
    let expects_continue = headers.contains_key(header::EXPECT);
    if expects_continue && declared.is_some_and(|length: usize| length > MAX_REQUEST) {
        return Err(too_large());
    }
    while let Some(data) = stream.next().await {
        let data = data.map_err(|_| {
            Problem::new(Code::MalformedBody, "The connection was closed before the whole body arrived.")
        })?;
        total += data.len();
        if total <= MAX_REQUEST {
            bytes.extend_from_slice(&data);
        } else if total > MAX_DRAIN {
            break;
        }
    }
    if total > MAX_REQUEST { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    Problem::new(
        Code::TooLarge,
        "A request to the API can have at most 10 MB, and a video in it 4.4 MiB. Upload a larger file with a PUT \
         request to a URL from GET /presign.",
    )
}
