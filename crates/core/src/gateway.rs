//! API Gateway's event (REST API, Lambda proxy integration) as a request, and a response as its answer.
//!
//! What the functions of the API share with each other and with the local backend. A body is decoded once,
//! from the text of the event into the bytes that the handler gets, and not copied before or after.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tower::ServiceExt;

/// What cannot stand in a path. Escapes that are there already stay as they are.
const NOT_IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// Of a query, all but what never means anything there.
const NOT_IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Serves the routes on Lambda, one event after the other.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run(routes: Router) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| {
        let response = routes.clone().oneshot(event.payload.0);
        async {
            Ok::<_, Infallible>(Answer::new(response.await.unwrap_or_else(|never| match never {})).await)
        }
    }))
    .await
}

/// An event, as the request that it stands for.
#[derive(Debug)]
pub struct Event(pub Request<Body>);

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

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Proxy::deserialize(deserializer)?;
        let method = Method::from_bytes(event.http_method.as_bytes()).map_err(D::Error::custom)?;
        let query = pairs(event.multi_value_query_string_parameters, event.query_string_parameters);
        let address: PathAndQuery = address(&event.path, &query).parse().map_err(D::Error::custom)?;
        let mut request = Request::new(body(event.body, event.is_base64_encoded.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = address.into();
        *request.headers_mut() = headers(&pairs(event.multi_value_headers, event.headers));
        request.extensions_mut().insert(event.request_context);
        Ok(Self(request))
    }
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

fn body(text: Option<Text>, is_base64: bool) -> Body {
    match text {
        None => Body::empty(),
        Some(Text(text)) if !is_base64 => text.into_owned().into(),
        Some(Text(text)) => match base64_simd::STANDARD.decode_to_vec(text.as_bytes()) {
            Ok(bytes) => bytes.into(),
            // As if it had been cut off: for who reads it to answer, and of no matter to who does not.
            Err(_) => Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("no base64"))])),
        },
    }
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

    fn request(event: &Value) -> Request<Body> {
        let event = serde_json::from_slice::<Event>(event.to_string().as_bytes());
        event.unwrap_or_else(|e| panic!("{e}")).0
    }

    async fn body(event: &str) -> Result<Bytes, axum::Error> {
        let event = format!(r#"{{"httpMethod":"POST","path":"/upload",{event}}}"#);
        let Event(request) = serde_json::from_str(&event).unwrap_or_else(|e| panic!("{event}: {e}"));
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
        let request = request(&event);
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
        let request = request(&event);
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
            assert!(serde_json::from_value::<Event>(event.clone()).is_err(), "{event}");
        }
        let relative = json!({"httpMethod": "GET", "path": "videos"});
        assert!(serde_json::from_value::<Event>(relative).is_err());
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
