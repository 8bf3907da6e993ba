//! Checks of all routes in `openapi.yaml`: access control, methods, and CORS.
//!
//! A test compares the table with the document, so every new route needs a row and is covered by all checks.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use aws_config::Region;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Response;
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Request, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use upreel_core::VideoId;
use upreel_function::App;
use upreel_store::sdk;

use crate::harness::{Backend, mp4};

/// The resource that a request names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// None: the request creates or lists the caller's own resources.
    Nothing,
    Upload,
    /// A multipart upload. The response is a presigned request to S3 with this method.
    Signed(&'static str),
    Video,
    /// A segment of a video. Its route needs no caller: the signature of S3 is the permission.
    Segment,
}

/// A request to a route.
struct Row {
    method: Method,
    path: &'static str,
    names: Names,
    /// Adds the query, headers and body to the request.
    with: fn(RequestBuilder, &Resources) -> RequestBuilder,
}

/// A multipart upload with one part, and a video.
#[derive(Clone)]
struct Resources {
    key: String,
    upload: String,
    etag: String,
    video: String,
}

/// The beginning of an MP4 file; enough for `POST /upload`.
const TRUNCATED_MP4: &str = "\0\0\0\x18ftypisom\0\0\0\0isomavc1";

const SEGMENT: &str = "/segments/{videoId}/{version}/{rendition}/{segment}";

fn table() -> Vec<Row> {
    use Names::{Nothing, Segment, Signed, Upload, Video};
    let row = |method, path, names, with| Row { method, path, names, with };
    let (get, post, delete) = (|| Method::GET, || Method::POST, || Method::DELETE);
    let patch = || Method::PATCH;
    vec![
        row(post(), "/upload", Nothing, |request, _| {
            let form = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
            let request = request.header("Content-Type", "multipart/form-data; boundary=B");
            request.body(format!("{form}{TRUNCATED_MP4}\r\n--B--\r\n"))
        }),
        row(get(), "/presign", Nothing, |request, _| request.query(&[("name", "a.mp4")])),
        row(post(), "/presign", Nothing, |request, _| {
            request.json(&json!({"method": "PUT", "key": "a.mp4"}))
        }),
        row(post(), "/presign", Nothing, |request, _| {
            request.json(&json!({"method": "PUT", "key": "a.mp4", "fields": true}))
        }),
        row(post(), "/presign", Nothing, |request, _| {
            request.json(&json!({"method": "POST", "key": "a.mp4"}))
        }),
        row(post(), "/presign", Signed("PUT"), |request, of| {
            request.json(&json!({"method": "PUT", "key": of.key, "uploadId": of.upload, "partNumber": 1}))
        }),
        row(post(), "/presign", Signed("GET"), |request, of| {
            request.json(&json!({"method": "GET", "key": of.key, "uploadId": of.upload}))
        }),
        // Before it signs a completion, the function gets the size of the upload from S3.
        row(post(), "/presign", Upload, |request, of| {
            request.json(&json!({"method": "POST", "key": of.key, "uploadId": of.upload}))
        }),
        row(post(), "/presign", Signed("DELETE"), |request, of| {
            request.json(&json!({"method": "DELETE", "key": of.key, "uploadId": of.upload}))
        }),
        row(get(), "/s3/params", Nothing, |request, _| request.query(&[("filename", "a.mp4")])),
        row(post(), "/s3/multipart", Nothing, |request, _| request.json(&json!({"filename": "a.mp4"}))),
        row(get(), "/s3/multipart/{uploadId}", Upload, key),
        row(delete(), "/s3/multipart/{uploadId}", Upload, key),
        row(get(), "/s3/multipart/{uploadId}/{partNumber}", Signed("PUT"), key),
        row(get(), "/s3/multipart/{uploadId}/batch", Signed("PUT"), |request, of| {
            key(request, of).query(&[("partNumbers", "1")])
        }),
        row(post(), "/s3/multipart/{uploadId}/complete", Upload, |request, of| {
            key(request, of).json(&json!({"parts": [{"PartNumber": 1, "ETag": of.etag}]}))
        }),
        row(get(), "/usage", Nothing, |request, _| request),
        row(get(), "/videos", Nothing, |request, _| request),
        // Fetching is off here. fetch.rs tests it.
        row(post(), "/videos", Nothing, |request, _| {
            request.json(&json!({"url": "https://a.example/a.mp4"}))
        }),
        row(get(), "/videos/{videoId}", Video, |request, _| request),
        row(patch(), "/videos/{videoId}", Video, |request, _| request.json(&json!({"title": "a"}))),
        row(delete(), "/videos/{videoId}", Video, |request, _| request),
        row(Method::PUT, "/videos/{videoId}/captions/{language}", Video, |request, _| request.body("WEBVTT")),
        row(delete(), "/videos/{videoId}/captions/{language}", Video, |request, _| request),
        row(get(), "/videos/{videoId}/hls/master.m3u8", Video, |request, _| request),
        row(get(), "/videos/{videoId}/hls/{rendition}/{playlist}", Video, |request, _| request),
        row(get(), "/videos/{videoId}/thumbnail.jpg", Video, |request, _| request.query(&[("time", "1.5")])),
        row(get(), "/videos/{videoId}/thumbnail.webp", Video, |request, _| request),
        row(get(), "/videos/{videoId}/preview.webp", Video, |request, _| request.query(&[("end", "3")])),
        row(get(), "/videos/{videoId}/preview.gif", Video, |request, _| request),
        row(Method::PUT, "/videos/{videoId}/poster", Video, |request, _| request.json(&json!({"time": 1}))),
        row(get(), SEGMENT, Segment, |request, _| request.query(&[("X-Amz-Signature", "0")])),
    ]
}

