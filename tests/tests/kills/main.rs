//! Kills the backend at random moments under load, restarts it on the same data, and checks at the end that nothing is
//! lost, stuck or left behind. `make kills N=200` runs more kills than `make test`.
//!
//! Environment variables:
//!
//! - `KILLS`: number of kills.
//! - `SEED`: the seed of all decisions of the load. It doesn't decide how the operating system schedules the processes,
//!   so a replay sends the same requests, but is not killed at exactly the same instruction.
//! - `PLAYERS`: number of clients that play segments.
//! - `PACE`: the pauses of the other clients are so many times longer. With many kills, the backend would not get through
//!   their uploads.
//! - `UPREEL_BINARY`: the program; without it, cargo builds it.
//! - `UPREEL_ARGS`: more arguments for it, separated by spaces.
//! - `STALL`: seconds without any change after which unfinished work counts as stuck.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test")]
#![expect(clippy::print_stdout, reason = "the seed and the figures")]

mod audit;
mod backend;
mod clients;
mod receiver;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};

use crate::audit::Audit;
use crate::backend::Backend;
use crate::clients::{CLIENTS, PLAYER};
use crate::receiver::Receiver;
use crate::world::{Random, World};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_left_behind_after_kills() {
    let kills = setting("KILLS", 6);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = setting("SEED", now.as_secs());
    println!("SEED={seed} KILLS={kills}");
    let mut random = Random::new(seed);
    let folder = tempfile::Builder::new().prefix("upreel-kills-").tempdir().unwrap();
    let receiver = Receiver::start(random.fork()).await;
    let mut backend = Backend::new(folder.path(), &receiver.url);
    backend.start().await;
    let world = Arc::new(World::new(&backend, folder.path()).await);
    let pace = setting("PACE", 1);
    let players = (0..setting("PLAYERS", 1)).map(|_| (PLAYER, 1));
    let clients: Vec<_> = CLIENTS
        .iter()
        .map(|mix| (*mix, pace))
        .chain(players)
        .map(|(mix, pace)| tokio::spawn(clients::run(world.clone(), mix, pace, random.fork())))
        .collect();

    let begun = Instant::now();
    let mut orphans = 0;
    for kill in 1..=kills {
        sleep(Duration::from_millis(random.between(500, 2500))).await;
        backend.kill();
        orphans += usize::from(!backend.ffmpegs().is_empty());
        backend.start().await;
        if kill % 10 == 0 {
            println!("{kill} kills in {:?}, {} videos", begun.elapsed(), world.video_count());
            println!("{}", world.figures());
        }
    }
    sleep(Duration::from_millis(500)).await;
    world.stopped.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let load = begun.elapsed();

    let settling = Instant::now();
    let stall = Duration::from_secs(setting("STALL", 90));
    let audit = Audit::settled(&backend, &world, &receiver, stall).await;
    let settled = settling.elapsed();
    let mut violations = audit.violations();
    violations.extend(audit::after_a_day(&mut backend).await);

    println!("load {load:?}, settled in {settled:?}, ffmpeg left after {orphans} of {kills} kills");
    println!("{}\n{}", world.figures(), audit.figures());
    if !violations.is_empty() {
        let kept = folder.keep();
        let mut kinds = BTreeMap::<_, Vec<_>>::new();
        for violation in &violations {
            kinds.entry(kind(violation)).or_default().push(violation);
        }
        for (kind, found) in kinds {
            println!("{} x {kind}", found.len());
            found.iter().take(5).for_each(|violation| println!("    {violation}"));
        }
        panic!("{} violations with SEED={seed} KILLS={kills}, data in {}", violations.len(), kept.display());
    }
}

/// Returns the words of a violation without identifiers and numbers.
fn kind(violation: &str) -> String {
    let is_word = |word: &&str| !word.contains(|char: char| char.is_ascii_digit());
    violation.split(' ').filter(is_word).collect::<Vec<_>>().join(" ")
}
