//! The thumbnail function: the calls of `crates/thumbnail`, in their order.

use upreel_core::Status;
use upreel_core::transition::{Refusal, Transition};

use crate::faults::Fault;
use crate::keys::{Kind, key, previews, successor};
use crate::steps::{Actor, Steps};
use crate::transcoding;
use crate::world::{Config, Row, Transcode, Worker, World};

/// The number of times that one attempt starts over because the object was replaced while it was being read.
const MAX_CHANGES: u8 = 3;

/// The next call of an invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    #[default]
    Idle,
    /// S3 has not delivered the event yet. The next call is that of `Claim`.
    Event,
    Claim,
    HeadWithoutRow,
    Create,
    ClaimAgain,
    /// The object has passed the checks.
    ClaimChecked,
    Read,
    Head,
    Write,
    /// These two: see [`Fault::SharedKeys`].
    HeadPoster,
    IsCurrent,
    Process,
    Fail,
    /// See [`Fault::CountAttempts`].
    FailInternal,
    /// The result was refused: read the row to find out why.
    Examine,
    Discard,
    /// The event's work is done: read the row to find out whether the renditions are missing.
    Resume,
    StartExecution,
    ReadAgain,
    WriteStoryboard,
    Complete,
    DeleteMade,
    DeleteObject,
}

impl At {
    /// Whether the attempt has claimed the event and may still write.
    pub(crate) const fn is_claimed(self) -> bool {
        !matches!(self, Self::Idle | Self::Event | Self::Claim | Self::HeadWithoutRow | Self::Create)
            && !matches!(self, Self::ClaimAgain | Self::ClaimChecked)
    }
}

/// Ends an attempt by a fault. Lambda retries twice, then it gives up.
pub(crate) fn end_attempt(world: &mut World, index: usize) {
    let worker = world.workers[index];
    world.workers[index] = if worker.is_canary {
        Worker::default()
    } else if worker.attempt < 3 {
        let Worker { event, announced, attempt, .. } = worker;
        Worker { at: At::Claim, event, announced, attempt: attempt + 1, ..Worker::default() }
    } else {
        world.dead |= 1 << worker.event;
        world.records |= 1 << worker.event;
        Worker::default()
    };
}

pub(crate) fn steps(steps: &mut Steps<'_>) {
    for (index, worker) in steps.before.workers.iter().enumerate() {
        let is_repeated = index > 0 && steps.before.workers[index - 1] == *worker;
        let (at, config, actor) = (worker.at, *steps.config, Actor::Worker(index));
        if at == At::Idle || is_repeated {
            continue;
        }
        let fails = config.always_fails && at == At::Read;
        let counts_attempts = config.fault == Some(Fault::CountAttempts) && at == At::Read;
        if counts_attempts && (fails || steps.before.left.kills > 0) {
            // In the old design, an attempt that fails writes the failure if the row says that it is the last one.
            steps.call(actor, ("make previews, which fails", false), |world| {
                world.left.kills = world.left.kills.saturating_sub(1);
                if world.row.as_ref().is_some_and(|row| row.replays >= 3) {
                    world.workers[index].at = At::FailInternal;
                } else {
                    end_attempt(world, index);
                }
            });
        }
        if fails {
            steps.call(actor, ("make previews, which fails", false), |world| end_attempt(world, index));
            continue;
        }
        if at == At::Write && steps.before.left.storyboards > 0 {
            steps.call(actor, ("write only the poster", true), |world| {
                world.left.storyboards -= 1;
                let keys = key(Kind::Poster, worker.event, worker.content);
                world.made |= keys;
                world.workers[index] = Worker { at: At::Process, keys, ..*worker };
            });
        }
        let call = describe(at);
        steps.call(actor, call, |world| {
            let mut worker = *worker;
            match next(world, &config, &mut worker) {
                Some(At::Idle) => world.workers[index] = Worker::default(),
                Some(at) => world.workers[index] = Worker { at, ..worker },
                None => end_attempt(world, index),
            }
        });
    }
}

