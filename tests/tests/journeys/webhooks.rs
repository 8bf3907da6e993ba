//! What a receiver of webhooks sees: a real HTTP server, and signatures verified by another implementation.

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
const PATIENCE: Duration = Duration::from_mins(1);

/// The answer to an event that came so often before.
type Answer = dyn Fn(&Value, usize) -> Response + Send + Sync;

/// What came, and how it is answered.
#[derive(Clone)]
struct Inbox {
    came: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answer: Arc<Answer>,
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
        let mut came = inbox.came.lock().unwrap();
        let before = came.iter().filter(|(_, earlier)| *earlier == body).count();
        came.push((headers, body));
        before
    };
    (inbox.answer)(&event, before)
}

impl Receiver {
    /// Takes everything.
    async fn start() -> Self {
        Self::answering(|_, _| StatusCode::OK.into_response()).await
    }

    async fn answering(answer: impl Fn(&Value, usize) -> Response + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    fn on(listener: TcpListener, answer: impl Fn(&Value, usize) -> Response + Send + Sync + 'static) -> Self {
        let inbox = Inbox { came: Arc::default(), answer: Arc::new(answer) };
        let url = format!("http://{}/hooks/video?from=upreel", listener.local_addr().unwrap());
        let routes =
            axum::Router::new().route("/hooks/video", axum::routing::post(receive)).with_state(inbox.clone());
        let server = tokio::spawn(axum::serve(listener, routes).into_future()).abort_handle();
        Self { url, inbox, server }
    }

    fn events(&self) -> Vec<Value> {
        let came = self.inbox.came.lock().unwrap();
        came.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    /// The types of the events of a video, in the order in which they happened.
    fn told(&self, id: &str) -> Vec<String> {
        let of = |event: &Value| (text(&event["sequence"]), text(&event["type"]));
        let mut told: Vec<_> =
            self.events().iter().filter(|event| event["object"]["id"] == id).map(of).collect();
        told.sort();
        told.dedup();
        told.into_iter().map(|(_, kind)| kind).collect()
    }

    /// Waits until an event of this type came for the video, and gives the last such.
    async fn until(&self, id: &str, kind: &str) -> Value {
        let start = Instant::now();
        loop {
            let fits = |event: &Value| event["object"]["id"] == id && event["type"] == kind;
            if let Some(event) = self.events().into_iter().rev().find(fits) {
                return event;
            }
            assert!(start.elapsed() < PATIENCE, "no {kind} but {:?}", self.told(id));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the other implementation says of everything that came.
    fn verified(&self, secret: &str, alter: impl Fn(&str) -> String) -> BTreeSet<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhooks/verify.py");
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let came = self.inbox.came.lock().unwrap().clone();
        let mut stdin = child.stdin.take().unwrap();
        for (headers, body) in &came {
            let signature = headers["mux-signature"].to_str().unwrap();
            let line = json!({"secret": secret, "signature": signature, "body": alter(body)});
            writeln!(stdin, "{line}").unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let lines: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), came.len());
        lines.into_iter().collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text but {value}")).to_owned()
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    events.into_iter().map(|event| text(&event["id"])).collect()
}

fn webhook(url: &str, attempts: usize) -> Webhook {
    let endpoint = Endpoint::local(url, SECRET).unwrap();
    Webhook { endpoint, back_off: vec![Duration::from_millis(20); attempts - 1] }
}

/// A backend that tells the receiver, and tries so often.
async fn telling(url: &str, attempts: usize) -> Backend {
    Backend::with(|options| options.webhook = Some(webhook(url, attempts)), |handler| handler).await
}

async fn presigned(backend: &Backend) -> (Value, String) {
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = text(&signed["videoId"]);
    (signed, id)
}

const LIFE: [&str; 4] =
    ["video.upload.created", "video.asset.created", "video.asset.ready", "video.asset.deleted"];

#[tokio::test]
async fn every_step_of_a_video_is_told() {
    let receiver = Receiver::start().await;
    let backend = telling(&receiver.url, 1).await;
    let (signed, id) = presigned(&backend).await;
    let begun = receiver.until(&id, LIFE[0]).await;
    assert_eq!(begun["object"], json!({"type": "upload", "id": id}));
    assert_eq!(begun["data"], backend.video(&id).await);
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let ready = receiver.until(&id, LIFE[2]).await;
    assert_eq!(ready["object"], json!({"type": "asset", "id": id}));

    // What the API says, but for the URLs.
    let mut video = backend.video(&id).await;
    let urls =
        ["thumbnailUrl", "thumbnailLargeUrl", "storyboardUrl", "storyboardImageUrl", "url", "downloadUrl"];
    for url in urls {
        assert!(video.as_object_mut().unwrap().remove(url).is_some(), "{url}");
    }
    assert_eq!(ready["data"], video);
    assert!(!ready.to_string().contains("X-Amz-Signature"));

    let path = format!("{}/videos/{id}", backend.local.api);
    for _ in 0..2 {
        backend.http.delete(&path).send().await.unwrap();
    }
    let gone = receiver.until(&id, LIFE[3]).await;
    assert_eq!((&gone["data"]["status"], &gone["data"]["filename"]), (&json!("DELETED"), &json!("")));

    // One that is no video, and the other way in.
    let bad = backend.put("b.mp4", "video/mp4", b"no video at all".to_vec()).await;
    let errored = receiver.until(&bad, "video.asset.errored").await;
    assert_eq!(errored["data"]["error"]["code"], "UNSUPPORTED_MEDIA");
    let mut video = backend.video(&bad).await;
    for url in ["url", "downloadUrl"] {
        assert!(video.as_object_mut().unwrap().remove(url).is_some(), "{url}");
    }
    assert_eq!(errored["data"], video);
    let answer = backend.upload("c.mp4", mp4()).await;
    let other = text(&answer.json::<Value>().await.unwrap()["videoId"]);
    receiver.until(&other, LIFE[2]).await;

    settled(&backend, &receiver, 10).await;
    assert_eq!(receiver.told(&id), LIFE, "the second deletion changed nothing");
    assert_eq!(receiver.told(&bad), [LIFE[0], LIFE[1], "video.asset.errored"]);
    assert_eq!(receiver.told(&other), LIFE[..3]);
    assert_eq!(ids(&receiver.events()).len(), 10);
    for (headers, _) in receiver.inbox.came.lock().unwrap().iter() {
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert!(headers[header::USER_AGENT].to_str().unwrap().starts_with("Upreel/"));
    }
    let is = |lines: &str| BTreeSet::from([lines.to_owned()]);
    assert_eq!(receiver.verified(SECRET, str::to_owned), is("ok"));
    assert_eq!(receiver.verified("another", str::to_owned), is("another signature"));
    assert_eq!(
        receiver.verified(SECRET, |body| body.replace("asset", "Asset") + " "),
        is("another signature")
    );
}

#[tokio::test]
async fn what_was_not_taken_comes_again() {
    let elsewhere = Receiver::start().await;
    let moved = elsewhere.url.clone();
    let receiver = Receiver::answering(move |_, before| match before {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, moved.clone())]).into_response(),
        2 => StatusCode::GONE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let backend = telling(&receiver.url, 9).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.until(&id, "PROCESSED").await;
    receiver.until(&id, LIFE[2]).await;
    settled(&backend, &receiver, 12).await;
    assert_eq!(ids(&receiver.events()).len(), 3, "each came four times, and was the same each time");
    assert_eq!(elsewhere.events(), [] as [Value; 0], "no redirect is followed");
    assert_eq!(receiver.verified(SECRET, str::to_owned), BTreeSet::from(["ok".to_owned()]));
    assert_eq!(backend.dead_letters().await, [] as [Value; 0]);
}

/// Waits until so many requests came and nothing is waiting any more.
async fn settled(backend: &Backend, receiver: &Receiver, count: usize) {
    let start = Instant::now();
    while receiver.events().len() < count || !backend.webhooks().is_empty() {
        assert!(start.elapsed() < PATIENCE, "{:?}", receiver.events());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(receiver.events().len(), count);
}

#[tokio::test]
async fn a_receiver_that_was_down_is_told_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let backend = telling(&format!("http://{address}/hooks/video"), 3000).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.until(&id, "PROCESSED").await;
    let start = Instant::now();
    while backend.webhooks().len() < 3 {
        assert!(start.elapsed() < PATIENCE, "{:?}", backend.webhooks());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let receiver =
        Receiver::on(TcpListener::bind(address).await.unwrap(), |_, _| StatusCode::OK.into_response());
    settled(&backend, &receiver, 3).await;
    assert_eq!(receiver.told(&id), LIFE[..3]);
}

#[tokio::test]
async fn what_is_given_up_on_is_a_dead_letter() {
    let open = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let opened = open.clone();
    let receiver = Receiver::answering(move |event, _| {
        let taken = event["type"] != LIFE[1] || opened.load(std::sync::atomic::Ordering::Relaxed);
        if taken { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }.into_response()
    })
    .await;
    let backend = telling(&receiver.url, 3).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    receiver.until(&id, LIFE[2]).await;
    // Two that were taken at once, and three attempts at the one that was not: it held up nothing.
    settled(&backend, &receiver, 5).await;
    let letters = backend.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["attempts"], 3);
    assert_eq!(letters[0]["error"], "deliver the webhook: answered 503");
    assert!(text(&letters[0]["key"]).contains(&id));
    let refused = receiver.until(&id, LIFE[1]).await;

    open.store(true, std::sync::atomic::Ordering::Relaxed);
    let replayed = backend.post("/_local/dlq/replay").send().await.unwrap();
    assert_eq!(replayed.json::<Value>().await.unwrap(), json!({"replayed": 1}));
    settled(&backend, &receiver, 6).await;
    assert_eq!(receiver.events()[5], refused, "the same event, whole");
    assert_eq!(backend.dead_letters().await, [] as [Value; 0]);
}

#[tokio::test]
async fn nobody_is_told_by_default() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.until(&id, "PROCESSED").await;
    assert!(!stream_is_on(&backend).await);
    assert!(!backend.data().join("webhooks").exists());
}

async fn stream_is_on(backend: &Backend) -> bool {
    let described = backend
        .http
        .post(&backend.local.dynamodb)
        .header("x-amz-target", "DynamoDB_20120810.DescribeTable")
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=upreel/20261124/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
        .header("x-amz-date", "20261124T000000Z")
        .body(r#"{"TableName": "VideoMetadata"}"#)
        .send()
        .await
        .unwrap();
    let described: Value = described.json().await.unwrap();
    assert_eq!(described["Table"]["TableName"], "VideoMetadata", "{described}");
    described["Table"]["StreamSpecification"]["StreamEnabled"] == true
}

#[tokio::test]
async fn it_can_be_turned_on_and_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let receiver = Receiver::start().await;
    let on = || telling_on(&data, &receiver.url);
    let first = {
        let backend = on().await;
        assert!(stream_is_on(&backend).await);
        let (_, id) = presigned(&backend).await;
        receiver.until(&id, LIFE[0]).await;
        // Stopped before that is written down, it would be told again.
        settled(&backend, &receiver, 1).await;
        id
    };
    let silent = {
        let backend = Backend::on(&data).await;
        assert!(!stream_is_on(&backend).await);
        presigned(&backend).await.1
    };
    let backend = on().await;
    let (_, last) = presigned(&backend).await;
    receiver.until(&last, LIFE[0]).await;
    settled(&backend, &receiver, 2).await;
    assert_eq!([&first, &silent, &last].map(|id| receiver.told(id).len()), [1, 0, 1]);
}

/// Of a backend that does not give up.
pub(crate) fn options(data: &Path, url: &str) -> upreel_local::Options {
    upreel_local::Options { webhook: Some(webhook(url, 3000)), ..crate::harness::options(data) }
}

async fn telling_on(data: &Path, url: &str) -> Backend {
    Backend::from(options(data, url)).await
}

#[tokio::test]
async fn a_change_that_nobody_had_looked_at_is_told_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        // Stopped at once after the answer.
        let backend = telling_on(folder.path(), &receiver.url).await;
        ids.push(presigned(&backend).await.1);
    }
    let backend = telling_on(folder.path(), &receiver.url).await;
    for id in &ids {
        receiver.until(id, LIFE[0]).await;
    }
    let start = Instant::now();
    while !backend.webhooks().is_empty() {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(self::ids(&receiver.events()).len(), 3, "whatever came twice is the same");
}