/// Returns a request to each route that may respond with something of a video, which are all but the deletions.
pub(crate) fn requests_of(backend: &Backend, video: &str) -> Vec<(String, RequestBuilder)> {
    let (key, upload, etag) = (String::new(), String::new(), String::new());
    let of = Resources { key, upload, etag, video: video.to_owned() };
    let rows = table().into_iter().filter(|row| {
        row.method != Method::DELETE && matches!(row.names, Names::Video | Names::Segment)
            || row.name() == "GET /videos"
    });
    rows.map(|row| (row.name(), row.request(backend, &of))).collect()
}

fn key(request: RequestBuilder, of: &Resources) -> RequestBuilder {
    request.query(&[("key", &of.key)])
}

impl Row {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The status without a caller.
    fn without_a_caller(&self) -> u16 {
        if self.names == Names::Segment { 404 } else { 401 }
    }

    fn request(&self, backend: &Backend, of: &Resources) -> RequestBuilder {
        self.request_by(backend, of, self.method.clone())
    }

    fn request_by(&self, backend: &Backend, of: &Resources, method: Method) -> RequestBuilder {
        let path = self.path.replace("{uploadId}", &of.upload).replace("{videoId}", &of.video);
        let path = path
            .replace("{language}", "en")
            .replace("{rendition}", "v720")
            .replace("{playlist}", "index.m3u8");
        let path = path.replace("{version}", &format!("{:0<40}-a", 1)).replace("{segment}", "0-1.m4s");
        let url = format!("{}{}", backend.local.api, path.replace("{partNumber}", "1"));
        (self.with)(backend.http.request(method, url), of)
    }
}

impl Resources {
    /// Creates the resources of the user `local`.
    async fn of_local(backend: &Backend) -> Self {
        let begun = backend.post("/s3/multipart").json(&json!({"filename": "a.mp4"})).send().await.unwrap();
        let begun: Value = begun.json().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (key, upload) = (text(&begun["key"]), text(&begun["uploadId"]));
        let signed = backend.get(&format!("/s3/multipart/{upload}/1")).query(&[("key", &key)]);
        let signed: Value = signed.send().await.unwrap().json().await.unwrap();
        let put = backend.http.put(text(&signed["url"])).body(mp4()).send().await.unwrap();
        let etag = put.headers()["etag"].to_str().unwrap().to_owned();
        let video = text(&backend.presign(&[("name", "a.mp4")]).await["videoId"]);
        Self { key, upload, etag, video }
    }

