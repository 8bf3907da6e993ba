//! Requests that the ports of the local backend refuse: those of foreign web pages, those without the right signature,
//! and those that S3 refuses too.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use upreel_tests::signature;

use crate::harness::{Backend, client_config, mp4};

/// The headers of requests that a web page of another site sends, with the reason of the refusal.
const FOREIGN: [(&str, &str, &str); 5] = [
    ("host", "rebound.example:3000", "--allow-host rebound.example"),
    ("origin", "http://evil.example", "--allow-origin http://evil.example"),
    ("origin", "http://localhost:8080", "--allow-origin http://localhost:8080"),
    ("origin", "null", "serve it"),
    ("sec-fetch-site", "cross-site", "another site"),
];

#[tokio::test]
async fn every_port_refuses_foreign_pages_and_says_why() {
    let backend = Backend::start().await;
    let local = &backend.local;
    for (name, value, reason) in FOREIGN {
        for (port, method, url) in [
            ("api", Method::GET, format!("{}/presign?name=a.mp4", local.api)),
            ("api", Method::HEAD, format!("{}/presign?name=a.mp4", local.api)),
            ("api", Method::OPTIONS, format!("{}/videos", local.api)),
            ("api", Method::POST, format!("{}/_local/dlq/replay", local.api)),
            ("s3", Method::GET, format!("{}/uploads", local.s3)),
            ("s3", Method::OPTIONS, format!("{}/uploads/a", local.s3)),
            ("dynamodb", Method::POST, local.dynamodb.clone()),
            ("dynamodb", Method::OPTIONS, local.dynamodb.clone()),
        ] {
            if port != "api" && name == "sec-fetch-site" {
                continue;
            }
            let what = format!("{method} {url} with {name}: {value}");
            let is_head = method == Method::HEAD;
            let response = backend.http.request(method, url).header(name, value).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{what}");
            let allows = response.headers().keys().any(|name| name.as_str().starts_with("access-control-"));
            assert!(!allows, "{what}");
            let text = response.text().await.unwrap();
            assert!(is_head || text.contains(reason) || port == "dynamodb", "{what}: {text}");
        }
    }
    assert_eq!(backend.video_count().await, 0);
}

#[tokio::test]
async fn pages_that_the_developer_names_are_allowed() {
    let backend = Backend::start().await;
    let own = [backend.local.api.clone(), backend.local.api.replace("127.0.0.1", "localhost")];
    let put = backend.presign(&[("name", "a.mp4")]).await["uploadUrl"].as_str().unwrap().to_owned();
    for origin in own.iter().map(String::as_str).chain(["http://localhost:5173"]) {
        for (method, url) in [
            (Method::GET, format!("{}/videos", backend.local.api)),
            (Method::OPTIONS, format!("{}/upload", backend.local.api)),
            (Method::OPTIONS, put.clone()),
        ] {
            let request = backend.http.request(method.clone(), url).header("origin", origin);
            let response = request.header("access-control-request-method", "PUT").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{method} from {origin}");
            assert_eq!(response.headers()["access-control-allow-origin"], origin, "{method}");
        }
    }
    // A Vite server that forwards requests sends its own host.
    let proxied =
        backend.get("/videos").header("host", "localhost:8080").header("origin", "http://localhost:8080");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn dynamodb_requires_the_secret_of_its_folder() {
    let (backend, other) = (Backend::start().await, Backend::start().await);
    assert_ne!(backend.local.secret, other.local.secret);
    let list = async |secret: &str| {
        let config = client_config(&backend.local.dynamodb, secret);
        let listed = Client::new(&config).list_tables().send().await;
        listed.map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    assert_eq!(list(&backend.local.secret).await.unwrap().table_names(), ["VideoMetadata"]);
    assert_eq!(list(&other.local.secret).await.unwrap_err(), "InvalidSignatureException");
    let unsigned =
        backend.http.post(&backend.local.dynamodb).header("x-amz-target", "DynamoDB_20120810.ListTables");
    let response =
        unsigned.header("content-type", "application/x-amz-json-1.0").body("{}").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["__type"], "com.amazon.coral.service#MissingAuthenticationTokenException");
    assert!(error["message"].as_str().unwrap().contains("credentials that Upreel printed"), "{error}");
}

#[tokio::test]
async fn a_restart_keeps_the_secret_and_only_the_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let first = Backend::start_on(&data).await.local.secret.clone();
    assert_eq!((mode(&data), mode(&data.join("secret"))), (0o700, 0o600));
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let second = Backend::start_on(&data).await.local.secret.clone();
    assert_eq!((first, mode(&data)), (second, 0o700), "a folder of an earlier release is closed, too");
}

