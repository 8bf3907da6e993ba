//! The `thumbnail` function: handles S3 events for uploaded objects. It makes the previews, records the media info and
//! updates the status.
//!
//! A failure of the video is recorded (status FAILED, with a code) and the event is acknowledged, because a retry would
//! fail again. A fault on our or AWS's side is returned as an error: Lambda retries twice, then the event goes to the
//! dead-letter queue. Every step is idempotent, so no event needs a lock.
//!
//! IAM: `dynamodb:UpdateItem`, `GetItem` and `PutItem`; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`; `s3:PutObject`, `s3:GetObject` and `s3:DeleteObject` on `thumbnails/*` and
//! `storyboards/*`; `s3:ListBucket` on both buckets, without which a missing object is a 403; and
//! `states:StartExecution`, if transcoding is enabled.

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

use crate::previews::{Previews, make_previews};
use upreel_events::s3::{self, Created};

/// How often Lambda attempts an asynchronous event: once, plus two retries.
pub const ATTEMPTS: u32 = 3;
/// The number of times that one attempt starts over because the object was replaced while it was being read.
const MAX_CHANGES: u32 = 3;
const JPEG: &str = "image/jpeg";

/// Handles one S3 event, which may name several objects. ffmpeg is killed at `deadline`. Returns the runs whose
/// transcoding can start.
///
/// # Errors
/// Returns a fault if processing any object failed on our or AWS's side; the event should be retried. The other objects
/// of the event are processed all the same.
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

/// An object to process, with the event that announced it.
struct Job<'a> {
    app: &'a App,
    key: &'a Key,
    id: VideoId,
    sequencer: &'a Sequencer,
    deadline: Instant,
}

async fn process(app: &App, created: &Created, deadline: Instant) -> Result<Option<Run>, Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else {
        tracing::warn!(key = created.key, "object is not an upload, ignoring it");
        return Ok(None);
    };
    let Key::Video { ref user, id, .. } = key else { return Ok(None) };
    let job = Job { app, key: &key, id, sequencer: &created.sequencer, deadline };
    let attempt = match claim(app, &key, user, id, created).await? {
        Claim::Granted { attempt } => attempt,
        Claim::Stale => {
            tracing::info!(videoId = %id, "event already handled or superseded, nothing to do");
            return job.pending_run().await;
        }
        // Either the object was uploaded again with a URL signed before the video was deleted, or the video was
        // deleted between two attempts, the first of which had stored previews.
        Claim::Deleted => return job.clean_up().await.map(|()| None),
        Claim::Missing => {
            tracing::info!(videoId = %id, "record and object are missing, nothing to do");
            return Ok(None);
        }
    };
    let result = job.run(created).await;
    if result.is_err() && attempt >= ATTEMPTS {
        // This was the last attempt, so the user is informed. Replaying the event starts over.
        let failure = Failure::new(
            Failure::INTERNAL,
            "Processing failed on our side. The operators can start it again.",
        );
        job.fail(&failure).await?;
    }
    result?;
    job.pending_run().await
}

