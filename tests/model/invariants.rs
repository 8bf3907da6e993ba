//! The invariants.

use upreel_core::Status;

use crate::keys::{made_of, renditions};
use crate::world::{Config, Transcode, World};

/// Returns the invariant that a step violates.
pub(crate) fn check_step(config: &Config, before: &World, after: &World) -> Option<&'static str> {
    let Some(old) = &before.row else { return check_always(config, after) };
    let Some(row) = &after.row else {
        let is_unused = old.state.status == Status::Pending;
        return if is_unused { check_always(config, after) } else { Some("a row that is in use expires") };
    };
    let is_same = old.state.sequencer == row.state.sequencer;
    let rank = |status| match status {
        Status::Pending => 0,
        Status::Uploaded => 1,
        Status::Processing => 2,
        Status::Processed | Status::Failed => 3,
        Status::Deleted => 4,
    };
    let (from, to) = (old.state.status, row.state.status);
    if rank(to) < rank(from) && is_same && !old.state.is_unfinished() {
        return Some("the status of an upload goes back");
    }
    if from != to && is_same && old.is_finished() && to != Status::Deleted {
        return Some("the result of an upload changes");
    }
    if from == Status::Deleted && to != Status::Deleted {
        return Some("a deleted video comes back");
    }
    if row.state.sequencer < old.state.sequencer {
        return Some("the row belongs to an older event than before");
    }
    check_always(config, after)
}

/// Returns the invariant that a state violates.
fn check_always(config: &Config, world: &World) -> Option<&'static str> {
    if world.uploads > 0 && !world.is_deleted && world.object == 0 {
        return Some("an object is lost, although its owner has not deleted it");
    }
    if world.upload == crate::client::Upload::Done && !world.is_deleted && world.object == 0 {
        return Some("POST /upload answers 200, but the object is not stored");
    }
    let row = world.row.as_ref()?;
    let is_shown = matches!(row.state.status, Status::Processing | Status::Processed);
    if config.has_checks && is_shown && world.unchecked & (1 << row.content) != 0 {
        return Some("an upload is processed before its verdict");
    }
    let events = row.state.sequencer.map_or(0, |event| 1 << event);
    let has_failed = (world.dead | world.records) & events != 0 || config.left.replays > 0;
    if row.state.is_repeatable && row.state.status == Status::Failed && !has_failed {
        return Some("INTERNAL, although an attempt is left");
    }
    if row.named & !world.made != 0 && row.state.status != Status::Deleted {
        return Some("the row names an object that does not exist");
    }
    if row.state.status == Status::Processed && row.named & !made_of(row.content) != 0 {
        return Some("the row names an object that was made of another upload");
    }
    None
}

/// Returns the invariant that a state violates in which nothing moves any more.
pub(crate) fn check_at_rest(config: &Config, world: &World) -> Option<&'static str> {
    let Some(row) = &world.row else {
        let is_empty = (world.object, world.made) == (0, 0);
        return (!is_empty).then_some("objects without a row");
    };
    let has_failed = row.transcode == Transcode::Failed;
    let kept = row.state.sequencer.filter(|_| has_failed).map_or(0, renditions);
    let is_named = world.made & !kept == row.named;
    match row.state.status {
        Status::Pending if world.object != 0 => Some("PENDING for ever, although the object is stored"),
        Status::Pending => (world.made != 0).then_some("something was made of a video without an object"),
        Status::Uploaded => Some("UPLOADED for ever"),
        Status::Processing => Some("PROCESSING for ever"),
        Status::Deleted if (world.object, world.made) == (0, 0) => None,
        Status::Deleted => Some("objects of a deleted video remain"),
        Status::Failed if row.state.is_repeatable => {
            let is_dead = row.state.sequencer.is_some_and(|event| world.dead & (1 << event) != 0);
            if !config.always_fails {
                Some("INTERNAL for ever, although the cause is gone")
            } else if is_dead {
                None
            } else {
                Some("INTERNAL, but the event is not in the dead-letter queue")
            }
        }
        Status::Failed if row.content != world.object => Some("FAILED, but the object is another one"),
        Status::Failed if world.object != 0 && world.object != config.bad_content => {
            Some("FAILED, but the object is a video")
        }
        Status::Processed if row.content != world.object => Some("PROCESSED, but the object is another one"),
        Status::Processed if row.transcode == Transcode::Running => Some("transcoding runs for ever"),
        Status::Processed if config.has_transcoding && row.transcode == Transcode::Failed => {
            Some("transcoding failed, although the object is stored")
        }
        Status::Processed if row.named.count_ones() != if config.has_transcoding { 3 } else { 2 } => {
            Some("PROCESSED without a poster, a storyboard or renditions")
        }
        Status::Failed | Status::Processed if is_named => None,
        Status::Failed | Status::Processed => Some("objects that the row does not name"),
    }
}
