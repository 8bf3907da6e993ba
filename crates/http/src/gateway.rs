//! API Gateway's event (REST API, Lambda proxy integration) as a request to a router, and the response to it.
//!
//! The conversion of the request is that of `lambda_http`. [`run`] takes the place of `lambda_http::run` for three reasons:
//! `repair` has to see an event before `lambda_http` panics on it (which would be a 502); a body is decoded once, from
//! the text of the event (see [`ProxyEvent`]), instead of being copied twice first; and `lambda_http::run_concurrent`
//! does not accept the response of an `axum` router, whose body is not `Sync`.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use lambda_http::LambdaEvent;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use lambda_http::request::LambdaRequest;
use lambda_runtime::{Error, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tower::ServiceExt;

use crate::event::ProxyEvent;
use crate::routes::complete;

/// Characters that are not part of a path, or that `lambda_http` would drop from it or take for a slash. Percent escapes
/// stay as they are.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Completes the routes of a function (see [`complete`]) and runs them on Lambda, on Lambda Managed Instances with several requests at a time.
///
/// # Errors
/// When the Runtime API cannot be reached. Lambda then starts the function anew.
pub async fn run(function: Router, allowed_origins: &[String]) -> Result<(), Error> {
    let completed = complete(function, allowed_origins);
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<ProxyEvent>| {
        let router = completed.clone();
        async move { Ok::<_, Infallible>(respond(router, event.payload).await) }
    }))
    .await
}

/// Calls the router with the request of an event.
async fn respond(router: Router, event: ProxyEvent) -> ApiGatewayProxyResponse {
    let response = router.oneshot(request(event)).await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    // The body is in memory already, so reading it does not fail. `lambda_http` decides by the content type, and would
    // encode playlists in base64.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = match String::from_utf8(body.into()) {
        Ok(text) => lambda_http::Body::Text(text),
        Err(error) => lambda_http::Body::Binary(error.into_bytes()),
    };
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = head.status.as_u16().into();
    response.multi_value_headers = head.headers;
    response.is_base64_encoded = matches!(body, lambda_http::Body::Binary(_));
    response.body = Some(body);
    response
}

/// Converts an event into the HTTP request that it represents. A body that is not valid base64 fails when it is read,
/// as if the connection had been cut.
pub fn request(event: ProxyEvent) -> Request<Body> {
    let ProxyEvent { mut request, body } = event;
    repair(&mut request);
    let body = match body {
        Ok(bytes) => bytes.into(),
        Err(error) => Body::from_stream(stream::iter([Err::<Bytes, _>(error)])),
    };
    let request: Request<lambda_http::Body> = LambdaRequest::ApiGatewayV1(request).into();
    request.map(|_| body)
}

/// Makes sure that `lambda_http` can convert an event, whatever the client sent.
///
/// - It builds a URL from `Host`, the stage and the path, and panics if there is none. Without a host and a stage it
///   uses the path alone, which is what the routers match.
/// - It resolves `.` and `..`, so that another route would answer. No route has such a segment: the path becomes `/`.
/// - It takes `?` and `#` in a path for its end, and drops line ends and tabs: they are percent-encoded.
/// - It prefers the single value of a header (the last one) over all of its values.
fn repair(request: &mut ApiGatewayProxyRequest) {
    request.request_context.domain_name = None;
    request.request_context.stage = None;
    let path = request.path.take().unwrap_or_default();
    let is_dots = |segment: &str| {
        let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
        matches!(&decoded[..], b"." | b"..")
    };
    let is_route = path.starts_with('/') && !path.split('/').any(is_dots);
    request.path =
        Some(if is_route { utf8_percent_encode(&path, NOT_IN_PATH).to_string() } else { "/".to_owned() });
    if request.multi_value_headers.is_empty() {
        std::mem::swap(&mut request.multi_value_headers, &mut request.headers);
    }
    request.headers.clear();
}

#[cfg(test)]
mod tests {
    use axum::http::{StatusCode, header};
    use axum::response::AppendHeaders;
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;

    /// The request of an event, as the router sees it.
    fn request(mut event: Value) -> Request<Body> {
        event["requestContext"]["httpMethod"] = "GET".into();
        super::request(serde_json::from_value(event).unwrap_or_else(|e| panic!("{e}")))
    }

    async fn body(event: Value) -> Option<Bytes> {
        to_bytes(request(event).into_body(), usize::MAX).await.ok()
    }