    /// Returns resources that don't exist.
    fn missing(&self) -> Self {
        let video = VideoId::new().to_string();
        Self { upload: VideoId::new().to_string(), video, ..self.clone() }
    }

    /// Returns the same upload ID with a key of the user `eve`.
    fn under_key_of_eve(&self) -> Self {
        Self { key: self.key.replace("/local/", "/eve/"), ..self.clone() }
    }
}

async fn document(backend: &Backend) -> Value {
    backend.get("/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// Returns the methods of each path.
fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let methods = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
    let of = |item: &Value| {
        let named = item.as_object().unwrap().keys().filter(|name| methods.contains(&name.as_str()));
        named.map(|name| name.to_uppercase()).collect()
    };
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, item)| (path.clone(), of(item))).collect()
}

#[tokio::test]
async fn the_table_and_the_routers_match_the_document() {
    let backend = Backend::start().await;
    let documented = operations(&document(&backend).await);
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in table() {
        rows.entry(row.path.to_owned()).or_default().insert(row.method.to_string());
    }
    assert_eq!(rows, documented);

    let mut routed = BTreeSet::new();
    for function in ["upload", "presign", "videos", "playback"] {
        let path = format!("../crates/{function}/src/lib.rs");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let paths = text.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        routed.extend(paths);
    }
    assert_eq!(routed, documented.into_keys().collect());
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let backend = Backend::start().await;
    for (path, content_type) in [
        ("/openapi.json", "application/json"),
        ("/docs", "text/html"),
        ("/docs.js", "text/javascript"),
        ("/elements.js", "text/javascript"),
        ("/try-it.js", "text/javascript"),
        ("/docs.css", "text/css"),
    ] {
        let response = backend.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(content_type), "{path}");
    }
    let text = backend.get("/openapi.json").send().await.unwrap().text().await.unwrap();
    assert!(text.find("\"/upload\"") < text.find("\"/presign\""), "the order of the YAML file is kept");
    assert_eq!(document(&backend).await["servers"][0]["url"], backend.local.api, "the port is this one");
    assert!(!text.contains("127.0.0.1:3000"));
}

