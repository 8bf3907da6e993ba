//! Files with audio alone: what is made of them if they are accepted, and that they are no videos otherwise.

use std::path::Path;
use std::process::Command;

use futures_util::future::join_all;
use jpeg_decoder::Decoder;
use serde_json::Value;
use upreel_tests::urls;

use crate::harness::{Backend, Row, audio, bad, cell, problem};

/// The duration of all files.
const MS: u64 = 3000;

async fn start() -> Backend {
    Backend::start_with(|options| options.audio = true, |handler| handler).await
}

fn read(row: &Row) -> Vec<u8> {
    std::fs::read(audio().0.join(cell(row, "file"))).unwrap()
}

fn row(file: &str) -> &'static Row {
    audio().1.iter().find(|row| cell(row, "file") == file).unwrap()
}

/// Uploads a file, and returns its record when it is processed.
async fn processed(backend: &Backend, row: &Row) -> Value {
    let id = backend.put(cell(row, "file"), cell(row, "mime"), read(row)).await;
    backend.wait_until_finished(&id).await
}

#[tokio::test]
async fn files_have_media_info_a_poster_and_peaks() {
    let backend = start().await;
    let all = join_all(audio().1.iter().map(|row| processed(&backend, row))).await;
    for (row, record) in audio().1.iter().zip(all) {
        let name = cell(row, "file");
        assert_eq!(record["status"], "PROCESSED", "{name}: {record}");
        check_media_info(row, &record);
        for (field, width) in [("thumbnailUrl", 640), ("thumbnailLargeUrl", 1280)] {
            check_poster(&backend.download(&record, field).await, width, row);
        }
        let peaks = backend.download(&record, "peaksUrl").await;
        check_peaks(&serde_json::from_slice(&peaks).unwrap(), row);
        assert!(record["blurHash"].is_string() && record["storyboardUrl"].is_null(), "{name}: {record}");
        assert!(record["transcode"].is_null() && record["renditions"].is_null(), "{name}: {record}");
    }
}

/// Compares the media info with that of ffprobe.
fn check_media_info(row: &Row, record: &Value) {
    let name = cell(row, "file");
    for (field, column) in [("audioCodec", "codec"), ("container", "container")] {
        assert_eq!(record[field], cell(row, column), "{name}: {field}");
    }
    assert_eq!(record["kind"], "AUDIO", "{name}");
    for field in ["width", "height", "rotation", "frameRate", "videoCodec", "colorTransfer"] {
        assert!(record[field].is_null(), "{name}: {record}");
    }
    let probe = Command::new("ffprobe")
        .args(
            "-v error -select_streams a:0 -show_entries stream=channels,sample_rate:format=duration"
                .split(' '),
        )
        .args(["-of", "json"])
        .arg(audio().0.join(name))
        .output()
        .unwrap();
    let probe: Value = serde_json::from_slice(&probe.stdout).unwrap();
    let stream = &probe["streams"][0];
    assert_eq!(record["audioChannels"], stream["channels"], "{name}");
    assert_eq!(record["audioSampleRate"].to_string(), stream["sample_rate"].as_str().unwrap(), "{name}");
    // Encoders add less than a tenth of a second. ffprobe only estimates the duration of these two.
    let ms = record["durationMs"].as_u64().unwrap();
    assert!((MS..MS + 100).contains(&ms), "{name}: {ms}");
    if !["bare.mp3", "adts.aac"].contains(&name) {
        let probed: f64 = probe["format"]["duration"].as_str().unwrap().parse().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let off = (ms as f64 - probed * 1000.0).abs();
        assert!(off < 80.0, "{name}: {ms} ms, {probed} s");
    }
    assert_eq!(record["contentType"].as_str().unwrap().split('/').next(), Some("audio"), "{name}: {record}");
}

/// Checks the size of a poster, and that it is the cover art or the waveform.
fn check_poster(jpeg: &[u8], expected_width: u16, row: &Row) {
    let name = cell(row, "file");
    let mut decoder = Decoder::new(jpeg);
    let pixels = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let is_cover = cell(row, "shown") == "cover";
    let expected_height = if is_cover { expected_width } else { expected_width / 16 * 9 };
    assert_eq!((info.width, info.height), (expected_width, expected_height), "{name}");
    let pixel = |x: usize, y: usize| &pixels[3 * (y * width + x)..][..3];
    let is_magenta = |pixel: &[u8]| pixel[0] > 200 && pixel[1] < 60 && pixel[2] > 200;
    let bright = |from: usize, to: usize| {
        let columns = (from * width / 100..to * width / 100).map(|x| pixel(x, height / 4));
        columns.filter(|pixel| pixel.iter().map(|value| u32::from(*value)).sum::<u32>() > 330).count()
    };
    assert_eq!(is_magenta(pixel(width / 2, height / 4)), is_cover, "{name}");
    if !is_cover {
        // The bars of the tone reach this line, those of the silence do not.
        assert_eq!(bright(0, 32), 0, "{name}");
        assert!(bright(40, 94) > width * 54 / 100 / 3, "{name}: {}", bright(40, 94));
    }
}

