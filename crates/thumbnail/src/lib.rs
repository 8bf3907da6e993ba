//! An object was written: poster, storyboard, facts, status.
//!
//! What is wrong with a video is recorded (FAILED, with a code) and acknowledged: a retry would find
//! the same. What is wrong on our side is an error: Lambda tries again twice, then the event waits in
//! the dead-letter queue. Every move can be done twice without harm, so no event needs a lock.
//!
//! IAM: `dynamodb:UpdateItem`, `GetItem` and `PutItem`; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`; `s3:PutObject`, `s3:GetObject` and `s3:DeleteObject` on `thumbnails/*` and
//! `storyboards/*`; `s3:ListBucket` on both buckets, without which a missing object is a 403; and
//! `states:StartExecution`, if there is a state machine that transcodes.

pub mod executions;
mod previews;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;
use upreel_core::transcode::{Run, Transcode};
use upreel_core::video::{PreviewKeys, Record};
use upreel_core::{Failure, Fault, Key, Sequencer, Status, UserId, VideoId};
use upreel_function::App;
use upreel_media::{Error, Storyboard};
use upreel_store::objects::{Head, PutOutcome, WriteCondition};
use upreel_store::videos::{Claim, UpdateOutcome};

use crate::previews::{Previews, previews};
use upreel_events::s3::{self, Created};

/// How often Lambda tries an asynchronous event: once, and two retries.
pub const ATTEMPTS: u32 = 3;
/// How often an object that keeps changing is looked at again, in one attempt.
const CHANGES: u32 = 3;
const JPEG: &str = "image/jpeg";

