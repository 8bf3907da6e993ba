//! `GET /videos`, `GET` and `DELETE /videos/{videoId}`.

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::Response;
use serde_json::Value;
use upreel_core::{Key, Version};

use crate::harness::{Backend, mp4, problem};

async fn delete(backend: &Backend, id: &str, user: &str) -> Response {
    backend
        .http
        .delete(format!("{}/videos/{id}", backend.local.api))
        .header("x-user", user)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn unchanged_videos_are_a_304() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let path = format!("/videos/{}", signed["videoId"].as_str().unwrap());
    let first = backend.get(&path).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let same = backend.get(&path).header("If-None-Match", &etag).send().await.unwrap();
    assert_eq!((same.status().as_u16(), &same.headers()["etag"]), (304, &etag));
    assert_eq!(same.text().await.unwrap(), "");

    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(signed["videoId"].as_str().unwrap(), "PROCESSED").await;
    let changed = backend.get(&path).header("If-None-Match", &etag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let etag = changed.headers()["etag"].clone();
    let same = backend.get(&path).header("If-None-Match", &etag).send().await.unwrap();
    assert_eq!(same.status(), 304, "also with signed URLs in the body");
}

#[tokio::test]
async fn unchanged_lists_are_a_304() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let (id, other) = (signed["videoId"].as_str().unwrap(), backend.presign(&[("name", "b.mp4")]).await);
    let get = async |path: &str, etag: &str| {
        let request = backend.get(path).header("Origin", "http://localhost:5173");
        request.header("If-None-Match", etag).send().await.unwrap()
    };
    let tag = |response: &Response| response.headers()["etag"].to_str().unwrap().to_owned();
    let first = get("/videos", "").await;
    let exposed = first.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    assert!(exposed.split(',').any(|name| name.trim() == "etag"), "{exposed}");
    let etag = tag(&first);
    assert!(!etag.starts_with("W/"), "the body is the same, byte for byte");
    let same = get("/videos", &format!("\"other\", {etag}")).await;
    assert_eq!((same.status().as_u16(), tag(&same)), (304, etag.clone()));
    assert_eq!(same.text().await.unwrap(), "");
    assert_eq!(get("/videos?limit=1", &etag).await.status(), 200, "another page");
    let user = backend.get("/videos").header("x-user", "somebody").header("If-None-Match", &etag);
    assert_eq!(user.send().await.unwrap().status(), 200, "another user");

    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    let changed = get("/videos", &etag).await;
    assert_eq!(changed.status(), 200);
    let etag = tag(&changed);
    assert!(changed.text().await.unwrap().contains("X-Amz-Signature="));
    assert_eq!(get("/videos", &etag).await.status(), 304, "also with signed URLs in the body");
    delete(&backend, other["videoId"].as_str().unwrap(), "local").await;
    assert_eq!(get("/videos", &etag).await.status(), 200, "after a deletion");
}

#[tokio::test]
async fn unfinished_videos_have_retry_after() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let path = format!("/videos/{id}");
    let get = async |etag: &str| {
        let request =
            backend.get(&path).header("If-None-Match", etag).header("Origin", "http://localhost:5173");
        request.send().await.unwrap()
    };
    let seconds = |response: &Response| -> Option<u64> {
        Some(response.headers().get("retry-after")?.to_str().unwrap().parse().unwrap())
    };
    let pending = get("").await;
    let etag = pending.headers()["etag"].to_str().unwrap().to_owned();
    assert!(pending.status() == 200 && seconds(&pending).is_some_and(|wait| wait > 0));
    let exposed = pending.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    assert!(exposed.split(',').any(|name| name.trim() == "retry-after"), "{exposed}");
    let same = get(&etag).await;
    assert_eq!((same.status().as_u16(), seconds(&same)), (304, seconds(&pending)));

    let (videos, video) = (&backend.local.app.videos, id.parse().unwrap());
    videos.mark_uploaded(video).await.unwrap();
    let uploaded = get("").await;
    assert_eq!(seconds(&uploaded), seconds(&pending));
    assert_eq!(uploaded.json::<Value>().await.unwrap()["status"], "UPLOADED");
    let key = signed["key"].as_str().unwrap().parse().unwrap();
    let (user, sequencer) = ("local".parse().unwrap(), "0".parse().unwrap());
    videos.claim(&key, &user, &sequencer, (1, "e")).await.unwrap();
    let processing = get("").await;
    assert_eq!(seconds(&processing), seconds(&pending));
    assert_eq!(processing.json::<Value>().await.unwrap()["status"], "PROCESSING");

    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    let done = get(&etag).await;
    assert_eq!((done.status().as_u16(), seconds(&done)), (200, None));
    let same = get(done.headers()["etag"].to_str().unwrap()).await;
    assert_eq!((same.status().as_u16(), seconds(&same)), (304, None));

    let failed = backend.put("a.mp4", "video/mp4", b"no video at all".to_vec()).await;
    backend.wait_for(&failed, "FAILED").await;
    let failed = backend.get(&format!("/videos/{failed}")).send().await.unwrap();
    assert_eq!((failed.status().as_u16(), seconds(&failed)), (200, None));
}

