//! Many uploads, events and failures at once. Environment variable `LOAD`: the number of poison events.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use upreel_core::Status;

use crate::events::{deliver, event, put, record, without_queue};
use crate::harness::{Backend, ffmpeg, mp4};
use crate::multipart::{PART, Upload, padded};
use crate::restart::spawn;

#[tokio::test]
async fn two_hundred_concurrent_uploads_reach_their_end() {
    let backend = Backend::start().await;
    // Every tenth is a video; the others cost little processor time.
    let bytes = |number: usize| if number.is_multiple_of(10) { mp4() } else { b"no video".to_vec() };
    let puts = (0..200).map(|number| backend.put("a.mp4", "video/mp4", bytes(number)));
    let ids = join_all(puts).await;
    for (number, id) in ids.iter().enumerate() {
        let status = if number.is_multiple_of(10) { "PROCESSED" } else { "FAILED" };
        backend.wait_for(id, status).await;
    }
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (200, 80));
    assert_eq!(backend.dead_letters().await.len(), 0);
}

#[tokio::test]
async fn fifty_concurrent_multipart_uploads_are_processed() {
    let backend = &Backend::start().await;
    let video = &padded(PART + 1000);
    let uploads = stream::iter(0..50).map(async |_| {
        let upload = Upload::begin(backend).await;
        let parts = upload.put_all(backend, video).await;
        assert_eq!(upload.complete(backend, &parts).await.status(), 200);
        upload.video().to_owned()
    });
    let ids: Vec<String> = uploads.buffer_unordered(10).collect().await;
    for id in &ids {
        backend.wait_for(id, "PROCESSED").await;
    }
    backend.wait_until_idle().await;
    assert_eq!((backend.objects("uploads").len(), backend.parts().len()), (50, 0));
}

#[tokio::test]
async fn shuffled_duplicates_change_nothing() {
    const VIDEOS: usize = 24;
    const TIMES: usize = 128;
    let backend = without_queue().await;
    let app = &backend.local.app;
    let mut videos = Vec::new();
    for number in 0..VIDEOS {
        let (id, key) = put(&backend, &mp4()).await;
        videos.push((id, event(&key, &mp4(), &format!("{:02X}", number + 1))));
    }
    // A fixed permutation of the deliveries: a step that is coprime to their number.
    let deliveries = (0..VIDEOS * TIMES).map(|n| (n * 1031) % (VIDEOS * TIMES) % VIDEOS);
    let delivered =
        stream::iter(deliveries).map(|number| deliver(app, std::slice::from_ref(&videos[number].1)));
    let outcomes: Vec<_> = delivered.buffer_unordered(16).collect().await;
    assert_eq!(outcomes.len(), 3072);
    assert!(outcomes.iter().all(Result::is_ok));
    for (id, _) in &videos {
        let record = record(app, id).await;
        assert_eq!((record.video.status, record.sequencers.len()), (Status::Processed, 1));
    }
    assert_eq!(backend.objects("thumbnails").len(), VIDEOS * 4);
}

#[tokio::test]
async fn poison_events_are_processed_by_a_replay_that_is_killed() {
    let count = std::env::var("LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let folder = tempfile::tempdir().unwrap();
    let http = reqwest::Client::new();
    let letters = async |api: &str| -> usize {
        let list: Value = http.get(format!("{api}/_local/dlq")).send().await.unwrap().json().await.unwrap();
        list["messages"].as_array().unwrap().len()
    };
    let replay = async |api: &str| http.post(format!("{api}/_local/dlq/replay")).send().await.unwrap();

    let (mut child, api) = spawn(folder.path(), "/nonexistent/ffmpeg".as_ref(), &[]);
    for _ in 0..count {
        let signed: Value =
            http.get(format!("{api}/presign?name=a.mp4")).send().await.unwrap().json().await.unwrap();
        let put = http.put(signed["uploadUrl"].as_str().unwrap()).header("Content-Type", "video/mp4");
        assert_eq!(put.body(mp4()).send().await.unwrap().status(), 200);
    }
    while letters(&api).await < count {
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let (mut child, api) = spawn(folder.path(), &ffmpeg(), &[]);
    replay(&api).await;
    while files(&folder.path().join("s3/thumbnails")) < 4 {
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let backend = Backend::start_on(folder.path()).await;
    assert!(backend.local.resumed > 0, "the replay was killed half way");
    replay(&backend.local.api).await;
    backend.wait_until_idle().await;
    assert_eq!(backend.dead_letters().await.len(), 0);
    let (mut processed, mut cursor) = (0, String::new());
    loop {
        let page = backend.get(&format!("/videos?limit=100{cursor}")).send().await.unwrap();
        let page: Value = page.json().await.unwrap();
        let videos = page["videos"].as_array().unwrap();
        assert!(videos.iter().all(|video| video["status"] == "PROCESSED"), "{videos:?}");
        processed += videos.len();
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(processed, count);
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
