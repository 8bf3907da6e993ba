//! The weekly listing of the buckets, as the reconciler compares it with the row.

use upreel_core::Status;

use crate::faults::Fault;
use crate::keys::{Event, LOWEST, made_by, renditions, successor};
use crate::reconciler::At;
use crate::world::{Config, Reconciler, Row, Transcode, World};

/// Whether the buckets differ from the row, so that a listing changes something.
pub(crate) fn differs(world: &World, config: &Config) -> bool {
    let Some(row) = &world.row else { return world.object != 0 || world.made != 0 };
    let is_deleted = row.state.status == Status::Deleted;
    let skips = config.fault == Some(Fault::ListSkipsTombstones) && is_deleted;
    let differs = is_replaced(config, row, world.object) || (is_deleted && world.object != 0);
    !skips && (differs || world.made & !kept(row) & !newer(row) != 0)
}

/// Compares the buckets, as they were listed, with the row.
pub(crate) fn compare(world: &World, config: &Config, reconciler: &mut Reconciler) -> At {
    let content = reconciler.content;
    let Some(row) = &world.row else {
        reconciler.event = lowest(config);
        return if content == 0 { At::DeleteUnnamed } else { At::Send };
    };
    let is_deleted = row.state.status == Status::Deleted;
    if is_replaced(config, row, content) {
        let event = row.state.sequencer.filter(|_| config.fault != Some(Fault::NoSuccessor));
        reconciler.event = event.map_or(LOWEST, successor);
        return At::Send;
    }
    reconciler.keys &= !kept(row) & !newer(row);
    match (is_deleted && content != 0, reconciler.keys) {
        (true, _) => At::DeleteOriginal,
        (false, 0) => At::Idle,
        (false, _) => At::DeleteUnnamed,
    }
}

/// Whether a listed object is not the one that the row describes.
fn is_replaced(config: &Config, row: &Row, content: u8) -> bool {
    let is_compared =
        config.fault != Some(Fault::CompareProcessedOnly) || row.state.status == Status::Processed;
    row.is_finished() && is_compared && content != 0 && content != row.content
}

/// What the row names or will name.
pub(crate) fn kept(row: &Row) -> u64 {
    if row.state.status == Status::Deleted {
        return 0;
    }
    let event = row.state.sequencer.unwrap_or(LOWEST);
    let may_name = row.state.is_unfinished() || row.is_incomplete;
    let previews = if may_name { made_by(1 << event) & !renditions(event) } else { 0 };
    let run = if row.transcode == Transcode::None { 0 } else { renditions(event) };
    row.named | previews | run
}

/// What was made for an event that the row does not know yet.
fn newer(row: &Row) -> u64 {
    match row.state.sequencer {
        _ if row.state.status == Status::Deleted => 0,
        Some(event) => made_by(u16::MAX) & !made_by((2 << event) - 1),
        None => made_by(u16::MAX),
    }
}

/// The sequencer of an event for a row without one.
pub(crate) fn lowest(config: &Config) -> Event {
    if config.fault == Some(Fault::HighSequencer) { 7 } else { LOWEST }
}
