//! A backend of its own for each test, and the words in which the tests speak.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use upreel_local::queue::Handler;
use upreel_local::{Local, Options};

/// Long enough for a loaded machine; nothing here waits for a time, only until something is so.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Backend {
    pub(crate) local: Local,
    pub(crate) http: Client,
    data: PathBuf,
    _temporary: Option<TempDir>,
}

pub(crate) fn options(data: &Path) -> Options {
    Options {
        port: 0,
        s3_port: 0,
        dynamodb_port: 0,
        data: Some(data.to_owned()),
        ffmpeg: ffmpeg(),
        max_upload_bytes: 5 << 40,
        back_off: [Duration::from_millis(10); 2],
        webhook: None,
        transcode: None,
    }
}

/// The one under test: `$FFMPEG_PATH`, else the one on the PATH.
pub(crate) fn ffmpeg() -> PathBuf {
    let named = std::env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty());
    named.map_or_else(maker, PathBuf::from)
}

/// The one on the PATH, which makes the videos: the layer's has few encoders.
fn maker() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join("ffmpeg"))
        .find(|path| path.is_file())
        .expect("no ffmpeg")
}

impl Backend {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |handler| handler).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Options), wrap: impl FnOnce(Handler) -> Handler) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut options = options(temporary.path());
        set(&mut options);
        let data = options.data.clone().unwrap();
        let local = Local::start_with(options, wrap).await.unwrap();
        Self { local, http: Client::new(), data, _temporary: Some(temporary) }
    }

    /// On data that is there already.
    pub(crate) async fn on(data: &Path) -> Self {
        Self::from(options(data)).await
    }

    pub(crate) async fn from(options: Options) -> Self {
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

    /// Asks for a URL and PUTs there; gives the video's id.
    pub(crate) async fn put(&self, name: &str, media_type: &str, bytes: Vec<u8>) -> String {
        let signed = self.presign(&[("name", name), ("type", media_type)]).await;
        let put = self.put_to(&signed, bytes).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::OK, "{:?}", put.text().await);
        signed["videoId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn presign(&self, query: &[(&str, &str)]) -> Value {
        let answer = self.get("/presign").query(query).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// A PUT as the answer describes it.
    pub(crate) fn put_to(&self, signed: &Value, bytes: Vec<u8>) -> RequestBuilder {
        let mut put = self.http.put(signed["uploadUrl"].as_str().unwrap()).body(bytes);
        for (name, value) in signed["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put
    }

    pub(crate) async fn video(&self, id: &str) -> Value {
        self.get(&format!("/videos/{id}")).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the video stands like this.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        let start = Instant::now();
        loop {
            let video = self.video(id).await;
            if video["status"] == status {
                return video;
            }
            assert!(start.elapsed() < PATIENCE, "not {status} but {video}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the work has come to an end, whatever it is.
    pub(crate) async fn settled(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let video = self.video(id).await;
            if matches!(video["status"].as_str(), Some("PROCESSED" | "FAILED")) {
                return video;
            }
            assert!(start.elapsed() < PATIENCE, "still {video}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until nothing is waiting or under way.
    pub(crate) async fn idle(&self) {
        let start = Instant::now();
        while !files(&self.data.join("queue")).is_empty() {
            assert!(start.elapsed() < PATIENCE, "still busy");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The webhooks that wait for their delivery.
    pub(crate) fn webhooks(&self) -> Vec<PathBuf> {
        files(&self.data.join("webhooks/queue"))
    }

    /// The objects in a bucket.
    pub(crate) fn objects(&self, bucket: &str) -> Vec<PathBuf> {
        files(&self.data.join("s3").join(bucket))
    }

    /// What is kept of multipart uploads under way.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let is_part =
            |path: &PathBuf| [".upload-", ".upload_id-"].iter().any(|of| path.to_string_lossy().contains(of));
        let s3 = std::fs::read_dir(self.data.join("s3")).unwrap().map(|entry| entry.unwrap().path());
        s3.filter(is_part).chain(files(&self.data.join("multipart"))).collect()
    }

    /// What was made of a video: what the answers of one and of the list call it, and its bytes.
    pub(crate) async fn picture(&self, video: &Value, url: &str) -> Vec<u8> {
        let url = video[url].as_str().unwrap_or_else(|| panic!("no {url} in {video}"));
        let answer = self.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn listed(&self) -> usize {
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

/// One row of a manifest, by column.
pub(crate) type Row = Vec<(String, String)>;

pub(crate) fn cell<'a>(row: &'a Row, column: &str) -> &'a str {
    row.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str()).unwrap()
}

/// The videos that `tests/videos/make.sh` makes.
pub(crate) fn good() -> &'static (PathBuf, Vec<Row>) {
    static SET: OnceLock<(PathBuf, Vec<Row>)> = OnceLock::new();
    SET.get_or_init(|| made("make.sh", "good"))
}

/// The bad ones, of `bad.sh`.
pub(crate) fn bad() -> &'static (PathBuf, Vec<Row>) {
    static SET: OnceLock<(PathBuf, Vec<Row>)> = OnceLock::new();
    SET.get_or_init(|| made("bad.sh", "bad"))
}

fn made(script: &str, folder: &str) -> (PathBuf, Vec<Row>) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("videos");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let status = Command::new("bash").arg(scripts.join(script)).arg(&folder).env("FFMPEG", maker()).status();
    assert!(status.unwrap().success(), "{script} failed");
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let mut lines = manifest.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row =
        |line: &str| header.iter().map(|&h| h.to_owned()).zip(line.split('\t').map(str::to_owned)).collect();
    (folder, lines.map(row).collect())
}

/// A small real video.
pub(crate) fn mp4() -> Vec<u8> {
    std::fs::read(good().0.join("h264-faststart.mp4")).unwrap()
}

/// Another one.
pub(crate) fn webm() -> Vec<u8> {
    std::fs::read(good().0.join("vp9.webm")).unwrap()
}

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
