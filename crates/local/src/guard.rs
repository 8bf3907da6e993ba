//! Protects the ports from web pages. A page that is open in a browser of this machine can send requests to every port.
//! The browser states their origin in headers that a page cannot set:
//!
//! - `Host` is the name in the URL. A page can have its own name resolve to 127.0.0.1 (DNS rebinding), so that the browser
//!   takes the port for the page's own server.
//! - `Origin` is the site of the page. It is part of each request whose response the page can read, and of each request
//!   with another method than GET and HEAD.
//! - `Sec-Fetch-Site` says whether a request without `Origin`, such as that of an `<img>`, is for another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use upreel_http::{Code, Problem};

/// A server of the local backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Api,
    S3,
    DynamoDb,
}

/// The names of this machine, and the web pages that may send requests to it.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    /// The values of `Host`, without the port.
    hosts: Vec<String>,
    /// The origins of the local backend's own page, and those that the user has allowed.
    pub(crate) origins: Vec<String>,
}

impl Allowed {
    /// Allows the names of the loopback interface, the address that the API is bound to, further `hosts`, and the pages
    /// of these `origins`.
    pub(crate) fn new(address: IpAddr, hosts: &[String], origins: &[String], api_port: u16) -> Self {
        let address = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let mut names = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).to_vec();
        names.push(address);
        names.extend(hosts.iter().map(|host| host.to_ascii_lowercase()));
        // Browsers leave out the default port.
        let port = if api_port == 80 { String::new() } else { format!(":{api_port}") };
        let own = names.iter().map(|host| format!("http://{host}{port}"));
        let origins = own.chain(origins.iter().map(|origin| origin.trim_end_matches('/').to_owned()));
        Self { origins: origins.collect(), hosts: names }
    }

    /// Adds the check of each request to the routes of a port.
    pub(crate) fn guard(&self, port: Port, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state((Arc::new(self.clone()), port), check))
    }

    /// Returns why a request is refused, as a sentence for the developer.
    fn refusal(
        &self,
        port: Port,
        (method, uri): (&Method, &Uri),
        host: Option<&str>,
        headers: &HeaderMap,
    ) -> Option<String> {
        let Some(host) = host else { return Some("This request has no Host header. Send one.".to_owned()) };
        if !self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(without_port(host))) {
            let name = without_port(host);
            return Some(format!(
                "This request is for the host {name:?}, which is not a name of this machine. If it is, start Upreel \
                 with --allow-host {name}"
            ));
        }
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if let Some(origin) = text(header::ORIGIN) {
            let is_allowed = match port {
                Port::Api => self.allows(origin) || is_same(origin, host),
                Port::S3 => self.allows(origin) || (origin == NULL && is_redirected(method, uri)),
                Port::DynamoDb => false,
            };
            return match (is_allowed, port) {
                (true, _) => None,
                (false, Port::DynamoDb) => Some("Web pages cannot use the port of DynamoDB.".to_owned()),
                (false, _) if origin == NULL => Some(
                    "The web page has no origin: it is a file, or in a sandboxed frame. If it is yours, serve it, for \
                     example with python3 -m http.server 5173, and start Upreel with --allow-origin \
                     http://localhost:5173"
                        .to_owned(),
                ),
                (false, _) => Some(format!(
                    "The web page at {origin:?} is not allowed to use this port. If it is yours, start Upreel with \
                     --allow-origin {origin}"
                )),
            };
        }
        let is_foreign = matches!(text(SEC_FETCH_SITE), Some("cross-site" | "same-site"));
        // A GET request to /presign creates a video. On the other ports, the signature is the permission.
        (port == Port::Api && is_foreign && !can_be_embedded(uri.path())).then(|| {
            "A web page of another site has sent this request without an Origin header. Use fetch, from an origin that \
             --allow-origin names."
                .to_owned()
        })
    }

    fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| upreel_http::matches_origin(allowed, origin))
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The origin of a request that was redirected from one site to another, and of pages without a site.
pub(crate) const NULL: &str = "null";

/// Returns whether another site may link to a path or embed it: the pages, and the playlists and segments that a
/// `<video>` plays.
fn can_be_embedded(path: &str) -> bool {
    matches!(path, "/" | "/docs") || path.starts_with("/videos/") || path.starts_with("/segments/")
}

/// Returns whether a request is one to which the API redirects: it reads a segment, and its signature is the permission.
fn is_redirected(method: &Method, uri: &Uri) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && uri.path().split('/').nth(2) == Some("segments")
        && uri.query().is_some_and(|query| query.contains("X-Amz-Signature="))
}

