//! The status machine: which transitions are allowed, and what they change. This is the only definition.
//!
//! The store builds the conditions of its `DynamoDB` requests from [`Transition::rule`], the store's tests compare them
//! with [`Transition::check`] for every state, and the model (`tests/model`) explores the same functions with
//! every order of events, retries, lost responses and kills.
//!
//! | transition | from | event | to |
//! |---|---|---|---|
//! | `Upload` | `PENDING` | | `UPLOADED` |
//! | `Hold` | all but `DELETED` | newer | `UPLOADED`, until a check has a verdict |
//! | `Abandon` | `PENDING` | | `FAILED` |
//! | `Claim` | all but `DELETED` | newer, or the row's own and unfinished | `PROCESSING` |
//! | `Play` | `PROCESSING` | the row's own | `PROCESSING`, with the playback |
//! | `Refuse` | `UPLOADED`, `PROCESSING`, `FAILED` | the row's own, unfinished | `FAILED`, by a check |
//! | `Process` | `PROCESSING`, `FAILED` | the row's own, unfinished | `PROCESSED` |
//! | `Fail` | `PROCESSING`, `FAILED` | the row's own, unfinished | `FAILED` |
//! | `GiveUp` | all but `DELETED` | newer, or the row's own and unfinished | `FAILED`, code `INTERNAL` |
//! | `Lose` | `UPLOADED` | | `FAILED`, code `LOST` |
//! | `Complete` | `PROCESSED` | the row's own | `PROCESSED`, with what was left out |
//! | `Delete` | all | | `DELETED` |
//!
//! An event is unfinished while the row is `PROCESSING`, or `UPLOADED` and held for it, or `FAILED` with a code after which the
//! event can be processed again (see [`Failure::REPEATABLE`](crate::Failure::REPEATABLE)): the work ended because of a
//! fault, or a check refused the object, whose verdict may change.

use crate::limits::Wait;
use crate::video::Status;

/// The attributes of a row that decide whether a transition is allowed. `S` is the type of the sequencers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State<S> {
    /// The status.
    pub status: Status,
    /// The event that the row belongs to: the newest one that was held, claimed or given up.
    pub sequencer: Option<S>,
    /// Whether the failure is one after which the same event can be processed again.
    pub is_repeatable: bool,
}

impl<S> State<S> {
    /// Returns the state of a new row.
    #[must_use]
    pub const fn pending() -> Self {
        Self { status: Status::Pending, sequencer: None, is_repeatable: false }
    }

    /// Returns whether the work for the row's event has not ended yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.status {
            Status::Processing => true,
            Status::Uploaded => self.sequencer.is_some(),
            Status::Failed => self.is_repeatable,
            _ => false,
        }
    }
}

/// A transition of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The object was stored through the API.
    Upload,
    /// The object of an event waits for the verdict of a check.
    Hold,
    /// A check refuses the object, or has no verdict in time.
    Refuse,
    /// The source of the video cannot be fetched.
    Abandon,
    /// A worker takes on an event.
    Claim,
    /// The video can be played before its previews are made.
    Play,
    /// The video is processed.
    Process,
    /// The video cannot be processed.
    Fail,
    /// No attempt to process the event succeeded, and there will be no further one.
    GiveUp,
    /// The object is missing, although it was stored.
    Lose,
    /// What was left out because of a fault is made: the storyboard or the playback.
    Complete,
    /// The owner deletes the video.
    Delete,
}

/// The rule of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The statuses from which the transition is allowed.
    pub from: &'static [Status],
    /// The event that may cause it.
    pub event: EventRule,
    /// The new status.
    pub to: Status,
}

/// Which event may cause a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventRule {
    /// The transition has no event.
    None,
    /// An event that is newer than the row's. The row then belongs to it.
    Newer,
    /// An event that is newer than the row's, or the row's own while it is unfinished. The row then belongs to it.
    NewerOrUnfinished,
    /// The row's own event, while it is unfinished.
    Unfinished,
    /// The row's own event.
    Own,
}

/// The reason why a transition is not allowed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no row.
    Missing,
    /// The video was deleted.
    Deleted,
    /// The row belongs to a newer event, or the work for this event is done.
    Superseded,
}

