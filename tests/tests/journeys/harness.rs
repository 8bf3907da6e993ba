//! A separate backend for each test, and the operations that the tests share.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use upreel_core::Checks;
use upreel_local::queue::Handler;
use upreel_local::{ACCESS_KEY, Local, Options, REGION};
use upreel_store::sdk;

/// Timeout of all waits, long enough for a loaded machine. Tests wait for conditions, never for a fixed time.
const TIMEOUT: Duration = upreel_tests::HANG_GUARD;

pub(crate) struct Backend {
    pub(crate) local: Local,
    pub(crate) http: Client,
    data: PathBuf,
    _temporary: Option<TempDir>,
}

pub(crate) fn options(data: &Path) -> Options {
    Options {
        audio: false,
        fetch: None,
        host: Ipv4Addr::LOCALHOST.into(),
        allowed_hosts: Vec::new(),
        allowed_origins: vec!["http://localhost:5173".to_owned()],
        secret: None,
        port: 0,
        s3_port: 0,
        dynamodb_port: 0,
        data: Some(data.to_owned()),
        ffmpeg: ffmpeg(),
        checks: Checks::default(),
        max_upload_bytes: 5 << 40,
        quotas: upreel_core::quota::Limits::default(),
        back_off: [Duration::from_millis(10); 2],
        webhook: None,
        transcode: None,
        transcodes_when_watched: false,
        limits: upreel_local::limits(),
        sweep_interval: upreel_local::SWEEP_INTERVAL,
    }
}

/// Returns the ffmpeg under test: `$FFMPEG_PATH`, else the one on the PATH.
pub(crate) fn ffmpeg() -> PathBuf {
    let path = std::env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty());
    path.map_or_else(system_ffmpeg, PathBuf::from)
}

/// Returns the ffmpeg on the PATH, which generates the videos; that of the layer has few encoders.
fn system_ffmpeg() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join("ffmpeg"))
        .find(|path| path.is_file())
        .expect("no ffmpeg")
}

