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
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use tokio::time;
use upreel_core::video::Record;
use upreel_core::{Bucket, Key, Status, UserId, VideoId};
use upreel_function::App;
use upreel_http::{Caller, Code, Path, Problem, Query};
use upreel_media::image::{Chosen, Format, Images};
use upreel_media::keyframe::HEAD;
use upreel_media::{Error, Source};
use upreel_store::objects::StoredObject;

pub(crate) use self::image::{Animation, Parameters, Still, last};
pub use self::image::{Image, Moment};
use crate::{MAX_AGE, Shared, TIMEOUT, redirect};

/// When to ask again for an image of a video that is being processed, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

type Making<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Makes images of an object, which is the original that the row describes. The result is [`Error::Gone`] if the object
/// was deleted or replaced.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// Makes an image.
    pub image: for<'a> fn(&'a App, &'a Record, &'a Arc<Source>, &'a Image) -> Making<'a, Bytes>,
    /// Makes a poster of the frame at a time in milliseconds.
    pub poster: for<'a> fn(&'a App, &'a Record, &'a Arc<Source>, u64) -> Making<'a, Chosen>,
}

/// Makes images with ffmpeg.
pub(crate) const FFMPEG: Engine = Engine { image: make_image, poster: make_poster };

/// Returns the handler of a route whose query is of type `Q`.
pub(crate) fn get<Q: Parameters>(format: Format) -> MethodRouter<Shared> {
    routing::get(
        async move |State(shared): State<Shared>,
                    Caller(user): Caller,
                    Path(id): Path<String>,
                    Query(query): Query<Q>| { respond(&shared, &user, &id, query, format).await },
    )
}

/// Redirects to an image of a video.
async fn respond(
    shared: &Shared,
    user: &UserId,
    id: &str,
    query: impl Parameters,
    format: Format,
) -> axum::response::Result<Response> {
    let Shared { app, flights, .. } = shared;
    let row = find(app, user, id).await?;
    let image = query.image(&row.video.media_info, format)?;
    let version = row.version().ok_or_else(not_found)?;
    let name = image.name().parse().map_err(|_| not_found())?;
    let key = Key::Segment { id: row.video.video_id, version, name };
    if !app.objects.exists(&key).await.map_err(Problem::from)? {
        let (_flight, waited) = flights.join(key.to_string()).await;
        if !waited || !app.objects.exists(&key).await.map_err(Problem::from)? {
            make(shared, &row, &image, &key).await?;
        }
    }
    let url = app.objects.sign_get(&key).await.map_err(Problem::from)?;
    Ok(redirect(&url, MAX_AGE)?)
}

/// Returns the row of a processed video of the caller.
pub(crate) async fn find(app: &App, user: &UserId, id: &str) -> axum::response::Result<Record> {
    let id: VideoId = id.parse().map_err(|_| not_found())?;
    let row = app.videos.get(id).await.map_err(Problem::from)?;
    let row = row.filter(|row| row.is_visible(app.videos.now()) && row.video.user_id == *user);
    let row = row.ok_or_else(not_found)?;
    match row.video.status {
        Status::Processed if row.video.media_info.is_audio() => {
            Err(Problem::new(Code::Undecodable, "The file has audio alone, so there are no frames.").into())
        }
        Status::Processed => Ok(row),
        Status::Failed if !row.is_readable(app.config.checks) => Err(not_found().into()),
        Status::Failed => Err(undecodable().into()),
        _ => {
            let problem =
                Problem::new(Code::NotReady, "The video is not processed yet. Ask again in some seconds.");
            Err(([(header::RETRY_AFTER, RETRY_AFTER)], problem).into())
        }
    }
}

/// Makes an image and stores it.
async fn make(shared: &Shared, row: &Record, image: &Image, key: &Key) -> Result<(), Problem> {
    let Shared { app, engine, .. } = shared;
    let _permit = shared.job().await?;
    let start = Instant::now();
    let bytes = match open(app, row).await {
        Ok(source) => (engine.image)(app, row, &source, image).await,
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| refused(row, &image.name(), error))?;
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

/// Converts an error of the engine. `image` describes for the log what could not be made.
pub(crate) fn refused(row: &Record, image: &str, error: Error) -> Problem {
    match error {
        Error::Fault(fault) => Problem::from(fault),
        Error::Gone => not_found(),
        error => {
            tracing::warn!(videoId = %row.video.video_id, image, %error, "no image");
            undecodable()
        }
    }
}

/// Opens the original that a row describes.
pub(crate) async fn open(app: &App, row: &Record) -> Result<Arc<Source>, Error> {
    let source = source(app, row).ok_or(Error::Gone)?;
    Ok(Arc::new(source.without_tag(HEAD).await?))
}

fn source(app: &App, row: &Record) -> Option<Source> {
    let key = row.key.parse().ok()?;
    Some(Source::new(row.video.size?, StoredObject::new(&app.objects, &key, row.etag.as_deref()?)))
}

fn make_image<'a>(
    app: &'a App,
    row: &'a Record,
    source: &'a Arc<Source>,
    image: &'a Image,
) -> Making<'a, Bytes> {
    Box::pin(async move {
        let images = ffmpeg(app, row, source);
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

fn ffmpeg<'a>(app: &'a App, row: &'a Record, source: &'a Arc<Source>) -> Images<'a> {
    Images::new(source, &row.video.media_info, &app.config.ffmpeg, time::Instant::now() + TIMEOUT)
}

fn make_poster<'a>(app: &'a App, row: &'a Record, source: &'a Arc<Source>, ms: u64) -> Making<'a, Chosen> {
    Box::pin(async move {
        let segments = film::segments(app, row, ms..ms).await?;
        ffmpeg(app, row, source).poster(segments, ms).await
    })
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such video.")
}

fn undecodable() -> Problem {
    let detail = "This part of the video cannot be decoded within the limits. Ask for another time or a shorter preview.";
    Problem::new(Code::Undecodable, detail)
}
