//! Checks of an object before anything of it is read.

use upreel_core::check::{Check, CheckResult, Verdict};
use upreel_core::video::Record;
use upreel_core::{Fault, Key, Sequencer, Status, UserId};
use upreel_events::check::Checked;
use upreel_events::s3::Created;
use upreel_function::App;
use upreel_store::objects::Head;
use upreel_store::videos::Claim;

use crate::claim;

/// Claims an event after its object has passed the checks. Until then the row is held for it, and the event of the verdict
/// continues. Both write the row before they look at what the other one has written, so one of them finds both.
///
/// Returns the claimed event too. It is that of another object, if the object was replaced and the event of the new one seems to
/// be lost.
pub(crate) async fn claim_checked(
    app: &App,
    key: &Key,
    user: &UserId,
    created: Created,
) -> Result<(Claim, Created), Fault> {
    let (id, checks) = (key.video_id(), app.config.checks);
    let take =
        async || app.videos.hold(key, user, &created.sequencer, (created.size, created.etag.as_str())).await;
    let mut held = take().await?;
    if matches!(held, Claim::Missing) && app.recreate_row(key, user).await? {
        held = take().await?;
    }
    let Claim::Held(mut row) = held else { return Ok((held, created)) };
    // The object counts whatever the verdict is. If it exceeds a limit, the row says so until the event is claimed: a failure
    // for that reason would open what no check has passed.
    app.settle(&row).await?;
    let seems_lost = row.replays() > 0 || row.video.status == Status::Failed;
    if seems_lost
        && row.verdict(checks, &created.etag) == Verdict::Pending
        && let Some(head) = app.objects.head(key).await?
    {
        if head.etag != created.etag {
            let created = replacement(key, &created.sequencer, head)?;
            return Box::pin(claim_checked(app, key, user, created)).await;
        } else if let Some(checked) = from_tag(app, key, &row, &head.etag).await? {
            row = checked;
        }
    }
    match row.verdict(checks, &created.etag) {
        Verdict::Clean => Ok((claim(app, key, user, &created).await?, created)),
        Verdict::Pending => Ok((Claim::Held(row), created)),
        Verdict::Refused(failure) => {
            tracing::warn!(videoId = %id, code = failure.code, "refused by a check");
            // An event of the reconciler may be for another object than the row. The sweep then sets right what it counts.
            let is_miscounted = !app.config.quotas.is_off() && row.video.size != Some(created.size);
            let is_examined = is_miscounted || !row.superseded().is_empty();
            let result = ((created.size, created.etag.as_str()), &failure);
            app.videos.refuse(id, &created.sequencer, result, is_examined).await?;
            Ok((Claim::Held(row), created))
        }
    }
}

/// Returns an event for an object that has replaced the one of another event. The object's own event outranks it.
pub(crate) fn replacement(key: &Key, replaced: &Sequencer, head: Head) -> Result<Created, Fault> {
    let sequencer = replaced.successor();
    let sequencer = sequencer.ok_or_else(|| Fault::message("read the object", "it keeps changing"))?;
    Ok(Created { key: key.to_string(), size: head.size, etag: head.etag, sequencer })
}

/// Takes the result of the scan from the tag of the object, because its event seems to be lost. A tag does not say which object
/// was scanned, so it counts only if there was no other one.
async fn from_tag(app: &App, key: &Key, row: &Record, etag: &str) -> Result<Option<Box<Record>>, Fault> {
    if !app.config.checks.scan || !row.superseded().is_empty() {
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
