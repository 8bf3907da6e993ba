//! Videos that their users want to be deleted at a time (`expiresAt`).
//!
//! The tombstone is written only if the time has come and is still the one in the row, so a video is never deleted early,
//! also when its user changes the time now. From then on it is a deletion like every other: if this function dies, the row
//! is due.

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use upreel_core::video::Record;
use upreel_core::{Fault, VideoId};
use upreel_function::App;

/// The most videos of one shard in a sweep; the rest follows in the next one.
const MAX_VIDEOS: usize = 200;
/// The most queries at the same time.
const PARALLEL: usize = 8;

/// Deletes the videos whose time has come.
///
/// # Errors
/// Returns the first fault. The other videos are deleted all the same.
pub(crate) async fn delete_expired(app: &App, deadline: Instant) -> Result<(), Fault> {
    let shards = stream::iter(Record::shards())
        .map(|shard| async move { app.videos.list_expired(&shard, MAX_VIDEOS).await })
        .buffered(PARALLEL);
    let shards: Vec<_> = shards.collect().await;
    let mut first_fault = None;
    for listed in shards {
        let ids = listed.unwrap_or_else(|fault| {
            first_fault.get_or_insert(fault);
            Vec::new()
        });
        for id in ids {
            if Instant::now() >= deadline {
                break;
            }
            if let Err(fault) = delete(app, id).await {
                tracing::warn!(videoId = %id, %fault, "video could not be deleted");
                first_fault.get_or_insert(fault);
            }
        }
    }
    first_fault.map_or(Ok(()), Err)
}

async fn delete(app: &App, id: VideoId) -> Result<(), Fault> {
    // None: the time was changed, or the index is updated later than the table.
    let Some(record) = app.videos.expire(id).await? else { return Ok(()) };
    tracing::info!(videoId = %id, "deleted, its time has come");
    if let Err(fault) = app.delete_objects(&record).await {
        tracing::warn!(videoId = %id, %fault, "deleted, objects will be removed later");
    }
    Ok(())
}
