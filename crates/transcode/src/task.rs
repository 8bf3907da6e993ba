//! The tasks of a transcoding: for a state machine, or a loop.
//!
//! Each can be done twice, at the same time too, without harm: it writes the same objects, and what it tells the
//! row counts once. What is wrong with a video is written into its row and is no error: the tasks after it find that,
//! and do nothing. What is wrong on our side is an error, to be tried again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::transcode::{Run, Transcode, TranscodeStatus};
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Key, Status};
use upreel_function::App;
use upreel_media::{Index, Source};
use upreel_store::objects::{Head, StoredObject};
use upreel_store::videos::UpdateOutcome;

use crate::encode::{Manifest, Object, encode};
use crate::error::{Error, failure, fall_back_without_index, gone};
use crate::plan::Plan;
use crate::playlist::playlists;

/// Objects that are written at the same time.
const PARALLEL: usize = 16;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase")]
pub enum Task {
    /// Cut the video into chunks, by its index. Gives their numbers; none if there is nothing to do.
    Plan(Run),
    /// Encode one of them.
    Encode {
        /// Of which upload.
        #[serde(flatten)]
        run: Run,
        /// Which one.
        index: usize,
    },
    /// Write the playlists.
    Package(Run),
    /// Give up: something failed on our side, for good.
    Fail(Run),
}

impl Task {
    /// As a state machine invokes it; or as the rule does which sees that an execution has come to a bad end.
    ///
    /// # Errors
    /// When it is no task.
    pub fn of_event(event: Value) -> Result<Self, Fault> {
        let read = match event["detail"]["input"].as_str() {
            Some(input) => serde_json::from_str(input).map(Self::Fail),
            None => serde_json::from_value(event),
        };
        read.map_err(|error| Fault::new("read the event", &error))
    }
}

/// What the tasks after the first go by.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Planned {
    size: u64,
    etag: String,
    plan: Plan,
}

/// Does a task; ffmpeg is killed at `deadline`. Gives `chunks`, the numbers of what is to be encoded.
///
/// # Errors
/// When something failed that may pass: the task should be tried again.
pub async fn handle(app: &App, task: &Task, deadline: Instant) -> Result<Value, Fault> {
    let (Task::Plan(run) | Task::Encode { run, .. } | Task::Package(run) | Task::Fail(run)) = task;
    let work = Work { app, run, deadline };
    let done = match task {
        Task::Plan(_) => work.plan().await,
        Task::Encode { index, .. } => work.encode(*index).await.map(|()| Vec::new()),
        Task::Package(_) => work.package().await.map(|()| Vec::new()),
        Task::Fail(_) => work.fail().await.map(|()| Vec::new()).map_err(Error::from),
    };
    match done {
        Ok(chunks) => Ok(json!({"chunks": chunks})),
        Err(Error::Fault(fault)) => Err(fault),
        Err(Error::Video(failure)) => {
            tracing::warn!(videoId = %run.video_id, code = failure.code, "cannot be transcoded");
            work.settle(app.videos.mark_transcode_failed(run.video_id, &run.sequencer, &failure).await?)
                .await?;
            Ok(json!({"chunks": []}))
        }
    }
}

struct Work<'a> {
    app: &'a App,
    run: &'a Run,
    deadline: Instant,
}

