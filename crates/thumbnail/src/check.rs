//! Checks of an object before anything of it is read.

use upreel_core::check::{Check, CheckResult, Verdict};
use upreel_core::video::Record;
use upreel_core::{Fault, Key, Status, UserId};
use upreel_events::check::Checked;
use upreel_events::s3::Created;
use upreel_function::App;
use upreel_store::videos::Claim;

use crate::claim;

/// Claims an event after its object has passed the checks. Until then the row is held for it, and the event of the verdict
/// continues. Both write the row before they look at what the other one has written, so one of them finds both.
pub(crate) async fn claim_checked(
    app: &App,
    key: &Key,
    user: &UserId,
    created: &Created,
) -> Result<Claim, Fault> {
    let (id, sequencer, etag) = (key.video_id(), &created.sequencer, created.etag.as_str());
    let mut held = app.videos.hold(key, user, sequencer, (created.size, etag)).await?;
    if matches!(held, Claim::Missing) && app.recreate_row(key, user).await? {
        held = app.videos.hold(key, user, sequencer, (created.size, etag)).await?;
    }
    let Claim::Held(mut row) = held else { return Ok(held) };
    if row.verdict(app.config.checks, etag) == Verdict::Pending
        && let Some(checked) = from_tag(app, key, &row, etag).await?
    {
        row = checked;
    }
    match row.verdict(app.config.checks, etag) {
        Verdict::Clean => claim(app, key, user, created).await,
        Verdict::Pending => Ok(Claim::Held(row)),
        Verdict::Refused(failure) => {
            tracing::warn!(videoId = %id, code = failure.code, "refused by a check");
            let is_superseding = !row.superseded().is_empty();
            app.videos.refuse(id, sequencer, (etag, &failure), is_superseding).await?;
            Ok(Claim::Held(row))
        }
    }
}

/// Takes the result of the scan from the tag of the object, if its event seems to be lost. A tag does not say which object was
/// scanned, so it counts only if there was no other one.
async fn from_tag(app: &App, key: &Key, row: &Record, etag: &str) -> Result<Option<Box<Record>>, Fault> {
    let seems_lost = row.replays() > 0 || row.video.status == Status::Failed;
    if !app.config.checks.scan || !seems_lost || !row.superseded().is_empty() {
        return Ok(None);
    }
    let Some(value) = app.objects.scan_tag(key).await? else { return Ok(None) };
    if !is_present(app, key, etag).await? {
        return Ok(None);
    }
    let result = CheckResult { etag: etag.to_owned(), value };
    app.videos.record_result(key.video_id(), Check::Scan, &result).await
}

/// Records the result of a check. Returns the event to process now: the one that waited for it.
pub(crate) async fn record(app: &App, checked: &Checked) -> Result<Option<Created>, Fault> {
    let Ok(key @ Key::Video { .. }) = checked.key.parse::<Key>() else { return Ok(None) };
    let etag = &checked.result.etag;
    // The result of a replaced object must not replace that of the present one.
    if !is_present(app, &key, etag).await? {
        return Ok(None);
    }
    // If the row belongs to another object yet, the event of this one follows, and finds the result.
    let row = app.videos.record_result(key.video_id(), checked.check, &checked.result).await?;
    Ok(row.and_then(|row| checked.event(&row)))
}

async fn is_present(app: &App, key: &Key, etag: &str) -> Result<bool, Fault> {
    Ok(app.objects.head(key).await?.is_some_and(|head| head.etag == etag))
}
