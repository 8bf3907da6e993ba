//! Faults that are put back into the design, to show that the model finds them.

use upreel_core::Status;
use upreel_core::transition::{Refusal, Transition};

use crate::keys::Event;
use crate::world::Row;

/// A fault of an earlier design, or one that is easy to introduce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The previews of all uploads share their keys, and are written with `If-Match`.
    SharedKeys,
    /// `INTERNAL` is written by the attempt that counts as the third one.
    CountAttempts,
    /// `POST /upload` takes the response 409 for an object that exists.
    TakeConflictForStored,
    /// Tombstones are not visited.
    NoTombstonePass,
    /// The last pass over a tombstone does not wait for workers.
    OnePass,
    /// There is no reconciler.
    NoReconciler,
    /// `GiveUp` is not conditional.
    GiveUpAlways,
    /// `Process` is not allowed for a row that was given up.
    NoLateResult,
    /// `Claim` keeps the expiry.
    ClaimKeepsTtl,
    /// `GiveUp` keeps the expiry.
    GiveUpKeepsTtl,
    /// `Claim` takes older events, too.
    ClaimAnyEvent,
    /// A superseded worker does not delete its previews.
    KeepSuperseded,
    /// A worker whose result was refused deletes its previews without looking whether the row names them.
    DiscardNamed,
    /// What was made for earlier events is not removed.
    KeepEarlier,
    /// What was made for earlier events is removed while their workers are running.
    CleanAtOnce,
    /// A worker whose result was refused deletes what the row does not name, even if it is of the row's version.
    DiscardStoryboard,
    /// A storyboard that was left out because of a fault is not made later.
    ForgetStoryboard,
    /// An execution that was not started, or has died, is not started again.
    NoRestart,
    /// Transcoding plans for the object as it is, not for the one that the row describes.
    PlanAnyContent,
    /// A chunk is encoded without asking whether it is wanted.
    EncodeWithoutAsking,
    /// The event for a row without one does not have the lowest sequencer.
    HighSequencer,
    /// The event for an object that differs from the row is not newer than the row's one.
    NoSuccessor,
    /// The listing skips tombstones.
    ListSkipsTombstones,
    /// An execution whose result was refused deletes its renditions without looking.
    DiscardDone,
    /// An event is claimed although its object was not checked.
    ClaimUnchecked,
    /// A verdict counts for every upload.
    VerdictOfAnyContent,
    /// A verdict is not recorded while the row waits for another event.
    VerdictWithoutRow,
    /// The listing compares the objects of processed videos only.
    CompareProcessedOnly,
}

impl Fault {
    /// Returns the result of checking a transition with a faulty table, or `None` if the fault does not concern it.
    pub(crate) fn check(
        fault: Option<Self>,
        transition: Transition,
        row: Option<&Row>,
        event: Option<Event>,
    ) -> Option<Result<(), Refusal>> {
        let status = row?.state.status;
        match (fault?, transition) {
            (Self::GiveUpAlways, Transition::GiveUp) => Some(Ok(())),
            (Self::NoLateResult, Transition::Process) if status == Status::Failed => {
                Some(Err(Refusal::Superseded))
            }
            (Self::ClaimAnyEvent, Transition::Claim)
                if status != Status::Deleted && row?.state.sequencer != event =>
            {
                Some(Ok(()))
            }
            _ => None,
        }
    }

    /// Whether a transition keeps the expiry of a row.
    pub(crate) fn keeps_ttl(fault: Option<Self>, transition: Transition) -> bool {
        fault == Some(Self::ClaimKeepsTtl) && transition == Transition::Claim
            || fault == Some(Self::GiveUpKeepsTtl) && transition == Transition::GiveUp
            || fault == Some(Self::ClaimKeepsTtl) && transition == Transition::Process
    }
}