impl Transition {
    /// Every transition.
    pub const ALL: [Self; 12] = [
        Self::Upload,
        Self::Hold,
        Self::Refuse,
        Self::Abandon,
        Self::Claim,
        Self::Play,
        Self::Process,
        Self::Fail,
        Self::GiveUp,
        Self::Lose,
        Self::Complete,
        Self::Delete,
    ];

    /// Returns the rule.
    #[must_use]
    pub const fn rule(self) -> Rule {
        use Status::{Deleted, Failed, Pending, Processed, Processing, Uploaded};
        const LIVE: &[Status] = &[Pending, Uploaded, Processing, Processed, Failed];
        let (from, event, to): (&[Status], _, _) = match self {
            Self::Upload => (&[Pending], EventRule::None, Uploaded),
            Self::Hold => (LIVE, EventRule::Newer, Uploaded),
            Self::Refuse => (&[Uploaded, Processing, Failed], EventRule::Unfinished, Failed),
            Self::Abandon => (&[Pending], EventRule::None, Failed),
            Self::Claim => (LIVE, EventRule::NewerOrUnfinished, Processing),
            Self::Play => (&[Processing], EventRule::Own, Processing),
            Self::Process => (&[Processing, Failed], EventRule::Unfinished, Processed),
            Self::Fail => (&[Processing, Failed], EventRule::Unfinished, Failed),
            Self::GiveUp => (LIVE, EventRule::NewerOrUnfinished, Failed),
            Self::Lose => (&[Uploaded], EventRule::None, Failed),
            Self::Complete => (&[Processed], EventRule::Own, Processed),
            Self::Delete => (&Status::ALL, EventRule::None, Deleted),
        };
        Rule { from, event, to }
    }

    /// Checks whether the transition is allowed for a row, caused by `event` if its rule demands one.
    ///
    /// # Errors
    /// The reason why it is not allowed.
    pub fn check<S: Ord>(self, row: Option<&State<S>>, event: Option<&S>) -> Result<(), Refusal> {
        let row = row.ok_or(Refusal::Missing)?;
        let Rule { from, event: rule, .. } = self.rule();
        let is_own = event.is_some() && row.sequencer.as_ref() == event;
        let is_newer = event.is_some() && row.sequencer.as_ref() < event;
        let is_caused = match rule {
            EventRule::None => true,
            EventRule::Newer => is_newer,
            EventRule::NewerOrUnfinished => is_newer || (is_own && row.is_unfinished()),
            EventRule::Unfinished => is_own && row.is_unfinished(),
            EventRule::Own => is_own,
        };
        if from.contains(&row.status) && is_caused {
            Ok(())
        } else if row.status == Status::Deleted {
            Err(Refusal::Deleted)
        } else {
            Err(Refusal::Superseded)
        }
    }

    /// Changes the state of a row for which [`Transition::check`] has succeeded.
    pub fn apply<S: Clone>(self, row: &mut State<S>, event: Option<&S>) {
        let rule = self.rule();
        row.status = rule.to;
        row.is_repeatable = matches!(self, Self::GiveUp | Self::Refuse);
        if matches!(rule.event, EventRule::Newer | EventRule::NewerOrUnfinished) {
            row.sequencer = event.cloned();
        }
    }