impl Backend {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}, |handler| handler).await
    }

    pub(crate) async fn start_with(
        set: impl FnOnce(&mut Options),
        wrap: impl FnOnce(Handler) -> Handler,
    ) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut options = options(temporary.path());
        set(&mut options);
        let data = options.data.clone().unwrap();
        let local = Local::start_with(options, wrap).await.unwrap();
        Self { local, http: Client::new(), data, _temporary: Some(temporary) }
    }

    /// Starts a backend on existing data.
    pub(crate) async fn start_on(data: &Path) -> Self {
        Self::start_from(options(data)).await
    }

    pub(crate) async fn start_from(options: Options) -> Self {
        let data = options.data.clone().unwrap();
        let local = Local::start(options).await.unwrap();
        Self { local, http: Client::new(), data, _temporary: None }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.local.api))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.local.api))
    }

    pub(crate) async fn upload(&self, name: &str, bytes: Vec<u8>) -> Response {
        let part = Part::bytes(bytes).file_name(name.to_owned());
        self.post("/upload").multipart(Form::new().part("file", part)).send().await.unwrap()
    }

    /// Requests a presigned URL and uploads the bytes with it. Returns the video's identifier.
    pub(crate) async fn put(&self, name: &str, media_type: &str, bytes: Vec<u8>) -> String {
        let signed = self.presign(&[("name", name), ("type", media_type)]).await;
        let put = self.put_to(&signed, bytes).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::OK, "{:?}", put.text().await);
        signed["videoId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn presign(&self, query: &[(&str, &str)]) -> Value {
        let response = self.get("/presign").query(query).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// Returns the PUT request that a response of `/presign` describes.
    pub(crate) fn put_to(&self, signed: &Value, bytes: Vec<u8>) -> RequestBuilder {
        // `reqwest` leaves out a length of 0.
        let put = self.http.put(signed["uploadUrl"].as_str().unwrap()).header("content-length", bytes.len());
        let mut put = put.body(bytes);
        for (name, value) in signed["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put
    }

    pub(crate) async fn video(&self, id: &str) -> Value {
        self.get(&format!("/videos/{id}")).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the video has this status.
    pub(crate) async fn wait_for(&self, id: &str, status: &str) -> Value {
        let start = Instant::now();
        loop {
            let video = self.video(id).await;
            if video["status"] == status {
                return video;
            }
            assert!(start.elapsed() < TIMEOUT, "expected {status}: {video}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the video is PROCESSED or FAILED.
    pub(crate) async fn wait_until_finished(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let video = self.video(id).await;
            if matches!(video["status"].as_str(), Some("PROCESSED" | "FAILED")) {
                return video;
            }
            assert!(start.elapsed() < TIMEOUT, "not finished: {video}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the queue has no pending events.
    pub(crate) async fn wait_until_idle(&self) {
        let start = Instant::now();
        while !files(&self.data.join("queue")).is_empty() {
            assert!(start.elapsed() < TIMEOUT, "the queue is not empty");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the backend has listed the buckets, which it does when it starts. Of two listings at a time, one stops.
    pub(crate) async fn wait_until_listed(&self) {
        let start = Instant::now();
        loop {
            let note = self.local.app.videos.load_note("reconcile#listing").await.unwrap();
            let position: Option<Value> = note.map(|note| serde_json::from_str(&note).unwrap());
            if position.is_some_and(|position| position["pass"].as_u64().unwrap() > 0) {
                return;
            }
            assert!(start.elapsed() < TIMEOUT, "the buckets are not listed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns a client of the local DynamoDB with the right credentials.
    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&client_config(&self.local.dynamodb, &self.local.secret))
    }

    /// Deletes a row, as if it was lost.
    pub(crate) async fn delete_row(&self, id: &str) {
        let delete = self.dynamodb().delete_item().table_name("VideoMetadata");
        delete.key("videoId", AttributeValue::S(id.to_owned())).send().await.unwrap();
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the files of the pending webhooks.
    pub(crate) fn webhooks(&self) -> Vec<PathBuf> {
        files(&self.data.join("webhooks/queue"))
    }

    /// Returns the files of the objects in a bucket.
    pub(crate) fn objects(&self, bucket: &str) -> Vec<PathBuf> {
        files(&self.data.join("s3").join(bucket))
    }

    /// Returns the files of all unfinished multipart uploads.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let is_part = |path: &PathBuf| {
            [".upload-", ".upload_id-"].iter().any(|infix| path.to_string_lossy().contains(infix))
        };
        let s3 = std::fs::read_dir(self.data.join("s3")).unwrap().map(|entry| entry.unwrap().path());
        s3.filter(is_part).chain(files(&self.data.join("multipart"))).collect()
    }

    /// Downloads the object at the URL in a field of the video, such as `thumbnailUrl`.
    pub(crate) async fn download(&self, video: &Value, field: &str) -> Vec<u8> {
        let url = video[field].as_str().unwrap_or_else(|| panic!("no {field} in {video}"));
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn video_count(&self) -> usize {
        let list: Value = self.get("/videos?limit=100").send().await.unwrap().json().await.unwrap();
        list["videos"].as_array().unwrap().len()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<Value> {
        let list: Value = self.get("/_local/dlq").send().await.unwrap().json().await.unwrap();
        list["messages"].as_array().unwrap().clone()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// One row of a manifest: columns and values.
pub(crate) type Row = Vec<(String, String)>;

pub(crate) fn cell<'a>(row: &'a Row, column: &str) -> &'a str {
    row.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str()).unwrap()
}

/// The folder and the manifest of the valid videos, generated by `tests/videos/make.sh`.
pub(crate) fn good() -> &'static (PathBuf, Vec<Row>) {
    static SET: OnceLock<(PathBuf, Vec<Row>)> = OnceLock::new();
    SET.get_or_init(|| generate("make.sh", "good"))
}

/// The folder and the manifest of the files with audio alone, generated by `tests/videos/audio.sh`.
pub(crate) fn audio() -> &'static (PathBuf, Vec<Row>) {
    static SET: OnceLock<(PathBuf, Vec<Row>)> = OnceLock::new();
    SET.get_or_init(|| generate("audio.sh", "audio"))
}

/// The folder and the manifest of the invalid files, generated by `tests/videos/bad.sh`.
pub(crate) fn bad() -> &'static (PathBuf, Vec<Row>) {
    static SET: OnceLock<(PathBuf, Vec<Row>)> = OnceLock::new();
    SET.get_or_init(|| generate("bad.sh", "bad"))
}

fn generate(script: &str, folder: &str) -> (PathBuf, Vec<Row>) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("videos");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let status =
        Command::new("bash").arg(scripts.join(script)).arg(&folder).env("FFMPEG", system_ffmpeg()).status();
    assert!(status.unwrap().success(), "{script} failed");
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let mut lines = manifest.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row =
        |line: &str| header.iter().map(|&h| h.to_owned()).zip(line.split('\t').map(str::to_owned)).collect();
    (folder, lines.map(row).collect())
}

/// Returns a small MP4 video.
pub(crate) fn mp4() -> Vec<u8> {
    std::fs::read(good().0.join("h264-faststart.mp4")).unwrap()
}

/// Returns a small WebM video.
pub(crate) fn webm() -> Vec<u8> {
    std::fs::read(good().0.join("vp9.webm")).unwrap()
}

/// Checks that a response is a complete problem document, and returns its status and its `code`.
pub(crate) async fn problem(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    for field in ["type", "title", "detail", "error", "message"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {body}");
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

/// Returns the configuration of a client of the AWS SDK.
pub(crate) fn client_config(endpoint: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, secret, None, None, "test");
    sdk::defaults(&sdk::Roots::Known)
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}
