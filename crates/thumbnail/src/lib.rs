//! The `thumbnail` function: handles S3 events for uploaded objects. It makes the previews, records the media info and
//! updates the status.
//!
//! A failure of the video is recorded (status FAILED, with a code) and the event is acknowledged, because a retry would
//! fail again. A fault on our or AWS's side is returned as an error: Lambda retries twice, then the event goes to the
//! dead-letter queue, and to the `reconcile` function, which records that it was given up. Every step is idempotent, so
//! no event needs a lock:
//!
//! | step | a repetition finds |
//! |---|---|
//! | claim the event | the row is unfinished: claimed again. It is finished: nothing to do. |
//! | store the previews | objects with the same content: their keys contain event and entity tag. |
//! | record the result | the row has it. |
//!
//! IAM: `dynamodb:UpdateItem`, `GetItem` and `PutItem`; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`; `s3:PutObject` and `s3:DeleteObject` on `thumbnails/*` and `storyboards/*`; `s3:ListBucket` on both
//! buckets, without which a missing object is a 403; and `states:StartExecution`, if transcoding is enabled.

mod failure;
mod previews;

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;
use upreel_core::transcode::{Run, Transcode};
use upreel_core::video::{PreviewKeys, Record};
use upreel_core::{Bucket, Failure, Fault, Key, Sequencer, Status, UserId, Version, VideoId};
use upreel_events::s3::{self, Created};
use upreel_function::App;
use upreel_media::keyframe::HEAD;
use upreel_media::{Error, Source};
use upreel_store::objects::{Head, StoredObject};
use upreel_store::videos::{Claim, Processed, UpdateOutcome};

use crate::failure::failure;
pub use crate::previews::{MakePreviews, Previews, Storyboarding, make_previews};

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
    handle_with(app, event, deadline, make_previews).await
}

