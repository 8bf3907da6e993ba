//! What lies between a function and S3: a wait before each answer, and one link that all answers share.
//!
//! It also counts, so that every method is measured by the server and none by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

/// From a request to the first byte of its answer.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);
/// What the link carries in a second.
pub(crate) const BYTES_PER_SECOND: u64 = 90_000_000;
/// Streams take turns on the link with pieces of this size.
const PIECE: usize = 64 << 10;
/// How late a stream may come for its next piece and still lose nothing: timers and other processes make it
/// late, which is not the link's doing.
const GRACE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(crate) struct Link {
    /// Until when it is taken.
    taken: Mutex<Option<Instant>>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// What went over the link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Bytes of bodies, handed to the connection. What a client did not wait for is not sent.
    pub(crate) bytes: u64,
}

impl Link {
    /// A request has come.
    pub(crate) async fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LATENCY).await;
    }

    /// The stream as it arrives at the other end.
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
                let at = link.take(Instant::now(), before, piece.len());
                tokio::time::sleep_until(at).await;
                link.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                sent = Some(at);
            }
            Some((piece, (pieces, sent, link)))
        })
    }

    /// What went over it since the last call.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.swap(0, Ordering::Relaxed),
            bytes: self.bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// When a piece will have been sent whose stream has sent the one before at `before`.
    fn take(&self, now: Instant, before: Option<Instant>, bytes: usize) -> Instant {
        let nanos = bytes as u64 * 1_000_000_000 / BYTES_PER_SECOND;
        let ready = before.map_or(now, |before| before.max(now.checked_sub(GRACE).unwrap_or(now)));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = taken.map_or(ready, |taken| taken.max(ready)) + Duration::from_nanos(nanos);
        *taken = Some(sent);
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

    /// Bytes that take so many milliseconds.
    fn worth(ms: u64) -> usize {
        usize::try_from(BYTES_PER_SECOND * ms / 1000).unwrap()
    }

    #[test]
    fn a_stream_has_the_whole_link_even_if_it_wakes_late() {
        let (link, start) = (Link::default(), Instant::now());
        let mut sent = None;
        for _ in 0..1000 {
            let late = sent.map_or(start, |sent: Instant| sent + Duration::from_millis(2));
            sent = Some(link.take(late, sent, worth(1)));
        }
        assert_eq!(sent, Some(start + SECOND));
    }

    #[test]
    fn streams_share_the_link() {
        let (link, start) = (Link::default(), Instant::now());
        let (mut one, mut two) = (None, None);
        for _ in 0..500 {
            one = Some(link.take(one.unwrap_or(start), one, worth(1)));
            two = Some(link.take(two.unwrap_or(start), two, worth(1)));
        }
        assert_eq!(two, Some(start + SECOND));
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let (link, start) = (Link::default(), Instant::now());
        let first = link.take(start, None, worth(1));
        let later = start + SECOND;
        assert_eq!(link.take(later, Some(first), worth(10)), later + Duration::from_millis(10) - GRACE);
        let other = Link::default().take(later, None, worth(10));
        assert_eq!(other, later + Duration::from_millis(10), "a new stream has no grace");
    }

    #[tokio::test]
    async fn what_is_carried_is_whole_and_what_is_not_taken_is_not_counted() {
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