/// Handles one event; ffmpeg is killed at `deadline`. Tells which uploads may be transcoded now.
///
/// # Errors
/// When something failed that may pass: the event should be tried again. The event's other objects
/// have been dealt with.
pub async fn handle(app: &App, event: &Value, deadline: Instant) -> Result<Vec<Run>, Fault> {
    let mut outcome = Ok(Vec::new());
    for created in s3::parse(event)? {
        match process(app, &created, deadline).await {
            Ok(processed) => {
                if let Ok(runs) = &mut outcome {
                    runs.extend(processed);
                }
            }
            Err(fault) => {
                tracing::error!(key = created.key, %fault, "attempt failed");
                outcome = Err(fault);
            }
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

async fn process(app: &App, created: &Created, deadline: Instant) -> Result<Option<Run>, Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else {
        tracing::warn!(key = created.key, "not an upload, ignored");
        return Ok(None);
    };
    let Key::Video { ref user, id, .. } = key else { return Ok(None) };
    let job = Job { app, key: &key, id, sequencer: &created.sequencer, deadline };
    let attempt = match claim(app, &key, user, id, created).await? {
        Claim::Granted { attempt } => attempt,
        Claim::Stale => {
            tracing::info!(videoId = %id, "an event that the record has seen, nothing to do");
            return job.to_transcode().await;
        }
        // It was uploaded again, with a URL signed before it was deleted; or it was deleted between two
        // attempts, and the first had stored pictures.
        Claim::Deleted => return job.clean_up().await.map(|()| None),
        Claim::Missing => {
            tracing::info!(videoId = %id, "neither record nor object, nothing to do");
            return Ok(None);
        }
    };
    let result = job.run(created).await;
    if result.is_err() && attempt >= ATTEMPTS {
        // The last attempt: people see it now; a replay of the same event may start again.
        let failure = Failure::new(
            Failure::INTERNAL,
            "Processing failed on our side; the operators can start it again.",
        );
        job.fail(&failure).await?;
    }
    result?;
    job.to_transcode().await
}

/// Claims the row; one that is missing (expired, or lost) is made again if the object is there.
async fn claim(app: &App, key: &Key, user: &UserId, id: VideoId, created: &Created) -> Result<Claim, Fault> {
    let claim = app.videos.claim(id, user, &created.sequencer, created.size).await?;
    if !matches!(claim, Claim::Missing) {
        return Ok(claim);
    }
    let Some(head) = app.objects.head(key).await? else { return Ok(claim) };
    let media_type = head.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    app.videos.create(&Record::pending(key, id, user.clone(), key.file_name(), media_type)).await?;
    app.videos.claim(id, user, &created.sequencer, created.size).await
}

impl Job<'_> {
    async fn run(&self, created: &Created) -> Result<(), Fault> {
        let mut head = Head { size: created.size, etag: format!("\"{}\"", created.etag), content_type: None };
        for _ in 0..CHANGES {
            match previews(self.app, (self.key, self.id), &head, self.deadline).await {
                Ok(previews) => return self.succeed(previews, head.size).await,
                Err(Error::Fault(fault)) => return Err(fault),
                Err(Error::Gone) => {}
                Err(error) => return self.fail(&failure(&error)).await,
            }
            // Not the object of the event any more. Its own event may be late or lost, so what is
            // there now is what counts.
            match self.app.objects.head(self.key).await? {
                Some(now) => head = now,
                None => return self.fail(&Failure::new(Failure::UNREADABLE, "The file was removed.")).await,
            }
        }
        Err(Fault::message("read the object", "it keeps changing"))
    }

    /// The upload, if it is processed and there are renditions to be made that nobody has begun. Also for an event
    /// that is told again: the attempt before may have ended here.
    async fn to_transcode(&self) -> Result<Option<Run>, Fault> {
        if self.app.config.state_machine.is_none() {
            return Ok(None);
        }
        let record = self.app.videos.get(self.id).await?.filter(|record| {
            record.video.status == Status::Processed
                && record.sequencer.as_ref() == Some(self.sequencer)
                && record.transcode.as_ref().is_none_or(Transcode::is_waiting)
        });
        Ok(record.map(|record| Run { video_id: self.id, key: record.key, sequencer: self.sequencer.clone() }))
    }

    async fn succeed(&self, previews: Previews, size: u64) -> Result<(), Fault> {
        let (id, poster) = (self.id, previews.poster);
        let pictures = PreviewKeys::new(id, previews.storyboard.is_some(), poster.blur_hash);
        let mut objects =
            vec![(Key::Thumbnail(id), JPEG, poster.jpeg), (Key::ThumbnailLarge(id), JPEG, poster.large)];
        if let Some(Storyboard { jpeg, vtt }) = previews.storyboard {
            objects.push((Key::StoryboardImage(id), JPEG, jpeg));
            objects.push((Key::StoryboardTrack(id), "text/vtt", vtt.into()));
        }
        // All come to an end, also if one fails: no write is under way when a clean-up follows.
        let stored = join_all(objects.iter().map(|(key, kind, body)| self.store(key, kind, body))).await;
        if stored.into_iter().collect::<Result<Vec<bool>, Fault>>()?.contains(&false) {
            return self.superseded().await;
        }
        let transcode =
            self.app.config.state_machine.as_ref().map(|_| Transcode::waiting(self.sequencer.clone()));
        let videos = &self.app.videos;
        match videos
            .mark_processed(id, self.sequencer, size, &poster.media_info, &pictures, transcode)
            .await?
        {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }

    /// Writes one object unless a newer event owns the row; `false` if so.
    ///
    /// Two events may be at work on one video. The object that is in the way is identified before the
    /// row is asked, and only that one is replaced: so the older event, which finds itself superseded
    /// at the latest by the newer one's object, can never overwrite it. What the newer one does not make
    /// (it may have no storyboard) may stay from the older one: no row names it, and DELETE removes it.
    async fn store(&self, key: &Key, content_type: &str, body: &Bytes) -> Result<bool, Fault> {
        let objects = &self.app.objects;
        let mut seen: Option<Head> = None;
        for _ in 0..CHANGES {
            let replace =
                seen.as_ref().map_or(WriteCondition::Absent, |head| WriteCondition::Matches(&head.etag));
            if objects.put(key, content_type, body.clone(), replace).await? == PutOutcome::Done {
                return Ok(true);
            }
            seen = objects.head(key).await?;
            if !self.app.videos.is_current_event(self.id, self.sequencer).await? {
                return Ok(false);
            }
        }
        Err(Fault::message("store the pictures", "they keep changing"))
    }

    /// The row does not follow this event any more. If that is because the video was deleted, then
    /// some object may have been written after the deletion.
    async fn superseded(&self) -> Result<(), Fault> {
        let record = self.app.videos.get(self.id).await?;
        if record.is_some_and(|record| record.video.status == Status::Deleted) {
            return self.clean_up().await;
        }
        tracing::info!(videoId = %self.id, "superseded by a newer upload");
        Ok(())
    }

    async fn fail(&self, failure: &Failure) -> Result<(), Fault> {
        match self.app.videos.mark_failed(self.id, self.sequencer, failure).await? {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }

    /// The video was deleted during the work: nothing of it may stay.
    async fn clean_up(&self) -> Result<(), Fault> {
        let mut keys = Key::previews(self.id).to_vec();
        keys.push(self.key.clone());
        self.app.objects.delete_all(&keys).await
    }
}

/// What users are told.
fn failure(error: &Error) -> Failure {
    use Error::{Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
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
