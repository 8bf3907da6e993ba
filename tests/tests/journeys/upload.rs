//! `POST /upload`.

use reqwest::multipart::{Form, Part};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use upreel_core::{Container, Details, Key, UserId, VideoId};

use crate::harness::{Backend, bad, mp4, problem, webm};

async fn with_key(backend: &Backend, key: &str, bytes: Vec<u8>) -> Response {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("a.mp4"));
    backend.post("/upload").header("Idempotency-Key", key).multipart(form).send().await.unwrap()
}

async fn id(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    response.json::<Value>().await.unwrap()["videoId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_uploaded_video_gets_a_poster() {
    let backend = Backend::start().await;
    let response = backend.upload("clip.mp4", mp4()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response: Value = response.json().await.unwrap();
    assert_eq!((&response["success"], &response["status"]), (&true.into(), &"UPLOADED".into()));
    let original = backend.http.get(response["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(original.headers()["content-type"], "video/mp4");
    assert_eq!(original.bytes().await.unwrap(), mp4());

    let video = backend.wait_for(response["videoId"].as_str().unwrap(), "PROCESSED").await;
    assert_eq!((&video["filename"], &video["size"]), (&"clip.mp4".into(), &mp4().len().into()));
    let poster = backend.http.get(video["thumbnailUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(poster.headers()["content-type"], "image/jpeg");
}

#[tokio::test]
async fn the_container_is_detected_from_the_bytes() {
    let backend = Backend::start().await;
    let part = Part::bytes(webm()).file_name("webm.mp4").mime_str("video/mp4").unwrap();
    let response = backend.post("/upload").multipart(Form::new().part("file", part)).send().await.unwrap();
    let video = backend.video(&id(response).await).await;
    assert_eq!(video["contentType"], "video/webm");
    let stored = backend.objects("uploads");
    assert_eq!(stored[0].extension().unwrap(), "webm");
}

#[tokio::test]
async fn rejected_files_leave_no_row_or_object() {
    let backend = Backend::start().await;
    for name in
        ["text.mp4", "page.mp4", "image.mp4", "archive.mp4", "photo.mp4", "heic.mp4", "hls.mp4", "dash.mp4"]
    {
        let response = backend.upload(name, std::fs::read(bad().0.join(name)).unwrap()).await;
        assert_eq!(problem(response).await, (415, "UNSUPPORTED_MEDIA".into()), "{name}");
    }
    assert_eq!(problem(backend.upload("empty.mp4", Vec::new()).await).await, (400, "EMPTY_FILE".into()));
    let other = Form::new().part("video", Part::bytes(mp4()).file_name("a.mp4"));
    let response = backend.post("/upload").multipart(other).send().await.unwrap();
    assert_eq!(problem(response).await, (400, "MISSING_FILE".into()));
    let response = backend.post("/upload").send().await.unwrap();
    assert_eq!(problem(response).await, (400, "MALFORMED_BODY".into()));
    let response =
        backend.post("/upload").header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(problem(response).await, (400, "MALFORMED_BODY".into()));
    assert_eq!((backend.video_count().await, backend.objects("uploads").len()), (0, 0));
}

#[tokio::test]
async fn a_file_over_the_limit_is_a_413_that_names_presign() {
    let backend = Backend::start().await;
    let mut video = mp4();
    // Over Upreel's limit for the file, Lambda's limit for the event, API Gateway's limit for the request.
    for size in [4_613_735, 4_900_000, 10_100_000] {
        video.resize(size, 0);
        let response = backend.upload("a.mp4", video.clone()).await;
        assert_eq!(response.status(), 413, "{size}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "TOO_LARGE");
        assert!(body["detail"].as_str().unwrap().contains("/presign"), "{body}");
    }
    assert_eq!((backend.video_count().await, backend.objects("uploads").len()), (0, 0));
    video.resize(4_613_734, 0);
    assert_eq!(backend.upload("a.mp4", video).await.status(), 200, "exactly the limit");
}

#[tokio::test]
async fn max_upload_bytes_is_enforced() {
    let backend = Backend::start_with(|options| options.max_upload_bytes = 1000, |handler| handler).await;
    assert_eq!(problem(backend.upload("a.mp4", mp4()).await).await, (413, "TOO_LARGE".into()));
}

#[tokio::test]
async fn a_truncated_body_leaves_no_row_or_object() {
    let backend = Backend::start().await;
    let address = backend.local.api.strip_prefix("http://").unwrap();
    let head =
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n";
    let part = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";

    // The connection closes before the declared length is sent.
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}Content-Length: 100000\r\n\r\n{part}");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.write_all(&mp4()[..5000]).await.unwrap();
    drop(socket);

    // The length is right, but the form has no closing delimiter.
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = [part.as_bytes(), &mp4()[..]].concat();
    let request = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 400") && response.contains("MALFORMED_BODY"), "{response}");
    assert_eq!((backend.video_count().await, backend.objects("uploads").len()), (0, 0));
}

#[tokio::test]
async fn hostile_filenames_are_sanitized_and_not_in_keys() {
    let backend = Backend::start().await;
    let names = [
        ("../../../etc/passwd.mp4", "passwd.mp4"),
        ("$(touch pwned).mp4", "$(touch pwned).mp4"),
        ("a;rm -rf *.mp4", "a;rm -rf *.mp4"),
        ("<img src=x>.mp4", "<img src=x>.mp4"),
        ("🎬 été.mp4", "🎬 été.mp4"),
    ];
    for (name, stored) in names {
        let video = backend.video(&id(backend.upload(name, mp4()).await).await).await;
        assert_eq!(video["filename"], stored);
    }
    // These bodies are built by hand, because the client would escape the names.
    for (name, stored) in [("a\\\"b.mp4", "a\"b.mp4"), (&"ü".repeat(300), &*"ü".repeat(127)), ("", "video")]
    {
        let body = [
            format!("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n")
                .into_bytes(),
            mp4(),
            b"\r\n--B--\r\n".to_vec(),
        ];
        let upload = backend.post("/upload").header("content-type", "multipart/form-data; boundary=B");
        let response = upload.body(body.concat()).send().await.unwrap();
        let video = backend.video(&id(response).await).await;
        assert_eq!(video["filename"], stored, "{name}");
    }
    for key in backend.objects("uploads") {
        assert_eq!(
            (key.file_stem().unwrap().len(), key.extension().unwrap().to_str()),
            (36, Some("mp4")),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn the_same_idempotency_key_returns_the_same_video() {
    let backend = Backend::start().await;
    let first = id(with_key(&backend, "k", mp4()).await).await;
    backend.wait_for(&first, "PROCESSED").await;
    assert_eq!(id(with_key(&backend, "k", mp4()).await).await, first);
    assert_eq!(backend.video(&first).await["status"], "PROCESSED", "the second request changes nothing");
    assert_eq!(problem(with_key(&backend, "k", webm()).await).await, (422, "IDEMPOTENCY_MISMATCH".into()));
    assert_ne!(id(with_key(&backend, "other", mp4()).await).await, first);
    assert_eq!(problem(with_key(&backend, "", mp4()).await).await, (400, "INVALID_REQUEST".into()));
    assert_eq!((backend.video_count().await, backend.objects("uploads").len()), (2, 2));

    let delete = backend.http.delete(format!("{}/videos/{first}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), 204);
    assert_eq!(problem(with_key(&backend, "k", mp4()).await).await, (422, "IDEMPOTENCY_MISMATCH".into()));
    assert_eq!(backend.objects("uploads").len(), 1);
}

#[tokio::test]
async fn concurrent_requests_with_one_idempotency_key_create_one_video() {
    let backend = Backend::start().await;
    let responses = futures_util::future::join_all((0..8).map(|_| with_key(&backend, "k", mp4()))).await;
    let mut ids = Vec::new();
    for response in responses {
        ids.push(id(response).await);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    backend.wait_for(&ids[0], "PROCESSED").await;
    assert_eq!((backend.video_count().await, backend.objects("uploads").len()), (1, 1));
}

#[tokio::test]
async fn idempotency_keys_are_separate_per_user() {
    let backend = Backend::start().await;
    let mine = id(with_key(&backend, "k", mp4()).await).await;
    let form = Form::new().part("file", Part::bytes(mp4()).file_name("a.mp4"));
    let other =
        backend.post("/upload").header("Idempotency-Key", "k").header("x-user", "eve").multipart(form);
    assert_ne!(id(other.send().await.unwrap()).await, mine);
}

#[tokio::test]
async fn repeated_write_is_recognised_by_its_size() {
    let backend = Backend::start().await;
    let objects = &backend.local.app.objects;
    let key = Key::Video { user: "local".parse().unwrap(), id: VideoId::new(), container: None };
    for _ in 0..2 {
        objects.put_upload(&key, "video/mp4", "one".into()).await.unwrap();
    }
    assert!(objects.put_upload(&key, "video/mp4", "another".into()).await.is_err());
    assert_eq!(objects.head(&key).await.unwrap().unwrap().size, 3);
}

#[tokio::test]
async fn repetition_stores_what_a_killed_request_has_not() {
    let backend = Backend::start().await;
    let (app, user): (_, UserId) = (&backend.local.app, "local".parse().unwrap());
    let key = Key::Video { user: user.clone(), id: VideoId::new(), container: Some(Container::Mp4) };
    app.videos.reserve_idempotency_key(&user, "k", &mp4(), key.video_id()).await.unwrap();
    app.videos
        .create(&key, (user, "a.mp4".into(), "video/mp4".into()), None, &Details::default())
        .await
        .unwrap();
    assert_eq!(id(with_key(&backend, "k", mp4()).await).await, key.video_id().to_string());
    assert!(app.objects.head(&key).await.unwrap().is_some());
}
