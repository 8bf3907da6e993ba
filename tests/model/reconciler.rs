//! The reconciler: the calls of `crates/reconcile`, in their order. Time is not modelled. A due row can be examined at any
//! moment, but not before everything has ended that the limits wait for: the attempts of an event, or writes of a worker.

use upreel_core::Status;
use upreel_core::transition::Transition;

use crate::client;
use crate::faults::Fault;
use crate::keys::{LOWEST, made_by, successor};
use crate::listing::{compare, differs, kept, lowest};
use crate::steps::{Actor, Steps};
use crate::transcoding;
use crate::worker;
use crate::world::{Config, MAX_REPLAYS, Reconciler, Row, Transcode, Worker, World};

/// The next call of the reconciler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum At {
    #[default]
    Idle,
    /// The row waits for an event.
    Head,
    Lose,
    /// The event is sent after the row is postponed.
    Postpone,
    /// As before, and the replay is counted.
    Count,
    Send,
    /// The event is sent to a single attempt, and the reconciler waits for its end.
    Attempt,
    Await,
    GiveUp,
    /// The replays are used up.
    Leave,
    CompleteWithout,
    DeleteEarlier,
    Describe,
    CountRestart,
    StartExecution,
    FailTranscode,
    /// Nothing is left to do for a finished row.
    Settle,
    DeleteMade,
    DeleteObject,
    CountPass,
    /// The buckets are listed: compare them with the row.
    Compare,
    DeleteUnnamed,
    DeleteOriginal,
}

pub(crate) fn steps(steps: &mut Steps<'_>) {
    let (before, config) = (steps.before, *steps.config);
    if config.fault == Some(Fault::NoReconciler) {
        return;
    }
    let reconciler = before.reconciler;
    match reconciler.at {
        At::Idle => {}
        At::Await if before.workers.iter().any(|worker| worker.is_canary) => return,
        at => {
            let call = describe(at);
            if at == At::Count && before.row.as_ref().is_some_and(|row| row.state.status == Status::Failed) {
                steps.call(Actor::Reconciler, ("count the replay, for a canary", true), |world| {
                    advance(world, &config, reconciler);
                    if world.reconciler.at == At::Send {
                        world.reconciler.at = At::Attempt;
                    }
                });
            }
            steps.call(Actor::Reconciler, call, |world| advance(world, &config, reconciler));
            return;
        }
    }
    if let Some(task) = due(before, &config) {
        steps.call(Actor::Reconciler, ("get a due row", false), |world| world.reconciler = task);
    }
    // The listing skips objects that are younger than a day. By then, everything but late events has ended.
    let has_ended = |worker: &Worker| matches!(worker.at, worker::At::Idle | worker::At::Event);
    let is_idle = !steps.next.iter().any(|(label, _)| label.is_call_of_process());
    if config.has_listing && is_idle && before.workers.iter().all(has_ended) && differs(before, &config) {
        let (content, keys) = (before.object, before.made);
        let task = Reconciler { at: At::Compare, content, keys, ..Reconciler::default() };
        steps.call(Actor::Reconciler, ("list the buckets", false), |world| world.reconciler = task);
    }
}

/// Returns the task for the row, if it is due.
fn due(world: &World, config: &Config) -> Option<Reconciler> {
    let row = world.row.as_ref().filter(|row| row.is_due)?;
    let event = row.state.sequencer.unwrap_or(LOWEST);
    let content = row.content;
    let task = |at, count, keys| Some(Reconciler { at, event, content, count, keys, is_current: true });
    let may_replay = row.replays < MAX_REPLAYS;
    match row.state.status {
        // With checks, an attempt goes on with the event of an object that has replaced another one.
        _ if world.is_invoked(event) || (config.has_checks && world.is_invoked(event + 1)) => None,
        // Without an object, nothing changes.
        Status::Pending if world.object == 0 => None,
        Status::Pending => task(At::Head, 0, 0),
        Status::Uploaded if row.state.sequencer.is_some() => match world.object {
            0 => task(At::Head, 1, 0),
            // Another object, whose event is lost.
            object if object != content => Some(Reconciler {
                at: At::Postpone,
                event: successor(event),
                content: object,
                count: 0,
                keys: 0,
                is_current: true,
            }),
            // The verdict comes.
            _ if row.checked != content => None,
            _ => task(if may_replay { At::Count } else { At::GiveUp }, row.replays, 0),
        },
        Status::Uploaded => task(At::Head, 1, 0),
        Status::Processing => task(if may_replay { At::Count } else { At::GiveUp }, row.replays, 0),
        Status::Failed if row.state.is_repeatable => {
            task(if may_replay { At::Count } else { At::Leave }, row.replays, 0)
        }
        Status::Processed if row.is_incomplete => {
            task(if may_replay { At::Count } else { At::CompleteWithout }, row.replays, 0)
        }
        Status::Processed | Status::Failed => {
            let waits = world.is_writing(row.earlier) && config.fault != Some(Fault::CleanAtOnce);
            // While an execution is running, nothing changes.
            if waits || (row.transcode == Transcode::Running && transcoding::is_running(world, event)) {
                return None;
            }
            let keys = if row.earlier == 0 { 0 } else { made_by((2 << event) - 1) & !kept(row) };
            let keys = if config.fault == Some(Fault::KeepEarlier) { 0 } else { keys };
            task(if keys == 0 { after_deletion(row) } else { At::DeleteEarlier }, row.restarts, keys)
        }
        Status::Deleted => {
            // The last pass waits for what had begun before the first one.
            let waits =
                row.clean_passes == 1 && world.is_writing(u16::MAX) && config.fault != Some(Fault::OnePass);
            if waits || config.fault == Some(Fault::NoTombstonePass) {
                return None;
            }
            task(At::DeleteMade, row.clean_passes, 0)
        }
    }
}

