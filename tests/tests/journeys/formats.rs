//! The tables of docs/FORMATS.md: the results of processing one file of each kind in `tests/videos`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use tokio::time::{Duration, Instant};
use upreel_core::Container;

use crate::harness::{Backend, Row, audio, bad, cell, good};

/// The line before and the line after the generated part.
const BEGIN: &str = "<!-- Generated: UPREEL_WRITE_FORMATS=yes make rust -->\n";
const END: &str = "<!-- End of the generated part -->\n";
/// The media info that a record should have: fields, and their names in the table.
const MEDIA_INFO: [(&str, &str); 5] = [
    ("durationMs", "duration"),
    ("width", "width"),
    ("height", "height"),
    ("frameRate", "frame rate"),
    ("videoCodec", "codec"),
];

#[tokio::test]
async fn tables_of_formats_are_up_to_date() {
    let backend = Backend::start_with(|options| options.transcode = Some(2), |handler| handler).await;
    let (folder, rows) = good();
    // The first file of each container and codec.
    let mut kinds = BTreeSet::new();
    let rows = rows.iter().filter(|row| kinds.insert((cell(row, "container"), cell(row, "video_codec"))));
    let mut uploaded = Vec::new();
    for row in rows {
        let bytes = std::fs::read(folder.join(cell(row, "file"))).unwrap();
        uploaded.push((row, backend.put(cell(row, "file"), cell(row, "mime"), bytes).await));
    }
    let mut lines = Vec::new();
    for (row, id) in uploaded {
        lines.push((place(row), line(row, &transcoded(&backend, &id).await)));
    }
    lines.sort();
    let mut table = "| container | video | media info | poster | storyboard | original | HLS |\n\
                     |---|---|---|---|---|---|---|\n"
        .to_owned();
    for (_, line) in lines {
        table.push_str(&line);
    }
    table.push_str("\n| file | failure code |\n|---|---|\n");
    let (folder, rows) = bad();
    for row in rows {
        let bytes = std::fs::read(folder.join(cell(row, "file"))).unwrap();
        let id = backend.put(cell(row, "file"), "video/mp4", bytes).await;
        let code = backend.wait_until_finished(&id).await["error"]["code"].as_str().unwrap().to_owned();
        writeln!(table, "| {} | `{code}` |", cell(row, "what")).unwrap();
    }
    table.push_str(&audio_table().await);
    compare(&table);
}

/// Returns the table of files with audio alone, if they are accepted.
async fn audio_table() -> String {
    let backend = Backend::start_with(|options| options.audio = true, |handler| handler).await;
    let (folder, rows) = audio();
    let mut kinds = BTreeSet::new();
    let rows = rows.iter().filter(|row| kinds.insert((cell(row, "container"), cell(row, "codec"))));
    let mut lines = Vec::new();
    for row in rows {
        let bytes = std::fs::read(folder.join(cell(row, "file"))).unwrap();
        let id = backend.put(cell(row, "file"), cell(row, "mime"), bytes).await;
        let record = backend.wait_until_finished(&id).await;
        let facts = ["durationMs", "audioCodec", "audioChannels", "audioSampleRate"];
        let yes = |is_there: bool| if is_there { "yes" } else { "no" };
        let media_info = yes(facts.iter().all(|field| !record[field].is_null()));
        let [poster, peaks] = ["thumbnailUrl", "peaksUrl"].map(|field| yes(record[field].is_string()));
        let (place, codec) = (place_of(row), cell(row, "codec"));
        let container = Container::ALL[place].name();
        let original = original(&record);
        lines.push((
            place,
            format!("| {container} | {codec} | {media_info} | {poster} | {peaks} | {original} |\n"),
        ));
    }
    lines.sort();
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    format!(
        "\n| container | audio alone | media info | poster | peaks | original |\n|---|---|---|---|---|---|\n{lines}"
    )
}

/// The containers in the order of [`Container::ALL`], and the codecs of each by name.
fn place(row: &Row) -> (usize, String) {
    (place_of(row), cell(row, "video_codec").to_owned())
}

fn place_of(row: &Row) -> usize {
    let place = Container::ALL.iter().position(|container| name(*container) == cell(row, "container"));
    place.unwrap()
}

fn original(video: &Value) -> String {
    video["playback"]["reason"].as_str().map_or_else(|| "yes".to_owned(), |reason| format!("`{reason}`"))
}

fn name(container: Container) -> String {
    serde_json::to_value(container).unwrap().as_str().unwrap().to_owned()
}

fn line(row: &Row, video: &Value) -> String {
    let container = Container::ALL[place(row).0].name();
    let missing: Vec<&str> =
        MEDIA_INFO.iter().filter(|(field, _)| video[field].is_null()).map(|(_, name)| *name).collect();
    let media_info = if missing.is_empty() { "yes".to_owned() } else { format!("no {}", missing.join(", ")) };
    let has = |field: &str| if video[field].is_string() { "yes" } else { "no" };
    let hls = match video["transcode"]["status"].as_str() {
        Some("DONE") => "yes".to_owned(),
        _ => format!("`{}`", video["transcode"]["error"]["code"].as_str().unwrap_or("none")),
    };
    let original = original(video);
    let (poster, storyboard, codec) = (has("thumbnailUrl"), has("storyboardUrl"), cell(row, "video_codec"));
    format!("| {container} | {codec} | {media_info} | {poster} | {storyboard} | {original} | {hls} |\n")
}

/// Waits until a video is processed and transcoded.
async fn transcoded(backend: &Backend, id: &str) -> Value {
    let start = Instant::now();
    loop {
        let video = backend.wait_until_finished(id).await;
        let status = video["transcode"]["status"].as_str();
        if video["status"] != "PROCESSED" || matches!(status, Some("DONE" | "FAILED")) {
            return video;
        }
        assert!(start.elapsed() < upreel_tests::HANG_GUARD, "{video}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Compares a table with the one in the document, or writes it there.
fn compare(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMATS.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("UPREEL_WRITE_FORMATS").is_some() {
        std::fs::write(&path, right).unwrap();
    } else {
        assert_eq!(document, right, "docs/FORMATS.md is out of date. Run UPREEL_WRITE_FORMATS=yes make rust");
    }
}