/// Claims the record for this event. If the record is missing (expired or lost) but the object exists, recreates it.
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
        for _ in 0..MAX_CHANGES {
            match make_previews(self.app, (self.key, self.id), &head, self.deadline).await {
                Ok(previews) => return self.succeed(previews, head.size).await,
                Err(Error::Fault(fault)) => return Err(fault),
                Err(Error::Gone) => {}
                Err(error) => return self.fail(&failure(&error)).await,
            }
            // The object was replaced since the event. The event of the new object may be late or lost, so this attempt
            // processes the new object.
            match self.app.objects.head(self.key).await? {
                Some(now) => head = now,
                None => {
                    return self
                        .fail(&Failure::new(
                            Failure::UNREADABLE,
                            "The file was removed before it was processed.",
                        ))
                        .await;
                }
            }
        }
        Err(Fault::message("read the object", "it keeps changing"))
    }

    /// Returns the run to transcode, if the video is processed and its transcoding has not begun. A repeated event
    /// returns it as well, because the previous attempt may have ended before it started the execution.
    async fn pending_run(&self) -> Result<Option<Run>, Fault> {
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

    /// Stores the previews and records the success.
    async fn succeed(&self, previews: Previews, size: u64) -> Result<(), Fault> {
        let (id, poster) = (self.id, previews.poster);
        let preview_keys = PreviewKeys::new(id, previews.storyboard.is_some(), poster.blur_hash);
        let mut objects =
            vec![(Key::Thumbnail(id), JPEG, poster.jpeg), (Key::ThumbnailLarge(id), JPEG, poster.large)];
        if let Some(Storyboard { jpeg, vtt }) = previews.storyboard {
            objects.push((Key::StoryboardImage(id), JPEG, jpeg));
            objects.push((Key::StoryboardTrack(id), "text/vtt", vtt.into()));
        }
        // `join_all` waits for all writes even if one fails, so none is in flight during a later clean-up.
        let stored = join_all(objects.iter().map(|(key, kind, body)| self.store(key, kind, body))).await;
        if stored.into_iter().collect::<Result<Vec<bool>, Fault>>()?.contains(&false) {
            return self.superseded().await;
        }
        let transcode =
            self.app.config.state_machine.as_ref().map(|_| Transcode::waiting(self.sequencer.clone()));
        let videos = &self.app.videos;
        match videos
            .mark_processed(id, self.sequencer, size, &poster.media_info, &preview_keys, transcode)
            .await?
        {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }

    /// Writes one object. Returns `false`, and does not write it, if a newer event owns the record.
    ///
    /// Two events may be processed for one video at the same time. If the object exists, its `ETag` is read before the
    /// record is checked, and only an object with that `ETag` is replaced. So the older event never overwrites an
    /// object of the newer one. Objects that the newer event does not make (it may have no storyboard) can remain from
    /// the older event: no record refers to them, and DELETE removes them.
    async fn store(&self, key: &Key, content_type: &str, body: &Bytes) -> Result<bool, Fault> {
        let objects = &self.app.objects;
        let mut seen: Option<Head> = None;
        for _ in 0..MAX_CHANGES {
            let condition =
                seen.as_ref().map_or(WriteCondition::Absent, |head| WriteCondition::Matches(&head.etag));
            if objects.put(key, content_type, body.clone(), condition).await? == PutOutcome::Done {
                return Ok(true);
            }
            seen = objects.head(key).await?;
            if !self.app.videos.is_current_event(self.id, self.sequencer).await? {
                return Ok(false);
            }
        }
        Err(Fault::message("store the previews", "they keep changing"))
    }

    /// Handles that the record no longer belongs to this event. If the video was deleted, removes the objects, because
    /// some may have been written after the deletion.
    async fn superseded(&self) -> Result<(), Fault> {
        let record = self.app.videos.get(self.id).await?;
        if record.is_some_and(|record| record.video.status == Status::Deleted) {
            return self.clean_up().await;
        }
        tracing::info!(videoId = %self.id, "superseded by a newer upload");
        Ok(())
    }

    /// Records the failure.
    async fn fail(&self, failure: &Failure) -> Result<(), Fault> {
        match self.app.videos.mark_failed(self.id, self.sequencer, failure).await? {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }

    /// Deletes all objects of a video that was deleted while it was being processed.
    async fn clean_up(&self) -> Result<(), Fault> {
        let mut keys = Key::previews(self.id).to_vec();
        keys.push(self.key.clone());
        self.app.objects.delete_all(&keys).await
    }
}

/// Converts an error to the failure that users see.
fn failure(error: &Error) -> Failure {
    use Error::{Fault, Gone, NoVideo, Size, TooComplex, Unreadable, Unsupported};
    match error {
        Size { size: 0, .. } => Failure::new(Failure::EMPTY_FILE, "The file is empty."),
        Size { max, .. } => {
            Failure::new(Failure::TOO_LARGE, format!("The file exceeds the maximum size of {max} bytes."))
        }
        Unsupported => {
            Failure::new(Failure::UNSUPPORTED_MEDIA, "The file is not a video in a supported format.")
        }
        NoVideo => Failure::new(Failure::NO_VIDEO, "The file has no video stream."),
        TooComplex => Failure::new(Failure::TOO_COMPLEX, "The video is too complex to process."),
        Unreadable(_) | Gone | Fault(_) => {
            Failure::new(Failure::UNREADABLE, "The file is damaged, or its codec is not supported.")
        }
    }
}