/// Handles an event as [`handle`] does, with another function that makes the previews. The simulation uses it, because
/// ffmpeg does not run in simulated time.
///
/// # Errors
/// As [`handle`].
pub async fn handle_with(
    app: &App,
    event: &Value,
    deadline: Instant,
    make: MakePreviews,
) -> Result<Vec<Run>, Fault> {
    let mut outcome = Ok(Vec::new());
    for created in s3::parse(event)? {
        match process(app, &created, deadline, make).await {
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
    make: MakePreviews,
    is_superseding: bool,
}

async fn process(
    app: &App,
    created: &Created,
    deadline: Instant,
    make: MakePreviews,
) -> Result<Option<Run>, Fault> {
    let Ok(key @ Key::Video { .. }) = created.key.parse() else {
        tracing::warn!(key = created.key, "object is not an upload, ignoring it");
        return Ok(None);
    };
    let Key::Video { ref user, id, .. } = key else { return Ok(None) };
    let sequencer = &created.sequencer;
    let mut job = Job { app, key: &key, id, sequencer, deadline, make, is_superseding: false };
    match claim(app, &key, user, created).await? {
        Claim::Granted { is_superseding } => job.is_superseding = is_superseding,
        Claim::Stale(record) if record.incomplete && record.sequencer.as_ref() == Some(sequencer) => {
            return job.complete(&record).await.map(|()| None);
        }
        Claim::Stale(_) => {
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
    }
    job.run(Head { size: created.size, etag: created.etag.clone(), content_type: None }).await?;
    job.pending_run().await
}

/// Claims the record for this event. If the record is missing (expired or lost) but the object exists, recreates it.
async fn claim(app: &App, key: &Key, user: &UserId, created: &Created) -> Result<Claim, Fault> {
    let object = (created.size, created.etag.as_str());
    let claim = app.videos.claim(key, user, &created.sequencer, object).await?;
    if !matches!(claim, Claim::Missing) || !app.recreate_row(key, user).await? {
        return Ok(claim);
    }
    app.videos.claim(key, user, &created.sequencer, object).await
}

impl Job<'_> {
    async fn run(&self, mut head: Head) -> Result<(), Fault> {
        for _ in 0..MAX_CHANGES {
            match self.make_previews(&head).await {
                Ok(previews) => return self.succeed(previews, head).await,
                Err(Error::Fault(fault)) => return Err(fault),
                Err(Error::Gone) => {}
                Err(error) => return self.fail(&head, &failure(&error)).await,
            }
            // The object was replaced since the event. The event of the new object may be late or lost, so this attempt
            // processes the new object.
            let Some(now) = self.app.objects.head(self.key).await? else {
                return self.fail(&head, &Failure::lost()).await;
            };
            head = now;
        }
        Err(Fault::message("read the object", "it keeps changing"))
    }

    /// Makes the previews of the object described by `head`.
    async fn make_previews(&self, head: &Head) -> Result<Previews, Error> {
        let max = self.app.config.max_upload_bytes;
        if head.size == 0 || head.size > max {
            return Err(Error::Size { size: head.size, max });
        }
        let object = StoredObject::new(&self.app.objects, self.key, &head.etag);
        let source = Arc::new(Source::new(head.size, object).without_tag(HEAD).await?);
        let image = Key::StoryboardImage(self.id, self.version(head)).file_name();
        (self.make)(self.app, self.id, &source, &image, self.deadline).await
    }

    fn version(&self, head: &Head) -> Version {
        Version::new(self.sequencer.clone(), &head.etag)
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
    async fn succeed(&self, previews: Previews, head: Head) -> Result<(), Fault> {
        let version = self.version(&head);
        let (has_storyboard, incomplete) = match &previews.storyboard {
            Storyboarding::Made(_) => (true, false),
            Storyboarding::None => (false, false),
            Storyboarding::Fault => (false, true),
        };
        let keys = PreviewKeys::new(self.id, &version, has_storyboard, previews.poster.blur_hash.clone());
        let media_info = previews.poster.media_info.clone();
        self.store(previews, &version).await?;
        let transcode =
            self.app.config.state_machine.as_ref().map(|_| Transcode::waiting(self.sequencer.clone()));
        let Head { size, etag, .. } = head;
        let processed = Processed { size, etag, media_info, previews: keys, incomplete, transcode };
        let videos = &self.app.videos;
        match videos.mark_processed(self.id, self.sequencer, &processed, self.is_superseding).await? {
            UpdateOutcome::Recorded => Ok(()),
            UpdateOutcome::Superseded => self.remove_unnamed(&version).await,
            UpdateOutcome::Deleted => self.clean_up().await,
        }
    }

    /// Makes the storyboard that was left out because of a fault.
    async fn complete(&self, record: &Record) -> Result<(), Fault> {
        let (size, etag) = (record.video.size.unwrap_or_default(), record.etag.clone().unwrap_or_default());
        let head = Head { size, etag, content_type: None };
        let previews = match self.make_previews(&head).await {
            Ok(previews) => previews,
            Err(Error::Gone) => return Err(Fault::message("read the object", "it was replaced")),
            Err(Error::Fault(fault)) => return Err(fault),
            Err(_) => return self.complete_with(None).await,
        };
        match previews.storyboard {
            Storyboarding::None => self.complete_with(None).await,
            Storyboarding::Fault => Err(Fault::message("make the storyboard", "it failed again")),
            Storyboarding::Made(_) => {
                let version = self.version(&head);
                self.store(previews, &version).await?;
                self.complete_with(Some(&Key::StoryboardTrack(self.id, version))).await
            }
        }
    }

    async fn complete_with(&self, key: Option<&Key>) -> Result<(), Fault> {
        match self.app.videos.complete_storyboard(self.id, self.sequencer, key).await? {
            UpdateOutcome::Recorded => Ok(()),
            UpdateOutcome::Superseded => match key {
                Some(Key::StoryboardTrack(_, version)) => self.remove_unnamed(version).await,
                _ => Ok(()),
            },
            UpdateOutcome::Deleted => self.clean_up().await,
        }
    }

    /// Writes the previews. All writes end, even if one fails, so that none is in flight during a later clean-up.
    async fn store(&self, previews: Previews, version: &Version) -> Result<(), Fault> {
        let Previews { poster, storyboard } = previews;
        let [small, large, image, track] = Key::previews(self.id, version);
        let mut objects = vec![(small, JPEG, poster.jpeg), (large, JPEG, poster.large)];
        if let Storyboarding::Made(storyboard) = storyboard {
            objects.push((image, JPEG, storyboard.jpeg));
            objects.push((track, "text/vtt", storyboard.vtt.into()));
        }
        let stored = objects
            .into_iter()
            .map(async |(key, content_type, body)| self.app.objects.store(&key, content_type, body).await);
        join_all(stored).await.into_iter().collect()
    }

    /// Deletes the previews that this attempt has written, unless the record names them: it no longer belongs to the
    /// event, or another attempt has processed the same object.
    async fn remove_unnamed(&self, version: &Version) -> Result<(), Fault> {
        let record = self.app.videos.get(self.id).await?;
        if record.as_ref().is_some_and(|record| record.video.status == Status::Deleted) {
            return self.clean_up().await;
        }
        tracing::info!(videoId = %self.id, "superseded by a newer upload, or already processed");
        // A storyboard that the row does not name yet may be made by another worker that is about to record it.
        if record.as_ref().is_some_and(|record| {
            record.video.status == Status::Processed && record.version().as_ref() == Some(version)
        }) {
            return Ok(());
        }
        let keys = Key::previews(self.id, version).into_iter();
        let unnamed: Vec<String> = keys
            .filter(|key| !record.as_ref().is_some_and(|record| record.previews.contains(key)))
            .map(|key| key.to_string())
            .collect();
        self.app.objects.delete_keys(Bucket::Thumbnails, &unnamed).await
    }

    /// Records the failure.
    async fn fail(&self, head: &Head, failure: &Failure) -> Result<(), Fault> {
        let (videos, result) = (&self.app.videos, (head.etag.as_str(), failure));
        match videos.mark_failed(self.id, self.sequencer, result, self.is_superseding).await? {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }

    /// Deletes the objects of a video that was deleted while it was being processed. The reconciler deletes the rest.
    async fn clean_up(&self) -> Result<(), Fault> {
        let previews = self.app.objects.delete_made(self.id, Bucket::Thumbnails).await;
        self.app.objects.delete(self.key).await?;
        previews.map(drop)
    }
}
