//! `POST /upload`: one video in a multipart form, into S3 and the table.
//!
//! A row first (PENDING), then the object, then the row again (UPLOADED): whatever fails in between
//! leaves a row that expires, or one that the object's event completes. Never an object that nothing
//! knows.
//!
//! IAM: `s3:PutObject` and `s3:GetObject` (for the URL in the answer) on `videos/*` of the uploads
//! bucket; `dynamodb:PutItem`, `UpdateItem`, and `GetItem` (for a repeated `Idempotency-Key`).

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use upreel_core::limits::MAX_API_BODY;
use upreel_core::video::Record;
use upreel_core::{Container, Key, Status, UserId, VideoId, filename};
use upreel_function::App;
use upreel_http::{Caller, Code, Problem};
use upreel_store::objects::WriteCondition;

use upreel_http::form::{self, File};

/// The routes of this function.
pub fn router(app: App) -> Router {
    // The form has limits of its own, with an answer that says what to do.
    Router::new().route("/upload", post(upload)).layer(DefaultBodyLimit::disable()).with_state(app)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    success: bool,
    video_id: VideoId,
    status: Status,
    url: String,
}

async fn upload(
    State(app): State<App>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Uploaded>, Problem> {
    let limit = MAX_API_BODY.min(app.config.max_upload_bytes);
    let body = body.map_err(|_| Problem::new(Code::MalformedBody, "The body was cut off: send it again."))?;
    let file = form::read(&headers, body, limit)?;
    let container = Container::sniff(&file.bytes).ok_or_else(|| {
        Problem::new(
            Code::UnsupportedMedia,
            "These bytes are no video that is supported: MP4, MOV, WebM, MKV, AVI, MPEG-TS, MPEG-PS, FLV, OGG, \
             3GP or WMV.",
        )
    })?;
    let repeated = match idempotency_key(&headers)? {
        Some(key) => repeated(&app, &user, key, &file).await?,
        None => Repeated::No(VideoId::new()),
    };
    let key = |id| Key::Video { user: user.clone(), id, container: Some(container) };
    let id = match repeated {
        Repeated::Done(id) => id,
        Repeated::No(id) => {
            store(&app, &user, id, &key(id), container, file).await?;
            id
        }
    };
    tracing::info!(videoId = %id, userId = %user, "uploaded");
    let url = app.objects.sign_get(&key(id)).await?;
    Ok(Json(Uploaded { success: true, video_id: id, status: Status::Uploaded, url }))
}

async fn store(
    app: &App,
    user: &UserId,
    id: VideoId,
    key: &Key,
    container: Container,
    file: File,
) -> Result<(), Problem> {
    // What the form declared does not count: the bytes decide.
    let media_type = container.media_type();
    let name = filename::sanitize(&file.name);
    let mut record = Record::pending(key, id, user.clone(), name, media_type.to_owned());
    record.video.size = Some(file.bytes.len() as u64);
    app.videos.create(&record).await?;
    // An object that is there already is this one: the answer to an earlier attempt was lost.
    app.objects.put(key, media_type, file.bytes, WriteCondition::Absent).await?;
    app.videos.mark_uploaded(id).await?;
    Ok(())
}

enum Repeated {
    /// The video is to be stored, under this identifier.
    No(VideoId),
    /// An earlier request with the same key has stored it.
    Done(VideoId),
}

async fn repeated(app: &App, user: &UserId, key: &str, file: &File) -> Result<Repeated, Problem> {
    let new = VideoId::new();
    let first = app.videos.reserve_idempotency_key(user, key, &file.bytes, new).await?;
    if !first.same_body {
        return Err(Problem::new(
            Code::IdempotencyMismatch,
            "This Idempotency-Key came with another file before. Use a new key for a new file.",
        ));
    }
    if first.id == new {
        return Ok(Repeated::No(new));
    }
    match app.videos.get(first.id).await?.map(|record| record.video.status) {
        // The first attempt was cut off, or is still under way: either way the same bytes go to the
        // same key.
        None | Some(Status::Pending) => Ok(Repeated::No(first.id)),
        Some(Status::Deleted) => Err(Problem::new(
            Code::IdempotencyMismatch,
            "The video that came with this Idempotency-Key was deleted. Use a new key to upload it again.",
        )),
        Some(_) => Ok(Repeated::Done(first.id)),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Problem::new(Code::InvalidRequest, "An Idempotency-Key has 1 to 255 ASCII characters.")),
    }
}
