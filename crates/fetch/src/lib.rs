//! The `fetch` function: copies a video from a URL into the bucket of the uploads, by parts. The S3 event of the object then
//! starts everything else, as for any other upload.
//!
//! `POST /videos` has created the row (`PENDING`) and invokes this function asynchronously. Lambda repeats an invocation twice
//! that ends with a fault, is killed, or runs into its timeout. Each attempt continues the multipart upload of the one before:
//!
//! | step | a repetition finds |
//! |---|---|
//! | create the multipart upload | If it is not in the row, another one is created; the bucket's lifecycle rule removes the first. |
//! | record it in the row | The row has it: `ListParts` says what is stored, and the rest is requested with `Range` and `If-Range`. |
//! | record how much is stored | It is recorded again. |
//! | store a part | It is replaced, with the same bytes: they belong to the entity tag of the source in the row. |
//! | complete the upload | There is no such upload, but the object: done. |
//! | record a failure | The row has left `PENDING`: done. |
//!
//! A source that has changed meanwhile, or has no strong entity tag, is copied from the start, to another upload. Two attempts at
//! the same time write the same parts, or the later one has replaced the upload in the row, which ends the earlier one. A
//! deletion is found before each part, and by the S3 event of an object that was completed nevertheless.
//!
//! A failure of the source is recorded (status FAILED, with a code), and there is no further attempt. After the last attempt
//! that ended with a fault, `reconcile` records `FETCH_FAILED`. The URL is in the event only: not in the table, and not in logs.
//!
//! IAM: `s3:PutObject` (also to create, to send and to complete), `s3:GetObject` (to recognise a completed upload),
//! `s3:AbortMultipartUpload` and `s3:ListMultipartUploadParts` on `videos/*` of the uploads bucket; `s3:ListBucket` on that
//! bucket, without which a missing object is a 403; `dynamodb:GetItem` and `UpdateItem`. For Lambda: `lambda:InvokeFunction` on
//! the `reconcile` function, the destination of failed events.

mod client;
mod copy;
mod source;

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use upreel_core::{Failure, Fault, Fetch, Key};
use upreel_function::App;

pub use client::{Client, Limits};

use crate::copy::Copy;

/// Copies the source of one event.
///
/// # Errors
/// Returns a fault if S3 or `DynamoDB` failed, or the time was over; the event should be retried.
pub async fn handle(app: &App, client: &Client, event: Value, deadline: Instant) -> Result<(), Fault> {
    // The error would quote the event.
    let fetch: Fetch =
        serde_json::from_value(event).map_err(|_| Fault::message("read the event", "unknown event"))?;
    let Ok(key @ Key::Video { .. }) = fetch.key.parse() else {
        return Err(Fault::message("read the event", "the key is not that of an upload"));
    };
    let end = UNIX_EPOCH + Duration::from_secs(fetch.until);
    let left = end.duration_since(app.videos.now()).unwrap_or_default();
    let end = Instant::now() + left;
    let copied = timeout_at(deadline.min(end), Copy::new(app, client, &key, fetch.url).run()).await;
    let failure = match copied {
        Ok(Ok(failure)) => failure,
        Ok(Err(fault)) => {
            tracing::error!(%key, %fault, "attempt failed");
            return Err(fault);
        }
        Err(_) if end <= Instant::now() => Some(Failure::new(
            Failure::SOURCE_TIMEOUT,
            "The source is too slow: the file was not copied in time.",
        )),
        Err(_) => return Err(Fault::message("copy the source", "the time of this attempt is over")),
    };
    match failure {
        Some(failure) => {
            tracing::warn!(%key, code = failure.code, "the source cannot be copied");
            copy::abandon(app, &key, &failure).await
        }
        None => Ok(()),
    }
}
