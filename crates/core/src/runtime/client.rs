//! A client of the Runtime API, with one connection.

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{BoxError, Error};

/// What is read at once. Without a limit hyper's buffer would grow to the size of an event, or twice that.
const READ: usize = 64 * 1024;
/// Says which attempt at an event is answered: comes with it, and goes back as it is.
const ATTEMPT: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");

pub(super) struct Client {
    authority: Authority,
    /// What stands before the API's own paths: nothing on Lambda, the function's name with `cargo lambda`.
    prefix: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// `host:port`, as Lambda writes it, or a URL.
    pub(super) fn new(address: &str) -> Result<Self, BoxError> {
        let address: Uri = address.parse()?;
        let authority = address.authority().cloned().ok_or("the address of the Runtime API has no host")?;
        let prefix = address.path().trim_end_matches('/');
        Ok(Self { authority, prefix: format!("{prefix}/2018-06-01/runtime"), connection: None })
    }

    /// Waits for an event, however long that takes.
    pub(super) async fn next(&mut self) -> Result<Response<Incoming>, BoxError> {
        let request = self.request(Method::GET, "invocation/next", Bytes::new())?;
        self.send(request).await
    }

    /// Tells what became of an event that came with these headers.
    pub(super) async fn post(
        &mut self,
        path: &str,
        event: &HeaderMap,
        outcome: Result<Bytes, Error>,
    ) -> Result<(), BoxError> {
        let (error_type, body) = match outcome {
            Ok(answer) => (None, answer),
            Err(error) => {
                (Some(HeaderValue::from_static(error.error_type)), serde_json::to_vec(&error)?.into())
            }
        };
        let mut request = self.request(Method::POST, path, body)?;
        let headers = [(ATTEMPT, event.get(ATTEMPT).cloned()), (ERROR_TYPE, error_type)];
        request.headers_mut().extend(headers.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let response = self.send(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // An answer that is too large or too late: Lambda has told the caller, and has more events.
        if !status.is_success() {
            let reason = String::from_utf8_lossy(&body);
            tracing::error!(%status, %reason, "Lambda does not take the answer");
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, BoxError> {
        let request = Request::builder().method(method).uri(format!("{}/{path}", self.prefix));
        Ok(request.header(HOST, self.authority.as_str()).body(Full::new(body))?)
    }

    /// A connection that has been idle may be closed by now, which shows when it is used. To send again does no harm:
    /// an event is answered once.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BoxError> {
        if let Some(connection) = &mut self.connection
            && connection.ready().await.is_ok()
            && let Ok(response) = connection.send_request(request.clone()).await
        {
            return Ok(response);
        }
        let stream = TcpStream::connect(self.authority.as_str()).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) =
            http1::Builder::new().max_buf_size(READ).handshake(TokioIo::new(stream)).await?;
        // How it ends is seen by whoever uses it.
        tokio::spawn(driver);
        Ok(self.connection.insert(connection).send_request(request).await?)
    }
}

/// Reads a body to its end, into `buffer` if nothing of what it held is in use any more.
pub(super) async fn read(mut body: Incoming, buffer: &mut BytesMut) -> hyper::Result<BytesMut> {
    let size = usize::try_from(body.size_hint().lower()).unwrap_or_default();
    buffer.clear();
    if !buffer.try_reclaim(size) {
        // The old one is freed first: there are never two.
        *buffer = BytesMut::new();
        buffer.reserve(size);
    }
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            buffer.extend_from_slice(&bytes);
        }
    }
    Ok(buffer.split())
}