#[tokio::test]
async fn methods_match_the_document_and_the_allow_header() {
    let backend = Backend::start().await;
    let document = document(&backend).await;
    for (path, methods) in operations(&document) {
        let url = format!("{}{}", backend.local.api, path.replace(['{', '}'], ""));
        let mut allowed = methods.clone();
        // Local only: API Gateway doesn't route HEAD.
        if methods.contains("GET") {
            allowed.insert("HEAD".to_owned());
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let request = backend.http.request(method.parse().unwrap(), &url).header("x-user", "..");
            let response = request.send().await.unwrap();
            let what = format!("{method} {path}");
            if methods.contains(method) {
                let refused = if path == SEGMENT { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
                assert_eq!(response.status(), refused, "{what}");
                continue;
            }
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{what}");
            let allow = response.headers()["allow"].to_str().unwrap();
            assert_eq!(allow.split(',').map(str::to_owned).collect::<BTreeSet<_>>(), allowed, "{what}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["code"], "METHOD_NOT_ALLOWED", "{what}");
        }
    }
}

#[tokio::test]
async fn routes_require_a_caller_and_give_access_to_own_resources_only() {
    let backend = Backend::start().await;
    let send = async |request: RequestBuilder, user: &str| {
        let response = request.header("x-user", user).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for row in table() {
        let name = row.name();
        let own = Resources::of_local(&backend).await;
        let missing = backend.get(&match row.names {
            Names::Video => format!("/videos/{}", own.missing().video),
            _ => format!("/s3/multipart/{}?key={}", own.missing().upload, own.key),
        });
        let not_found = send(missing, "local").await;
        assert_eq!(not_found.0, 404);

        // An invalid user, which an authorizer would reject, and no user.
        let (status, problem) = send(row.request(&backend, &own), "../local").await;
        assert_eq!(status, row.without_a_caller(), "{name}: {problem}");
        let anonymous =
            invoke(functions(&backend.local.app, &[]), row.request(&backend, &own), None, None).await;
        assert_eq!(anonymous.status(), row.without_a_caller(), "{name}");

        let by_eve = send(row.request(&backend, &own), "eve").await;
        match row.names {
            Names::Nothing => {
                let done = if name == "POST /videos" { 403 } else { 200 };
                assert_eq!(by_eve.0, done, "{name}: {}", by_eve.1);
                assert!(
                    !by_eve.1.contains("local/") && !by_eve.1.contains(&own.video),
                    "{name}: {}",
                    by_eve.1
                );
            }
            Names::Segment => assert_eq!(by_eve.0, 404, "{name}"),
            _ => assert_eq!(by_eve, not_found, "{name}"),
        }
        let (status, text) = send(row.request(&backend, &own.under_key_of_eve()), "eve").await;
        match row.names {
            Names::Nothing | Names::Video | Names::Segment => {}
            Names::Upload => assert_eq!((status, text), not_found, "{name}"),
            // Signing needs no call to AWS, so it succeeds. But S3 rejects the signed request.
            Names::Signed(method) => {
                assert_eq!(status, 200, "{name}");
                let signed: Value = serde_json::from_str(&text).unwrap();
                let url = signed["url"].as_str().or(signed["presignedUrls"]["1"].as_str()).unwrap();
                let used = backend.http.request(method.parse().unwrap(), url).body("x").send().await.unwrap();
                assert_eq!(used.status(), StatusCode::NOT_FOUND, "{name}");
            }
        }

        // The owner's resources are unchanged.
        let (status, text) = send(row.request(&backend, &own), "local").await;
        let done = match name.as_str() {
            "DELETE /videos/{videoId}" | "DELETE /videos/{videoId}/captions/{language}" => 204,
            // This video has no upload. transcodes.rs, playback.rs and images.rs test uploaded ones.
            "POST /videos" => 403,
            made if ["/hls/", "/segments/", "/thumbnail.", "/preview.", "/poster"]
                .iter()
                .any(|part| made.contains(part)) =>
            {
                404
            }
            _ => 200,
        };
        assert_eq!(status, done, "{name}: {text}");
    }
}

/// Returns the routers of the functions, with these allowed origins.
fn functions(app: &App, origins: &[&str]) -> Router {
    let mut config = (*app.config).clone();
    config.allowed_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    // Accepts what is to be fetched, and does nothing.
    let start: upreel_presign::Start = Arc::new(|_| Box::pin(ready(Ok(()))));
    let routes = upreel_upload::router(app.clone()).merge(upreel_presign::router(app.clone(), Some(start)));
    let routes =
        routes.merge(upreel_videos::router(app.clone(), None)).merge(upreel_playback::router(app.clone()));
    upreel_http::complete(routes, &config.allowed_origins)
}

/// Calls the functions with the event that API Gateway would make of a request. Without a user, the event has no claims
/// of an authorizer.
async fn invoke(
    functions: Router,
    request: RequestBuilder,
    user: Option<&str>,
    origin: Option<&str>,
) -> Response<Body> {
    let mut request = request.build().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let request = upreel_http::request(serde_json::from_value(event(&request, user)).unwrap());
    functions.oneshot(request).await.unwrap()
}

fn event(request: &Request, user: Option<&str>) -> Value {
    let headers: BTreeMap<_, _> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let query: BTreeMap<_, _> = request.url().query_pairs().collect();
    let body = request.body().and_then(|body| body.as_bytes()).map(|body| str::from_utf8(body).unwrap());
    json!({
        "resource": request.url().path(), "path": request.url().path(), "httpMethod": request.method().as_str(),
        "headers": headers, "queryStringParameters": query, "body": body, "isBase64Encoded": false,
        "requestContext": {
            "httpMethod": request.method().as_str(), "stage": "$default",
            "authorizer": user.map(|user| json!({"claims": {"sub": user}})),
        },
    })
}

/// Checks that the CORS headers of a response allow the origin `allowed` to read it, or none.
fn check(headers: &HeaderMap, origin: &str, allowed: Option<&str>, what: &str) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_lowercase());
    let what = format!("{what} for {origin}");
    assert_eq!(text("access-control-allow-origin").as_deref(), allowed, "{what}");
    let varies = text("vary").is_some_and(|vary| vary.contains("origin"));
    assert!(varies || allowed == Some("*"), "{what}: {headers:?}");
    if allowed.is_some() {
        let exposed = text("access-control-expose-headers").unwrap_or_default();
        for name in ["etag", "location", "retry-after"] {
            assert!(exposed.contains(name), "{what}: {name} in {exposed}");
        }
    }
}

/// Checks that the response to a preflight request allows the method and headers of the route.
fn check_preflight(headers: &HeaderMap, origin: &str, allowed: Option<&str>, method: &str, what: &str) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_lowercase());
    let what = format!("preflight of {what} for {origin}");
    assert_eq!(text("access-control-allow-origin").as_deref(), allowed, "{what}");
    let varies = text("vary").is_some_and(|vary| vary.contains("origin"));
    assert!(varies || allowed == Some("*"), "{what}: {headers:?}");
    let methods = text("access-control-allow-methods").unwrap();
    assert!(methods.split(',').any(|m| m == method.to_lowercase()), "{what}: {methods}");
    let names = text("access-control-allow-headers").unwrap();
    // The last four are for requests that a page signs with IAM credentials.
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "x-amz-user-agent",
    ] {
        assert!(names.split(',').any(|n| n == name), "{what}: {name} in {names}");
    }
}

