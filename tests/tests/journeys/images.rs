//! Images of a video: frames at a time, and animated previews.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde_json::Value;
use upreel_core::Key;
use upreel_core::id::Choice;
use upreel_core::video::Record;
use upreel_store::videos::Choosing;

use crate::events::{deliver, event, record};
use crate::harness::{Backend, mp4, problem};

/// Runs ffmpeg with `input` on its standard input, and returns its standard output.
fn ffmpeg(args: &str, input: Vec<u8>) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error".split(' ')).args(args.split(' '));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // ffmpeg may stop to read after the first frame.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{args}");
    output.stdout
}

/// Returns a video of 24 s, with five frames per second and a keyframe every 2 s. Its frames show their numbers: in the upper
/// half the rest of the division by 12, in the lower half the quotient.
fn video(name: &str, options: &str) -> Vec<u8> {
    let half = |number: u8| vec![20 + 18 * number; 320 * 90];
    let frames = (0..120).flat_map(|n| [half(n % 12), half(n / 12)].concat()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let input = "-f rawvideo -pixel_format gray -video_size 320x180 -framerate 5 -i pipe:0";
    let sound = "-f lavfi -i sine=f=440:d=24 -pix_fmt yuv420p -g 10";
    ffmpeg(&format!("{input} {sound} {options} {}", path.display()), frames);
    std::fs::read(path).unwrap()
}

/// Decodes an image. Returns its size, and the numbers of the frames that it shows.
fn frames(image: &[u8]) -> (usize, usize, Vec<usize>) {
    let decode =
        |args: &str| ffmpeg(&format!("-i pipe:0 -fps_mode passthrough {args} pipe:1"), image.to_vec());
    let header = decode("-frames:v 1 -c:v png -f image2pipe");
    let side = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap()) as usize;
    let (width, height) = (side(16), side(20));
    let pixels = decode("-vf scale=out_range=pc,format=gray -f rawvideo");
    let half = |rows: &[u8]| {
        let middle = &rows[rows.len() / 4..rows.len() / 4 * 3];
        let mean = middle.iter().map(|luma| usize::from(*luma)).sum::<usize>() / middle.len();
        (mean.saturating_sub(20) + 9) / 18
    };
    let number = |frame: &[u8]| {
        let (upper, lower) = frame.split_at(frame.len() / 2);
        half(lower) * 12 + half(upper)
    };
    (width, height, pixels.chunks_exact(width * height).map(number).collect())
}

/// Returns the images that are stored.
fn stored(backend: &Backend) -> Vec<PathBuf> {
    let is_image = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("images"));
    backend.objects("processed").into_iter().filter(is_image).collect()
}

async fn image(backend: &Backend, id: &str, file: &str) -> (String, Vec<u8>) {
    let response = backend.get(&format!("/videos/{id}/{file}")).send().await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = response.bytes().await.unwrap().to_vec();
    assert_eq!(status, StatusCode::OK, "{file}: {}", String::from_utf8_lossy(&bytes));
    (kind, bytes)
}

async fn shown(backend: &Backend, id: &str, file: &str) -> Vec<usize> {
    frames(&image(backend, id, file).await.1).2
}

async fn processed(backend: &Backend, name: &str, options: &str) -> String {
    let id = backend.put(name, "video/mp4", video(name, options)).await;
    let record = backend.wait_for(&id, "PROCESSED").await;
    assert_eq!(record["durationMs"].as_u64().unwrap() / 1000, 24, "{record}");
    id
}

