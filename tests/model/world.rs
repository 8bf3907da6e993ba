//! The state of the model: one video, everything that is stored of it, and every process that works on it.

use upreel_core::Status;
use upreel_core::transition::{Refusal, State, Transition};

use crate::client::{Deletion, Upload};
use crate::faults::Fault;
use crate::keys::Event;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transcode {
    None,
    Running,
    Done,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) state: State<Event>,
    pub(crate) has_ttl: bool,
    /// Whether the reconciler is going to examine the row.
    pub(crate) is_due: bool,
    /// The upload that the row describes: the entity tag.
    pub(crate) content: u8,
    /// The upload that a check has found clean last, as the row says.
    pub(crate) checked: u8,
    /// The keys in the row.
    pub(crate) named: u64,
    /// Whether the storyboard has to be made.
    pub(crate) is_incomplete: bool,
    /// The earlier events whose objects may exist, one bit for each.
    pub(crate) earlier: u16,
    pub(crate) replays: u8,
    pub(crate) clean_passes: u8,
    pub(crate) transcode: Transcode,
    pub(crate) restarts: u8,
}

impl Row {
    pub(crate) fn pending() -> Self {
        Self {
            state: State::pending(),
            has_ttl: true,
            is_due: true,
            content: 0,
            checked: 0,
            named: 0,
            is_incomplete: false,
            earlier: 0,
            replays: 0,
            clean_passes: 0,
            transcode: Transcode::None,
            restarts: 0,
        }
    }

    pub(crate) fn is(&self, status: Status, event: Event) -> bool {
        self.state.status == status && self.state.sequencer == Some(event)
    }

    /// Whether the work for the row's event has ended, and will not be repeated.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state.status, Status::Processed | Status::Failed) && !self.state.is_unfinished()
    }
}

/// How often the reconciler replays an event, and starts a transcoding again.
pub(crate) const MAX_REPLAYS: u8 = 3;

/// What may still happen: the bounds of a configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    /// Presigned PUT requests.
    pub(crate) uploads: u8,
    /// DELETE requests.
    pub(crate) deletions: u8,
    /// Expiries of a row.
    pub(crate) expiries: u8,
    /// Duplicates of an event or of a destination record.
    pub(crate) duplicates: u8,
    /// Lost events and destination records.
    pub(crate) losses: u8,
    /// Processes that are killed, or end by a fault.
    pub(crate) kills: u8,
    /// Writes whose response is lost, so that the SDK repeats them.
    pub(crate) responses: u8,
    /// Conditional writes of an object that S3 answers with 409.
    pub(crate) conflicts: u8,
    /// Storyboards that are left out because of a fault.
    pub(crate) storyboards: u8,
    /// Replays from the dead-letter queue by an operator.
    pub(crate) replays: u8,
}

/// One run of the checker.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub(crate) struct Config {
    pub(crate) left: Left,
    /// Whether `POST /upload` makes the first upload. Else the row exists.
    pub(crate) has_api_upload: bool,
    pub(crate) has_transcoding: bool,
    /// Whether uploads are held until they are checked.
    pub(crate) has_checks: bool,
    /// Whether the reconciler lists the buckets. It is not needed as long as no event is lost.
    pub(crate) has_listing: bool,
    /// Whether every attempt to process the video ends by a fault.
    pub(crate) always_fails: bool,
    /// The upload that is no video.
    pub(crate) bad_content: u8,
    /// A fault put back into the design.
    pub(crate) fault: Option<Fault>,
}

/// An asynchronous invocation of the thumbnail function: an event with up to three attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Worker {
    pub(crate) at: crate::worker::At,
    pub(crate) event: Event,
    /// The entity tag in the event.
    pub(crate) announced: u8,
    /// From 1 to 3.
    pub(crate) attempt: u8,
    /// The upload that is read.
    pub(crate) content: u8,
    /// How often the object has changed while it was read.
    pub(crate) changes: u8,
    /// What the attempt has written.
    pub(crate) keys: u64,
    /// Whether objects of an earlier event may exist.
    pub(crate) is_superseding: bool,
    /// Whether the reconciler waits for the attempt, which is the only one.
    pub(crate) is_canary: bool,
}

/// An execution of the transcoding state machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Execution {
    pub(crate) at: crate::transcoding::At,
    pub(crate) run: Event,
    pub(crate) content: u8,
}

