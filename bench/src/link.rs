//! The simulated network between a function and S3: a latency for each request, and a bandwidth that all responses
//! share.
//!
//! It also counts requests and bytes, so that all methods are measured in the same way, by the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

/// Time from a request to the first byte of its response.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);
/// Bandwidth of the link.
pub(crate) const BYTES_PER_SECOND: u64 = 90_000_000;
/// Responses take turns on the link with pieces of this size, in bytes.
const PIECE: usize = 64 << 10;
/// A response that asks for its next piece with at most this delay loses no bandwidth. Such delays come from timers and
/// other processes, not from the link.
const GRACE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(crate) struct Link {
    /// The time at which the last piece is sent and the link is free.
    busy_until: Mutex<Option<Instant>>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// The traffic over the link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Bytes of response bodies that were passed to the connection. Bytes that a client didn't wait for aren't
    /// included.
    pub(crate) bytes: u64,
}

impl Link {
    /// Counts a request, and waits for the latency.
    pub(crate) async fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LATENCY).await;
    }

    /// Delays a response body to the bandwidth of the link.
    pub(crate) fn carry<E>(
        self: Arc<Self>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> impl Stream<Item = Result<Bytes, E>> {
        let pieces = body.flat_map(|part| {
            let pieces = match part {
                Ok(part) => pieces(part).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(pieces)
        });
        stream::unfold((Box::pin(pieces), None, self), |(mut pieces, before, link)| async move {
            let piece = pieces.next().await?;
            let mut sent = before;
            if let Ok(piece) = &piece {
                let at = link.reserve(Instant::now(), before, piece.len());
                tokio::time::sleep_until(at).await;
                link.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                sent = Some(at);
            }
            Some((piece, (pieces, sent, link)))
        })
    }

    /// Returns the traffic since the last call.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.swap(0, Ordering::Relaxed),
            bytes: self.bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// Reserves the link for a piece, and returns the time at which it is sent. `before` is the time at which the
    /// response sent its previous piece.
    fn reserve(&self, now: Instant, before: Option<Instant>, bytes: usize) -> Instant {
        let nanos = bytes as u64 * 1_000_000_000 / BYTES_PER_SECOND;
        let ready = before.map_or(now, |before| before.max(now.checked_sub(GRACE).unwrap_or(now)));
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = busy_until.map_or(ready, |busy| busy.max(ready)) + Duration::from_nanos(nanos);
        *busy_until = Some(sent);
        sent
    }
}

fn pieces(mut part: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(part.len() / PIECE + 1);
    while part.len() > PIECE {
        pieces.push(part.split_to(PIECE));
    }
    pieces.push(part);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the number of bytes that the link sends in this time.
    fn bytes_in(ms: u64) -> usize {
        usize::try_from(BYTES_PER_SECOND * ms / 1000).unwrap()
    }

    #[test]
    fn a_single_stream_gets_the_full_bandwidth_despite_delays() {
        let (link, start) = (Link::default(), Instant::now());
        let mut sent = None;
        for _ in 0..1000 {
            let late = sent.map_or(start, |sent: Instant| sent + Duration::from_millis(2));
            sent = Some(link.reserve(late, sent, bytes_in(1)));
        }
        assert_eq!(sent, Some(start + SECOND));
    }

    #[test]
    fn streams_share_the_bandwidth() {
        let (link, start) = (Link::default(), Instant::now());
        let (mut one, mut two) = (None, None);
        for _ in 0..500 {
            one = Some(link.reserve(one.unwrap_or(start), one, bytes_in(1)));
            two = Some(link.reserve(two.unwrap_or(start), two, bytes_in(1)));
        }
        assert_eq!(two, Some(start + SECOND));
    }

    #[test]
    fn bandwidth_unused_during_a_pause_is_lost() {
        let (link, start) = (Link::default(), Instant::now());
        let first = link.reserve(start, None, bytes_in(1));
        let later = start + SECOND;
        assert_eq!(link.reserve(later, Some(first), bytes_in(10)), later + Duration::from_millis(10) - GRACE);
        let other = Link::default().reserve(later, None, bytes_in(10));
        assert_eq!(other, later + Duration::from_millis(10), "a new stream has no grace");
    }

    #[tokio::test]
    async fn bodies_are_complete_and_only_consumed_bytes_are_counted() {
        let link = Arc::new(Link::default());
        let body: Bytes = (0..3 * PIECE + 5).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let stream = || stream::iter([Ok::<_, Infallible>(body.clone()), Ok(body.clone())]);
        let parts: Vec<_> = link.clone().carry(stream()).map(Result::unwrap).collect().await;
        assert!(parts.iter().all(|part| part.len() <= PIECE));
        assert_eq!(parts.concat(), [&body[..], &body[..]].concat());
        assert_eq!(link.traffic(), Traffic { requests: 0, bytes: 2 * body.len() as u64 });

        let taken: Vec<_> = link.clone().carry(stream()).take(2).collect().await;
        assert_eq!(taken.len(), 2);
        assert_eq!(link.traffic(), Traffic { requests: 0, bytes: 2 * PIECE as u64 });
    }
}
