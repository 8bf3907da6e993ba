//! The network: the HTTP client of the AWS SDK, which executes requests in memory, with delays and faults.
//!
//! A request that is on its way is executed even if the caller is killed or gives up, as on a real network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::{AggregatedBytes, ByteStream};
use aws_smithy_types::date_time::Format;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::faults::{Fault, Service, service};
use crate::services::Services;

tokio::task_local! {
    /// The invocation that runs in this task.
    pub(crate) static INVOCATION: Arc<Invocation>;
}

/// An invocation of a function, or a client's action.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Such as `thumbnail#3`.
    pub(crate) name: String,
    /// Notified when the invocation is killed.
    pub(crate) killed: Notify,
    /// A fault that has more calls to come: the service, and their number.
    pending: Mutex<Option<(Service, Fault, usize)>>,
}

impl Invocation {
    pub(crate) fn new(name: String) -> Arc<Self> {
        Arc::new(Self { name, killed: Notify::new(), pending: Mutex::default() })
    }
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(Response<Bytes>),
    /// Half of the body arrives.
    Truncated(Response<Bytes>),
    Reset,
}

/// The network. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    services: Arc<Mutex<Services>>,
    pub(crate) clock: Clock,
    /// Notified after each executed request.
    pub(crate) executed: Arc<Notify>,
    read_timeout: Option<Duration>,
}

impl Network {
    pub(crate) fn new(services: Services, clock: Clock) -> Self {
        Self { services: Arc::new(Mutex::new(services)), clock, executed: Arc::default(), read_timeout: None }
    }

    pub(crate) fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request. The receiver waits for ever if there is no response.
    pub(crate) fn send(&self, request: Request<Bytes>) -> oneshot::Receiver<Outcome> {
        let invocation = INVOCATION.get();
        let (mut sender, receiver) = oneshot::channel();
        let (fault, delays, label) = self.services().accept(&invocation, &request);
        let network = self.clone();
        spawn_local(async move {
            sleep(delays.0).await;
            let outcome = network.exchange(&invocation, request, fault, &label).await;
            match outcome {
                Some(outcome) => {
                    sleep(delays.1).await;
                    // The caller may be gone.
                    let _ = sender.send(outcome);
                }
                // Keep the channel open until the caller gives up.
                None => sender.closed().await,
            }
        });
        receiver
    }

    /// Whether a response has told the functions AWS's time.
    pub(crate) fn knows_time(&self) -> bool {
        self.services().has_told_time
    }

    async fn exchange(
        &self,
        invocation: &Invocation,
        request: Request<Bytes>,
        fault: Option<Fault>,
        label: &str,
    ) -> Option<Outcome> {
        let is_executed = !matches!(fault, Some(Fault::ResetBefore | Fault::HangBefore | Fault::KillBefore));
        let injected = fault.and_then(|fault| fault.response(&request));
        let response = match &injected {
            Some(response) if fault != Some(Fault::InternalErrorAfter) => Some(response.clone()),
            _ if is_executed => {
                let response = self.execute(request.clone()).await;
                Some(injected.unwrap_or(response))
            }
            _ => None,
        };
        let response = response.map(|mut response| {
            if service(&request) != Service::Receiver {
                let date = DateTime::from(self.clock.now()).fmt(Format::HttpDate).unwrap();
                response.headers_mut().insert("date", date.parse().unwrap());
            }
            response
        });
        let status = response.as_ref().map_or(0, |response| response.status().as_u16());
        self.services().note(self.clock.elapsed(), || {
            let fault = fault.map_or(String::new(), |fault| format!(" <- {fault:?}"));
            format!("{}: {label} {status}{fault}", invocation.name)
        });
        match fault {
            Some(Fault::ResetBefore | Fault::ResetAfter | Fault::ResetAfterTwice) => Some(Outcome::Reset),
            Some(Fault::HangBefore | Fault::HangAfter) => None,
            Some(Fault::KillBefore | Fault::KillAfter) => {
                invocation.killed.notify_one();
                None
            }
            Some(Fault::Truncated) => response.map(Outcome::Truncated),
            Some(Fault::Malformed) => {
                response.map(|response| Outcome::Response(response.map(|body| damage(&body))))
            }
            Some(Fault::Duplicate) => {
                let delay = self.services().delay(3000);
                let network = self.clone();
                spawn_local(async move {
                    sleep(delay).await;
                    network.execute(request).await;
                });
                response.map(Outcome::Response)
            }
            _ => response.map(Outcome::Response),
        }
    }

