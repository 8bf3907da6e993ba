//! An object was written: poster, facts, status.
//!
//! What is wrong with a video is recorded (FAILED, with a code) and acknowledged: a retry would find
//! the same. What is wrong on our side is an error: Lambda tries again twice, then the event waits in
//! the dead-letter queue. Every move can be done twice without harm, so no event needs a lock.
//!
//! IAM: `dynamodb:UpdateItem`, `GetItem` and `PutItem`; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`; `s3:PutObject`, `s3:GetObject` and `s3:DeleteObject` on `thumbnails/*`; and
//! `s3:ListBucket` on both buckets, without which a missing object is a 403.

pub mod event;

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;
use upreel_core::objects::{Head, Replace, Written};
use upreel_core::telemetry::{self, Unit};
use upreel_core::video::Record;
use upreel_core::videos::{Claim, Finish};
use upreel_core::{App, Failure, Fault, Key, Sequencer, UserId, VideoId};
use upreel_media::{Poster, Source, poster};

use crate::event::Created;

/// How often Lambda tries an asynchronous event: once, and two retries.
pub const ATTEMPTS: u32 = 3;
/// How often an object that keeps changing is looked at again, in one attempt.
const CHANGES: u32 = 3;

/// Handles one event; ffmpeg is killed at `deadline`.
///
/// # Errors
/// When something failed that may pass: the event should be tried again. The event's other objects
/// have been dealt with.
pub async fn handle(app: &App, event: &Value, deadline: Instant) -> Result<(), Fault> {
    let mut outcome = Ok(());
    for created in event::parse(event)? {
        if let Err(fault) = process(app, &created, deadline).await {
            tracing::error!(key = created.key, %fault, "attempt failed");
            outcome = Err(fault);
        }
    }
    outcome
}

/// The work on one object.
struct Job<'a> {
    app: &'a App,
    key: &'a Key,
    id: VideoId,
    sequencer: &'a Sequencer,
    deadline: Instant,
}

async fn process(app: &App, created: &Created, deadline: Instant) -> Result<(), Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else {
        tracing::warn!(key = created.key, "not an upload, ignored");
        return Ok(());
    };
    let Key::Video { ref user, id, .. } = key else { return Ok(()) };
    let sequencer = &created.sequencer;
    let attempt = match claim(app, &key, user, id, created).await? {
        Claim::Granted { attempt } => attempt,
        Claim::Stale => {
            tracing::info!(videoId = %id, "an event that the record has seen, nothing to do");
            return Ok(());
        }
        // It was uploaded again, with a URL signed before it was deleted.
        Claim::Deleted => return app.objects.delete(&key).await,
        Claim::Missing => {
            tracing::info!(videoId = %id, "neither record nor object, nothing to do");
            return Ok(());
        }
    };
    let job = Job { app, key: &key, id, sequencer, deadline };
    let result = job.run(created).await;
    if result.is_err() && attempt >= ATTEMPTS {
        // The last attempt: people see it now; a replay of the same event may start again.
        let failure = Failure::new(
            Failure::INTERNAL,
            "Processing failed on our side; the operators can start it again.",
        );
        job.fail(&failure).await?;
    }
    result
}

/// Claims the row; one that is missing (expired, or lost) is made again if the object is there.
async fn claim(app: &App, key: &Key, user: &UserId, id: VideoId, created: &Created) -> Result<Claim, Fault> {
    let claim = app.videos.claim(id, user, &created.sequencer, created.size).await?;
    if !matches!(claim, Claim::Missing) {
        return Ok(claim);
    }
    let Some(head) = app.objects.head(key).await? else { return Ok(claim) };
    let name = key.to_string().rsplit('/').next().unwrap_or_default().to_owned();
    let media_type = head.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    app.videos.create(&Record::pending(key, id, user.clone(), name, media_type)).await?;
    app.videos.claim(id, user, &created.sequencer, created.size).await
}

