//! `PUT /videos/{videoId}/poster`: makes the frame at a time the poster of a video.
//!
//! The objects of each request have keys of their own. What a repetition of each step finds:
//!
//! | step | a repetition finds |
//! |---|---|
//! | read the row | it names the poster of this time: nothing to do. |
//! | store the poster | a repetition stores another one. |
//! | name it in the row, in place of the one that was read | the row names it already, or a later one: it stays. |
//! | delete the one that the row does not name (any more) | it is gone. |
//!
//! If the process dies after the poster is stored, the objects that no row names remain until the reconciler's listing.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use http::StatusCode;
use serde::Deserialize;
use upreel_core::id::Choice;
use upreel_core::video::Record;
use upreel_core::{Bucket, Key};
use upreel_http::{Caller, Code, Path, Problem, from_json};
use upreel_media::Error;
use upreel_store::videos::Choosing;

use crate::Shared;
use crate::images::{self, last, not_found};

const JPEG: &str = "image/jpeg";
/// The greatest time in seconds, as in the queries of images.
const MAX_TIME: f64 = 9_999_999.0;

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Seconds from the start.
    time: f64,
}

pub(crate) async fn choose(
    State(shared): State<Shared>,
    Caller(user): Caller,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> axum::response::Result<StatusCode> {
    let Wanted { time } = from_json(body)?;
    if !(0.0..=MAX_TIME).contains(&time) {
        let detail = "`time` must be a time in seconds from the start, such as 12 or 12.345.";
        return Err(Problem::new(Code::InvalidRequest, detail).into());
    }
    let row = images::find(&shared.app, &user, &id).await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    let ms = ((time * 1000.0).round() as u64).min(last(&row.video.media_info));
    if row.previews.poster_ms != Some(ms)
        && Box::pin(replace(&shared, &row, ms)).await? == Choosing::Superseded
    {
        // The video was deleted or uploaded again. Its row says which.
        images::find(&shared.app, &user, &id).await?;
        let detail = "The video was uploaded again meanwhile. Choose a poster of the new upload.";
        return Err(Problem::new(Code::Conflict, detail).into());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a poster, and makes it that of the video.
async fn replace(shared: &Shared, row: &Record, ms: u64) -> Result<Choosing, Problem> {
    let Shared { app, engine, .. } = shared;
    let _permit = shared.job().await?;
    let poster = match images::open(app, row).await {
        Ok(source) => (engine.poster)(app, row, &source, ms).await,
        Err(error) => Err(error),
    };
    let poster = match poster {
        Err(Error::Gone) => return Ok(Choosing::Superseded),
        poster => poster.map_err(|error| images::refused(row, &format!("poster at {ms}"), error))?,
    };
    let (id, version) = (row.video.video_id, row.version().ok_or_else(not_found)?);
    let keys = Key::posters(id, &version, Some(Choice::random()));
    let (small, large) = tokio::join!(
        app.objects.store(&keys[0], JPEG, poster.jpeg),
        app.objects.store(&keys[1], JPEG, poster.large),
    );
    small.and(large)?;
    let chosen = app.videos.choose_poster(row, &keys, &poster.blur_hash, ms).await?;
    tracing::info!(videoId = %id, ms, outcome = ?chosen, "poster chosen");
    let unnamed = match chosen {
        Choosing::Named => row.previews.poster().cloned().collect(),
        Choosing::Overtaken | Choosing::Superseded => keys.map(|key| key.to_string()).to_vec(),
    };
    if let Err(fault) = app.objects.delete_keys(Bucket::Thumbnails, &unnamed).await {
        tracing::warn!(videoId = %id, %fault, "a poster that is not shown remains");
    }
    Ok(chosen)
}