#[tokio::test]
async fn what_is_told_twice_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let id = {
        let backend = telling_on(folder.path(), &receiver.url).await;
        let id = backend.put("a.mp4", "video/mp4", mp4()).await;
        receiver.until(&id, LIFE[2]).await;
        settled(&backend, &receiver, 3).await;
        id
    };
    // As if it had been killed before it wrote down how far it had read.
    std::fs::remove_file(folder.path().join("webhooks/sequence")).unwrap();
    let backend = telling_on(folder.path(), &receiver.url).await;
    settled(&backend, &receiver, 6).await;
    assert_eq!(receiver.told(&id), LIFE[..3]);
    let bodies: BTreeSet<String> =
        receiver.inbox.came.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies.len(), 3);
}

#[tokio::test]
async fn an_answer_is_waited_for_and_not_read() {
    // One that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let start = Instant::now();
    let fault = Endpoint::local(&url, SECRET).unwrap().post("{}").await.unwrap_err();
    assert_eq!(fault.to_string(), "deliver the webhook: no answer within 10 s");
    assert!(start.elapsed() < Duration::from_secs(20));
    // One that never comes to an end.
    let endless = Receiver::answering(|_, _| {
        let body = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 16]));
        axum::body::Body::from_stream(body).into_response()
    })
    .await;
    Endpoint::local(&endless.url, SECRET).unwrap().post("{}").await.unwrap();
}

#[tokio::test]
async fn a_kill_loses_no_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let down = Receiver::answering(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let (mut child, api) = spawn(folder.path(), &ffmpeg(), &[("UPREEL_TEST_WEBHOOK", &down.url)]);
    let http = reqwest::Client::new();
    let signed: Value =
        http.get(format!("{api}/presign?name=a.mp4")).send().await.unwrap().json().await.unwrap();
    let put = http.put(text(&signed["uploadUrl"])).header("Content-Type", "video/mp4").body(mp4());
    assert_eq!(put.send().await.unwrap().status(), 200);
    let id = text(&signed["videoId"]);
    for kind in &LIFE[..3] {
        down.until(&id, kind).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let receiver = Receiver::start().await;
    let backend = telling_on(folder.path(), &receiver.url).await;
    assert_eq!(backend.local.resumed, 3);
    settled(&backend, &receiver, 3).await;
    assert_eq!(ids(&receiver.events()), ids(&down.events()));
    assert_eq!(receiver.told(&id), LIFE[..3]);
}
