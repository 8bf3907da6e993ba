//! A model of one video, explored exhaustively: every order of uploads, events, retries, kills, lost responses, expiry,
//! deletion, replays, transcoding and the reconciler. It drives the same table of transitions as the store.
//!
//! A state consists of the row, the stored objects, and every process that works on the video. Each call to AWS is one
//! step. Between two steps, any other process may go on, and the process may be killed; a write may be executed without a
//! response, so that the SDK repeats it. [`search`] visits every state that can be reached, and [`invariants`] checks each
//! of them, each step, and in particular the states in which nothing moves any more.
//!
//! The number of states grows fast, so that a configuration limits what may go wrong. Each of them is complete.

mod client;
mod faults;
mod invariants;
mod keys;
mod listing;
mod reconciler;
mod search;
mod steps;
mod transcoding;
mod worker;
mod world;

use std::io::{Write, stderr};

use crate::faults::Fault;
use crate::search::{Report, explore};
use crate::world::{Config, Left};

/// Nothing goes wrong, and nobody does anything.
const NONE: Left = Left {
    uploads: 0,
    deletions: 0,
    expiries: 0,
    duplicates: 0,
    losses: 0,
    kills: 0,
    responses: 0,
    conflicts: 0,
    storyboards: 0,
    replays: 0,
};
/// One upload with a presigned URL.
const ONE: Left = Left { uploads: 1, ..NONE };
/// One upload that may replace the other.
const TWO: Left = Left { uploads: 2, ..NONE };

const fn within(left: Left) -> Config {
    Config {
        left,
        has_api_upload: false,
        has_transcoding: false,
        has_checks: false,
        has_listing: true,
        always_fails: false,
        bad_content: 0,
        fault: None,
    }
}

/// Explores a configuration, prints the figures, and returns them.
fn explore_and_print(name: &str, config: &Config) -> Report {
    let report = explore(config);
    let Report { states, transitions, at_rest, seconds, ref violation } = report;
    let violation = violation.as_ref().map_or("no violation".to_owned(), |violation| {
        format!("after {} steps: {}", violation.trace.len() - 1, violation.invariant)
    });
    // Unlike `eprintln`, this is not captured.
    let line = format!(
        "model: {name}: {states} states, {transitions} transitions, {at_rest} at rest, {seconds:.1} s, {violation}"
    );
    writeln!(stderr(), "{line}").unwrap_or_default();
    report
}

/// Checks that a configuration violates no invariant, and that it has at least as many states as before.
fn check(name: &str, minimum: usize, config: &Config) {
    let report = explore_and_print(name, config);
    if let Some(violation) = report.violation {
        panic!("{name}: {}:\n{}", violation.invariant, violation.trace.join("\n"));
    }
    assert!(report.states >= minimum, "{name}: only {} states", report.states);
}

#[test]
fn events() {
    let two = |left| within(Left { uploads: 2, ..left });
    check("2 uploads", 2_800, &within(TWO));
    let lost = Left { duplicates: 1, losses: 1, expiries: 1, ..NONE };
    check("2 uploads, duplicate, loss, expiry", 100_000, &two(lost));
    check("2 uploads, lost response", 22_000, &two(Left { responses: 1, ..NONE }));
    check("2 uploads, lost response, kill", 150_000, &two(Left { responses: 1, kills: 1, ..NONE }));
    check("2 uploads, 2 kills", 63_000, &two(Left { kills: 2, ..NONE }));
    check(
        "2 uploads, kill, loss, duplicate",
        210_000,
        &two(Left { kills: 1, losses: 1, duplicates: 1, ..NONE }),
    );
    let bad = |bad_content, left| Config { bad_content, ..two(left) };
    check("2 uploads, the first no video, kill, loss", 14_000, &bad(1, Left { kills: 1, losses: 1, ..NONE }));
    check("2 uploads, the second no video, kill, loss", 8_100, &bad(2, Left { kills: 1, losses: 1, ..NONE }));
    let missing = Left { storyboards: 1, kills: 1, losses: 1, ..NONE };
    check("2 uploads, storyboard left out, kill, loss", 180_000, &two(missing));
    let without_listing = Config { has_listing: false, ..two(Left { kills: 3, ..NONE }) };
    check("2 uploads, 3 kills, no listing", 160_000, &without_listing);
}