    async fn execute(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (response, later) = self.services().execute(&request, self.clock.now());
        self.executed.notify_one();
        match later {
            // The response of a function that is invoked synchronously.
            Some(later) => later.await.unwrap_or(response),
            None => response,
        }
    }
}

/// Damages a body. An empty one stays empty.
fn damage(body: &[u8]) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte = 0x01;
    }
    bytes.truncate(middle + 1);
    bytes.into()
}

impl HttpClient for Network {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self { read_timeout: settings.read_timeout(), ..self.clone() })
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = request.try_into_http1x().unwrap();
        let (parts, body) = request.into_parts();
        if let Some(bytes) = body.bytes() {
            let body = decode(&parts.headers, Bytes::copy_from_slice(bytes));
            let request = Request::from_parts(parts, body);
            let (network, limit) = (self.clone(), self.read_timeout);
            let receiver = self.send(request);
            return HttpConnectorFuture::new(async move { network.receive(receiver, limit).await });
        }
        // The body of an upload is a stream with a checksum as its trailer. It is in memory, so it is ready at once.
        let (network, caller, invocation) = (self.clone(), self.clone(), INVOCATION.get());
        let (sender, receiver) = oneshot::channel();
        let limit = self.read_timeout;
        spawn_local(INVOCATION.scope(invocation, async move {
            let body =
                ByteStream::new(body).collect().await.map(AggregatedBytes::into_bytes).unwrap_or_default();
            let outcome =
                network.send(Request::from_parts(parts.clone(), decode(&parts.headers, body))).await;
            if let Ok(outcome) = outcome {
                let _ = sender.send(outcome);
            }
        }));
        HttpConnectorFuture::new(async move { caller.receive(receiver, limit).await })
    }
}

impl Network {
    /// Waits for the outcome of a request of the SDK.
    async fn receive(
        &self,
        receiver: oneshot::Receiver<Outcome>,
        limit: Option<Duration>,
    ) -> Result<HttpResponse, ConnectorError> {
        let response = respond(receiver, limit).await?;
        if response.headers().contains_key("date") {
            self.services().has_told_time = true;
        }
        Ok(response)
    }
}

/// Waits for the outcome of a request, at most for the read timeout.
async fn respond(
    receiver: oneshot::Receiver<Outcome>,
    limit: Option<Duration>,
) -> Result<HttpResponse, ConnectorError> {
    let limit = limit.unwrap_or(Duration::MAX);
    let outcome = timeout(limit, receiver).await.map_err(|late| ConnectorError::timeout(late.into()))?;
    let reset = || ConnectorError::io("connection reset".into());
    match outcome.map_err(|_| reset())? {
        Outcome::Response(response) => Ok(HttpResponse::try_from(response.map(SdkBody::from)).unwrap()),
        Outcome::Truncated(response) => {
            let half = response.map(|body| {
                let half = Frame::data(body.slice(..body.len() / 2));
                SdkBody::from_body_1_x(StreamBody::new(stream::iter([
                    Ok(half),
                    Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
                ])))
            });
            Ok(HttpResponse::try_from(half).unwrap())
        }
        Outcome::Reset => Err(reset()),
    }
}

/// Decodes a body that is sent in chunks with a trailer (`aws-chunked`).
fn decode(headers: &HeaderMap, body: Bytes) -> Bytes {
    if !headers.contains_key("x-amz-decoded-content-length") {
        return body;
    }
    let mut decoded = BytesMut::new();
    let mut rest = &body[..];
    while let Some(end) = rest.windows(2).take(80).position(|pair| pair == b"\r\n") {
        let line = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).unwrap_or(0);
        if size == 0 || rest.len() < end + 4 + size {
            break;
        }
        decoded.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    decoded.freeze()
}

/// Faults of several calls.
impl Invocation {
    /// Returns the fault of this call, if an earlier one of the same invocation continues.
    pub(crate) fn continued(&self, service: Service) -> Option<Fault> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, fault, left) = pending.take_if(|(at, ..)| *at == service)?;
        if left > 1 {
            *pending = Some((at, fault, left - 1));
        }
        Some(fault)
    }

    /// Notes a fault that further calls will have.
    pub(crate) fn start(&self, request: &Request<Bytes>, fault: Fault) {
        if fault.times() > 1 {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            *pending = Some((service(request), fault, fault.times() - 1));
        }
    }
}
