//! `POST /upload`: stores the video of a multipart form in S3 and the table.
//!
//! The order is the row (`PENDING`), the object, and the row again (`UPLOADED`). A failure in between leaves a row that
//! expires, or one that the object's event completes, but never an object without a row. A repetition with the same
//! `Idempotency-Key` continues with the step that failed.
//!
//! IAM: `s3:PutObject` and `s3:GetObject` (to verify a repeated write, and for the URL in the response) on `videos/*` of
//! the uploads bucket, `s3:ListBucket` in place of the latter if uploads are scanned; `dynamodb:PutItem`, `UpdateItem`, and `GetItem` (for a repeated `Idempotency-Key`).

use std::mem::take;

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use upreel_core::container::unsupported_format;
use upreel_core::limits::MAX_API_BODY;
use upreel_core::{Container, Details, Key, Status, UserId, VideoId, filename};
use upreel_function::App;
use upreel_http::form::{self, File};
use upreel_http::{Caller, Code, Problem, idempotency_key};

/// Returns the routes of this function.
pub fn router(app: App) -> Router {
    // `form::read` has its own limits, with a response that tells the client what to do.
    Router::new().route("/upload", post(upload)).layer(DefaultBodyLimit::disable()).with_state(app)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    success: bool,
    video_id: VideoId,
    status: Status,
    /// Missing if uploads are held until they are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

async fn upload(
    State(app): State<App>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Uploaded>, Problem> {
    let limit = MAX_API_BODY.min(app.config.max_upload_bytes);
    let body =
        body.map_err(|_| Problem::new(Code::MalformedBody, "The body is truncated. Send it again."))?;
    let mut file = form::read(&headers, body, limit)?;
    let details = take(&mut file.given).details(app.videos.now())?;
    let with_audio = app.config.audio;
    let audio = || Container::sniff_audio(&file.bytes).filter(|_| with_audio);
    let container = Container::sniff(&file.bytes).or_else(audio).ok_or_else(|| {
        let format = unsupported_format(&file.bytes);
        Problem::new(Code::UnsupportedMedia, Container::unsupported(format, with_audio))
    })?;
    let plan = match idempotency_key(&headers)? {
        Some(key) => resume(&app, &user, key, &file).await?,
        None => Plan::Store(VideoId::new()),
    };
    let name = filename::sanitize(&file.name);
    let key = |id| Key::Video { user: user.clone(), id, container: Some(container) };
    let id = match plan {
        Plan::Stored(id) => id,
        Plan::Store(id) => {
            store(&app, &user, (id, &details), &key(id), container, file).await?;
            id
        }
    };
    tracing::info!(videoId = %id, userId = %user, "uploaded");
    // The video is not processed yet: a browser saves it instead of showing it.
    let disposition = filename::disposition("attachment", &name);
    let url = if app.config.checks.any() {
        None
    } else {
        Some(app.objects.sign_get_as(&key(id), container.media_type(), &disposition).await?)
    };
    Ok(Json(Uploaded { success: true, video_id: id, status: Status::Uploaded, url }))
}

async fn store(
    app: &App,
    user: &UserId,
    (id, details): (VideoId, &Details),
    key: &Key,
    container: Container,
    file: File,
) -> Result<(), Problem> {
    // Use the media type of the detected format, not the one declared in the form.
    let media_type = container.media_type();
    let name = filename::sanitize(&file.name);
    let size = file.bytes.len() as u64;
    let about = (user.clone(), name, media_type.to_owned());
    app.create_video(key, about, (Some(size), size), details).await??;
    app.objects.put_upload(key, media_type, file.bytes).await?;
    app.videos.mark_uploaded(id).await?;
    Ok(())
}

/// What a request has to do.
enum Plan {
    /// Store the video with this identifier.
    Store(VideoId),
    /// Nothing: an earlier request with the same idempotency key has stored the video.
    Stored(VideoId),
}

/// Reserves the idempotency key, or finds out how far an earlier request with the same key got.
async fn resume(app: &App, user: &UserId, key: &str, file: &File) -> Result<Plan, Problem> {
    let new = VideoId::new();
    let first = app.videos.reserve_idempotency_key(user, key, &file.bytes, new).await?;
    if !first.same_body {
        return Err(Problem::new(
            Code::IdempotencyMismatch,
            "This Idempotency-Key was used with another file. Use a new key for a new file.",
        ));
    }
    if first.id == new {
        return Ok(Plan::Store(new));
    }
    match app.videos.get(first.id).await?.map(|record| record.video.status) {
        // The first request failed or is still running. In both cases, write the same bytes to the same key.
        None | Some(Status::Pending) => Ok(Plan::Store(first.id)),
        Some(Status::Deleted) => Err(Problem::new(
            Code::IdempotencyMismatch,
            "The video of this Idempotency-Key was deleted. Use a new key to upload it again.",
        )),
        Some(_) => Ok(Plan::Stored(first.id)),
    }
}
