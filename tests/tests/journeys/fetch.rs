//! Videos that the backend fetches from a URL, from a server with TLS.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use upreel_core::video::Record;
use upreel_core::{Details, Fetch, Key, SourceUrl, UserId, VideoId};
use upreel_fetch::{Client, Limits};
use upreel_local::Options;

use crate::harness::{Backend, mp4, problem};

/// The size of the parts.
const PART: usize = 5 << 20;
/// The name of the server, and one that it also answers to.
const NAMES: [&str; 2] = ["source.example", "other.example"];

/// A request, as the server sees it.
#[derive(Debug, Clone)]
struct Seen {
    target: String,
    head: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the start of the range.
    fn start(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |start| start.parse().unwrap())
    }
}

/// A response: its head, its body, and whether the connection then stays open until the server is told to go on.
struct Reply {
    head: String,
    body: Vec<u8>,
    waits: bool,
}

impl Reply {
    fn status(line: &str) -> Self {
        Self { head: format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"), body: Vec::new(), waits: false }
    }

    fn redirect(location: &str) -> Self {
        Self::status(&format!("302 Found\r\nLocation: {location}"))
    }

    /// Answers like a server of files, with the range if the entity tag is still the same.
    fn file(seen: &Seen, bytes: &[u8], etag: &str) -> Self {
        let is_range = seen.header("if-range") == Some(etag) && seen.header("range").is_some();
        let start = if is_range { seen.start() } else { 0 };
        let (end, size) = (bytes.len() - 1, bytes.len());
        let mut head = if is_range {
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end}/{size}\r\n")
        } else {
            "HTTP/1.1 200 OK\r\n".to_owned()
        };
        let body = bytes[start..].to_vec();
        write!(head, "ETag: {etag}\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        Self { head, body, waits: false }
    }

    /// Ends the connection after this many bytes of the body.
    fn cut(mut self, size: usize) -> Self {
        self.body.truncate(size);
        self
    }

    /// Sends this many bytes of the body, and the rest when the server is told to go on.
    fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }
}

/// A server with TLS, whose certificate is of an authority of its own.
struct Server {
    address: SocketAddr,
    root: CertificateDer<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
    go_on: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Server {
    /// `reply` gets the number of earlier requests, too.
    async fn start(reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).unwrap().der().clone();
        let authority = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.into()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, reply) = (TlsAcceptor::from(Arc::new(config)), Arc::new(reply));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (go_on, waits) = watch::channel(false);
        let (mut task, log) = (JoinSet::new(), seen.clone());
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, reply, log, mut waits) =
                    (acceptor.clone(), reply.clone(), log.clone(), waits.clone());
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    let request = Seen { target, head };
                    let reply = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        reply(log.len() - 1, &request)
                    };
                    let first = if reply.waits { 2 * PART + 1 } else { reply.body.len() };
                    let (first, rest) = reply.body.split_at(first.min(reply.body.len()));
                    // The client may have closed the connection.
                    let sent = async {
                        stream.write_all(reply.head.as_bytes()).await?;
                        stream.write_all(first).await?;
                        stream.flush().await?;
                        if reply.waits {
                            waits.wait_for(|go_on| *go_on).await.unwrap();
                        }
                        stream.write_all(rest).await?;
                        stream.shutdown().await
                    };
                    drop(sent.await);
                });
            }
        });
        Self { address, root, seen, go_on, _task: task }
    }

    /// Answers with a file.
    async fn with_file(bytes: Vec<u8>) -> Self {
        Self::start(move |_, seen| Reply::file(seen, &bytes, "\"v1\"")).await
    }

    fn client(&self) -> Client {
        self.client_with(Limits { part: PART, back_off: Duration::from_millis(1), ..Limits::default() })
    }

    fn client_with(&self, limits: Limits) -> Client {
        let servers = NAMES.map(|name| (name.to_owned(), self.address));
        Client::with_servers(self.root.clone(), limits, HashMap::from(servers))
    }

    fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn starts(&self) -> Vec<usize> {
        self.requests().iter().map(Seen::start).collect()
    }
}

