//! Schedules: what happens in a world, from its start to the final check.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use upreel_core::Checks;

use crate::checks;
use crate::clients::{self, Script, Step, Upload};
use crate::dynamodb::Exchange;
use crate::events;
use crate::faults::Plan;
use crate::world::{Quotas, Settings, World};

/// How long the reconciler has after the last fault: longer than its longest delay.
const HEALING: Duration = Duration::from_hours(80);

/// How far the functions' clock is behind that of AWS in some schedules, or ahead of it, in seconds.
const SKEW: i64 = 600;

const SCAN: Checks = Checks { scan: true, moderation: false };
const MODERATION: Checks = Checks { scan: false, moderation: true };
const BOTH: Checks = Checks { scan: true, moderation: true };

/// Older than the objects that the listing leaves alone.
const LISTING_AGE: Duration = Duration::from_hours(25);

/// The outcome of a schedule.
#[derive(Debug)]
pub struct Report {
    /// The invariants that did not hold.
    pub violations: Vec<String>,
    /// The trace, if it was on.
    pub trace: Vec<String>,
    /// The number of calls to AWS.
    pub calls: usize,
    /// The number of calls that had a fault.
    pub faults: usize,
    /// The number of killed invocations of each function.
    pub kills: BTreeMap<&'static str, usize>,
    /// A label for each call, if the trace was on.
    pub labels: Vec<String>,
    /// The requests to DynamoDB, if the trace was on.
    #[cfg_attr(not(all(test, feature = "dynoxide")), expect(dead_code, reason = "for a test"))]
    pub(crate) exchanges: Vec<Exchange>,
}

/// Runs the schedule of a seed: random scripts, with random faults and delays.
#[must_use]
pub fn run_seed(seed: u64, trace: bool) -> Report {
    let mut rng = Rng::with_seed(seed ^ 0x5EED);
    let percent = [0.0, 0.5, 2.0, 5.0, 12.0][rng.usize(..5)];
    let scripts: Vec<Script> = (0..rng.usize(1..=2)).map(|_| random_script(&mut rng)).collect();
    let transcodes = rng.u8(..3) == 0;
    let settings = Settings {
        seed,
        skew: [0, 0, 0, 0, -SKEW, SKEW][rng.usize(..6)],
        plan: Plan::Random(percent),
        transcodes,
        watched: transcodes && rng.bool(),
        webhooks: rng.u8(..3) == 0,
        checks: [Checks::default(), Checks::default(), SCAN, SCAN, MODERATION, BOTH][rng.usize(..6)],
        chaos: true,
        loses_events: false,
        quotas: [Quotas::Off, Quotas::Off, Quotas::Wide, Quotas::Tight][rng.usize(..4)],
        trace,
    };
    run(settings, scripts)
}

fn random_script(rng: &mut Rng) -> Script {
    let upload = [Upload::Api, Upload::Idempotent, Upload::Put, Upload::Put, Upload::Form, Upload::Multipart];
    let mut then = Vec::new();
    for _ in 0..rng.usize(..3) {
        if rng.bool() {
            then.push(Step::Wait([1, 4, 200][rng.usize(..3)]));
        }
        let steps = [
            Step::UploadAgain,
            Step::UploadAgain,
            Step::Read,
            Step::Play,
            Step::Image,
            Step::Choose,
            Step::Watch(usize::MAX),
            Step::Rename,
            Step::Caption,
            Step::RemoveCaptions,
        ];
        then.push(steps[rng.usize(..steps.len())]);
    }
    if rng.u8(..6) == 0 {
        then.extend([Step::Expire([1, 30, 600][rng.usize(..3)]), Step::Rename]);
        then.extend([Step::Keep, Step::UploadAgain].into_iter().filter(|_| rng.u8(..3) == 0));
    }
    if rng.u8(..3) == 0 {
        then.extend([Step::Wait([1, 4, 100][rng.usize(..3)]), Step::Delete]);
        then.extend([Step::UploadAgain, Step::Play, Step::Image].into_iter().filter(|_| rng.u8(..3) == 0));
    }
    Script {
        upload: upload[rng.usize(..upload.len())],
        is_video: rng.u8(..10) > 0,
        is_long: rng.u8(..3) == 0,
        parts: [1, 1, 1, 2, 3][rng.usize(..5)],
        then,
    }
}

/// Runs scripts in a world of its own.
///
/// # Panics
/// When the runtime cannot be built.
#[must_use]
pub fn run(settings: Settings, scripts: Vec<Script>) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, live(settings, scripts))
}

async fn live(settings: Settings, scripts: Vec<Script>) -> Report {
    let world = World::new(settings);
    let pump = spawn_local(events::pump(world.clone()));
    for script in scripts {
        let world = world.clone();
        world.clone().spawn(async move {
            if world.settings.chaos {
                world.pause(Duration::from_millis(1)..Duration::from_mins(2)).await;
            }
            clients::run(world, script).await;
        });
    }
    let sweeper = spawn_local({
        let world = world.clone();
        async move { events::sweep_regularly(&world).await }
    });
    world.settle().await;
    if world.mishap(20) {
        events::replay(&world).await;
        world.settle().await;
    }
    if world.mishap(15) {
        sleep(LISTING_AGE).await;
        events::list(&world).await;
        world.settle().await;
    }
    sweeper.abort();
    heal(&world).await;
    pump.abort();
    let oracle = world.oracle.take();
    let mut services = world.network.services();
    Report {
        violations: oracle.violations,
        trace: services.trace.take(),
        calls: services.calls,
        faults: services.faults,
        kills: world.kills.take(),
        labels: std::mem::take(&mut services.labels),
        exchanges: services.table.exchanges.take().unwrap_or_default(),
    }
}

/// Ends the faults, lets the reconciler run, and checks what must hold then.
async fn heal(world: &Rc<World>) {
    world.is_calm.set(true);
    if world.settings.chaos {
        world.network.services().plan = Plan::Calm;
    }
    world.note(|| "the faults are over".to_owned());
    events::expire(world);
    sweep(world).await;
    check_again(world).await;
    if world.draw(Rng::bool) || world.needs_operators() {
        // The cause has gone, so a replay by the operators leaves nothing in the queue.
        events::replay(world).await;
        world.settle().await;
        world.check_replayed();
    }
    world.check_deletions();
    world.check_unnamed();
    // The weekly listing, and what it sets going.
    sleep(LISTING_AGE).await;
    events::list(world).await;
    world.settle().await;
    sweep(world).await;
    // It may have found an upload whose event and verdict were both lost.
    check_again(world).await;
    events::expire(world);
    world.check_end();
}

/// Lets the reconciler do what is due.
async fn sweep(world: &Rc<World>) {
    let end = world.network.clock.elapsed() + HEALING;
    events::sweep_until(world, end).await;
    world.settle().await;
}

/// Lets the operators have checked again what has no verdict. What a late verdict leaves of an earlier upload, the reconciler
/// removes.
async fn check_again(world: &Rc<World>) {
    if world.settings.checks.any() {
        checks::check_again(world).await;
        sweep(world).await;
    }
}
