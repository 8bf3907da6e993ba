//! All routes of `openapi.yaml`: whose things they give out, which methods they have, which pages may call them.
//!
//! The table is held against the document, so a new route needs a row, and with it all that is asked here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_config::Region;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Response as Answer;
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Request, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use upreel_core::VideoId;
use upreel_function::App;
use upreel_store::sdk;

use crate::harness::{Backend, mp4};

/// Of whom the things are that a request names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// It names none: what it makes or lists is the caller's.
    Nothing,
    Upload,
    /// An upload, and what is signed is a request to S3 with this method.
    Signed(&'static str),
    Video,
}

/// A way to use a route.
struct Row {
    method: Method,
    path: &'static str,
    names: Names,
    /// The rest of the request: query, headers, body.
    with: fn(RequestBuilder, &Things) -> RequestBuilder,
}

/// An upload in parts with one part, and a video.
#[derive(Clone)]
struct Things {
    key: String,
    upload: String,
    etag: String,
    video: String,
}

const BROKEN: &str = "\0\0\0\x18ftypisom\0\0\0\0isomavc1";

fn table() -> Vec<Row> {
    use Names::{Nothing, Signed, Upload, Video};
    let row = |method, path, names, with| Row { method, path, names, with };
    let (get, post, delete) = (|| Method::GET, || Method::POST, || Method::DELETE);
    vec![
        row(post(), "/upload", Nothing, |request, _| {
            let form = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
            let request = request.header("Content-Type", "multipart/form-data; boundary=B");
            request.body(format!("{form}{BROKEN}\r\n--B--\r\n"))
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
        // This one asks S3 for the size before it signs.
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
        row(get(), "/videos", Nothing, |request, _| request),
        row(get(), "/videos/{videoId}", Video, |request, _| request),
        row(delete(), "/videos/{videoId}", Video, |request, _| request),
        row(get(), "/videos/{videoId}/hls/master.m3u8", Video, |request, _| request),
        row(get(), "/videos/{videoId}/hls/{rendition}/{playlist}", Video, |request, _| request),
    ]
}

fn key(request: RequestBuilder, of: &Things) -> RequestBuilder {
    request.query(&[("key", &of.key)])
}

impl Row {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(&self, backend: &Backend, of: &Things) -> RequestBuilder {
        self.request_by(backend, of, self.method.clone())
    }

    fn request_by(&self, backend: &Backend, of: &Things, method: Method) -> RequestBuilder {
        let path = self.path.replace("{uploadId}", &of.upload).replace("{videoId}", &of.video);
        let path = path.replace("{rendition}", "v720").replace("{playlist}", "index.m3u8");
        let url = format!("{}{}", backend.local.api, path.replace("{partNumber}", "1"));
        (self.with)(backend.http.request(method, url), of)
    }
}

impl Things {
    /// The user `local`'s.
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

    /// Nobody's.
    fn missing(&self) -> Self {
        let video = VideoId::new().to_string();
        Self { upload: VideoId::new().to_string(), video, ..self.clone() }
    }

    /// Their upload, under a key of eve's own.
    fn under_eve_s_key(&self) -> Self {
        Self { key: self.key.replace("/local/", "/eve/"), ..self.clone() }
    }
}

async fn document(backend: &Backend) -> Value {
    backend.get("/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// The methods of each path.
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
async fn the_table_and_the_routers_have_what_the_document_has() {
    let backend = Backend::start().await;
    let documented = operations(&document(&backend).await);
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in table() {
        rows.entry(row.path.to_owned()).or_default().insert(row.method.to_string());
    }
    assert_eq!(rows, documented);

    let mut routed = BTreeSet::new();
    for function in ["upload", "presign", "videos"] {
        let path = format!("../crates/{function}/src/lib.rs");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let paths = text.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        routed.extend(paths);
    }
    assert_eq!(routed, documented.into_keys().collect());
}

#[tokio::test]
async fn the_document_is_served_and_shown() {
    let backend = Backend::start().await;
    for (path, content_type) in [
        ("/openapi.json", "application/json"),
        ("/docs", "text/html"),
        ("/docs.js", "text/javascript"),
        ("/docs.css", "text/css"),
    ] {
        let answer = backend.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(content_type), "{path}");
    }
    let text = backend.get("/openapi.json").send().await.unwrap().text().await.unwrap();
    assert!(text.find("\"/upload\"") < text.find("\"/presign\""), "in the order in which it was written");
}

#[tokio::test]
async fn a_path_has_the_methods_of_the_document_and_says_so() {
    let backend = Backend::start().await;
    let document = document(&backend).await;
    for (path, methods) in operations(&document) {
        let url = format!("{}{}", backend.local.api, path.replace(['{', '}'], ""));
        let mut allowed = methods.clone();
        // Locally; API Gateway has no HEAD.
        if methods.contains("GET") {
            allowed.insert("HEAD".to_owned());
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let request = backend.http.request(method.parse().unwrap(), &url).header("x-user", "..");
            let answer = request.send().await.unwrap();
            let what = format!("{method} {path}");
            if methods.contains(method) {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
                continue;
            }
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{what}");
            let allow = answer.headers()["allow"].to_str().unwrap();
            assert_eq!(allow.split(',').map(str::to_owned).collect::<BTreeSet<_>>(), allowed, "{what}");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "METHOD_NOT_ALLOWED", "{what}");
        }
    }
}

#[tokio::test]
async fn each_route_gives_everybody_their_own_and_nobody_anything() {
    let backend = Backend::start().await;
    let send = async |request: RequestBuilder, user: &str| {
        let answer = request.header("x-user", user).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for row in table() {
        let name = row.name();
        let own = Things::of_local(&backend).await;
        let missing = backend.get(&match row.names {
            Names::Video => format!("/videos/{}", own.missing().video),
            _ => format!("/s3/multipart/{}?key={}", own.missing().upload, own.key),
        });
        let not_found = send(missing, "local").await;
        assert_eq!(not_found.0, 404);

        // A name that none can be: the gateway's authorizer would not let it through.
        let (status, problem) = send(row.request(&backend, &own), "../local").await;
        assert_eq!(status, 401, "{name}: {problem}");
        let nobody =
            direct(functions(&backend.local.app, &[]), row.request(&backend, &own), None, None).await;
        assert_eq!(nobody.status(), 401, "{name}");

        let by_eve = send(row.request(&backend, &own), "eve").await;
        if row.names == Names::Nothing {
            assert_eq!(by_eve.0, 200, "{name}: {}", by_eve.1);
            assert!(!by_eve.1.contains("local/") && !by_eve.1.contains(&own.video), "{name}: {}", by_eve.1);
        } else {
            assert_eq!(by_eve, not_found, "{name}");
        }
        let (status, text) = send(row.request(&backend, &own.under_eve_s_key()), "eve").await;
        match row.names {
            Names::Nothing | Names::Video => {}
            Names::Upload => assert_eq!((status, text), not_found, "{name}"),
            // Signing asks nobody; what is signed is worth nothing.
            Names::Signed(method) => {
                assert_eq!(status, 200, "{name}");
                let signed: Value = serde_json::from_str(&text).unwrap();
                let url = signed["url"].as_str().or(signed["presignedUrls"]["1"].as_str()).unwrap();
                let used = backend.http.request(method.parse().unwrap(), url).body("x").send().await.unwrap();
                assert_eq!(used.status(), StatusCode::NOT_FOUND, "{name}");
            }
        }

        // Nothing has happened to what is the owner's.
        let (status, text) = send(row.request(&backend, &own), "local").await;
        let done = match name.as_str() {
            "DELETE /videos/{videoId}" => 204,
            // There are none of this video; transcodes.rs has one with renditions.
            hls if hls.contains("/hls/") => 404,
            _ => 200,
        };
        assert_eq!(status, done, "{name}: {text}");
    }
}

/// The three functions' routes, for pages of these origins.
fn functions(app: &App, origins: &[&str]) -> Router {
    let mut config = (*app.config).clone();
    config.allowed_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    let routes = upreel_upload::router(app.clone()).merge(upreel_presign::router(app.clone()));
    upreel_http::complete(routes.merge(upreel_videos::router(app.clone())), &config.allowed_origins)
}

/// A function's answer to the event that API Gateway would make of a request; without a user it has no
/// authorizer's claims.
async fn direct(
    functions: Router,
    request: RequestBuilder,
    user: Option<&str>,
    origin: Option<&str>,
) -> Answer<Body> {
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

/// That an answer lets a page of `origin` read it, or does not.
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

/// That a preflight of `origin` lets a page send what the route takes.
fn check_preflight(headers: &HeaderMap, origin: &str, allowed: Option<&str>, method: &str, what: &str) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_lowercase());
    let what = format!("preflight of {what} for {origin}");
    assert_eq!(text("access-control-allow-origin").as_deref(), allowed, "{what}");
    let varies = text("vary").is_some_and(|vary| vary.contains("origin"));
    assert!(varies || allowed == Some("*"), "{what}: {headers:?}");
    let methods = text("access-control-allow-methods").unwrap();
    assert!(methods.split(',').any(|m| m == method.to_lowercase()), "{what}: {methods}");
    let names = text("access-control-allow-headers").unwrap();
    // The last four: what signs a page's request for IAM callers.
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
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
async fn only_pages_of_the_configured_origins_read_an_answer() {
    let backend = Backend::start().await;
    let app = &backend.local.app;
    let own = Things::of_local(&backend).await;
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
                let wrong = row.request_by(&backend, &own, Method::PATCH);
                let preflight = row
                    .request_by(&backend, &own, Method::OPTIONS)
                    .header("Access-Control-Request-Method", row.method.as_str());
                let asked = [
                    (row.request(&backend, &own), None, 401),
                    (row.request(&backend, &own.missing()), Some("eve"), 0),
                    (wrong, Some("eve"), 405),
                ];
                for (request, user, status) in asked {
                    let answer = direct(functions.clone(), request, user, Some(origin)).await;
                    let expected = match (status, row.names) {
                        (0, Names::Nothing) => 200,
                        (0, _) => 404,
                        _ => status,
                    };
                    assert_eq!(answer.status(), expected, "{name}");
                    check(answer.headers(), origin, allowed, &name);
                }
                let answer = direct(functions.clone(), preflight, None, Some(origin)).await;
                check_preflight(answer.headers(), origin, allowed, row.method.as_str(), &name);
            }
        }
    }
}

