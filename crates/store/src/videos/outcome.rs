//! Outcomes of conditional writes.

use upreel_core::video::Record;

/// Outcome of claiming an event.
#[derive(Debug)]
pub enum Claim {
    /// The event owns the row.
    Granted(Box<Record>),
    /// The row belongs to the event, whose object has to pass the checks before the event can be claimed.
    Held(Box<Record>),
    /// The row has the outcome of this event, or belongs to a newer event or to another user.
    Stale(Box<Record>),
    /// The video was deleted.
    Deleted,
    /// There is no row.
    Missing,
}

/// Outcome of recording the result of finished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The row has the result.
    Recorded,
    /// A newer event owns the row, the row has a result already, or there is no row.
    Superseded,
    /// The video was deleted in the meantime.
    Deleted,
}
