//! Makes the previews of one object, and reports their cost as logs and metrics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use upreel_core::VideoId;
use upreel_function::App;
use upreel_function::telemetry::{self, Unit};
use upreel_media::source::Stats;
use upreel_media::{Error, Index, Poster, Source, Storyboard, audio, poster, storyboard};

/// Timeout of the storyboard, which is optional and reads at most 100 keyframes.
const STORYBOARD_TIMEOUT: Duration = Duration::from_mins(1);
/// Time reserved after the storyboard's deadline, so that the poster can be stored in any case.
const STORE_MARGIN: Duration = Duration::from_secs(5);

/// The previews of an object.
pub struct Previews {
    /// The poster.
    pub poster: Poster,
    /// The storyboard.
    pub storyboard: Storyboarding,
    /// The peaks of a file with audio alone, as JSON.
    pub peaks: Option<Bytes>,
}

/// Outcome of making a storyboard.
pub enum Storyboarding {
    /// It is made.
    Made(Storyboard),
    /// The video has none: its index cannot be read, or frames cannot be decoded.
    None,
    /// A fault on our or AWS's side. It can be made later.
    Fault,
}

/// A function that makes the previews of an object. Its arguments are the video, the object, the file name of the
/// storyboard's image, and the time at which ffmpeg is killed.
pub type MakePreviews =
    for<'a> fn(&'a App, VideoId, &'a Arc<Source>, &'a str, Instant) -> BoxFuture<'a, Result<Previews, Error>>;

/// Makes the previews of an object with ffmpeg.
///
/// # Errors
/// Returns [`Error::Gone`] if the object was deleted or replaced.
pub fn make_previews<'a>(
    app: &'a App,
    id: VideoId,
    source: &'a Arc<Source>,
    image: &'a str,
    deadline: Instant,
) -> BoxFuture<'a, Result<Previews, Error>> {
    Box::pin(async move {
        let start = Instant::now();
        let poster = poster::make(source, &app.config.ffmpeg, deadline).await;
        let poster = match poster {
            Err(Error::NoVideo | Error::Unsupported(_)) if app.config.audio => {
                return make_audio(app, id, source, deadline).await;
            }
            poster => poster,
        };
        measure_poster(id, source, (start, source.stats()), poster.as_ref().err());
        let poster = poster?;
        let storyboard = match &poster.index {
            Some(index) => make_storyboard(app, (id, image), source, index, deadline).await?,
            None => Storyboarding::None,
        };
        Ok(Previews { poster, storyboard, peaks: None })
    })
}

/// Makes the previews of a file with audio alone.
async fn make_audio(
    app: &App,
    id: VideoId,
    source: &Arc<Source>,
    deadline: Instant,
) -> Result<Previews, Error> {
    let start = Instant::now();
    let made = audio::make(source, &app.config.ffmpeg, deadline).await;
    let read = made.as_ref().map_or_else(|_| source.stats(), |made| made.stats);
    measure_poster(id, source, (start, read), made.as_ref().err());
    let audio::Made { poster, peaks, .. } = made?;
    Ok(Previews { poster, storyboard: Storyboarding::None, peaks })
}

/// Makes the storyboard. A video is usable without it, so only [`Error::Gone`] is an error: the object was replaced, and
/// its poster is outdated as well.
async fn make_storyboard(
    app: &App,
    (id, image): (VideoId, &str),
    source: &Source,
    index: &Index,
    deadline: Instant,
) -> Result<Storyboarding, Error> {
    let (start, before) = (Instant::now(), source.stats());
    let deadline = deadline.checked_sub(STORE_MARGIN).unwrap_or(start).min(start + STORYBOARD_TIMEOUT);
    let made = storyboard::make(source, index, image, &app.config.ffmpeg, deadline).await;
    measure_storyboard(id, source, before, start, made.as_ref().err());
    outcome(made)
}

/// A fault is no property of the video: the storyboard can be made later.
fn outcome(made: Result<Storyboard, Error>) -> Result<Storyboarding, Error> {
    match made {
        Ok(storyboard) => Ok(Storyboarding::Made(storyboard)),
        Err(Error::Gone) => Err(Error::Gone),
        Err(Error::Fault(_)) => Ok(Storyboarding::Fault),
        Err(_) => Ok(Storyboarding::None),
    }
}

/// Reports the cost of a poster as a log line and metrics.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn measure_poster(id: VideoId, source: &Source, (start, read): (Instant, Stats), error: Option<&Error>) {
    let Stats { bytes, requests } = read;
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
pub(crate) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use upreel_core::Fault;

    use super::*;

    #[test]
    fn fault_is_no_property_of_the_video() {
        let fault = Fault::message("s3:GetObject", "503");
        assert!(matches!(outcome(Err(Error::Fault(fault))), Ok(Storyboarding::Fault)));
        assert!(matches!(outcome(Err(Error::NoVideo)), Ok(Storyboarding::None)));
        assert!(matches!(outcome(Err(Error::Gone)), Err(Error::Gone)));
    }
}
