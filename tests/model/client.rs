//! What happens outside: requests of clients with the handlers that answer them, S3 events, destination records,
//! expiry, and the operator.

use upreel_core::Status;
use upreel_core::transition::Transition;

use crate::faults::Fault;
use crate::keys::{Event, LOWEST, event_of};
use crate::steps::{Actor, Steps};
use crate::worker::At;
use crate::world::{Config, Row, World};

/// The next call of `POST /upload`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Upload {
    #[default]
    Idle,
    Create,
    Put,
    Head,
    Record,
    /// The response is 200.
    Done,
    /// The client has no response.
    Failed,
}

/// The next call of `DELETE`, after the tombstone is written and the video is deleted for its owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Deletion {
    #[default]
    Idle,
    Made,
    Object,
}

pub(crate) fn steps(steps: &mut Steps<'_>) {
    let before = steps.before;
    let left = before.left;
    if left.uploads > 0 && matches!(before.upload, Upload::Idle | Upload::Done | Upload::Failed) {
        put(steps, "PUT with a presigned URL", None);
    }
    upload(steps);
    deletion(steps);
    verdicts(steps);
    let is_creating = before.workers.iter().any(|worker| worker.at == At::ClaimAgain)
        || !matches!(before.upload, Upload::Idle | Upload::Done | Upload::Failed);
    if left.expiries > 0 && !is_creating && before.row.as_ref().is_some_and(|row| row.has_ttl) {
        steps.may("the row expires", |world| {
            world.left.expiries -= 1;
            world.row = None;
        });
    }
    for event in (0..10).filter(|event| before.records & (1 << event) != 0) {
        let config = *steps.config;
        let give_up = move |world: &mut World| {
            world.records &= !(1 << event);
            // The record has the event, and that has the entity tag. Only the reconciler sends the lowest one.
            let content = if event == LOWEST && config.has_checks { world.object } else { event.div_ceil(3) };
            give_up(world, &config, event, content);
        };
        if config.fault != Some(Fault::NoReconciler) {
            steps.call(Actor::Destination(event), ("record that the event was given up", true), give_up);
        }
        if left.losses > 0 {
            steps.may("the destination record is lost", |world| {
                world.left.losses -= 1;
                world.records &= !(1 << event);
            });
        }
        if left.duplicates > 0 {
            steps.may("record that the event was given up, and again later", |world| {
                world.left.duplicates -= 1;
                give_up(world);
                world.records |= 1 << event;
            });
        }
    }
    for event in (0..10).filter(|event| left.replays > 0 && before.dead & (1 << event) != 0) {
        steps.may("the operator replays a dead letter", |world| {
            world.left.replays -= 1;
            world.dead &= !(1 << event);
            // The object may have been replaced since.
            world.invoke(At::Claim, event, 0);
        });
    }
}

/// Records that an event was given up. If no attempt came as far as creating the missing row, creates it.
pub(crate) fn give_up(world: &mut World, config: &Config, event: Event, content: u8) {
    if world.object != 0 {
        world.row.get_or_insert_with(Row::pending);
    }
    let _refused = world.change(config, Transition::GiveUp, Some(event), content);
}

/// Adds the steps of a PUT request: S3 stores the object, and sends an event, or two, or none.
fn put(steps: &mut Steps<'_>, call: &'static str, then: Option<Upload>) {
    let store = |world: &mut World, events: u8| {
        world.uploads += 1;
        world.object = world.uploads;
        world.unchecked |= 1 << world.uploads;
        match then {
            Some(next) => world.upload = next,
            None => world.left.uploads -= 1,
        }
        for _ in 0..events {
            world.invoke(At::Event, event_of(world.uploads), world.uploads);
        }
    };
    if then.is_some() {
        steps.call(Actor::Upload, (call, true), |world| store(world, 1));
    } else {
        steps.may(call, |world| store(world, 1));
    }
    if steps.before.left.losses > 0 {
        steps.may("PUT, whose event is lost", |world| {
            world.left.losses -= 1;
            store(world, 0);
        });
    }
    if steps.before.left.duplicates > 0 {
        steps.may("PUT, whose event is duplicated", |world| {
            world.left.duplicates -= 1;
            store(world, 2);
        });
    }
}

