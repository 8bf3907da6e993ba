//! Makes the previews of one object, and reports their cost as logs and metrics.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use upreel_core::{Fault, Key, VideoId};
use upreel_function::App;
use upreel_function::telemetry::{self, Unit};
use upreel_media::source::Stats;
use upreel_media::{Error, Index, Poster, Source, Storyboard, poster, storyboard};
use upreel_store::objects::{Head, StoredObject};

/// Timeout of the storyboard, which is optional and reads at most 100 keyframes.
const STORYBOARD_TIMEOUT: Duration = Duration::from_mins(1);
/// Time reserved after the storyboard's deadline, so that the poster can be stored in any case.
const STORE_MARGIN: Duration = Duration::from_secs(5);

/// The previews of an object.
pub(crate) struct Previews {
    pub(crate) poster: Poster,
    /// `None` if the container's index could not be read, or the storyboard failed.
    pub(crate) storyboard: Option<Storyboard>,
}

/// Makes the previews of the object at `key`.
///
/// # Errors
/// Returns [`Error::Gone`] if the object is no longer the one described by `head`.
pub(crate) async fn make_previews(
    app: &App,
    (key, id): (&Key, VideoId),
    head: &Head,
    deadline: Instant,
) -> Result<Previews, Error> {
    let max = app.config.max_upload_bytes;
    if head.size == 0 || head.size > max {
        return Err(Error::Size { size: head.size, max });
    }
    let source = Arc::new(Source::new(head.size, StoredObject::new(&app.objects, key, &head.etag)));
    let start = Instant::now();
    let poster = poster::make(&source, &app.config.ffmpeg, deadline).await;
    measure_poster(id, &source, start, poster.as_ref().err());
    let poster = poster?;
    let storyboard = match &poster.index {
        Some(index) => make_storyboard(app, id, &source, index, deadline).await?,
        None => None,
    };
    Ok(Previews { poster, storyboard })
}

/// Makes the storyboard. A video is usable without it, so errors give `None`, except for [`Error::Gone`]: the object
/// was replaced, and its poster is outdated as well.
async fn make_storyboard(
    app: &App,
    id: VideoId,
    source: &Source,
    index: &Index,
    deadline: Instant,
) -> Result<Option<Storyboard>, Error> {
    let (start, before) = (Instant::now(), source.stats());
    let deadline = deadline.checked_sub(STORE_MARGIN).unwrap_or(start).min(start + STORYBOARD_TIMEOUT);
    let image = Key::StoryboardImage(id).file_name();
    let making = storyboard::make(source, index, &image, &app.config.ffmpeg, deadline);
    let made = timeout_at(deadline, making)
        .await
        .unwrap_or_else(|late| Err(Error::Fault(Fault::new("make the storyboard", &late))));
    measure_storyboard(id, source, before, start, made.as_ref().err());
    match made {
        Ok(storyboard) => Ok(Some(storyboard)),
        Err(Error::Gone) => Err(Error::Gone),
        Err(_) => Ok(None),
    }
}

/// Reports the cost of a poster as a log line and metrics.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn measure_poster(id: VideoId, source: &Source, start: Instant, error: Option<&Error>) {
    let Stats { bytes, requests } = source.stats();
    let (size, ms) = (source.size(), millis(start));
    match error {
        None => tracing::info!(videoId = %id, size, bytes, requests, ms, "poster made"),
        // `handle` logs faults.
        Some(Error::Fault(_)) => {}
        Some(error) => tracing::warn!(videoId = %id, size, bytes, requests, ms, %error, "no poster"),
    }
    telemetry::metrics(
        "thumbnail",
        &[
            ("BytesRead", Unit::Bytes, bytes as f64),
            ("RangeRequests", Unit::Count, requests as f64),
            ("PosterTime", Unit::Milliseconds, ms as f64),
            ("PosterFailed", Unit::Count, if error.is_some() { 1.0 } else { 0.0 }),
        ],
        &[("videoId", &id.to_string())],
    );
}

/// Reports the cost of a storyboard, in addition to the poster's.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn measure_storyboard(id: VideoId, source: &Source, before: Stats, start: Instant, error: Option<&Error>) {
    let stats = source.stats();
    let (bytes, requests) = (stats.bytes - before.bytes, stats.requests - before.requests);
    let ms = millis(start);
    match error {
        None => tracing::info!(videoId = %id, bytes, requests, ms, "storyboard made"),
        Some(error) => tracing::warn!(videoId = %id, bytes, requests, ms, %error, "no storyboard"),
    }
    telemetry::metrics(
        "thumbnail",
        &[
            ("StoryboardBytesRead", Unit::Bytes, bytes as f64),
            ("StoryboardTime", Unit::Milliseconds, ms as f64),
        ],
        &[("videoId", &id.to_string())],
    );
}

/// Returns the milliseconds since `start`.
fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
