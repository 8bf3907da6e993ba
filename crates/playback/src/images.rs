//! Images of a video: a frame at a time, and a short animation.
//!
//! An image is stored beside the segments of the version that it is made of, under a key that states what it shows. It
//! expires with them, and is made again. What a repetition of each step finds:
//!
//! | step | a repetition finds |
//! |---|---|
//! | read the row and look for the image | the row has the same version and the image exists: the redirect. |
//! | read the original | the same version, or no image is made. |
//! | store the image | it exists, made of the same frames. |
//! | read the row again | the video was deleted or uploaded again meanwhile: the image is deleted again. |

mod film;
mod image;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use tokio::time;
use upreel_core::video::Record;
use upreel_core::{Bucket, Key, Status, UserId, VideoId};
use upreel_function::App;
use upreel_http::{Caller, Code, Path, Problem, Query};
use upreel_media::image::{Format, Images};
use upreel_media::keyframe::HEAD;
use upreel_media::{Error, Source};
use upreel_store::objects::StoredObject;

pub use self::image::{Image, Moment};
use self::image::{PreviewQuery, ThumbnailQuery};
use crate::{MAX_AGE, Shared, TIMEOUT, redirect};

/// When to ask again for an image of a video that is being processed, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// A function that makes an image of an object, which is the original that the row describes.
pub type MakeImage =
    for<'a> fn(&'a App, &'a Record, &'a Arc<Source>, &'a Image) -> BoxFuture<'a, Result<Bytes, Error>>;

pub(crate) async fn thumbnail_jpg(
    State(shared): State<Shared>,
    Caller(user): Caller,
    Path(id): Path<String>,
    Query(query): Query<ThumbnailQuery>,
) -> Result<Response, Problem> {
    respond(&shared, &user, &id, |row| query.image(&row.video.media_info, Format::Jpeg)).await
}

pub(crate) async fn thumbnail_webp(
    State(shared): State<Shared>,
    Caller(user): Caller,
    Path(id): Path<String>,
    Query(query): Query<ThumbnailQuery>,
) -> Result<Response, Problem> {
    respond(&shared, &user, &id, |row| query.image(&row.video.media_info, Format::Webp)).await
}

pub(crate) async fn preview_webp(
    State(shared): State<Shared>,
    Caller(user): Caller,
    Path(id): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    respond(&shared, &user, &id, |row| query.image(&row.video.media_info, Format::AnimatedWebp)).await
}

pub(crate) async fn preview_gif(
    State(shared): State<Shared>,
    Caller(user): Caller,
    Path(id): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    respond(&shared, &user, &id, |row| query.image(&row.video.media_info, Format::Gif)).await
}

/// Redirects to an image of a video. `ask` says which one, by the row.
async fn respond(
    shared: &Shared,
    user: &UserId,
    id: &str,
    ask: impl FnOnce(&Record) -> Result<Image, Problem>,
) -> Result<Response, Problem> {
    let Shared { app, flights, .. } = shared;
    let id: VideoId = id.parse().map_err(|_| not_found())?;
    let row = app.videos.get(id).await?;
    let row = row.filter(|row| row.is_visible(app.videos.now()) && row.video.user_id == *user);
    let row = row.ok_or_else(not_found)?;
    match row.video.status {
        Status::Processed => {}
        Status::Failed => return Err(undecodable()),
        _ => {
            let problem =
                Problem::new(Code::NotReady, "The video is not processed yet. Ask again in some seconds.");
            return Ok(([(header::RETRY_AFTER, RETRY_AFTER)], problem).into_response());
        }
    }
    let image = ask(&row)?;
    let version = row.version().ok_or_else(not_found)?;
    let name = image.name().parse().map_err(|_| not_found())?;
    let key = Key::Segment { id, version, name };
    if !app.objects.exists(&key).await? {
        let (_flight, waited) = flights.join(key.to_string()).await;
        if !waited || !app.objects.exists(&key).await? {
            make(shared, &row, &image, &key).await?;
        }
    }
    redirect(&app.objects.sign_get(&key).await?, MAX_AGE)
}

/// Makes an image and stores it.
async fn make(shared: &Shared, row: &Record, image: &Image, key: &Key) -> Result<(), Problem> {
    let Shared { app, make, jobs, .. } = shared;
    // The semaphore is never closed.
    let _permit = jobs.acquire().await.map_err(|_| not_found())?;
    let start = Instant::now();
    let source = source(app, row).ok_or_else(not_found)?;
    let bytes = match source.without_tag(HEAD).await {
        Ok(source) => make(app, row, &Arc::new(source), image).await,
        Err(error) => Err(error.into()),
    };
    let bytes = bytes.map_err(|error| match error {
        Error::Fault(fault) => Problem::from(fault),
        Error::Gone => not_found(),
        error => {
            tracing::warn!(videoId = %row.video.video_id, image = image.name(), %error, "no image");
            undecodable()
        }
    })?;
    let size = bytes.len();
    app.objects.store_once(key, image.format.media_type(), bytes).await?;
    // A deletion that began after the first look may have listed the objects before the image was stored.
    let now = app.videos.get(row.video.video_id).await?.filter(|now| {
        now.is_visible(app.videos.now())
            && now.video.status == Status::Processed
            && now.version() == row.version()
    });
    if now.is_none() {
        app.objects.delete_keys(Bucket::Processed, &[key.to_string()]).await?;
        return Err(not_found());
    }
    let ms = start.elapsed().as_millis();
    tracing::info!(videoId = %row.video.video_id, image = image.name(), size, ms, "image made");
    Ok(())
}

/// Returns the original that a row describes.
fn source(app: &App, row: &Record) -> Option<Source> {
    let key = row.key.parse().ok()?;
    Some(Source::new(row.video.size?, StoredObject::new(&app.objects, &key, row.etag.as_deref()?)))
}

/// Makes an image with ffmpeg.
///
/// # Errors
/// Returns [`Error::Gone`] if the object was deleted or replaced.
pub fn make_image<'a>(
    app: &'a App,
    row: &'a Record,
    source: &'a Arc<Source>,
    image: &'a Image,
) -> BoxFuture<'a, Result<Bytes, Error>> {
    Box::pin(async move {
        let deadline = time::Instant::now() + TIMEOUT;
        let images = Images::new(source, &row.video.media_info, &app.config.ffmpeg, deadline);
        let Image { moment, size, format } = *image;
        match moment {
            Moment::Frame { time, exact } => {
                if !exact && let Some(image) = images.keyframe(time, size, format).await? {
                    return Ok(image);
                }
                let segments = film::segments(app, row, time..time).await?;
                images.frame(segments, (time, exact), size, format).await
            }
            Moment::Clip(clip) => {
                let segments = film::segments(app, row, clip.start..clip.end).await?;
                images.animation(segments, clip, size, format).await
            }
        }
    })
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such video.")
}

fn undecodable() -> Problem {
    let detail = "This part of the video cannot be decoded within the limits. Ask for another time or a shorter preview.";
    Problem::new(Code::Undecodable, detail)
}
