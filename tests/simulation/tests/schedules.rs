//! Random schedules.
//!
//! `SEED` is the first seed and `SCHEDULES` their number: 5,000 in `make test`, fewer by default, because the unoptimised
//! SDK takes some milliseconds for each call. The trace of a seed: `SEED=7 cargo test -p upreel-simulation
//! --test schedules trace -- --ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "the output is for people")]

use std::collections::BTreeMap;
use std::time::Instant;

use upreel_simulation::{parallel, run_seed, setting};

#[test]
fn schedules() {
    let (first, count) = (setting("SEED", 0), setting("SCHEDULES", 200));
    let start = Instant::now();
    let reports = parallel(&(first..first + count).collect::<Vec<_>>(), |seed| (seed, run_seed(seed, false)));
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let calls: usize = reports.iter().map(|(_, report)| report.calls).sum();
    let faults: usize = reports.iter().map(|(_, report)| report.faults).sum();
    let rate = u64::try_from(reports.len()).unwrap_or_default() * 1000 / u64::max(1, millis);
    let mut kills = BTreeMap::new();
    for (function, count) in reports.iter().flat_map(|(_, report)| &report.kills) {
        *kills.entry(*function).or_insert(0) += count;
    }
    println!(
        "{count} schedules with {calls} calls and {faults} faults in {millis} ms: {rate} schedules per second\n\
         killed invocations: {kills:?}"
    );
    let bad: Vec<_> = reports.iter().filter(|(_, report)| !report.violations.is_empty()).collect();
    for (seed, report) in bad.iter().take(20) {
        println!("seed {seed}: {:#?}", report.violations);
    }
    assert!(bad.is_empty(), "{} of {count} schedules violate an invariant", bad.len());
}

#[test]
fn seed_replays_exactly() {
    for seed in 0..50 {
        let [first, second] = [0, 1].map(|_| run_seed(seed, true));
        for (a, b) in first.trace.iter().zip(&second.trace) {
            assert_eq!(a, b, "seed {seed}");
        }
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
        let quiet = run_seed(seed, false);
        assert_eq!(first.violations.len(), quiet.violations.len(), "seed {seed} without a trace");
        assert_eq!(first.calls, quiet.calls, "seed {seed} without a trace");
    }
}

#[test]
#[ignore = "prints the trace of a seed"]
fn trace() {
    let report = run_seed(setting("SEED", 0), true);
    println!("{}\n{:#?}", report.trace.join("\n"), report.violations);
}
