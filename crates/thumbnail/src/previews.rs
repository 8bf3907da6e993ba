//! What one object looks like: its pictures and facts, and what they cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use upreel_core::{Fault, Key, VideoId};
use upreel_function::App;
use upreel_function::telemetry::{self, Unit};
use upreel_media::source::Stats;
use upreel_media::{Error, Index, Poster, Source, Storyboard, poster, storyboard};
use upreel_store::objects::{Head, StoredObject};

/// A storyboard is worth no longer wait; it reads at most a hundred keyframes.
const STORYBOARD: Duration = Duration::from_mins(1);
/// What a storyboard leaves of the time, so that the poster is stored in any case.
const STORE: Duration = Duration::from_secs(5);

/// What was made of an object.
pub(crate) struct Previews {
    pub(crate) poster: Poster,
    /// Only if the container's index could be read, and nothing went wrong.
    pub(crate) storyboard: Option<Storyboard>,
}

/// Makes the pictures of the object at `key`, as long as it is the one of `head`.
pub(crate) async fn previews(
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
        Some(index) => board(app, id, &source, index, deadline).await?,
        None => None,
    };
    Ok(Previews { poster, storyboard })
}

/// The storyboard, if there is one. A video is as good without it, so that no error but
/// [`Error::Gone`] is one of the video: then there is another object to be looked at.
async fn board(
    app: &App,
    id: VideoId,
    source: &Source,
    index: &Index,
    deadline: Instant,
) -> Result<Option<Storyboard>, Error> {
    let (start, before) = (Instant::now(), source.stats());
    let deadline = deadline.checked_sub(STORE).unwrap_or(start).min(start + STORYBOARD);
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

/// Says what a poster cost, in the log and as metrics.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn measure_poster(id: VideoId, source: &Source, start: Instant, error: Option<&Error>) {
    let Stats { bytes, requests } = source.stats();
    let (size, ms) = (source.size(), millis(start));
    match error {
        None => tracing::info!(videoId = %id, size, bytes, requests, ms, "poster made"),
        // Logged where the attempt ends.
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

/// The same for a storyboard, beyond what the poster took.
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

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
