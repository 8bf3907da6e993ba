//! Companion's S3 routes and Uppy's `signRequest`: multipart uploads and POST forms that go directly to S3.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Backend, mp4, problem};

pub(crate) const PART: usize = 5 << 20;

/// Returns a valid video of this size, padded with a `free` box.
pub(crate) fn padded(size: usize) -> Vec<u8> {
    let mut bytes = mp4();
    let free = u32::try_from(size - bytes.len()).unwrap();
    bytes.extend(free.to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(size, 0);
    bytes
}

/// A multipart upload.
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: String,
}

impl Upload {
    pub(crate) async fn begin(backend: &Backend) -> Self {
        let file = json!({"filename": "clip.mp4", "type": "video/mp4", "metadata": {"name": "clip.mp4"}});
        let response = ok(backend.post("/s3/multipart").json(&file)).await;
        assert_eq!(response["bucket"], "uploads");
        Self { key: text(&response["key"]), id: text(&response["uploadId"]) }
    }

    /// Returns the video's identifier.
    pub(crate) fn video(&self) -> &str {
        self.key.rsplit('/').next().unwrap().split('.').next().unwrap()
    }

    fn at(&self, backend: &Backend, method: Method, rest: &str) -> RequestBuilder {
        let url = format!("{}/s3/multipart/{}{rest}", backend.local.api, self.id);
        backend.http.request(method, url).query(&[("key", &self.key)])
    }

    /// Uploads one part with a signed URL. Returns its entry for the completion request.
    pub(crate) async fn put(&self, backend: &Backend, number: usize, bytes: &[u8]) -> Value {
        let signed = ok(self.at(backend, Method::GET, &format!("/{number}"))).await;
        assert_eq!(signed["expires"], 900);
        let url = text(&signed["url"]);
        assert!(url.contains("X-Amz-SignedHeaders=host&"), "a browser sends no other signed header: {url}");
        put_part(backend, &url, number, bytes).await
    }

    pub(crate) async fn put_all(&self, backend: &Backend, video: &[u8]) -> Vec<Value> {
        let mut parts = Vec::new();
        for (i, bytes) in video.chunks(PART).enumerate() {
            parts.push(self.put(backend, i + 1, bytes).await);
        }
        parts
    }

    pub(crate) async fn complete(&self, backend: &Backend, parts: &[Value]) -> Response {
        self.at(backend, Method::POST, "/complete").json(&json!({"parts": parts})).send().await.unwrap()
    }
}

async fn put_part(backend: &Backend, url: &str, number: usize, bytes: &[u8]) -> Value {
    let put = backend.http.put(url).body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    json!({"PartNumber": number, "ETag": put.headers()["etag"].to_str().unwrap()})
}

