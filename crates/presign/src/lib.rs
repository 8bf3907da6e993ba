//! Presigned uploads, which send the video directly to S3 without the limits of the API: `GET /presign` for one PUT
//! request, `POST /presign` for Uppy's `signRequest`, and Companion's S3 routes below `/s3`.
//!
//! A presigned PUT request works with a plain `fetch(uploadUrl, {method: "PUT", headers, body: file})` or `curl -T`:
//! the signature includes only the content type, and the length if it was given.
//!
//! `POST /videos` has the backend fetch a video from a URL: it creates the row as presigning does, and invokes the function
//! `fetch` instead of signing.
//!
//! IAM: `s3:PutObject` (also to send parts and to complete a multipart upload), `s3:GetObject` (to recognise a repeated
//! completion), `s3:AbortMultipartUpload` and `s3:ListMultipartUploadParts` on `videos/*` of the uploads bucket;
//! `s3:ListBucket` on that bucket, without which a missing object is a 403; `dynamodb:PutItem`; with quotas, also
//! `dynamodb:GetItem` and `UpdateItem`. If videos are fetched from URLs, `lambda:InvokeFunction` on the `fetch` function, and
//! `dynamodb:GetItem` (for a repeated `Idempotency-Key`).

mod companion;
mod declared;
mod fetch;
mod sign;
mod upload;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use upreel_core::VideoId;
use upreel_core::limits::MAX_PUT;
use upreel_function::App;
use upreel_http::{Caller, Code, Given, Problem, Query};

pub use crate::fetch::{Functions, Start};

use crate::declared::{Declared, NewVideo, invalid, parse_put_size};

/// Returns the routes of this function. `start` invokes the function `fetch`, if videos are fetched from URLs.
pub fn router(app: App, start: Option<Start>) -> Router {
    let fetches = Router::new().route("/videos", post(fetch::fetch)).with_state((app.clone(), start));
    Router::new()
        .route("/presign", get(presign).head(async || no_head("GET, POST")).post(sign::sign))
        .route("/s3/params", get(companion::params).head(async || no_head("GET")))
        .route("/s3/multipart", post(companion::create))
        .route("/s3/multipart/{uploadId}", get(companion::parts).delete(companion::abort))
        .route("/s3/multipart/{uploadId}/{partNumber}", get(companion::part))
        .route("/s3/multipart/{uploadId}/batch", get(companion::batch))
        .route("/s3/multipart/{uploadId}/complete", post(companion::complete))
        .with_state(app)
        .merge(fetches)
}

/// Refuses a HEAD request, which must not create a video. Without this, the handler of GET would respond.
fn no_head(allowed: &'static str) -> impl IntoResponse {
    let problem = Problem::new(Code::MethodNotAllowed, "This route does not support HEAD. Use GET.");
    ([(header::ALLOW, HeaderValue::from_static(allowed))], problem)
}

#[derive(Deserialize)]
struct PresignQuery {
    name: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    size: Option<String>,
}

/// All parameters of a query.
type Fields = BTreeMap<String, String>;

/// Returns what a query says about the video.
fn given(fields: &Fields) -> Given {
    let mut given = Given::default();
    for (name, text) in fields {
        given.field(name, text);
    }
    given
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Presigned {
    upload_url: String,
    video_id: VideoId,
    method: &'static str,
    /// All headers that the client has to set. It sends the length automatically.
    headers: BTreeMap<&'static str, String>,
    key: String,
    expires_in: u64,
}

async fn presign(
    State(app): State<App>,
    Caller(user): Caller,
    Query(query): Query<PresignQuery>,
    Query(fields): Query<Fields>,
) -> Result<Json<Presigned>, Problem> {
    let name = query.name.filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| invalid("The file name is missing. Send it as `name`: /presign?name=clip.mp4"))?;
    let declared = Declared::new(&name, query.media_type.as_deref(), app.config.audio)?;
    let max = app.config.max_upload_bytes;
    let size = query.size.map(|size| parse_put_size(&size, max)).transpose()?;

    let new =
        NewVideo::new(user, &name, &declared, size, max.min(MAX_PUT)).described(given(&fields), &app)?;
    let signed = app.objects.sign_put(&new.key, &declared.media_type, size).await?;
    new.create(&app).await?;
    Ok(Json(Presigned {
        upload_url: signed.url,
        video_id: new.id,
        method: "PUT",
        headers: BTreeMap::from([("Content-Type", declared.media_type)]),
        key: new.key.to_string(),
        expires_in: signed.expires_in.as_secs(),
    }))
}
