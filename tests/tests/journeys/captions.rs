//! Captions: `PUT` and `DELETE /videos/{videoId}/captions/{language}`, in responses and in HLS.

use std::process::Command;

use futures_util::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use upreel_core::captions::{EmbeddedTracks, Tracks};
use upreel_core::{Bucket, VideoId};

use crate::events::{deliver, event, record, without_queue};
use crate::harness::{Backend, mp4, problem, webm};

const WEBVTT: &str =
    "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:00.500 --> 00:01.500 align:middle\nHello <b>you</b>\n";
const STORED: &str = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n\
                      00:00:00.500 --> 00:00:01.500 align:center\nHello <b>you</b>\n";
const SUBRIP: &str = "1\r\n00:00:00,500 --> 00:00:01,500\r\nHallo & <script>hi\r\n";

async fn put(backend: &Backend, id: &str, language: &str, file: impl Into<reqwest::Body>) -> Response {
    let url = format!("{}/videos/{id}/captions/{language}", backend.local.api);
    backend.http.put(url).body(file).send().await.unwrap()
}

/// Uploads captions, and returns the video.
async fn captioned(backend: &Backend, id: &str, language: &str, file: &str) -> Value {
    let response = put(backend, id, language, file.to_owned()).await;
    assert_eq!(response.status(), StatusCode::OK, "{language}");
    response.json().await.unwrap()
}

async fn delete(backend: &Backend, id: &str, language: &str) -> u16 {
    let url = format!("{}/videos/{id}/captions/{language}", backend.local.api);
    backend.http.delete(url).send().await.unwrap().status().as_u16()
}

async fn pending(backend: &Backend) -> String {
    backend.presign(&[("name", "a.mp4")]).await["videoId"].as_str().unwrap().to_owned()
}

/// Returns the keys of the stored captions of all videos.
async fn stored(backend: &Backend) -> Vec<String> {
    let objects = backend.local.app.objects.list(Bucket::Processed, "captions/").await.unwrap();
    objects.into_iter().map(|object| object.key).filter(|key| key.starts_with("captions/")).collect()
}

/// Returns the captions in a response, without the URLs.
fn listed(video: &Value) -> Value {
    let tracks = video["captions"].as_array().into_iter().flatten();
    tracks.map(|track| json!([track["language"], track["label"], track["kind"]])).collect()
}

#[tokio::test]
async fn captions_are_converted_listed_replaced_and_removed() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    assert_eq!(backend.video(&id).await["captions"], Value::Null);
    let video = captioned(&backend, &id, "ENG?kind=captions&label=English%20(CC)", WEBVTT).await;
    assert_eq!(listed(&video), json!([["en", "English (CC)", "captions"]]));
    let url = video["captions"][0]["url"].as_str().unwrap();
    let file = backend.http.get(url).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "text/vtt");
    assert_eq!(file.text().await.unwrap(), STORED);
    let video = captioned(&backend, &id, "pt-br", SUBRIP).await;
    let expected = json!([["en", "English (CC)", "captions"], ["pt-BR", "Portuguese (BR)", "subtitles"]]);
    assert_eq!(listed(&video), expected);
    let text = backend.download(&video["captions"][1], "url").await;
    assert!(text.ends_with(b"\n\n00:00:00.500 --> 00:00:01.500\nHallo &amp; hi\n"), "{text:?}");
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed(&list["videos"][0]), expected);
    assert_eq!(list["videos"][0]["captions"][0]["url"], Value::Null, "lists would be too large");

    let before = stored(&backend).await;
    assert_eq!(before.len(), 2);
    let again = put(&backend, &id, "en?kind=captions&label=English%20(CC)", WEBVTT).await;
    let etag = again.headers()["etag"].to_str().unwrap().to_owned();
    assert!(etag.starts_with("\"2."), "a repetition writes nothing: {etag}");
    assert_eq!(stored(&backend).await, before);

    let video = captioned(&backend, &id, "en", SUBRIP).await;
    assert_eq!(listed(&video)[0], json!(["en", "English", "subtitles"]));
    let after = stored(&backend).await;
    assert_eq!(after.len(), 2, "the replaced file is deleted");
    assert_ne!(after, before);
    let gone = backend.http.get(url).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);

    for language in ["en", "EN", "fr"] {
        assert_eq!(delete(&backend, &id, language).await, 204, "{language}");
    }
    assert_eq!(listed(&backend.video(&id).await), json!([["pt-BR", "Portuguese (BR)", "subtitles"]]));
    assert_eq!(stored(&backend).await.len(), 1);
    assert_eq!(delete(&backend, &id, "pt-BR").await, 204);
    assert_eq!((&backend.video(&id).await["captions"], stored(&backend).await.len()), (&Value::Null, 0));
}

