//! A loopback HTTP server for one object: ffmpeg seeks in it with range requests.
//!
//! It reads whole blocks of the object, answers one path, a random token, and is gone when it is dropped.

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

/// What one request to S3 reads: large enough to cover an index or a keyframe in a few requests,
/// small enough to waste little. Measured against others in the prototypes.
const BLOCK: u64 = 512 * 1024;
/// What is handed to the socket at a time. Little more than this is read ahead of the client.
const FRAME: u64 = 64 * 1024;

/// A server that is bound and does not answer yet: connections wait until [`Server::run`].
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    path: String,
    failure: Failure,
}

/// The error of the source that ended an answer.
type Failure = Arc<Mutex<Option<source::Error>>>;

/// What the connection is told of it: nothing, it is cut.
#[derive(Debug, thiserror::Error)]
#[error("the source has stopped")]
struct Stopped;

impl Server {
    pub(crate) fn bind() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // What waits in a socket's buffer was read from S3, and is lost when ffmpeg seeks.
        socket.set_send_buffer_size(u32::try_from(FRAME).unwrap_or(u32::MAX))?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(8)?;
        let address = listener.local_addr()?;
        let path = format!("/{}", uuid::Uuid::new_v4().simple());
        Ok(Self { listener, address, path, failure: Failure::default() })
    }

    /// Why an answer was cut, if one was.
    pub(crate) fn failure(&self) -> Option<source::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Answers until it is dropped; never returns.
    pub(crate) async fn run(&self, source: &Arc<Source>) -> Infallible {
        let path: Arc<str> = self.path.as_str().into();
        // Dropped with this future, and the connections with it.
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            while connections.try_join_next().is_some() {}
            let (source, path, failure) = (source.clone(), path.clone(), self.failure.clone());
            connections.spawn(async move {
                let answer = service_fn(|request| {
                    let response = answer(&source, &path, &failure, &request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .max_buf_size(usize::try_from(FRAME).unwrap_or(usize::MAX))
                    .serve_connection(TokioIo::new(stream), answer);
                // ffmpeg closes a connection to seek: that is no error.
                let _ = connection.await;
            });
        }
    }
}

fn answer(
    source: &Arc<Source>,
    path: &str,
    failure: &Failure,
    request: &Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, Stopped>> {
    let empty = || StreamBody::new(stream::empty()).boxed_unsync();
    let size = source.size();
    let mut response = Response::new(empty());
    if request.uri().path() != path || !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let range = match requested(request.headers(), size) {
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
        *response.body_mut() = StreamBody::new(frames(source.clone(), failure.clone(), range)).boxed_unsync();
    }
    response
}

fn frames(
    source: Arc<Source>,
    failure: Failure,
    range: Range<u64>,
) -> impl Stream<Item = Result<Frame<Bytes>, Stopped>> {
    stream::try_unfold(range.start, move |at| {
        let (source, failure, end) = (source.clone(), failure.clone(), range.end);
        async move {
            let part = block(&source, at).await.map_err(|error| {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Stopped
            })?;
            let part =
                part.slice(..part.len().min(usize::try_from(FRAME.min(end - at)).unwrap_or(usize::MAX)));
            let next = at + part.len() as u64;
            Ok((next > at).then(|| (Frame::data(part), next)))
        }
    })
}

/// The rest of the block in which `at` lies.
async fn block(source: &Source, at: u64) -> Result<Bytes, source::Error> {
    let start = at - at % BLOCK;
    let mut block = source.read(start..start + BLOCK).await?;
    let skip = usize::try_from(at - start).unwrap_or(usize::MAX).min(block.len());
    Ok(block.split_off(skip))
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// The one range that is asked for (RFC 9110, 14.2). What is not understood counts as no range.
fn requested(headers: &HeaderMap, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
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
    fn ranges_are_read_as_the_rfc_says() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            set(&mut headers, header::RANGE, text);
            requested(&headers, 100)
        };
        assert_eq!(range("bytes=0-"), Ok(Some(0..100)));
        assert_eq!(range("bytes=10-19"), Ok(Some(10..20)));
        assert_eq!(range("bytes=90-18446744073709551615"), Ok(Some(90..100)));
        assert_eq!(range("bytes=100-"), Err(Unsatisfiable));
        assert_eq!(range("bytes=20-10"), Err(Unsatisfiable));
        assert_eq!(range("bytes=x-"), Ok(None));
        assert_eq!(range("items=0-1"), Ok(None));
        assert_eq!(requested(&HeaderMap::new(), 100), Ok(None));
    }
}
