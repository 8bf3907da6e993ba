//! Counts how many requests of a reader depend on each other, for tests.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use upreel_core::RangeReader;
use upreel_core::range::RangeRead;

/// An object whose reads complete in rounds: a round ends when all pending reads are waiting.
#[derive(Clone)]
pub(crate) struct Rounds(Arc<State>);

struct State {
    read: Box<dyn Fn(Range<u64>) -> Bytes + Send + Sync>,
    round: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Rounds {
    /// Creates an object whose bytes `read` returns.
    pub(crate) fn new(read: impl Fn(Range<u64>) -> Bytes + Send + Sync + 'static) -> Self {
        Self(Arc::new(State { read: Box::new(read), round: AtomicU64::new(0), waiting: Mutex::default() }))
    }

    /// Runs a future and returns its result with the number of rounds.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> (T, u64) {
        let State { round, waiting, .. } = &*self.0;
        let mut future = pin!(future);
        let before = round.load(Relaxed);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return (output, round.load(Relaxed) - before);
            }
            round.fetch_add(1, Relaxed);
            waiting.lock().unwrap().drain(..).for_each(Waker::wake);
        }
    }
}

impl RangeReader for Rounds {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(async move {
            let State { read, round, waiting } = &*self.0;
            let started = round.load(Relaxed);
            poll_fn(|cx| {
                if round.load(Relaxed) > started {
                    return Poll::Ready(());
                }
                waiting.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            })
            .await;
            Ok(read(range))
        })
    }
}