#[tokio::test]
async fn users_see_only_their_own_videos() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let eve = |path: String| backend.get(&path).header("x-user", "eve").send();
    let list: Value = eve("/videos".into()).await.unwrap().json().await.unwrap();
    assert_eq!(list["videos"], serde_json::json!([]));
    assert_eq!(problem(eve(format!("/videos/{id}")).await.unwrap()).await, (404, "NOT_FOUND".into()));
    assert_eq!(problem(delete(&backend, &id, "eve").await).await, (404, "NOT_FOUND".into()));
    assert_eq!(backend.video(&id).await["status"], "PROCESSED");
    let invalid = backend.get("/videos").header("x-user", "../x").send().await.unwrap();
    assert_eq!(problem(invalid).await, (401, "UNAUTHORIZED".into()));
}

#[tokio::test]
async fn the_list_has_preview_urls_and_no_internal_fields() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    for field in ["thumbnailUrl", "thumbnailLargeUrl", "storyboardUrl", "storyboardImageUrl", "blurHash"] {
        assert!(video[field].is_string(), "{field} in {video}");
        // The signing time is rounded to five minutes, so the queries may differ.
        let path = |video: &Value| video[field].as_str().unwrap().split('?').next().unwrap().to_owned();
        assert_eq!(path(&list["videos"][0]), path(&video));
    }
    for field in ["thumbnailKey", "thumbnailLargeKey", "storyboardKey", "key", "sequencer"] {
        assert_eq!(video[field], Value::Null, "{field} is internal");
    }
}

#[tokio::test]
async fn the_original_can_be_played_and_downloaded() {
    let backend = Backend::start().await;
    // S3 stores the declared content type, but the URLs return the detected one.
    let signed = backend.presign(&[("name", "é \"1\".mp4"), ("type", "video/webm")]).await;
    let id = signed["videoId"].as_str().unwrap();
    assert_eq!(backend.video(id).await["url"], Value::Null, "no URL before the upload");
    backend.put_to(&signed, mp4()).send().await.unwrap();
    let video = backend.wait_for(id, "PROCESSED").await;
    for (field, kind) in [("url", "inline"), ("downloadUrl", "attachment")] {
        let get = backend.http.get(video[field].as_str().unwrap()).header("range", "bytes=4-7");
        let part = get.send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()["content-type"], "video/mp4");
        let disposition = format!("{kind}; filename=\"_ _1_.mp4\"; filename*=UTF-8''%C3%A9%20%221%22.mp4");
        assert_eq!(part.headers()["content-disposition"], disposition);
        assert_eq!(part.bytes().await.unwrap(), "ftyp");
    }
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    assert_eq!(list["videos"][0]["url"], Value::Null, "the list has no URLs of originals");
}