#[tokio::test]
async fn invalid_captions_are_refused_and_store_nothing() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    let invalid = (400, "INVALID_REQUEST".to_owned());
    for (language, file, expected) in [
        ("en", "hello", (400, "INVALID_CAPTIONS".to_owned())),
        ("en", "", (400, "EMPTY_FILE".to_owned())),
        ("en_US", WEBVTT, invalid.clone()),
        ("english-", WEBVTT, invalid.clone()),
        ("en?kind=chapters", WEBVTT, invalid.clone()),
        ("en?label=a%0Ab", WEBVTT, invalid.clone()),
        ("en?label=a&label=b", WEBVTT, invalid.clone()),
    ] {
        assert_eq!(problem(put(&backend, &id, language, file).await).await, expected, "{language} {file:?}");
    }
    let response: Value = put(&backend, &id, "en", "WEBVTT\n\n00:01 -> 00:02\na").await.json().await.unwrap();
    assert!(response["detail"].as_str().unwrap().starts_with("Line 3: "), "{response}");
    let response = put(&backend, &id, "en", b"WEBVTT\n\xff".to_vec()).await;
    assert_eq!(problem(response).await, (400, "INVALID_CAPTIONS".to_owned()));
    for size in [(1 << 20) + 1, 3 << 20] {
        let large = WEBVTT.to_owned() + &" ".repeat(size - WEBVTT.len());
        assert_eq!(problem(put(&backend, &id, "en", large).await).await, (413, "TOO_LARGE".to_owned()));
    }
    let largest = WEBVTT.to_owned() + &"\n".repeat((1 << 20) - WEBVTT.len());
    assert_eq!(
        put(&backend, &VideoId::new().to_string(), "en", largest).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!((&backend.video(&id).await["captions"], stored(&backend).await.len()), (&Value::Null, 0));

    // `x-0`, `x-1`, ... are private languages.
    let videos = &backend.local.app.videos;
    let (key, record) = (id.parse().unwrap(), captioned(&backend, &id, "x-0", WEBVTT).await);
    assert_eq!(listed(&record), json!([["x-0", "x-0", "subtitles"]]));
    let record = videos.get(key).await.unwrap().unwrap();
    let mut tracks = record.captions.clone().unwrap();
    let track = tracks.first_key_value().unwrap().1.clone();
    tracks.extend((1..50).map(|n| (format!("x-{n}").parse().unwrap(), track.clone())));
    let none = EmbeddedTracks::new();
    assert!(matches!(
        videos.change_captions(&record, &tracks, &none).await.unwrap(),
        upreel_store::videos::Changed::Yes(_)
    ));
    assert_eq!(problem(put(&backend, &id, "x-50", WEBVTT).await).await, invalid);
    assert_eq!(put(&backend, &id, "x-49", SUBRIP).await.status(), StatusCode::OK, "one can be replaced");
}

#[tokio::test]
async fn players_get_captions_by_hls() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    let video = backend.wait_for(&id, "PROCESSED").await;
    let playlist = async |file: &str| {
        let response = backend.get(&format!("/videos/{id}/hls/{file}")).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/vnd.apple.mpegurl");
        response.text().await.unwrap()
    };
    let before = playlist("master.m3u8").await;
    captioned(&backend, &id, "en?label=%22A%22&kind=captions", WEBVTT).await;
    captioned(&backend, &id, "de", SUBRIP).await;
    let master = playlist("master.m3u8").await;
    let tag = |name: &str, language: &str, more: &str| {
        format!(
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"captions\",NAME=\"{name}\",LANGUAGE=\"{language}\",DEFAULT=NO,\
             AUTOSELECT=YES,FORCED=NO,{more}URI=\"captions-{language}/index.m3u8\"\n"
        )
    };
    let characteristics = "CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
                           public.accessibility.describes-music-and-sound\",";
    assert!(master.contains(&tag("German", "de", "")), "{master}");
    assert!(master.contains(&tag("'A'", "en", characteristics)), "{master}");
    let variants = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF:")).collect::<Vec<_>>();
    assert!(!variants.is_empty() && variants.iter().all(|line| line.ends_with(",SUBTITLES=\"captions\"")));

    let media = playlist("captions-en/index.m3u8").await;
    let seconds = video["durationMs"].as_f64().unwrap() / 1000.0;
    let head = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXTINF:{seconds:.3},\nhttp",
        seconds.ceil()
    );
    assert!(media.starts_with(&head) && media.ends_with("\n#EXT-X-ENDLIST\n"), "{media}");
    let url = &upreel_tests::urls(&media)[0];
    assert_eq!(backend.http.get(url).send().await.unwrap().text().await.unwrap(), STORED);
    for missing in ["captions-fr/index.m3u8", "captions-en/other.m3u8", "captions-/index.m3u8"] {
        let response = backend.get(&format!("/videos/{id}/hls/{missing}")).send().await.unwrap();
        assert_eq!(problem(response).await, (404, "NOT_FOUND".to_owned()), "{missing}");
    }
    for language in ["en", "de"] {
        delete(&backend, &id, language).await;
    }
    assert_eq!(playlist("master.m3u8").await, before);
}

