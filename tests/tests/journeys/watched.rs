//! Renditions that are encoded when they are watched: the first request, the encoding, and the switch to and from the
//! original.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;
use upreel_core::transcode::Run;
use upreel_transcode::Task;
use upreel_videos::Start;

use crate::harness::Backend;

async fn backend() -> Backend {
    let options = |options: &mut upreel_local::Options| {
        (options.transcode, options.transcodes_when_watched) = (Some(2), true);
    };
    Backend::start_with(options, |handler| handler).await
}

/// Returns a video of 26 s at 5 frames per second, with a keyframe every 2 s and this codec.
fn video(codec: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let status = Command::new("ffmpeg")
        .args("-nostdin -v error -f lavfi -i testsrc2=s=720x720:r=5:d=26".split(' '))
        .args("-f lavfi -i sine=f=440:d=26 -preset ultrafast -g 10 -bf 2 -c:a aac -c:v".split(' '))
        .arg(codec)
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(path).unwrap()
}

async fn get(backend: &Backend, id: &str, file: &str) -> Response {
    backend.get(&format!("/videos/{id}/hls/{file}")).send().await.unwrap()
}

async fn playlist(backend: &Backend, id: &str, file: &str) -> String {
    let response = get(backend, id, file).await;
    assert_eq!(response.status(), StatusCode::OK, "{file}");
    response.text().await.unwrap()
}

/// Asks for a playlist of renditions that are not encoded.
async fn ask(backend: &Backend, id: &str, file: &str) {
    let response = get(backend, id, file).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "NOT_READY");
}

/// Returns the names and states of the rungs.
fn rungs(video: &Value) -> Value {
    let rungs = video["renditions"].as_array().cloned().unwrap_or_default();
    rungs.into_iter().map(|rung| json!([rung["name"], rung["status"]])).collect()
}

/// Waits until a video is as expected.
async fn wait_until(backend: &Backend, id: &str, is_expected: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let video = backend.video(id).await;
        if is_expected(&video) {
            return video;
        }
        assert!(start.elapsed() < upreel_tests::HANG_GUARD, "{video}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the URLs of the initialization segment and of the segments, and the durations of the segments.
fn segments(playlist: &str) -> (String, Vec<String>, Vec<String>) {
    let init = playlist.split("#EXT-X-MAP:URI=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let urls = playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let durations = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    (init, urls.map(str::to_owned).collect(), durations.map(str::to_owned).collect())
}

async fn download(backend: &Backend, url: &str) -> Vec<u8> {
    let response = backend.http.get(url).send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"video/mp4".parse().unwrap())
    );
    response.bytes().await.unwrap().to_vec()
}

/// Returns the presentation times of the decoded frames of a segment, in microseconds.
fn times(segment: &[u8]) -> Vec<i64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), segment).unwrap();
    let output = Command::new("ffprobe")
        .args("-v error -show_entries stream=time_base:frame=pts -of csv=p=0".split(' '))
        .arg(file.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let scale: i64 = text.lines().find_map(|line| line.strip_prefix("1/")).unwrap().parse().unwrap();
    let times = text.lines().filter_map(|line| line.trim_end_matches(',').parse::<i64>().ok());
    times.map(|time| time * 1_000_000 / scale).collect()
}

/// All objects that are stored for playback, without the video's folders.
fn folders(backend: &Backend) -> BTreeSet<String> {
    let folder = |path: PathBuf| {
        let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let at = parts.iter().position(|part| part == "playback" || part == "hls" || part == "work");
        at.map(|at| [parts[at].as_str(), parts.get(at + 3).map_or("", String::as_str)].join("/"))
    };
    backend.objects("processed").into_iter().filter_map(folder).collect()
}