/// An invocation of the reconciler, with what it has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reconciler {
    pub(crate) at: crate::reconciler::At,
    pub(crate) event: Event,
    pub(crate) content: u8,
    /// The replays, restarts or passes of the row.
    pub(crate) count: u8,
    /// What is going to be deleted.
    pub(crate) keys: u64,
    /// Whether the time at which the row is due is the one that was read.
    pub(crate) is_current: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) row: Option<Row>,
    /// The upload that is stored, or 0.
    pub(crate) object: u8,
    /// The keys of everything that was made of the video.
    pub(crate) made: u64,
    pub(crate) workers: [Worker; 4],
    pub(crate) executions: [Execution; 3],
    /// The names of all executions, which cannot be used again.
    pub(crate) execution_names: u64,
    pub(crate) reconciler: Reconciler,
    pub(crate) upload: Upload,
    pub(crate) deletion: Deletion,
    /// Events that were given up and whose destination record is on its way, one bit for each.
    pub(crate) records: u16,
    /// Events in the dead-letter queue, one bit for each.
    pub(crate) dead: u16,
    pub(crate) uploads: u8,
    /// The uploads whose verdict has not arrived yet, one bit for each.
    pub(crate) unchecked: u8,
    pub(crate) is_deleted: bool,
    pub(crate) left: Left,
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            row: (!config.has_api_upload).then(Row::pending),
            object: 0,
            made: 0,
            workers: Default::default(),
            executions: Default::default(),
            execution_names: 0,
            reconciler: Reconciler::default(),
            upload: if config.has_api_upload { Upload::Create } else { Upload::Idle },
            deletion: Deletion::Idle,
            records: 0,
            dead: 0,
            uploads: 0,
            unchecked: 0,
            is_deleted: false,
            left: config.left,
        }
    }

    /// Applies a transition to the row, if the table allows it, with what else the store writes. `content` is the object
    /// of the event. Returns the new row.
    pub(crate) fn change(
        &mut self,
        config: &Config,
        transition: Transition,
        event: Option<Event>,
        content: u8,
    ) -> Result<&mut Row, Refusal> {
        let check = transition.check(self.row.as_ref().map(|row| &row.state), event.as_ref());
        Fault::check(config.fault, transition, self.row.as_ref(), event).unwrap_or(check)?;
        let row = self.row.as_mut().ok_or(Refusal::Missing)?;
        let last = row.state.sequencer;
        transition.apply(&mut row.state, event.as_ref());
        let keeps_ttl = Fault::keeps_ttl(config.fault, transition);
        row.has_ttl &= keeps_ttl;
        match transition {
            Transition::Hold | Transition::Claim | Transition::GiveUp => {
                if last != event {
                    row.earlier |= last.map_or(0, |last| 1 << last);
                    row.replays = 0;
                }
                (row.named, row.content, row.is_incomplete) = (0, content, false);
                (row.transcode, row.restarts) = (Transcode::None, 0);
            }
            Transition::Process | Transition::Fail | Transition::Refuse => {
                (row.named, row.is_incomplete, row.replays) = (0, false, 0);
            }
            Transition::Delete => row.clean_passes = 0,
            Transition::Upload
            | Transition::Abandon
            | Transition::Lose
            | Transition::Complete
            | Transition::Play => {}
        }
        if !matches!(transition, Transition::Complete | Transition::Play) {
            let can_replay = transition != Transition::GiveUp || row.replays < MAX_REPLAYS;
            row.is_due = transition.wait().is_some() && can_replay;
            self.reconciler.is_current = false;
        }
        Ok(row)
    }

    /// Adds an invocation of the thumbnail function.
    pub(crate) fn invoke(&mut self, at: crate::worker::At, event: Event, announced: u8) {
        self.add(Worker { at, event, announced, attempt: 1, ..Worker::default() });
    }

    pub(crate) fn add(&mut self, worker: Worker) {
        let slot = self.workers.iter_mut().find(|worker| worker.at == crate::worker::At::Idle);
        *slot.unwrap_or_else(|| panic!("the model needs space for more invocations")) = worker;
    }

    /// Whether Lambda has an invocation for the event that has not ended.
    pub(crate) fn is_invoked(&self, event: Event) -> bool {
        use crate::worker::At::{Event as Sent, Idle};
        self.workers.iter().any(|worker| worker.event == event && !matches!(worker.at, Idle | Sent))
    }

    /// Whether an attempt that has claimed one of the events may still write.
    pub(crate) fn is_writing(&self, events: u16) -> bool {
        let is_among = |event: Event| events & (1 << event) != 0;
        self.workers.iter().any(|worker| worker.at.is_claimed() && is_among(worker.event))
            || self.executions.iter().any(|execution| execution.at.is_writing() && is_among(execution.run))
    }
}