const ORIGINS: [&str; 6] = [
    "https://a.example",
    "https://b.example",
    "http://localhost:5173",
    "https://a.example.evil.org",
    "http://localhost:80.evil.org",
    "null",
];

#[tokio::test]
async fn only_configured_origins_can_read_responses() {
    let backend = Backend::start().await;
    let app = &backend.local.app;
    let own = Resources::of_local(&backend).await;
    let configured: [(&[&str], &[&str]); 4] = [
        (&[], &[]),
        (&["https://a.example"], &["https://a.example"]),
        (&["https://a.example", "http://localhost:*"], &["https://a.example", "http://localhost:5173"]),
        (&["*"], &ORIGINS),
    ];
    for (origins, readers) in configured {
        let functions = functions(app, origins);
        for origin in ORIGINS {
            let echo = if origins == ["*"] { "*" } else { origin };
            let allowed = readers.contains(&origin).then_some(echo);
            for row in table() {
                let name = row.name();
                let wrong = row.request_by(&backend, &own, Method::TRACE);
                let preflight = row
                    .request_by(&backend, &own, Method::OPTIONS)
                    .header("Access-Control-Request-Method", row.method.as_str());
                let requests = [
                    (row.request(&backend, &own), None, row.without_a_caller()),
                    (row.request(&backend, &own.missing()), Some("eve"), 0),
                    (wrong, Some("eve"), 405),
                ];
                for (request, user, status) in requests {
                    let response = invoke(functions.clone(), request, user, Some(origin)).await;
                    let expected = match (status, row.names) {
                        (0, Names::Nothing) if name == "POST /videos" => 202,
                        (0, Names::Nothing) => 200,
                        (0, _) => 404,
                        _ => status,
                    };
                    assert_eq!(response.status(), expected, "{name}");
                    check(response.headers(), origin, allowed, &name);
                }
                let response = invoke(functions.clone(), preflight, None, Some(origin)).await;
                check_preflight(response.headers(), origin, allowed, row.method.as_str(), &name);
            }
        }
    }
}

