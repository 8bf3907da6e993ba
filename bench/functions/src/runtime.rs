//! An emulator of Lambda's Runtime API for one process, which requests events and posts its responses.
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

use crate::BoxError;
use crate::aws::Aws;

/// Timeout for all events of a process.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The resources that a process has used since its start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time of all threads.
    pub(crate) cpu: Duration,
    /// Minor page faults.
    pub(crate) faults: u64,
}

/// The measurements of a process.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// Time from the start to the request for the first event.
    pub(crate) init: Duration,
    /// Time from the start to the first response.
    pub(crate) cold: Duration,
    /// Time from each event to its response.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) responses: Vec<Bytes>,
    /// Total number of calls to AWS at each response.
    pub(crate) calls: Vec<usize>,
    /// Usage at the request for each event, and after the last one.
    pub(crate) usage: Vec<Usage>,
    sent: Option<Instant>,
    error: Option<String>,
}

/// A process that has responded to all events, and waits for another one.
pub(crate) struct Done {
    pub(crate) child: Child,
    pub(crate) measurements: Measurements,
}

struct Session {
    event: Bytes,
    events: usize,
    started: Instant,
    pid: u32,
    aws: Arc<Aws>,
    measurements: Mutex<Measurements>,
    done: Notify,
}

/// Starts a process, and sends it the same event `events` times.
///
/// # Errors
/// When the process exits, responds with an error, or exceeds the timeout.
pub(crate) async fn run(
    mut command: Command,
    event: Bytes,
    events: usize,
    aws: Arc<Aws>,
) -> Result<Done, BoxError> {
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
    let pid = child.id().ok_or("the process has exited")?;
    let measurements = Mutex::new(Measurements::default());
    let session = Arc::new(Session { event, events, started, pid, aws, measurements, done: Notify::new() });
    let timeout = tokio::time::sleep(TIMEOUT);
    tokio::pin!(timeout);
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (stream, _) = connection?;
                stream.set_nodelay(true)?;
                let session = session.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| session.respond(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            status = child.wait() => return Err(format!("{}: {}", status?, tail(&mut log)).into()),
            () = &mut timeout => return Err(format!("timeout: {}", tail(&mut log)).into()),
            () = session.done.notified() => break,
        }
    }
    let measurements = std::mem::take(&mut *session.measurements());
    match measurements.error {
        Some(error) => Err(format!("{error} {}", tail(&mut log)).into()),
        None => Ok(Done { child, measurements }),
    }
}

impl Session {
    fn measurements(&self) -> MutexGuard<'_, Measurements> {
        self.measurements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.method() == Method::GET {
            return Ok(self.next().await);
        }
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let mut measurements = self.measurements();
        let now = Instant::now();
        match body {
            Ok(body) if path.ends_with("/response") => {
                if measurements.responses.is_empty() {
                    measurements.cold = now - self.started;
                }
                let sent = measurements.sent.take().unwrap_or(now);
                measurements.latencies.push(now - sent);
                measurements.responses.push(body);
                measurements.calls.push(self.aws.calls());
            }
            Ok(body) => {
                measurements.error =
                    Some(format!("the function returned an error: {}", String::from_utf8_lossy(&body)));
                self.done.notify_one();
            }
            Err(error) => {
                measurements.error = Some(format!("the response is incomplete: {error}"));
                self.done.notify_one();
            }
        }
        let mut accepted = Response::new(Full::from("{\"status\":\"OK\"}"));
        *accepted.status_mut() = http::StatusCode::ACCEPTED;
        Ok(accepted)
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let last = {
            let mut measurements = self.measurements();
            if measurements.usage.is_empty() {
                measurements.init = self.started.elapsed();
            }
            match usage(self.pid) {
                Ok(usage) => measurements.usage.push(usage),
                Err(error) => measurements.error = Some(error.to_string()),
            }
            measurements.error.is_some() || measurements.usage.len() > self.events
        };
        if last {
            self.done.notify_one();
            pending::<()>().await;
        }
        let mut measurements = self.measurements();
        let mut event = Response::new(Full::from(self.event.clone()));
        let deadline = humantime::parse_rfc3339_weak("2099-01-01 00:00:00").ok();
        let deadline =
            deadline.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        for (name, value) in [
            ("content-type", "application/json".to_owned()),
            (
                "lambda-runtime-aws-request-id",
                format!("8476a536-e9f4-11e8-9739-{:012}", measurements.usage.len()),
            ),
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
        measurements.sent = Some(Instant::now());
        event
    }
}

/// Reads the resource usage of a process from `/proc`.
fn usage(pid: u32) -> Result<Usage, BoxError> {
    let process = Path::new("/proc").join(pid.to_string());
    // schedstat has nanoseconds; /proc/PID/stat would have ticks of 10 ms.
    let mut cpu = Duration::ZERO;
    for task in fs::read_dir(process.join("task"))? {
        let times = fs::read_to_string(task?.path().join("schedstat"))?;
        cpu += Duration::from_nanos(times.split(' ').next().unwrap_or_default().parse()?);
    }
    // The number of minor faults is the eighth field after the name in brackets.
    let stat = fs::read_to_string(process.join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("malformed /proc/PID/stat")?;
    let faults = fields.split_whitespace().nth(7).ok_or("no faults in /proc/PID/stat")?;
    Ok(Usage { cpu, faults: faults.parse()? })
}

/// Returns the peak memory of a process, in bytes.
pub(crate) fn peak(child: &Child) -> Result<u64, BoxError> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id().ok_or("the process has exited")?))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.ok_or("no VmHWM")?.parse::<u64>()? * 1024)
}

/// Returns the last 2,000 characters of the process's standard error.
fn tail(log: &mut File) -> String {
    let mut text = Vec::new();
    let _ = log.rewind().and_then(|()| log.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    text.char_indices().rev().nth(2000).map_or(&*text, |(at, _)| &text[at..]).trim().to_owned()
}
