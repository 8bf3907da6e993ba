//! What the reconciler heals without a human. Rows are due at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;
use upreel_core::captions::TrackId;
use upreel_core::details::Expiry;
use upreel_core::limits::Limits;
use upreel_core::transcode::Run;
use upreel_core::video::Record;
use upreel_core::{Bucket, Details, Fault, Key, Sequencer, Status, Version, VideoId};
use upreel_events::s3::{self, Created};
use upreel_function::App;
use upreel_local::Options;
use upreel_local::queue::Handler;
use upreel_reconcile::listing::Found;
use upreel_reconcile::{DeadLetter, Workers};
use upreel_store::Invalidations;
use upreel_store::videos::{Attention, Processed};

use crate::harness::{Backend, client_config, mp4, webm};

fn eager(options: &mut Options) {
    options.limits = Limits::all(Duration::from_millis(1));
    options.sweep_interval = Duration::from_millis(20);
}

/// Handles the first event by `first`, and the others by the function.
fn first(
    first: impl Fn(Value) -> Result<(), Fault> + Send + Sync + 'static,
) -> impl FnOnce(Handler) -> Handler {
    move |handler| {
        let (is_first, first) = (AtomicBool::new(true), Arc::new(first));
        Arc::new(move |event| {
            let is_first = is_first.swap(false, Ordering::SeqCst);
            let (handler, first) = (handler.clone(), first.clone());
            Box::pin(async move { if is_first { first(event) } else { handler(event).await } })
        })
    }
}

async fn record(backend: &Backend, id: &str) -> Record {
    backend.local.app.videos.get(id.parse().unwrap()).await.unwrap().unwrap()
}

/// Makes a row due.
async fn examine_now(backend: &Backend, id: &str) {
    let record = record(backend, id).await;
    let videos = &backend.local.app.videos;
    assert!(videos.postpone(&record, Some(Duration::ZERO), Attention::None).await.unwrap());
}

