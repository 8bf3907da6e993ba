//! API Gateway's event (REST API, Lambda proxy integration) as a request, and a response as its answer.
//!
//! What the functions of the API share with each other and with the local backend. A body is decoded where it lies in
//! the event: the bytes that the handler gets are there, and copied neither before nor after.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

use crate::App;
use crate::runtime::{self, Invocation};

/// What cannot stand in a path. Escapes that are there already stay as they are.
const NOT_IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// Of a query, all but what never means anything there.
const NOT_IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Runs a function of the API on Lambda.
pub async fn run(router: impl FnOnce(App) -> Router) -> ExitCode {
    let init = async {
        let app = App::from_env().await?;
        Ok(crate::http::serve(router(app.clone()), &app.config))
    };
    runtime::run(init, answer).await
}

async fn answer(routes: &Router, invocation: Invocation) -> Result<Answer, runtime::Error> {
    let request = request(invocation.event)?;
    let response = routes.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    Ok(Answer::new(response).await)
}

/// What API Gateway knows of the request beside it: an extension of the request.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RequestContext {
    /// As the authorizer made it: a user pool's has `claims`.
    #[serde(default)]
    authorizer: Value,
    #[serde(default)]
    identity: Value,
    /// With the stage, or the base path of a custom domain.
    #[serde(default)]
    path: String,
}

impl RequestContext {
    /// What stands before the routes in an address.
    pub(crate) fn prefix(&self, route: &str) -> &str {
        self.path.strip_suffix(route).unwrap_or_default()
    }

    /// The Cognito user pool's `sub`, else the IAM identity id.
    pub(crate) fn user(&self) -> Option<&str> {
        let subject = self.authorizer.get("claims").and_then(|claims| claims.get("sub"));
        subject.and_then(Value::as_str).or_else(|| self.identity.get("cognitoIdentityId")?.as_str())
    }
}

type Single = Option<BTreeMap<String, Option<String>>>;
type Multi = Option<BTreeMap<String, Option<Vec<String>>>>;

/// What is used of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proxy<'a> {
    http_method: String,
    /// Without the stage.
    path: String,
    headers: Single,
    multi_value_headers: Multi,
    query_string_parameters: Single,
    multi_value_query_string_parameters: Multi,
    #[serde(default)]
    request_context: RequestContext,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    is_base64_encoded: Option<bool>,
}

/// Stays where it is in the event; with escapes, which base64 has no need of, it is made anew.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The request that an event stands for.
///
/// # Errors
/// When it is no event of API Gateway, or its request is none.
pub fn request(event: BytesMut) -> serde_json::Result<Request<Body>> {
    let proxy: Proxy = serde_json::from_slice(&event)?;
    let method = Method::from_bytes(proxy.http_method.as_bytes()).map_err(serde_json::Error::custom)?;
    let query = pairs(proxy.multi_value_query_string_parameters, proxy.query_string_parameters);
    let address: PathAndQuery = address(&proxy.path, &query).parse().map_err(serde_json::Error::custom)?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = address.into();
    *request.headers_mut() = headers(&pairs(proxy.multi_value_headers, proxy.headers));
    request.extensions_mut().insert(proxy.request_context);
    let is_base64 = proxy.is_base64_encoded.unwrap_or_default();
    let text = match proxy.body {
        None => return Ok(request),
        Some(Text(Cow::Owned(text))) => Bytes::from(text).into(),
        Some(Text(Cow::Borrowed(text))) => {
            let (start, length) = (text.as_ptr().addr() - event.as_ptr().addr(), text.len());
            let mut text = event;
            text.advance(start);
            text.truncate(length);
            text
        }
    };
    *request.body_mut() = body(text, is_base64);
    Ok(request)
}

/// The gateway has decoded the query, and whoever reads it from the address expects it encoded.
fn address(path: &str, query: &[(String, String)]) -> String {
    let mut address = utf8_percent_encode(path, NOT_IN_PATH).to_string();
    for (i, (name, value)) in query.iter().enumerate() {
        address.push(if i == 0 { '?' } else { '&' });
        address.extend(utf8_percent_encode(name, NOT_IN_QUERY));
        address.push('=');
        address.extend(utf8_percent_encode(value, NOT_IN_QUERY));
    }
    address
}

/// All values of each name; the map of single values has only the last one of each.
fn pairs(multi: Multi, single: Single) -> Vec<(String, String)> {
    let multi = multi.unwrap_or_default();
    if multi.is_empty() {
        return single.into_iter().flatten().filter_map(|(name, value)| Some((name, value?))).collect();
    }
    let all = multi
        .into_iter()
        .flat_map(|(name, values)| values.into_iter().flatten().map(move |value| (name.clone(), value)));
    all.collect()
}

/// Without what HTTP does not allow, which a gateway does not let in.
fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    headers
}

fn body(mut text: BytesMut, is_base64: bool) -> Body {
    if is_base64 {
        match base64_simd::STANDARD.decode_inplace(&mut text).map(|bytes| bytes.len()) {
            Ok(length) => text.truncate(length),
            // As if it had been cut off: for who reads it to answer, and of no matter to who does not.
            Err(_) => {
                return Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("no base64"))]));
            }
        }
    }
    text.freeze().into()
}

