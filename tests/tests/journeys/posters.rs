//! All containers and codecs of `tests/videos`: media info and an upright poster for the valid videos, and the error
//! code of each invalid file.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jpeg_decoder::Decoder;
use serde_json::Value;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::index::{AudioTrack, StreamId, Streams};
use upreel_media::{Index, Source, poster, storyboard};

use crate::harness::{Backend, Row, bad, cell, ffmpeg, good};

/// The colours of the four quadrants in the frames of `tests/videos`, as a viewer sees them.
const QUADRANTS: [[u8; 3]; 4] =
    [[0xe0, 0x20, 0x20], [0x20, 0xa0, 0x20], [0x20, 0x40, 0xe0], [0xe0, 0xe0, 0x20]];

#[tokio::test]
async fn all_valid_videos_get_media_info_and_previews() {
    let backend = Backend::start().await;
    let (folder, rows) = good();
    assert!(rows.len() >= 60, "the set has {} videos", rows.len());
    let mut ids = Vec::new();
    for row in rows {
        let bytes = std::fs::read(folder.join(cell(row, "file"))).unwrap();
        ids.push(backend.put(cell(row, "file"), cell(row, "mime"), bytes).await);
    }
    let mut errors = Vec::new();
    for (row, id) in rows.iter().zip(&ids) {
        let video = backend.wait_until_finished(id).await;
        if let Err(error) = check(&backend, row, &video).await {
            errors.push(format!("{}: {error}", cell(row, "file")));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(backend.dead_letters().await.len(), 0);
}

async fn check(backend: &Backend, row: &Row, video: &Value) -> Result<(), String> {
    let file = cell(row, "file");
    if video["status"] != "PROCESSED" {
        return Err(video.to_string());
    }
    let columns = [
        ("container", "container"),
        ("width", "display_width"),
        ("height", "display_height"),
        ("rotation", "rotation"),
        ("videoCodec", "video_codec"),
        ("audioCodec", "audio_codec"),
    ];
    for (field, column) in columns {
        let found = match &video[field] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let expected = cell(row, column);
        if found != expected {
            return Err(format!("{field} is {found}, not {expected}"));
        }
    }
    let duration: f64 = cell(row, "duration_ms").parse().unwrap();
    match video["durationMs"].as_f64() {
        Some(found) if (found - duration).abs() <= 100.0 => {}
        // FFmpeg 7 doesn't include the duration of the last frame.
        Some(found) if file.contains("variable-rate") && (found - duration).abs() <= 300.0 => {}
        // These files don't state their duration, and Upreel doesn't read a whole file to find it.
        None if ["vp8-live", "no-cues"].iter().any(|kind| file.contains(kind)) => {}
        found => return Err(format!("durationMs is {found:?}, not {duration}")),
    }
    if video["mirrored"].as_bool().unwrap_or(false) != file.contains("mirrored") {
        return Err(format!("mirrored is {}", video["mirrored"]));
    }
    let rate = cell(row, "frame_rate");
    let found = video["frameRate"].as_f64();
    if rate != "-" && found.is_none_or(|found| (found - parse_rate(rate)).abs() > 0.02) {
        return Err(format!("frameRate is {found:?}, not {rate}"));
    }
    for (url, width) in [("thumbnailUrl", 640), ("thumbnailLargeUrl", 1280)] {
        check_poster(&backend.download(video, url).await, video, width, cell(row, "shown"))
            .map_err(|error| format!("{url}: {error}"))?;
    }
    if !video["storyboardUrl"].is_string() {
        return Err("no storyboard".to_owned());
    }
    match video["blurHash"].as_str() {
        // Two digits for size and maximum, four for the average colour, two for each other component.
        Some(hash) if hash.len() >= 6 && hash.len().is_multiple_of(2) => Ok(()),
        hash => Err(format!("blurHash is {hash:?}")),
    }
}

fn parse_rate(text: &str) -> f64 {
    let mut parts = text.split('/').map(|part| part.parse::<f64>().unwrap());
    parts.next().unwrap() / parts.next().unwrap_or(1.0)
}

/// Checks the width of a poster, its aspect ratio, and the colours of its quadrants.
fn check_poster(jpeg: &[u8], video: &Value, expected_width: u16, shown: &str) -> Result<(), String> {
    let (colours, tolerance) = match shown {
        // Tone mapping compresses bright colours.
        "toned" => (QUADRANTS, 50),
        "hole" => ([[0; 3], QUADRANTS[1], QUADRANTS[2], QUADRANTS[3]], 30),
        "black" => ([[0; 3]; 4], 30),
        _ => (QUADRANTS, 30),
    };
    let mut decoder = Decoder::new(jpeg);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().unwrap();
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let ratio = video["height"].as_f64().unwrap() / video["width"].as_f64().unwrap();
    let expected_height = f64::from(expected_width) * ratio.min(6.0);
    if info.width != expected_width || (f64::from(info.height) - expected_height).abs() > 2.0 {
        return Err(format!("the poster is {width}x{height}, not {expected_width}x{expected_height}"));
    }
    if shown == "-" {
        return Ok(());
    }
    for (i, colour) in colours.iter().enumerate() {
        let (x, y) = (width * (1 + 2 * (i % 2)) / 4, height * (1 + 2 * (i / 2)) / 4);
        let found = &pixels[(y * width + x) * 3..][..3];
        let difference = found.iter().zip(colour).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        if difference > tolerance {
            return Err(format!("quadrant {i} is {found:?}, not {colour:?}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_storyboard_covers_the_whole_video() {
    let backend = Backend::start().await;
    for (file, media_type) in [("h264-faststart.mp4", "video/mp4"), ("vp9.webm", "video/webm")] {
        let id = backend.put(file, media_type, std::fs::read(good().0.join(file)).unwrap()).await;
        let video = backend.wait_for(&id, "PROCESSED").await;
        let response = backend.http.get(video["storyboardUrl"].as_str().unwrap());
        // The page that reads the track has another origin than S3.
        let response = response.header("Origin", "http://localhost:5173").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/vtt");
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:5173");
        let track = response.text().await.unwrap();
        assert!(track.starts_with("WEBVTT\n\n"), "{track}");

        let image = backend.download(&video, "storyboardImageUrl").await;
        let mut decoder = Decoder::new(&image[..]);
        decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        let mut end = 0.0;
        for cue in track.split("\n\n").skip(1).filter(|cue| !cue.is_empty()) {
            let (times, tile) = cue.split_once('\n').unwrap();
            let (from, to) = times.split_once(" --> ").unwrap();
            assert!((seconds(from) - end).abs() < 0.001 && seconds(to) > end, "a gap in {track}");
            end = seconds(to);
            let (name, place) = tile.trim_end().split_once("#xywh=").unwrap();
            let image = video["storyboardImageUrl"].as_str().unwrap();
            assert!(image.contains(&format!("/{name}?")), "{name} is relative to the URL of the track");
            let tile: Vec<u16> = place.split(',').map(|number| number.parse().unwrap()).collect();
            assert!(tile[0] + tile[2] <= info.width && tile[1] + tile[3] <= info.height, "{tile:?}");
        }
        let duration = video["durationMs"].as_f64().unwrap() / 1000.0;
        assert!((end - duration).abs() <= 0.1, "{file}: {end} of {duration}");
    }
}

#[tokio::test]
async fn index_tells_film_and_sound_from_other_tracks() {
    for (file, film, sound) in [
        ("h264-cover-first.mp4", 2, vec![3]),
        ("h264-cover-art.mp4", 1, vec![2]),
        ("h264-audio-first.mp4", 2, vec![1]),
        ("h264-unknown-sound-first.mp4", 1, vec![3, 2]),
        ("h264-lpcm.mov", 1, vec![2]),
    ] {
        let source = source(&good().0.join(file));
        let index = Index::open(&source, Container::Mp4).await.unwrap().unwrap();
        let audio = sound.into_iter().map(|id| AudioTrack { stream: StreamId::Id(id), language: None });
        let streams = Streams { film: Some(StreamId::Id(film)), ..Streams::default() };
        let right = Streams { audio: audio.collect(), ..streams };
        assert_eq!(index.streams(), right, "{file}");
    }
}

#[tokio::test]
async fn fragments_continue_the_sample_tables() {
    let source = source(&good().0.join("h264-fragmented-half.mp4"));
    let index = Index::open(&source, Container::Mp4).await.unwrap().unwrap();
    let keyframes = index.keyframes(&source, 8).await.unwrap();
    assert_eq!(keyframes.iter().map(|keyframe| keyframe.time_ms).collect::<Vec<_>>(), [80, 1080]);
    let cuts = index.cuts(&source).await.unwrap().unwrap();
    assert_eq!(cuts.times, [1024, 1024 + 12_800]);
}

/// What an edit list leaves out is black in these videos.
#[tokio::test]
async fn frames_outside_the_edit_list_are_not_shown() {
    for (file, ends) in
        [("h264-edits-cut.mp4", [1.98, 2.98, 3.46].as_slice()), ("h264-edits-inside-gop.mp4", &[1.0, 2.0])]
    {
        let source = Arc::new(source(&good().0.join(file)));
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let poster = poster::make(&source, &ffmpeg(), deadline).await.unwrap();
        let index = poster.index.unwrap();
        let board = storyboard::make(&source, &index, "a.jpg", &ffmpeg(), deadline).await.unwrap();
        let cues = board.vtt.lines().filter_map(|line| line.split_once(" --> "));
        let found: Vec<f64> = cues.map(|(_, end)| seconds(end)).collect();
        assert!(found.len() == ends.len(), "{file}: {found:?}");
        assert!(found.iter().zip(ends).all(|(found, end)| (found - end).abs() < 0.002), "{file}: {found:?}");

        let mut decoder = Decoder::new(&board.jpeg[..]);
        let pixels = decoder.decode().unwrap();
        let width = usize::from(decoder.info().unwrap().width);
        for (i, place) in board.vtt.lines().filter_map(|line| line.split_once("#xywh=")).enumerate() {
            let place: Vec<usize> = place.1.split(',').map(|number| number.parse().unwrap()).collect();
            for (quadrant, colour) in QUADRANTS.iter().enumerate() {
                let x = place[0] + place[2] * (1 + 2 * (quadrant % 2)) / 4;
                let y = place[1] + place[3] * (1 + 2 * (quadrant / 2)) / 4;
                let found = &pixels[(y * width + x) * 3..][..3];
                let difference = found.iter().zip(colour).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(difference <= 40, "{file}: quadrant {quadrant} of tile {i} is {found:?}");
            }
        }
    }
}

fn seconds(stamp: &str) -> f64 {
    stamp.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

/// Wrapping a single keyframe must not change the poster: it is identical, byte for byte, to the one that ffmpeg makes
/// from the same keyframe in the whole file.
#[tokio::test]
async fn posters_equal_those_made_from_the_whole_file() {
    let (folder, rows) = good();
    let mut errors = Vec::new();
    let mut compared = 0;
    for row in
        rows.iter().filter(|row| ["mp4", "mov", "3gp", "mkv", "webm"].contains(&cell(row, "container")))
    {
        // The only keyframe of "fade-in" is black, so its poster is another frame. ffmpeg does not find the frames of
        // "tagged".
        if ["fade-in", "tagged"].iter().any(|kind| cell(row, "file").contains(kind)) {
            continue;
        }
        let path = folder.join(cell(row, "file"));
        let source = Arc::new(source(&path));
        let poster =
            poster::make(&source, &ffmpeg(), Instant::now() + upreel_tests::HANG_GUARD).await.unwrap();
        let Some(index) = poster.index else {
            errors.push(format!("{}: made without an index", cell(row, "file")));
            continue;
        };
        let keyframes = index.keyframes(&source, 8).await.unwrap();
        let filters = poster_filters(row);
        let whole: Vec<Vec<u8>> = keyframes
            .iter()
            .map(|keyframe| poster_from_whole_file(&path, keyframe.time_ms, &filters))
            .collect();
        if !whole.iter().any(|jpeg| *jpeg == poster.jpeg) {
            errors.push(format!("{}: none of {} keyframes gives the poster", cell(row, "file"), whole.len()));
        }
        compared += 1;
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(compared >= 40, "only {compared} videos were compared");
}

/// Returns the filters that make a 640 pixels wide poster of this video. They are spelled out here, so that the test
/// does not take them from the code under test.
fn poster_filters(row: &Row) -> String {
    let mut filters = vec!["estdif=mode=frame:deint=interlaced".to_owned()];
    if cell(row, "file").contains("2x2") {
        // The filter rejects frames with fewer than three lines.
        filters.clear();
    }
    if cell(row, "file").starts_with("prores-4444") {
        // These have an alpha channel. The poster shows them on black.
        filters.extend(["format=gbrap", "premultiply=inplace=1", "format=gbrp"].map(str::to_owned));
    }
    let width: u32 = cell(row, "display_width").parse().unwrap();
    let flags = if width < 640 { "bicubic" } else { "area" };
    let scale = format!("scale=w=640:h='clip(2*round(320*ih/(iw*sar)),2,3840)':flags={flags}");
    if cell(row, "shown") == "toned" {
        // PQ or HLG: diffuse white at 203 nits, highlights up to 1000 nits, converted to JPEG's colours.
        filters.push(scale);
        filters.extend(
            [
                "setparams=color_primaries=bt2020:colorspace=bt2020nc",
                "zscale=t=linear:p=bt709:npl=203:agamma=0",
                "format=gbrpf32le",
                "tonemap=mobius:desat=0:peak=4.93",
                "zscale=t=iec61966-2-1:m=170m:r=full",
            ]
            .map(str::to_owned),
        );
    } else {
        filters.push(format!("{scale}:out_color_matrix=bt601"));
    }
    filters.extend(["format=yuvj420p", "setsar=1"].map(str::to_owned));
    // The first stream of this file is a picture.
    let film = if cell(row, "file").contains("cover-first") { "0:V:1" } else { "0:V:0" };
    format!("[{film}]{}[poster]", filters.join(","))
}

/// Makes a poster from the keyframe at a time, with the whole file as ffmpeg's input.
fn poster_from_whole_file(path: &Path, time_ms: u64, filters: &str) -> Vec<u8> {
    // The layer's ffmpeg has no `file` protocol. It reads the file from its standard input.
    let protocols = Command::new(ffmpeg()).args(["-hide_banner", "-protocols"]).output().unwrap().stdout;
    let has_file = String::from_utf8(protocols).unwrap().lines().any(|line| line.trim() == "file");
    let input = if has_file { format!("file:{}", path.display()) } else { "fd:".to_owned() };
    // Seek 10 ms past the keyframe, because the container rounds times.
    let seconds = format!("{:.3}", Duration::from_millis(time_ms + 10).as_secs_f64());
    // ffmpeg does not find the keyframe of a later edit that begins inside a GOP, so it decodes everything before it.
    let from_start = path.to_string_lossy().contains("edits-inside-gop");
    let seek = if from_start { String::new() } else { format!("-noaccurate_seek -ss {seconds}") };
    let select = format!("[0:V:0]select='gte(t,{:.3})',", Duration::from_millis(time_ms).as_secs_f64());
    let filters = if from_start { filters.replace("[0:V:0]", &select) } else { filters.to_owned() };
    let before = format!("-loglevel error {seek} -i");
    let output = "-map [poster] -frames:v 1 -c:v mjpeg -q:v 3 -f image2pipe pipe:1";
    Command::new(ffmpeg())
        .args(before.split_whitespace())
        .args([&input, "-filter_complex", &filters])
        .args(output.split(' '))
        .stdin(File::open(path).unwrap())
        .output()
        .unwrap()
        .stdout
}

fn source(path: &Path) -> Source {
    upreel_tests::source(path).unwrap()
}

#[tokio::test]
async fn all_invalid_files_fail_with_their_error_code() {
    let backend = Backend::start().await;
    let (folder, rows) = bad();
    assert!(rows.len() >= 17, "the set has {} files", rows.len());
    for row in rows {
        let file = cell(row, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let id = backend.put(file, "video/mp4", bytes).await;
        let video = backend.wait_until_finished(&id).await;
        let code = match file {
            "empty.mp4" => "EMPTY_FILE",
            "audio.m4a" | "chapter-pictures.m4a" | "moov-garbage.mp4" => "NO_VIDEO",
            "encrypted.mp4" => "ENCRYPTED",
            "truncated.mp4"
            | "header-only.mp4"
            | "huge-box.mp4"
            | "ts-of-noise.ts"
            | "mkv-header-only.mkv" => "UNREADABLE",
            _ => "UNSUPPORTED_MEDIA",
        };
        assert_eq!((&video["status"], &video["error"]["code"]), (&"FAILED".into(), &code.into()), "{file}");
        assert!(!video["error"]["message"].as_str().unwrap().is_empty());
    }
    backend.wait_until_idle().await;
    assert_eq!(backend.dead_letters().await.len(), 0, "an invalid file is a failure, not a fault");
    assert_eq!(backend.objects("thumbnails").len(), 0);
}
