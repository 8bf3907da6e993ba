//! Records that Lambda gave up an event of the thumbnail function, or of the `fetch` function: no attempt succeeded, because
//! of a fault, a timeout, or because the function could not be started or was throttled for hours.
//!
//! The event of the thumbnail function is in the dead-letter queue, too. That of the `fetch` function is not: its URL may be
//! signed, and the user can send it again. A repetition finds the row in the new status and writes it again.

use serde_json::Value;
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Key};
use upreel_events::Event;
use upreel_events::check::Checked;
use upreel_events::s3::Created;
use upreel_function::App;
use upreel_store::videos::UpdateOutcome;

/// Handles the record that Lambda sends to the destination of failed events.
///
/// # Errors
/// Returns a fault if the record cannot be read, or the failure cannot be recorded.
pub async fn handle(app: &App, record: &Value) -> Result<(), Fault> {
    // The event of the `fetch` function. Its URL must not be logged.
    if record["requestPayload"]["url"].is_string() {
        let key = record["requestPayload"]["key"].as_str().and_then(|key| key.parse().ok());
        let Some(key @ Key::Video { .. }) = key else { return Ok(()) };
        tracing::warn!(videoId = %key.video_id(), "fetching was given up");
        return app.abandon(key.video_id(), &Failure::fetch()).await.map(drop);
    }
    for event in upreel_events::parse(record)? {
        let created = match event {
            Event::Created(created) => Some(created),
            Event::Checked(verdict) => checked(app, &verdict).await?,
        };
        if let Some(created) = created {
            give_up(app, &created).await?;
        }
    }
    Ok(())
}

/// Records that the processing of one object was given up.
///
/// # Errors
/// Returns a fault if S3 or `DynamoDB` fails.
pub async fn give_up(app: &App, created: &Created) -> Result<(), Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else { return Ok(()) };
    let Key::Video { ref user, id, .. } = key else { return Ok(()) };
    let record = app.videos.get(id).await?;
    // No attempt came as far as recreating a missing row.
    if record.is_none() && !app.recreate_row(&key, user).await? {
        return Ok(());
    }
    let own = record.filter(|record| record.sequencer.as_ref() == Some(&created.sequencer));
    let replays = own.as_ref().map_or(0, Record::replays);
    let is_refused = own.is_some_and(|record| record.video.error.is_some_and(|error| error.is_of_check()));
    let object = (created.size, created.etag.as_str());
    match app.videos.give_up(&key, user, &created.sequencer, object, (replays, is_refused)).await? {
        UpdateOutcome::Recorded => tracing::warn!(videoId = %id, replays, "processing was given up"),
        UpdateOutcome::Superseded => {}
        // The object was uploaded with a URL that was signed before the video was deleted.
        UpdateOutcome::Deleted => drop(app.objects.delete_video(id, Some(&key)).await?),
    }
    Ok(())
}

/// Returns the event to process after the verdict of a check, see [`Checked::event`].
pub(crate) async fn checked(app: &App, checked: &Checked) -> Result<Option<Created>, Fault> {
    let Ok(key @ Key::Video { .. }) = checked.key.parse::<Key>() else { return Ok(None) };
    let record = app.videos.get(key.video_id()).await?;
    Ok(record.and_then(|record| checked.event(&record)))
}
