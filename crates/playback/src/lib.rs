//! `GET /segments/{videoId}/{version}/{rendition}/{segment}`, `GET /videos/{videoId}/thumbnail.jpg` and `.webp`, and
//! `GET /videos/{videoId}/preview.webp` and `.gif`: redirects to a segment or an image of the original, and makes it before
//! that if nobody has requested it yet. `PUT /videos/{videoId}/poster`: chooses the poster.
//!
//! Images are in the module `images`, posters in `poster`. The path of a segment is the key of the segment in S3, and
//! the query is that of its presigned URL, from the playlist. The redirect repeats the query, and S3 verifies it. So
//! this function needs no secret, and reveals nothing: whoever changes the query, or has an expired one, can have a
//! segment made, but not read it.
//!
//! `CloudFront` requests what is missing in the bucket without a query, because it has verified the signature in the path
//! of its own URL, and passes that on in a header. It is verified again here, since everyone can send a header; then the
//! redirect leads to a URL that this function signs.
//!
//! One range read of the segment index and a few of the original make the segments of all tracks for the same time. Audio
//! that players do not play is encoded with ffmpeg: the requested track, or the first one. What a repetition of each step
//! finds:
//!
//! | step | a repetition finds |
//! |---|---|
//! | read the row and look for the segment | the row has the same version and the segment exists: the redirect. |
//! | read the segment index and the original | the same version, or the segment is not made. |
//! | store the segments | they exist with the same content: their keys contain the version. |
//! | read the row again | the video was deleted or uploaded again meanwhile: the segments are deleted again. |
//!
//! IAM: `dynamodb:GetItem` and `UpdateItem`; `s3:GetObject` on `videos/*`, `playback/*` and `segments/*`;
//! `s3:PutObject` and `s3:DeleteObject` on `segments/*` and `thumbnails/*`; `s3:ListBucket` on the uploads and the
//! processed bucket, without which a missing object is a 403. With a CDN, `secretsmanager:GetSecretValue` on its secret.

mod flights;
mod images;
mod poster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use futures_util::future::{join, join_all};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time;
use upreel_core::playback::Playback;
use upreel_core::video::Record;
use upreel_core::{Bucket, Fault, Key, ReadError, Status, Version, VideoId};
use upreel_function::{App, cdn};
use upreel_http::{Code, Path, Problem};
use upreel_media::Error;
use upreel_media::image::Format;
use upreel_media::remux::{self, RECORDS, Unplayable};
use upreel_media::source::{self, Source};
use upreel_store::objects::StoredObject;

use crate::flights::Flights;
use crate::images::{Animation, Still};
pub use crate::images::{Engine, Image, Moment};

/// How long a player may keep the redirect, in seconds: less than the query is valid.
const MAX_AGE: HeaderValue = HeaderValue::from_static("private, max-age=300");
/// The redirect for `CloudFront`: the next request finds the segment in the bucket.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The signature of the CDN's URL, which its function passes on (`CdnFunction` in `template.yaml`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-upreel-signature");
/// Longest record that is read, in bytes.
const MAX_RECORD: u64 = 4 << 20;
/// Images and segments that a process makes with ffmpeg at a time. On Lambda, a process usually has one request.
const MAX_JOBS: usize = 2;
/// How long ffmpeg may take for an image or a segment.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The state of the router.
#[derive(Clone)]
struct Shared {
    app: App,
    flights: Flights,
    engine: Engine,
    /// Limits how many images and segments are made with ffmpeg at a time.
    jobs: Arc<Semaphore>,
}

impl Shared {
    /// Waits until ffmpeg may run, and keeps others waiting until the permit is dropped.
    async fn job(&self) -> Result<SemaphorePermit<'_>, Problem> {
        // The semaphore is never closed.
        self.jobs.acquire().await.map_err(|_| not_found())
    }
}

/// Returns the routes of this function.
pub fn router(app: App) -> Router {
    router_with(app, images::FFMPEG)
}

/// Returns the routes with another engine that makes the images. The simulation uses it, because ffmpeg does not run in
/// simulated time.
pub fn router_with(app: App, engine: Engine) -> Router {
    let jobs = Arc::new(Semaphore::new(MAX_JOBS));
    Router::new()
        .route("/segments/{videoId}/{version}/{rendition}/{segment}", get(segment))
        .route("/videos/{videoId}/thumbnail.jpg", images::get::<Still>(Format::Jpeg))
        .route("/videos/{videoId}/thumbnail.webp", images::get::<Still>(Format::Webp))
        .route("/videos/{videoId}/preview.webp", images::get::<Animation>(Format::AnimatedWebp))
        .route("/videos/{videoId}/preview.gif", images::get::<Animation>(Format::Gif))
        .route("/videos/{videoId}/poster", put(poster::choose))
        .with_state(Shared { app, flights: Flights::default(), engine, jobs })
}

async fn segment(
    State(shared): State<Shared>,
    Path((id, version, rendition, segment)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Shared { app, flights, .. } = &shared;
    let requested = Requested::parse(&id, &version, &rendition, &segment).ok_or_else(not_found)?;
    // Without the query of a presigned URL, the redirect would lead to a 403.
    if query.is_none() && !requested.is_signed(app, &headers).await? {
        return Err(not_found());
    }
    let (row, exists) = join(requested.row(app), app.objects.exists(&requested.key)).await;
    let row = row?.ok_or_else(not_found)?;
    if !exists? {
        let (_flight, waited) = flights.join(format!("{id}/{version}/{segment}")).await;
        if !waited || !app.objects.exists(&requested.key).await? {
            requested.make(&shared, &row).await?;
        }
    }
    let (location, caching) = match query {
        Some(query) => (format!("{}?{query}", app.objects.address(&requested.key).await?), MAX_AGE),
        None => (app.objects.sign_get(&requested.key).await?, NO_STORE),
    };
    redirect(&location, caching)
}

fn redirect(location: &str, caching: HeaderValue) -> Result<Response, Problem> {
    let location = HeaderValue::try_from(location).map_err(|_| not_found())?;
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, caching)];
    Ok((StatusCode::FOUND, headers).into_response())
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such segment. Load the playlist again.")
}