const fn after_deletion(row: &Row) -> At {
    if matches!(row.transcode, Transcode::Running) { At::Describe } else { At::Settle }
}

const fn describe(at: At) -> (&'static str, bool) {
    match at {
        At::Idle => ("nothing", false),
        At::Head => ("head the object", false),
        At::Lose => ("record LOST", true),
        At::Postpone => ("postpone the row", true),
        At::Count => ("count the replay", true),
        At::Send => ("send the event", true),
        At::Attempt => ("send the event to a canary", true),
        At::Await => ("get the result of the canary", false),
        At::GiveUp => ("record that the event was given up", true),
        At::Leave => ("leave the row to the operator", true),
        At::CompleteWithout => ("record that there is no storyboard", true),
        At::DeleteEarlier => ("delete what was made for earlier events", true),
        At::Describe => ("describe the execution", false),
        At::CountRestart => ("count the restart", true),
        At::StartExecution => ("start the execution", true),
        At::FailTranscode => ("record that transcoding failed", true),
        At::Settle => ("record that nothing is left to do", true),
        At::DeleteMade => ("delete what was made of the deleted video", true),
        At::DeleteObject => ("delete the object of the deleted video", true),
        At::CountPass => ("count the pass", true),
        At::Compare => ("get the row to compare", false),
        At::DeleteUnnamed => ("delete what the row does not name", true),
        At::DeleteOriginal => ("delete the object of the deleted video, as it was listed", true),
    }
}

fn advance(world: &mut World, config: &Config, mut reconciler: Reconciler) {
    let at = next(world, config, &mut reconciler);
    world.reconciler = match at {
        At::Idle => Reconciler::default(),
        at => Reconciler { at, is_current: world.reconciler.is_current, ..reconciler },
    };
}

/// Changes the row, unless it has become due at another time since it was read.
fn postpone(world: &mut World, is_due: bool, change: impl FnOnce(&mut Row)) -> bool {
    let is_current = world.reconciler.is_current;
    match world.row.as_mut() {
        Some(row) if is_current => {
            row.is_due = is_due;
            change(row);
            true
        }
        _ => false,
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each call")]
fn next(world: &mut World, config: &Config, reconciler: &mut Reconciler) -> At {
    let Reconciler { event, content, count, keys, .. } = *reconciler;
    match reconciler.at {
        At::Head if world.object == 0 => {
            if count == 1 {
                At::Lose
            } else {
                At::Idle
            }
        }
        At::Head => {
            (reconciler.event, reconciler.content) = (lowest(config), world.object);
            At::Postpone
        }
        At::Lose => {
            let _refused = world.change(config, Transition::Lose, None, 0);
            At::Idle
        }
        At::Postpone => {
            if postpone(world, true, |_| ()) {
                At::Send
            } else {
                At::Idle
            }
        }
        At::Count => {
            // A repetition finds its own count.
            let is_done = postpone(world, true, |row| row.replays = count + 1);
            if is_done { At::Send } else { At::Idle }
        }
        At::Send => {
            world.invoke(worker::At::Claim, event, content);
            At::Idle
        }
        At::Attempt => {
            let worker = Worker { at: worker::At::Claim, event, announced: content, ..Worker::default() };
            world.add(Worker { is_canary: true, ..worker });
            At::Await
        }
        At::Await => {
            let is_own = |row: &Row| row.state.sequencer == Some(event) && row.state.is_unfinished();
            if world.row.as_ref().is_some_and(is_own) { At::GiveUp } else { At::Idle }
        }
        At::GiveUp => {
            client::give_up(world, config, event, content);
            At::Idle
        }
        At::Leave => {
            postpone(world, false, |_| ());
            At::Idle
        }
        At::CompleteWithout => {
            if let Ok(row) = world.change(config, Transition::Complete, Some(event), 0) {
                row.is_incomplete = false;
            }
            At::Idle
        }
        At::DeleteEarlier => {
            world.made &= !keys;
            world.row.as_ref().map_or(At::Idle, after_deletion)
        }
        At::Describe if config.fault == Some(Fault::NoRestart) => At::Settle,
        At::Describe if transcoding::is_running(world, event) => At::Idle,
        At::Describe => {
            if count < MAX_REPLAYS {
                At::CountRestart
            } else {
                At::FailTranscode
            }
        }
        At::CountRestart => {
            let is_done = postpone(world, true, |row| row.restarts = count + 1);
            if is_done { At::StartExecution } else { At::Idle }
        }
        At::StartExecution => {
            transcoding::start(world, event, count + 1);
            At::Idle
        }
        At::FailTranscode => {
            if let Some(row) = world.row.as_mut().filter(|row| row.is(Status::Processed, event)) {
                (row.transcode, row.is_due) = (Transcode::Failed, false);
            }
            At::Idle
        }
        At::Settle => {
            postpone(world, false, |row| row.earlier = 0);
            At::Idle
        }
        At::DeleteMade => {
            reconciler.keys = world.made;
            world.made = 0;
            At::DeleteObject
        }
        At::DeleteObject => {
            // A pass that finds nothing is clean.
            reconciler.keys |= u64::from(world.object);
            world.object = 0;
            At::CountPass
        }
        At::CountPass => {
            let passes = if keys == 0 { count + 1 } else { 0 };
            postpone(world, passes < 2, |row| row.clean_passes = passes);
            At::Idle
        }
        At::Compare => compare(world, config, reconciler),
        At::DeleteUnnamed => {
            world.made &= !keys;
            At::Idle
        }
        At::DeleteOriginal => {
            world.object = 0;
            if keys == 0 { At::Idle } else { At::DeleteUnnamed }
        }
        At::Idle => At::Idle,
    }
}