impl Job<'_> {
    async fn run(&self, created: &Created) -> Result<(), Fault> {
        let mut head = Head { size: created.size, etag: format!("\"{}\"", created.etag), content_type: None };
        for _ in 0..CHANGES {
            match self.look(&head).await {
                Ok(poster) => return self.succeed(poster, head.size).await,
                Err(poster::Error::Fault(fault)) => return Err(fault),
                Err(poster::Error::Gone) => {}
                Err(error) => return self.fail(&failure(&error)).await,
            }
            // Not the object of the event any more. Its own event may be late or lost, so what is
            // there now is what counts.
            match self.app.objects.head(self.key).await? {
                Some(now) => head = now,
                None => return self.fail(&Failure::new(Failure::UNREADABLE, "The file was removed.")).await,
            }
        }
        Err(Fault::new("read the object", &std::io::Error::other("it keeps changing")))
    }

    async fn look(&self, head: &Head) -> Result<Poster, poster::Error> {
        let max = self.app.config.max_upload_bytes;
        if head.size == 0 || head.size > max {
            return Err(poster::Error::Size { size: head.size, max });
        }
        let (objects, key, etag) = (self.app.objects.clone(), self.key.clone(), head.etag.clone());
        let source = Arc::new(Source::new(
            head.size,
            Box::new(move |range| {
                let (objects, key, etag) = (objects.clone(), key.clone(), etag.clone());
                Box::pin(async move { objects.read(&key, &etag, range).await })
            }),
        ));
        let start = Instant::now();
        let poster = poster::make(&source, &self.app.config.ffmpeg, self.deadline).await;
        self.measure(&source, start, poster.as_ref().err());
        poster
    }

    /// Says what a poster cost, in the log and as metrics.
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    fn measure(&self, source: &Source, start: Instant, error: Option<&poster::Error>) {
        let stats = source.stats();
        let (bytes, requests, size) = (stats.bytes, stats.requests, source.size());
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match error {
            None => tracing::info!(videoId = %self.id, size, bytes, requests, ms, "poster made"),
            // Logged where the attempt ends.
            Some(poster::Error::Fault(_)) => {}
            Some(error) => tracing::warn!(videoId = %self.id, size, bytes, requests, ms, %error, "no poster"),
        }
        telemetry::metrics(
            "thumbnail",
            &[
                ("BytesRead", Unit::Bytes, bytes as f64),
                ("RangeRequests", Unit::Count, requests as f64),
                ("PosterTime", Unit::Milliseconds, ms as f64),
                ("PosterFailed", Unit::Count, if error.is_some() { 1.0 } else { 0.0 }),
            ],
            &[("videoId", &self.id.to_string())],
        );
    }

    async fn succeed(&self, poster: Poster, size: u64) -> Result<(), Fault> {
        let thumbnail = Key::Thumbnail(self.id);
        if !self.store(&thumbnail, &poster).await? {
            tracing::info!(videoId = %self.id, "superseded by a newer upload");
            return Ok(());
        }
        match self.app.videos.processed(self.id, self.sequencer, size, &poster.facts, &thumbnail).await? {
            Finish::Deleted => self.clean_up().await,
            Finish::Recorded | Finish::Superseded => Ok(()),
        }
    }

    /// Writes the poster unless a newer event owns the row; `false` if so.
    ///
    /// Two events may be at work on one video. The poster that is in the way is identified before the
    /// row is asked, and only that one is replaced: so the older event, which finds itself superseded
    /// at the latest by the newer one's poster, can never overwrite it.
    async fn store(&self, key: &Key, poster: &Poster) -> Result<bool, Fault> {
        let objects = &self.app.objects;
        let mut seen: Option<Head> = None;
        for _ in 0..CHANGES {
            let replace = seen.as_ref().map_or(Replace::Nothing, |head| Replace::Exactly(&head.etag));
            if objects.put(key, "image/jpeg", poster.jpeg.clone(), replace).await? == Written::Done {
                return Ok(true);
            }
            seen = objects.head(key).await?;
            if !self.app.videos.follows(self.id, self.sequencer).await? {
                return Ok(false);
            }
        }
        Err(Fault::new("store the poster", &std::io::Error::other("it keeps changing")))
    }

    async fn fail(&self, failure: &Failure) -> Result<(), Fault> {
        match self.app.videos.failed(self.id, self.sequencer, failure).await? {
            Finish::Deleted => self.clean_up().await,
            Finish::Recorded | Finish::Superseded => Ok(()),
        }
    }

    /// The video was deleted during the work: nothing of it may stay.
    async fn clean_up(&self) -> Result<(), Fault> {
        self.app.objects.delete(self.key).await?;
        self.app.objects.delete(&Key::Thumbnail(self.id)).await
    }
}

/// What users are told.
fn failure(error: &poster::Error) -> Failure {
    use poster::Error::{Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
    match error {
        Size { size: 0, .. } => Failure::new(Failure::EMPTY_FILE, "The file is empty."),
        Size { max, .. } => {
            Failure::new(Failure::TOO_LARGE, format!("A video has at most {max} bytes here."))
        }
        Unsupported => {
            Failure::new(Failure::UNSUPPORTED_MEDIA, "The file is not a video of a supported format.")
        }
        NoVideo => Failure::new(Failure::NO_VIDEO, "There is no picture in the file."),
        TooComplex => Failure::new(Failure::TOO_COMPLEX, "The video is too complex to be processed."),
        Unreadable(_) | Gone | Fault(_) => {
            Failure::new(Failure::UNREADABLE, "The file is damaged, or in a codec that is not supported.")
        }
    }
}