async fn ok(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_multipart_upload_becomes_a_video() {
    let backend = Backend::start().await;
    let video = padded(3 * PART);
    let upload = Upload::begin(&backend).await;
    assert!(upload.key.starts_with("videos/local/"), "{}", upload.key);
    assert_eq!(backend.video(upload.video()).await["status"], "PENDING");
    assert_eq!(ok(upload.at(&backend, Method::GET, "")).await, json!([]));

    let parts = upload.put_all(&backend, &video).await;
    let listed = ok(upload.at(&backend, Method::GET, "")).await;
    let expected: Vec<_> = parts
        .iter()
        .map(|part| json!({"PartNumber": part["PartNumber"], "Size": PART, "ETag": part["ETag"]}))
        .collect();
    assert_eq!(listed, json!(expected));

    let done = upload.complete(&backend, &parts).await;
    assert_eq!(done.status(), StatusCode::OK);
    let done: Value = done.json().await.unwrap();
    assert_eq!(done["location"], format!("{}/uploads/{}", backend.local.s3, upload.key));
    assert_eq!((&done["key"], &done["bucket"]), (&json!(upload.key), &json!("uploads")));

    let row = backend.wait_for(upload.video(), "PROCESSED").await;
    assert_eq!((&row["filename"], &row["size"]), (&json!("clip.mp4"), &json!(video.len())));
    assert_eq!(backend.download(&row, "thumbnailUrl").await[..2], [0xff, 0xd8]);
    assert_eq!(std::fs::read(&backend.objects("uploads")[0]).unwrap(), video);
    assert_eq!(backend.parts().len(), 0, "the parts are removed");

    let again = upload.complete(&backend, &parts).await;
    assert_eq!(again.status(), StatusCode::OK, "a client that lost the response sends the request again");
    assert_eq!(again.json::<Value>().await.unwrap(), done);
    assert_eq!(problem(upload.complete(&backend, &parts[..2]).await).await, (404, "NOT_FOUND".into()));
    assert_eq!(problem(abort(&backend, &upload).await).await, (404, "NOT_FOUND".into()));
    backend.wait_until_idle().await;
    assert_eq!(backend.video(upload.video()).await["status"], "PROCESSED");
}

#[tokio::test]
async fn completion_continues_after_the_client_disconnects() {
    let backend = Backend::start().await;
    let video = padded(8 * PART);
    let upload = Upload::begin(&backend).await;
    let parts = upload.put_all(&backend, &video).await;
    let sign_request = json!({"method": "POST", "key": upload.key, "uploadId": upload.id});
    let url = text(&ok(backend.post("/presign").json(&sign_request)).await["url"]);
    let listed = parts.iter().map(|part| {
        format!(
            "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
            part["PartNumber"],
            text(&part["ETag"])
        )
    });
    let xml = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", listed.collect::<String>());
    // S3 begins the response before the upload is completed. The client disconnects then.
    let begun =
        backend.http.post(url).header("Content-Type", "application/xml").body(xml).send().await.unwrap();
    assert_eq!(begun.status(), StatusCode::OK);
    drop(begun);
    assert_eq!(upload.complete(&backend, &parts).await.status(), StatusCode::OK, "the upload is completed");
    backend.wait_for(upload.video(), "PROCESSED").await;
    assert_eq!(std::fs::read(&backend.objects("uploads")[0]).unwrap(), video);
    assert_eq!(backend.parts().len(), 0, "the parts are removed");
}

async fn abort(backend: &Backend, upload: &Upload) -> Response {
    upload.at(backend, Method::DELETE, "").send().await.unwrap()
}

#[tokio::test]
async fn parts_can_be_signed_in_a_batch() {
    let backend = Backend::start().await;
    let upload = Upload::begin(&backend).await;
    let batch = upload.at(&backend, Method::GET, "/batch").query(&[("partNumbers", "2,1")]);
    let urls = ok(batch).await;
    let urls = urls["presignedUrls"].as_object().unwrap();
    assert_eq!(urls.keys().collect::<Vec<_>>(), ["1", "2"]);
    let mut parts = Vec::new();
    for (i, bytes) in padded(PART + 1000).chunks(PART).enumerate() {
        parts.push(put_part(&backend, urls[&(i + 1).to_string()].as_str().unwrap(), i + 1, bytes).await);
    }
    assert_eq!(upload.complete(&backend, &parts).await.status(), StatusCode::OK);
    backend.wait_for(upload.video(), "PROCESSED").await;
}

#[tokio::test]
async fn lists_more_parts_than_s3_returns_at_once() {
    let backend = Backend::start().await;
    let upload = Upload::begin(&backend).await;
    let numbers: Vec<_> = (1..=1001).map(|number: u16| number.to_string()).collect();
    let batch = upload.at(&backend, Method::GET, "/batch").query(&[("partNumbers", numbers.join(","))]);
    let urls = ok(batch).await;
    let puts = urls["presignedUrls"].as_object().unwrap().values();
    let puts = puts.map(|url| backend.http.put(text(url)).body("x").send());
    // S3 returns at most 1,000 parts in a response.
    for put in futures_util::future::join_all(puts).await {
        assert_eq!(put.unwrap().status(), StatusCode::OK);
    }
    let listed = ok(upload.at(&backend, Method::GET, "")).await;
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|part| part["PartNumber"].to_string()).collect();
    assert_eq!(listed, numbers);
}

