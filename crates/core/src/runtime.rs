//! A function on Lambda: one event after the other is asked for, handled and answered.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
//!
//! Not by way of `lambda_runtime`, which holds an event in buffers of up to twice its size and then copies it. Here
//! all events are read into the same one, and a handler may write to it.

mod client;

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::Instrument;

use crate::clients::trace;
use crate::{Fault, config};
use client::{Client, read};

/// Why a function cannot start, or go on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An event that is to be handled.
#[derive(Debug)]
pub struct Invocation {
    /// JSON. Its memory is that of the next event too, once nothing of it is left.
    pub event: BytesMut,
    /// When Lambda ends the function if it is not done.
    pub deadline: Instant,
}

impl Invocation {
    /// The event as what it should be.
    ///
    /// # Errors
    /// When it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.event)?)
    }

    /// When to stop the work, so that so much time is left for its outcome.
    #[must_use]
    pub fn deadline_but(&self, margin: Duration) -> Instant {
        self.deadline.checked_sub(margin).unwrap_or(self.deadline)
    }
}

/// Why an invocation has failed, as Lambda and its dead-letter queues show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    error_type: &'static str,
    error_message: String,
}

impl Error {
    /// Types are of the form that Lambda recommends: `Category.Reason`.
    fn new(error_type: &'static str, message: impl fmt::Display) -> Self {
        Self { error_type, error_message: message.to_string() }
    }

    fn panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::new("Runtime.Panic", format_args!("Lambda panicked: {}", message.unwrap_or("no message")))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new("Function.Fault", fault)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::new("Runtime.MalformedEvent", error)
    }
}

/// Runs a function: what `init` gives is there for all invocations. Ends only when the function cannot start, or
/// Lambda cannot be reached: then Lambda starts it anew.
pub async fn run<S, A: Serialize>(
    init: impl Future<Output = Result<S, BoxError>>,
    handle: impl AsyncFn(&S, Invocation) -> Result<A, Error>,
) -> ExitCode {
    let Err(error) = async { start(Client::new(&config::runtime_api()?)?, init, handle).await }.await;
    // There may be no log yet. If this fails too, the exit code is left.
    let _ = writeln!(io::stderr(), "the function ends: {error}");
    ExitCode::FAILURE
}

async fn start<S, A: Serialize>(
    mut client: Client,
    init: impl Future<Output = Result<S, BoxError>>,
    handle: impl AsyncFn(&S, Invocation) -> Result<A, Error>,
) -> Result<Infallible, BoxError> {
    let state = match init.await {
        Ok(state) => state,
        Err(error) => {
            let told = Error::new("Runtime.InitError", &error);
            // If it cannot be told, the end of the process says it.
            let _ = client.post("init/error", &HeaderMap::new(), Err(told)).await;
            return Err(error);
        }
    };
    let mut buffer = BytesMut::new();
    loop {
        let (head, body) = client.next().await?.into_parts();
        // `cargo lambda watch` does not wait for an event.
        if head.status == StatusCode::NO_CONTENT {
            continue;
        }
        if head.status != StatusCode::OK {
            return Err(format!("Lambda has no next event, but {}", head.status).into());
        }
        let id =
            text(&head.headers, "lambda-runtime-aws-request-id").ok_or("an event without an identifier")?;
        let trace_id = head.headers.get("lambda-runtime-trace-id");
        let span = tracing::info_span!(
            "invocation",
            requestId = id,
            xrayTraceId = trace_id.and_then(|trace_id| trace_id.to_str().ok())
        );
        let outcome = async {
            let answer = answer(&head.headers, body, &mut buffer, &state, &handle).await;
            answer.inspect_err(|Error { error_type, error_message }| {
                tracing::error!(error = error_type, reason = error_message, "invocation failed");
            })
        };
        let outcome = trace::within(trace_id.cloned(), outcome.instrument(span.clone())).await;
        let path = format!("invocation/{id}/{}", if outcome.is_ok() { "response" } else { "error" });
        client.post(&path, &head.headers, outcome).instrument(span).await?;
    }
}

async fn answer<S, A: Serialize>(
    headers: &HeaderMap,
    body: Incoming,
    buffer: &mut BytesMut,
    state: &S,
    handle: impl AsyncFn(&S, Invocation) -> Result<A, Error>,
) -> Result<Bytes, Error> {
    let deadline = deadline(headers)?;
    let event = read(body, buffer).await;
    let event = event.map_err(|error| Error::new("Runtime.EventCutOff", error))?;
    // Boxed, as the compiler counts how deep futures lie in each other.
    let handled = Box::pin(handle(state, Invocation { event, deadline }));
    // What invocations share are clients, in which a panic leaves nothing half done.
    let handled = AssertUnwindSafe(handled).catch_unwind().await;
    let answer = handled.unwrap_or_else(|payload| Err(Error::panic(&*payload)))?;
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| Error::new("Runtime.MalformedAnswer", error))
}

