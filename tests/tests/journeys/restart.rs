//! Restarts on the same data, after the process was killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use aws_sdk_dynamodb::types::{DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate};
use futures_util::StreamExt;
use serde_json::Value;
use upreel_local::{Error, Local};

use crate::harness::{Backend, mp4, options, problem};
use crate::multipart::{PART, Upload, padded};

/// Not a test: runs the backend in a separate process that a test can kill.
#[test]
#[ignore = "started by other tests"]
fn process() {
    let data = std::env::var_os("UPREEL_TEST_DATA").expect("started by another test");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut options = options(data.as_ref());
        if let Some(ffmpeg) = std::env::var_os("UPREEL_TEST_FFMPEG") {
            options.ffmpeg = ffmpeg.into();
        }
        if let Ok(url) = std::env::var("UPREEL_TEST_WEBHOOK") {
            options = crate::webhooks::options(data.as_ref(), &url);
        }
        let local = Local::start(options).await.unwrap();
        eprintln!("API {}", local.api);
        std::future::pending::<()>().await;
    });
}

/// Starts the backend in a separate process. Returns the process and the URL of the API.
pub(crate) fn spawn(
    data: &std::path::Path,
    ffmpeg: &std::path::Path,
    variables: &[(&str, &str)],
) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::process", "--ignored", "--nocapture"])
        .env("UPREEL_TEST_DATA", data)
        .env("UPREEL_TEST_FFMPEG", ffmpeg)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let api =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("API ").map(str::to_owned)).unwrap();
    (child, api)
}

#[tokio::test]
async fn a_killed_process_loses_no_events() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // ffmpeg hangs, so that the first video is still being processed when the process is killed.
    let hanging = folder.path().join("ffmpeg");
    std::fs::write(&hanging, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&hanging, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (mut child, api) = spawn(&data, &hanging, &[]);
    let http = reqwest::Client::new();
    let presign = async || -> Value {
        http.get(format!("{api}/presign?name=a.mp4")).send().await.unwrap().json().await.unwrap()
    };

    let processing = presign().await;
    let put =
        http.put(processing["uploadUrl"].as_str().unwrap()).header("Content-Type", "video/mp4").body(mp4());
    assert_eq!(put.send().await.unwrap().status(), 200);
    let id = processing["videoId"].as_str().unwrap().to_owned();
    loop {
        let video: Value = http.get(format!("{api}/videos/{id}")).send().await.unwrap().json().await.unwrap();
        if video["status"] == "PROCESSING" {
            break;
        }
    }
    // The upload of the second video has begun but doesn't end.
    let uploading = presign().await;
    let (sent, mut received) = tokio::sync::mpsc::channel::<()>(1);
    let body = futures_util::stream::iter([mp4()]).chain(futures_util::stream::once(async move {
        sent.send(()).await.unwrap();
        std::future::pending().await
    }));
    let put = http
        .put(uploading["uploadUrl"].as_str().unwrap())
        .header("Content-Type", "video/mp4")
        .body(reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>)));
    let put = tokio::spawn(put.send());
    received.recv().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(put.await.unwrap().is_err(), "the unfinished upload is not acknowledged");

    let backend = Backend::start_on(&data).await;
    assert_eq!(backend.local.resumed, 1);
    backend.wait_for(&id, "PROCESSED").await;
    backend.wait_until_idle().await;
    assert_eq!(backend.video(uploading["videoId"].as_str().unwrap()).await["status"], "PENDING");
    assert_eq!(backend.objects("uploads").len(), 1, "no partial object");
}

#[tokio::test]
async fn an_intent_becomes_an_event_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let id = {
        // The state of a process that was killed after it wrote the object and before it wrote the event.
        let backend = Backend::start_with(
            |o| o.data = Some(data.clone()),
            |_| std::sync::Arc::new(|_| Box::pin(std::future::pending())),
        )
        .await;
        let id = backend.put("a.mp4", "video/mp4", mp4()).await;
        for file in std::fs::read_dir(data.join("queue")).unwrap() {
            let path = file.unwrap().path();
            let mut job: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            job["event"] = Value::Null;
            std::fs::write(&path, job.to_string()).unwrap();
        }
        id
    };
    let backend = Backend::start_on(&data).await;
    assert_eq!(backend.local.resumed, 1);
    backend.wait_for(&id, "PROCESSED").await;
}