impl Work<'_> {
    /// The row, while it is of this upload.
    async fn record(&self) -> Result<Option<Record>, Fault> {
        let record = self.app.videos.get(self.run.video_id).await?.filter(|record| {
            record.video.status == Status::Processed && record.sequencer.as_ref() == Some(&self.run.sequencer)
        });
        if record.is_none() {
            tracing::info!(videoId = %self.run.video_id, "deleted or uploaded again, nothing to do");
        }
        Ok(record)
    }

    /// Whether the rest is still wanted: not if a chunk could not be encoded.
    async fn is_running(&self) -> Result<bool, Fault> {
        let transcode = self.record().await?.and_then(|record| record.transcode);
        Ok(transcode.is_some_and(|transcode| transcode.status == TranscodeStatus::Running))
    }

    async fn plan(&self) -> Result<Vec<usize>, Error> {
        let Run { video_id, sequencer, .. } = self.run;
        let record = self.record().await?;
        let open = |record: &Record| record.transcode.as_ref().is_none_or(Transcode::can_resume);
        let Some(record) = record.filter(open) else { return Ok(Vec::new()) };
        let head = self.app.objects.head(&self.key()?).await?.ok_or_else(gone)?;
        let source = self.source(head.size, &head.etag)?;
        let index = match record.video.media_info.container {
            Some(container) => Index::open(&source, container).await,
            None => Ok(None),
        };
        // What its reader does not understand, ffmpeg may: as a whole.
        let cuts = match index.map_err(Into::into) {
            Ok(Some(index)) => match index.cuts(&source).await.map_err(Into::into) {
                Ok(cuts) => cuts,
                Err(error) => fall_back_without_index(error)?,
            },
            Ok(None) => None,
            Err(error) => fall_back_without_index(error)?,
        };
        let plan = Plan::new(&record.video.media_info, cuts.as_ref()).map_err(Error::Video)?;
        let chunks = plan.parts.len();
        tracing::info!(videoId = %video_id, chunks, rungs = plan.rungs.len(), bytes = source.stats().bytes, "planned");
        let Head { size, etag, .. } = head;
        self.store_json("plan.json", &Planned { size, etag, plan }).await?;
        let begun = self.app.videos.mark_transcode_started(*video_id, sequencer, chunks).await?;
        self.settle(begun).await?;
        Ok(if begun == UpdateOutcome::Recorded { (0..chunks).collect() } else { Vec::new() })
    }

    async fn encode(&self, index: usize) -> Result<(), Error> {
        let Run { video_id, sequencer, .. } = self.run;
        if !self.is_running().await? {
            return Ok(());
        }
        let Planned { size, etag, plan } = self.planned().await?;
        if self.load_json::<Manifest>(&manifest_name(index)).await?.is_none() {
            let start = Instant::now();
            let source = self.source(size, &etag)?;
            let encoded = encode(&source, &plan, index, &self.app.config.ffmpeg, self.deadline).await;
            let (manifest, objects) = encoded.map_err(failure)?;
            let (ms, bytes) = (start.elapsed().as_millis(), source.stats().bytes);
            tracing::info!(videoId = %video_id, index, pictures = manifest.pictures, bytes, ms, "chunk encoded");
            self.store_all(objects).await?;
            self.store_json(&manifest_name(index), &manifest).await?;
        }
        Ok(self.settle(self.app.videos.mark_chunk_encoded(*video_id, sequencer, index).await?).await?)
    }

    async fn package(&self) -> Result<(), Error> {
        let Run { video_id, sequencer, .. } = self.run;
        if !self.is_running().await? {
            return Ok(());
        }
        let Planned { plan, .. } = self.planned().await?;
        let manifests = (0..plan.parts.len())
            .map(|index| async move { self.load_json::<Manifest>(&manifest_name(index)).await });
        let manifests = try_join_all(manifests).await?.into_iter().flatten().collect();
        let objects =
            playlists(&plan, manifests).map_err(|error| Fault::new("write the playlists", &error))?;
        self.store_all(objects).await?;
        self.settle(self.app.videos.mark_transcoded(*video_id, sequencer).await?).await?;
        tracing::info!(videoId = %video_id, "transcoded");
        Ok(())
    }

    async fn fail(&self) -> Result<(), Fault> {
        let Run { video_id, sequencer, .. } = self.run;
        let failure = Failure::new(
            Failure::INTERNAL,
            "Transcoding failed on our side; the operators can start it again.",
        );
        self.settle(self.app.videos.mark_transcode_failed(*video_id, sequencer, &failure).await?).await
    }

    /// Nothing stays of a video that was deleted meanwhile.
    async fn settle(&self, finish: UpdateOutcome) -> Result<(), Fault> {
        if finish == UpdateOutcome::Deleted {
            self.app.objects.delete_renditions(self.run.video_id).await?;
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, Error> {
        match self.run.key.parse() {
            Ok(key @ Key::Video { .. }) => Ok(key),
            _ => Err(Fault::new("read the key", &Unusable("key")).into()),
        }
    }

    fn source(&self, size: u64, etag: &str) -> Result<Arc<Source>, Error> {
        let source = Source::new(size, StoredObject::new(&self.app.objects, &self.key()?, etag));
        Ok(Arc::new(source.allow_full_read()))
    }

    async fn planned(&self) -> Result<Planned, Error> {
        let planned = self.load_json("plan.json").await?;
        planned.ok_or_else(|| Fault::new("read the plan", &Unusable("plan")).into())
    }

    async fn store_all(&self, objects: Vec<Object>) -> Result<(), Error> {
        let Run { video_id: id, sequencer: run, .. } = self.run;
        let store = objects.into_iter().map(|Object { name, bytes }| async move {
            let is_playlist = Path::new(&name).extension().is_some_and(|extension| extension == "m3u8");
            let kind = if is_playlist { "application/vnd.apple.mpegurl" } else { "video/mp4" };
            let name = name.parse().map_err(|error| Fault::new("name an object", &error))?;
            let key = Key::Rendition { id: *id, run: run.clone(), name };
            self.app.objects.store(&key, kind, bytes).await
        });
        stream::iter(store).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        Ok(())
    }

    fn work_key(&self, name: &str) -> Result<Key, Fault> {
        let name = name.parse().map_err(|error| Fault::new("name an object", &error))?;
        Ok(Key::Work { id: self.run.video_id, run: self.run.sequencer.clone(), name })
    }

    async fn store_json(&self, name: &str, value: &impl Serialize) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(value).map_err(|error| Fault::new("write a manifest", &error))?;
        self.app.objects.store(&self.work_key(name)?, "application/json", bytes.into()).await
    }

    async fn load_json<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Fault> {
        let bytes: Option<Bytes> = self.app.objects.load(&self.work_key(name)?).await?;
        let read = |bytes: Bytes| serde_json::from_slice(&bytes);
        bytes.map(read).transpose().map_err(|error| Fault::new("read a manifest", &error))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no usable {0}")]
struct Unusable(&'static str);

fn manifest_name(index: usize) -> String {
    format!("{index:04}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::VideoId;

    #[test]
    fn tasks_are_flat() {
        let id = VideoId::new();
        let run = Run {
            video_id: id,
            key: format!("videos/u/{id}.mp4"),
            sequencer: "0055".parse().unwrap_or_else(|e| panic!("{e}")),
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
        assert_eq!(with("fail", json!({"cause": "x"})), Task::Fail(run.clone()));
        let status = json!({"detail-type": "Step Functions Execution Status Change",
                            "detail": {"status": "TIMED_OUT", "input": text.to_string()}});
        assert_eq!(Task::of_event(status).ok(), Some(Task::Fail(run)));
        assert!(Task::of_event(json!({"task": "other"})).is_err());
    }
}
