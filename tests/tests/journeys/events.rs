//! Duplicate, late, reordered and missing events, and attempts that fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::video::{PreviewKeys, Record};
use upreel_core::{Container, Fault, Key, ReadError, Status, UserId, Version, VideoId};
use upreel_function::App;
use upreel_local::queue::Handler;
use upreel_store::videos::{Processed, UpdateOutcome};
use upreel_thumbnail::{Previews, Storyboarding};

use crate::harness::{Backend, mp4, webm};

pub(crate) fn event(key: &str, bytes: &[u8], sequencer: &str) -> Value {
    json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "uploads"},
        "object": {"key": key, "size": bytes.len(), "eTag": "of-another-write", "sequencer": sequencer}}})
}

pub(crate) async fn deliver(app: &App, records: &[Value]) -> Result<(), Fault> {
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    upreel_thumbnail::handle(app, &json!({"Records": records}), deadline).await.map(drop)
}

/// Starts a backend whose queue ignores all events, so that the test decides which events are delivered and when.
pub(crate) async fn without_queue() -> Backend {
    Backend::start_with(|_| {}, |_| Arc::new(|_| Box::pin(async { Ok(()) }))).await
}

pub(crate) async fn put(backend: &Backend, bytes: &[u8]) -> (String, String) {
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    assert_eq!(backend.put_to(&signed, bytes.to_vec()).send().await.unwrap().status(), 200);
    (signed["videoId"].as_str().unwrap().to_owned(), signed["key"].as_str().unwrap().to_owned())
}

pub(crate) async fn record(app: &App, id: &str) -> Record {
    app.videos.get(id.parse().unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn duplicate_events_change_nothing() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let ((a, a_key), (b, b_key)) = (put(&backend, &mp4()).await, put(&backend, &webm()).await);
    let (first, second) = (event(&a_key, &mp4(), "0A"), event(&b_key, &webm(), "0B"));
    deliver(app, std::slice::from_ref(&first)).await.unwrap();
    let before = record(app, &a).await;
    assert_eq!(before.video.status, Status::Processed);
    let written = || {
        let of = |path: &PathBuf| (path.clone(), std::fs::metadata(path).unwrap().modified().unwrap());
        let mut written: Vec<_> = backend.objects("thumbnails").iter().map(of).collect();
        written.sort();
        written
    };
    let previews = written();
    deliver(app, std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(written(), previews, "the previews are not made again");
    // Each record several times, in different orders, in one event and in several.
    let (one, two) = (first.clone(), second.clone());
    deliver(app, &[two.clone(), one.clone(), one.clone(), two.clone(), one.clone()]).await.unwrap();
    let both = record(app, &b).await;
    for records in [[&one, &two], [&two, &one], [&two, &two]] {
        deliver(app, &records.map(Clone::clone)).await.unwrap();
    }
    assert_eq!((record(app, &a).await, record(app, &b).await), (before, both));
}

#[tokio::test]
async fn concurrent_duplicates_process_the_video_once() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let (id, key) = put(&backend, &mp4()).await;
    let record_event = event(&key, &mp4(), "0A");
    let deliveries = (0..5).map(|_| deliver(app, std::slice::from_ref(&record_event)));
    for delivery in futures_util::future::join_all(deliveries).await {
        delivery.unwrap();
    }
    assert_eq!(record(app, &id).await.video.status, Status::Processed);
    assert_eq!(backend.objects("thumbnails").len(), 4);
}

/// An ffmpeg script whose first run blocks until the test releases it.
struct Gate {
    ffmpeg: PathBuf,
    first: PathBuf,
    pipe: PathBuf,
}

impl Gate {
    /// Writes the script. The sandbox forbids it to write files, but it can open a pipe for reading, which blocks until
    /// the other end is opened.
    fn new(folder: &Path) -> Self {
        let gate =
            Self { ffmpeg: folder.join("ffmpeg"), first: folder.join("first"), pipe: folder.join("pipe") };
        let Self { ffmpeg, first, pipe } = &gate;
        let text = format!(
            "#!/bin/sh\n[ ! -e '{}' ] || read -r go <'{}'\nexec '{}' \"$@\"\n",
            first.display(),
            pipe.display(),
            crate::harness::ffmpeg().display()
        );
        std::fs::write(ffmpeg, text).unwrap();
        std::fs::set_permissions(ffmpeg, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(first, "").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        gate
    }

    /// Waits until the first run blocks. Dropping the returned file releases it.
    async fn first_run(&self) -> std::fs::File {
        let pipe = self.pipe.clone();
        let open = tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(pipe));
        let blocked = open.await.unwrap().unwrap();
        std::fs::remove_file(&self.first).unwrap();
        blocked
    }
}

#[tokio::test]
async fn a_slow_older_event_cannot_overwrite_newer_previews() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::new(folder.path());
    let idle: Handler = Arc::new(|_| Box::pin(async { Ok(()) }));
    let backend = Backend::start_with(|options| options.ffmpeg = gate.ffmpeg.clone(), |_| idle).await;
    let app = &backend.local.app;
    let portrait = std::fs::read(crate::harness::good().0.join("h264-portrait.mp4")).unwrap();
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let (id, key) = (signed["videoId"].as_str().unwrap(), signed["key"].as_str().unwrap());

    // The handler of the older event has read its object and blocks in ffmpeg.
    let etag = backend.put_to(&signed, portrait.clone()).send().await.unwrap().headers()["etag"].clone();
    let mut older = event(key, &portrait, "0A");
    older["s3"]["object"]["eTag"] = etag.to_str().unwrap().trim_matches('"').into();
    let slow = tokio::spawn({
        let (app, older) = (app.clone(), older.clone());
        async move { deliver(&app, &[older]).await }
    });
    let blocked = gate.first_run().await;
    backend.put_to(&signed, mp4()).send().await.unwrap();
    deliver(app, &[event(key, &mp4(), "0B")]).await.unwrap();
    let newer = record(app, id).await;
    assert_eq!((newer.video.status, newer.video.media_info.width), (Status::Processed, Some(320)));
    let previews = || {
        let mut previews: Vec<(PathBuf, Vec<u8>)> = backend
            .objects("thumbnails")
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        previews.sort();
        previews
    };
    let before = previews();

    drop(blocked);
    slow.await.unwrap().unwrap();
    assert_eq!(previews(), before);
    assert_eq!(record(app, id).await, newer);
}