/// What API Gateway makes a response of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    multi_value_headers: BTreeMap<String, Vec<String>>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    async fn new(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let mut multi_value_headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            multi_value_headers.entry(name.to_string()).or_default().push(value);
        }
        // The functions' answers are made at once: there is no stream that could fail.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(bytes) => (base64_simd::STANDARD.encode_to_string(bytes.as_bytes()), true),
        };
        Self { status_code: head.status.as_u16(), multi_value_headers, body, is_base64_encoded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use http::{StatusCode, header};
    use serde_json::json;

    fn request(event: &Value) -> serde_json::Result<Request<Body>> {
        super::request(event.to_string().as_bytes().into())
    }

    async fn body(event: &str) -> Result<Bytes, axum::Error> {
        let event = format!(r#"{{"httpMethod":"POST","path":"/upload",{event}}}"#);
        let request = super::request(event.as_bytes().into()).unwrap_or_else(|e| panic!("{event}: {e}"));
        to_bytes(request.into_body(), usize::MAX).await
    }

    #[tokio::test]
    async fn a_body_is_text_or_base64_as_the_event_says() {
        let cases: [(&str, &[u8]); 9] = [
            (r#""body":"YWI/","isBase64Encoded":true"#, b"ab?"),
            (r#""isBase64Encoded":true,"body":"\u0059WI\/""#, b"ab?"),
            (r#""body":"YWI/","isBase64Encoded":false"#, b"YWI/"),
            (r#""body":"YWI/""#, b"YWI/"),
            (r#""body":"{\"a\":\"\u00e9\"}","isBase64Encoded":null"#, "{\"a\":\"é\"}".as_bytes()),
            (r#""body":"","isBase64Encoded":true"#, b""),
            (r#""body":null,"isBase64Encoded":true"#, b""),
            (r#""isBase64Encoded":true"#, b""),
            (r#""body":"/////w==","isBase64Encoded":true"#, b"\xff\xff\xff\xff"),
        ];
        for (event, expected) in cases {
            assert_eq!(body(event).await.unwrap_or_else(|e| panic!("{e}")), expected, "{event}");
        }
        for bad in ["!", "YWI", "YWI=YWI=", "YWI/ ", "YW\\nI/", "YWJ=", "ä"] {
            let event = format!(r#""isBase64Encoded":true,"body":"{bad}""#);
            assert!(body(&event).await.is_err(), "{event}");
        }
    }

    #[tokio::test]
    async fn a_body_lies_in_its_event() {
        for (is_base64, length) in [(true, 3_000_000), (false, 4_000_000)] {
            let event = json!({
                "httpMethod": "POST", "path": "/upload", "body": "Zm9v".repeat(1_000_000),
                "isBase64Encoded": is_base64, "requestContext": {"path": "/v1/upload"},
            });
            let event = BytesMut::from(event.to_string().as_bytes());
            let memory = event.as_ptr_range();
            let request = super::request(event).unwrap_or_else(|e| panic!("{e}"));
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(body.len(), length);
            assert!(memory.contains(&body.as_ptr()), "the body was copied");
        }
    }

    #[test]
    fn all_values_of_a_header_and_of_a_parameter_are_there() {
        let event = json!({
            "httpMethod": "GET",
            "path": "/videos",
            "headers": {"Accept": "b", "X": "last"},
            "multiValueHeaders": {"Accept": ["a", "b"], "x": ["é"], "Bad Name": ["x"], "Bad": ["a\nb"], "None": null},
            "queryStringParameters": {"a": "2"},
            "multiValueQueryStringParameters": {"a": ["1 &=?", "2"], "ü": ["+"], "empty": [""]},
        });
        let request = request(&event).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(request.headers().get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((request.headers()["x"].as_bytes(), request.headers().len()), ("é".as_bytes(), 3));
        assert_eq!(request.uri(), "/videos?a=1%20%26%3D%3F&a=2&empty=&%C3%BC=%2B");
    }

    #[test]
    fn without_maps_of_many_values_the_others_do() {
        let event = json!({
            "httpMethod": "GET", "path": "/a b/ü/%2F", "headers": {"If-None-Match": "\"x\"", "None": null},
            "multiValueHeaders": null, "queryStringParameters": {"a": "b", "none": null},
            "multiValueQueryStringParameters": {}, "requestContext": {"stage": "v1"},
        });
        let request = request(&event).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (&request.headers()["if-none-match"], request.headers().len()),
            (&"\"x\"".parse().unwrap(), 1)
        );
        assert_eq!(request.uri(), "/a%20b/%C3%BC/%2F?a=b");
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for event in
            [json!({}), json!([]), json!({"httpMethod": "G T", "path": "/"}), json!({"httpMethod": "GET"})]
        {
            assert!(request(&event).is_err(), "{event}");
        }
        let relative = json!({"httpMethod": "GET", "path": "videos"});
        assert!(request(&relative).is_err());
    }

    #[tokio::test]
    async fn an_answer_is_text_if_it_can_be() {
        let headers = [(header::SET_COOKIE, "a"), (header::SET_COOKIE, "b"), (header::ETAG, "c")];
        let response = (StatusCode::CREATED, axum::response::AppendHeaders(headers), "é").into_response();
        let answer = json!(Answer::new(response).await);
        assert_eq!(
            answer,
            json!({
                "statusCode": 201,
                "multiValueHeaders": {
                    "content-type": ["text/plain; charset=utf-8"], "etag": ["c"], "set-cookie": ["a", "b"]
                },
                "body": "é",
                "isBase64Encoded": false,
            })
        );
        let answer = json!(Answer::new(Bytes::from_static(b"\xff").into_response()).await);
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
        let answer = json!(Answer::new(StatusCode::NO_CONTENT.into_response()).await);
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!(""), &json!(false)));
    }
}