/// Checks that the peaks are those of silence and of a tone at half the full level.
fn check_peaks(peaks: &Value, row: &Row) {
    let name = cell(row, "file");
    let number = |field: &str| usize::try_from(peaks[field].as_u64().unwrap()).unwrap();
    assert_eq!([number("version"), number("channels"), number("bits")], [2, 1, 8], "{name}");
    let (rate, span, length) = (number("sample_rate"), number("samples_per_pixel"), number("length"));
    assert_eq!(rate.to_string(), cell(row, "rate"), "{name}");
    let data: Vec<i64> =
        peaks["data"].as_array().unwrap().iter().map(|peak| peak.as_i64().unwrap()).collect();
    assert_eq!(data.len(), 2 * length, "{name}");
    assert!(length <= 1800 && length * span >= rate * 3, "{name}: {length} of {span}");
    for (i, pair) in data.chunks(2).enumerate() {
        let [start, end] = [i, i + 1].map(|i| i * span * 1000 / rate);
        // Two channels become six or one without a change of the level. Codecs blur the start of the tone.
        let range = match (start, end) {
            (_, ..900) => 0..=2,
            (1100.., ..2900) => 59..=69,
            _ => 0..=90,
        };
        // Spans shorter than a period of the tone do not have both peaks.
        let is_short = span * 440 < rate;
        let [low, high] = [-pair[0], pair[1]];
        assert!(low <= *range.end() && high <= *range.end(), "{name}: {pair:?} at {start} ms");
        let is_loud = |peak: i64| peak >= *range.start();
        assert!(is_short || is_loud(low) && is_loud(high), "{name}: {pair:?} at {start} ms");
    }
    assert!(data.iter().any(|peak| (-69..=-59).contains(peak)), "{name}");
}