#[tokio::test]
async fn a_rung_is_encoded_when_somebody_asks_for_it() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video("libx264")).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(video["playback"]["mode"], "HLS", "{video}");
    assert_eq!(rungs(&video), json!([["v360", "OFFERED"], ["v480", "OFFERED"]]), "{video}");
    assert_eq!(video["transcode"], Value::Null);
    let variants = async || {
        let master = playlist(&backend, &id, "master.m3u8").await;
        assert!(
            master
                .lines()
                .filter(|line| line.starts_with("#EXT-X-STREAM-INF"))
                .all(|line| line.contains("AUDIO=\"audio\""))
        );
        master.lines().filter(|line| line.ends_with("/index.m3u8")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(variants().await, ["source/index.m3u8"]);
    let original = segments(&playlist(&backend, &id, "source/index.m3u8").await);
    for url in &original.1 {
        download(&backend, url).await;
    }
    assert_eq!(rungs(&backend.video(&id).await), rungs(&video), "only the original was watched");
    let missing = get(&backend, &id, "v720/index.m3u8").await;
    assert_eq!(missing.json::<Value>().await.unwrap()["code"], "NOT_FOUND");
    let other = backend.get(&format!("/videos/{id}/hls/v360/index.m3u8")).header("x-user", "other");
    assert_eq!(other.send().await.unwrap().json::<Value>().await.unwrap()["code"], "NOT_FOUND");
    assert_eq!(rungs(&backend.video(&id).await), rungs(&video));

    join_all((0..100).map(async |_| ask(&backend, &id, "v360/index.m3u8").await)).await;
    let done = json!([["v360", "DONE"], ["v480", "OFFERED"]]);
    let video = wait_until(&backend, &id, |video| rungs(video) == done).await;
    assert_eq!(variants().await, ["source/index.m3u8", "v360/index.m3u8"]);
    let rung = segments(&playlist(&backend, &id, "v360/index.m3u8").await);
    assert!(original.2.len() > 3);
    assert_eq!(rung.2, original.2, "the durations of the segments");
    let mut frames = 0;
    let (init, of_original) = (download(&backend, &rung.0).await, download(&backend, &original.0).await);
    for (ours, theirs) in rung.1.iter().zip(&original.1) {
        let ours = times(&[init.clone(), download(&backend, ours).await].concat());
        let theirs = times(&[of_original.clone(), download(&backend, theirs).await].concat());
        assert_eq!(ours, theirs);
        frames += ours.len();
    }
    assert_eq!(frames, 26 * 5);
    let mut expected: BTreeSet<String> =
        ["records", "original.json", "master.m3u8", "master-v360.m3u8", "source", "source-audio", "v360"]
            .map(|name| format!("playback/{name}"))
            .into();
    expected.insert("work/v360".to_owned());
    assert_eq!(folders(&backend), expected, "no other audio and no other rung");

    ask(&backend, &id, "v480/index.m3u8").await;
    let done = json!([["v360", "DONE"], ["v480", "DONE"]]);
    wait_until(&backend, &id, |video| rungs(video) == done).await;
    assert_eq!(variants().await, ["source/index.m3u8", "v360/index.m3u8", "v480/index.m3u8"]);
    assert_eq!(video["hlsUrl"], backend.video(&id).await["hlsUrl"]);

    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
    assert_eq!(get(&backend, &id, "v360/index.m3u8").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_video_that_cannot_be_played_from_its_original_is_transcoded_when_it_is_watched() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video("mpeg4")).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!((&video["playback"]["mode"], &video["hlsUrl"]), (&"ORIGINAL".into(), &Value::Null), "{video}");
    assert_eq!((&video["transcode"]["status"], &video["renditions"]), (&"OFFERED".into(), &Value::Null));
    assert_eq!(
        get(&backend, &id, "v720/index.m3u8").await.json::<Value>().await.unwrap()["code"],
        "NOT_FOUND"
    );
    ask(&backend, &id, "master.m3u8").await;
    let video = wait_until(&backend, &id, |video| video["transcode"]["status"] == "DONE").await;
    assert!(video["hlsUrl"].is_string(), "{video}");
    let master = playlist(&backend, &id, "master.m3u8").await;
    assert!(master.contains("v720/index.m3u8") && master.contains("audio/index.m3u8"), "{master}");
}

/// The API of a video, whose executions are not run.
struct Api {
    routes: Router,
    id: String,
    started: Arc<Mutex<Vec<(Run, u32)>>>,
}

impl Api {
    fn new(backend: &Backend, id: &str) -> Self {
        let started: Arc<Mutex<Vec<(Run, u32)>>> = Arc::default();
        let starts = started.clone();
        let start: Start = Arc::new(move |run, restarts| {
            starts.lock().unwrap().push((run, restarts));
            Box::pin(std::future::ready(Ok(())))
        });
        let routes = upreel_videos::router(backend.local.app.clone(), Some(start));
        Self { routes, id: id.to_owned(), started }
    }

    async fn get(&self, file: &str) -> (StatusCode, String) {
        let uri = format!("/videos/{}/hls/{file}", self.id);
        let mut request = Request::get(uri).header("host", "api").body(Body::empty()).unwrap();
        let mut context = upreel_http::ApiGatewayProxyRequestContext::default();
        context.authorizer.fields.insert("claims".to_owned(), json!({"sub": "local"}));
        request.extensions_mut().insert(upreel_http::RequestContext::ApiGatewayV1(context));
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn playlist(&self, file: &str) -> String {
        let (status, text) = self.get(file).await;
        assert_eq!(status, StatusCode::OK, "{file}: {text}");
        text
    }
}

/// Returns for each segment of a playlist whether it is a gap.
fn gaps(playlist: &str) -> Vec<bool> {
    let segments = playlist.split("#EXTINF:").skip(1);
    segments.map(|segment| segment.contains("\n#EXT-X-GAP\n")).collect()
}

#[tokio::test]
async fn a_rung_is_played_from_the_position_on_before_it_is_complete() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video("libx264")).await;
    backend.wait_for(&id, "PROCESSED").await;
    let (api, app) = (Api::new(&backend, &id), &backend.local.app);
    for query in ["from=x", "from=-1", "from=NaN", "from=1e300", "from=1&from=2", "gaps=maybe"] {
        let (status, text) = api.get(&format!("v360/index.m3u8?{query}")).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains("INVALID_REQUEST"), "{query}: {text}");
    }
    let with_gaps = "v360/index.m3u8?gaps=true&from=13.5";
    let is_not_ready = async |file: &str| {
        let (status, text) = api.get(file).await;
        assert!(status == StatusCode::NOT_FOUND && text.contains("NOT_READY"), "{file}: {text}");
    };
    is_not_ready(with_gaps).await;
    is_not_ready("v360/index.m3u8?gaps=true&from=99999").await;
    let run = api.started.lock().unwrap()[0].0.clone();
    let perform = async |task: Task| {
        upreel_transcode::handle(app, &task, Instant::now() + upreel_tests::HANG_GUARD).await.unwrap()
    };
    let encode = async |index: usize| perform(Task::Encode { run: run.clone(), index }).await;
    let plan = perform(Task::Plan(run.clone())).await;
    let chunks: Vec<usize> = serde_json::from_value(plan["chunks"].clone()).unwrap();
    assert_eq!(chunks, [1, 2, 0], "from the position on, then the beginning");
    is_not_ready(with_gaps).await;
    // It has no initialization segment, and players do not know its codec.
    encode(2).await;
    is_not_ready(with_gaps).await;
    encode(1).await;

    let original = segments(&playlist(&backend, &id, "source/index.m3u8").await);
    let early = api.playlist(with_gaps).await;
    let (init, urls, durations) = segments(&early);
    assert_eq!(durations, original.2);
    // Cuts at 2, 6, 10, 14, ... seconds: the segment from 10 s on is a chunk of its own.
    assert_eq!(gaps(&early), [true, true, true, false, false, false, false]);
    download(&backend, &init).await;
    for (url, is_gap) in urls.iter().zip(gaps(&early)) {
        assert_eq!(backend.http.get(url).send().await.unwrap().status().is_success(), !is_gap, "{url}");
    }
    is_not_ready("v360/index.m3u8").await;
    let master = api.playlist("master.m3u8").await;
    assert!(!master.contains("v360"), "{master}");
    let all = api.playlist("master.m3u8?gaps=true").await;
    let variant = all.strip_prefix(&master).unwrap_or_else(|| panic!("{all}"));
    assert!(variant.starts_with("#EXT-X-STREAM-INF:BANDWIDTH="), "{variant}");
    assert!(
        variant.ends_with("\nv360/index.m3u8?gaps=true\n") && variant.contains("AUDIO=\"audio\""),
        "{variant}"
    );

    // What is repeated changes nothing.
    perform(Task::Plan(run.clone())).await;
    encode(1).await;
    assert_eq!(gaps(&api.playlist(with_gaps).await), gaps(&early));
    encode(0).await;
    assert_eq!(gaps(&api.playlist(with_gaps).await), [false; 7]);
    perform(Task::Package(run.clone())).await;
    encode(0).await;
    for file in [with_gaps, "v360/index.m3u8"] {
        let complete = api.playlist(file).await;
        assert_eq!((segments(&complete).2, gaps(&complete)), (durations.clone(), vec![false; 7]));
    }
    let [all, master] = [api.playlist("master.m3u8?gaps=true").await, api.playlist("master.m3u8").await];
    assert_eq!(all, master);
    assert!(master.ends_with("v360/index.m3u8\n"), "{master}");
    assert!(app.videos.get(id.parse().unwrap()).await.unwrap().unwrap().rung_chunks.is_empty());
}