    /// Returns what the row waits for after the transition, if nothing else needs attention: how long it may stay in the
    /// new state before the reconciler examines it. `None` for a state that needs no attention.
    #[must_use]
    pub const fn wait(self) -> Option<Wait> {
        match self {
            Self::Upload => Some(Wait::Event),
            Self::Claim | Self::Play => Some(Wait::Result),
            Self::GiveUp | Self::Hold => Some(Wait::Replay(0)),
            // The sweep makes it count right, whoever was interrupted after the transition.
            Self::Abandon => Some(Wait::CleanUp),
            Self::Delete => Some(Wait::Deletion),
            Self::Process | Self::Fail | Self::Refuse | Self::Lose | Self::Complete => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state with sequencers up to 2.
    fn states() -> impl Iterator<Item = State<u8>> {
        Status::ALL.into_iter().flat_map(|status| {
            [None, Some(1), Some(2)].into_iter().flat_map(move |sequencer| {
                [false, true].map(|is_repeatable| State { status, sequencer, is_repeatable })
            })
        })
    }

    #[test]
    fn deleted_is_terminal() {
        for transition in Transition::ALL {
            let row = State { status: Status::Deleted, sequencer: Some(1), is_repeatable: true };
            let expected = if transition == Transition::Delete { Ok(()) } else { Err(Refusal::Deleted) };
            assert_eq!(transition.check(Some(&row), Some(&2)), expected, "{transition:?}");
        }
    }

    #[test]
    fn every_status_is_reachable_and_deletable() {
        for status in Status::ALL {
            let is_target = Transition::ALL.iter().any(|transition| transition.rule().to == status);
            assert!(status == Status::Pending || is_target, "{status:?}");
            assert!(Transition::Delete.rule().from.contains(&status));
        }
    }

    #[test]
    fn sequencer_never_decreases() {
        for (row, transition) in states().flat_map(|row| Transition::ALL.map(|it| (row.clone(), it))) {
            for event in [1, 2] {
                let mut next = row.clone();
                if transition.check(Some(&row), Some(&event)).is_ok() {
                    transition.apply(&mut next, Some(&event));
                }
                assert!(next.sequencer >= row.sequencer, "{row:?} {transition:?} {event}");
            }
        }
    }

    #[test]
    fn repetition_never_changes_the_result() {
        for (row, transition) in states().flat_map(|row| Transition::ALL.map(|it| (row.clone(), it))) {
            let mut once = row.clone();
            if transition.check(Some(&row), Some(&2)).is_err() {
                continue;
            }
            transition.apply(&mut once, Some(&2));
            let mut twice = once.clone();
            if transition.check(Some(&once), Some(&2)).is_ok() {
                transition.apply(&mut twice, Some(&2));
            }
            assert_eq!(once, twice, "{row:?} {transition:?}");
        }
    }

    #[test]
    fn finished_event_is_not_processed_again() {
        for status in [Status::Processed, Status::Failed] {
            let row = State { status, sequencer: Some(1), is_repeatable: false };
            for transition in [Transition::Claim, Transition::GiveUp, Transition::Process, Transition::Fail] {
                assert_eq!(
                    transition.check(Some(&row), Some(&1)),
                    Err(Refusal::Superseded),
                    "{transition:?}"
                );
            }
            assert_eq!(Transition::Claim.check(Some(&row), Some(&2)), Ok(()), "a newer upload");
        }
    }

    #[test]
    fn held_event_is_claimed_after_its_verdict() {
        let row = State { status: Status::Uploaded, sequencer: Some(1), is_repeatable: false };
        assert_eq!(Transition::Claim.check(Some(&row), Some(&1)), Ok(()));
        assert_eq!(Transition::Refuse.check(Some(&row), Some(&1)), Ok(()));
        for transition in [Transition::Process, Transition::Play, Transition::Fail] {
            let refused = Err(Refusal::Superseded);
            assert_eq!(transition.check(Some(&row), Some(&1)), refused, "{transition:?} without a claim");
        }
        assert_eq!(Transition::Hold.check(Some(&row), Some(&1)), Err(Refusal::Superseded), "held already");
        assert_eq!(Transition::Hold.check(Some(&row), Some(&2)), Ok(()), "a newer upload");
        let refused = State { status: Status::Failed, sequencer: Some(1), is_repeatable: true };
        assert_eq!(Transition::Claim.check(Some(&refused), Some(&1)), Ok(()), "another verdict");
        let row = State { sequencer: None, ..row };
        assert_eq!(Transition::Refuse.check(Some(&row), Some(&1)), Err(Refusal::Superseded), "not held");
    }

    #[test]
    fn result_of_a_slow_worker_replaces_a_fault() {
        let row = State { status: Status::Failed, sequencer: Some(1), is_repeatable: true };
        assert_eq!(Transition::Process.check(Some(&row), Some(&1)), Ok(()));
        assert_eq!(Transition::Claim.check(Some(&row), Some(&1)), Ok(()), "a replay");
    }
}
