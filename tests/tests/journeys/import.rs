//! The import of another bucket, and that it can be interrupted anywhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;
use upreel_core::{Checks, Container, Key, VideoId};
use upreel_local::Options;
use upreel_local::import::{Import, Plan, Progress, Source};
use upreel_store::{Buckets, ObjectStore};

use crate::checks::infected;
use crate::harness::{Backend, client_config, mp4, webm};

/// Creates the bucket `archive`, and returns its folder.
fn archive(backend: &Backend) -> PathBuf {
    let folder = backend.data().join("s3/archive");
    fs::create_dir_all(folder.join("2025")).unwrap();
    folder
}

async fn plan(backend: &Backend, prefix: &str) -> Plan {
    let source = Source { bucket: "archive".to_owned(), prefix: prefix.to_owned() };
    let import = Import { source, user: "local".parse().unwrap(), audio: false, concurrency: 16 };
    Plan::new(&backend.local.app.objects, import).await.unwrap()
}

async fn run(backend: &Backend, plan: &Plan) -> Progress {
    let app = &backend.local.app;
    plan.run(&app.objects, &app.videos, |_| {}).await
}

async fn list(backend: &Backend) -> Vec<Value> {
    let list: Value = backend.get("/videos?limit=100").send().await.unwrap().json().await.unwrap();
    list["videos"].as_array().unwrap().clone()
}

#[tokio::test]
async fn videos_of_another_bucket_are_copied_and_processed() {
    let backend = Backend::start().await;
    let folder = archive(&backend);
    let name = "Ferien ä+b 100%.MP4";
    fs::write(folder.join("2025").join(name), mp4()).unwrap();
    fs::write(folder.join("2025/clip.webm"), webm()).unwrap();
    fs::write(folder.join("2025/notes.txt"), "no video").unwrap();
    fs::write(folder.join("other.mp4"), mp4()).unwrap();
    // It has two parts.
    let padding: u32 = 130 << 20;
    let mut large = File::create(folder.join("2025/large.mp4")).unwrap();
    large.write_all(&[mp4(), padding.to_be_bytes().to_vec(), b"free".to_vec()].concat()).unwrap();
    large.set_len(u64::from(padding) + mp4().len() as u64).unwrap();

    let plan = plan(&backend, "2025/").await;
    assert_eq!((plan.size().0, plan.copied_before), (3, 0));
    assert_eq!(plan.others.clone().into_iter().collect::<Vec<_>>(), [(".txt".to_owned(), 1)]);
    let progress = run(&backend, &plan).await;
    assert_eq!((progress.copied, progress.failed.len()), (3, 0), "{:?}", progress.failed);
    assert_eq!(progress.bytes, plan.size().1);
    backend.wait_until_idle().await;

    let videos = list(&backend).await;
    let mut names: Vec<_> = videos.iter().map(|video| video["filename"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, [name, "clip.webm", "large.mp4"]);
    for video in &videos {
        assert_eq!(
            (&video["status"], video["thumbnailUrl"].is_string()),
            (&"PROCESSED".into(), true),
            "{video}"
        );
    }
    let original = videos.iter().find(|video| video["filename"] == name).unwrap();
    assert_eq!((original["contentType"].as_str(), &original["width"]), (Some("video/mp4"), &320.into()));
    assert!(folder.join("2025").join(name).exists(), "the source stays");
    assert_eq!(backend.parts(), [""; 0].map(PathBuf::from));

    // A repetition finds everything, and does not bring back what was deleted.
    let delete = format!("{}/videos/{}", backend.local.api, original["videoId"].as_str().unwrap());
    assert_eq!(backend.http.delete(delete).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let again = self::plan(&backend, "2025/").await;
    assert_eq!((again.size().0, again.copied_before), (1, 2));
    let progress = run(&backend, &again).await;
    assert_eq!((progress.copied, progress.left), (0, 1));
    assert_eq!(backend.video_count().await, 2);
}

#[tokio::test]
async fn copies_are_held_until_they_are_scanned() {
    let set = |options: &mut Options| options.checks = Checks { scan: true, moderation: false };
    let backend = Backend::start_with(set, |handler| handler).await;
    let folder = archive(&backend);
    fs::write(folder.join("clean.mp4"), mp4()).unwrap();
    fs::write(folder.join("infected.mp4"), infected()).unwrap();
    let plan = plan(&backend, "").await;
    assert_eq!(run(&backend, &plan).await.copied, 2);
    for video in list(&backend).await {
        let video = backend.wait_until_finished(video["videoId"].as_str().unwrap()).await;
        let is_clean = video["filename"] == "clean.mp4";
        let expected = if is_clean { (Value::Null, true) } else { ("INFECTED".into(), false) };
        assert_eq!((video["error"]["code"].clone(), video["url"].is_string()), expected, "{video}");
    }
    assert_eq!(self::plan(&backend, "").await.copied_before, 2, "a repetition copies neither again");
}

#[tokio::test]
async fn an_object_that_cannot_be_copied_does_not_stop_the_others() {
    let backend = Backend::start_with(|_| {}, |_| Arc::new(|_| Box::pin(async { Ok(()) }))).await;
    let folder = archive(&backend);
    for i in 0..5 {
        fs::write(folder.join(format!("2025/{i}.mp4")), "x").unwrap();
    }
    let plan = plan(&backend, "").await;
    fs::remove_file(folder.join("2025/3.mp4")).unwrap();
    let progress = run(&backend, &plan).await;
    assert_eq!(progress.copied, 4);
    let failed: Vec<_> = progress.failed.iter().map(|(key, fault)| format!("{key}: {fault}")).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].starts_with("2025/3.mp4: ") && failed[0].contains("replaced or deleted"), "{failed:?}");
}