#[tokio::test]
async fn another_upload_keeps_the_captions_and_a_deletion_removes_them() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let before = captioned(&backend, id, "en", WEBVTT).await;
    for file in [mp4(), webm()] {
        backend.put_to(&signed, file).send().await.unwrap();
    }
    loop {
        if backend.wait_for(id, "PROCESSED").await["container"] == "webm" {
            break;
        }
        tokio::task::yield_now().await;
    }
    backend.wait_until_idle().await;
    let video = backend.video(id).await;
    assert_eq!(listed(&video), listed(&before));
    assert_eq!(backend.download(&video["captions"][0], "url").await, STORED.as_bytes());

    let record = backend.local.app.videos.get(id.parse().unwrap()).await.unwrap().unwrap();
    let deleted = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), stored(&backend).await.len()), (204, 0));
    assert_eq!(problem(put(&backend, id, "de", SUBRIP).await).await, (404, "NOT_FOUND".to_owned()));
    assert_eq!(delete(&backend, id, "en").await, 404);
    assert_eq!(stored(&backend).await.len(), 0);
    // The row was read before the deletion.
    let (captions, none) = (record.captions.clone().unwrap(), EmbeddedTracks::new());
    let late = backend.local.app.videos.change_captions(&record, &captions, &none).await.unwrap();
    assert!(matches!(late, upreel_store::videos::Changed::Conflict(Some(row)) if row.captions.is_none()));
}

#[tokio::test]
async fn concurrent_changes_lose_nothing_and_leave_nothing() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    let languages: Vec<String> = (0..8).map(|n| format!("x-{n}")).collect();
    let url = format!("{}/videos/{id}", backend.local.api);
    let rename = backend.http.patch(&url).json(&json!({"title": "a"})).send();
    let (responses, renamed) = futures_util::future::join(
        join_all(languages.iter().map(|language| put(&backend, &id, language, WEBVTT))),
        rename,
    )
    .await;
    assert!(responses.iter().chain(&renamed).all(|response| response.status() == StatusCode::OK));
    let video = backend.video(&id).await;
    assert_eq!((video["captions"].as_array().unwrap().len(), &video["title"]), (8, &json!("a")));
    // In the same language, one remains, and with the same content too.
    for same in [true, false] {
        let files =
            (0..6).map(|n| format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n", if same { 0 } else { n }));
        let responses = join_all(files.map(|file| put(&backend, &id, "x-0", file))).await;
        assert!(responses.iter().all(|response| response.status() == StatusCode::OK));
        assert_eq!(stored(&backend).await.len(), 8, "nothing is left of the others");
        let video = backend.video(&id).await;
        assert!(backend.download(&video["captions"][0], "url").await.starts_with(b"WEBVTT"));
    }
    // With the same entity tag, one of them succeeds.
    let etag = backend.get(&format!("/videos/{id}")).send().await.unwrap().headers()["etag"].clone();
    let send = |n: usize| {
        let request = backend.http.put(format!("{url}/captions/x-{n}")).header("If-Match", &etag);
        request.body(SUBRIP).send()
    };
    let statuses = join_all((0..6).map(send)).await;
    let statuses: Vec<u16> =
        statuses.into_iter().map(|response| response.unwrap().status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 5, "{statuses:?}");
    assert_eq!(stored(&backend).await.len(), 8);
}