#[tokio::test]
async fn abort_removes_all_parts() {
    let backend = Backend::start().await;
    let upload = Upload::begin(&backend).await;
    let part = upload.put(&backend, 1, &mp4()).await;
    let url = text(&ok(upload.at(&backend, Method::GET, "/2")).await["url"]);
    assert_ne!(backend.parts().len(), 0);
    let response = abort(&backend, &upload).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({}));
    assert_eq!(backend.parts().len(), 0);

    assert_eq!(
        backend.http.put(url).body(mp4()).send().await.unwrap().status(),
        404,
        "a signed URL of an aborted upload"
    );
    for late in [
        abort(&backend, &upload).await,
        upload.at(&backend, Method::GET, "").send().await.unwrap(),
        upload.complete(&backend, &[part]).await,
    ] {
        assert_eq!(problem(late).await, (404, "NOT_FOUND".into()));
    }
    assert_eq!(backend.objects("uploads").len(), 0);
}

#[tokio::test]
async fn uploads_over_the_limit_are_not_completed() {
    let limit = u64::try_from(PART + 1000).unwrap();
    let backend = Backend::start_with(|options| options.max_upload_bytes = limit, |handler| handler).await;
    let upload = Upload::begin(&backend).await;
    let parts = upload.put_all(&backend, &padded(PART + 1001)).await;
    assert_eq!(problem(upload.complete(&backend, &parts).await).await, (413, "TOO_LARGE".into()));
    assert_eq!((backend.parts().len(), backend.objects("uploads").len()), (0, 0), "the upload is aborted");

    let rows = backend.video_count().await;
    let file = json!({"filename": "a.mp4", "type": "video/mp4", "size": limit + 1});
    let early = backend.post("/s3/multipart").json(&file).send().await.unwrap();
    assert_eq!(problem(early).await, (413, "TOO_LARGE".into()), "a declared size is checked at once");
    assert_eq!(backend.video_count().await, rows);

    let upload = Upload::begin(&backend).await;
    let parts = upload.put_all(&backend, &padded(PART + 1000)).await;
    assert_eq!(upload.complete(&backend, &parts).await.status(), StatusCode::OK, "exactly the limit");
    backend.wait_for(upload.video(), "PROCESSED").await;
}

#[tokio::test]
async fn uploads_of_another_user_are_not_found() {
    let backend = Backend::start().await;
    let upload = Upload::begin(&backend).await;
    let part = upload.put(&backend, 1, &mp4()).await;
    let parts = json!({"parts": [part]});
    let sign = |method: &str, part: Option<u16>| {
        let mut sign_request = json!({"method": method, "key": upload.key, "uploadId": upload.id});
        if let Some(number) = part {
            sign_request["partNumber"] = json!(number);
        }
        backend.post("/presign").json(&sign_request)
    };
    let requests = || {
        [
            ("list", upload.at(&backend, Method::GET, "")),
            ("part", upload.at(&backend, Method::GET, "/1")),
            ("batch", upload.at(&backend, Method::GET, "/batch").query(&[("partNumbers", "1")])),
            ("complete", upload.at(&backend, Method::POST, "/complete").json(&parts)),
            ("abort", upload.at(&backend, Method::DELETE, "")),
            ("sign a part", sign("PUT", Some(1))),
            ("sign a list", sign("GET", None)),
            ("sign a completion", sign("POST", None)),
            ("sign an abort", sign("DELETE", None)),
        ]
    };
    let mut responses = Vec::new();
    for (what, request) in requests() {
        let response = request.header("x-user", "eve").send().await.unwrap();
        assert_eq!(response.status(), 404, "{what}");
        responses.push(response.text().await.unwrap());
    }
    // The responses are identical to that of an upload that doesn't exist.
    let gone = Upload { id: upreel_core::VideoId::new().to_string(), key: upload.key.clone() };
    responses.push(gone.at(&backend, Method::GET, "").send().await.unwrap().text().await.unwrap());
    responses.dedup();
    assert_eq!(responses.len(), 1, "{responses:?}");

    // The upload doesn't exist under a key of the other user either.
    let key = upload.key.replace("/local/", "/eve/");
    let own = Upload { id: upload.id.clone(), key };
    let listed = own.at(&backend, Method::GET, "").header("x-user", "eve").send().await.unwrap();
    assert_eq!(problem(listed).await, (404, "NOT_FOUND".into()));
    for (what, request) in requests() {
        let invalid = request.header("x-user", "../local").send().await.unwrap();
        assert_eq!(invalid.status(), 401, "{what}");
    }
    let listed = ok(upload.at(&backend, Method::GET, "")).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "the upload is unchanged");
}