/// Returns a video of this many parts; the last one is not full.
fn large(parts: usize) -> Vec<u8> {
    let video = mp4();
    let size = u32::try_from((parts - 1) * PART).unwrap();
    let noise = (0..size - 8).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    video.iter().copied().chain(size.to_be_bytes()).chain(*b"free").chain(noise).collect()
}

/// Starts a backend that fetches from the server.
async fn backend(server: &Server) -> Backend {
    backend_with(server.client(), |_| {}).await
}

async fn backend_with(client: Client, set: impl FnOnce(&mut Options)) -> Backend {
    let set = |options: &mut Options| {
        options.fetch = Some(client);
        set(options);
    };
    Backend::start_with(set, |handler| handler).await
}

/// Starts a backend whose objects are not processed, to which the tests send the events of the function themselves.
async fn idle_backend() -> Backend {
    Backend::start_with(|_| {}, |_| Arc::new(|_| Box::pin(async { Ok(()) }))).await
}

async fn post(backend: &Backend, body: Value) -> reqwest::Response {
    backend.post("/videos").json(&body).send().await.unwrap()
}

/// Requests a video, and returns its identifier.
async fn fetch(backend: &Backend, url: &str) -> String {
    let response = post(backend, json!({"url": url})).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let accepted: Value = response.json().await.unwrap();
    assert_eq!(accepted["status"], "PENDING");
    accepted["videoId"].as_str().unwrap().to_owned()
}

/// Returns the failure of a video that is fetched from this URL.
async fn failure(backend: &Backend, url: &str) -> String {
    let id = fetch(backend, url).await;
    let video = backend.wait_for(&id, "FAILED").await;
    wait_for_no_parts(backend).await;
    video["error"]["code"].as_str().unwrap().to_owned()
}

