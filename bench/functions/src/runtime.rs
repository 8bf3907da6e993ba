//! The Runtime API of Lambda, for one process: it asks for the next event, and answers it.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::fs::{self, File};
use std::future::pending;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::Failed;
use crate::aws::Aws;

/// For all events of a process.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a process has used until now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time of all its threads.
    pub(crate) cpu: Duration,
    /// Minor page faults.
    pub(crate) faults: u64,
}

/// What was seen of a process.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From its start until it asked for the first event.
    pub(crate) init: Duration,
    /// From its start until its first answer was there.
    pub(crate) cold: Duration,
    /// Of each answer, after its event.
    pub(crate) answered: Vec<Duration>,
    pub(crate) answers: Vec<Bytes>,
    /// Calls to AWS, until each answer.
    pub(crate) calls: Vec<usize>,
    /// When it asked for each event, and after the last one.
    pub(crate) usage: Vec<Usage>,
    sent: Option<Instant>,
    error: Option<String>,
}

/// A process that has answered all its events, and waits for another.
pub(crate) struct Done {
    pub(crate) child: Child,
    pub(crate) seen: Seen,
}

struct Session {
    event: Bytes,
    events: usize,
    started: Instant,
    pid: u32,
    aws: Arc<Aws>,
    seen: Mutex<Seen>,
    done: Notify,
}

/// Starts a process, and gives it the same event so many times.
///
/// # Errors
/// When it ends, or answers with an error.
pub(crate) async fn run(
    mut command: Command,
    event: Bytes,
    events: usize,
    aws: Arc<Aws>,
) -> Result<Done, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut log = tempfile::tempfile()?;
    command
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.try_clone()?)
        .kill_on_drop(true);
    let started = Instant::now();
    let mut child = command.spawn()?;
    let pid = child.id().ok_or("it has ended")?;
    let seen = Mutex::new(Seen::default());
    let session = Arc::new(Session { event, events, started, pid, aws, seen, done: Notify::new() });
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (stream, _) = connection?;
                stream.set_nodelay(true)?;
                let session = session.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| session.answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            status = child.wait() => return Err(format!("{}: {}", status?, tail(&mut log)).into()),
            () = &mut patience => return Err(format!("it hangs: {}", tail(&mut log)).into()),
            () = session.done.notified() => break,
        }
    }
    let seen = std::mem::take(&mut *session.seen());
    match seen.error {
        Some(error) => Err(format!("{error} {}", tail(&mut log)).into()),
        None => Ok(Done { child, seen }),
    }
}

impl Session {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.method() == Method::GET {
            return Ok(self.next().await);
        }
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let mut seen = self.seen();
        let now = Instant::now();
        match body {
            Ok(body) if path.ends_with("/response") => {
                if seen.answers.is_empty() {
                    seen.cold = now - self.started;
                }
                let sent = seen.sent.take().unwrap_or(now);
                seen.answered.push(now - sent);
                seen.answers.push(body);
                seen.calls.push(self.aws.calls());
            }
            Ok(body) => {
                seen.error = Some(format!("an error: {}", String::from_utf8_lossy(&body)));
                self.done.notify_one();
            }
            Err(error) => {
                seen.error = Some(format!("half an answer: {error}"));
                self.done.notify_one();
            }
        }
        let mut accepted = Response::new(Full::from("{\"status\":\"OK\"}"));
        *accepted.status_mut() = http::StatusCode::ACCEPTED;
        Ok(accepted)
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let last = {
            let mut seen = self.seen();
            if seen.usage.is_empty() {
                seen.init = self.started.elapsed();
            }
            match usage(self.pid) {
                Ok(usage) => seen.usage.push(usage),
                Err(error) => seen.error = Some(error.to_string()),
            }
            seen.error.is_some() || seen.usage.len() > self.events
        };
        if last {
            self.done.notify_one();
            pending::<()>().await;
        }
        let mut seen = self.seen();
        let mut event = Response::new(Full::from(self.event.clone()));
        let deadline = humantime::parse_rfc3339_weak("2099-01-01 00:00:00").ok();
        let deadline =
            deadline.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        for (name, value) in [
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", format!("8476a536-e9f4-11e8-9739-{:012}", seen.usage.len())),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
            ),
            (
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
            ),
        ] {
            if let Ok(value) = value.parse() {
                event.headers_mut().insert(name, value);
            }
        }
        seen.sent = Some(Instant::now());
        event
    }
}

fn usage(pid: u32) -> Result<Usage, Failed> {
    let process = Path::new("/proc").join(pid.to_string());
    // In nanoseconds. /proc/PID/stat has ticks of ten milliseconds.
    let mut cpu = Duration::ZERO;
    for task in fs::read_dir(process.join("task"))? {
        let times = fs::read_to_string(task?.path().join("schedstat"))?;
        cpu += Duration::from_nanos(times.split(' ').next().unwrap_or_default().parse()?);
    }
    // After the name in brackets: state, parent, ..., the eighth is the number of minor faults.
    let stat = fs::read_to_string(process.join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no /proc/PID/stat")?;
    let faults = fields.split_whitespace().nth(7).ok_or("no faults in /proc/PID/stat")?;
    Ok(Usage { cpu, faults: faults.parse()? })
}

/// The most memory that a process has had at once, in bytes.
pub(crate) fn peak(child: &Child) -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id().ok_or("it has ended")?))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.ok_or("no VmHWM")?.parse::<u64>()? * 1024)
}

fn tail(log: &mut File) -> String {
    let mut text = Vec::new();
    let _ = log.rewind().and_then(|()| log.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    text.char_indices().rev().nth(2000).map_or(&*text, |(at, _)| &text[at..]).trim().to_owned()
}