/// The state machine runs an execution once, whoever starts it: its name consists of the run and the restarts.
#[tokio::test]
async fn concurrent_requests_start_one_execution() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video("libx264")).await;
    backend.wait_for(&id, "PROCESSED").await;
    let api = Api::new(&backend, &id);
    let started = &api.started;
    let request = async |rung: &str| api.get(&format!("{rung}/index.m3u8")).await.0;
    let answers = join_all((0..100).map(async |_| request("v360").await)).await;
    assert!(answers.iter().all(|status| *status == StatusCode::NOT_FOUND), "{answers:?}");
    let names: BTreeSet<_> =
        started.lock().unwrap().iter().map(|(run, restarts)| (run.rung.clone(), *restarts)).collect();
    assert_eq!(names, BTreeSet::from([(Some("v360".to_owned()), 0)]));

    // The first request died before it could start the execution. A later one does it.
    let run = started.lock().unwrap()[0].0.clone();
    let run = Run { rung: Some("v480".to_owned()), ..run };
    backend.local.app.videos.mark_transcode_wanted(&run, 0).await.unwrap();
    started.lock().unwrap().clear();
    request("v480").await;
    assert_eq!(*started.lock().unwrap(), [(run.clone(), 0)]);
    // Once it has planned its work, nobody starts it.
    backend.local.app.videos.mark_transcode_started(&run, 3, None).await.unwrap();
    request("v480").await;
    assert_eq!(started.lock().unwrap().len(), 1);
}
