//! The steps from a state of the model to the next ones. Each call to AWS is one step.

use std::fmt;

use crate::keys::Event;
use crate::world::{Config, Execution, Reconciler, Worker, World};
use crate::{client, reconciler, transcoding, worker};

/// Who takes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The client, S3, the operator or time.
    Environment,
    Upload,
    Deletion,
    /// The invocation of the thumbnail function at this index.
    Worker(usize),
    /// The execution at this index.
    Execution(usize),
    Reconciler,
    /// The reconciler, for an event that was given up.
    Destination(Event),
}

impl Actor {
    /// Ends the process before its next call.
    fn kill(self, world: &mut World) {
        match self {
            Self::Environment | Self::Destination(_) => {}
            Self::Upload => world.upload = client::Upload::Failed,
            Self::Deletion => world.deletion = client::Deletion::Idle,
            Self::Worker(index) => worker::end_attempt(world, index),
            Self::Execution(index) => world.executions[index] = Execution::default(),
            Self::Reconciler => world.reconciler = Reconciler::default(),
        }
    }

    /// Makes the process repeat the call that it has made in `before`.
    fn repeat(self, world: &mut World, before: &World) {
        match self {
            Self::Environment => {}
            Self::Upload => world.upload = before.upload,
            Self::Deletion => world.deletion = before.deletion,
            Self::Worker(index) => {
                let worker = before.workers[index];
                let is_first = worker.at == worker::At::Event;
                let at = if is_first { worker::At::Claim } else { worker.at };
                world.workers[index] = Worker { at, ..worker };
            }
            Self::Execution(index) => world.executions[index] = before.executions[index],
            Self::Reconciler => world.reconciler = before.reconciler,
            Self::Destination(event) => world.records |= 1 << event,
        }
    }
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Returned,
    Killed,
    ResponseLost,
}

/// A step, described for traces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    actor: Actor,
    event: Option<Event>,
    call: &'static str,
    end: End,
}

impl Label {
    /// Whether a process takes the step, and not the environment or a worker whose event is late.
    pub(crate) fn is_call_of_process(self) -> bool {
        !matches!(self.actor, Actor::Environment | Actor::Worker(_))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.actor {
            Actor::Environment => "environment",
            Actor::Upload => "upload",
            Actor::Deletion => "deletion",
            Actor::Worker(_) => "worker",
            Actor::Execution(_) => "execution",
            Actor::Reconciler => "reconciler",
            Actor::Destination(_) => "destination",
        };
        write!(f, "{name}")?;
        if let Some(event) = self.event {
            write!(f, " of event {event}")?;
        }
        match self.end {
            End::Returned => write!(f, ": {}", self.call),
            End::Killed => write!(f, " is killed before: {}", self.call),
            End::ResponseLost => write!(f, ": {}, and the response is lost", self.call),
        }
    }
}

/// Collects the steps from a state.
pub(crate) struct Steps<'a> {
    pub(crate) config: &'a Config,
    pub(crate) before: &'a World,
    pub(crate) next: Vec<(Label, World)>,
    /// Whether a process can take a step, or an event is on its way.
    pub(crate) is_active: bool,
}

impl<'a> Steps<'a> {
    /// Returns every step from a state.
    pub(crate) fn new(config: &'a Config, before: &'a World) -> Self {
        let mut steps = Self { config, before, next: Vec::new(), is_active: false };
        client::steps(&mut steps);
        worker::steps(&mut steps);
        transcoding::steps(&mut steps);
        reconciler::steps(&mut steps);
        steps
    }

    /// Adds a step of the environment, which may or may not happen.
    pub(crate) fn may(&mut self, call: &'static str, run: impl FnOnce(&mut World)) {
        let mut after = self.before.clone();
        run(&mut after);
        self.push(Actor::Environment, None, call, End::Returned, after);
    }

    /// Adds the next call of a process, which returns, or is not reached because the process is killed, or (a write) is
    /// executed without a response.
    pub(crate) fn call(
        &mut self,
        actor: Actor,
        (call, is_write): (&'static str, bool),
        run: impl FnOnce(&mut World),
    ) {
        self.is_active = true;
        let before = self.before;
        let event = match actor {
            Actor::Worker(index) => Some(before.workers[index].event),
            Actor::Execution(index) => Some(before.executions[index].run),
            Actor::Destination(event) => Some(event),
            _ => None,
        };
        if before.left.kills > 0 && !matches!(actor, Actor::Destination(_)) {
            let mut killed = before.clone();
            killed.left.kills -= 1;
            actor.kill(&mut killed);
            self.push(actor, event, call, End::Killed, killed);
        }
        let mut after = before.clone();
        run(&mut after);
        if is_write && before.left.responses > 0 {
            let mut lost = after.clone();
            lost.left.responses -= 1;
            actor.repeat(&mut lost, before);
            self.push(actor, event, call, End::ResponseLost, lost);
        }
        self.push(actor, event, call, End::Returned, after);
    }

    fn push(&mut self, actor: Actor, event: Option<Event>, call: &'static str, end: End, mut after: World) {
        // The order of the slots has no meaning.
        after.workers.sort_unstable();
        after.executions.sort_unstable();
        self.next.push((Label { actor, event, call, end }, after));
    }
}
