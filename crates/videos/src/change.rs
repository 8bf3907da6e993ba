//! `PATCH /videos/{videoId}`: what the user says about a video, as a JSON merge patch (RFC 7396).
//!
//! The row is read, changed, and written if its revision is still the same, so no change of another request is lost. The
//! status has no part in this. A request whose response was lost can be repeated, also with `If-Match`: it finds that the
//! video has what it asks for, which is a success (RFC 9110, 13.1.1).

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Map, Value};
use upreel_core::video::Record;
use upreel_function::App;
use upreel_http::{BaseUrl, Caller, Code, Path, Problem, from_json};
use upreel_store::videos::Changed;

use crate::{etag, find_own, is_own, not_found, show};

/// How often a change is tried when others change the video at the same time. Each time, one of them succeeds.
const ATTEMPTS: usize = 20;

pub(crate) async fn change(
    State(app): State<App>,
    Caller(user): Caller,
    base: BaseUrl,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let change = upreel_http::change(from_json::<Map<String, Value>>(body)?)?;
    let mut record = find_own(&app, &user, &id).await?;
    for _ in 0..ATTEMPTS {
        let details = change.apply(&record.video.details, app.videos.now())?;
        if details == record.video.details {
            return respond(&app, &base, record).await;
        }
        if !etag::allows(&headers, record.revision) {
            let detail =
                "The video was changed meanwhile. Get it again, and send the change with its new ETag.";
            return Err(Problem::new(Code::PreconditionFailed, detail));
        }
        match app.videos.change_details(&record, &details).await? {
            Changed::Yes(record) => {
                tracing::info!(videoId = id, "changed");
                return respond(&app, &base, *record).await;
            }
            Changed::Conflict(row) => {
                record = *row.filter(|row| is_own(&app, &user, row)).ok_or_else(not_found)?;
            }
        }
    }
    Err(Problem::new(Code::Conflict, "Other requests change this video at the same time. Send it again."))
}

/// Responds with the video, as GET does.
async fn respond(app: &App, base: &BaseUrl, record: Record) -> Result<Response, Problem> {
    show(app, base, record, &HeaderMap::new()).await
}
