//! Webhooks, received by a real HTTP server. Another implementation verifies their signatures.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use upreel_local::webhook::Webhook;
use upreel_webhook::Endpoint;

use crate::harness::{Backend, ffmpeg, mp4};
use crate::restart::spawn;

const SECRET: &str = "whsec-of-the-tests";
const TIMEOUT: Duration = upreel_tests::HANG_GUARD;

/// Returns the response to an event. The number counts the earlier deliveries of the same event.
type Responder = dyn Fn(&Value, usize) -> Response + Send + Sync;

/// The requests that were received, and the function that responds to them.
#[derive(Clone)]
struct Inbox {
    received: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    respond: Arc<Responder>,
}

struct Receiver {
    url: String,
    inbox: Inbox,
    server: AbortHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: String) -> Response {
    let event: Value = serde_json::from_str(&body).unwrap();
    let before = {
        let mut received = inbox.received.lock().unwrap();
        let before = received.iter().filter(|(_, earlier)| *earlier == body).count();
        received.push((headers, body));
        before
    };
    (inbox.respond)(&event, before)
}

impl Receiver {
    /// Starts a receiver that accepts every webhook.
    async fn start() -> Self {
        Self::start_with(|_, _| StatusCode::OK.into_response()).await
    }

    async fn start_with(respond: impl Fn(&Value, usize) -> Response + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), respond)
    }

    fn start_on(
        listener: TcpListener,
        respond: impl Fn(&Value, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let inbox = Inbox { received: Arc::default(), respond: Arc::new(respond) };
        let url = format!("http://{}/hooks/video?from=upreel", listener.local_addr().unwrap());
        let routes =
            axum::Router::new().route("/hooks/video", axum::routing::post(receive)).with_state(inbox.clone());
        let server = tokio::spawn(axum::serve(listener, routes).into_future()).abort_handle();
        Self { url, inbox, server }
    }

    fn events(&self) -> Vec<Value> {
        let received = self.inbox.received.lock().unwrap();
        received.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    /// Returns the distinct event types of a video, in the order in which the events happened.
    fn types(&self, id: &str) -> Vec<String> {
        let key = |event: &Value| (text(&event["sequence"]), text(&event["type"]));
        let mut types: Vec<_> =
            self.events().iter().filter(|event| event["object"]["id"] == id).map(key).collect();
        types.sort();
        types.dedup();
        types.into_iter().map(|(_, kind)| kind).collect()
    }

    /// Waits for an event of this type for the video, and returns the latest one.
    async fn wait_for(&self, id: &str, kind: &str) -> Value {
        let start = Instant::now();
        loop {
            let matches = |event: &Value| event["object"]["id"] == id && event["type"] == kind;
            if let Some(event) = self.events().into_iter().rev().find(matches) {
                return event;
            }
            assert!(start.elapsed() < TIMEOUT, "expected {kind}, got {:?}", self.types(id));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Verifies all received webhooks with the other implementation, after `alter` is applied to the bodies. Returns
    /// the distinct results.
    fn verify(&self, secret: &str, alter: impl Fn(&str) -> String) -> BTreeSet<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhooks/verify.py");
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let received = self.inbox.received.lock().unwrap().clone();
        let mut stdin = child.stdin.take().unwrap();
        for (headers, body) in &received {
            let signature = headers["mux-signature"].to_str().unwrap();
            let line = json!({"secret": secret, "signature": signature, "body": alter(body)});
            writeln!(stdin, "{line}").unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let lines: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), received.len());
        lines.into_iter().collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    events.into_iter().map(|event| text(&event["id"])).collect()
}

fn webhook(url: &str, attempts: usize) -> Webhook {
    let endpoint = Endpoint::local(url, SECRET).unwrap();
    Webhook { endpoint, back_off: vec![Duration::from_millis(20); attempts - 1] }
}

/// Starts a backend that sends webhooks to this URL, with this number of attempts.
async fn start(url: &str, attempts: usize) -> Backend {
    Backend::start_with(|options| options.webhook = Some(webhook(url, attempts)), |handler| handler).await
}

async fn presigned(backend: &Backend) -> (Value, String) {
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = text(&signed["videoId"]);
    (signed, id)
}

const LIFECYCLE: [&str; 4] =
    ["video.upload.created", "video.asset.created", "video.asset.ready", "video.asset.deleted"];

#[tokio::test]
async fn every_transition_sends_a_signed_webhook() {
    let receiver = Receiver::start().await;
    let backend = start(&receiver.url, 1).await;
    let (signed, id) = presigned(&backend).await;
    let created = receiver.wait_for(&id, LIFECYCLE[0]).await;
    assert_eq!(created["object"], json!({"type": "upload", "id": id}));
    assert_eq!(created["data"], backend.video(&id).await);
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let ready = receiver.wait_for(&id, LIFECYCLE[2]).await;
    assert_eq!(ready["object"], json!({"type": "asset", "id": id}));

    // The data equals the API's video without the URLs.
    let mut video = backend.video(&id).await;
    let urls = [
        "thumbnailUrl",
        "thumbnailLargeUrl",
        "storyboardUrl",
        "storyboardImageUrl",
        "hlsUrl",
        "url",
        "downloadUrl",
    ];
    for url in urls {
        assert!(video.as_object_mut().unwrap().remove(url).is_some(), "{url}");
    }
    assert_eq!(ready["data"], video);
    assert!(!ready.to_string().contains("X-Amz-Signature"));

    let path = format!("{}/videos/{id}", backend.local.api);
    for _ in 0..2 {
        backend.http.delete(&path).send().await.unwrap();
    }
    let deleted = receiver.wait_for(&id, LIFECYCLE[3]).await;
    assert_eq!((&deleted["data"]["status"], &deleted["data"]["filename"]), (&json!("DELETED"), &json!("")));

    // A file that isn't a video, and an upload through the API.
    let bad = backend.put("b.mp4", "video/mp4", b"no video at all".to_vec()).await;
    let errored = receiver.wait_for(&bad, "video.asset.errored").await;
    assert_eq!(errored["data"]["error"]["code"], "UNSUPPORTED_MEDIA");
    let mut video = backend.video(&bad).await;
    for url in ["url", "downloadUrl"] {
        assert!(video.as_object_mut().unwrap().remove(url).is_some(), "{url}");
    }
    assert_eq!(errored["data"], video);
    let response = backend.upload("c.mp4", mp4()).await;
    let other = text(&response.json::<Value>().await.unwrap()["videoId"]);
    receiver.wait_for(&other, LIFECYCLE[2]).await;

    wait_for_deliveries(&backend, &receiver, 10).await;
    assert_eq!(receiver.types(&id), LIFECYCLE, "the second deletion sends nothing");
    assert_eq!(receiver.types(&bad), [LIFECYCLE[0], LIFECYCLE[1], "video.asset.errored"]);
    assert_eq!(receiver.types(&other), LIFECYCLE[..3]);
    assert_eq!(ids(&receiver.events()).len(), 10);
    for (headers, _) in receiver.inbox.received.lock().unwrap().iter() {
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert!(headers[header::USER_AGENT].to_str().unwrap().starts_with("Upreel/"));
    }
    let only = |result: &str| BTreeSet::from([result.to_owned()]);
    assert_eq!(receiver.verify(SECRET, str::to_owned), only("ok"));
    assert_eq!(receiver.verify("another", str::to_owned), only("another signature"));
    assert_eq!(
        receiver.verify(SECRET, |body| body.replace("asset", "Asset") + " "),
        only("another signature")
    );
}

#[tokio::test]
async fn rejected_webhooks_are_retried() {
    let elsewhere = Receiver::start().await;
    let moved = elsewhere.url.clone();
    let receiver = Receiver::start_with(move |_, before| match before {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, moved.clone())]).into_response(),
        2 => StatusCode::GONE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let backend = start(&receiver.url, 9).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    receiver.wait_for(&id, LIFECYCLE[2]).await;
    wait_for_deliveries(&backend, &receiver, 12).await;
    assert_eq!(ids(&receiver.events()).len(), 3, "each event arrived four times, unchanged");
    assert_eq!(elsewhere.events(), [] as [Value; 0], "redirects are not followed");
    assert_eq!(receiver.verify(SECRET, str::to_owned), BTreeSet::from(["ok".to_owned()]));
    assert_eq!(backend.dead_letters().await, [] as [Value; 0]);
}

/// Waits until `count` requests have arrived and no webhook is pending, and checks that there were no more.
async fn wait_for_deliveries(backend: &Backend, receiver: &Receiver, count: usize) {
    let start = Instant::now();
    while receiver.events().len() < count || !backend.webhooks().is_empty() {
        assert!(start.elapsed() < TIMEOUT, "{:?}", receiver.events());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(receiver.events().len(), count);
}

#[tokio::test]
async fn webhooks_are_delivered_after_the_receiver_was_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let backend = start(&format!("http://{address}/hooks/video"), 3000).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let start = Instant::now();
    while backend.webhooks().len() < 3 {
        assert!(start.elapsed() < TIMEOUT, "{:?}", backend.webhooks());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let receiver =
        Receiver::start_on(TcpListener::bind(address).await.unwrap(), |_, _| StatusCode::OK.into_response());
    wait_for_deliveries(&backend, &receiver, 3).await;
    assert_eq!(receiver.types(&id), LIFECYCLE[..3]);
}

#[tokio::test]
async fn undeliverable_webhooks_become_dead_letters_and_can_be_replayed() {
    let open = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_open = open.clone();
    let receiver = Receiver::start_with(move |event, _| {
        let accepted = event["type"] != LIFECYCLE[1] || is_open.load(std::sync::atomic::Ordering::Relaxed);
        if accepted { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }.into_response()
    })
    .await;
    let backend = start(&receiver.url, 3).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    receiver.wait_for(&id, LIFECYCLE[2]).await;
    // Two events that are accepted at once, and three attempts at the rejected one, which doesn't delay the others.
    wait_for_deliveries(&backend, &receiver, 5).await;
    let letters = backend.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["attempts"], 3);
    assert_eq!(letters[0]["error"], "deliver the webhook: status 503");
    assert!(text(&letters[0]["key"]).contains(&id));
    let rejected = receiver.wait_for(&id, LIFECYCLE[1]).await;

    open.store(true, std::sync::atomic::Ordering::Relaxed);
    let replayed = backend.post("/_local/dlq/replay").send().await.unwrap();
    assert_eq!(replayed.json::<Value>().await.unwrap(), json!({"replayed": 1}));
    wait_for_deliveries(&backend, &receiver, 6).await;
    assert_eq!(receiver.events()[5], rejected, "the event is unchanged");
    assert_eq!(backend.dead_letters().await, [] as [Value; 0]);
}

#[tokio::test]
async fn webhooks_are_off_by_default() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    assert!(!stream_is_on(&backend).await);
    assert!(!backend.data().join("webhooks").exists());
}

