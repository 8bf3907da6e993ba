//! `GET /presign` and the PUT request to its URL.

use serde_json::Value;

use crate::harness::{Backend, mp4, problem, webm};

#[tokio::test]
async fn a_presigned_put_uploads_a_video() {
    let backend = Backend::start().await;
    let size = mp4().len().to_string();
    let signed = backend.presign(&[("name", "clip.mp4"), ("type", "video/mp4"), ("size", &size)]).await;
    assert_eq!(signed["method"], "PUT");
    assert_eq!(signed["expiresIn"], 300);
    assert_eq!(signed["headers"], serde_json::json!({"Content-Type": "video/mp4"}));
    let id = signed["videoId"].as_str().unwrap();
    assert_eq!(signed["key"], format!("videos/local/{id}.mp4"));
    let url = signed["uploadUrl"].as_str().unwrap();
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&"), "{url}");
    assert!(!url.to_lowercase().contains("checksum"), "{url}");
    assert_eq!(backend.video(id).await["status"], "PENDING");

    assert_eq!(backend.put_to(&signed, mp4()).send().await.unwrap().status(), 200);
    let video = backend.wait_for(id, "PROCESSED").await;
    assert_eq!((&video["filename"], &video["width"]), (&"clip.mp4".into(), &320.into()));
}

#[tokio::test]
async fn only_the_name_is_required() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "clip.webm")]).await;
    assert_eq!(signed["headers"]["Content-Type"], "video/webm");
    let url = signed["uploadUrl"].as_str().unwrap();
    assert!(url.contains("X-Amz-SignedHeaders=content-type%3Bhost&"), "{url}");
    let signed = backend.presign(&[("name", "clip")]).await;
    assert_eq!(signed["headers"]["Content-Type"], "application/octet-stream");
    assert_eq!(backend.put_to(&signed, mp4()).send().await.unwrap().status(), 200);
    let video = backend.wait_for(signed["videoId"].as_str().unwrap(), "PROCESSED").await;
    assert_eq!((&video["contentType"], &video["container"]), (&"video/mp4".into(), &"mp4".into()));
}

#[tokio::test]
async fn invalid_queries_are_rejected_with_their_error_code() {
    let backend = Backend::start_with(|options| options.max_upload_bytes = 1000, |handler| handler).await;
    let cases = [
        ("", 400, "INVALID_REQUEST"),
        ("?name=", 400, "INVALID_REQUEST"),
        ("?name=a&name=b", 400, "INVALID_REQUEST"),
        ("?name=a.html&type=text/html", 415, "UNSUPPORTED_MEDIA"),
        ("?name=a.mp4&size=0", 400, "EMPTY_FILE"),
        ("?name=a.mp4&size=x", 400, "INVALID_REQUEST"),
        ("?name=a.mp4&size=1001", 413, "TOO_LARGE"),
    ];
    for (query, status, code) in cases {
        let response = backend.get(&format!("/presign{query}")).send().await.unwrap();
        assert_eq!(problem(response).await, (status, code.into()), "{query}");
    }
    assert_eq!(backend.video_count().await, 0);
}

#[tokio::test]
async fn the_signature_covers_type_length_key_and_expiry() {
    let backend = Backend::start().await;
    let size = mp4().len().to_string();
    let signed = backend.presign(&[("name", "a.mp4"), ("type", "video/mp4"), ("size", &size)]).await;
    let url = signed["uploadUrl"].as_str().unwrap().to_owned();
    let put = |url: &str, media_type: &str, bytes| {
        backend.http.put(url).header("Content-Type", media_type).body(bytes)
    };
    let other = url.replace("/videos/local/", "/videos/eve/");
    let later = url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000");
    let longer = [mp4(), vec![0]].concat();
    for (what, put) in [
        ("another type", put(&url, "text/html", mp4())),
        ("another length", put(&url, "video/mp4", longer)),
        ("another user's key", put(&other, "video/mp4", mp4())),
        ("another expiry", put(&later, "video/mp4", mp4())),
        ("no signature", put(url.split('?').next().unwrap(), "video/mp4", mp4())),
    ] {
        let status = put.send().await.unwrap().status();
        assert_eq!(status, 403, "{what}");
    }
    assert_eq!(backend.objects("uploads").len(), 0);
    assert_eq!(backend.video(signed["videoId"].as_str().unwrap()).await["status"], "PENDING");
}

#[tokio::test]
async fn a_second_put_replaces_the_first() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let first = backend.wait_for(id, "PROCESSED").await;
    assert_eq!(first["videoCodec"], "h264");

    backend.put_to(&signed, webm()).send().await.unwrap();
    backend.wait_until_idle().await;
    let second = backend.wait_for(id, "PROCESSED").await;
    assert_eq!((&second["videoCodec"], &second["size"]), (&"vp9".into(), &webm().len().into()));

    backend.put_to(&signed, b"no video".to_vec()).send().await.unwrap();
    backend.wait_until_idle().await;
    let third = backend.wait_for(id, "FAILED").await;
    assert_eq!(third["error"]["code"], "UNSUPPORTED_MEDIA");
    assert_eq!(
        (&third["videoCodec"], &third["thumbnailUrl"]),
        (&Value::Null, &Value::Null),
        "no data of the previous upload"
    );
}

#[tokio::test]
async fn concurrent_puts_leave_a_consistent_row() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let puts = (0..10).map(|i| backend.put_to(&signed, if i % 2 == 0 { mp4() } else { webm() }).send());
    for put in futures_util::future::join_all(puts).await {
        assert_eq!(put.unwrap().status(), 200);
    }
    backend.wait_until_idle().await;
    let video = backend.wait_until_finished(id).await;
    let stored = std::fs::read(&backend.objects("uploads")[0]).unwrap();
    let codec = if stored == mp4() { "h264" } else { "vp9" };
    assert_eq!((&video["status"], &video["videoCodec"]), (&"PROCESSED".into(), &codec.into()));
    assert_eq!(backend.dead_letters().await.len(), 0);
}

#[tokio::test]
async fn the_size_limit_is_enforced_on_the_event() {
    let backend = Backend::start_with(|options| options.max_upload_bytes = 1000, |handler| handler).await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    assert_eq!(backend.wait_for(&id, "FAILED").await["error"]["code"], "TOO_LARGE");
}

#[tokio::test]
async fn cors_allows_a_put_from_configured_origins() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    for origin in ["http://localhost:5173", &backend.local.api] {
        for url in [signed["uploadUrl"].as_str().unwrap(), &format!("{}/upload", backend.local.api)] {
            let preflight = backend
                .http
                .request(reqwest::Method::OPTIONS, url)
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "PUT")
                .header("Access-Control-Request-Headers", "content-type")
                .send()
                .await
                .unwrap();
            assert_eq!(preflight.status(), 200);
            assert_eq!(preflight.headers()["access-control-allow-origin"], origin, "{url}");
        }
        let put = backend.put_to(&signed, mp4()).header("Origin", origin).send().await.unwrap();
        assert_eq!(put.headers()["access-control-allow-origin"], origin);
        let exposed = put.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.to_lowercase().contains("etag"), "{exposed}");
        let error = backend.get("/presign").header("Origin", origin).send().await.unwrap();
        assert_eq!(error.headers()["access-control-allow-origin"], origin, "error response");
    }
}
