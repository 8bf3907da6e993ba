//! Quotas: limits hold whatever races, repeats or fails, and what is deleted or expires is free again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::quota::{Account, Limits, Usage};
use upreel_core::video::Record;
use upreel_core::{Container, Details, Key, Status, UserId, VideoId};
use upreel_function::App;
use upreel_function::config::Config;

use crate::harness::{Backend, mp4, problem, webm};
use crate::multipart::{PART, Upload, padded};
use crate::replays::{Broken, start, sweep};

/// A gigabyte, and nothing else.
fn gigabyte() -> Limits {
    Limits { bytes: Some(1 << 30), ..Limits::default() }
}

async fn limited(limits: Limits) -> Backend {
    Backend::start_with(|options| options.quotas = limits, |handler| handler).await
}

async fn usage(backend: &Backend) -> Value {
    backend.get("/usage").send().await.unwrap().json().await.unwrap()
}

fn user() -> UserId {
    "local".parse().unwrap()
}

async fn account(app: &App) -> Account {
    app.videos.account(&user()).await.unwrap()
}

async fn counted(app: &App) -> Usage {
    account(app).await.usage
}

async fn record(app: &App, id: VideoId) -> Record {
    app.videos.get(id).await.unwrap().unwrap()
}

fn used(bytes: usize, videos: u64, uploads: u64) -> Usage {
    Usage { bytes: bytes as u64, videos, uploads }
}