#[test]
fn failures() {
    let one = |left| within(Left { uploads: 1, ..left });
    check("1 upload, 3 kills, duplicate", 11_000, &one(Left { kills: 3, duplicates: 1, ..NONE }));
    let bad = Config { bad_content: 1, ..one(Left { kills: 3, duplicates: 1, ..NONE }) };
    check("1 upload that is no video, 3 kills, duplicate", 3_500, &bad);
    let replay = Left { kills: 4, losses: 1, replays: 1, ..NONE };
    check("1 upload, 4 kills, loss, operator", 54_000, &one(replay));
    let expiry = Left { kills: 4, losses: 1, expiries: 1, ..NONE };
    check("1 upload, 4 kills, loss, expiry", 19_000, &one(expiry));
    // With a sixth, all three replays can be counted without being sent: the row is left to the operator.
    check("1 upload, 5 kills", 13_000, &one(Left { kills: 5, ..NONE }));
    check("1 upload, 3 kills, lost response", 15_000, &one(Left { kills: 3, responses: 1, ..NONE }));
    let missing = Left { storyboards: 1, duplicates: 1, kills: 1, responses: 1, ..NONE };
    check("1 upload, storyboard left out, duplicate, kill, lost response", 51_000, &one(missing));
    let fails = |left| Config { always_fails: true, ..within(left) };
    check("2 uploads, always fails", 170_000, &fails(TWO));
    let all = Left { duplicates: 1, losses: 1, replays: 1, ..ONE };
    check("1 upload, always fails, duplicate, loss, operator", 1_100_000, &fails(all));
    check("1 upload, always fails, 2 kills", 17_000, &fails(Left { kills: 2, ..ONE }));
}

#[test]
fn deletion() {
    let delete = |left| within(Left { deletions: 1, ..left });
    check("1 upload, DELETE, 2 kills, loss", 22_000, &delete(Left { kills: 2, losses: 1, ..ONE }));
    check("1 upload, DELETE, lost response, kill", 87_000, &delete(Left { responses: 1, kills: 1, ..ONE }));
    check(
        "1 upload, DELETE twice, kill, duplicate",
        160_000,
        &within(Left { deletions: 2, kills: 1, duplicates: 1, ..ONE }),
    );
    check("2 uploads, DELETE, loss, expiry", 580_000, &delete(Left { losses: 1, expiries: 1, ..TWO }));
    check("2 uploads, DELETE, kill", 1_100_000, &delete(Left { kills: 1, ..TWO }));
    let transcoding = Config { has_transcoding: true, ..delete(Left { kills: 1, ..ONE }) };
    check("1 upload, transcoding, DELETE, kill", 110_000, &transcoding);
}

#[test]
fn transcoding() {
    let transcode = |left| Config { has_transcoding: true, ..within(left) };
    check("1 upload, transcoding, 3 kills", 20_000, &transcode(Left { kills: 3, ..ONE }));
    check(
        "1 upload, transcoding, kill, lost response",
        22_000,
        &transcode(Left { kills: 1, responses: 1, ..ONE }),
    );
    check(
        "1 upload, transcoding, duplicate, kill",
        17_000,
        &transcode(Left { duplicates: 1, kills: 1, ..ONE }),
    );
    check("2 uploads, transcoding, kill", 350_000, &transcode(Left { kills: 1, ..TWO }));
    check("2 uploads, transcoding, loss", 60_000, &transcode(Left { losses: 1, ..TWO }));
}

#[test]
fn checks() {
    let check_uploads = |left| Config { has_checks: true, ..within(left) };
    check("1 upload, checked, 3 kills, loss", 7_600, &check_uploads(Left { kills: 3, losses: 1, ..ONE }));
    check(
        "1 upload, checked, duplicate, lost response",
        3_200,
        &check_uploads(Left { duplicates: 1, responses: 1, ..ONE }),
    );
    check("2 uploads, checked, kill, loss", 72_000, &check_uploads(Left { kills: 1, losses: 1, ..TWO }));
    check(
        "2 uploads, checked, duplicate, loss",
        68_000,
        &check_uploads(Left { duplicates: 1, losses: 1, ..TWO }),
    );
    check("1 upload, checked, DELETE, kill", 14_000, &check_uploads(Left { deletions: 1, kills: 1, ..ONE }));
}