/// A segment that a player requests.
struct Requested<'a> {
    key: Key,
    id: VideoId,
    version: Version,
    file: &'a str,
    record: std::ops::Range<u64>,
}

impl<'a> Requested<'a> {
    fn parse(id: &str, version: &str, rendition: &str, file: &'a str) -> Option<Self> {
        let (id, version): (VideoId, Version) = (id.parse().ok()?, version.parse().ok()?);
        let name = format!("{rendition}/{file}").parse().ok()?;
        let record = remux::record_of(file).filter(|record| record.end - record.start <= MAX_RECORD)?;
        Some(Self { key: Key::Segment { id, version: version.clone(), name }, id, version, file, record })
    }

    /// Returns whether the request has a valid signature of the CDN's URL for this version.
    async fn is_signed(&self, app: &App, headers: &HeaderMap) -> Result<bool, Problem> {
        let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let (Some(signature), Some(secret)) = (signature, &app.cdn_secret) else { return Ok(false) };
        Ok(cdn::verify(&secret.all().await?, &self.index()?, signature, app.videos.now()))
    }

    /// Returns the key of the segment index.
    fn index(&self) -> Result<Key, Problem> {
        let name = RECORDS.parse().map_err(|_| not_found())?;
        Ok(Key::Playback { id: self.id, version: self.version.clone(), name })
    }

    /// Makes the segments of all tracks for the same time, and stores them.
    async fn make(&self, shared: &Shared, row: &Record) -> Result<(), Problem> {
        let (app, start) = (&shared.app, Instant::now());
        let segments = self.segments(shared, row).await?;
        if !segments.iter().any(|(key, _)| *key == self.key) {
            return Err(not_found());
        }
        let keys: Vec<String> = segments.iter().map(|(key, _)| key.to_string()).collect();
        let bytes: usize = segments.iter().map(|(_, bytes)| bytes.len()).sum();
        let stored = segments
            .into_iter()
            .map(async |(key, bytes)| app.objects.store_once(&key, "video/mp4", bytes).await);
        join_all(stored).await.into_iter().collect::<Result<(), Fault>>()?;
        // A deletion that began after the first look may have listed the segments before they were stored.
        if self.row(app).await?.is_none() {
            app.objects.delete_keys(Bucket::Processed, &keys).await?;
            return Err(not_found());
        }
        tracing::info!(videoId = %self.id, segment = self.file, bytes, ms = start.elapsed().as_millis(), "segments made");
        Ok(())
    }

    /// Returns the video's row, if it describes this version and its original can be played.
    async fn row(&self, app: &App) -> Result<Option<Record>, Fault> {
        Ok(app.videos.get(self.id).await?.filter(|row| {
            row.is_visible(app.videos.now())
                && row.is_readable(app.config.checks)
                && matches!(row.video.status, Status::Processing | Status::Processed)
                && row.version().as_ref() == Some(&self.version)
                && row.video.playback.as_ref().is_some_and(Playback::is_hls)
        }))
    }

    /// Makes the segments of the tracks for the same time: of those that have to be encoded only the requested one, or the
    /// first one.
    async fn segments(&self, shared: &Shared, row: &Record) -> Result<Vec<(Key, bytes::Bytes)>, Problem> {
        let app = &shared.app;
        let record =
            app.objects.load_range(&self.index()?, self.record.clone()).await?.ok_or_else(not_found)?;
        let record = upreel_media::Record::from_bytes(&record).ok_or_else(not_found)?;
        let (Ok(key @ Key::Video { .. }), Some(etag)) = (row.key.parse::<Key>(), row.etag.as_deref()) else {
            return Err(not_found());
        };
        if record.etag() != etag {
            return Err(not_found());
        }
        let source = Source::new(record.size(), StoredObject::new(&app.objects, &key, etag));
        let made = record.segments(&source).await.map_err(|error| match error {
            Unplayable::Failed(source::Error::Read(ReadError::Fault(fault))) => Problem::from(fault),
            Unplayable::Failed(_) => not_found(),
            // The player falls back to a rendition, or to the file of the original.
            Unplayable::Refused(refusal) => {
                tracing::warn!(videoId = %self.id, segment = self.file, code = refusal.0, "segment refused");
                not_found()
            }
        })?;
        let key = |position: usize| {
            let name = format!("{}/{}", remux::folder(position), self.file).parse().ok()?;
            Some(Key::Segment { id: self.id, version: self.version.clone(), name })
        };
        let remux::Segments { complete: mut segments, encodable } = made;
        let requested =
            encodable.iter().find(|(position, _)| key(*position).is_some_and(|key| key == self.key));
        if let Some((position, audio)) = requested.or(encodable.first()) {
            let _permit = shared.job().await?;
            let deadline = time::Instant::now() + TIMEOUT;
            let encoded = audio.encode(&app.config.ffmpeg, deadline).await.map_err(|error| match error {
                Error::Fault(fault) => Problem::from(fault),
                _ => not_found(),
            })?;
            segments.push((*position, encoded));
        }
        Ok(segments.into_iter().filter_map(|(position, bytes)| Some((key(position)?, bytes))).collect())
    }
}