async fn stream_is_on(backend: &Backend) -> bool {
    let described = backend.dynamodb().describe_table().table_name("VideoMetadata").send().await.unwrap();
    let stream = described.table.unwrap().stream_specification;
    stream.is_some_and(|stream| stream.stream_enabled)
}

#[tokio::test]
async fn webhooks_can_be_turned_on_and_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let receiver = Receiver::start().await;
    let on = || start_on(&data, &receiver.url);
    let first = {
        let backend = on().await;
        assert!(stream_is_on(&backend).await);
        let (_, id) = presigned(&backend).await;
        receiver.wait_for(&id, LIFECYCLE[0]).await;
        // Wait for the delivery to be recorded. Otherwise the event would be sent again at the next start.
        wait_for_deliveries(&backend, &receiver, 1).await;
        id
    };
    let silent = {
        let backend = Backend::start_on(&data).await;
        assert!(!stream_is_on(&backend).await);
        presigned(&backend).await.1
    };
    let backend = on().await;
    let (_, last) = presigned(&backend).await;
    receiver.wait_for(&last, LIFECYCLE[0]).await;
    wait_for_deliveries(&backend, &receiver, 2).await;
    assert_eq!([&first, &silent, &last].map(|id| receiver.types(id).len()), [1, 0, 1]);
}