fn deadline(headers: &HeaderMap) -> Result<Instant, Error> {
    let millis = text(headers, "lambda-runtime-deadline-ms").and_then(|millis| millis.parse().ok());
    let millis = millis.ok_or_else(|| Error::new("Runtime.MalformedInvocation", "there is no deadline"))?;
    let left = (UNIX_EPOCH + Duration::from_millis(millis)).duration_since(SystemTime::now());
    Ok(Instant::now() + left.unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(HeaderValue::to_str)?.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream::{self, Iter};
    use http::{Request, Response};
    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::Frame;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::sync::{Mutex, Notify, mpsc};

    use super::*;

    type Frames = StreamBody<Iter<std::vec::IntoIter<io::Result<Frame<Bytes>>>>>;

    /// The Runtime API, for one function.
    struct Lambda {
        address: String,
        events: mpsc::UnboundedSender<Response<Frames>>,
        posts: mpsc::UnboundedReceiver<Request<Bytes>>,
        /// How many there were.
        connections: Arc<AtomicUsize>,
        /// Cuts those that there are.
        cut: Arc<Notify>,
    }

    impl Lambda {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (events, waiting) = mpsc::unbounded_channel();
            let (posted, posts) = mpsc::unbounded_channel();
            let lambda = Self { address, events, posts, connections: Arc::default(), cut: Arc::default() };
            let (connections, cut) = (lambda.connections.clone(), lambda.cut.clone());
            let waiting = Arc::new(Mutex::new(waiting));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (waiting, posted, cut) = (waiting.clone(), posted.clone(), cut.clone());
                    tokio::spawn(async move {
                        let service = service_fn(|request| answer(request, &waiting, &posted));
                        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        tokio::select! { _ = served => {}, () = cut.notified() => {} }
                    });
                }
            });
            lambda
        }

        /// Has a function handle events until so many answers are there: where they went, and what they were.
        async fn invoke<A: Serialize>(
            &mut self,
            events: impl IntoIterator<Item = Response<Frames>>,
            answers: usize,
            handle: impl AsyncFn(Invocation) -> Result<A, Error>,
        ) -> Vec<(String, Value)> {
            events.into_iter().for_each(|event| self.events.send(event).unwrap());
            let client = Client::new(&self.address).unwrap();
            let function = start(client, async { Ok(()) }, async |(), invocation| handle(invocation).await);
            tokio::select! {
                Err(error) = function => panic!("{error}"),
                posts = posts(&mut self.posts, answers) => posts,
            }
        }
    }

    async fn answer(
        request: Request<Incoming>,
        events: &Mutex<mpsc::UnboundedReceiver<Response<Frames>>>,
        posted: &mpsc::UnboundedSender<Request<Bytes>>,
    ) -> Result<Response<Frames>, BoxError> {
        if request.uri().path() == "/2018-06-01/runtime/invocation/next" {
            return events.lock().await.recv().await.ok_or_else(|| "the test is over".into());
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let refused = body == "\"too large\"";
        posted.send(Request::from_parts(head, body))?;
        let mut accepted = Response::new(frames(&[b"{\"status\":\"OK\"}"]));
        *accepted.status_mut() = if refused { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::ACCEPTED };
        Ok(accepted)
    }

    async fn posts(
        posts: &mut mpsc::UnboundedReceiver<Request<Bytes>>,
        count: usize,
    ) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        while all.len() < count {
            let (head, body) = posts.recv().await.unwrap().into_parts();
            let path = head.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap().to_owned();
            let body: Value = serde_json::from_slice(&body).unwrap();
            // Both say what kind of error it is.
            let error_type = head.headers.get("lambda-runtime-function-error-type");
            assert_eq!(
                error_type.map(HeaderValue::as_bytes),
                body["errorType"].as_str().map(str::as_bytes),
                "{path}"
            );
            if let Some(id) = path.split('/').nth(1).filter(|_| path.starts_with("invocation/")) {
                assert_eq!(head.headers["lambda-runtime-invocation-id"], format!("{id}, once"));
            }
            all.push((path, body));
        }
        all
    }

    fn frames(parts: &[&[u8]]) -> Frames {
        let frames =
            parts.iter().map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect::<Vec<_>>();
        StreamBody::new(stream::iter(frames))
    }

    /// Chunked.
    fn event(id: &str, parts: &[&[u8]]) -> Response<Frames> {
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(90);
        let event = Response::builder()
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Invocation-Id", format!("{id}, once"))
            .header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string());
        event.body(frames(parts)).unwrap()
    }

    /// As Lambda sends it.
    fn sized(id: &str, parts: &[&[u8]], size: usize) -> Response<Frames> {
        with(event(id, parts), "content-length", &size.to_string())
    }

    fn with(mut event: Response<Frames>, name: &'static str, value: &str) -> Response<Frames> {
        event.headers_mut().insert(name, value.parse().unwrap());
        event
    }

    fn status(status: u16) -> Response<Frames> {
        Response::builder().status(status).body(frames(&[])).unwrap()
    }

    async fn echo(invocation: Invocation) -> Result<Value, Error> {
        invocation.json()
    }

    fn to(path: &str, body: Value) -> (String, Value) {
        (path.to_owned(), body)
    }

    fn failed(id: &str, error_type: &str, message: &str) -> (String, Value) {
        to(&format!("invocation/{id}/error"), json!({"errorType": error_type, "errorMessage": message}))
    }

    #[tokio::test]
    async fn events_are_answered_one_after_the_other() {
        let mut lambda = Lambda::start().await;
        let events = [
            event("a", &[b"[", b"1]"]),
            status(204),
            sized("b", &[b"[2", b"", b"]"], 3),
            sized("c", &[b"3"], 1),
        ];
        let answers = lambda.invoke(events, 3, echo).await;
        assert_eq!(
            answers,
            [
                to("invocation/a/response", json!([1])),
                to("invocation/b/response", json!([2])),
                to("invocation/c/response", json!(3)),
            ]
        );
        assert_eq!(lambda.connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_that_of_one_invocation() {
        let mut lambda = Lambda::start().await;
        let ids = ["fault", "panic", "panic at once", "odd panic", "{", "too large", "fine"];
        let events = ids.map(|id| {
            event(&id.replace([' ', '{'], "-"), &[if id == "{" { b"{" } else { b"\"" }, id.as_bytes(), b"\""])
        });
        let answers = lambda.invoke(events, ids.len(), async |invocation| {
            let what: String = invocation.json()?;
            match what.as_str() {
                "fault" => Err(Fault::new("try it", &io::Error::other("no luck")))?,
                "panic" => {
                    tokio::task::yield_now().await;
                    panic!("at {what}")
                }
                "panic at once" => panic!("oh"),
                "odd panic" => std::panic::panic_any(7),
                _ => Ok(what),
            }
        });
        assert_eq!(
            answers.await,
            [
                failed("fault", "Function.Fault", "try it: no luck"),
                failed("panic", "Runtime.Panic", "Lambda panicked: at panic"),
                failed("panic-at-once", "Runtime.Panic", "Lambda panicked: oh"),
                failed("odd-panic", "Runtime.Panic", "Lambda panicked: no message"),
                failed(
                    "-",
                    "Runtime.MalformedEvent",
                    "invalid type: map, expected a string at line 1 column 0"
                ),
                to("invocation/too-large/response", json!("too large")),
                to("invocation/fine/response", json!("fine")),
            ]
        );
    }

    #[tokio::test]
    async fn an_event_that_is_cut_off_is_not_handled() {
        let mut lambda = Lambda::start().await;
        // So much that the server sends it before it looks for more.
        let half = vec![b'1'; 1_000_000];
        let mut chunked = event("b", &[]);
        let broken = vec![Ok(Frame::data(half.clone().into())), Err(io::Error::other("cut off"))];
        *chunked.body_mut() = StreamBody::new(stream::iter(broken));
        let events = [sized("a", &[&half], 2_000_000), chunked, event("c", &[b"2"])];
        let answers = lambda.invoke(events, 3, echo).await;
        let of = |i: usize| (answers[i].0.as_str(), answers[i].1["errorType"].as_str());
        assert_eq!(of(0), ("invocation/a/error", Some("Runtime.EventCutOff")));
        assert_eq!(of(1), ("invocation/b/error", Some("Runtime.EventCutOff")));
        assert_eq!(answers[2], to("invocation/c/response", json!(2)));
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_is_made_anew() {
        let mut lambda = Lambda::start().await;
        let cut = lambda.cut.clone();
        let close = |event| with(event, "connection", "close");
        let events = [
            close(event("a", &[b"1"])),
            event("b", &[b"2"]),
            close(event("c", &[b"3"])),
            event("d", &[b"4"]),
        ];
        let answers = lambda.invoke(events, 4, async |invocation| {
            // While the event is handled, or as if the function had been frozen.
            cut.notify_waiters();
            tokio::task::yield_now().await;
            echo(invocation).await
        });
        let answers: Vec<Value> = answers.await.into_iter().map(|(_, answer)| answer).collect();
        assert_eq!(answers, [1, 2, 3, 4]);
        assert_eq!(lambda.connections.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn events_lie_in_the_same_memory() {
        let large = format!("\"{}\"", "x".repeat(5_600_000));
        let parts: Vec<&[u8]> = large.as_bytes().chunks(100_000).collect();
        let mut lambda = Lambda::start().await;
        let seen = std::sync::Mutex::new(Vec::new());
        let kept = std::sync::Mutex::new(Vec::new());
        let events = ["a", "b", "small", "c", "kept", "d", "e"].map(|id| match id {
            "small" => sized(id, &[b"0"], 1),
            _ => sized(id, &parts, large.len()),
        });
        lambda
            .invoke(events, 7, async |invocation| {
                let event = invocation.event;
                seen.lock().unwrap().push((event.as_ptr().addr(), event.len(), event.capacity()));
                if seen.lock().unwrap().len() == 5 {
                    kept.lock().unwrap().push(event.freeze());
                }
                Ok(())
            })
            .await;
        let seen = seen.into_inner().unwrap();
        let at = |i: usize| seen[i].0;
        for (i, (_, length, capacity)) in seen.iter().enumerate() {
            let expected = if i == 2 { 1 } else { large.len() };
            assert_eq!((*length, *capacity), (expected, expected), "no more than it takes");
        }
        assert!((1..5).all(|i| at(i) == at(0)), "{seen:?}");
        assert!(at(5) != at(0) && at(6) == at(5), "what is in use stays: {seen:?}");
        assert!(kept.into_inner().unwrap()[0] == large);

        let chunked =
            lambda.invoke([event("f", &parts)], 1, async |invocation| Ok(invocation.event == large));
        assert_eq!(chunked.await, [to("invocation/f/response", json!(true))]);
    }

    #[tokio::test]
    async fn the_deadline_is_when_lambda_ends_the_function() {
        let mut lambda = Lambda::start().await;
        let deadline = |id, value| with(event(id, &[b"1"]), "lambda-runtime-deadline-ms", value);
        let far = u64::MAX.to_string();
        let events =
            [event("a", &[b"1"]), deadline("b", "600000"), deadline("c", &far), deadline("d", "soon")];
        let left = lambda.invoke(events, 4, async |invocation| {
            Ok(invocation.deadline.saturating_duration_since(Instant::now()).as_secs())
        });
        let left = left.await;
        assert!((60..=90).contains(&left[0].1.as_u64().unwrap()), "{left:?}");
        assert_eq!(left[1].1, 0, "it is over");
        assert!(left[2].1.as_u64().unwrap() > 1 << 40, "{left:?}");
        assert_eq!(left[3], failed("d", "Runtime.MalformedInvocation", "there is no deadline"));
    }

    #[tokio::test]
    async fn without_lambda_the_function_ends() {
        let mut nameless = event("a", &[b"1"]);
        nameless.headers_mut().remove("lambda-runtime-aws-request-id");
        for (answer, reason) in [
            (status(500), "Lambda has no next event, but 500 Internal Server Error"),
            (nameless, "an event without an identifier"),
        ] {
            let lambda = Lambda::start().await;
            lambda.events.send(answer).unwrap();
            let client = Client::new(&lambda.address).unwrap();
            let Err(error) =
                start(client, async { Ok(()) }, async |(), invocation| echo(invocation).await).await;
            assert_eq!(error.to_string(), reason);
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let client = Client::new(&closed.to_string()).unwrap();
        let Err(error) = start(client, async { Ok(()) }, async |(), invocation| echo(invocation).await).await;
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(Client::new("").is_err() && Client::new("/path").is_err());
    }

    #[tokio::test]
    async fn a_start_that_fails_is_told() {
        let mut lambda = Lambda::start().await;
        // As `cargo lambda` gives the address, with more than a host.
        let client = Client::new(&format!("http://{}/", lambda.address)).unwrap();
        let init = async { Err::<(), _>("no table".into()) };
        let Err(error) = start(client, init, async |(), invocation| echo(invocation).await).await;
        assert_eq!(error.to_string(), "no table");
        let told = json!({"errorType": "Runtime.InitError", "errorMessage": "no table"});
        assert_eq!(posts(&mut lambda.posts, 1).await, [to("init/error", told)]);
    }
}