async fn delete(backend: &Backend, id: &str) {
    let url = format!("{}/videos/{id}", backend.local.api);
    assert_eq!(backend.http.delete(url).send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_thousand_racing_signings_overshoot_by_0_bytes() {
    const SIZE: u64 = 10;
    let backend = limited(Limits { bytes: Some(3333), ..Limits::default() }).await;
    let requests = (0..1000).map(|_| backend.get("/presign?name=a.mp4&size=10").send());
    let responses: Vec<_> = stream::iter(requests).buffer_unordered(100).map(Result::unwrap).collect().await;
    let (signed, refused): (Vec<_>, Vec<_>) = responses.into_iter().partition(|it| it.status() == 200);
    assert_eq!((signed.len(), refused.len()), (333, 667));
    for response in refused {
        let body: Value = response.json().await.unwrap();
        let expected = json!({"status": 413, "code": "TOO_LARGE", "quota": "bytes", "limit": 3333, "used": 3330, "left": 3});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(body[name], *value, "{name} in {body}");
        }
    }
    assert_eq!(counted(&backend.local.app).await, Usage { bytes: 333 * SIZE, videos: 333, uploads: 333 });
}

#[tokio::test]
async fn every_way_of_uploading_counts_once_and_deletion_frees_once() {
    let backend = limited(gigabyte()).await;
    let app = &backend.local.app;
    let size = mp4().len();
    let posted: Value = backend.upload("a.mp4", mp4()).await.json().await.unwrap();
    let signed = backend.presign(&[("name", "a.mp4"), ("size", &size.to_string())]).await;
    assert_eq!(counted(app).await.bytes, 2 * size as u64, "the size is reserved when it is signed");
    let ids = [&posted["videoId"], &signed["videoId"]].map(|id| id.as_str().unwrap().to_owned());
    for _ in 0..2 {
        // Another upload with the same URL replaces the first one.
        assert_eq!(backend.put_to(&signed, mp4()).send().await.unwrap().status(), 200);
        backend.wait_for(&ids[1], "PROCESSED").await;
        backend.wait_until_idle().await;
    }
    backend.wait_for(&ids[0], "PROCESSED").await;
    assert_eq!(counted(app).await, used(2 * size, 2, 0));

    let video = padded(PART + 100);
    let upload = Upload::begin(&backend).await;
    assert_eq!(counted(app).await, used(2 * size + 1, 3, 1), "the size is not known yet");
    let parts = upload.put_all(&backend, &video).await;
    for _ in 0..2 {
        assert_eq!(upload.complete(&backend, &parts).await.status(), 200);
    }
    backend.wait_for(upload.video(), "PROCESSED").await;
    assert_eq!(counted(app).await, used(2 * size + video.len(), 3, 0));
    let expected = json!({
        "bytes": {"used": 2 * size + video.len(), "limit": 1 << 30, "left": (1 << 30) - 2 * size - video.len()},
        "videos": {"used": 3}, "uploads": {"used": 0},
    });
    assert_eq!(usage(&backend).await, expected);

    for id in [&ids[0], &ids[0], &ids[1], &ids[1], upload.video()] {
        delete(&backend, id).await;
    }
    assert_eq!(counted(app).await, Usage::default());
}

#[tokio::test]
async fn numbers_are_limited_and_the_problem_says_of_what() {
    let backend = limited(Limits { videos: Some(2), uploads: Some(1), ..Limits::default() }).await;
    let sign = || backend.get("/presign?name=a.mp4").send();
    let first: Value = sign().await.unwrap().json().await.unwrap();
    assert_eq!(problem(sign().await.unwrap()).await, (403, "QUOTA_EXCEEDED".to_owned()));
    let body: Value = sign().await.unwrap().json().await.unwrap();
    assert_eq!((&body["quota"], &body["left"]), (&json!("uploads"), &json!(0)));
    let id = first["videoId"].as_str().unwrap();
    backend.put_to(&first, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    sign().await.unwrap().error_for_status().unwrap();
    let body: Value = sign().await.unwrap().json().await.unwrap();
    assert_eq!((&body["quota"], &body["limit"], &body["used"]), (&json!("videos"), &json!(2), &json!(2)));
    delete(&backend, id).await;
    let body: Value = sign().await.unwrap().json().await.unwrap();
    assert_eq!(body["quota"], "uploads", "a video is left, but not an upload");
}

#[tokio::test]
async fn types_and_durations_are_limited_by_what_the_bytes_are() {
    let types = Some(vec![Container::Mp4]);
    let backend = limited(Limits { types, max_duration_seconds: Some(1), ..Limits::default() }).await;
    let webm_name = backend.get("/presign?name=a.webm").send().await.unwrap();
    assert_eq!(problem(webm_name).await, (415, "UNSUPPORTED_MEDIA".to_owned()));
    assert_eq!(problem(backend.upload("a.mp4", webm()).await).await, (415, "UNSUPPORTED_MEDIA".to_owned()));
    let id = backend.put("a.mp4", "video/mp4", webm()).await;
    let failed = backend.wait_for(&id, "FAILED").await;
    assert_eq!(failed["error"]["code"], "UNSUPPORTED_MEDIA", "{failed}");
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let failed = backend.wait_for(&id, "FAILED").await;
    assert_eq!(failed["error"]["code"], "TOO_LONG", "{failed}");
    backend.wait_until_idle().await;
    assert_eq!((backend.objects("thumbnails").len(), backend.objects("processed").len()), (0, 0));
    assert_eq!(counted(&backend.local.app).await, used(webm().len() + mp4().len(), 2, 0), "they are stored");
}

#[tokio::test]
async fn completion_is_refused_and_an_abort_frees() {
    let backend = limited(Limits { bytes: Some(PART as u64), ..Limits::default() }).await;
    let app = &backend.local.app;
    let upload = Upload::begin(&backend).await;
    let parts = upload.put_all(&backend, &padded(PART + 100)).await;
    let refused: Value = upload.complete(&backend, &parts).await.json().await.unwrap();
    assert_eq!((&refused["code"], &refused["quota"]), (&json!("TOO_LARGE"), &json!("bytes")));
    assert_eq!((backend.objects("uploads").len(), counted(app).await), (0, used(1, 1, 1)));
    let url = format!("{}/s3/multipart/{}", backend.local.api, upload.id);
    let abort = backend.http.delete(url).query(&[("key", &upload.key)]);
    assert_eq!(abort.send().await.unwrap().status(), 200);
    assert_eq!(counted(app).await, Usage::default());
}

#[tokio::test]
async fn an_object_that_exceeds_the_quota_fails_and_counts_until_it_is_deleted() {
    let size = mp4().len();
    let backend = limited(Limits { bytes: Some(size as u64 - 1), ..Limits::default() }).await;
    let app = &backend.local.app;
    let signed = backend.presign(&[("name", "a.mp4"), ("size", "1")]).await;
    let key = signed["key"].as_str().unwrap().parse().unwrap();
    // As with the credentials of another program: no signature limits the length.
    app.objects.put_upload(&key, "video/mp4", mp4().into()).await.unwrap();
    let id = signed["videoId"].as_str().unwrap();
    assert_eq!(backend.wait_for(id, "FAILED").await["error"]["code"], "QUOTA_EXCEEDED");
    assert_eq!(counted(app).await, used(size, 1, 0));
    delete(&backend, id).await;
    assert_eq!((counted(app).await, backend.objects("uploads").len()), (Usage::default(), 0));
}

#[tokio::test]
async fn an_account_can_have_its_own_limits() {
    let backend = limited(gigabyte()).await;
    let number = |n: &str| AttributeValue::N(n.to_owned());
    let limits = [("bytes", number("5")), ("videos", number("7")), ("uploads", number("0"))];
    let limits = limits.map(|(name, value)| (name.to_owned(), value)).into();
    let update = backend.dynamodb().update_item().table_name("VideoMetadata");
    let update = update
        .key("videoId", AttributeValue::S("usage#local".to_owned()))
        .update_expression("SET limits = :l")
        .expression_attribute_values(":l", AttributeValue::M(limits));
    update.send().await.unwrap();
    let expected = json!({"bytes": {"used": 0, "limit": 5, "left": 5}, "videos": {"used": 0, "limit": 7, "left": 7}, "uploads": {"used": 0}});
    assert_eq!(usage(&backend).await, expected);
    let refused = backend.get("/presign?name=a.mp4&size=6").send().await.unwrap();
    assert_eq!(problem(refused).await, (413, "TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn without_quotas_nothing_is_counted() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let app = &backend.local.app;
    assert_eq!(record(app, id.parse().unwrap()).await.counted, None);
    assert_eq!((usage(&backend).await, account(app).await), (json!({}), Account::default()));
}

/// Returns the application with quotas, whose clock is ahead of that of the backend.
async fn ahead(limits: Limits) -> (Backend, App, crate::replays::Clock) {
    let (backend, mut app, clock) = start().await;
    app.config = Arc::new(Config { quotas: limits, ..(*app.config).clone() });
    (backend, app, clock)
}

async fn create(app: &App, key: &Key, reserved: u64) -> bool {
    let about = (user(), "a".to_owned(), "video/mp4".to_owned());
    app.create_video(key, about, (Some(reserved), reserved), &Details::default()).await.unwrap().is_ok()
}

fn new_key() -> Key {
    Key::Video { user: user(), id: VideoId::new(), container: Some(Container::Mp4) }
}

#[tokio::test]
async fn a_repeated_step_changes_nothing() {
    let (_backend, app, _) = ahead(Limits { bytes: Some(100), ..Limits::default() }).await;
    let (key, event) = (new_key(), "0A".parse().unwrap());
    let id = key.video_id();
    // The response to the first request is lost. The second one fits, because it is the same.
    assert!(create(&app, &key, 60).await && create(&app, &key, 60).await);
    assert!(!create(&app, &new_key(), 60).await);
    assert_eq!(counted(&app).await, used(60, 1, 1));
    for (size, fits, bytes) in [(50, true, 60), (80, true, 80), (80, true, 80), (101, false, 80)] {
        let reserved = app.reserve(&key, &user(), size).await.unwrap();
        assert_eq!((reserved.is_ok(), counted(&app).await), (fits, used(bytes, 1, 1)));
    }
    app.videos.claim(&key, &user(), &event, (70, "e")).await.unwrap();
    // Both have read the same row. So have two workers, or a worker and a repetition of its request.
    let claimed = record(&app, id).await;
    for _ in 0..2 {
        assert!(!app.settle(&claimed).await.unwrap());
        assert_eq!(counted(&app).await, used(70, 1, 0));
    }
    let before = record(&app, id).await;
    let mut tombstone = app.videos.delete(id, &user()).await.unwrap().unwrap();
    tombstone.video.status = Status::Deleted;
    for record in [&tombstone, &before, &tombstone] {
        app.settle(record).await.unwrap();
        assert_eq!(counted(&app).await, Usage::default());
    }
    assert!(app.reserve(&key, &user(), 5).await.unwrap().is_ok(), "of a deleted video, nothing is reserved");
    assert_eq!(counted(&app).await, Usage::default());
}

#[tokio::test]
async fn a_reservation_ends_with_its_row_and_can_be_made_again() {
    let (_backend, app, clock) = ahead(Limits { bytes: Some(100), ..Limits::default() }).await;
    let key = new_key();
    assert!(create(&app, &key, 100).await);
    let workers = Broken::new(&app);
    for hours in [1, 6, 6, 6] {
        clock.advance(hours);
        sweep(&workers).await;
        assert_eq!(counted(&app).await, used(100, 1, 1));
        assert!(
            record(&app, key.video_id()).await.ttl.is_none(),
            "DynamoDB must not delete a row that counts"
        );
    }
    clock.advance(6);
    assert!(!record(&app, key.video_id()).await.is_visible(SystemTime::now() + Duration::from_hours(1025)));
    sweep(&workers).await;
    assert_eq!(counted(&app).await, Usage::default());
    let expired = record(&app, key.video_id()).await;
    assert_eq!((expired.counted.clone(), expired.due, expired.ttl.is_some()), (None, None, true));

    // The upload took longer than a day, and is completed now.
    assert!(app.reserve(&key, &user(), 90).await.unwrap().is_ok());
    let again = record(&app, key.video_id()).await;
    assert_eq!((counted(&app).await, again.ttl, again.due.is_some()), (used(90, 1, 1), None, true));
}

#[tokio::test]
async fn videos_of_the_time_before_quotas_count_once_they_are_listed() {
    let (backend, app, _) = ahead(gigabyte()).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(counted(&app).await, Usage::default());
    backend.wait_until_listed().await;
    for _ in 0..2 {
        let far = Instant::now() + Duration::from_hours(1);
        upreel_reconcile::listing::run(&app, &Broken::new(&app), false, far).await.unwrap();
        assert_eq!(counted(&app).await, used(mp4().len(), 1, 0));
    }
    // Quotas are turned off again. What counts is freed all the same.
    delete(&backend, &id).await;
    assert_eq!(counted(&app).await, Usage::default());
}
