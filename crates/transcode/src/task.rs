//! The tasks of a transcoding, which a state machine runs on AWS and a loop runs locally.
//!
//! Every task is idempotent, even if it runs twice at the same time: it writes the same objects, and its update of the
//! record counts once. A failure of the video is recorded and the task succeeds; later tasks see the failure and do
//! nothing. A fault on our or AWS's side is returned as an error, and the task should be retried.

mod objects;
mod rung;

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::transcode::{Run, TranscodeStatus};
use upreel_core::video::Record;
use upreel_core::{Bucket, Failure, Fault, Key, Status};
use upreel_function::App;
use upreel_media::slice::Slice;
use upreel_media::{Index, Source};
use upreel_store::objects::{Head, StoredObject};
use upreel_store::videos::UpdateOutcome;

use self::objects::{StoredPlan, Unusable, manifest_name};
use crate::encode::Engine;
use crate::error::{Error, failure, fall_back_without_index, gone, unknown_container};
use crate::plan::Plan;
use crate::playlist::{playlists, rung};

/// Maximum number of concurrent requests to S3.
const PARALLEL: usize = 16;

/// A task of a transcoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase")]
pub enum Task {
    /// Plan the chunks from the container's index. The result lists their numbers, in the order in which to encode
    /// them; it is empty if there is nothing to do.
    Plan(Run),
    /// Encode one chunk.
    Encode {
        /// The run that the chunk belongs to.
        #[serde(flatten)]
        run: Run,
        /// The chunk's number.
        index: usize,
    },
    /// Write the playlists.
    Package(Run),
    /// Record that transcoding failed on our side, after all retries.
    Fail(Run),
}

impl Task {
    /// Parses the event of an invocation: a task from the state machine, or the event of an execution that failed, from
    /// an `EventBridge` rule.
    ///
    /// # Errors
    /// Returns a fault if the event is neither.
    pub fn from_event(mut event: Value) -> Result<Self, Fault> {
        // A state fails if it names a field that its input does not have, so it passes the whole input on.
        if let Some(rung) = event["input"].get("rung").cloned() {
            event["rung"] = rung;
        }
        let read = match event["detail"]["input"].as_str() {
            Some(input) => serde_json::from_str(input).map(Self::Fail),
            None => serde_json::from_value(event),
        };
        read.map_err(|error| Fault::new("read the event", &error))
    }
}

/// Runs a task. ffmpeg is killed at `deadline`. Returns JSON with `chunks`, the numbers of the chunks to encode.
///
/// # Errors
/// Returns a fault if something failed on our or AWS's side; the task should be retried.
pub async fn handle(app: &App, task: &Task, deadline: Instant) -> Result<Value, Fault> {
    handle_with(app, task, deadline, Engine::FFMPEG).await
}

/// Runs a task as [`handle`] does, with other functions in the place of ffmpeg. The simulation uses it, because ffmpeg
/// does not run in simulated time.
///
/// # Errors
/// As [`handle`].
pub async fn handle_with(app: &App, task: &Task, deadline: Instant, engine: Engine) -> Result<Value, Fault> {
    let (Task::Plan(run) | Task::Encode { run, .. } | Task::Package(run) | Task::Fail(run)) = task;
    let work = Work { app, run, deadline, engine };
    let result = match task {
        Task::Plan(_) => work.plan().await,
        Task::Encode { index, .. } => work.encode(*index).await.map(|()| Vec::new()),
        Task::Package(_) => work.package().await.map(|()| Vec::new()),
        Task::Fail(_) => work.fail().await.map(|()| Vec::new()).map_err(Error::from),
    };
    match result {
        Ok(chunks) => Ok(json!({"chunks": chunks})),
        Err(Error::Fault(fault)) => Err(fault),
        Err(Error::Video(failure)) => {
            tracing::warn!(videoId = %run.video_id, code = failure.code, "video cannot be transcoded");
            work.clean_up_if_deleted(work.record_failure(&failure).await?).await?;
            Ok(json!({"chunks": []}))
        }
    }
}

/// A task's run, with what it needs.
struct Work<'a> {
    app: &'a App,
    run: &'a Run,
    deadline: Instant,
    engine: Engine,
}

