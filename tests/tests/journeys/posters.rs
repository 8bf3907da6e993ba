//! Every container and codec of the set: facts and an upright poster; and every bad file its code.

use jpeg_decoder::Decoder;
use serde_json::Value;

use crate::harness::{Backend, Row, bad, cell, good};

/// The quadrants of the picture in `tests/videos`, as a viewer sees them.
const QUADRANTS: [[u8; 3]; 4] =
    [[0xe0, 0x20, 0x20], [0x20, 0xa0, 0x20], [0x20, 0x40, 0xe0], [0xe0, 0xe0, 0x20]];

#[tokio::test]
async fn every_video_of_the_set_gets_its_poster() {
    let backend = Backend::start().await;
    let (folder, rows) = good();
    assert!(rows.len() >= 60, "the set has {} videos", rows.len());
    let mut ids = Vec::new();
    for row in rows {
        let bytes = std::fs::read(folder.join(cell(row, "file"))).unwrap();
        ids.push(backend.put(cell(row, "file"), cell(row, "mime"), bytes).await);
    }
    let mut complaints = Vec::new();
    for (row, id) in rows.iter().zip(&ids) {
        let video = backend.settled(id).await;
        if let Err(complaint) = check(&backend, row, &video).await {
            complaints.push(format!("{}: {complaint}", cell(row, "file")));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
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
        // FFmpeg 7 leaves out how long the last frame is shown.
        Some(found) if file.contains("variable-rate") && (found - duration).abs() <= 300.0 => {}
        // These do not say it, and the whole file is not read to find out.
        None if ["live", "no-cues", "fragmented"].iter().any(|kind| file.contains(kind)) => {}
        found => return Err(format!("durationMs is {found:?}, not {duration}")),
    }
    let rate = cell(row, "frame_rate");
    let found = video["frameRate"].as_f64();
    if rate != "-" && found.is_none_or(|found| (found - parse_rate(rate)).abs() > 0.02) {
        return Err(format!("frameRate is {found:?}, not {rate}"));
    }
    let poster = backend.http.get(video["thumbnailUrl"].as_str().unwrap()).send().await.unwrap();
    upright(&poster.bytes().await.unwrap(), video)
}

fn parse_rate(text: &str) -> f64 {
    let mut parts = text.split('/').map(|part| part.parse::<f64>().unwrap());
    parts.next().unwrap() / parts.next().unwrap_or(1.0)
}

/// 640 wide, of the video's shape, with each quadrant's colour in its place.
fn upright(jpeg: &[u8], video: &Value) -> Result<(), String> {
    let mut decoder = Decoder::new(jpeg);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().unwrap();
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let shape = video["height"].as_f64().unwrap() / video["width"].as_f64().unwrap();
    let expected = (640.0 * shape).min(4096.0);
    if width != 640 || (f64::from(info.height) - expected).abs() > 2.0 {
        return Err(format!("the poster is {width}x{height}, not 640x{expected}"));
    }
    for (i, colour) in QUADRANTS.iter().enumerate() {
        let (x, y) = (width * (1 + 2 * (i % 2)) / 4, height * (1 + 2 * (i / 2)) / 4);
        let found = &pixels[(y * width + x) * 3..][..3];
        let off = found.iter().zip(colour).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        if off > 30 {
            return Err(format!("quadrant {i} is {found:?}, not {colour:?}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_bad_file_gets_its_code() {
    let backend = Backend::start().await;
    let (folder, rows) = bad();
    assert!(rows.len() >= 17, "the set has {} files", rows.len());
    for row in rows {
        let file = cell(row, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let id = backend.put(file, "video/mp4", bytes).await;
        let video = backend.settled(&id).await;
        let code = match file {
            "empty.mp4" => "EMPTY_FILE",
            "audio.m4a" | "moov-garbage.mp4" => "NO_VIDEO",
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
    backend.idle().await;
    assert_eq!(backend.dead_letters().await.len(), 0, "a bad file is nobody's fault but its own");
    assert_eq!(backend.objects("thumbnails").len(), 0);
}