#[tokio::test]
async fn audio_is_played_by_hls_or_as_the_file() {
    let backend = start().await;
    let all = join_all(audio().1.iter().map(|row| processed(&backend, row))).await;
    for (row, record) in audio().1.iter().zip(all) {
        let name = cell(row, "file");
        let reason = match (cell(row, "container"), cell(row, "codec")) {
            ("wav", codec) if !codec.starts_with("pcm_") => Some("AUDIO_CODEC"),
            _ => None,
        };
        assert_eq!(record["playback"]["reason"].as_str(), reason, "{name}: {record}");
        // The file itself has its audio type, so that a browser can play it.
        let file = backend.http.get(record["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(file.headers()["content-type"], record["contentType"].as_str().unwrap(), "{name}");
        if reason.is_some() {
            assert!(
                record["hlsUrl"].is_null() && record["playback"]["mode"] == "ORIGINAL",
                "{name}: {record}"
            );
        } else {
            check_hls(&backend, &record, name).await;
        }
    }
}

/// Plays the segments, and compares the number of samples with the original's.
async fn check_hls(backend: &Backend, record: &Value, name: &str) {
    let folder = record["hlsUrl"].as_str().unwrap().strip_suffix("master.m3u8").unwrap();
    let text = async |file: &str| {
        backend.http.get(format!("{folder}{file}")).send().await.unwrap().text().await.unwrap()
    };
    let master = text("master.m3u8").await;
    assert!(!master.contains("RESOLUTION") && !master.contains("EXT-X-MEDIA"), "{name}: {master}");
    assert!(
        master.contains("CODECS=\"mp4a.40.2\"") || master.contains("CODECS=\"opus\""),
        "{name}: {master}"
    );
    let mut bytes = Vec::new();
    for url in urls(&text("source/index.m3u8").await) {
        let response = backend.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        bytes.extend(response.bytes().await.unwrap());
    }
    let joined = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(joined.path(), bytes).unwrap();
    let decoded = [
        "-nostdin",
        "-v",
        "error",
        "-i",
        joined.path().to_str().unwrap(),
        "-af",
        "pan=mono|c0=c0",
        "-ar",
        "8000",
    ];
    let decoded = Command::new("ffmpeg").args(decoded).args(["-f", "s16le", "-"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&decoded.stderr), "", "{name}");
    let samples: Vec<i16> =
        decoded.stdout.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
    assert!((24_000..25_000).contains(&samples.len()), "{name}: {} samples", samples.len());
    let loud =
        |from: usize| samples[from..from + 800].iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!(
        loud(6000) < 300 && (6_000..18_000).contains(&loud(16_000)),
        "{name}: {}, {}",
        loud(6000),
        loud(16_000)
    );
}

#[tokio::test]
async fn there_is_nothing_to_transcode() {
    for watched in [false, true] {
        let set = |options: &mut upreel_local::Options| {
            (options.audio, options.transcode, options.transcodes_when_watched) = (true, Some(1), watched);
        };
        let backend = Backend::start_with(set, |handler| handler).await;
        for file in ["aac.m4a", "opus.ogg"] {
            let record = processed(&backend, row(file)).await;
            let id = record["videoId"].as_str().unwrap();
            backend.wait_until_idle().await;
            let record = backend.video(id).await;
            assert_eq!(record["status"], "PROCESSED");
            assert!(record["transcode"].is_null() && record["renditions"].is_null(), "{record}");
        }
    }
}

#[tokio::test]
async fn there_are_no_frames() {
    let backend = start().await;
    let record = processed(&backend, row("cover.m4a")).await;
    let id = record["videoId"].as_str().unwrap();
    for image in ["thumbnail.jpg?time=1", "thumbnail.webp?time=1", "preview.gif?start=0&end=1"] {
        let response = backend.get(&format!("/videos/{id}/{image}")).send().await.unwrap();
        assert_eq!(problem(response).await, (422, "UNDECODABLE".to_owned()), "{image}");
    }
    let poster = backend.http.put(format!("{}/videos/{id}/poster", backend.local.api));
    let response = poster.json(&serde_json::json!({"time": 1})).send().await.unwrap();
    assert_eq!(problem(response).await, (422, "UNDECODABLE".to_owned()));
    // Everything that was made is deleted with it.
    let delete = backend.http.delete(format!("{}/videos/{id}", backend.local.api)).send().await.unwrap();
    assert_eq!(delete.status(), 204);
    assert_eq!(backend.objects("thumbnails"), [""; 0].map(Path::new));
}

#[tokio::test]
async fn without_the_option_audio_is_no_video() {
    let backend = Backend::start().await;
    for (file, code) in
        [("vbr.mp3", "UNSUPPORTED_MEDIA"), ("pcm.wav", "UNSUPPORTED_MEDIA"), ("aac.m4a", "NO_VIDEO")]
    {
        let bytes = read(row(file));
        let id = backend.put("a.mp4", "video/mp4", bytes.clone()).await;
        assert_eq!(backend.wait_until_finished(&id).await["error"]["code"], code, "{file}");
        let presign = backend.get("/presign").query(&[("name", file), ("type", cell(row(file), "mime"))]);
        assert_eq!(
            problem(presign.send().await.unwrap()).await,
            (415, "UNSUPPORTED_MEDIA".to_owned()),
            "{file}"
        );
        if code == "UNSUPPORTED_MEDIA" {
            let response = backend.upload(file, bytes).await;
            assert_eq!(problem(response).await, (415, "UNSUPPORTED_MEDIA".to_owned()), "{file}");
        }
    }
}

#[tokio::test]
async fn files_without_audio_and_damaged_files_fail() {
    let backend = start().await;
    let (folder, rows) = bad();
    for row in rows {
        let file = cell(row, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let id = backend.put(file, "video/mp4", bytes).await;
        let record = backend.wait_until_finished(&id).await;
        let is_audio = ["audio.m4a", "chapter-pictures.m4a"].contains(&file);
        assert_eq!(record["status"], if is_audio { "PROCESSED" } else { "FAILED" }, "{file}: {record}");
        assert_eq!(record["kind"].is_string(), is_audio, "{file}");
    }
    for (file, head) in [
        ("a.mp3", &b"\xFF\xFB\x90\x64"[..]),
        ("a.flac", b"fLaC\0\0\0\x22"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt "),
    ] {
        let noise = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0] & 0x7F);
        let id = backend.put(file, "", head.iter().copied().chain(noise).collect()).await;
        let record = backend.wait_until_finished(&id).await;
        assert_eq!(record["status"], "FAILED", "{file}: {record}");
    }
    // Half of a file is better than none.
    let bytes = read(row("plain.flac"));
    let id = backend.put("a.flac", "", bytes[..bytes.len() / 2].to_vec()).await;
    let record = backend.wait_until_finished(&id).await;
    assert_eq!(record["status"], "PROCESSED", "{record}");
    assert!((500..2999).contains(&record["durationMs"].as_u64().unwrap()), "{record}");
    // `POST /upload` detects the format by the bytes.
    let response: Value = backend.upload("a.bin", read(row("vbr.mp3"))).await.json().await.unwrap();
    let record = backend.wait_until_finished(response["videoId"].as_str().unwrap()).await;
    assert_eq!((&record["status"], &record["contentType"]), (&"PROCESSED".into(), &"audio/mpeg".into()));
}