#[tokio::test]
async fn a_new_upload_hides_the_previews_of_the_old_one() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let avi = std::fs::read(crate::harness::good().0.join("mpeg4.avi")).unwrap();
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let (id, key) = (signed["videoId"].as_str().unwrap(), signed["key"].as_str().unwrap());
    let upload = async |bytes: Vec<u8>, sequencer: &str| {
        backend.put_to(&signed, bytes.clone()).send().await.unwrap();
        deliver(app, &[event(key, &bytes, sequencer)]).await.unwrap();
        backend.video(id).await
    };
    let first = upload(mp4(), "0A").await;
    let (poster, board) = (backend.download(&first, "thumbnailUrl").await, &first["storyboardUrl"]);
    assert!(board.is_string(), "{first}");
    let second = upload(avi, "0B").await;
    assert_eq!(second["container"], "avi");
    assert_ne!(backend.download(&second, "thumbnailUrl").await, poster);
    let failed = upload(b"no video".to_vec(), "0C").await;
    for preview in ["thumbnailUrl", "thumbnailLargeUrl", "storyboardUrl", "storyboardImageUrl"] {
        assert_eq!(failed[preview], Value::Null, "{failed}");
    }
    let third = upload(webm(), "0D").await;
    assert!(backend.download(&third, "storyboardUrl").await.starts_with(b"WEBVTT"));
}

#[tokio::test]
async fn a_video_without_storyboard_is_processed() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = folder.path().join("ffmpeg");
    // Fails when it makes the sprite of a storyboard, and works otherwise.
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *tile*) exit 1 ;; esac\nexec '{}' \"$@\"\n",
        crate::harness::ffmpeg().display()
    );
    std::fs::write(&ffmpeg, text).unwrap();
    std::fs::set_permissions(&ffmpeg, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let backend = Backend::start_with(|options| options.ffmpeg = ffmpeg, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert!(backend.download(&video, "thumbnailUrl").await.starts_with(&[0xFF, 0xD8]));
    assert_eq!(video["storyboardUrl"], Value::Null);
    backend.wait_until_idle().await;
    assert_eq!(backend.dead_letters().await.len(), 0);
}

#[tokio::test]
async fn a_video_deleted_while_it_is_processed_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::new(folder.path());
    let backend =
        Backend::start_with(|options| options.ffmpeg = gate.ffmpeg.clone(), |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let blocked = gate.first_run().await;
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), 204);
    drop(blocked);
    backend.wait_until_idle().await;
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
    assert_eq!(backend.video_count().await, 0);
}