#[tokio::test]
async fn invalid_requests_are_rejected_and_change_nothing() {
    let backend = Backend::start().await;
    let upload = Upload::begin(&backend).await;
    let part = upload.put(&backend, 1, &mp4()).await;
    let small = upload.put(&backend, 2, b"x").await;
    let get = |path: &str| upload.at(&backend, Method::GET, path);
    let complete = |body: &str| upload.at(&backend, Method::POST, "/complete").body(body.to_owned());
    let with_parts = |parts: &[&Value]| complete(&json!({"parts": parts}).to_string());
    let other = json!({"PartNumber": 1, "ETag": "\"00000000000000000000000000000000\""});
    let number = |number: i64| json!({"PartNumber": number, "ETag": part["ETag"]});
    let bare = format!("/s3/multipart/{}", upload.id);
    let cases = [
        ("part 0", get("/0"), 400),
        ("part 10001", get("/10001"), 400),
        ("part -1", get("/-1"), 400),
        ("part x", get("/x"), 400),
        ("no part numbers", get("/batch"), 400),
        ("empty part numbers", get("/batch").query(&[("partNumbers", "")]), 400),
        ("one bad part number", get("/batch").query(&[("partNumbers", "1,0")]), 400),
        ("no key", backend.get(&bare), 400),
        ("no key to abort", backend.http.delete(format!("{}{bare}", backend.local.api)), 400),
        ("two keys", backend.get(&bare).query(&[("key", "a"), ("key", "b")]), 400),
        ("malformed key", backend.get(&bare).query(&[("key", "../x")]), 404),
        ("malformed upload ID", backend.get("/s3/multipart/x%2Fy").query(&[("key", &upload.key)]), 404),
        ("body is not JSON", complete("parts=1"), 400),
        ("no body", complete(""), 400),
        ("no parts", complete("{}"), 400),
        ("empty list of parts", with_parts(&[]), 400),
        ("part 0 completed", with_parts(&[&number(0)]), 400),
        ("part 70000 completed", with_parts(&[&number(70_000)]), 400),
        ("missing part", with_parts(&[&number(3)]), 400),
        ("different ETag", with_parts(&[&other]), 400),
        ("duplicate part", with_parts(&[&part, &part]), 400),
        ("wrong order", with_parts(&[&small, &part]), 400),
        ("first part too small", with_parts(&[&part, &small]), 400),
        ("no filename", backend.post("/s3/multipart").body(r#"{"type": "video/mp4"}"#), 400),
        ("not a video", backend.post("/s3/multipart").body(r#"{"filename": "a", "type": "text/html"}"#), 415),
        ("form: not a video", backend.get("/s3/params?filename=a&type=text/html"), 415),
        ("form: no filename", backend.get("/s3/params?type=video/mp4"), 400),
        ("nothing to sign", backend.post("/presign").body("{}"), 400),
        (
            "GET without upload ID",
            backend.post("/presign").json(&json!({"method": "GET", "key": upload.key})),
            400,
        ),
        (
            "DELETE without upload ID",
            backend.post("/presign").json(&json!({"method": "DELETE", "key": upload.key})),
            400,
        ),
    ];
    for (what, request, status) in cases {
        let code = match status {
            400 => "INVALID_REQUEST",
            404 => "NOT_FOUND",
            _ => "UNSUPPORTED_MEDIA",
        };
        let response = request.send().await.unwrap();
        assert_eq!((what, problem(response).await), (what, (status, code.into())));
    }
    assert_eq!(backend.video_count().await, 1, "rejected requests create no row");
    assert_eq!(upload.complete(&backend, &[part]).await.status(), StatusCode::OK, "the upload is unchanged");
    backend.wait_for(upload.video(), "PROCESSED").await;
}

/// Returns the request of a form as Uppy sends it: the fields, then the file. `change` replaces the values of fields.
fn form(backend: &Backend, signed: &Value, change: &[(&str, &str)], bytes: Vec<u8>) -> RequestBuilder {
    let mut form = Form::new();
    for (name, value) in signed["fields"].as_object().unwrap() {
        let changed = change.iter().find(|(field, _)| field == name).map(|(_, value)| (*value).to_owned());
        form = form.text(name.clone(), changed.unwrap_or_else(|| text(value)));
    }
    let url = signed["url"].as_str().unwrap();
    backend.http.post(url).multipart(form.part("file", Part::bytes(bytes).file_name("blob")))
}

#[tokio::test]
async fn a_post_form_uploads_a_video() {
    let backend = Backend::start().await;
    let signed =
        ok(backend.get("/s3/params?filename=clip.mp4&type=video/mp4&metadata%5Bname%5D=clip.mp4")).await;
    assert_eq!((&signed["method"], &signed["expires"]), (&json!("POST"), &json!(300)));
    assert_eq!(signed["url"], format!("{}/uploads/", backend.local.s3));
    let key = text(&signed["fields"]["key"]);
    let id = key.rsplit('/').next().unwrap().strip_suffix(".mp4").unwrap();
    assert_eq!(backend.video(id).await["status"], "PENDING");

    let posted = form(&backend, &signed, &[], mp4()).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::CREATED);
    let header = |name: &str| posted.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("location"), format!("{}/uploads/{key}", backend.local.s3));
    assert!(header("etag").starts_with('"'));
    let video = backend.wait_for(id, "PROCESSED").await;
    assert_eq!((&video["filename"], &video["contentType"]), (&json!("clip.mp4"), &json!("video/mp4")));
    assert_eq!(std::fs::read(&backend.objects("uploads")[0]).unwrap(), mp4());
}

#[tokio::test]
async fn a_post_form_rejects_everything_else() {
    let limit = u64::try_from(mp4().len()).unwrap();
    let backend = Backend::start_with(|options| options.max_upload_bytes = limit, |handler| handler).await;
    let signed = ok(backend.get("/s3/params?filename=clip.mp4&type=video/mp4")).await;
    let eve = text(&signed["fields"]["key"]).replace("/local/", "/eve/");
    let longer = [mp4(), vec![0]].concat();
    for (what, change, bytes, status) in [
        ("too large", &[][..], longer, 400),
        ("empty", &[], Vec::new(), 400),
        ("another type", &[("Content-Type", "text/html")], mp4(), 403),
        ("another key", &[("key", eve.as_str())], mp4(), 403),
        ("another signature", &[("X-Amz-Signature", "00")], mp4(), 403),
        ("another policy", &[("Policy", "e30=")], mp4(), 403),
    ] {
        let response = form(&backend, &signed, change, bytes).send().await.unwrap();
        let got = response.status().as_u16();
        // The local S3 differs from AWS in which of the two statuses it uses.
        assert!(got == status || matches!(got, 400 | 403), "{what}: {got} {:?}", response.text().await);
    }
    assert_eq!(backend.objects("uploads").len(), 0);
    assert_eq!(form(&backend, &signed, &[], mp4()).send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn uppy_6_can_sign_every_request_of_an_upload() {
    let backend = Backend::start().await;
    let sign = async |sign_request: Value| ok(backend.post("/presign").body(sign_request.to_string())).await;
    let name = "0195d3b2-1c3b-7cc0-a6a4-3d6e7f8a9b0c-clip.mp4";

    let put = sign(json!({"method": "PUT", "key": name, "contentType": "video/mp4"})).await;
    assert_eq!(put["headers"], json!({"Content-Type": "video/mp4"}));
    let sent = backend.http.put(text(&put["url"])).header("Content-Type", "video/mp4").body(mp4());
    assert_eq!(sent.send().await.unwrap().status(), StatusCode::OK);
    let video = Upload { key: text(&put["key"]), id: String::new() };
    assert_eq!(backend.wait_for(video.video(), "PROCESSED").await["filename"], "clip.mp4");

    let policy =
        sign(json!({"method": "PUT", "key": name, "contentType": "video/mp4", "fields": true})).await;
    assert_eq!(policy["key"], policy["fields"]["key"]);
    assert_eq!(form(&backend, &policy, &[], mp4()).send().await.unwrap().status(), StatusCode::CREATED);

    // Without a content type, it is derived from the name. Uppy uses the headers of the response.
    let create = sign(json!({"method": "POST", "key": name})).await;
    assert_eq!(create["headers"], json!({"Content-Type": "video/mp4"}));
    let created = backend.http.post(text(&create["url"])).header("Content-Type", "video/mp4").send();
    let xml = created.await.unwrap().text().await.unwrap();
    let id = xml.split("<UploadId>").nth(1).unwrap().split("</UploadId>").next().unwrap().to_owned();
    let upload = Upload { key: text(&create["key"]), id };
    let about = |method: &str| json!({"method": method, "key": upload.key, "uploadId": upload.id});
    let mut sign_request = about("PUT");
    sign_request["partNumber"] = json!(1);
    let part = put_part(&backend, &text(&sign(sign_request).await["url"]), 1, &mp4()).await;

    let list = backend.http.get(text(&sign(about("GET")).await["url"])).send().await.unwrap();
    assert!(list.text().await.unwrap().contains("<PartNumber>1</PartNumber>"));
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        part["ETag"].as_str().unwrap()
    );
    let url = text(&sign(about("POST")).await["url"]);
    let done =
        backend.http.post(url).header("Content-Type", "application/xml").body(xml).send().await.unwrap();
    assert_eq!(done.status(), StatusCode::OK);
    let xml = done.text().await.unwrap();
    assert!(
        xml.contains(&format!("<Location>{}/uploads/{}<", backend.local.s3, upload.key)),
        "Uppy requires the location: {xml}"
    );
    backend.wait_for(upload.video(), "PROCESSED").await;

    let upload = Upload::begin(&backend).await;
    upload.put(&backend, 1, &mp4()).await;
    let sign_request = json!({"method": "DELETE", "key": upload.key, "uploadId": upload.id});
    let gone = backend.http.delete(text(&sign(sign_request).await["url"])).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(backend.parts().len(), 0);
}

#[tokio::test]
async fn completion_over_the_limit_is_not_signed() {
    let limit = u64::try_from(mp4().len()).unwrap();
    let backend = Backend::start_with(|options| options.max_upload_bytes = limit, |handler| handler).await;
    let sign_request = json!({"method": "POST", "key": "a.mp4", "size": limit + 1});
    assert_eq!(problem(backend.post("/presign").json(&sign_request).send().await.unwrap()).await.0, 413);
    let upload = Upload::begin(&backend).await;
    upload.put(&backend, 1, &[mp4(), vec![0]].concat()).await;
    let sign_request = json!({"method": "POST", "key": upload.key, "uploadId": upload.id});
    let response = backend.post("/presign").json(&sign_request).send().await.unwrap();
    assert_eq!(problem(response).await, (413, "TOO_LARGE".into()));
    assert_eq!(backend.parts().len(), 0, "the upload is aborted");
}

#[tokio::test]
async fn a_multipart_upload_continues_after_a_restart() {
    let data = tempfile::TempDir::new().unwrap();
    let video = padded(PART + 1000);
    let backend = Backend::start_on(data.path()).await;
    let upload = Upload::begin(&backend).await;
    upload.put(&backend, 1, &video[..PART]).await;
    drop(backend);

    let backend = Backend::start_on(data.path()).await;
    let listed = ok(upload.at(&backend, Method::GET, "")).await;
    let mut parts = listed.as_array().unwrap().clone();
    parts.push(upload.put(&backend, 2, &video[PART..]).await);
    assert_eq!(upload.complete(&backend, &parts).await.status(), StatusCode::OK);
    backend.wait_for(upload.video(), "PROCESSED").await;
}