#[test]
fn api() {
    let api = |left| Config { has_api_upload: true, ..within(left) };
    let all = Left { kills: 1, responses: 1, conflicts: 1, losses: 1, expiries: 1, ..NONE };
    check("POST /upload, kill, lost response, 409, loss, expiry", 11_000, &api(all));
    check(
        "POST /upload, DELETE, kill, lost response",
        380_000,
        &api(Left { deletions: 1, kills: 1, responses: 1, ..NONE }),
    );
    check("POST /upload, 1 upload, kill, loss", 26_000, &api(Left { kills: 1, losses: 1, ..ONE }));
    check("POST /upload, 1 upload, DELETE", 230_000, &api(Left { deletions: 1, ..ONE }));
}

/// Each fault is found in a configuration that has no violation without it.
#[test]
fn faults_put_back() {
    let kills = |kills| Left { kills, ..ONE };
    let transcoding = |left| Config { has_transcoding: true, ..within(left) };
    // The listing would heal what the fault leaves behind.
    let without_listing = |config| Config { has_listing: false, ..config };
    let api = Config { has_api_upload: true, ..within(Left { conflicts: 1, ..NONE }) };
    let expiry = |left| within(Left { expiries: 1, ..left });
    let delete = |left| Left { deletions: 1, ..left };
    let lost = |left| within(Left { losses: 1, ..left });
    let repeated = |left| within(Left { responses: 1, ..left });
    let storyboard = Left { storyboards: 1, duplicates: 1, ..ONE };
    let faults = [
        (Fault::SharedKeys, within(Left { duplicates: 1, ..TWO })),
        (Fault::CountAttempts, repeated(kills(2))),
        (Fault::TakeConflictForStored, api),
        (Fault::NoTombstonePass, without_listing(within(delete(kills(1))))),
        (Fault::OnePass, without_listing(transcoding(delete(kills(1))))),
        (Fault::NoReconciler, lost(ONE)),
        (Fault::GiveUpAlways, within(Left { duplicates: 1, ..kills(3) })),
        (Fault::NoLateResult, within(Left { duplicates: 1, ..kills(3) })),
        (Fault::ClaimKeepsTtl, expiry(ONE)),
        (Fault::GiveUpKeepsTtl, expiry(kills(3))),
        (Fault::ClaimAnyEvent, within(TWO)),
        (Fault::DiscardNamed, repeated(ONE)),
        (Fault::DiscardStoryboard, repeated(storyboard)),
        (Fault::KeepEarlier, without_listing(within(TWO))),
        (Fault::CleanAtOnce, without_listing(within(Left { kills: 1, ..TWO }))),
        (Fault::ForgetStoryboard, within(storyboard)),
        (Fault::NoRestart, transcoding(kills(1))),
        (Fault::PlanAnyContent, transcoding(TWO)),
        (Fault::EncodeWithoutAsking, without_listing(transcoding(Left { kills: 1, ..TWO }))),
        (Fault::DiscardDone, transcoding(Left { responses: 1, ..ONE })),
        (Fault::HighSequencer, without_listing(within(TWO))),
        (Fault::NoSuccessor, lost(TWO)),
        (Fault::CompareProcessedOnly, Config { bad_content: 1, ..lost(TWO) }),
        (Fault::ClaimUnchecked, Config { has_checks: true, ..within(ONE) }),
        (Fault::VerdictOfAnyContent, Config { has_checks: true, ..within(TWO) }),
        (Fault::VerdictWithoutRow, Config { has_checks: true, ..without_listing(within(ONE)) }),
        (Fault::ListSkipsTombstones, lost(delete(ONE))),
    ];
    for (fault, config) in faults {
        assert!(explore(&config).violation.is_none(), "{fault:?}: the violation has another cause");
        let report = explore_and_print(&format!("{fault:?}"), &Config { fault: Some(fault), ..config });
        assert!(report.violation.is_some(), "{fault:?} is not found");
    }
    // What a superseded worker leaves behind, the reconciler removes: the worker only does it earlier.
    let healed = Config { fault: Some(Fault::KeepSuperseded), ..within(Left { duplicates: 1, ..TWO }) };
    assert!(explore_and_print("KeepSuperseded", &healed).violation.is_none());
}
