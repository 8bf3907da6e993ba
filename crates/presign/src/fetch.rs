//! `POST /videos`: has the backend fetch a video from a URL.
//!
//! A repetition with the same `Idempotency-Key` finds the row, and invokes the function again unless the object has arrived or
//! the source has failed: two invocations write the same object. Without the key, a lost response leaves a video that the user
//! did not expect.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use upreel_core::video::seconds;
use upreel_core::{Fault, Fetch, SourceUrl, Status, UserId, VideoId};
use upreel_function::App;
use upreel_http::{Caller, Code, Given, Problem, from_json, idempotency_key};

use crate::declared::{Declared, NewVideo, UNKNOWN_MULTIPART, invalid};

/// The time in which a video has to be complete: three invocations of 15 minutes.
const TIME: Duration = Duration::from_mins(45);
/// The file name if the URL has none.
const NAME: &str = "video";

/// Invokes the function `fetch` asynchronously.
pub type Start = Arc<dyn Fn(Fetch) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// The function `fetch` on Lambda.
#[derive(Debug, Clone)]
pub struct Functions {
    lambda: aws_sdk_lambda::Client,
    name: String,
}

impl Functions {
    /// Creates the client. `name` is the name or the ARN of the function.
    #[must_use]
    pub fn new(sdk: &SdkConfig, name: String) -> Self {
        Self { lambda: aws_sdk_lambda::Client::new(sdk), name }
    }

    /// Invokes the function asynchronously.
    ///
    /// # Errors
    /// When Lambda does not accept the event.
    pub async fn start(&self, fetch: &Fetch) -> Result<(), Fault> {
        let event = serde_json::to_vec(fetch).map_err(|error| Fault::new("encode an event", &error))?;
        let invoke = self.lambda.invoke().function_name(&self.name).invocation_type(InvocationType::Event);
        let invoked = invoke.payload(Blob::new(event)).send().await;
        invoked.map(drop).map_err(|error| Fault::new("lambda:InvokeFunction", &error))
    }
}

#[derive(Deserialize)]
struct NewFetch {
    url: String,
    name: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    #[serde(flatten)]
    given: Given,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    video_id: VideoId,
    status: Status,
}

pub(crate) async fn fetch(
    State((app, start)): State<(App, Option<Start>)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let disabled = || {
        Problem::new(Code::FetchDisabled, "This service does not fetch videos from URLs. Upload the file.")
    };
    let start = start.ok_or_else(disabled)?;
    let text = body.as_ref().cloned().unwrap_or_default();
    let request: NewFetch = from_json(body)?;
    let url = SourceUrl::parse(&request.url).map_err(|refused| invalid(refused.to_string()))?;
    let name = request.name.filter(|name| !name.is_empty()).unwrap_or_else(|| url.file_name());
    let name = if name.is_empty() { NAME } else { &name };
    let declared = Declared::new(name, request.media_type.as_deref(), app.config.audio)?;
    let new = NewVideo::new(user.clone(), name, &declared, None, UNKNOWN_MULTIPART);
    let mut new = new.described(request.given, &app)?;
    let accepted = |video_id, status| (StatusCode::ACCEPTED, Json(Accepted { video_id, status }));
    if let Some(key) = idempotency_key(&headers)? {
        let (id, status) = resume(&app, &user, key, &text, new.id).await?;
        if status != Status::Pending {
            return Ok(accepted(id, status));
        }
        new = new.identified(id);
    }
    new.create(&app).await?;
    let until = seconds(app.videos.now() + TIME);
    start(Fetch { key: new.key.to_string(), url, until }).await?;
    Ok(accepted(new.id, Status::Pending))
}

/// Reserves the idempotency key. Returns the video of the first request with this key, and its status.
async fn resume(
    app: &App,
    user: &UserId,
    key: &str,
    body: &[u8],
    new: VideoId,
) -> Result<(VideoId, Status), Problem> {
    let mismatch = |detail: &str| Problem::new(Code::IdempotencyMismatch, detail);
    let first = app.videos.reserve_idempotency_key(user, key, body, new).await?;
    if !first.same_body {
        return Err(mismatch(
            "This Idempotency-Key was used with another body. Use a new key for another video.",
        ));
    }
    if first.id == new {
        return Ok((new, Status::Pending));
    }
    match app.videos.get(first.id).await?.map(|record| record.video.status) {
        Some(Status::Deleted) => {
            Err(mismatch("The video of this Idempotency-Key was deleted. Use a new key to fetch it again."))
        }
        status => Ok((first.id, status.unwrap_or(Status::Pending))),
    }
}