    #[tokio::test]
    async fn decodes_base64_bodies_and_rejects_malformed_ones() {
        let cases: [(Value, bool, Option<&[u8]>); 9] = [
            (json!("eyLDqSI6MX0="), true, Some("{\"é\":1}".as_bytes())),
            (json!("{\"é\":1}"), false, Some("{\"é\":1}".as_bytes())),
            (json!("/////w=="), true, Some(b"\xff\xff\xff\xff")),
            (json!(""), true, Some(b"")),
            (Value::Null, true, Some(b"")),
            (json!("YWI"), true, None),
            (json!("YWI/ "), true, None),
            (json!("YWI=YWI="), true, None),
            (json!("ä"), true, None),
        ];
        for (text, is_base64, expected) in cases {
            let event =
                json!({"httpMethod": "POST", "path": "/presign", "body": text, "isBase64Encoded": is_base64});
            assert_eq!(body(event.clone()).await.as_deref(), expected, "{event}");
        }
    }

    #[tokio::test]
    async fn responses_are_text_unless_they_are_binary() {
        let router = Router::new()
            .route(
                "/text",
                get(async || {
                    let headers = [(header::SET_COOKIE, "a"), (header::SET_COOKIE, "b"), (header::ETAG, "c")];
                    (StatusCode::CREATED, AppendHeaders(headers), "é")
                }),
            )
            .route(
                "/playlist",
                get(async || ([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], "#EXTM3U\n")),
            )
            .route("/bytes", get(async || b"\xff".as_slice()))
            .route("/nothing", get(async || StatusCode::NO_CONTENT));
        let respond = async |path: &str| {
            let event = json!({"httpMethod": "GET", "path": path, "requestContext": {"httpMethod": "GET"}});
            let event = serde_json::from_value(event).unwrap_or_else(|e| panic!("{e}"));
            json!(super::respond(router.clone(), event).await)
        };
        let text = respond("/text").await;
        assert_eq!(
            (&text["statusCode"], &text["body"], &text["isBase64Encoded"]),
            (&json!(201), &json!("é"), &json!(false))
        );
        assert_eq!(text["multiValueHeaders"]["set-cookie"], json!(["a", "b"]));
        assert_eq!(text["multiValueHeaders"]["etag"], json!(["c"]));
        let playlist = respond("/playlist").await;
        assert_eq!((&playlist["body"], &playlist["isBase64Encoded"]), (&json!("#EXTM3U\n"), &json!(false)));
        let bytes = respond("/bytes").await;
        assert_eq!((&bytes["body"], &bytes["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
        let nothing = respond("/nothing").await;
        assert_eq!((&nothing["statusCode"], nothing["body"].as_str().unwrap_or_default()), (&json!(204), ""));
    }

    #[test]
    fn all_values_of_headers_and_parameters_are_kept() {
        let request = request(json!({
            "httpMethod": "GET",
            "path": "/videos",
            "headers": {"Accept": "b", "X": "last"},
            "multiValueHeaders": {"Accept": ["a", "b"], "x": ["é"]},
            "queryStringParameters": {"a": "2"},
            "multiValueQueryStringParameters": {"a": ["1 &=?", "2"], "empty": [""]},
        }));
        assert_eq!(request.headers().get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(request.headers()["x"].as_bytes(), "é".as_bytes());
        let query: Vec<&str> = request.uri().query().unwrap_or_default().split('&').collect();
        for pair in ["a=1+%26%3D%3F", "a=2", "empty="] {
            assert!(query.contains(&pair), "{query:?}");
        }
    }

    #[test]
    fn single_values_are_used_without_lists() {
        let request = request(json!({
            "httpMethod": "GET", "path": "/a b/%2F", "headers": {"If-None-Match": "\"x\""},
            "multiValueHeaders": null, "queryStringParameters": {"a": "b"},
            "multiValueQueryStringParameters": {}, "requestContext": {"stage": "v1"},
        }));
        assert_eq!(request.headers()["if-none-match"], "\"x\"");
        assert_eq!(request.uri(), "/a%20b/%2F?a=b");
    }

    #[test]
    fn no_host_or_path_panics() {
        let host = json!({"Host": "a b", "X-Forwarded-Proto": "::"});
        let with = |path: &str| {
            request(json!({
                "httpMethod": "GET", "path": path, "headers": host,
                "requestContext": {"stage": "v 1", "domainName": "[::"},
            }))
        };
        for (path, expected) in [
            ("/videos/ü?#{}|^\"`<>", "/videos/%C3%BC%3F%23%7B%7D|^%22%60%3C%3E"),
            ("/videos?limit=1", "/videos%3Flimit=1"),
            ("/vid\teos\r\n", "/vid%09eos%0D%0A"),
            ("/videos/[]%2F%zz", "/videos/[]%2F%zz"),
            ("//evil.example/videos", "//evil.example/videos"),
            ("/x/../videos", "/"),
            ("/x/%2e%2E/videos", "/"),
            ("/x\\..\\videos", "/x%5C..%5Cvideos"),
            ("videos", "/"),
            ("http://a/videos", "/"),
            ("", "/"),
        ] {
            assert_eq!(with(path).uri(), expected, "{path:?}");
        }
    }
}
