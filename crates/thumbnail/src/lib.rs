//! The `thumbnail` function: handles S3 events for uploaded objects, and the verdicts of checks. It makes the previews,
//! records the media info and updates the status.
//!
//! A failure of the video is recorded (status FAILED, with a code) and the event is acknowledged, because a retry would
//! fail again. A fault on our or AWS's side is returned as an error: Lambda retries twice, then the event goes to the
//! dead-letter queue, and to the `reconcile` function, which records that it was given up. Every step is idempotent, so
//! no event needs a lock:
//!
//! | step | a repetition finds |
//! |---|---|
//! | with checks: hold the row for the event | it is held already. |
//! | record the result of a check | the same result. If the row waits for it, the event is claimed. |
//! | claim the event | the row is unfinished: claimed again. It is finished: nothing to do. |
//! | count the size for the user's quota | the row counts it. |
//! | store what the playback needs, and record it | the same objects and values, or a row that is finished. |
//! | store the captions of the file | the same objects: their keys contain event and entity tag. |
//! | store the previews | objects with the same content: their keys contain event and entity tag. |
//! | record the result | the row has it. |
//!
//! IAM: `dynamodb:UpdateItem`, `GetItem` and `PutItem`; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`; `s3:PutObject` and `s3:DeleteObject` on `thumbnails/*`, `storyboards/*` and `playback/*`;
//! `s3:DeleteObject` on `segments/*`, `hls/*` and `work/*`, for deleted videos; `s3:ListBucket` on all three buckets,
//! without which a missing object is a 403; `states:StartExecution`, if transcoding is enabled; and
//! `s3:GetObjectTagging` on `videos/*`, if uploads are checked.

mod captions;
mod check;
mod clean_up;
mod failure;
mod job;
pub mod playback;
mod previews;
mod runs;

use serde_json::Value;
use tokio::time::Instant;
use upreel_core::quota::Limits;
use upreel_core::transcode::Run;
use upreel_core::{Fault, Key, UserId};
use upreel_events::Event;
use upreel_events::s3::Created;
use upreel_function::App;
use upreel_store::objects::Head;
use upreel_store::videos::Claim;

use crate::job::Job;
pub use crate::previews::{MakePreviews, Previews, Storyboarding, make_previews};

/// Handles one S3 event, which may name several objects. ffmpeg is killed at `deadline`. Returns the runs whose
/// transcoding can start.
///
/// # Errors
/// Returns a fault if processing any object failed on our or AWS's side; the event should be retried. The other objects
/// of the event are processed all the same.
pub async fn handle(app: &App, event: &Value, deadline: Instant) -> Result<Vec<Run>, Fault> {
    handle_with(app, event, deadline, make_previews).await
}

/// Handles an event as [`handle`] does, with another function that makes the previews. The simulation uses it, because
/// ffmpeg does not run in simulated time.
///
/// # Errors
/// As [`handle`].
pub async fn handle_with(
    app: &App,
    event: &Value,
    deadline: Instant,
    make: MakePreviews,
) -> Result<Vec<Run>, Fault> {
    let mut outcome = Ok(Vec::new());
    for event in upreel_events::parse(event)? {
        let (key, processed) = match event {
            Event::Created(created) => {
                let key = created.key.clone();
                (key, process(app, created, deadline, make).await)
            }
            Event::Checked(checked) => {
                let processed = match check::record(app, &checked).await {
                    Ok(Some(created)) => process(app, created, deadline, make).await,
                    Ok(None) => Ok(None),
                    Err(fault) => Err(fault),
                };
                (checked.key, processed)
            }
        };
        match processed {
            Ok(processed) => {
                if let Ok(runs) = &mut outcome {
                    runs.extend(processed);
                }
            }
            Err(fault) => {
                tracing::error!(key, %fault, "attempt failed");
                outcome = Err(fault);
            }
        }
    }
    outcome
}

async fn process(
    app: &App,
    created: Created,
    deadline: Instant,
    make: MakePreviews,
) -> Result<Option<Run>, Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else {
        tracing::warn!(key = created.key, "object is not an upload, ignoring it");
        return Ok(None);
    };
    let Key::Video { ref user, id, .. } = key else { return Ok(None) };
    let (claim, created) = if app.config.checks.any() {
        check::claim_checked(app, &key, user, created).await?
    } else {
        (claim(app, &key, user, &created).await?, created)
    };
    let sequencer = &created.sequencer;
    let mut job =
        Job { app, key: &key, id, sequencer, deadline, make, is_examined: false, limits: Limits::default() };
    match claim {
        Claim::Granted(record) => {
            job.is_examined = !record.superseded().is_empty();
            job.limits = app.limits(user).await?.unwrap_or_default();
            if app.settle(&record).await? {
                let head = Head { size: created.size, etag: created.etag.clone(), content_type: None };
                return job.fail(&head, &failure::over_quota()).await.map(|()| None);
            }
        }
        Claim::Held(_) => {
            tracing::info!(videoId = %id, "not passed the checks, nothing to do");
            return Ok(None);
        }
        Claim::Stale(record) if record.incomplete && record.sequencer.as_ref() == Some(sequencer) => {
            return job.complete(&record).await.map(|()| None);
        }
        Claim::Stale(_) => {
            tracing::info!(videoId = %id, "event already handled or superseded, nothing to do");
            return job.pending_run().await;
        }
        // Either the object was uploaded again with a URL signed before the video was deleted, or the video was
        // deleted between two attempts, the first of which had stored previews.
        Claim::Deleted => return job.clean_up().await.map(|()| None),
        Claim::Missing => {
            tracing::info!(videoId = %id, "record and object are missing, nothing to do");
            return Ok(None);
        }
    }
    let head = Head { size: created.size, etag: created.etag.clone(), content_type: None };
    match job.run(head).await? {
        None => job.pending_run().await,
        Some(replacement) => Box::pin(process(app, replacement, deadline, make)).await,
    }
}

/// Claims the record for this event. If the record is missing (expired or lost) but the object exists, recreates it.
async fn claim(app: &App, key: &Key, user: &UserId, created: &Created) -> Result<Claim, Fault> {
    let object = (created.size, created.etag.as_str());
    let claim = app.videos.claim(key, user, &created.sequencer, object).await?;
    if !matches!(claim, Claim::Missing) || !app.recreate_row(key, user).await? {
        return Ok(claim);
    }
    app.videos.claim(key, user, &created.sequencer, object).await
}