#[tokio::test]
async fn a_thumbnail_shows_the_nearest_keyframe_or_exactly_the_frame_at_a_time() {
    let backend = Backend::start().await;
    // Files with an index, without one, and with codecs and containers that are not played by HLS.
    for (name, options, has_index) in [
        ("film.mp4", "-c:v libx264 -sc_threshold 0 -bf 2 -c:a aac", true),
        (
            "fragments.mp4",
            "-c:v libx264 -sc_threshold 0 -bf 0 -an -movflags frag_keyframe+empty_moov+default_base_moof+skip_trailer",
            false,
        ),
        ("mpeg4.mp4", "-c:v mpeg4 -sc_threshold 1000000000 -q:v 2 -an", true),
        ("film.webm", "-c:v libvpx -b:v 1M -deadline realtime -an", true),
        ("film.ts", "-c:v libx264 -sc_threshold 0 -bf 2 -c:a aac", true),
    ] {
        let id = processed(&backend, name, options).await;
        for (time, exact, nearest) in
            [("0", 0, 0), ("7.3", 36, 40), ("13.9", 69, 70), ("14.1", 70, 70), ("99", 119, 110)]
        {
            let keyframe = shown(&backend, &id, &format!("thumbnail.jpg?time={time}")).await;
            let expected = if has_index { nearest } else { exact };
            assert_eq!(keyframe, [expected], "{name} {time}");
            let frame = shown(&backend, &id, &format!("thumbnail.webp?exact=true&time={time}")).await;
            assert_eq!(frame, [exact], "{name} {time}");
        }
        let preview = shown(&backend, &id, "preview.gif?start=7.1&end=9.1&fps=5&width=160").await;
        assert_eq!(preview, (36..46).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn images_have_the_size_and_format_that_was_asked_for() {
    let backend = Backend::start().await;
    let id = processed(&backend, "film.mp4", "-c:v libx264 -sc_threshold 0 -c:a aac").await;
    for (file, kind, size) in [
        ("thumbnail.jpg", "image/jpeg", (640, 360)),
        ("thumbnail.jpg?width=100", "image/jpeg", (100, 56)),
        ("thumbnail.webp?width=300&height=300", "image/webp", (300, 169)),
        ("thumbnail.webp?width=301&height=99&fit=cover", "image/webp", (301, 99)),
        ("thumbnail.jpg?width=200&height=300&fit=cover", "image/jpeg", (200, 300)),
        ("thumbnail.jpg?width=77&height=301&fit=fill", "image/jpeg", (77, 301)),
        ("preview.gif?end=0.4", "image/gif", (320, 180)),
    ] {
        let (found, image) = image(&backend, &id, file).await;
        let (width, height, numbers) = frames(&image);
        assert_eq!((found.as_str(), (width, height), numbers[0]), (kind, size, 0), "{file}");
    }
    let (kind, webp) = image(&backend, &id, "preview.webp?start=2&end=5&fps=5&width=200").await;
    let count = webp.windows(4).filter(|name| name == b"ANMF").count();
    assert_eq!((kind.as_str(), count, &webp[24..27]), ("image/webp", 15, &[199, 0, 0][..]));
}

#[tokio::test]
async fn a_hundred_requests_make_one_image_which_is_deleted_with_its_video() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "film.mp4"), ("type", "video/mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let (path, missing) = (format!("/videos/{id}/thumbnail.jpg"), (404, "NOT_FOUND".to_owned()));
    let ask = async || problem(backend.get(&path).send().await.unwrap()).await;
    assert_eq!(ask().await, (404, "NOT_READY".to_owned()));
    assert_eq!(
        backend
            .put_to(&signed, video("film.mp4", "-c:v libx264 -sc_threshold 0 -c:a aac"))
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    backend.wait_for(id, "PROCESSED").await;

    let times = ["7", "7.0", "07.00000001"];
    let requests = (0..99).map(async |i: usize| {
        let file = format!("thumbnail.jpg?exact=true&time={}", times[i % 3]);
        image(&backend, id, &file).await.1
    });
    let images: BTreeSet<_> = join_all(requests).await.into_iter().collect();
    assert_eq!((images.len(), stored(&backend).len()), (1, 1));
    let direct = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let response = direct.get(format!("{}{path}", backend.local.api)).send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["cache-control"]),
        (StatusCode::FOUND, &"private, max-age=300".parse().unwrap())
    );
    let other = backend.get(&path).header("x-user", "other").send().await.unwrap();
    assert_eq!(problem(other).await, missing);

    // Another upload has other images, and those of the first one are removed with its other objects.
    let first = stored(&backend);
    let negative = video("film.mp4", "-vf negate -c:v libx264 -sc_threshold 0 -c:a aac");
    assert_eq!(backend.put_to(&signed, negative).send().await.unwrap().status(), StatusCode::OK);
    backend.wait_until_idle().await;
    backend.wait_for(id, "PROCESSED").await;
    let (_, again) = image(&backend, id, "thumbnail.jpg?exact=true&time=7").await;
    assert!(!images.contains(&again));
    assert!(stored(&backend).iter().any(|path| !first.contains(path)));

    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
    assert_eq!(ask().await, missing);
    assert_eq!(backend.objects("processed"), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn the_poster_can_be_chosen() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "film.mp4"), ("type", "video/mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let film = video("film.mp4", "-c:v libx264 -sc_threshold 0 -c:a aac");
    let url = format!("{}/videos/{id}/poster", backend.local.api);
    let put = async |body: &'static str| backend.http.put(&url).body(body).send().await.unwrap();
    assert_eq!(problem(put(r#"{"time": 1}"#).await).await, (404, "NOT_READY".to_owned()));
    assert_eq!(backend.put_to(&signed, film.clone()).send().await.unwrap().status(), StatusCode::OK);
    let automatic = backend.wait_for(id, "PROCESSED").await;
    let mut former = automatic.clone();
    for (body, number) in [(r#"{"time": 7.3}"#, 36), (r#"{"time": 1e6}"#, 119), (r#"{"time": 0}"#, 0)] {
        for _ in 0..2 {
            assert_eq!(put(body).await.status(), StatusCode::NO_CONTENT, "{body}");
        }
        let now = backend.video(id).await;
        for (field, width) in [("thumbnailUrl", 640), ("thumbnailLargeUrl", 1280)] {
            let (found, _, numbers) = frames(&backend.download(&now, field).await);
            assert_eq!((found, numbers), (width, vec![number]), "{body}");
            let replaced = backend.http.get(former[field].as_str().unwrap()).send().await.unwrap();
            assert_eq!(replaced.status(), StatusCode::NOT_FOUND, "{body} {field}");
        }
        assert_ne!(now["blurHash"], former["blurHash"]);
        assert_eq!(now["storyboardUrl"].as_str().map(path), automatic["storyboardUrl"].as_str().map(path));
        former = now;
    }
    // Two posters, and the two objects of the storyboard.
    assert_eq!(backend.objects("thumbnails").len(), 4);
    for body in [
        "",
        "[]",
        "{}",
        r#"{"time": -1}"#,
        r#"{"time": "1"}"#,
        r#"{"time": NaN}"#,
        r#"{"time": 1e7}"#,
        r#"{"time": 1e999}"#,
        r#"{"time": null}"#,
        r#"{"time": 1, "time": 2}"#,
        r#"{"time": 1, "at": 2}"#,
        r#"{"time": 1} {}"#,
    ] {
        assert_eq!(problem(put(body).await).await, (400, "INVALID_REQUEST".to_owned()), "{body}");
    }
    let requests = (0..8).map(async |i| {
        let body = if i % 2 == 0 { r#"{"time": 3.1}"# } else { r#"{"time": 9.1}"# };
        assert_eq!(put(body).await.status(), StatusCode::NO_CONTENT);
    });
    join_all(requests).await;
    assert_eq!(backend.objects("thumbnails").len(), 4);
    let numbers = frames(&backend.download(&backend.video(id).await, "thumbnailUrl").await).2;
    assert!([[15], [45]].iter().any(|number| *number == numbers[..]), "{numbers:?}");

    // Another delivery of the event changes nothing.
    let chosen = record(&backend.local.app, id).await;
    let sequencer = chosen.sequencer.clone().unwrap();
    deliver(&backend.local.app, &[event(&chosen.key, &film, &sequencer.to_string())]).await.unwrap();
    assert_eq!(record(&backend.local.app, id).await, chosen);
    assert_eq!(backend.objects("thumbnails").len(), 4);

    // Another upload has its own poster.
    assert_eq!(backend.put_to(&signed, film).send().await.unwrap().status(), StatusCode::OK);
    backend.wait_until_idle().await;
    let again = backend.wait_for(id, "PROCESSED").await;
    assert_eq!(again["blurHash"], automatic["blurHash"]);
    assert_eq!(put(r#"{"time": 3}"#).await.status(), StatusCode::NO_CONTENT);
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api));
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(problem(put(r#"{"time": 1}"#).await).await, (404, "NOT_FOUND".to_owned()));
    assert_eq!(backend.objects("thumbnails"), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn a_repeated_write_never_names_a_poster_that_was_replaced() {
    let backend = Backend::start().await;
    let id = backend.put("a.mp4", "video/mp4", mp4()).await;
    backend.wait_for(&id, "PROCESSED").await;
    let videos = &backend.local.app.videos;
    let before = record(&backend.local.app, &id).await;
    let [first, second] = [(); 2]
        .map(|()| Key::posters(before.video.video_id, &before.version().unwrap(), Some(Choice::random())));
    let choose = async |row: &Record, keys: &[Key; 2]| videos.choose_poster(row, keys, "h", 1).await.unwrap();
    assert_eq!(choose(&before, &first).await, Choosing::Named);
    assert_eq!(choose(&before, &first).await, Choosing::Named, "the first response was lost");
    assert_eq!(choose(&before, &second).await, Choosing::Overtaken, "a request at the same time");
    let between = record(&backend.local.app, &id).await;
    assert_eq!(between.previews.thumbnail_key, Some(first[0].to_string()));
    assert_eq!(choose(&between, &second).await, Choosing::Named);
    assert_eq!(choose(&before, &first).await, Choosing::Overtaken, "a late repetition");
    assert_eq!(record(&backend.local.app, &id).await.previews.thumbnail_key, Some(second[0].to_string()));
    videos.delete(before.video.video_id, &before.video.user_id).await.unwrap();
    assert_eq!(choose(&before, &first).await, Choosing::Superseded);
}

/// Returns a signed URL without its query.
fn path(url: &str) -> &str {
    url.split('?').next().unwrap()
}

#[tokio::test]
async fn hostile_parameters_are_refused() {
    let backend = Backend::start().await;
    let id = processed(&backend, "film.mp4", "-c:v libx264 -sc_threshold 0 -c:a aac").await;
    for query in [
        "time=NaN",
        "time=-1",
        "time=1e9",
        "time=99999999",
        "time=1&time=2",
        "time=",
        "time=1%00",
        "time=%FF",
        "seconds=1",
        "width=0",
        "width=4294967297",
        "width=3841&height=16",
        "height=15",
        "width=64px",
        "fit=cover",
        "fit=inside",
        "exact=1",
        "exact=true&exact=true",
    ] {
        for format in ["jpg", "webp"] {
            let response =
                backend.get(&format!("/videos/{id}/thumbnail.{format}?{query}")).send().await.unwrap();
            assert_eq!(problem(response).await, (400, "INVALID_REQUEST".to_owned()), "{query}");
        }
    }
    for query in [
        "start=1&end=12",
        "start=5&end=5",
        "start=24&end=25",
        "end=inf",
        "fps=0",
        "fps=60",
        "width=481",
        "height=90",
    ] {
        for format in ["gif", "webp"] {
            let response =
                backend.get(&format!("/videos/{id}/preview.{format}?{query}")).send().await.unwrap();
            assert_eq!(problem(response).await, (400, "INVALID_REQUEST".to_owned()), "{query}");
        }
    }
    assert_eq!(stored(&backend), [""; 0].map(PathBuf::from));
    let broken = backend.put("film.mp4", "video/mp4", b"no video".to_vec()).await;
    let record: Value = backend.wait_until_finished(&broken).await;
    assert_eq!(record["status"], "FAILED");
    let response = backend.get(&format!("/videos/{broken}/thumbnail.jpg")).send().await.unwrap();
    assert_eq!(problem(response).await, (422, "UNDECODABLE".to_owned()));
    let poster = backend.http.put(format!("{}/videos/{broken}/poster", backend.local.api));
    let response = poster.body(r#"{"time": 0}"#).send().await.unwrap();
    assert_eq!(problem(response).await, (422, "UNDECODABLE".to_owned()));
}