#[tokio::test]
async fn a_table_of_an_earlier_release_gets_the_indexes_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    {
        let backend = Backend::start_on(folder.path()).await;
        for name in ["byDue", "byExpiry"] {
            let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(name).build().unwrap();
            let update = backend.dynamodb().update_table().table_name("VideoMetadata");
            let change = GlobalSecondaryIndexUpdate::builder().delete(delete).build();
            update.global_secondary_index_updates(change).send().await.unwrap();
        }
        assert!(backend.local.app.videos.list_expired("0", 1).await.is_err(), "the index is gone");
    }
    let backend = Backend::start_on(folder.path()).await;
    let videos = &backend.local.app.videos;
    assert_eq!(videos.list_due("0", 1).await.unwrap(), []);
    assert_eq!(videos.list_expired("0", 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_second_backend_on_the_same_data_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Local::start(options(folder.path())).await.unwrap();
    assert!(matches!(Local::start(options(folder.path())).await, Err(Error::Locked(_))));
}

#[tokio::test]
async fn the_error_of_a_taken_port_names_port_and_flag() {
    let first = Backend::start().await;
    let port = first.local.api.rsplit(':').next().unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let second = Local::start(upreel_local::Options { port, ..options(folder.path()) }).await;
    let error = second.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
}

#[tokio::test]
async fn a_killed_completion_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let video = padded(20 * PART);
    let backend = Backend::start_on(&data).await;
    let upload = Upload::begin(&backend).await;
    let parts = upload.put_all(&backend, &video).await;
    drop(backend);

    let http = reqwest::Client::new();
    let complete = |api: &str| {
        let url = format!("{api}/s3/multipart/{}/complete", upload.id);
        let request = http.post(url).query(&[("key", &upload.key)]);
        request.json(&serde_json::json!({"parts": parts})).send()
    };
    // Whether a kill hits the completion depends on the machine. The result never does.
    for delay in [0, 10, 20, 40, 80] {
        let (mut child, api) = spawn(&data, &crate::harness::ffmpeg(), &[]);
        let completing = tokio::spawn(complete(&api));
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = completing.await.unwrap();
    }
    let backend = Backend::start_on(&data).await;
    assert_eq!(complete(&backend.local.api).await.unwrap().status(), 200);
    assert_eq!(backend.wait_for(upload.video(), "PROCESSED").await["size"], video.len());
    assert_eq!(std::fs::read(&backend.objects("uploads")[0]).unwrap(), video);
    assert_eq!((backend.objects("uploads").len(), backend.parts().len()), (1, 0), "nothing else is left");
}

#[tokio::test]
async fn incomplete_uploads_are_removed_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::start_on(folder.path()).await;
    let (old, new) = (Upload::begin(&backend).await, Upload::begin(&backend).await);
    old.put(&backend, 1, &mp4()).await;
    new.put(&backend, 1, &mp4()).await;
    drop(backend);

    let key = folder.path().join("multipart").join(&old.id).join("key");
    let day = std::time::Duration::from_hours(24);
    std::fs::File::options()
        .append(true)
        .open(key)
        .unwrap()
        .set_modified(std::time::SystemTime::now() - day)
        .unwrap();
    let backend = Backend::start_on(folder.path()).await;
    let listed = backend.get(&format!("/s3/multipart/{}", old.id)).query(&[("key", &old.key)]);
    assert_eq!(problem(listed.send().await.unwrap()).await, (404, "NOT_FOUND".into()));
    new.put(&backend, 2, &mp4()).await;
    assert_eq!(backend.parts().len(), 4, "the parts, the key and the headers of the new upload");
}
