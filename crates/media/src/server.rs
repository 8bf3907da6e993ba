//! A loopback HTTP server for one object, in which ffmpeg seeks with range requests.
//!
//! The server reads the object in whole blocks. It serves a single path, a random token, and stops when it is dropped.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::source::{self, Source};

/// Bytes that one request to S3 reads. Measurements of the prototypes chose this size: an index or a keyframe takes few
/// requests, and few bytes are wasted.
const BLOCK_SIZE: u64 = 512 * 1024;
/// Bytes written to the socket at a time. The server reads little more than this ahead of the client.
const WRITE_SIZE: u64 = 64 * 1024;

/// A server that is bound to a port. Connections wait until [`Server::run`] accepts them.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// The only path served, with a random token.
    path: String,
    failure: ReadFailure,
}

/// The error of the source that aborted a response.
type ReadFailure = Arc<Mutex<Option<source::Error>>>;

/// Ends a response body, which closes the connection. The cause is in [`ReadFailure`]; ffmpeg doesn't see it.
#[derive(Debug, thiserror::Error)]
#[error("reading the source failed")]
struct SourceFailed;

impl Server {
    /// Binds to a free port on the loopback interface.
    pub(crate) fn bind() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // A small buffer: bytes in it were read from S3, and are wasted when ffmpeg seeks.
        socket.set_send_buffer_size(u32::try_from(WRITE_SIZE).unwrap_or(u32::MAX))?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(8)?;
        let address = listener.local_addr()?;
        let path = format!("/{}", uuid::Uuid::new_v4().simple());
        Ok(Self { listener, address, path, failure: ReadFailure::default() })
    }

    /// Returns the error that aborted a response, if any, and clears it.
    pub(crate) fn failure(&self) -> Option<source::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the object's URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Serves the object until the returned future is dropped.
    pub(crate) async fn run(&self, source: &Arc<Source>) -> Infallible {
        let path: Arc<str> = self.path.as_str().into();
        // Aborts the connections when this future is dropped.
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            while connections.try_join_next().is_some() {}
            let (source, path, failure) = (source.clone(), path.clone(), self.failure.clone());
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let response = respond(&source, &path, &failure, &request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .max_buf_size(usize::try_from(WRITE_SIZE).unwrap_or(usize::MAX))
                    .serve_connection(TokioIo::new(stream), service);
                // ffmpeg closes a connection in order to seek, so errors are expected.
                let _ = connection.await;
            });
        }
    }
}

fn respond(
    source: &Arc<Source>,
    path: &str,
    failure: &ReadFailure,
    request: &Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, SourceFailed>> {
    let empty = || StreamBody::new(stream::empty()).boxed_unsync();
    let size = source.size();
    let mut response = Response::new(empty());
    if request.uri().path() != path || !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let range = match parse_range(request.headers(), size) {
        Ok(None) => 0..size,
        Ok(Some(range)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            set(response.headers_mut(), header::CONTENT_RANGE, &text);
            range
        }
        Err(Unsatisfiable) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    set(response.headers_mut(), header::ACCEPT_RANGES, "bytes");
    set(response.headers_mut(), header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    if *request.method() == Method::GET {
        *response.body_mut() = StreamBody::new(body(source.clone(), failure.clone(), range)).boxed_unsync();
    }
    response
}

/// Streams a range of the source as the frames of a response body.
fn body(
    source: Arc<Source>,
    failure: ReadFailure,
    range: Range<u64>,
) -> impl Stream<Item = Result<Frame<Bytes>, SourceFailed>> {
    stream::try_unfold(range.start, move |at| {
        let (source, failure, end) = (source.clone(), failure.clone(), range.end);
        async move {
            let bytes = block(&source, at).await.map_err(|error| {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                SourceFailed
            })?;
            let bytes = bytes
                .slice(..bytes.len().min(usize::try_from(WRITE_SIZE.min(end - at)).unwrap_or(usize::MAX)));
            let next = at + bytes.len() as u64;
            Ok((next > at).then(|| (Frame::data(bytes), next)))
        }
    })
}

/// Reads the block that contains the offset `at`, and returns its bytes from there on.
async fn block(source: &Source, at: u64) -> Result<Bytes, source::Error> {
    let start = at - at % BLOCK_SIZE;
    let mut block = source.read(start..start + BLOCK_SIZE).await?;
    let skip = usize::try_from(at - start).unwrap_or(usize::MAX).min(block.len());
    Ok(block.split_off(skip))
}

/// Sets a header. A value that is not valid for a header is ignored.
fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// The requested range is outside of the object (status 416).
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// Returns the range requested in the `Range` header (RFC 9110, section 14.2). Headers that this server doesn't support
/// are ignored, as the RFC allows.
fn parse_range(headers: &HeaderMap, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let Some((first, last)) = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let Ok(first) = first.trim().parse::<u64>() else { return Ok(None) };
    let last = if last.trim().is_empty() { Some(u64::MAX) } else { last.trim().parse().ok() };
    let Some(last) = last else { return Ok(None) };
    if first >= size || last < first {
        return Err(Unsatisfiable);
    }
    Ok(Some(first..last.saturating_add(1).min(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_ranges_per_rfc_9110() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            set(&mut headers, header::RANGE, text);
            parse_range(&headers, 100)
        };
        assert_eq!(range("bytes=0-"), Ok(Some(0..100)));
        assert_eq!(range("bytes=10-19"), Ok(Some(10..20)));
        assert_eq!(range("bytes=90-18446744073709551615"), Ok(Some(90..100)));
        assert_eq!(range("bytes=100-"), Err(Unsatisfiable));
        assert_eq!(range("bytes=20-10"), Err(Unsatisfiable));
        assert_eq!(range("bytes=x-"), Ok(None));
        assert_eq!(range("items=0-1"), Ok(None));
        assert_eq!(parse_range(&HeaderMap::new(), 100), Ok(None));
    }
}