/// Describes a call, and says whether it writes.
const fn describe(at: At) -> (&'static str, bool) {
    match at {
        At::Idle => ("nothing", false),
        At::Event | At::Claim | At::ClaimAgain => ("claim the event, or hold it", true),
        At::ClaimChecked => ("claim the event, whose object has passed the checks", true),
        At::HeadWithoutRow => ("head the object, as there is no row", false),
        At::Create => ("create the row", true),
        At::Read => ("read the object", false),
        At::Head => ("head the object, as it was replaced", false),
        At::Write => ("write the previews", true),
        At::HeadPoster => ("head the previews under the shared keys", false),
        At::IsCurrent => ("get the row, is the event current?", false),
        At::Process => ("record PROCESSED", true),
        At::Fail => ("record FAILED", true),
        At::FailInternal => ("record INTERNAL", true),
        At::Examine => ("get the row, as the result was refused", false),
        At::Discard => ("delete its own previews", true),
        At::Resume => ("get the row, is the transcoding to be started?", false),
        At::StartExecution => ("start the execution", true),
        At::ReadAgain => ("read the object for the storyboard", false),
        At::WriteStoryboard => ("write the previews again, with the storyboard", true),
        At::Complete => ("record the storyboard", true),
        At::DeleteMade => ("delete what was made of the deleted video", true),
        At::DeleteObject => ("delete the object of the deleted video", true),
    }
}