#[tokio::test]
async fn a_page_reads_a_fault_and_learns_nothing() {
    let backend = Backend::start().await;
    let own = Things::of_local(&backend).await;
    let rows = table();
    let requests: Vec<_> = rows.iter().map(|row| (row.name(), row.request(&backend, &own))).collect();
    // Nobody answers at this port.
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let nowhere = sdk::defaults(&sdk::Roots::Known)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let app = App::new(&nowhere, &nowhere, (*backend.local.app.config).clone());
    let functions = functions(&app, &["https://a.example"]);
    let asked = requests.into_iter().zip(&rows).map(async |((name, request), row)| {
        let answer = direct(functions.clone(), request, Some("local"), Some("https://a.example")).await;
        // To sign is to calculate.
        let status = if matches!(row.names, Names::Signed(_)) { 200 } else { 500 };
        assert_eq!(answer.status(), status, "{name}");
        check(answer.headers(), "https://a.example", Some("https://a.example"), &name);
        if status == 500 {
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["code"], "INTERNAL", "{name}");
            let text = problem.to_string().to_lowercase();
            assert!(
                !["dynamo", "s3", "127.0.0.1", "connect"].iter().any(|word| text.contains(word)),
                "{text}"
            );
        }
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn the_gateway_s_own_answers_are_readable_too() {
    let backend = Backend::start().await;
    let own = Things::of_local(&backend).await;
    for (origin, allowed) in
        [("http://localhost:5173", true), ("http://127.0.0.1:8080", true), ("https://evil.example", false)]
    {
        let allowed = allowed.then_some(origin);
        for row in table() {
            let name = row.name();
            let answer = row.request(&backend, &own).header("origin", origin).header("x-user", "eve").send();
            check(answer.await.unwrap().headers(), origin, allowed, &name);
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
            let answer = backend.post(path).header("origin", origin).multipart(file).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path} {size}");
            check(answer.headers(), origin, allowed, path);
        }
    }
}

#[tokio::test]
async fn a_page_uploads_to_s3_and_reads_what_it_has_to() {
    let backend = Backend::start().await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ask = async |path: &str| backend.get(path).send().await.unwrap().json::<Value>().await.unwrap();
    for (origin, allowed) in [("http://localhost:5173", true), ("https://evil.example", false)] {
        let allowed = allowed.then_some(origin);
        let own = Things::of_local(&backend).await;
        let put = text(&ask("/presign?name=a.mp4").await["uploadUrl"]);
        let part = text(&ask(&format!("/s3/multipart/{}/1?key={}", own.upload, own.key)).await["url"]);
        let form = ask("/s3/params?filename=a.mp4").await;
        let fields = form["fields"].as_object().unwrap();
        let fill = || {
            let fields =
                fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), text(value)));
            fields.part("file", Part::bytes(mp4()).file_name("a.mp4"))
        };
        let unsigned = put.split('?').next().unwrap().to_owned();
        let asked = [
            ("a PUT", backend.http.put(&put).header("Content-Type", "video/mp4").body(mp4()), 200),
            ("a part", backend.http.put(&part).body(mp4()), 200),
            ("a form", backend.http.post(text(&form["url"])).multipart(fill()), 201),
            ("no signature", backend.http.put(&unsigned).body(mp4()), 403),
            ("another method", backend.http.delete(&put), 403),
        ];
        for (what, request, status) in asked {
            let answer = request.header("origin", origin).send().await.unwrap();
            assert_eq!(answer.status(), status, "{what}");
            check(answer.headers(), origin, allowed, what);
            if status < 300 {
                assert!(answer.headers()["etag"].to_str().unwrap().starts_with('"'), "{what}");
            }
            if status == 201 {
                assert!(answer.headers().contains_key("location"));
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
