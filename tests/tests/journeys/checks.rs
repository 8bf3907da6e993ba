//! Uploads that are held until they are checked.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::check::{Check, CheckResult};
use upreel_core::quota::{Limits, Usage};
use upreel_core::video::Record;
use upreel_core::{Checks, Key};
use upreel_events::check::{Checked, event};
use upreel_events::s3::{self, Created};
use upreel_local::UPLOADS;
use upreel_store::videos::UpdateOutcome;
use upreel_tests::urls as lines;

use crate::harness::{Backend, audio, mp4, problem};
use crate::multipart::padded;
use crate::routes::requests_of;

/// Starts a backend with these checks.
async fn start(scan: bool, moderation: bool) -> Backend {
    Backend::start_with(|options| options.checks = Checks { scan, moderation }, |handler| handler).await
}

/// Returns a video that the local scanner refuses: one with the test file of EICAR after its end.
pub(crate) fn infected() -> Vec<u8> {
    let test_file = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
    [mp4(), test_file.concat().into_bytes()].concat()
}

/// Waits until the video is held.
async fn wait_until_held(backend: &Backend, id: &str) -> Record {
    backend.wait_for(id, "UPLOADED").await;
    backend.wait_until_idle().await;
    let record = record(backend, id).await;
    assert!(record.is_held(), "{record:?}");
    record
}

async fn record(backend: &Backend, id: &str) -> Record {
    backend.local.app.videos.get(id.parse().unwrap()).await.unwrap().unwrap()
}

/// Sends the verdict of a moderator on the object with this entity tag.
async fn moderate(backend: &Backend, record: &Record, etag: &str, verdict: &str) {
    let result = CheckResult { etag: etag.to_owned(), value: verdict.to_owned() };
    let checked = Checked { key: record.key.clone(), check: Check::Moderation, result };
    let sent = backend.post("/_local/events").json(&event(UPLOADS, &checked)).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    backend.wait_until_idle().await;
}

fn urls(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields
                .iter()
                .filter(|(name, value)| (*name == "url" || name.ends_with("Url")) && !value.is_null());
            let own: Vec<String> = own.map(|(name, _)| name.clone()).collect();
            own.into_iter().chain(fields.values().flat_map(urls)).collect()
        }
        Value::Array(values) => values.iter().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}

/// Checks that no route gives anything of a video, and no URL of it.
async fn check_closed(backend: &Backend, id: &str) {
    let captions = backend.http.put(format!("{}/videos/{id}/captions/en", backend.local.api));
    let captions = captions.body("WEBVTT\n\n00:01.000 --> 00:02.000\na\n").send().await.unwrap();
    assert_eq!(captions.status(), StatusCode::OK);
    let requests = requests_of(backend, id);
    assert!(requests.len() >= 11, "{requests:?}");
    for (route, request) in requests {
        check_response(&route, request.send().await.unwrap()).await;
    }
    let playlist = backend.get(&format!("/videos/{id}/hls/captions-en/index.m3u8")).send().await.unwrap();
    check_response("captions", playlist).await;
    let key: Key = record(backend, id).await.key.parse().unwrap();
    let signed = backend.local.app.objects.sign_get(&key).await.unwrap();
    let read = backend.http.get(signed).send().await.unwrap();
    let is_scanned = backend.local.app.config.checks.scan;
    assert_eq!(read.status() == StatusCode::FORBIDDEN, is_scanned, "S3 itself, if it can know");
}

async fn check_response(route: &str, response: Response) {
    if response.status() == StatusCode::OK {
        let body: Value = response.json().await.unwrap();
        assert_eq!(urls(&body), [""; 0], "{route}: {body}");
        return;
    }
    let (status, code) = problem(response).await;
    let is_refused = (status == 404 && ["NOT_FOUND", "NOT_READY"].contains(&code.as_str()))
        || (status == 400 && route.contains("captions"));
    assert!(is_refused, "{route}: {status} {code}");
}