/// The parts are removed after the row has changed.
async fn wait_for_no_parts(backend: &Backend) {
    let start = Instant::now();
    while !backend.parts().is_empty() {
        assert!(start.elapsed() < upreel_tests::HANG_GUARD);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn record(backend: &Backend, id: VideoId) -> Record {
    backend.local.app.videos.get(id).await.unwrap().unwrap()
}

fn object(backend: &Backend, id: &str) -> Vec<u8> {
    let objects = backend.objects("uploads");
    let object = objects.iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(id));
    std::fs::read(object.unwrap()).unwrap()
}

/// An event of the function, with its row.
struct Event {
    id: VideoId,
    event: Value,
}

impl Event {
    async fn new(backend: &Backend) -> Self {
        let (id, user): (_, UserId) = (VideoId::new(), "local".parse().unwrap());
        let key = Key::Video { user: user.clone(), id, container: None };
        let about = (user, "clip".to_owned(), "video/mp4".to_owned());
        backend.local.app.videos.create(&key, about, None, &Details::default()).await.unwrap();
        let url = SourceUrl::parse("https://source.example/clip.mp4").unwrap();
        let event = Fetch { key: key.to_string(), url, until: 1 << 40 };
        Self { id, event: serde_json::to_value(event).unwrap() }
    }

    async fn handle(&self, backend: &Backend, client: &Client) -> Result<(), upreel_core::Fault> {
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        upreel_fetch::handle(&backend.local.app, client, self.event.clone(), deadline).await
    }
}

/// Waits until this many parts of the upload in the row are stored.
async fn wait_for_parts(backend: &Backend, id: VideoId, count: usize) {
    let (start, app) = (Instant::now(), &backend.local.app);
    loop {
        let row = record(backend, id).await;
        let key = row.key.parse().unwrap();
        if let Some(started) = &row.fetch
            && let Some(parts) = app.objects.list_parts(&key, &started.upload_id).await.unwrap()
            && parts.len() >= count
        {
            return;
        }
        assert!(start.elapsed() < upreel_tests::HANG_GUARD, "{row:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_video_is_copied_byte_by_byte_and_processed() {
    let video = large(3);
    let server = Server::with_file(video.clone()).await;
    let backend = backend(&server).await;
    let url = "https://source.example/folder/Ferien%20%C3%A4.mp4?X-Amz-Signature=secret";
    let body = json!({"url": url, "title": "Ferien", "tags": ["a"], "metadata": {"b": "c"}});
    let accepted: Value = post(&backend, body).await.json().await.unwrap();
    let id = accepted["videoId"].as_str().unwrap();
    let done = backend.wait_for(id, "PROCESSED").await;
    assert_eq!((&done["filename"], &done["title"]), (&"Ferien ä.mp4".into(), &"Ferien".into()));
    assert_eq!((&done["size"], &done["contentType"]), (&video.len().into(), &"video/mp4".into()));
    assert!(object(&backend, id) == video);
    assert_eq!(backend.parts().len(), 0);
    let row = record(&backend, id.parse().unwrap()).await;
    assert!(row.fetch.is_none() && row.ttl.is_none() && !format!("{row:?}").contains("secret"));

    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!(request.target, "/folder/Ferien%20%C3%A4.mp4?X-Amz-Signature=secret");
    assert_eq!(
        (request.header("host"), request.header("accept-encoding")),
        (Some(NAMES[0]), Some("identity"))
    );
    assert_eq!((request.header("cookie"), request.header("authorization")), (None, None));
}

#[tokio::test]
async fn a_connection_that_breaks_is_continued() {
    let video = large(3);
    let bytes = video.clone();
    let reply = move |earlier, seen: &Seen| {
        let file = Reply::file(seen, &bytes, "\"v1\"");
        match earlier {
            0 => file.cut(PART + 1000),
            1 => Reply::status("503 Service Unavailable"),
            2 => file.cut(10),
            _ => file,
        }
    };
    let server = Server::start(reply).await;
    let backend = backend(&server).await;
    let id = fetch(&backend, "https://source.example/clip.mp4").await;
    backend.wait_for(&id, "PROCESSED").await;
    assert!(object(&backend, &id) == video);
    assert_eq!(server.starts(), [0, PART, PART, PART]);
    assert_eq!(server.requests()[3].header("if-range"), Some("\"v1\""));
}

#[tokio::test]
async fn a_source_that_changes_or_cannot_be_continued_is_copied_anew() {
    for etags in [["\"v1\"", "\"v2\""], ["W/\"v\"", "W/\"v\""]] {
        let (old, new) = (vec![7; 3 * PART], large(2));
        let bytes = new.clone();
        let reply = move |earlier, seen: &Seen| match earlier {
            0 => Reply::file(seen, &old, etags[0]).cut(2 * PART + 1),
            _ => Reply::file(seen, &bytes, etags[1]),
        };
        let server = Server::start(reply).await;
        let backend = backend(&server).await;
        let id = fetch(&backend, "https://source.example/clip.mp4").await;
        backend.wait_for(&id, "PROCESSED").await;
        assert!(object(&backend, &id) == new, "{etags:?}");
        assert_eq!(backend.parts().len(), 0, "{etags:?}");
    }
}

#[tokio::test]
async fn sources_that_are_too_large_are_refused() {
    let reply = |_, seen: &Seen| match seen.target.as_str() {
        // Without a length, the body ends with the connection.
        "/counted" => {
            Reply { head: "HTTP/1.1 200 OK\r\n\r\n".to_owned(), body: vec![7; 3 * PART], waits: false }
        }
        "/empty" => Reply::status("200 OK"),
        // The body never comes.
        _ => Reply {
            head: "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n".to_owned(),
            body: Vec::new(),
            waits: true,
        },
    };
    let server = Server::start(reply).await;
    let max = |options: &mut Options| options.max_upload_bytes = 2 * PART as u64;
    let backend = backend_with(server.client(), max).await;
    assert_eq!(failure(&backend, "https://source.example/declared").await, "TOO_LARGE");
    assert_eq!(failure(&backend, "https://source.example/counted").await, "TOO_LARGE");
    assert_eq!(failure(&backend, "https://source.example/empty").await, "EMPTY_FILE");
    assert_eq!(backend.objects("uploads").len(), 0);
}

#[tokio::test]
async fn redirects_are_followed_only_to_public_https_addresses() {
    let video = mp4();
    let bytes = video.clone();
    let reply = move |_, seen: &Seen| match seen.target.as_str() {
        "/http" => Reply::redirect("http://source.example/clip.mp4"),
        "/private" => Reply::redirect("https://169.254.169.254/latest/meta-data/"),
        "/loopback" => Reply::redirect("https://localhost/clip.mp4"),
        "/mapped" => Reply::redirect("https://[::ffff:127.0.0.1]/clip.mp4"),
        "/port" => Reply::redirect("https://source.example:8443/clip.mp4"),
        "/user" => Reply::redirect("https://user@source.example/clip.mp4"),
        "/loop" => Reply::redirect("/loop"),
        "/nowhere" => Reply::status("302 Found"),
        "/once" => Reply::redirect("//other.example/twice?a=b"),
        "/twice?a=b" => Reply::redirect("clip.mp4"),
        "/clip.mp4" => Reply::file(seen, &bytes, "\"v1\""),
        _ => Reply::status("404 Not Found"),
    };
    let server = Server::start(reply).await;
    let backend = backend(&server).await;
    for path in ["http", "private", "loopback", "mapped", "port", "user"] {
        let url = format!("https://source.example/{path}");
        assert_eq!(failure(&backend, &url).await, "SOURCE_FORBIDDEN", "{path}");
    }
    assert_eq!(server.requests().len(), 6, "none was followed");
    assert_eq!(
        failure(&backend, "https://localhost/clip.mp4").await,
        "SOURCE_FORBIDDEN",
        "a name of this machine"
    );
    for path in ["loop", "nowhere", "missing"] {
        let url = format!("https://source.example/{path}");
        assert_eq!(failure(&backend, &url).await, "SOURCE_UNAVAILABLE", "{path}");
    }
    assert_eq!(server.requests().len(), 6 + 6 + 2, "five redirects are followed");

    let id = fetch(&backend, "https://source.example/once").await;
    backend.wait_for(&id, "PROCESSED").await;
    assert!(object(&backend, &id) == video);
    let hosts: Vec<_> =
        server.requests()[14..].iter().map(|seen| seen.header("host").map(str::to_owned)).collect();
    assert_eq!(hosts, [0, 1, 1].map(|at| Some(NAMES[at].to_owned())));
}

#[tokio::test]
async fn a_source_that_stops_sending_is_unavailable() {
    let silent = |earlier, seen: &Seen| match earlier {
        0 => Reply::file(seen, &large(3), "\"v1\"").waiting(),
        _ => Reply { head: String::new(), body: Vec::new(), waits: true },
    };
    let server = Server::start(silent).await;
    let limits = Limits {
        part: PART,
        // Far longer than this process takes to send the head of a response, also on a machine under load.
        idle: Duration::from_secs(2),
        back_off: Duration::from_millis(1),
        failures: 2,
    };
    let backend = backend_with(server.client_with(limits), |_| {}).await;
    assert_eq!(failure(&backend, "https://source.example/clip.mp4").await, "SOURCE_UNAVAILABLE");
    assert!(server.requests().len() >= 2);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let server = Server::with_file(mp4()).await;
    let other = Server::with_file(mp4()).await;
    let limits = Limits { back_off: Duration::ZERO, failures: 1, ..Limits::default() };
    let servers = HashMap::from([(NAMES[0].to_owned(), server.address)]);
    let client = Client::with_servers(other.root.clone(), limits, servers);
    let backend = backend_with(client, |_| {}).await;
    assert_eq!(failure(&backend, "https://source.example/clip.mp4").await, "SOURCE_UNAVAILABLE");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn an_attempt_that_is_killed_is_continued_by_the_next() {
    let video = large(4);
    let bytes = video.clone();
    let reply = move |earlier, seen: &Seen| {
        let file = Reply::file(seen, &bytes, "\"v1\"");
        if earlier == 0 { file.waiting() } else { file }
    };
    let server = Server::start(reply).await;
    let backend = Arc::new(idle_backend().await);
    let event = Arc::new(Event::new(&backend).await);
    let client = server.client();
    let task = {
        let (backend, event, client) = (backend.clone(), event.clone(), client.clone());
        tokio::spawn(async move { event.handle(&backend, &client).await })
    };
    wait_for_parts(&backend, event.id, 2).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    event.handle(&backend, &client).await.unwrap();
    assert_eq!(server.starts(), [0, 2 * PART]);
    assert!(object(&backend, &event.id.to_string()) == video);
    assert_eq!(backend.parts().len(), 0);
    // A late repetition finds the object.
    event.handle(&backend, &client).await.unwrap();
    assert_eq!(server.starts().len(), 2);
    assert_eq!(backend.parts().len(), 0);
}

#[tokio::test]
async fn an_attempt_without_time_is_repeated_and_the_last_one_fails() {
    let server = Server::start(|_, seen| Reply::file(seen, &large(4), "\"v1\"").waiting()).await;
    let backend = idle_backend().await;
    let mut event = Event::new(&backend).await;
    let now = Instant::now();
    let fault = upreel_fetch::handle(&backend.local.app, &server.client(), event.event.clone(), now).await;
    assert!(fault.unwrap_err().to_string().contains("the time of this attempt is over"));
    assert_eq!(record(&backend, event.id).await.video.status.as_str(), "PENDING");

    event.event["until"] = 1.into();
    event.handle(&backend, &server.client()).await.unwrap();
    let row = record(&backend, event.id).await;
    assert_eq!(row.video.error.unwrap().code, "SOURCE_TIMEOUT");
    assert_eq!((row.ttl, backend.parts().len()), (None, 0));
}

#[tokio::test]
async fn two_attempts_at_the_same_time_make_one_object() {
    for etag in ["\"v1\"", "W/\"v1\""] {
        let video = large(3);
        let bytes = video.clone();
        let server = Server::start(move |_, seen| Reply::file(seen, &bytes, etag)).await;
        let backend = idle_backend().await;
        let event = Event::new(&backend).await;
        let client = server.client();
        let (one, two) = tokio::join!(event.handle(&backend, &client), event.handle(&backend, &client));
        one.unwrap();
        two.unwrap();
        assert!(object(&backend, &event.id.to_string()) == video);
        assert_eq!(backend.parts().len(), 0);
    }
}

#[tokio::test]
async fn the_progress_of_a_copy_is_shown() {
    let server = Server::start(|_, seen| Reply::file(seen, &large(4), "\"v1\"").waiting()).await;
    let backend = backend(&server).await;
    let id = fetch(&backend, "https://source.example/clip.mp4").await;
    // The server sends two parts, and waits within the third, which is read while the second is stored.
    let start = Instant::now();
    while backend.video(&id).await["fetch"]["bytesDone"] != PART {
        assert!(start.elapsed() < upreel_tests::HANG_GUARD);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let progress = json!({"bytesDone": PART, "bytesTotal": large(4).len()});
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    assert_eq!((&backend.video(&id).await["fetch"], &list["videos"][0]["fetch"]), (&progress, &progress));
    server.go_on.send(true).unwrap();
    let done = backend.wait_for(&id, "PROCESSED").await;
    assert!(done["fetch"].is_null(), "{done}");
}

#[tokio::test]
async fn a_deletion_ends_the_copy_and_leaves_nothing() {
    let server = Server::start(|_, seen| Reply::file(seen, &large(4), "\"v1\"").waiting()).await;
    let backend = Arc::new(backend(&server).await);
    let id = fetch(&backend, "https://source.example/clip.mp4").await;
    wait_for_parts(&backend, id.parse().unwrap(), 2).await;
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    server.go_on.send(true).unwrap();
    wait_for_no_parts(&backend).await;
    assert_eq!((backend.objects("uploads").len(), server.requests().len()), (0, 1));
    assert_eq!(backend.video_count().await, 0);
}

#[tokio::test]
async fn an_event_that_is_given_up_is_recorded() {
    let backend = idle_backend().await;
    let event = Event::new(&backend).await;
    let record_of =
        json!({"requestPayload": event.event, "requestContext": {"condition": "RetriesExhausted"}});
    upreel_reconcile::give_up::handle(&backend.local.app, &record_of).await.unwrap();
    upreel_reconcile::give_up::handle(&backend.local.app, &record_of).await.unwrap();
    let video = backend.video(&event.id.to_string()).await;
    assert_eq!((&video["status"], &video["error"]["code"]), (&"FAILED".into(), &"FETCH_FAILED".into()));
}

#[tokio::test]
async fn a_repeated_request_makes_one_video() {
    let server = Server::with_file(mp4()).await;
    let backend = backend(&server).await;
    let send = async |url: &str| {
        let body = json!({"url": url, "name": "a.mp4"});
        backend.post("/videos").header("idempotency-key", "k").json(&body).send().await.unwrap()
    };
    let url = "https://source.example/clip.mp4";
    let (one, two) = tokio::join!(send(url), send(url));
    let [one, two]: [Value; 2] = [one.json().await.unwrap(), two.json().await.unwrap()];
    assert_eq!(one["videoId"], two["videoId"]);
    let id = one["videoId"].as_str().unwrap();
    backend.wait_for(id, "PROCESSED").await;
    let again: Value = send(url).await.json().await.unwrap();
    assert_eq!((&again["videoId"], &again["status"]), (&id.into(), &"PROCESSED".into()));
    assert_eq!(
        problem(send("https://source.example/other").await).await,
        (422, "IDEMPOTENCY_MISMATCH".into())
    );
    assert_eq!(
        (
            backend.video_count().await,
            backend.objects("uploads").iter().filter(|path| path.to_string_lossy().ends_with(".mp4")).count()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn urls_that_are_not_allowed_are_refused_at_once() {
    let server = Server::with_file(mp4()).await;
    let backend = backend(&server).await;
    for url in [
        "",
        "clip.mp4",
        "http://source.example/a",
        "https://10.0.0.1/a",
        "https://source.example:22/a",
        "https://u:p@source.example/",
    ] {
        assert_eq!(
            problem(post(&backend, json!({"url": url})).await).await,
            (400, "INVALID_REQUEST".into()),
            "{url}"
        );
    }
    let no_url = problem(post(&backend, json!({"name": "a.mp4"})).await).await;
    assert_eq!(no_url, (400, "INVALID_REQUEST".into()));
    let page = post(&backend, json!({"url": "https://source.example/a", "type": "text/html"})).await;
    assert_eq!(problem(page).await, (415, "UNSUPPORTED_MEDIA".into()));
    assert_eq!((backend.video_count().await, server.requests().len()), (0, 0));

    let off = Backend::start().await;
    let refused = post(&off, json!({"url": "https://source.example/a"})).await;
    assert_eq!(problem(refused).await, (403, "FETCH_DISABLED".into()));
}

#[tokio::test]
async fn quotas_hold_for_fetched_videos() {
    let server = Server::with_file(large(2)).await;
    let quota = |options: &mut Options| options.quotas.bytes = Some(PART as u64);
    let backend = backend_with(server.client(), quota).await;
    assert_eq!(failure(&backend, "https://source.example/clip.mp4").await, "QUOTA_EXCEEDED");
    let usage: Value = backend.get("/usage").send().await.unwrap().json().await.unwrap();
    assert_eq!((&usage["bytes"]["used"], &usage["uploads"]["used"]), (&0.into(), &0.into()), "{usage}");
}
