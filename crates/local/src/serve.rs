//! An HTTP server with timeouts. `axum::serve` has none: a client that sends half a request would keep its connection,
//! and its file descriptor, forever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tower::ServiceExt;

/// The error of a request whose body does not arrive.
pub(crate) const INCOMPLETE: &str = "the client did not send the whole body";

#[derive(Clone, Copy)]
struct Timeouts {
    /// How long a connection may be idle between requests, and how long the head of a request may take to arrive.
    /// Longer than clients keep idle connections (hyper's 90 s), so that no request meets a connection that is being
    /// closed.
    head: Duration,
    /// How long a request may wait for the next bytes of its body.
    body: Duration,
}

const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_mins(2), body: Duration::from_mins(1) };

/// Accepts connections until the future is dropped, which closes them.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), TIMEOUTS));
                }
                // For example, too many files are open. Waits until other connections end.
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(io: impl AsyncRead + AsyncWrite + Unpin + 'static, router: Router, timeouts: Timeouts) {
    let service = router.map_request(move |request: Request<Incoming>| {
        request.map(|body| Body::new(Timed { body, limit: timeouts.body, timeout: None }))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
}

/// A body that fails if no more of it arrives within `limit`.
struct Timed {
    body: Incoming,
    limit: Duration,
    /// Runs while the next bytes are awaited.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for Timed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.timeout = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| incomplete())));
        }
        let limit = self.limit;
        let timeout = self.timeout.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timeout.as_mut().poll(context));
        Poll::Ready(Some(Err(incomplete())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn incomplete() -> io::Error {
    tracing::info!("{INCOMPLETE}");
    io::Error::new(io::ErrorKind::ConnectionAborted, INCOMPLETE)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(1);

    /// Sends the start of a request, and returns everything that the server sends until it closes the connection.
    async fn responses(start: &str, timeouts: Timeouts) -> String {
        let router = Router::new().route(
            "/",
            post(|body: Result<Bytes, _>| async {
                body.map_or(StatusCode::BAD_REQUEST, |_| StatusCode::NO_CONTENT)
            }),
        );
        let (mut client, server) = duplex(1 << 16);
        let client = async {
            client.write_all(start.as_bytes()).await.unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            text
        };
        tokio::join!(client, connection(server, router, timeouts)).0
    }

    const WHOLE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

    #[tokio::test]
    async fn half_a_head_ends_the_connection() {
        let timeouts = Timeouts { head: SHORT, body: LONG };
        assert_eq!(responses("POST / HTTP/1.1\r\nHost:", timeouts).await, "");
        assert_eq!(responses("", timeouts).await, "");
        let text = responses(WHOLE, timeouts).await;
        assert!(text.starts_with("HTTP/1.1 204 "), "the next request does not come: {text}");
    }

    #[tokio::test]
    async fn half_a_body_ends_the_request() {
        let half = &WHOLE[..WHOLE.len() - 1];
        let text = responses(half, Timeouts { head: LONG, body: SHORT }).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    }
}