#[tokio::test]
async fn a_source_that_was_replaced_after_it_was_listed_is_not_imported() {
    let backend = Backend::start_with(|_| {}, |_| Arc::new(|_| Box::pin(async { Ok(()) }))).await;
    let folder = archive(&backend);
    fs::write(folder.join("same.mp4"), mp4()).unwrap();
    // Written through S3, so that the listing has its entity tag.
    let s3 = client_config(&backend.local.s3, &backend.local.secret);
    let buckets = Buckets { uploads: "archive".to_owned(), ..backend.local.app.config.buckets.clone() };
    let source = ObjectStore::new(&s3, buckets, false);
    let key =
        Key::Video { user: "local".parse().unwrap(), id: VideoId::new(), container: Some(Container::Mp4) };
    let put = async |body: Vec<u8>| source.put_upload(&key, "video/mp4", body.into()).await.unwrap();
    put(mp4()).await;
    let listed = plan(&backend, "").await;
    source.delete(&key).await.unwrap();
    put(webm()).await;
    let progress = run(&backend, &listed).await;
    assert_eq!(progress.copied, 1);
    let replaced = key.to_string();
    let [(key, fault)] = &progress.failed[..] else { panic!("{progress:?}") };
    assert!(*key == replaced && fault.to_string().contains("replaced or deleted"), "{key}: {fault}");
    let again = plan(&backend, "").await;
    assert_eq!((again.size().0, again.copied_before), (1, 1), "the next run imports it");
    assert_eq!(run(&backend, &again).await.copied, 1);
}

/// `IMPORT=10000` imports more objects.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_three_times_loses_nothing() {
    let count: usize = std::env::var("IMPORT").map_or(200, |text| text.parse().unwrap());
    // The events are acknowledged: processing is not what is tested.
    let backend = Arc::new(Backend::start_with(|_| {}, |_| Arc::new(|_| Box::pin(async { Ok(()) }))).await);
    let folder = archive(&backend);
    for i in 0..count {
        fs::write(folder.join(format!("2025/{i}.mp4")), i.to_string()).unwrap();
    }
    let copied = || {
        backend.objects("uploads").iter().filter(|path| path.extension().is_some_and(|e| e == "mp4")).count()
    };
    let mut left = count;
    for quarter in 1..4 {
        let (of_task, plan) = (backend.clone(), plan(&backend, "").await);
        assert!(plan.size().0 <= left);
        left = plan.size().0;
        let task = tokio::spawn(async move { run(&of_task, &plan).await });
        let start = Instant::now();
        while copied() < count * quarter / 4 {
            assert!(!task.is_finished() && start.elapsed() < upreel_tests::HANG_GUARD);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled(), "it was interrupted");
    }
    let rest = plan(&backend, "").await;
    assert!(rest.size().0 > 0 && rest.copied_before >= count * 3 / 4);
    let progress = run(&backend, &rest).await;
    assert!(progress.failed.is_empty(), "{:?}", progress.failed);
    assert_eq!(copied(), count);

    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = backend.get(&format!("/videos?limit=100{cursor}")).send().await.unwrap();
        let page: Value = page.json().await.unwrap();
        names.extend(page["videos"].as_array().unwrap().iter().map(|video| {
            assert_eq!(video["size"], video["filename"].as_str().unwrap().len() - ".mp4".len());
            video["filename"].as_str().unwrap().to_owned()
        }));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