#[tokio::test]
async fn a_browser_saves_a_file_that_is_not_a_processed_video() {
    let backend = Backend::start().await;
    let page = b"<script>alert(document.domain)</script>".to_vec();
    let types =
        [("a.mp4", "video/mp4, text/html"), ("a.mp4", "video/mp4;a=\"x\", text/html"), ("a", "text/html")];
    for (name, media_type) in types {
        let query = [("name", name), ("type", media_type)];
        let rejected = backend.get("/presign").query(&query).send().await.unwrap();
        assert_eq!(problem(rejected).await, (415, "UNSUPPORTED_MEDIA".to_owned()), "{media_type}");
    }
    let failed = backend.put("a.html.mp4", "text/html", page).await;
    let failed = backend.wait_for(&failed, "FAILED").await;
    let uploaded: Value = backend.upload("a.mp4", mp4()).await.json().await.unwrap();
    for (url, media_type) in [
        (&failed["url"], "video/mp4"),
        (&failed["downloadUrl"], "video/mp4"),
        (&uploaded["url"], "video/mp4"),
    ] {
        let response = backend.http.get(url.as_str().unwrap()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], media_type);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let disposition = response.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment; "), "{disposition}");
    }
    // A type that an earlier release has stored without rebuilding it.
    let update = backend.dynamodb().update_item().table_name("VideoMetadata");
    let update = update.key("videoId", AttributeValue::S(failed["videoId"].as_str().unwrap().to_owned()));
    let update = update.update_expression("SET contentType = :t");
    let old = AttributeValue::S("video/mp4, text/html".to_owned());
    update.expression_attribute_values(":t", old).send().await.unwrap();
    let video = backend.video(failed["videoId"].as_str().unwrap()).await;
    assert_eq!(video["contentType"], "video/mp4, text/html");
    let response = backend.http.get(video["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn malformed_urls_are_problems() {
    let backend = Backend::start().await;
    let id = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e";
    for (path, status) in [
        ("/videos/%ff".to_owned(), 404),
        ("/videos/%00".to_owned(), 404),
        ("/videos/%zz".to_owned(), 404),
        ("/videos/%ff/hls/master.m3u8".to_owned(), 404),
        (format!("/videos/{id}/hls/%ff/index.m3u8"), 404),
        ("/s3/multipart/%ff?key=a".to_owned(), 404),
        ("/s3/multipart/a/%ff?key=a".to_owned(), 404),
        ("/%ff".to_owned(), 404),
        ("/videos?limit=%ff".to_owned(), 400),
        ("/videos?limit=1&limit=2".to_owned(), 400),
        ("/videos?cursor=%ff".to_owned(), 400),
        // Base64 of a blank and an identifier, and of a date and an identifier.
        ("/videos?cursor=IDAxOWFkMmY0LTVjM2UtN2IyMS04ZjYwLTFkMmMzYjRhNWY2ZQ".to_owned(), 400),
        ("/videos?cursor=MjAyNi0xMS0yNyAwMTlhZDJmNC01YzNlLTdiMjEtOGY2MC0xZDJjM2I0YTVmNmU".to_owned(), 400),
        ("/presign?name=a.mp4&name=b.mp4".to_owned(), 400),
        ("/s3/params?filename=a.mp4&size=x".to_owned(), 400),
    ] {
        let response = backend.get(&path).send().await.unwrap();
        assert_eq!(problem(response).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn the_list_is_newest_first_and_paged() {
    let backend = Backend::start().await;
    let mut ids = Vec::new();
    for i in 0..7 {
        let name = format!("{i}.mp4");
        ids.push(backend.presign(&[("name", &name)]).await["videoId"].as_str().unwrap().to_owned());
    }
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value =
            backend.get(&format!("/videos?limit=3{cursor}")).send().await.unwrap().json().await.unwrap();
        let videos = page["videos"].as_array().unwrap();
        assert!(videos.len() <= 3);
        seen.extend(videos.iter().map(|video| video["videoId"].as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x"] {
        let response = backend.get(&format!("/videos?{bad}")).send().await.unwrap();
        assert_eq!(problem(response).await, (400, "INVALID_REQUEST".into()), "{bad}");
    }
}

#[tokio::test]
async fn delete_removes_all_objects_and_is_idempotent() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    // All objects that a video can have, including those of an earlier upload.
    let earlier = Version::new("01".parse().unwrap(), "e");
    for key in Key::previews(id.parse().unwrap(), &earlier) {
        backend.local.app.objects.store(&key, "image/jpeg", "x".into()).await.unwrap();
    }
    assert_eq!(backend.objects("thumbnails").len(), 8);
    for _ in 0..2 {
        assert_eq!(delete(&backend, id, "local").await.status(), 204);
        assert_eq!(problem(backend.get(&format!("/videos/{id}")).send().await.unwrap()).await.0, 404);
        assert_eq!(backend.video_count().await, 0);
        assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
    }
    // The presigned URL is still valid, but an object uploaded with it is removed.
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_until_idle().await;
    assert_eq!((backend.objects("uploads").len(), backend.objects("thumbnails").len()), (0, 0));
    assert_eq!(backend.video_count().await, 0);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_404_and_405() {
    let backend = Backend::start().await;
    for path in ["/nothing", "/videos/x", "/videos/0195d3b2-1c3b-7cc0-a6a4-3d6e7f8a9b0c", "/videos/a/b"] {
        assert_eq!(
            problem(backend.get(path).send().await.unwrap()).await,
            (404, "NOT_FOUND".into()),
            "{path}"
        );
    }
    let wrong = backend.post("/usage").send().await.unwrap();
    assert_eq!(wrong.headers()["allow"], "GET,HEAD");
    assert_eq!(problem(wrong).await, (405, "METHOD_NOT_ALLOWED".into()));
}

#[tokio::test]
async fn the_web_page_is_served() {
    let backend = Backend::start().await;
    for (path, content_type) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/app.js", "text/javascript"),
        ("/renditions.js", "text/javascript"),
        ("/storyboard.js", "text/javascript"),
        ("/vendor/media-chrome.min.mjs", "text/javascript"),
    ] {
        let response = backend.get(path).send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(content_type));
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("style-src 'self' 'sha256-") && !policy.contains("unsafe"), "{policy}");
        assert!(!response.text().await.unwrap().is_empty());
    }
}