#[tokio::test]
async fn clean_upload_is_processed_after_its_scan() {
    let backend = start(true, false).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(backend.download(&video, "url").await, mp4());
    assert!(!backend.download(&video, "thumbnailUrl").await.is_empty());
    let result = record(&backend, &id).await.scan_result.unwrap();
    assert_eq!(result.value, "NO_THREATS_FOUND");
    // The other way of uploading.
    let uploaded: Value = backend.upload("a.mp4", mp4()).await.json().await.unwrap();
    assert_eq!((&uploaded["success"], urls(&uploaded).len()), (&json!(true), 0), "{uploaded}");
    backend.wait_for(uploaded["videoId"].as_str().unwrap(), "PROCESSED").await;
}

#[tokio::test]
async fn infected_upload_is_never_readable_and_can_be_deleted() {
    let backend = start(true, false).await;
    let id = backend.put("a.mp4", "video/mp4", infected()).await;
    let video = backend.wait_for(&id, "FAILED").await;
    assert_eq!(video["error"]["code"], "INFECTED", "{video}");
    check_closed(&backend, &id).await;
    assert_eq!(backend.objects("thumbnails").len(), 0, "nothing was made of it");
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    assert_eq!(backend.objects("uploads").len(), 0);
}

#[tokio::test]
async fn infected_upload_over_a_processed_video_shows_nothing_of_either() {
    let backend = start(true, false).await;
    let signed = backend.presign(&[("name", "a.mp4"), ("type", "video/mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let first = backend.wait_for(id, "PROCESSED").await;
    backend.put_to(&signed, infected()).send().await.unwrap();
    // The URL of the first upload leads to the second one.
    let read = backend.http.get(first["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::FORBIDDEN);
    let video = backend.wait_for(id, "FAILED").await;
    assert_eq!(video["error"]["code"], "INFECTED");
    check_closed(&backend, id).await;
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
}

#[tokio::test]
async fn moderator_decides_about_one_object() {
    let backend = start(false, true).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let held = wait_until_held(&backend, &id).await;
    assert_eq!(backend.video(&id).await["check"], "PENDING");
    check_closed(&backend, &id).await;
    let etag = held.etag.clone().unwrap();
    moderate(&backend, &held, "00000000000000000000000000000000", "APPROVED").await;
    assert!(record(&backend, &id).await.is_held(), "the verdict on another object");
    moderate(&backend, &held, &etag, "REJECTED").await;
    assert_eq!(backend.video(&id).await["error"]["code"], "REJECTED");
    check_closed(&backend, &id).await;
    moderate(&backend, &held, &etag, "whatever").await;
    assert_eq!(backend.video(&id).await["error"]["code"], "NOT_CHECKED");
    moderate(&backend, &held, &etag, "APPROVED").await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(backend.download(&video, "url").await, mp4());
    // A verdict that comes again changes nothing.
    let before = record(&backend, &id).await;
    moderate(&backend, &held, &etag, "APPROVED").await;
    assert_eq!(record(&backend, &id).await, before);
    let wrong = backend.post("/_local/events").json(&json!({"source": "x"})).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn both_checks_have_to_be_passed() {
    let backend = start(true, true).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let held = wait_until_held(&backend, &id).await;
    assert_eq!(held.scan_result.as_ref().unwrap().value, "NO_THREATS_FOUND");
    moderate(&backend, &held, held.etag.as_deref().unwrap(), "APPROVED").await;
    backend.wait_for(&id, "PROCESSED").await;
}

#[tokio::test]
async fn held_uploads_are_processed_when_the_checks_are_turned_off() {
    let data = tempfile::tempdir().unwrap();
    let mut options = crate::harness::options(data.path());
    options.checks = Checks { scan: false, moderation: true };
    let backend = Backend::start_from(options.clone()).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    wait_until_held(&backend, &id).await;
    drop(backend);
    options.checks = Checks::default();
    let backend = Backend::start_from(options).await;
    // What the sweep does with it.
    let event = s3::event(&Created::of(&record(&backend, &id).await).unwrap());
    let deadline = Instant::now() + Duration::from_mins(1);
    upreel_thumbnail::handle(&backend.local.app, &event, deadline).await.unwrap();
    backend.wait_for(&id, "PROCESSED").await;
}

/// Starts a backend with a moderation and with quotas.
async fn limited(limits: Limits) -> Backend {
    let set = |options: &mut upreel_local::Options| {
        options.checks = Checks { scan: false, moderation: true };
        options.quotas = limits;
    };
    Backend::start_with(set, |handler| handler).await
}

/// Checks what the user has, and that it is what the only row counts.
async fn check_usage(backend: &Backend, id: &str, bytes: usize) {
    let app = &backend.local.app;
    let usage = app.videos.account(&"local".parse().unwrap()).await.unwrap().usage;
    assert_eq!(usage, Usage { bytes: bytes as u64, videos: 1, uploads: 0 });
    assert_eq!(record(backend, id).await.counted.unwrap().bytes, bytes as u64);
}

#[tokio::test]
async fn uploads_count_as_stored_while_they_are_held_and_until_they_are_deleted() {
    let backend = limited(Limits { uploads: Some(1), ..Limits::default() }).await;
    let (size, padded) = (mp4().len(), padded(mp4().len() + 100));
    let signed = backend.presign(&[("name", "a.mp4"), ("type", "video/mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let held = wait_until_held(&backend, id).await;
    check_usage(&backend, id, size).await;
    // It is no upload in flight any more.
    backend.get("/presign?name=b.mp4&size=1").send().await.unwrap().error_for_status().unwrap();
    backend.local.app.release(&other(&backend).await, &"local".parse().unwrap()).await.unwrap();
    moderate(&backend, &held, held.etag.as_deref().unwrap(), "REJECTED").await;
    assert_eq!(backend.video(id).await["error"]["code"], "REJECTED");
    check_usage(&backend, id, size).await;
    // Another object replaces it, and counts instead.
    backend.put_to(&signed, padded.clone()).send().await.unwrap();
    let held = wait_until_held(&backend, id).await;
    check_usage(&backend, id, padded.len()).await;
    for (verdict, status) in [("whatever", "FAILED"), ("APPROVED", "PROCESSED")] {
        moderate(&backend, &held, held.etag.as_deref().unwrap(), verdict).await;
        backend.wait_for(id, status).await;
        check_usage(&backend, id, padded.len()).await;
    }
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    let usage = backend.local.app.videos.account(&"local".parse().unwrap()).await.unwrap().usage;
    assert_eq!(usage, Usage::default());
}

/// Returns the key of the upload that has not arrived.
async fn other(backend: &Backend) -> Key {
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    let pending = list["videos"].as_array().unwrap().iter().find(|video| video["status"] == "PENDING");
    record(backend, pending.unwrap()["videoId"].as_str().unwrap()).await.key.parse().unwrap()
}

#[tokio::test]
async fn limits_refuse_an_upload_only_after_its_verdict() {
    let size = mp4().len();
    let too_long = Limits { max_duration_seconds: Some(1), ..Limits::default() };
    let too_large = Limits { bytes: Some(size as u64 - 1), ..Limits::default() };
    for (limits, code) in [(too_long, "TOO_LONG"), (too_large, "QUOTA_EXCEEDED")] {
        let backend = limited(limits).await;
        let signed = backend.presign(&[("name", "a.mp4"), ("size", "1")]).await;
        let id = signed["videoId"].as_str().unwrap();
        let key = signed["key"].as_str().unwrap().parse().unwrap();
        // As with the credentials of another program: no signature limits the length.
        backend.local.app.objects.put_upload(&key, "video/mp4", mp4().into()).await.unwrap();
        let held = wait_until_held(&backend, id).await;
        check_closed(&backend, id).await;
        check_usage(&backend, id, size).await;
        for (verdict, code) in [("REJECTED", "REJECTED"), ("APPROVED", code)] {
            moderate(&backend, &held, held.etag.as_deref().unwrap(), verdict).await;
            assert_eq!(backend.wait_for(id, "FAILED").await["error"]["code"], code);
            check_usage(&backend, id, size).await;
        }
        assert_eq!(backend.objects("thumbnails").len(), 0);
    }
}

#[tokio::test]
async fn audio_is_closed_by_the_status_whatever_the_row_names() {
    let set = |options: &mut upreel_local::Options| {
        options.checks = Checks { scan: false, moderation: true };
        options.audio = true;
    };
    let backend = Backend::start_with(set, |handler| handler).await;
    let file = std::fs::read(audio().0.join("aac.m4a")).unwrap();
    let id = backend.put("a.m4a", "audio/mp4", file).await;
    let held = wait_until_held(&backend, &id).await;
    check_closed(&backend, &id).await;
    moderate(&backend, &held, held.etag.as_deref().unwrap(), "APPROVED").await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    let mut open = urls(&video);
    open.sort();
    open.dedup();
    let expected = ["downloadUrl", "hlsUrl", "peaksUrl", "thumbnailLargeUrl", "thumbnailUrl", "url"];
    assert_eq!(open, expected, "{video}");
    let playlist = video["hlsUrl"].as_str().unwrap().replace("master.m3u8", "source/index.m3u8");
    let playlist = backend.http.get(playlist).send().await.unwrap().text().await.unwrap();
    let segments = lines(&playlist);
    assert!(!segments.is_empty());
    for (status, error) in [("UPLOADED", None), ("FAILED", Some("LOST")), ("FAILED", Some("INFECTED"))] {
        set_status(&backend, &id, status, error).await;
        let row = record(&backend, &id).await;
        assert!(row.previews.peaks_key.is_some() && row.video.playback.is_some(), "{row:?}");
        check_closed(&backend, &id).await;
        for segment in segments.iter().filter(|url| url.contains("/segments/")) {
            check_response(segment, backend.http.get(segment).send().await.unwrap()).await;
        }
    }
}

/// Sets the status of a row, and nothing else: it still names all that was made.
async fn set_status(backend: &Backend, id: &str, status: &str, error: Option<&str>) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = backend.dynamodb().update_item().table_name("VideoMetadata").key("videoId", text(id));
    let update =
        update.expression_attribute_names("#s", "status").expression_attribute_values(":s", text(status));
    let update = match error {
        None => update.update_expression("SET #s = :s"),
        Some(code) => {
            let error = [("code", code), ("message", "x")];
            let error = error.map(|(name, value)| (name.to_owned(), text(value))).into();
            let update = update.expression_attribute_names("#e", "error");
            let update = update.expression_attribute_values(":e", AttributeValue::M(error));
            update.update_expression("SET #s = :s, #e = :e")
        }
    };
    update.send().await.unwrap();
}

#[tokio::test]
async fn giving_up_that_is_repeated_later_does_not_replace_a_verdict() {
    let backend = start(true, false).await;
    let id = backend.put("a.mp4", "video/mp4", infected()).await;
    backend.wait_for(&id, "FAILED").await;
    let row = record(&backend, &id).await;
    let (key, sequencer) = (row.key.parse().unwrap(), row.sequencer.clone().unwrap());
    let videos = &backend.local.app.videos;
    let give_up = async |is_refused| {
        let object = (row.video.size.unwrap(), row.etag.as_deref().unwrap());
        videos.give_up(&key, &row.video.user_id, &sequencer, object, (0, is_refused)).await.unwrap()
    };
    assert_eq!(give_up(false).await, UpdateOutcome::Superseded);
    assert_eq!(backend.video(&id).await["error"]["code"], "INFECTED");
    // The event of a later verdict was given up.
    assert_eq!(give_up(true).await, UpdateOutcome::Recorded);
    assert_eq!(backend.video(&id).await["error"]["code"], "INTERNAL");
}