/// Returns the options of a backend that retries webhooks for a minute.
pub(crate) fn options(data: &Path, url: &str) -> upreel_local::Options {
    upreel_local::Options { webhook: Some(webhook(url, 3000)), ..crate::harness::options(data) }
}

async fn start_on(data: &Path, url: &str) -> Backend {
    Backend::start_from(options(data, url)).await
}

#[tokio::test]
async fn unread_stream_records_are_sent_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        // Stopped immediately after the response, before the stream is read.
        let backend = start_on(folder.path(), &receiver.url).await;
        ids.push(presigned(&backend).await.1);
    }
    let backend = start_on(folder.path(), &receiver.url).await;
    for id in &ids {
        receiver.wait_for(id, LIFECYCLE[0]).await;
    }
    let start = Instant::now();
    while !backend.webhooks().is_empty() {
        assert!(start.elapsed() < TIMEOUT);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(self::ids(&receiver.events()).len(), 3, "duplicates have the same identifier");
}

#[tokio::test]
async fn duplicate_webhooks_are_identical() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let id = {
        let backend = start_on(folder.path(), &receiver.url).await;
        let id = backend.put("a.mp4", "video/mp4", mp4()).await;
        receiver.wait_for(&id, LIFECYCLE[2]).await;
        wait_for_deliveries(&backend, &receiver, 3).await;
        id
    };
    // The state of a process that was killed before it stored its position in the stream.
    std::fs::remove_file(folder.path().join("webhooks/sequence")).unwrap();
    let backend = start_on(folder.path(), &receiver.url).await;
    wait_for_deliveries(&backend, &receiver, 6).await;
    assert_eq!(receiver.types(&id), LIFECYCLE[..3]);
    let bodies: BTreeSet<String> =
        receiver.inbox.received.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies.len(), 3);
}