/// Sends a request with these lines, and returns the response.
async fn raw(url: &str, head: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_string(&mut response)).await;
    read.expect("no response").unwrap();
    response
}

#[tokio::test]
async fn s3_refuses_headers_that_are_not_signed() {
    let backend = Backend::start().await;
    let victim = backend.presign(&[("name", "secret.mp4")]).await;
    backend.put_to(&victim, mp4()).send().await.unwrap();
    let attacker = backend.get("/presign?name=mine.mp4").header("x-user", "mallory").send().await.unwrap();
    let attacker: Value = attacker.json().await.unwrap();
    let source = format!("uploads/{}", victim["key"].as_str().unwrap());
    for (name, value) in
        [("x-amz-copy-source", source.as_str()), ("x-amz-acl", "public-read"), ("x-amz-meta-a", "b")]
    {
        let response = backend.put_to(&attacker, Vec::new()).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}");
        let text = response.text().await.unwrap();
        assert!(text.contains("<Code>AccessDenied</Code>"), "{text}");
        assert!(text.contains("headers present in the request which were not signed"), "{text}");
    }
    assert_eq!(backend.objects("uploads").len(), 1, "nothing was copied");
    assert_eq!(backend.put_to(&attacker, mp4()).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn s3_refuses_a_put_without_a_length() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4"), ("type", "video/mp4")]).await;
    let path = signed["uploadUrl"].as_str().unwrap().replace(&backend.local.s3, "");
    let head = format!("PUT {path} HTTP/1.1\r\nContent-Type: video/mp4");
    let chunked =
        raw(&backend.local.s3, &format!("{head}\r\nTransfer-Encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n")
            .await;
    assert!(chunked.starts_with("HTTP/1.1 411 "), "{chunked}");
    assert!(chunked.contains("<Code>MissingContentLength</Code>"), "{chunked}");
    let without = raw(&backend.local.s3, &head, "").await;
    assert!(without.starts_with("HTTP/1.1 411 "), "{without}");
    assert_eq!(backend.objects("uploads").len(), 0);
}

#[tokio::test]
async fn keys_that_leave_their_folder_are_refused() {
    let backend = Backend::start().await;
    for key in ["..", "../thumbnails/a", "videos/../../x", "/etc/passwd", "a/./b", "a%00b"] {
        for method in ["GET", "PUT", "HEAD", "DELETE"] {
            let url = format!("{}/uploads/{key}", backend.local.s3);
            let signed = signature(("s3", &backend.local.secret), (method, &url), &[], b"").unwrap();
            let lines: Vec<_> = signed.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
            let lines = lines.concat();
            let head = format!("{method} /uploads/{key} HTTP/1.1\r\nContent-Length: 0{lines}");
            let response = raw(&backend.local.s3, &head, "").await;
            assert!(response.starts_with("HTTP/1.1 400 "), "{method} {key}: {response}");
            assert!(
                method == "HEAD" || response.contains("<Code>InvalidArgument</Code>"),
                "{method} {key}: {response}"
            );
        }
    }
}

#[tokio::test]
async fn a_head_request_creates_nothing() {
    let backend = Backend::start().await;
    for path in ["/presign?name=a.mp4", "/s3/params?filename=a.mp4"] {
        let url = format!("{}{path}", backend.local.api);
        let response = backend.http.head(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allow = response.headers()["allow"].to_str().unwrap();
        assert!(allow.contains("GET") && !allow.contains("HEAD"), "{allow}");
    }
    assert_eq!(backend.video_count().await, 0);
}