/// Returns a Matroska file with texts in English and German.
fn matroska() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str, text: &str| {
        std::fs::write(path(name), format!("1\n00:00:00,500 --> 00:00:01,500\n{text}\n")).unwrap();
    };
    text("en.srt", "Hello");
    text("de.srt", "Hallo");
    let args = "-c:v libx264 -c:s copy -map 0 -map 1 -map 2 -metadata:s:s:0 language=eng -metadata:s:s:1 language=ger \
                -metadata:s:s:1 title=Deutsch";
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -f lavfi -i color=red:s=320x180:r=5:d=4".split(' '));
    command.arg("-i").arg(path("en.srt")).arg("-i").arg(path("de.srt"));
    let status = command.args(args.split_whitespace()).arg(path("film.mkv")).status().unwrap();
    assert!(status.success());
    std::fs::read(path("film.mkv")).unwrap()
}

/// Returns the keys of the captions of a video's file.
async fn embedded(backend: &Backend, id: &str) -> usize {
    let start = format!("playback/{id}/");
    let objects = backend.local.app.objects.list(Bucket::Processed, &start).await.unwrap();
    objects
        .iter()
        .filter(|object| object.key.starts_with(&start) && object.key.contains("/captions/"))
        .count()
}

#[tokio::test]
async fn texts_of_the_file_are_captions_of_the_video() {
    let backend = without_queue().await;
    let app = &backend.local.app;
    let film = matroska();
    let signed = backend.presign(&[("name", "a.mkv")]).await;
    let (id, key) = (signed["videoId"].as_str().unwrap(), signed["key"].as_str().unwrap());
    assert_eq!(backend.put_to(&signed, film.clone()).send().await.unwrap().status(), 200);
    let first = event(key, &film, "0A");
    deliver(app, std::slice::from_ref(&first)).await.unwrap();
    let video = backend.video(id).await;
    let both = json!([["de", "Deutsch", "subtitles"], ["en", "English", "subtitles"]]);
    assert_eq!((listed(&video), embedded(&backend, id).await), (both.clone(), 2), "{video}");
    let text = backend.download(&video["captions"][1], "url").await;
    assert!(text.ends_with(b"\n\n00:00:00.500 --> 00:00:01.500\nHello\n"), "{text:?}");
    let master = backend.get(&format!("/videos/{id}/hls/master.m3u8")).send().await.unwrap();
    let master = master.text().await.unwrap();
    assert!(
        master.contains("LANGUAGE=\"de\"") && master.contains("URI=\"captions-en/index.m3u8\""),
        "{master}"
    );
    let media = backend.get(&format!("/videos/{id}/hls/captions-en/index.m3u8")).send().await.unwrap();
    let url = &upreel_tests::urls(&media.text().await.unwrap())[0];
    assert_eq!(backend.http.get(url).send().await.unwrap().bytes().await.unwrap(), text);

    // What the user has uploaded is shown instead. What the user removes does not come back.
    let video = captioned(&backend, id, "en", WEBVTT).await;
    assert_eq!(backend.download(&video["captions"][1], "url").await, STORED.as_bytes());
    assert_eq!(embedded(&backend, id).await, 2);
    assert_eq!(delete(&backend, id, "en").await, 204);
    let one = json!([["de", "Deutsch", "subtitles"]]);
    assert_eq!(listed(&backend.video(id).await), one);
    assert_eq!((stored(&backend).await.len(), embedded(&backend, id).await), (0, 1));
    deliver(app, std::slice::from_ref(&first)).await.unwrap();
    assert_eq!((listed(&backend.video(id).await), embedded(&backend, id).await), (one, 1), "a duplicate");
    assert_eq!(delete(&backend, id, "de").await, 204);
    assert_eq!((&backend.video(id).await["captions"], embedded(&backend, id).await), (&Value::Null, 0));
    let revision = record(app, id).await.revision;
    assert_eq!(delete(&backend, id, "de").await, 204);
    assert_eq!(record(app, id).await.revision, revision, "a repetition writes nothing");

    // Another file has its own. A change of the captions of the file before it does not apply to them.
    deliver(app, &[event(key, &film, "0B")]).await.unwrap();
    assert_eq!(listed(&backend.video(id).await), both);
    let before = record(app, id).await;
    backend.put_to(&signed, mp4()).send().await.unwrap();
    deliver(app, &[event(key, &mp4(), "0C")]).await.unwrap();
    assert_eq!(backend.video(id).await["captions"], Value::Null);
    let change = app.videos.change_captions(&before, &Tracks::new(), &EmbeddedTracks::new()).await.unwrap();
    assert!(matches!(change, upreel_store::videos::Changed::Conflict(_)));
    deliver(app, &[first]).await.unwrap();
    assert_eq!(backend.video(id).await["captions"], Value::Null, "a late event");

    let deleted = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), embedded(&backend, id).await), (204, 0));
}