/// Adds the steps of verdicts, which arrive in any order: each is recorded if the object is still there, and the event
/// that waits for it is processed.
fn verdicts(steps: &mut Steps<'_>) {
    let (before, config) = (steps.before, *steps.config);
    // Leaves space for an invocation by the reconciler: a verdict waits for one to end.
    let has_space = before.workers.iter().filter(|worker| worker.at == At::Idle).count() > 1;
    for content in (1..3).filter(|content| config.has_checks && before.unchecked & (1 << content) != 0) {
        steps.is_active = true;
        if !has_space {
            continue;
        }
        steps.may("the verdict on an upload arrives", |world| {
            world.unchecked &= !(1 << content);
            let is_present = world.object == content || config.fault == Some(Fault::VerdictOfAnyContent);
            let Some(row) =
                world.row.as_mut().filter(|row| is_present && row.state.status != Status::Deleted)
            else {
                return;
            };
            let is_waiting = row.content == content && row.state.is_unfinished();
            if is_waiting || config.fault != Some(Fault::VerdictWithoutRow) {
                row.checked = content;
            }
            if config.fault == Some(Fault::VerdictOfAnyContent) {
                row.checked = world.object;
            }
            if let Some(event) = row.state.sequencer.filter(|_| is_waiting) {
                world.invoke(At::Claim, event, content);
            }
        });
    }
}

fn upload(steps: &mut Steps<'_>) {
    let (before, config) = (steps.before, *steps.config);
    match before.upload {
        Upload::Idle | Upload::Done | Upload::Failed => {}
        Upload::Create => steps.call(Actor::Upload, ("create the row", true), |world| {
            world.row.get_or_insert_with(Row::pending);
            world.upload = Upload::Put;
        }),
        Upload::Put => {
            if before.object == 0 {
                put(steps, "PUT if there is no object", Some(Upload::Record));
            } else {
                steps.call(Actor::Upload, ("PUT if there is no object, answered 412", false), |world| {
                    world.upload = Upload::Head;
                });
            }
            if before.left.conflicts > 0 {
                steps.call(Actor::Upload, ("PUT if there is no object, answered 409", false), |world| {
                    world.left.conflicts -= 1;
                    if config.fault == Some(Fault::TakeConflictForStored) {
                        world.upload = Upload::Record;
                    }
                });
            }
        }
        Upload::Head => steps.call(Actor::Upload, ("head the object", false), |world| {
            world.upload = if world.object == 0 { Upload::Put } else { Upload::Record };
        }),
        Upload::Record => steps.call(Actor::Upload, ("record UPLOADED", true), |world| {
            let _later = world.change(&config, Transition::Upload, None, 0);
            world.upload = Upload::Done;
        }),
    }
}

fn deletion(steps: &mut Steps<'_>) {
    let (before, config) = (steps.before, *steps.config);
    match before.deletion {
        Deletion::Idle if before.left.deletions > 0 && before.row.is_some() => {
            steps.may("DELETE: write the tombstone", |world| {
                world.left.deletions -= 1;
                if world.change(&config, Transition::Delete, None, 0).is_ok() {
                    (world.is_deleted, world.deletion) = (true, Deletion::Made);
                }
            });
        }
        Deletion::Idle => {}
        Deletion::Made => steps.call(Actor::Deletion, ("delete what was made", true), |world| {
            world.made = 0;
            world.deletion = Deletion::Object;
        }),
        Deletion::Object => steps.call(Actor::Deletion, ("delete the object", true), |world| {
            world.object = 0;
            world.deletion = Deletion::Idle;
        }),
    }
}
