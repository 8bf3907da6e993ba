//! HLS renditions, from the upload to what a player gets; and what can come in between.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{Backend, ffmpeg, options};

/// Encoding takes its time, also on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// Of the video below.
const PICTURES: usize = 700;

/// 140 s, few pictures: three chunks.
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
    Backend::with(|options| options.transcode = Some(2), |handler| handler).await
}

/// Waits until the transcoding stands like this.
async fn until(backend: &Backend, id: &str, status: &str) -> Value {
    let start = Instant::now();
    loop {
        let video = backend.video(id).await;
        assert!(video["status"] != "PROCESSED" || video["transcode"].is_object(), "more to come: {video}");
        if video["transcode"]["status"] == status {
            return video;
        }
        assert!(start.elapsed() < PATIENCE, "not {status} but {video}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text(backend: &Backend, url: &str) -> String {
    let answer = backend.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "application/vnd.apple.mpegurl");
    answer.text().await.unwrap()
}

/// Everything that a media playlist names, one after the other.
async fn whole(backend: &Backend, playlist: &str) -> Vec<u8> {
    let init = playlist.split("#EXT-X-MAP:URI=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut bytes = Vec::new();
    for url in [init].into_iter().chain(playlist.lines().filter(|line| !line.starts_with('#'))) {
        let answer = backend.http.get(url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (200, "video/mp4")
        );
        bytes.extend(answer.bytes().await.unwrap());
    }
    bytes
}

#[tokio::test]
async fn a_video_can_be_played_in_every_size() {
    let backend = backend().await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let video = until(&backend, &id, "DONE").await;
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
    let media = text(&backend, &url.replace("master.m3u8", "v270/index.m3u8")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), whole(&backend, &media).await).unwrap();
    let count = Command::new("ffprobe")
        .args("-v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0".split(' '))
        .arg(file.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&count.stdout).trim(), PICTURES.to_string());
    assert!(
        !whole(&backend, &text(&backend, &url.replace("master.m3u8", "audio/index.m3u8")).await)
            .await
            .is_empty()
    );
    text(&backend, &url.replace("master.m3u8", "v270/iframes.m3u8")).await;

    // To nobody else, and nothing but playlists.
    for path in ["master.m3u8", "v270/index.m3u8"] {
        let other = backend.get(&format!("/videos/{id}/hls/{path}")).header("x-user", "other");
        assert_eq!(other.send().await.unwrap().status(), 404, "{path}");
    }
    for path in ["init.mp4", "v270/init.mp4", "v270/0000-00.m4s", "..%2Fmaster.m3u8", "v9/index.m3u8"] {
        let answer = backend.get(&format!("/videos/{id}/hls/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }

    assert!(!backend.objects("processed").is_empty());
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
}

/// An ffmpeg that does something else with encodings while the file `trouble` is there.
fn troubled(folder: &Path, trouble: &str) -> PathBuf {
    let path = folder.join("ffmpeg");
    let (real, flag) = (ffmpeg(), folder.join("trouble"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *libx264*) if [ -e '{}' ]; then {trouble}; fi;; esac\nexec '{}' \"$@\"\n",
        flag.display(),
        real.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(flag, "").unwrap();
    path
}

#[tokio::test]
async fn a_fault_is_tried_again_and_can_be_replayed() {
    let backend = backend().await;
    let (bucket, aside) = (backend.data().join("s3/processed"), backend.data().join("aside"));
    std::fs::rename(&bucket, &aside).unwrap();
    std::fs::write(&bucket, "a file where the bucket should be").unwrap();
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let start = Instant::now();
    while backend.dead_letters().await.is_empty() {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failed = backend.video(&id).await;
    assert_eq!(failed["status"], "PROCESSED", "it can be looked at all the same");
    assert_eq!(failed["transcode"]["error"]["code"], "INTERNAL", "{failed}");
    assert_eq!(backend.dead_letters().await[0]["attempts"], 3);

    std::fs::remove_file(&bucket).unwrap();
    std::fs::rename(&aside, &bucket).unwrap();
    assert_eq!(backend.post("/_local/dlq/replay").send().await.unwrap().status(), 200);
    let video = until(&backend, &id, "DONE").await;
    assert_eq!(video["transcode"]["error"], Value::Null);
    assert!(video["hlsUrl"].is_string());
}

#[tokio::test]
async fn a_chunk_that_cannot_be_encoded_fails_the_whole_once() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = troubled(folder.path(), "echo 'Invalid data' >&2; exit 1");
    let set = |options: &mut upreel_local::Options| {
        (options.transcode, options.ffmpeg) = (Some(2), ffmpeg);
    };
    let backend = Backend::with(set, |handler| handler).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    let video = until(&backend, &id, "FAILED").await;
    assert_eq!(
        (&video["status"], &video["transcode"]["error"]["code"]),
        (&"PROCESSED".into(), &"UNREADABLE".into())
    );
    assert_eq!(video["hlsUrl"], Value::Null);
    assert_eq!(backend.dead_letters().await.len(), 0, "to try again would be in vain");
}

#[tokio::test]
async fn a_kill_in_the_middle_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ffmpeg = troubled(folder.path(), "exec sleep 600");
    let options = || upreel_local::Options { transcode: Some(2), ffmpeg: ffmpeg.clone(), ..options(&data) };
    let backend = Backend::from(options()).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    until(&backend, &id, "RUNNING").await;
    backend.idle().await;
    drop(backend);
    std::fs::remove_file(folder.path().join("trouble")).unwrap();
    let backend = Backend::from(options()).await;
    assert_eq!(backend.local.resumed, 1);
    let video = until(&backend, &id, "DONE").await;
    assert_eq!(video["transcode"]["chunksDone"], 3);
}

#[tokio::test]
async fn nothing_stays_of_what_is_deleted_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let ffmpeg = troubled(
        folder.path(),
        &format!("while [ -e '{}' ]; do :; done", folder.path().join("trouble").display()),
    );
    let set = |options: &mut upreel_local::Options| {
        (options.transcode, options.ffmpeg) = (Some(1), ffmpeg);
    };
    let backend = Backend::with(set, |handler| handler).await;
    let id = backend.put("film.mp4", "video/mp4", video()).await;
    until(&backend, &id, "RUNNING").await;
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    std::fs::remove_file(folder.path().join("trouble")).unwrap();
    let start = Instant::now();
    let waiting = backend.data().join("transcode/queue");
    while std::fs::read_dir(&waiting).unwrap().count() > 0 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
    assert_eq!(backend.objects("uploads"), [""; 0].map(PathBuf::from));
}
