//! Playback from the original: from the upload to the segments that a player requests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::join_all;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tower::ServiceExt;
use upreel_core::Key;
use upreel_function::cdn;
use upreel_store::Secret;
use upreel_tests::urls;

use crate::harness::Backend;

/// Number of frames of [`video`].
const FRAMES: usize = 120;

/// Returns a video of 24 s at 5 frames per second, with a keyframe every 2 s.
fn video(color: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let source = format!("color={color}:s=320x180:r=5:d=24");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source])
        .args("-f lavfi -i sine=f=440:d=24 -c:v libx264 -g 10 -bf 2 -c:a aac".split(' '))
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(path).unwrap()
}

async fn playlist(backend: &Backend, id: &str, file: &str) -> String {
    let response = backend.get(&format!("/videos/{id}/hls/{file}")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{file}");
    response.text().await.unwrap()
}

/// Returns the segments of the film that are stored.
fn stored(backend: &Backend) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "m4s");
    backend.objects("processed").into_iter().filter(is_segment).collect()
}

async fn status(client: &Client, url: &str) -> StatusCode {
    client.get(url).send().await.unwrap().status()
}

#[tokio::test]
async fn the_original_can_be_played_by_hls_and_deleted() {
    let backend = Backend::start().await;
    let id = backend.put("film.mp4", "video/mp4", video("red")).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(video["playback"]["mode"], "HLS", "{video}");
    assert_eq!(video["hlsUrl"], format!("{}/videos/{id}/hls/master.m3u8", backend.local.api));
    let master = playlist(&backend, &id, "master.m3u8").await;
    assert!(master.contains("RESOLUTION=320x180") && master.contains("mp4a.40.2"), "{master}");

    assert_eq!(stored(&backend), [""; 0].map(PathBuf::from), "segments are made when they are requested");
    let film = urls(&playlist(&backend, &id, "source/index.m3u8").await);
    let audio = urls(&playlist(&backend, &id, "source-audio/index.m3u8").await);
    assert_eq!(film.len(), audio.len());
    let direct = Client::builder().redirect(Policy::none()).build().unwrap();
    assert_eq!(status(&direct, &film[1]).await, StatusCode::FOUND);
    assert_eq!(stored(&backend).len(), 2, "the audio of the same time is made with it");

    assert_eq!(count(&backend, &film).await, FRAMES.to_string());

    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
    assert_eq!(status(&direct, &film[1]).await, StatusCode::NOT_FOUND);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn segments_need_the_signature_of_a_playlist() {
    let backend = Backend::start().await;
    let id = backend.put("film.mp4", "video/mp4", video("red")).await;
    backend.wait_for(&id, "PROCESSED").await;
    for file in ["master.m3u8", "source/index.m3u8"] {
        let other = backend.get(&format!("/videos/{id}/hls/{file}")).header("x-user", "other");
        assert_eq!(other.send().await.unwrap().status(), StatusCode::NOT_FOUND, "{file}");
    }
    let film = urls(&playlist(&backend, &id, "source/index.m3u8").await);
    let (address, query) = film[1].split_once('?').unwrap();
    let signature = query.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap();
    let altered = query.replace(signature, &signature.chars().rev().collect::<String>());
    assert_eq!(status(&backend.http, address).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&backend.http, &format!("{address}?{altered}")).await, StatusCode::FORBIDDEN);
    let other = film[2].split_once('?').unwrap().0;
    assert_eq!(
        status(&backend.http, &format!("{other}?{query}")).await,
        StatusCode::FORBIDDEN,
        "of another segment"
    );
    // Names that no playlist has.
    let (folder, name) = address.rsplit_once('/').unwrap();
    let numbers: Vec<u64> =
        name.strip_suffix(".m4s").unwrap().split('-').map(|number| number.parse().unwrap()).collect();
    let [start, length] = numbers[..] else { panic!("{name}") };
    for name in [
        format!("{}-{length}.m4s", start + 1),
        format!("{start}-{}.m4s", length - 1),
        format!("{start}-99999999999.m4s"),
        format!("0{start}-{length}.m4s"),
        "18446744073709551615-2.m4s".to_owned(),
        format!("{start}.m4s"),
        "..%2f..%2fmaster.m3u8".to_owned(),
    ] {
        assert_eq!(
            status(&backend.http, &format!("{folder}/{name}?{query}")).await,
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }
}

/// `CloudFront` fails over to this function with the verified signature of its own URL, and without a query.
#[tokio::test]
async fn cloudfront_is_redirected_to_a_url_that_the_function_signs() {
    let backend = Backend::start().await;
    let id = backend.put("film.mp4", "video/mp4", video("red")).await;
    backend.wait_for(&id, "PROCESSED").await;
    let film = urls(&playlist(&backend, &id, "source/index.m3u8").await);
    let path = film[1].strip_prefix(&backend.local.api).unwrap().split('?').next().unwrap();
    let playlists = path.replacen("/segments/", "playback/", 1).rsplit_once("/source/").unwrap().0.to_owned();
    let in_folder = |folder: &str| format!("{folder}/master.m3u8").parse::<Key>().unwrap();
    let sign = |secret, folder: &str| cdn::sign(secret, &in_folder(folder), u64::from(u32::MAX)).unwrap();
    let mut app = backend.local.app.clone();
    app.cdn_secret = Some(Secret::fixed("secret"));
    let request = async |app: &upreel_function::App, signature: Option<String>| {
        let request = Request::get(path);
        let request = match signature {
            Some(signature) => request.header("x-upreel-signature", signature),
            None => request,
        };
        upreel_playback::router(app.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let of_another = playlists.replace(&id, "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e");
    for (what, signature) in [
        ("none", None),
        ("empty", Some(String::new())),
        ("expired", cdn::sign("secret", &in_folder(&playlists), 1)),
        ("of another secret", Some(sign("another", &playlists))),
        ("of another video", Some(sign("secret", &of_another))),
    ] {
        assert_eq!(request(&app, signature).await.status(), StatusCode::NOT_FOUND, "{what}");
    }
    assert_eq!(stored(&backend).len(), 0, "nothing is made without a signature");
    let signature = || Some(sign("secret", &playlists));
    let without_cdn = request(&backend.local.app, signature()).await;
    assert_eq!(without_cdn.status(), StatusCode::NOT_FOUND, "there is no CDN");

    // Not made yet, and again.
    for _ in 0..2 {
        let response = request(&app, signature()).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let segment =
            backend.http.get(response.headers()["location"].to_str().unwrap()).send().await.unwrap();
        let by_the_api = backend.http.get(&film[1]).send().await.unwrap();
        assert_eq!(segment.bytes().await.unwrap(), by_the_api.bytes().await.unwrap());
        assert_eq!(to_bytes(response.into_body(), 1).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn concurrent_requests_get_the_same_segment() {
    let backend = Backend::start().await;
    let id = backend.put("film.mp4", "video/mp4", video("red")).await;
    backend.wait_for(&id, "PROCESSED").await;
    let film = urls(&playlist(&backend, &id, "source/index.m3u8").await);
    let requests = (0..100).map(async |_| {
        let response = backend.http.get(&film[2]).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap()
    });
    let segments: BTreeSet<_> = join_all(requests).await.into_iter().collect();
    assert_eq!((segments.len(), stored(&backend).len()), (1, 2));
}

/// Returns the number of frames or of audio packets in segments that are decoded.
async fn count(backend: &Backend, urls: &[String]) -> String {
    let mut bytes = Vec::new();
    for url in urls {
        let response = backend.http.get(url).send().await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &"video/mp4".parse().unwrap())
        );
        bytes.extend(response.bytes().await.unwrap());
    }
    let joined = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(joined.path(), bytes).unwrap();
    let count = Command::new("ffprobe")
        .args("-v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0".split(' '))
        .arg(joined.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&count.stderr), "");
    String::from_utf8(count.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn audio_that_players_do_not_play_is_encoded_for_its_segment() {
    let backend = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mov");
    let args = "-nostdin -v error -f lavfi -i color=red:s=320x180:r=5:d=24 -f lavfi -i sine=f=440:d=24 \
                -map 0 -map 1 -map 1 -c:v libx264 -g 10 -bf 2 -c:a pcm_s16le";
    assert!(Command::new("ffmpeg").args(args.split_whitespace()).arg(&path).status().unwrap().success());
    let id = backend.put("film.mov", "video/quicktime", std::fs::read(path).unwrap()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!((&video["playback"]["mode"], &video["audioCodec"]), (&"HLS".into(), &"pcm_s16le".into()));
    let master = playlist(&backend, &id, "master.m3u8").await;
    assert!(master.contains(",mp4a.40.2\""), "{master}");
    let mut tracks = Vec::new();
    for folder in ["source", "source-audio", "source-audio-2"] {
        tracks.push(urls(&playlist(&backend, &id, &format!("{folder}/index.m3u8")).await));
    }
    assert_eq!(status(&backend.http, &tracks[0][1]).await, StatusCode::OK);
    assert_eq!(
        stored(&backend).len(),
        2,
        "the first audio is encoded with the film, the others when requested"
    );
    let requests = (0..20).map(async |_| status(&backend.http, &tracks[2][2]).await);
    assert!(join_all(requests).await.into_iter().all(|status| status == StatusCode::OK));
    assert_eq!(stored(&backend).len(), 4, "the second audio, and the film");
    let frames = (24 * 48_000u32).div_ceil(1024).to_string();
    assert_eq!(count(&backend, &tracks[1]).await, frames);
    assert_eq!(count(&backend, &tracks[2]).await, frames);
}

#[tokio::test]
async fn segments_of_an_earlier_upload_are_not_played() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "film.mp4"), ("type", "video/mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let mut earlier: Vec<String> = Vec::new();
    for color in ["red", "blue"] {
        assert_eq!(backend.put_to(&signed, video(color)).send().await.unwrap().status(), StatusCode::OK);
        backend.wait_until_idle().await;
        backend.wait_for(id, "PROCESSED").await;
        for url in &earlier {
            assert_eq!(status(&backend.http, url).await, StatusCode::NOT_FOUND, "{url}");
        }
        let film = urls(&playlist(&backend, id, "source/index.m3u8").await);
        assert_eq!(status(&backend.http, &film[1]).await, StatusCode::OK);
        // The second one was not made yet.
        earlier = film[1..3].to_vec();
    }
}

#[tokio::test]
async fn what_players_cannot_play_says_why() {
    let backend = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let args = "-nostdin -v error -f lavfi -i testsrc2=s=320x180:r=5:d=4 -c:v mpeg4";
    assert!(Command::new("ffmpeg").args(args.split(' ')).arg(&path).status().unwrap().success());
    let id = backend.put("film.mp4", "video/mp4", std::fs::read(path).unwrap()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!((&video["playback"]["mode"], &video["hlsUrl"]), (&"ORIGINAL".into(), &().into()), "{video}");
    assert_eq!(video["playback"]["reason"], "CODEC");
    let master = backend.get(&format!("/videos/{id}/hls/master.m3u8")).send().await.unwrap();
    assert_eq!(master.status(), StatusCode::NOT_FOUND);
}