#[tokio::test]
async fn a_late_event_changes_nothing() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let (id, key) = put(&backend, &mp4()).await;
    deliver(app, &[event(&key, &mp4(), "0B")]).await.unwrap();
    let before = record(app, &id).await;
    deliver(app, &[event(&key, &webm(), "0A")]).await.unwrap();
    assert_eq!(record(app, &id).await, before);
}

#[tokio::test]
async fn events_without_a_row_or_an_object_are_acknowledged() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let key = format!("videos/local/{}.mp4", VideoId::new());
    deliver(app, &[event(&key, &mp4(), "0A")]).await.unwrap();
    assert_eq!(backend.video_count().await, 0);
    deliver(app, &[event("some/other+object", b"", "0A"), event("videos/x/y.mp4", b"", "0A")]).await.unwrap();
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"});
    upreel_thumbnail::handle(app, &test, Instant::now()).await.unwrap();

    // The video was deleted before its event arrived: the object is removed.
    let (id, key) = put(&backend, &mp4()).await;
    app.videos.delete(id.parse().unwrap(), &"local".parse().unwrap()).await.unwrap();
    deliver(app, &[event(&key, &mp4(), "0A")]).await.unwrap();
    assert_eq!(backend.objects("uploads").len(), 0, "the object of a deleted video is removed");
}

#[tokio::test]
async fn an_event_recreates_a_missing_row() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let user: UserId = "local".parse().unwrap();
    let (id, container) = (VideoId::new(), Some(Container::Mp4));
    let key = Key::Video { user, id, container };
    let signed = app.objects.sign_put(&key, "video/mp4", None).await.unwrap();
    let put = backend.http.put(signed.url).header("content-type", "video/mp4").body(mp4());
    assert_eq!(put.send().await.unwrap().status(), 200);
    deliver(app, &[event(&key.to_string(), &mp4(), "0A")]).await.unwrap();
    assert_eq!(backend.video(&id.to_string()).await["status"], "PROCESSED");
}

#[tokio::test]
async fn a_missing_object_fails_the_video() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let (id, key) = put(&backend, &mp4()).await;
    app.objects.delete(&key.parse().unwrap()).await.unwrap();
    deliver(app, &[event(&key, &mp4(), "0A")]).await.unwrap();
    assert_eq!(backend.video(&id).await["error"]["code"], "LOST");
}

/// Wraps the function so that the attempts fail for which `is_failure` is true. Attempts are counted from 1.
fn failing(is_failure: impl Fn(u32) -> bool + Send + Sync + 'static) -> impl FnOnce(Handler) -> Handler {
    move |handler| {
        let (is_failure, attempts) = (Arc::new(is_failure), Arc::new(AtomicU32::new(0)));
        Arc::new(move |event| {
            let (is_failure, attempts, handler) = (is_failure.clone(), attempts.clone(), handler.clone());
            Box::pin(async move {
                if is_failure(attempts.fetch_add(1, Ordering::SeqCst) + 1) {
                    return Err(Fault::message("attempt", "S3 is down"));
                }
                handler(event).await
            })
        })
    }
}

#[tokio::test]
async fn the_third_attempt_can_succeed() {
    let backend = Backend::start_with(|_| {}, failing(|attempt| attempt <= 2)).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(backend.dead_letters().await.len(), 0);
}

