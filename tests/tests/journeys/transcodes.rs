//! HLS renditions, from the upload to the segments that a player requests; with faults, failures and restarts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{Backend, ffmpeg, options};

/// Timeout of all waits. Encoding is slow on a loaded machine.
const TIMEOUT: Duration = upreel_tests::HANG_GUARD;
/// Number of frames of [`video`].
const FRAMES: usize = 700;

/// Returns a video of 140 s at 5 frames per second, which makes three chunks.
fn video() -> Vec<u8> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("transcode-{}.mp4", std::process::id()));
        let status = Command::new("ffmpeg")
            .args("-nostdin -v error -y -f lavfi -i testsrc2=s=480x270:r=5:d=140".split(' '))
            .args(
                "-f lavfi -i sine=f=440:d=140 -c:v libx264 -preset ultrafast -g 25 -bf 2 -c:a aac".split(' '),
            )
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        path
    });
    std::fs::read(path).unwrap()
}

async fn backend() -> Backend {
    Backend::start_with(|options| options.transcode = Some(2), |handler| handler).await
}

/// Waits until the transcode has this status.
async fn wait_for_transcode(backend: &Backend, id: &str, status: &str) -> Value {
    let start = Instant::now();
    loop {
        let video = backend.video(id).await;
        assert!(
            video["status"] != "PROCESSED" || video["transcode"].is_object(),
            "processed without a transcode: {video}"
        );
        if video["transcode"]["status"] == status {
            return video;
        }
        assert!(start.elapsed() < TIMEOUT, "expected {status}: {video}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text(backend: &Backend, url: &str) -> String {
    let response = backend.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    assert_eq!(response.headers()["content-type"], "application/vnd.apple.mpegurl");
    response.text().await.unwrap()
}

/// Downloads the initialization segment and all segments of a media playlist, concatenated.
async fn download(backend: &Backend, playlist: &str) -> Vec<u8> {
    let init = playlist.split("#EXT-X-MAP:URI=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut bytes = Vec::new();
    for url in [init].into_iter().chain(playlist.lines().filter(|line| !line.starts_with('#'))) {
        let response = backend.http.get(url).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (200, "video/mp4")
        );
        bytes.extend(response.bytes().await.unwrap());
    }
    bytes
}

#[tokio::test]
async fn a_transcoded_video_can_be_played_and_deleted() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let video = wait_for_transcode(&backend, &id, "DONE").await;
    assert_eq!(
        (&video["transcode"]["chunksDone"], &video["transcode"]["chunksTotal"]),
        (&3.into(), &3.into())
    );
    assert_eq!(video["status"], "PROCESSED");

    let url = video["hlsUrl"].as_str().unwrap();
    assert_eq!(url, format!("{}/videos/{id}/hls/master.m3u8", backend.local.api));
    let master = text(&backend, url).await;
    assert!(
        master.contains("RESOLUTION=480x270") && master.contains("CODECS=\"avc1.64001e,mp4a.40.2\""),
        "{master}"
    );
    let captions = format!("{}/videos/{id}/captions/en", backend.local.api);
    backend.http.put(captions).body("WEBVTT").send().await.unwrap().error_for_status().unwrap();
    let captioned = text(&backend, url).await;
    assert_eq!(
        captioned.replace(",SUBTITLES=\"captions\"", "").split("#EXT-X-MEDIA:TYPE=SUBTITLES").next(),
        Some(&*format!("{master}\n"))
    );
    assert!(captioned.contains(",SUBTITLES=\"captions\"\nv270/index.m3u8\n"), "{captioned}");
    let media = text(&backend, &url.replace("master.m3u8", "v270/index.m3u8")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), download(&backend, &media).await).unwrap();
    let count = Command::new("ffprobe")
        .args("-v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0".split(' '))
        .arg(file.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&count.stdout).trim(), FRAMES.to_string());
    assert!(
        !download(&backend, &text(&backend, &url.replace("master.m3u8", "audio/index.m3u8")).await)
            .await
            .is_empty()
    );
    text(&backend, &url.replace("master.m3u8", "v270/iframes.m3u8")).await;

    // Other users get no playlists, and the route serves nothing but playlists.
    for path in ["master.m3u8", "v270/index.m3u8"] {
        let other = backend.get(&format!("/videos/{id}/hls/{path}")).header("x-user", "other");
        assert_eq!(other.send().await.unwrap().status(), 404, "{path}");
    }
    for path in ["init.mp4", "v270/init.mp4", "v270/0000-00.m4s", "..%2Fmaster.m3u8", "v9/index.m3u8"] {
        let response = backend.get(&format!("/videos/{id}/hls/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }

    assert!(!backend.objects("processed").is_empty());
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
}

/// Writes an ffmpeg script that runs `command` instead of an encode while the file `broken` exists.
fn broken_ffmpeg(folder: &Path, command: &str) -> PathBuf {
    let path = folder.join("ffmpeg");
    let (real, flag) = (ffmpeg(), folder.join("broken"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *libx264*) if [ -e '{}' ]; then {command}; fi;; esac\nexec '{}' \"$@\"\n",
        flag.display(),
        real.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(flag, "").unwrap();
    path
}

#[tokio::test]
async fn a_fault_is_retried_and_can_be_replayed() {
    let backend = backend().await;
    let renditions = backend.data().join("s3/processed/hls");
    std::fs::write(&renditions, "a file where the folder should be").unwrap();
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let start = Instant::now();
    while backend.dead_letters().await.is_empty() {
        assert!(start.elapsed() < TIMEOUT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failed = backend.video(&id).await;
    assert_eq!(failed["status"], "PROCESSED", "the video itself is processed");
    assert_eq!(failed["transcode"]["error"]["code"], "INTERNAL", "{failed}");
    assert_eq!(backend.dead_letters().await[0]["attempts"], 3);

    std::fs::remove_file(&renditions).unwrap();
    assert_eq!(backend.post("/_local/dlq/replay").send().await.unwrap().status(), 200);
    let video = wait_for_transcode(&backend, &id, "DONE").await;
    assert_eq!(video["transcode"]["error"], Value::Null);
    assert!(video["hlsUrl"].is_string());
}

#[tokio::test]
async fn a_chunk_that_cannot_be_encoded_fails_the_transcode_without_retry() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = broken_ffmpeg(folder.path(), "echo 'Invalid data' >&2; exit 1");
    let set = |options: &mut upreel_local::Options| {
        (options.transcode, options.ffmpeg) = (Some(2), ffmpeg);
    };
    let backend = Backend::start_with(set, |handler| handler).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let video = wait_for_transcode(&backend, &id, "FAILED").await;
    assert_eq!(
        (&video["status"], &video["transcode"]["error"]["code"]),
        (&"PROCESSED".into(), &"UNREADABLE".into())
    );
    assert!(video["hlsUrl"].is_string(), "the original can be played");
    assert_eq!(backend.dead_letters().await.len(), 0, "a failure is not retried");
}

#[tokio::test]
async fn a_transcode_resumes_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ffmpeg = broken_ffmpeg(folder.path(), "exec sleep 600");
    let options = || upreel_local::Options { transcode: Some(2), ffmpeg: ffmpeg.clone(), ..options(&data) };
    let backend = Backend::start_from(options()).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    wait_for_transcode(&backend, &id, "RUNNING").await;
    backend.wait_until_idle().await;
    drop(backend);
    std::fs::remove_file(folder.path().join("broken")).unwrap();
    let backend = Backend::start_from(options()).await;
    assert_eq!(backend.local.resumed, 1);
    let video = wait_for_transcode(&backend, &id, "DONE").await;
    assert_eq!(video["transcode"]["chunksDone"], 3);
}

#[tokio::test]
async fn a_video_deleted_during_its_transcode_leaves_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = broken_ffmpeg(
        folder.path(),
        &format!("while [ -e '{}' ]; do :; done", folder.path().join("broken").display()),
    );
    let set = |options: &mut upreel_local::Options| {
        (options.transcode, options.ffmpeg) = (Some(1), ffmpeg);
    };
    let backend = Backend::start_with(set, |handler| handler).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    wait_for_transcode(&backend, &id, "RUNNING").await;
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    std::fs::remove_file(folder.path().join("broken")).unwrap();
    let start = Instant::now();
    let waiting = backend.data().join("transcode/queue");
    while std::fs::read_dir(&waiting).unwrap().count() > 0 {
        assert!(start.elapsed() < TIMEOUT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
    assert_eq!(backend.objects("uploads"), [""; 0].map(PathBuf::from));
}