/// Waits until the row needs no further attention.
async fn settled(backend: &Backend, id: &str) -> Record {
    loop {
        let record = record(backend, id).await;
        if record.due.is_none() {
            return record;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lost_event_is_replaced() {
    let backend = Backend::start_with(eager, first(|_| Ok(()))).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    // The real event outranks the replacement, even if it arrives after it.
    assert_eq!(settled(&backend, &id).await.sequencer, Some(Sequencer::lowest()));
}

#[tokio::test]
async fn lost_object_fails_the_video() {
    let idle: Handler = Arc::new(|_| Box::pin(async { Ok(()) }));
    let backend = Backend::start_with(eager, |_| idle).await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.local.app.videos.mark_uploaded(id.parse().unwrap()).await.unwrap();
    assert_eq!(backend.wait_for(id, "FAILED").await["error"]["code"], "LOST");
}

#[tokio::test]
async fn unused_upload_only_expires() {
    let backend = Backend::start_with(eager, |handler| handler).await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let due = record(&backend, id).await.due;
    while record(&backend, id).await.due == due {
        tokio::task::yield_now().await;
    }
    let record = record(&backend, id).await;
    assert_eq!((record.video.status, record.ttl.is_some()), (Status::Pending, true));
}

#[tokio::test]
async fn event_that_was_given_up_is_replayed_and_leaves_the_dead_letter_queue() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = folder.path().join("ffmpeg");
    let missing = ffmpeg.clone();
    let slow = move |options: &mut Options| {
        eager(options);
        options.limits = Limits::all(Duration::from_hours(1));
        options.ffmpeg = missing;
    };
    let backend = Backend::start_with(slow, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "FAILED").await;
    backend.wait_until_idle().await;
    assert_eq!(backend.dead_letters().await.len(), 1);

    std::os::unix::fs::symlink(crate::harness::ffmpeg(), &ffmpeg).unwrap();
    examine_now(&backend, &id).await;
    backend.wait_for(&id, "PROCESSED").await;
    while !backend.dead_letters().await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cause_that_is_still_there_needs_a_human() {
    let broken = |options: &mut Options| {
        eager(options);
        options.ffmpeg = "/nonexistent/ffmpeg".into();
    };
    let backend = Backend::start_with(broken, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let record = settled(&backend, &id).await;
    assert_eq!((record.video.status, record.replays()), (Status::Failed, 3));
    // The reconciler's attempts can end before those of the event itself.
    backend.wait_until_idle().await;
    assert!(!backend.dead_letters().await.is_empty(), "they stay where ops look");
}

#[tokio::test]
async fn killed_attempt_is_repeated() {
    let backend = Backend::start_with(eager, first(|_| Ok(()))).await;
    // The claim of an attempt that was killed.
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let (id, key) = (signed["videoId"].as_str().unwrap(), signed["key"].as_str().unwrap());
    let put = backend.put_to(&signed, mp4()).send().await.unwrap();
    let etag = put.headers()["etag"].to_str().unwrap().trim_matches('"');
    let (user, sequencer) = ("local".parse().unwrap(), "0A".parse().unwrap());
    let object = (mp4().len() as u64, etag);
    backend.local.app.videos.claim(&key.parse().unwrap(), &user, &sequencer, object).await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    assert_eq!(settled(&backend, id).await.sequencer, Some(sequencer));
}

#[tokio::test]
async fn deletion_that_was_killed_is_completed() {
    let backend = Backend::start_with(|_| {}, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    // The tombstone is written, and then the process dies.
    let (app, video) = (&backend.local.app, id.parse().unwrap());
    app.videos.delete(video, &"local".parse().unwrap()).await.unwrap();
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (1, 4));
    for passes in 0..3 {
        let due_now = Some(Duration::ZERO);
        let attention = Attention::CleanPasses(passes.max(1) - 1);
        let record = record(&backend, &id).await;
        assert!(app.videos.postpone(&record, due_now, attention).await.unwrap());
        upreel_reconcile::sweep::run(app, &AtOnce(app), far()).await.unwrap();
        assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
    }
    let record = record(&backend, &id).await;
    assert_eq!((record.due, record.clean_passes), (None, 2), "two passes have found nothing");
}

/// `CloudFront`'s API.
#[derive(Clone, Default)]
struct CloudFront {
    /// The references of the invalidations that it has created.
    created: Arc<Mutex<BTreeSet<String>>>,
    /// Whether it refuses the next one.
    is_busy: Arc<AtomicBool>,
}

impl CloudFront {
    async fn serve(&self) -> String {
        let Self { created, is_busy } = self.clone();
        let api = Router::new().fallback(async move |body: String| {
            if is_busy.swap(false, Ordering::SeqCst) {
                return (
                    StatusCode::BAD_REQUEST,
                    "<Error><Code>TooManyInvalidationsInProgress</Code></Error>",
                );
            }
            let reference = body.split("CallerReference>").nth(1).unwrap().trim_end_matches("</");
            created.lock().unwrap().insert(reference.to_owned());
            (StatusCode::CREATED, "<Invalidation/>")
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, api).await });
        url
    }
}

#[tokio::test]
async fn deleted_video_is_removed_from_the_cdn() {
    let due_at_once = |options: &mut Options| {
        options.limits = Limits::all(Duration::ZERO);
        options.sweep_interval = Duration::from_hours(1);
    };
    let backend = Backend::start_with(due_at_once, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let cloudfront = CloudFront::default();
    let sdk = client_config(&cloudfront.serve().await, "secret");
    let app = &App { invalidations: Some(Invalidations::new(&sdk, "E1")), ..backend.local.app.clone() };
    let video: VideoId = id.parse().unwrap();
    let delete = async || {
        let previous = app.videos.delete(video, &"local".parse().unwrap()).await.unwrap().unwrap();
        app.delete_objects(&previous).await.unwrap();
        cloudfront.created.lock().unwrap().len()
    };
    // Returns the number of passes that have found nothing, and that of the invalidations so far.
    let sweep = async || {
        upreel_reconcile::sweep::run(app, &AtOnce(app), far()).await.unwrap();
        let created = cloudfront.created.lock().unwrap().len();
        (record(&backend, &id).await.clean_passes, created)
    };
    cloudfront.is_busy.store(true, Ordering::SeqCst);
    assert_eq!(delete().await, 0);
    assert_eq!(sweep().await, (1, 2), "that of the deletion, and that of this pass");
    let version = record(&backend, &id).await.version().unwrap();
    let late = Key::Segment { id: video, version, name: "source/0-1.m4s".parse().unwrap() };
    app.objects.store(&late, "video/mp4", "x".into()).await.unwrap();
    assert_eq!(sweep().await, (0, 2), "an object that was stored late is deleted");
    cloudfront.is_busy.store(true, Ordering::SeqCst);
    assert_eq!(sweep().await, (0, 2));
    assert_eq!(sweep().await, (1, 3), "it may have been cached");
    assert_eq!(sweep().await, (2, 3));
    assert_eq!(record(&backend, &id).await.due, None);
    assert_eq!(delete().await, 3, "a repeated deletion needs none");
    let created = cloudfront.created.lock().unwrap();
    assert!(created.contains(&id) && created.iter().all(|reference| reference.starts_with(&id)));
}

#[tokio::test]
async fn video_is_deleted_when_its_time_has_come_and_never_before() {
    let backend = Backend::start_with(|_| {}, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let (app, video) = (&backend.local.app, id.parse().unwrap());
    let set = async |time: SystemTime| {
        let record = record(&backend, &id).await;
        let details = Details { title: Some("a".into()), expires_at: Expiry::at(time), ..Details::default() };
        app.videos.change_details(&record, &details).await.unwrap()
    };
    let sweep = async || upreel_reconcile::sweep::run(app, &AtOnce(app), far()).await.unwrap();
    let hour = Duration::from_hours(1);
    set(SystemTime::now() + hour).await;
    sweep().await;
    assert!(app.videos.expire(video).await.unwrap().is_none(), "a sweep whose index is late");
    assert_eq!(backend.video(&id).await["title"], "a");

    set(SystemTime::now()).await;
    for path in [format!("/videos/{id}"), "/videos".to_owned()] {
        let shown = backend.get(&path).send().await.unwrap().text().await.unwrap();
        assert!(!shown.contains("PROCESSED"), "not visible from then on: {shown}");
    }
    assert_eq!(backend.objects("uploads").len(), 1, "the sweep deletes it");
    sweep().await;
    let tombstone = record(&backend, &id).await;
    assert_eq!((tombstone.video.status, &tombstone.video.details), (Status::Deleted, &Details::default()));
    assert!(tombstone.due.is_some(), "the reconciler makes sure that nothing is left");
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
    assert!(app.videos.list_expired(&Record::shard(video), 9).await.unwrap().is_empty());
    sweep().await;
    assert_eq!(record(&backend, &id).await, tombstone, "once");
}

#[tokio::test]
async fn upload_after_the_time_of_deletion_is_deleted() {
    let backend = Backend::start_with(|_| {}, |handler| handler).await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let app = &backend.local.app;
    let details = Details { expires_at: Expiry::at(SystemTime::now()), ..Details::default() };
    app.videos.change_details(&record(&backend, id).await, &details).await.unwrap();
    upreel_reconcile::sweep::run(app, &AtOnce(app), far()).await.unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_until_idle().await;
    assert_eq!(record(&backend, id).await.video.status, Status::Deleted);
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
}

#[tokio::test]
async fn objects_of_earlier_uploads_are_removed() {
    let backend = Backend::start_with(eager, |handler| handler).await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let first = backend.wait_for(id, "PROCESSED").await;
    let earlier = Version::new("00".parse().unwrap(), "e");
    backend
        .local
        .app
        .objects
        .store(&Key::Thumbnail(id.parse().unwrap(), earlier, None), "image/jpeg", "x".into())
        .await
        .unwrap();
    backend.put_to(&signed, webm()).send().await.unwrap();
    loop {
        let video = backend.wait_for(id, "PROCESSED").await;
        if video["thumbnailUrl"] != first["thumbnailUrl"] && video["container"] == "webm" {
            break;
        }
    }
    let record = settled(&backend, id).await;
    assert_eq!(record.superseded(), Vec::<&Sequencer>::new());
    assert_eq!(backend.objects("thumbnails").len(), 4);
    let video = backend.video(id).await;
    assert!(backend.download(&video, "storyboardUrl").await.starts_with(b"WEBVTT"));
}

#[tokio::test]
async fn storyboard_that_a_fault_prevented_is_made_later() {
    let slow = |options: &mut Options| {
        eager(options);
        options.limits = Limits::all(Duration::from_hours(1));
    };
    let backend = Backend::start_with(slow, first(|_| Ok(()))).await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let (id, key) = (signed["videoId"].as_str().unwrap(), signed["key"].as_str().unwrap());
    let (user, sequencer) = ("local".parse().unwrap(), "0A".parse().unwrap());
    let put = backend.put_to(&signed, mp4()).send().await.unwrap();
    let etag = put.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
    let size = mp4().len() as u64;
    let (videos, video) = (&backend.local.app.videos, id.parse().unwrap());
    videos.claim(&key.parse().unwrap(), &user, &sequencer, (size, &etag)).await.unwrap();
    let processed = Processed { size, etag, incomplete: true, ..Processed::default() };
    videos.mark_processed(video, &sequencer, &processed, false).await.unwrap();
    examine_now(&backend, id).await;
    while record(&backend, id).await.incomplete {
        tokio::task::yield_now().await;
    }
    let video = backend.video(id).await;
    assert!(backend.download(&video, "storyboardUrl").await.starts_with(b"WEBVTT"));
}

#[tokio::test]
async fn listing_brings_lost_rows_back_and_removes_orphans() {
    let backend = Backend::start().await;
    let app = &backend.local.app;
    let (kept, lost) =
        (backend.put("a.mp4", "video/mp4", mp4()).await, backend.put("b.mp4", "video/mp4", mp4()).await);
    for id in [&kept, &lost] {
        backend.wait_for(id, "PROCESSED").await;
    }
    backend.delete_row(&lost).await;
    let orphan = Key::Thumbnail(VideoId::new(), Version::new("00".parse().unwrap(), "e"), None);
    app.objects.store(&orphan, "image/jpeg", "x".into()).await.unwrap();
    // Captions that are shown, those of an upload that died before it wrote the row, and those of a row that is gone.
    let captions = format!("{}/videos/{kept}/captions/en", backend.local.api);
    backend.http.put(captions).body("WEBVTT").send().await.unwrap().error_for_status().unwrap();
    for id in [kept.parse().unwrap(), VideoId::new()] {
        app.objects.store(&Key::Captions(id, TrackId::new()), "text/vtt", "x".into()).await.unwrap();
    }
    backend.wait_until_listed().await;
    let run_listing =
        async |dry: bool| upreel_reconcile::listing::run(app, &AtOnce(app), dry, far()).await.unwrap();
    assert_eq!(run_listing(false).await, Found::default(), "young objects are left alone");

    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    let of_captions = |file: &PathBuf| file.to_string_lossy().contains("captions");
    let captions = backend.objects("processed").into_iter().filter(of_captions);
    for file in ["uploads", "thumbnails"].iter().flat_map(|bucket| backend.objects(bucket)).chain(captions) {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    let dry = run_listing(true).await;
    assert_eq!((dry.orphans, dry.healed, dry.unknown), (7, 1, 0));
    assert_eq!(backend.objects("thumbnails").len(), 9, "a dry run changes nothing");
    assert_eq!(run_listing(false).await, dry);
    backend.wait_for(&lost, "PROCESSED").await;
    let thumbnails = app.objects.list(Bucket::Thumbnails, "").await.unwrap();
    assert_eq!(thumbnails.iter().filter(|object| object.key.contains(&kept)).count(), 4);
    assert_eq!(thumbnails.iter().filter(|object| object.key.contains(&lost)).count(), 4);
    assert_eq!(thumbnails.len(), 8);
    let processed = app.objects.list(Bucket::Processed, "").await.unwrap();
    let captions: Vec<_> = processed.iter().filter(|object| object.key.starts_with("captions/")).collect();
    assert!(captions.len() == 1 && captions[0].key.contains(&kept), "{captions:?}");
}

#[tokio::test]
async fn listing_processes_an_object_whose_event_was_lost() {
    let backend = Backend::start_with(
        |_| {},
        |handler| {
            let count = std::sync::atomic::AtomicU32::new(0);
            Arc::new(move |event: Value| {
                // The event of the second upload is lost.
                let is_lost = count.fetch_add(1, Ordering::SeqCst) == 1;
                let handler = handler.clone();
                Box::pin(async move { if is_lost { Ok(()) } else { handler(event).await } })
            })
        },
    )
    .await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    assert_eq!(backend.wait_for(id, "PROCESSED").await["container"], "mp4");
    backend.put_to(&signed, webm()).send().await.unwrap();
    backend.wait_until_idle().await;
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    for file in backend.objects("uploads") {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    let app = &backend.local.app;
    backend.wait_until_listed().await;
    let found = upreel_reconcile::listing::run(app, &AtOnce(app), false, far()).await.unwrap();
    assert_eq!((found.healed, found.orphans), (1, 0));
    assert_eq!(backend.wait_for(id, "PROCESSED").await["container"], "webm");
}

#[tokio::test]
async fn listing_processes_an_object_that_seemed_lost() {
    let idle: Handler = Arc::new(|_| Box::pin(async { Ok(()) }));
    let backend = Backend::start_with(|_| {}, |_| idle).await;
    let app = &backend.local.app;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let key = record(&backend, &id).await.key;
    let head = app.objects.head(&key.parse().unwrap()).await.unwrap().unwrap();
    let sequencer = "0055".parse().unwrap();
    let event = s3::event(&Created { key, size: head.size, etag: head.etag, sequencer });
    let file = backend.objects("uploads").remove(0);
    let hidden = file.with_extension("hidden");
    std::fs::rename(&file, &hidden).unwrap();
    AtOnce(app).send(event).await.unwrap();
    assert_eq!(backend.wait_for(&id, "FAILED").await["error"]["code"], "LOST");

    std::fs::rename(&hidden, &file).unwrap();
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    backend.wait_until_listed().await;
    let found = upreel_reconcile::listing::run(app, &AtOnce(app), false, far()).await.unwrap();
    assert_eq!((found.healed, found.orphans), (1, 0));
    backend.wait_for(&id, "PROCESSED").await;
}

#[tokio::test]
async fn late_write_of_a_position_does_not_undo_later_ones() {
    let backend = Backend::start().await;
    let videos = &backend.local.app.videos;
    let save = async |previous, note| videos.save_note("test#note", previous, note).await.unwrap();
    assert!(save(None, "1").await);
    assert!(save(Some("1"), "2").await);
    assert!(save(Some("1"), "2").await, "a repetition finds its own note");
    assert!(save(Some("2"), "3").await);
    assert!(!save(Some("1"), "2").await, "a late repetition");
    assert!(!save(None, "1").await);
    assert_eq!(videos.load_note("test#note").await.unwrap().as_deref(), Some("3"));
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// Handles events at once. Everything else is not needed.
struct AtOnce<'a>(&'a App);

impl Workers for AtOnce<'_> {
    async fn send(&self, event: Value) -> Result<(), Fault> {
        upreel_thumbnail::handle(self.0, &event, far()).await.map(drop)
    }

    async fn attempt(&self, _: Value) -> Result<bool, Fault> {
        panic!("no event was given up")
    }

    async fn is_transcoding(&self, _: &Run, _: u32) -> Result<bool, Fault> {
        panic!("nothing is transcoded")
    }

    async fn transcode(&self, _: &Run, _: u32) -> Result<(), Fault> {
        panic!("nothing is transcoded")
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Fault> {
        Ok(Vec::new())
    }

    async fn delete_dead_letter(&self, _: &str) -> Result<(), Fault> {
        panic!("there are no dead letters")
    }
}
