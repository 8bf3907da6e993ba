//! Seeded simulation of the functions.
//!
//! The functions are the deployed ones, with the real AWS SDK and its retries and timeouts. Its HTTP client executes
//! the requests in memory, with delays and faults, on a single thread whose time is paused: a schedule of hours takes
//! milliseconds. One seed decides what clients do, how long calls take, which calls fail and how, which invocations are
//! killed, and which events are late, repeated or lost. At the end the faults stop, the reconciler runs, and the oracle
//! checks the invariants.
//!
//! | module | part of the world |
//! |---|---|
//! | `schedule` | a schedule from its start to the final check |
//! | `world`, `clock`, `trace` | what a schedule consists of |
//! | `clients`, `content`, `movie` | what users do, and the videos that they upload |
//! | `functions`, `events`, `transcodes`, `webhooks` | Lambda, and what invokes the functions |
//! | `network`, `faults` | the SDK's HTTP client, and what goes wrong with a call |
//! | `services`, `s3`, `dynamodb`, `signature` | the services in memory |
//! | `oracle` | the invariants |
//! | `matrix` | every call of every flow with every fault |

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test")]

use std::sync::atomic::{AtomicUsize, Ordering};

mod checks;
mod clients;
mod clock;
mod content;
mod dynamodb;
mod events;
mod faults;
mod functions;
mod http_api;
mod matrix;
mod movie;
mod network;
mod oracle;
mod s3;
mod schedule;
mod services;
mod signature;
mod trace;
mod transcodes;
mod webhooks;
mod world;

pub use clients::{Script, Upload};
pub use faults::Fault;
pub use matrix::{Case, Flow};
pub use schedule::{Report, run, run_seed};
pub use world::{Quotas, Settings};

/// Runs `work` for each item on all processors. The results are in the order of the items.
///
/// # Panics
/// When `work` does.
pub fn parallel<T: Sync + Clone, R: Send>(items: &[T], work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(|| {
                let mut results = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return results };
                    results.push((index, work(item.clone())));
                }
            })
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a schedule panicked")).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Returns the value of an environment variable.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the number in an environment variable.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    text(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}