#[tokio::test]
async fn faults_have_cors_headers_and_no_internals() {
    let backend = Backend::start().await;
    let own = Resources::of_local(&backend).await;
    let rows = table();
    let requests: Vec<_> = rows.iter().map(|row| (row.name(), row.request(&backend, &own))).collect();
    // No server listens on this port.
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let unreachable = sdk::defaults(&sdk::Roots::Known)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let app = App::new(&unreachable, &unreachable, (*backend.local.app.config).clone());
    let functions = functions(&app, &["https://a.example"]);
    let calls = requests.into_iter().zip(&rows).map(async |((name, request), row)| {
        let response = invoke(functions.clone(), request, Some("local"), Some("https://a.example")).await;
        // Signing needs no call to AWS, and without quotas, what is used is not asked either.
        let is_local = matches!(row.names, Names::Signed(_)) || name == "GET /usage";
        let status = if is_local { 200 } else { 500 };
        assert_eq!(response.status(), status, "{name}");
        check(response.headers(), "https://a.example", Some("https://a.example"), &name);
        if status == 500 {
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["code"], "INTERNAL", "{name}");
            let text = problem.to_string().to_lowercase();
            assert!(
                !["dynamo", "s3", "127.0.0.1", "connect"].iter().any(|word| text.contains(word)),
                "{text}"
            );
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn responses_of_the_gateway_have_cors_headers() {
    let backend = Backend::start().await;
    let own = Resources::of_local(&backend).await;
    for origin in ["http://localhost:5173", &backend.local.api] {
        let allowed = Some(origin);
        for row in table() {
            let name = row.name();
            let response =
                row.request(&backend, &own).header("origin", origin).header("x-user", "eve").send();
            check(response.await.unwrap().headers(), origin, allowed, &name);
            let preflight = row
                .request_by(&backend, &own, Method::OPTIONS)
                .header("origin", origin)
                .header("Access-Control-Request-Method", row.method.as_str())
                .send();
            check_preflight(preflight.await.unwrap().headers(), origin, allowed, row.method.as_str(), &name);
        }
        for (path, size, status) in
            [("/nothing", 0, 404), ("/upload", 4_900_000, 413), ("/upload", 10_100_000, 413)]
        {
            let file = Form::new().part("file", Part::bytes(vec![0; size]).file_name("a.mp4"));
            let response = backend.post(path).header("origin", origin).multipart(file).send().await.unwrap();
            assert_eq!(response.status(), status, "{path} {size}");
            check(response.headers(), origin, allowed, path);
        }
    }
}

#[tokio::test]
async fn pages_can_upload_to_s3_and_read_the_response_headers() {
    let backend = Backend::start().await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let get = async |path: &str| backend.get(path).send().await.unwrap().json::<Value>().await.unwrap();
    for origin in ["http://localhost:5173", &backend.local.api] {
        let allowed = Some(origin);
        let own = Resources::of_local(&backend).await;
        let put = text(&get("/presign?name=a.mp4").await["uploadUrl"]);
        let part = text(&get(&format!("/s3/multipart/{}/1?key={}", own.upload, own.key)).await["url"]);
        let form = get("/s3/params?filename=a.mp4").await;
        let fields = form["fields"].as_object().unwrap();
        let fill = || {
            let fields =
                fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), text(value)));
            fields.part("file", Part::bytes(mp4()).file_name("a.mp4"))
        };
        let unsigned = put.split('?').next().unwrap().to_owned();
        let requests = [
            ("a PUT", backend.http.put(&put).header("Content-Type", "video/mp4").body(mp4()), 200),
            ("a part", backend.http.put(&part).body(mp4()), 200),
            ("a form", backend.http.post(text(&form["url"])).multipart(fill()), 201),
            ("no signature", backend.http.put(&unsigned).body(mp4()), 403),
            ("another method", backend.http.delete(&put), 403),
        ];
        for (what, request, status) in requests {
            let response = request.header("origin", origin).send().await.unwrap();
            assert_eq!(response.status(), status, "{what}");
            check(response.headers(), origin, allowed, what);
            if status < 300 {
                assert!(response.headers()["etag"].to_str().unwrap().starts_with('"'), "{what}");
            }
            if status == 201 {
                assert!(response.headers().contains_key("location"));
            }
        }
        for (url, method) in [(&put, "PUT"), (&part, "PUT"), (&text(&form["url"]), "POST"), (&put, "DELETE")]
        {
            let preflight = backend
                .http
                .request(Method::OPTIONS, url)
                .header("origin", origin)
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", "content-type");
            check_preflight(preflight.send().await.unwrap().headers(), origin, allowed, method, url);
        }
    }
}