impl Work<'_> {
    /// Returns the record, or `None` if it no longer belongs to this run.
    async fn record(&self) -> Result<Option<Record>, Fault> {
        let record = self.app.videos.get(self.run.video_id).await?.filter(|record| {
            record.video.status == Status::Processed && record.sequencer.as_ref() == Some(&self.run.sequencer)
        });
        if record.is_none() {
            tracing::info!(videoId = %self.run.video_id, "video was deleted or uploaded again, nothing to do");
        }
        Ok(record)
    }

    /// Returns whether the transcoding is still running. It is not if a chunk failed, or if the video was deleted or
    /// uploaded again.
    async fn is_running(&self) -> Result<bool, Fault> {
        let record = self.record().await?;
        let transcode = record.as_ref().and_then(|record| record.transcode_of(self.run));
        Ok(transcode.is_some_and(|transcode| transcode.status == TranscodeStatus::Running))
    }

    async fn plan(&self) -> Result<Vec<usize>, Error> {
        let Run { video_id, rung, .. } = self.run;
        let record = self.record().await?;
        let open = |record: &Record| match record.transcode_of(self.run) {
            Some(transcode) => transcode.can_resume(),
            None => rung.is_none(),
        };
        let Some(record) = record.filter(open) else { return Ok(Vec::new()) };
        let head = self.app.objects.head(&self.key()?).await?.ok_or_else(gone)?;
        // The row describes another object: its event is going to be processed.
        if record.etag.as_ref().is_some_and(|etag| *etag != head.etag) {
            return Err(gone());
        }
        let source = self.source(head.size, &head.etag).await?;
        let media_info = &record.video.media_info;
        let container = media_info.container.ok_or_else(unknown_container)?;
        // If the index reader fails, ffmpeg may still read the file, as one chunk.
        let index = match Index::open(&source, container).await.map_err(Into::into) {
            Ok(index) => index,
            Err(error) => fall_back_without_index(error)?,
        };
        let streams = index.as_ref().map(Index::streams).unwrap_or_default();
        let ffmpeg = &self.app.config.ffmpeg;
        let inspected = (self.engine.inspect)(&source, container, &streams, ffmpeg, self.deadline);
        let inspection = inspected.await.map_err(failure)?;
        let (plan, slices) = match rung {
            Some(rung) => {
                let original = self.load_original(&head.etag).await?;
                let from = record.transcode_of(self.run).map_or(0, |transcode| transcode.from);
                let of = (&original.timeline, rung.as_str(), from);
                Plan::of_rung_with_slices(&source, index.as_ref(), media_info, &inspection, of).await?
            }
            None => Plan::with_slices(&source, index.as_ref(), media_info, &inspection, None).await?,
        };
        let media_bytes: u64 = slices.iter().map(Slice::media_bytes).sum();
        self.store_slices(slices).await?;
        let chunks = plan.chunks.len();
        tracing::info!(videoId = %video_id, chunks, rungs = plan.rungs.len(), bytes = source.stats().bytes, media_bytes, "planned");
        let Head { size, etag, .. } = head;
        let order = plan.order().collect();
        self.store_json("plan.json", &StoredPlan { size, etag, plan }).await?;
        let before = record.transcode_of(self.run);
        let outcome = self.app.videos.mark_transcode_started(self.run, chunks, before).await?;
        self.clean_up_if_deleted(outcome).await?;
        Ok(if outcome == UpdateOutcome::Recorded { order } else { Vec::new() })
    }

    async fn encode(&self, index: usize) -> Result<(), Error> {
        if !self.is_running().await? {
            return Ok(());
        }
        let video_id = self.run.video_id;
        let (StoredPlan { size, etag, plan }, hash) = self.load_plan().await?;
        if self.load_manifest(index, &hash).await?.is_none() {
            let start = Instant::now();
            let source = self.source(size, &etag).await?;
            let slice = if plan.is_sliced { Some(self.load_slice(index).await?) } else { None };
            let ffmpeg = &self.app.config.ffmpeg;
            let encoded =
                (self.engine.encode)(&source, &plan, index, slice.as_ref(), ffmpeg, self.deadline).await;
            let (mut manifest, objects) = encoded.map_err(failure)?;
            manifest.plan = hash;
            let (ms, bytes) = (start.elapsed().as_millis(), source.stats().bytes);
            tracing::info!(videoId = %video_id, index, pictures = manifest.frames, bytes, ms, "chunk encoded");
            self.store_all(&etag, objects).await?;
            if self.run.rung.is_some() && index == plan.first {
                self.announce(&plan, &manifest, &etag).await?;
            }
            self.store_json(&manifest_name(index), &manifest).await?;
        }
        let chunk = plan.chunk_name(index);
        let outcome = self.app.videos.mark_chunk_encoded(self.run, (index, &chunk)).await?;
        Ok(self.clean_up_if_deleted(outcome).await?)
    }

    async fn package(&self) -> Result<(), Error> {
        let video_id = self.run.video_id;
        if !self.is_running().await? {
            return Ok(());
        }
        let (StoredPlan { plan, etag, .. }, hash) = self.load_plan().await?;
        let (hash, chunks) = (&hash, plan.chunks.len());
        let manifests = (0..chunks).map(|index| async move { self.load_manifest(index, hash).await });
        let manifests: Vec<_> = stream::iter(manifests).buffered(PARALLEL).try_collect().await?;
        let manifests: Vec<_> = manifests.into_iter().flatten().collect();
        let incomplete = |error| Fault::new("write the playlists", &error);
        let outcome = if self.run.rung.is_some() {
            self.publish(&rung(&plan, manifests).map_err(incomplete)?, &etag).await?
        } else {
            self.store_all(&etag, playlists(&plan, manifests).map_err(incomplete)?).await?;
            self.app.videos.mark_transcoded(self.run).await?
        };
        self.clean_up_if_deleted(outcome).await?;
        tracing::info!(videoId = %video_id, "transcoded");
        Ok(())
    }

    async fn fail(&self) -> Result<(), Fault> {
        let failure =
            Failure::new(Failure::INTERNAL, "Transcoding failed on our side and will be repeated later.");
        self.clean_up_if_deleted(self.record_failure(&failure).await?).await
    }

    async fn record_failure(&self, failure: &Failure) -> Result<UpdateOutcome, Fault> {
        let record = self.record().await?;
        let before = record.as_ref().and_then(|record| record.transcode_of(self.run));
        self.app.videos.mark_transcode_failed(self.run, failure, before).await
    }

    /// Deletes the renditions if the record says that the video was deleted during the task.
    async fn clean_up_if_deleted(&self, outcome: UpdateOutcome) -> Result<(), Fault> {
        if outcome == UpdateOutcome::Deleted {
            self.app.objects.delete_made(self.run.video_id, Bucket::Processed).await?;
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, Error> {
        match self.run.key.parse() {
            Ok(key @ Key::Video { .. }) => Ok(key),
            _ => Err(Fault::new("read the key", &Unusable("key")).into()),
        }
    }

    async fn source(&self, size: u64, etag: &str) -> Result<Arc<Source>, Error> {
        let source = Source::new(size, StoredObject::new(&self.app.objects, &self.key()?, etag));
        let source = source.without_tag(0).await.map_err(|error| failure(error.into()))?;
        Ok(Arc::new(source.allow_full_read()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::VideoId;

    #[test]
    fn parses_tasks_and_execution_events() {
        let id = VideoId::new();
        let run = Run {
            video_id: id,
            key: format!("videos/u/{id}.mp4"),
            sequencer: "0055".parse().unwrap_or_else(|e| panic!("{e}")),
            rung: None,
        };
        let text = json!({"videoId": id, "key": run.key, "sequencer": run.sequencer.as_str()});
        let with = |task: &str, more: Value| {
            let mut text = text.clone();
            text["task"] = task.into();
            if let (Some(text), Some(more)) = (text.as_object_mut(), more.as_object()) {
                text.extend(more.clone());
            }
            serde_json::from_value::<Task>(text).unwrap_or_else(|e| panic!("{e}"))
        };
        assert_eq!(with("plan", json!({})), Task::Plan(run.clone()));
        assert_eq!(with("encode", json!({"index": 3})), Task::Encode { run: run.clone(), index: 3 });
        assert_eq!(with("package", json!({})), Task::Package(run.clone()));
        let rung = Run { rung: Some("v720".to_owned()), ..run.clone() };
        let event = json!({"task": "encode", "videoId": id, "key": run.key, "sequencer": "0055", "index": 3, "input": rung});
        assert_eq!(
            Task::from_event(event).unwrap_or_else(|e| panic!("{e}")),
            Task::Encode { run: rung, index: 3 }
        );
        assert_eq!(with("fail", json!({"cause": "x"})), Task::Fail(run.clone()));
        let status = json!({"detail-type": "Step Functions Execution Status Change",
                            "detail": {"status": "TIMED_OUT", "input": text.to_string()}});
        assert_eq!(Task::from_event(status).ok(), Some(Task::Fail(run)));
        assert!(Task::from_event(json!({"task": "other"})).is_err());
    }
}