/// Returns whether the page of this origin was loaded from this host.
fn is_same(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

async fn check(
    State((allowed, port)): State<(Arc<Allowed>, Port)>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    // A request in absolute form, as proxies get it, states the host in its URL.
    let host = request.uri().authority().map(Authority::as_str).or(host);
    let line = (request.method(), request.uri());
    let refusal = allowed.refusal(port, line, host, request.headers());
    let mut response = match refusal {
        None => next.run(request).await,
        Some(detail) => {
            tracing::warn!("refused {} {}: {detail}", request.method(), request.uri().path());
            refuse(port, &detail)
        }
    };
    // The bytes of an uploaded file must not be taken for HTML.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns a 403 in the format of the port's other errors.
fn refuse(port: Port, detail: &str) -> Response {
    let (content_type, body) = match port {
        Port::Api => return Problem::new(Code::Forbidden, detail).into_response(),
        Port::S3 => {
            let detail = detail.replace('&', "&amp;").replace('<', "&lt;");
            let error = format!("<Error><Code>AccessDenied</Code><Message>{detail}</Message></Error>");
            ("application/xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}"))
        }
        Port::DynamoDb => {
            let kind = "com.amazon.coral.service#AccessDeniedException";
            ("application/x-amz-json-1.0", json!({"__type": kind, "message": detail}).to_string())
        }
    };
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn allowed() -> Allowed {
        let hosts = ["My-Mac.local".to_owned()];
        let origins = ["http://localhost:5173/".to_owned(), "https://dev.example:*".to_owned()];
        Allowed::new(Ipv4Addr::new(192, 168, 1, 5).into(), &hosts, &origins, 3000)
    }

    fn is_allowed(port: Port, path: &str, host: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let uri = path.parse().unwrap();
        allowed().refusal(port, (&Method::GET, &uri), Some(host), &headers.collect()).is_none()
    }

    #[test]
    fn redirected_requests_for_segments_have_no_origin() {
        let from_null = |port, path| is_allowed(port, path, "127.0.0.1:9000", &[("origin", "null")]);
        assert!(from_null(Port::S3, "/processed/segments/1/2/source/3.m4s?X-Amz-Signature=a"));
        for path in [
            "/processed/segments/1/2/source/3.m4s",
            "/uploads/videos/u/1.mp4?X-Amz-Signature=a",
            "/uploads/segments?list-type=2",
        ] {
            assert!(!from_null(Port::S3, path), "{path}");
        }
        let segment = "/processed/segments/1/2/source/3.m4s?X-Amz-Signature=a".parse().unwrap();
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("null"))]);
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            let refusal = allowed().refusal(Port::S3, (&method, &segment), Some("127.0.0.1"), &headers);
            assert!(refusal.is_some(), "{method}");
        }
        assert!(!from_null(Port::Api, "/segments/1/2/source/3.m4s?X-Amz-Signature=a"));
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for port in [Port::Api, Port::S3, Port::DynamoDb] {
            for host in [
                "127.0.0.1:3000",
                "localhost:80",
                "LOCALHOST",
                "[::1]:3000",
                "[::1]",
                "192.168.1.5:1",
                "my-mac.local:3000",
            ] {
                assert!(is_allowed(port, "/", host, &[]), "{host}");
            }
            for host in [
                "",
                "evil.example:3000",
                "127.0.0.1.evil.example",
                "localhost.evil.example",
                "evil.example:127.0.0.1",
                "localhost:3000:3000",
                "127.0.0.1@evil.example",
                "[::2]:3000",
                "192.168.1.6",
                "0.0.0.0",
                "localhost.",
            ] {
                assert!(!is_allowed(port, "/", host, &[]), "{host}");
            }
            let root = (&Method::GET, &Uri::from_static("/"));
            assert!(allowed().refusal(port, root, None, &HeaderMap::new()).is_some(), "no host");
        }
        let v6 = Allowed::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7).into(), &[], &[], 3000);
        let root = (&Method::GET, &Uri::from_static("/"));
        assert_eq!(v6.refusal(Port::Api, root, Some("[fe80::7]:3000"), &HeaderMap::new()), None);
    }

    #[test]
    fn only_allowed_pages_have_an_origin() {
        let from = |port, host: &str, origin: &str| is_allowed(port, "/videos", host, &[("origin", origin)]);
        for origin in [
            "http://127.0.0.1:3000",
            "http://localhost:3000",
            "http://192.168.1.5:3000",
            "http://my-mac.local:3000",
            "http://localhost:5173",
            "https://dev.example:8443",
        ] {
            assert!(from(Port::Api, "127.0.0.1:3000", origin), "{origin}");
            assert!(from(Port::S3, "127.0.0.1:9000", origin), "{origin}");
            assert!(!from(Port::DynamoDb, "127.0.0.1:8000", origin), "{origin}");
        }
        // A page of the S3 port would be a file that somebody has uploaded.
        for origin in [
            "null",
            "",
            "http://127.0.0.1:9000",
            "http://localhost:8080",
            "http://evil.example",
            "https://evil.example:3000",
            "http://localhost:51733",
            "https://dev.example.evil.example:1",
            "http://127.0.0.1",
            "https://localhost:3000",
        ] {
            assert!(!from(Port::Api, "127.0.0.1:3000", origin), "{origin}");
            assert!(!from(Port::S3, "127.0.0.1:9000", origin), "{origin}");
            assert!(!from(Port::DynamoDb, "127.0.0.1:8000", origin), "{origin}");
        }
        assert!(from(Port::Api, "localhost:8080", "http://localhost:8080"), "a forwarded port");
        assert!(from(Port::Api, "my-mac.local", "https://my-mac.local"), "a proxy with TLS");
        assert!(!from(Port::S3, "localhost:9000", "http://localhost:9000"));
    }

    #[test]
    fn other_sites_cannot_send_requests_without_an_origin() {
        let from = |port, path, site| is_allowed(port, path, "localhost:1", &[("sec-fetch-site", site)]);
        for path in ["/presign", "/s3/params", "/_local/dlq", "/videos"] {
            assert!(!from(Port::Api, path, "cross-site") && !from(Port::Api, path, "same-site"), "{path}");
            assert!(from(Port::Api, path, "same-origin") && from(Port::Api, path, "none"), "{path}");
        }
        assert!(from(Port::Api, "/docs", "cross-site"), "a link");
        assert!(from(Port::Api, "/videos/1/hls/master.m3u8", "cross-site"), "a <video> that plays HLS");
        assert!(from(Port::S3, "/thumbnails/1.jpg", "cross-site"), "an <img> with a signed URL");
    }

    #[test]
    fn browsers_leave_out_port_80() {
        let allowed = Allowed::new(Ipv4Addr::LOCALHOST.into(), &[], &[], 80);
        assert!(allowed.origins.contains(&"http://localhost".to_owned()), "{allowed:?}");
    }
}