#[tokio::test]
async fn an_event_that_always_fails_becomes_a_dead_letter_and_can_be_replayed() {
    // A fault on our side: ffmpeg is missing until the test installs it.
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = folder.path().join("ffmpeg");
    let missing = ffmpeg.clone();
    let backend = Backend::start_with(move |options| options.ffmpeg = missing, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "FAILED").await;
    backend.wait_until_idle().await;
    let video = backend.video(&id).await;
    assert_eq!(video["error"]["code"], "INTERNAL", "users see the failure");
    let letters = backend.dead_letters().await;
    assert_eq!((letters.len(), &letters[0]["attempts"]), (1, &3.into()));
    assert!(letters[0]["error"].as_str().unwrap().contains("run ffmpeg"), "{letters:?}");
    assert!(letters[0]["key"].as_str().unwrap().contains(&id));

    std::os::unix::fs::symlink(crate::harness::ffmpeg(), &ffmpeg).unwrap();
    let replay: Value = backend.post("/_local/dlq/replay").send().await.unwrap().json().await.unwrap();
    assert_eq!(replay["replayed"], 1);
    assert_eq!(backend.wait_for(&id, "PROCESSED").await["error"], Value::Null);
    backend.wait_until_idle().await;
    assert_eq!(backend.dead_letters().await.len(), 0);
}

/// Makes previews. Meanwhile, another worker has processed the same object without a storyboard, because of a fault, and
/// a third one has stored the storyboard, but has not recorded it yet.
fn make_late<'a>(
    app: &'a App,
    id: VideoId,
    source: &'a Arc<upreel_media::Source>,
    image: &'a str,
    deadline: Instant,
) -> BoxFuture<'a, Result<Previews, upreel_media::Error>> {
    Box::pin(async move {
        let previews = upreel_thumbnail::make_previews(app, id, source, image, deadline).await?;
        let record = app.videos.get(id).await.unwrap().unwrap();
        let etag = app.objects.head(&record.key.parse().unwrap()).await.unwrap().unwrap().etag;
        let sequencer = record.sequencer.unwrap();
        let version = Version::new(sequencer.clone(), &etag);
        for key in Key::previews(id, &version) {
            app.objects.store(&key, "image/jpeg", "x".into()).await.unwrap();
        }
        let previews_of_other = PreviewKeys::new(id, &version, false, String::new());
        let processed =
            Processed { etag, previews: previews_of_other, incomplete: true, ..Processed::default() };
        let outcome = app.videos.mark_processed(id, &sequencer, &processed, false).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Recorded);
        Ok(previews)
    })
}

#[tokio::test]
async fn late_worker_keeps_the_storyboard_of_another_worker() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let (id, key) = put(&backend, &mp4()).await;
    let event = json!({"Records": [event(&key, &mp4(), "0A")]});
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    upreel_thumbnail::handle_with(app, &event, deadline, make_late).await.unwrap();
    assert!(record(app, &id).await.incomplete);
    assert_eq!(backend.objects("thumbnails").len(), 4);
}

#[tokio::test]
async fn storyboard_that_a_fault_prevented_is_remembered() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let (id, key) = put(&backend, &mp4()).await;
    let event = json!({"Records": [event(&key, &mp4(), "0A")]});
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    upreel_thumbnail::handle_with(app, &event, deadline, |app, id, source, image, deadline| {
        Box::pin(async move {
            let previews = upreel_thumbnail::make_previews(app, id, source, image, deadline).await?;
            Ok(Previews { storyboard: Storyboarding::Fault, ..previews })
        })
    })
    .await
    .unwrap();
    let record = record(app, &id).await;
    assert_eq!((record.video.status, record.incomplete), (Status::Processed, true));
    assert!(record.due.is_some());
}

#[tokio::test]
async fn fault_is_returned_so_that_the_event_is_retried() {
    let idle: Handler = Arc::new(|_| Box::pin(async { Ok(()) }));
    let set = |options: &mut upreel_local::Options| options.ffmpeg = "/nonexistent/ffmpeg".into();
    let backend = Backend::start_with(set, |_| idle).await;
    let (_, key) = put(&backend, &mp4()).await;
    assert!(deliver(&backend.local.app, &[event(&key, &mp4(), "0A")]).await.is_err());
}

#[tokio::test]
async fn another_version_of_an_object_cannot_be_read() {
    let backend = without_queue().await;
    let (_, key) = put(&backend, &mp4()).await;
    let (objects, key) = (&backend.local.app.objects, key.parse().unwrap());
    let etag = objects.head(&key).await.unwrap().unwrap().etag;
    assert_eq!(objects.read(&key, &etag, 0..4).await.unwrap().len(), 4);
    let replaced = objects.read(&key, "\"0123456789abcdef0123456789abcdef\"", 0..4).await;
    assert!(matches!(replaced, Err(ReadError::Gone)));
}