/// Makes a call and returns the next one, or `None` if the attempt ends by a fault.
#[expect(clippy::too_many_lines, reason = "one arm for each call")]
fn next(world: &mut World, config: &Config, worker: &mut Worker) -> Option<At> {
    let Worker { event, content, .. } = *worker;
    let version = if content == 0 { 0 } else { previews(event, content) };
    Some(match worker.at {
        At::Event | At::Claim | At::ClaimAgain
            if config.has_checks && config.fault != Some(Fault::ClaimUnchecked) =>
        {
            match world.change(config, Transition::Hold, Some(event), worker.announced) {
                Err(Refusal::Missing) if worker.at != At::ClaimAgain => At::HeadWithoutRow,
                Err(Refusal::Missing) => At::Idle,
                Err(Refusal::Deleted) => At::DeleteMade,
                Ok(_) | Err(Refusal::Superseded) => match &world.row {
                    // The work for the event has ended, or the row belongs to a newer one.
                    Some(row) if Transition::Claim.check(Some(&row.state), Some(&event)).is_err() => {
                        if row.is_incomplete && row.is(Status::Processed, event) {
                            worker.content = row.content;
                            return Some(At::ReadAgain);
                        }
                        At::Idle
                    }
                    Some(row) => {
                        let seems_lost = row.replays > 0 || row.state.status == Status::Failed;
                        let is_replaced = world.object != 0 && world.object != worker.announced;
                        if seems_lost && row.checked != worker.announced && is_replaced {
                            (worker.event, worker.announced) = (successor(event), world.object);
                            return Some(At::Claim);
                        }
                        if row.checked == worker.announced { At::ClaimChecked } else { At::Idle }
                    }
                    None => At::Idle,
                },
            }
        }
        At::Event | At::Claim | At::ClaimAgain | At::ClaimChecked => {
            match world.change(config, Transition::Claim, Some(event), worker.announced) {
                Ok(row) => {
                    worker.is_superseding = row.earlier != 0;
                    if config.fault == Some(Fault::CountAttempts) {
                        row.replays = (row.replays + 1).min(3);
                    }
                    worker.content = worker.announced;
                    At::Read
                }
                Err(Refusal::Missing) if worker.at != At::ClaimAgain => At::HeadWithoutRow,
                Err(Refusal::Missing) => At::Idle,
                Err(Refusal::Deleted) => At::DeleteMade,
                Err(Refusal::Superseded) => match &world.row {
                    Some(row) if row.is_incomplete && row.is(Status::Processed, event) => {
                        worker.content = row.content;
                        At::ReadAgain
                    }
                    _ if config.has_transcoding => At::Resume,
                    _ => At::Idle,
                },
            }
        }
        At::HeadWithoutRow => {
            if world.object == 0 {
                At::Idle
            } else {
                At::Create
            }
        }
        At::Create => {
            world.row.get_or_insert_with(Row::pending);
            At::ClaimAgain
        }
        At::Read if world.object != content => At::Head,
        At::Read if content == config.bad_content => At::Fail,
        At::Read => At::Write,
        At::Head if world.object == 0 => At::Fail,
        At::Head => {
            worker.changes += 1;
            worker.content = world.object;
            if config.has_checks && config.fault != Some(Fault::ClaimUnchecked) {
                (worker.event, worker.announced) = (successor(event), world.object);
                return Some(At::Claim);
            }
            if worker.changes == MAX_CHANGES {
                return None;
            }
            At::Read
        }
        At::Write if config.fault == Some(Fault::SharedKeys) => {
            if world.made & (previews(0, 1) | previews(0, 2)) != worker.keys {
                return Some(At::HeadPoster);
            }
            world.made &= !worker.keys;
            worker.keys = previews(0, content);
            world.made |= worker.keys;
            At::Process
        }
        At::HeadPoster => {
            worker.keys = world.made & (previews(0, 1) | previews(0, 2));
            At::IsCurrent
        }
        At::IsCurrent => {
            let is_current = world.row.as_ref().is_some_and(|row| row.is(Status::Processing, event));
            if is_current { At::Write } else { At::Examine }
        }
        At::Write => {
            worker.keys = version;
            world.made |= version;
            At::Process
        }
        At::Process => {
            let named = worker.keys;
            match world.change(config, Transition::Process, Some(event), 0) {
                Ok(row) => {
                    (row.named, row.content) = (named, content);
                    row.is_incomplete = named & key(Kind::Storyboard, event, content) == 0
                        && config.fault != Some(Fault::SharedKeys)
                        && config.fault != Some(Fault::ForgetStoryboard);
                    if config.has_transcoding {
                        row.transcode = Transcode::Running;
                    }
                    row.is_due = row.is_incomplete || worker.is_superseding || config.has_transcoding;
                    if config.has_transcoding { At::Resume } else { At::Idle }
                }
                Err(_) => At::Examine,
            }
        }
        At::Fail => match world.change(config, Transition::Fail, Some(event), 0) {
            Ok(row) => {
                (row.content, row.is_due) = (content, worker.is_superseding);
                At::Idle
            }
            Err(Refusal::Deleted) => At::DeleteMade,
            Err(_) => At::Idle,
        },
        At::FailInternal => {
            let is_allowed = Transition::Fail.check(world.row.as_ref().map(|row| &row.state), Some(&event));
            if let (Ok(()), Some(row)) = (is_allowed, world.row.as_mut()) {
                Transition::GiveUp.apply(&mut row.state, Some(&event));
            }
            return None;
        }
        At::Examine => {
            let row = world.row.as_ref();
            if row.is_some_and(|row| row.state.status == Status::Deleted) {
                return Some(At::DeleteMade);
            }
            // A storyboard of the row's version may be completed by another worker at this moment.
            let is_own = row.is_some_and(|row| row.is(Status::Processed, event) && row.content == content);
            worker.keys = match config.fault {
                Some(Fault::DiscardNamed) => version,
                Some(Fault::KeepSuperseded) => 0,
                fault if is_own && fault != Some(Fault::DiscardStoryboard) => 0,
                _ => version & !row.map_or(0, |row| row.named),
            };
            if worker.keys == 0 { At::Idle } else { At::Discard }
        }
        At::Discard => {
            world.made &= !worker.keys;
            At::Idle
        }
        At::Resume => match world.row.as_ref().filter(|row| row.is(Status::Processed, event)) {
            Some(row) if row.transcode == Transcode::Running => At::StartExecution,
            _ => At::Idle,
        },
        At::StartExecution => {
            transcoding::start(world, event, 0);
            At::Idle
        }
        At::ReadAgain if world.object != content => return None,
        At::ReadAgain => At::WriteStoryboard,
        At::WriteStoryboard => {
            world.made |= version;
            At::Complete
        }
        At::Complete => match world.change(config, Transition::Complete, Some(event), 0) {
            Ok(row) => {
                row.named |= key(Kind::Storyboard, event, content);
                row.is_incomplete = false;
                At::Idle
            }
            Err(_) => At::Examine,
        },
        At::DeleteMade => {
            world.made = 0;
            At::DeleteObject
        }
        At::DeleteObject => {
            world.object = 0;
            At::Idle
        }
        At::Idle => At::Idle,
    })
}
