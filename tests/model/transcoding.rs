//! Transcoding: the calls of `crates/transcode`, with one chunk.

use upreel_core::Status;

use crate::faults::Fault;
use crate::keys::{Event, Kind, key, renditions};
use crate::steps::{Actor, Steps};
use crate::world::{Config, Execution, Row, Transcode, World};

/// The next call of an execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    #[default]
    Idle,
    Plan,
    Head,
    Start,
    IsWanted,
    Read,
    Write,
    Finish,
    Fail,
    /// The result was refused: read the row to find out why.
    Examine,
    Discard,
}

impl At {
    /// Whether a task has seen that it is wanted, and may still write.
    pub(crate) const fn is_writing(self) -> bool {
        !matches!(self, Self::Idle | Self::Plan | Self::Head | Self::Start | Self::IsWanted)
    }
}

/// The name of an execution, which contains the run and how often it was started again, as one bit of a set.
pub(crate) const fn name(run: Event, restarts: u8) -> u64 {
    assert!(restarts <= 3);
    1 << (4 * run + restarts)
}

/// Whether an execution of a run is running.
pub(crate) fn is_running(world: &World, run: Event) -> bool {
    world.executions.iter().any(|execution| execution.run == run && execution.at != At::Idle)
}

/// Starts an execution, unless its name is in use.
pub(crate) fn start(world: &mut World, run: Event, restarts: u8) {
    if world.execution_names & name(run, restarts) == 0 {
        world.execution_names |= name(run, restarts);
        let slot = world.executions.iter_mut().find(|execution| execution.at == At::Idle);
        let slot = slot.unwrap_or_else(|| panic!("the model needs space for more executions"));
        *slot = Execution { at: At::Plan, run, content: 0 };
    }
}

pub(crate) fn steps(steps: &mut Steps<'_>) {
    for (index, execution) in steps.before.executions.iter().enumerate() {
        if execution.at != At::Idle {
            let config = *steps.config;
            steps.call(Actor::Execution(index), describe(execution.at), |world| {
                let mut execution = *execution;
                execution.at = next(world, &config, &mut execution);
                world.executions[index] =
                    if execution.at == At::Idle { Execution::default() } else { execution };
            });
        }
    }
}

const fn describe(at: At) -> (&'static str, bool) {
    match at {
        At::Idle => ("nothing", false),
        At::Plan | At::IsWanted => ("get the row, is the run wanted?", false),
        At::Head => ("head the object", false),
        At::Start => ("record that transcoding has started", true),
        At::Read => ("read the object", false),
        At::Write => ("write the renditions", true),
        At::Finish => ("record DONE", true),
        At::Fail => ("record that the video cannot be transcoded", true),
        At::Examine => ("get the row, as the result was refused", false),
        At::Discard => ("delete the renditions of the run", true),
    }
}

/// Returns the row if it waits for the renditions of a run.
fn waiting(world: &mut World, run: Event) -> Option<&mut Row> {
    let row = world.row.as_mut();
    row.filter(|row| row.is(Status::Processed, run) && row.transcode == Transcode::Running)
}

fn next(world: &mut World, config: &Config, execution: &mut Execution) -> At {
    let Execution { run, content, .. } = *execution;
    match execution.at {
        At::Plan => match waiting(world, run) {
            Some(row) => {
                execution.content = row.content;
                At::Head
            }
            None => At::Idle,
        },
        At::Head if config.fault == Some(Fault::PlanAnyContent) && world.object != 0 => {
            execution.content = world.object;
            At::Start
        }
        At::Head => {
            if world.object == content {
                At::Start
            } else {
                At::Fail
            }
        }
        At::Start => match waiting(world, run) {
            Some(row) => {
                row.is_due = true;
                world.reconciler.is_current = false;
                At::IsWanted
            }
            None => At::Examine,
        },
        At::IsWanted => {
            let is_wanted = waiting(world, run).is_some() || config.fault == Some(Fault::EncodeWithoutAsking);
            if is_wanted { At::Read } else { At::Idle }
        }
        At::Read => {
            if world.object == content {
                At::Write
            } else {
                At::Fail
            }
        }
        At::Write => {
            world.made |= key(Kind::Renditions, run, content);
            At::Finish
        }
        At::Finish => match waiting(world, run) {
            Some(row) => {
                row.transcode = Transcode::Done;
                row.named |= key(Kind::Renditions, run, content);
                At::Idle
            }
            None => At::Examine,
        },
        At::Fail => match waiting(world, run) {
            Some(row) => {
                row.transcode = Transcode::Failed;
                At::Idle
            }
            None => At::Examine,
        },
        At::Examine => {
            let is_deleted = world.row.as_ref().is_none_or(|row| row.state.status == Status::Deleted);
            if is_deleted || config.fault == Some(Fault::DiscardDone) { At::Discard } else { At::Idle }
        }
        At::Discard => {
            world.made &= !renditions(run);
            At::Idle
        }
        At::Idle => At::Idle,
    }
}
