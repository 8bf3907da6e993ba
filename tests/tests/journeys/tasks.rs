//! Single tasks of a transcoding, without an execution.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::transcode::{Run, TranscodeStatus};
use upreel_core::{Bucket, Key, Sequencer, VideoId};
use upreel_function::App;
use upreel_local::queue::Handler;
use upreel_transcode::{Engine, Task};

use crate::harness::{Backend, mp4, webm};

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// Returns a backend with a processed video, and the video's run. Later events are lost.
async fn processed() -> (Backend, Run) {
    let is_first = AtomicBool::new(true);
    let first_only = |handler: Handler| -> Handler {
        Arc::new(move |event| {
            let (is_first, handler) = (is_first.swap(false, Ordering::SeqCst), handler.clone());
            Box::pin(async move { if is_first { handler(event).await } else { Ok(()) } })
        })
    };
    let backend = Backend::start_with(|_| {}, first_only).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let record = backend.local.app.videos.get(id.parse().unwrap()).await.unwrap().unwrap();
    let (video_id, key, sequencer) = (record.video.video_id, record.key, record.sequencer.unwrap());
    let run = Run { video_id, key, sequencer, rung: None };
    (backend, run)
}

async fn plan(backend: &Backend, run: &Run) -> Result<Value, upreel_core::Fault> {
    upreel_transcode::handle(&backend.local.app, &Task::Plan(run.clone()), far()).await
}

#[tokio::test]
async fn playlists_need_every_chunk_of_the_plan() {
    let (backend, run) = processed().await;
    let app = &backend.local.app;
    let package = async || upreel_transcode::handle(app, &Task::Package(run.clone()), far()).await;
    let encode = Task::Encode { run: run.clone(), index: 0 };
    assert_eq!(plan(&backend, &run).await.unwrap(), json!({"chunks": [0]}));
    assert!(package().await.is_err(), "the chunk is not encoded");
    upreel_transcode::handle(app, &encode, far()).await.unwrap();

    let name = "plan.json".parse().unwrap();
    let key = Key::Work { id: run.video_id, run: run.sequencer.clone(), name };
    let first = app.objects.load(&key).await.unwrap().unwrap();
    let second = [&first, &b" "[..]].concat();
    app.objects.store(&key, "application/json", second.into()).await.unwrap();
    assert!(package().await.is_err(), "the chunk is encoded by another plan");
    app.objects.store(&key, "application/json", first).await.unwrap();
    package().await.unwrap();
    let record = app.videos.get(run.video_id).await.unwrap().unwrap();
    assert_eq!(record.transcode.unwrap().status, TranscodeStatus::Done);
}

#[tokio::test]
async fn results_of_an_older_release_are_made_again() {
    let (backend, run) = processed().await;
    let app = &backend.local.app;
    let store = async |name: &str, text: &'static str| {
        let name = name.parse().unwrap();
        let key = Key::Work { id: run.video_id, run: run.sequencer.clone(), name };
        app.objects.store(&key, "application/json", text.into()).await.unwrap();
    };
    let encode = Task::Encode { run: run.clone(), index: 0 };
    plan(&backend, &run).await.unwrap();
    store("plan.json", r#"{"size": 1, "etag": "x", "plan": {"container": "webm", "audio": true}}"#).await;
    let fault = upreel_transcode::handle(app, &encode, far()).await;
    assert!(fault.is_err(), "the next execution plans again");
    plan(&backend, &run).await.unwrap();
    store("0000.json", r#"{"index": 0, "frames": 1}"#).await;
    upreel_transcode::handle(app, &encode, far()).await.unwrap();
    upreel_transcode::handle(app, &Task::Package(run.clone()), far()).await.unwrap();
}

#[tokio::test]
async fn chunk_of_a_deleted_video_is_not_encoded() {
    let (backend, run) = processed().await;
    let app = &backend.local.app;
    plan(&backend, &run).await.unwrap();
    let encode = Task::Encode { run: run.clone(), index: 0 };
    app.videos.delete(run.video_id, &"local".parse().unwrap()).await.unwrap();
    let engine = Engine { encode: |_, _, _, _, _, _| panic!("encodes"), ..Engine::FFMPEG };
    upreel_transcode::handle_with(app, &encode, far(), engine).await.unwrap();
}

#[tokio::test]
async fn chunk_of_a_video_that_is_deleted_meanwhile_is_removed() {
    static RUN: OnceLock<(App, Run)> = OnceLock::new();
    let (backend, run) = processed().await;
    let app = &backend.local.app;
    plan(&backend, &run).await.unwrap();
    let encode = Task::Encode { run: run.clone(), index: 0 };
    RUN.set((app.clone(), run)).unwrap();
    let engine = Engine {
        encode: |source, plan, index, slice, ffmpeg, deadline| {
            Box::pin(async move {
                let (app, run) = RUN.get().unwrap();
                app.videos.delete(run.video_id, &"local".parse().unwrap()).await.unwrap();
                upreel_transcode::encode(source, plan, index, slice, ffmpeg, deadline).await
            })
        },
        ..Engine::FFMPEG
    };
    upreel_transcode::handle_with(app, &encode, far(), engine).await.unwrap();
    assert!(backend.objects("processed").is_empty());
}

#[tokio::test]
async fn object_that_the_row_does_not_describe_is_not_planned() {
    let (backend, run) = processed().await;
    let key = run.key.parse().unwrap();
    backend.local.app.objects.store(&key, "video/webm", webm().into()).await.unwrap();
    assert!(plan(&backend, &run).await.is_err());
}

#[tokio::test]
async fn more_objects_than_s3_lists_at_once_are_deleted() {
    let backend = Backend::start().await;
    let (objects, id) = (&backend.local.app.objects, VideoId::new());
    let run: Sequencer = "0A".parse().unwrap();
    let store = (0..1001).map(|number| {
        let name = format!("v270/{number:04}.m4s").parse().unwrap();
        let key = Key::Rendition { id, run: run.clone(), name };
        async move { objects.store(&key, "video/mp4", "x".into()).await.unwrap() }
    });
    stream::iter(store).buffer_unordered(16).collect::<()>().await;
    assert_eq!(objects.delete_made(id, Bucket::Processed).await.unwrap(), 1001);
    assert!(backend.objects("processed").is_empty());
}