#[tokio::test]
async fn delivery_waits_for_the_status_and_ignores_the_body() {
    // A receiver that accepts the connection and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let fault = Endpoint::local(&url, SECRET).unwrap().post("{}").await.unwrap_err();
    assert_eq!(fault.to_string(), "deliver the webhook: no response within 10 s");
    // A receiver whose response body never ends.
    let endless = Receiver::start_with(|_, _| {
        let body = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 16]));
        axum::body::Body::from_stream(body).into_response()
    })
    .await;
    Endpoint::local(&endless.url, SECRET).unwrap().post("{}").await.unwrap();
}

#[tokio::test]
async fn a_killed_process_loses_no_webhooks() {
    let folder = tempfile::tempdir().unwrap();
    let down = Receiver::start_with(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let (mut child, api) = spawn(folder.path(), &ffmpeg(), &[("UPREEL_TEST_WEBHOOK", &down.url)]);
    let http = reqwest::Client::new();
    let signed: Value =
        http.get(format!("{api}/presign?name=a.mp4")).send().await.unwrap().json().await.unwrap();
    let put = http.put(text(&signed["uploadUrl"])).header("Content-Type", "video/mp4").body(mp4());
    assert_eq!(put.send().await.unwrap().status(), 200);
    let id = text(&signed["videoId"]);
    for kind in &LIFECYCLE[..3] {
        down.wait_for(&id, kind).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let receiver = Receiver::start().await;
    let backend = start_on(folder.path(), &receiver.url).await;
    assert_eq!(backend.local.resumed, 3);
    wait_for_deliveries(&backend, &receiver, 3).await;
    assert_eq!(ids(&receiver.events()), ids(&down.events()));
    assert_eq!(receiver.types(&id), LIFECYCLE[..3]);
}
