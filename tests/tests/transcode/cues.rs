//! Matroska files whose Cues are wrong: the previews, the original and the renditions show the right frames nevertheless.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::{Index, Record, poster, storyboard};

use super::clock::{beeps, frames, numbers};
use super::films::whole;
use super::{ffmpeg, generate, source, transcode};

/// Seconds of the film, and its frames from one keyframe to the next.
const SECONDS: u32 = 8;
const GROUP: usize = 25;

/// What a cue states: the time, the number of the track, the offset of the Cluster, and that of the block in its data.
type Cue = [u64; 4];

/// Reads the number at the start of an element: its ID with the marker, or its size without.
fn number(bytes: &[u8], keep_marker: bool) -> (u64, usize) {
    let len = bytes[0].leading_zeros() as usize + 1;
    let all = bytes[..len].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (if keep_marker { all } else { all & ((1 << (7 * len)) - 1) }, len)
}

/// Returns the elements in a range of a file: the ID, the offset, and the range of the data.
fn elements(bytes: &[u8], range: Range<usize>) -> Vec<(u64, usize, Range<usize>)> {
    let mut all = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let (id, id_len) = number(&bytes[at..], true);
        let (size, size_len) = number(&bytes[at + id_len..], false);
        let data = at + id_len + size_len;
        let end = data + usize::try_from(size).unwrap();
        all.push((id, at, data..end));
        at = end;
    }
    all
}

fn element(id: u32, data: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let skipped = id.iter().take_while(|byte| **byte == 0).count();
    let size = (data.len() as u64 | 1 << 56).to_be_bytes();
    [&id[skipped..], &size, data].concat()
}

/// Makes a copy of a file, in which the Cues, its last element, are others. `change` also gets the offsets of the Clusters.
fn with_cues(path: &Path, name: &str, change: impl Fn(Vec<Cue>, &[u64]) -> Vec<Cue>) -> PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    let (_, start, segment) = elements(&bytes, 0..bytes.len()).pop().unwrap();
    let all = elements(&bytes, segment.clone());
    let (id, at, cues) = all.last().unwrap().clone();
    assert_eq!((id, number(&bytes[start + 4..], false).1), (0x1C53_BB6B, 8), "the Cues are the last element");
    let clusters = all.iter().filter(|(id, ..)| *id == 0x1F43_B675);
    let clusters: Vec<u64> = clusters.map(|(_, at, _)| (at - segment.start) as u64).collect();
    let uint =
        |range: &Range<usize>| bytes[range.clone()].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let cue = |(_, _, point): &(u64, usize, Range<usize>)| -> Cue {
        let parts = elements(&bytes, point.clone());
        let positions = elements(&bytes, parts[1].2.clone());
        let of = |id: u64| uint(&positions.iter().find(|part| part.0 == id).unwrap().2);
        [uint(&parts[0].2), of(0xF7), of(0xF1), of(0xF0)]
    };
    let points = elements(&bytes, cues);
    let cues: Vec<Cue> = points.iter().filter(|(id, ..)| *id == 0xBB).map(cue).collect();
    let changed = change(cues.clone(), &clusters);
    assert_ne!(changed, cues, "{name}");
    let point = |[time, track, cluster, block]: &Cue| {
        let parts = [(0xF7, track), (0xF1, cluster), (0xF0, block)];
        let positions = parts.map(|(id, value)| element(id, &value.to_be_bytes())).concat();
        element(0xBB, &[element(0xB3, &time.to_be_bytes()), element(0xB7, &positions)].concat())
    };
    let cues = element(0x1C53_BB6B, &changed.iter().flat_map(point).collect::<Vec<_>>());
    bytes.truncate(at);
    bytes.extend(cues);
    let size = ((bytes.len() - segment.start) as u64 | 1 << 56).to_be_bytes();
    bytes[start + 4..start + 12].copy_from_slice(&size);
    let path = path.with_file_name(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Moves the Cues of a file, its last element, before a Cluster, as if a tool had appended the rest.
fn with_cues_before(path: &Path, name: &str, cluster: usize) -> PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    let (.., segment) = elements(&bytes, 0..bytes.len()).pop().unwrap();
    let all = elements(&bytes, segment.clone());
    let (_, cues, _) = all.last().unwrap();
    let (_, at, _) = all.iter().filter(|(id, ..)| *id == 0x1F43_B675).nth(cluster).unwrap();
    let (.., seeks) = all.iter().find(|(id, ..)| *id == 0x114D_9B74).unwrap();
    for (.., seek) in elements(&bytes, seeks.clone()).into_iter().filter(|(id, ..)| *id == 0x4DBB) {
        if let [(.., id), (.., position)] = &elements(&bytes, seek.clone())[..]
            && bytes[id.clone()] == [0x1C, 0x53, 0xBB, 0x6B]
        {
            let offset = (at - segment.start).to_be_bytes();
            let (position, len) = (position.clone(), position.len());
            bytes[position].copy_from_slice(&offset[offset.len() - len..]);
        }
    }
    bytes[*at..].rotate_right(segment.end - cues);
    let path = path.with_file_name(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Checks that the poster shows a keyframe, and each tile of the storyboard the frame of its time.
async fn check_previews(path: &Path, tiles: usize) {
    let name = path.display();
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let object = source(path);
    let poster = poster::make(&object, &ffmpeg(), deadline).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.jpg");
    std::fs::write(&image, &poster.large).unwrap();
    let shown = numbers(&image, "");
    assert!(shown.len() == 1 && shown[0].is_multiple_of(GROUP), "{name}: a poster of frame {shown:?}");
    let index = poster.index.unwrap();
    let made = storyboard::make(&object, &index, "", &ffmpeg(), deadline).await.unwrap();
    std::fs::write(&image, &made.jpeg).unwrap();
    let starts = made.vtt.lines().filter_map(|line| line.split_once(" --> "));
    let frame = |(start, _): (&str, &str)| {
        let seconds: f64 = start.rsplit(':').next().unwrap().parse().unwrap();
        // The frames are late by the delay of the audio's encoder, which is less than the duration of a frame.
        format!("{:.0}", (seconds * 25.0).floor()).parse::<usize>().unwrap()
    };
    let expected: Vec<usize> = starts.map(frame).collect();
    let count = expected.len();
    assert!(count >= tiles, "{name}: {count} tiles");
    let columns = (1..count).find(|columns| columns * columns >= count).unwrap();
    let rows = count.div_ceil(columns);
    let shown = numbers(&image, &format!("untile={columns}x{rows},"));
    // The first tile is shown from the start of the film on.
    assert!(shown[0].is_multiple_of(GROUP), "{name}: {shown:?}");
    assert_eq!(shown[1..count], expected[1..], "{name}: the tiles");
}

/// Checks that the segments of the original have all frames.
async fn check_original(path: &Path) {
    let object = source(path);
    let index = Index::open(&object, Container::Mkv).await.unwrap().unwrap();
    let remux = index.remux(&object, "etag").await.unwrap();
    let remux = remux.unwrap_or_else(|why| panic!("{}: {why:?}", path.display()));
    let film = &remux.tracks[0];
    let mut bytes = film.init.to_vec();
    for segment in &film.segments {
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let record = &remux.records[at(segment.record.start)..at(segment.record.end)];
        let made = Record::from_bytes(record).unwrap().segments(&source(path)).await;
        let made = made.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        bytes.extend(&made.complete.iter().find(|(track, _)| *track == 0).unwrap().1[..]);
    }
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original.mp4");
    std::fs::write(&original, bytes).unwrap();
    assert_eq!(
        numbers(&original, ""),
        (0..GROUP * SECONDS as usize).collect::<Vec<_>>(),
        "{}",
        path.display()
    );
}

/// Checks that the renditions have all frames, and that they are made of at least this many chunks.
async fn check_renditions(path: &Path, chunks: usize) {
    let name = path.display().to_string();
    let transcoded = transcode(path, 2.0).await;
    let plan = &transcoded.plan;
    assert!(plan.chunks.len() >= chunks, "{name}: {:?}", plan.chunks);
    transcoded.examine(&name).check(&name, &whole(SECONDS));
}

/// Checks all that is made of a film whose Cues are wrong. It has at least this many chunks and tiles.
async fn check(path: &Path, chunks: usize, tiles: usize) {
    check_previews(path, tiles).await;
    check_original(path).await;
    check_renditions(path, chunks).await;
}

/// Generates a film. A Cluster starts with a keyframe if the one before has 4 KiB, and after this time in milliseconds.
fn film(name: &str, longest_cluster: u32) -> PathBuf {
    let seconds = f64::from(SECONDS);
    let input = format!("{} {}", frames("96x54", "25", seconds), beeps(48_000, seconds));
    let x264 = format!("-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g {GROUP}");
    generate(name, &format!("{input} {x264} -c:a aac -cluster_time_limit {longest_cluster}"))
}

fn moved([time, track, cluster, block]: Cue, by: i64) -> Cue {
    [time, track, cluster.strict_add_signed(by), block]
}

#[tokio::test]
async fn wrong_positions() {
    let film = film("cues.mkv", 5000);
    // What precedes them became larger or smaller.
    for (name, by) in [("cues-early.mkv", -100), ("cues-late.mkv", 100)] {
        let all = |cues: Vec<Cue>, _: &[u64]| cues.into_iter().map(|cue| moved(cue, by)).collect();
        check(&with_cues(&film, name, all), 3, 8).await;
    }
    // In the frames, or after the end.
    let some = with_cues(&film, "cues-nowhere.mkv", |mut cues, _| {
        for (i, cue) in cues.iter_mut().enumerate() {
            *cue = moved(*cue, [0, 7, 0, 1 << 40][i % 4]);
        }
        cues
    });
    check(&some, 3, 4).await;
    // Of another time.
    let others = with_cues(&film, "cues-of-others.mkv", |cues, _| {
        let other = |i: usize| [cues[i][0], cues[i][1], cues[(i * 3 + 2) % cues.len()][2], cues[i][3]];
        (0..cues.len()).map(other).collect()
    });
    check(&others, 2, 4).await;
}

#[tokio::test]
async fn clusters_without_the_keyframe() {
    let film = film("cues-short.mkv", 300);
    let before = with_cues(&film, "cues-before.mkv", |cues, clusters| {
        let before = |[time, track, cluster, block]: Cue| {
            let number = clusters.iter().position(|start| *start == cluster).unwrap();
            [time, track, clusters[number.saturating_sub(1)], block]
        };
        cues.into_iter().map(before).collect()
    });
    check(&before, 4, 8).await;
}

#[tokio::test]
async fn wrong_times() {
    let film = film("cues.mkv", 5000);
    for (name, by) in [("cues-a-frame-late.mkv", 40), ("cues-a-second-late.mkv", 1000)] {
        let all = |cues: Vec<Cue>, _: &[u64]| {
            cues.into_iter()
                .map(|[time, rest @ ..]| {
                    let [track, cluster, block] = rest;
                    [time + by, track, cluster, block]
                })
                .collect()
        };
        check(&with_cues(&film, name, all), 3, 8).await;
    }
    // A single one, which is not examined before a segment of the original is requested.
    let one = with_cues(&film, "cues-one.mkv", |mut cues, _| {
        cues[3][0] += 13;
        cues
    });
    check_previews(&one, 8).await;
    check_renditions(&one, 4).await;
}

#[tokio::test]
async fn other_tracks_order_and_number() {
    let film = film("cues.mkv", 5000);
    let audio = with_cues(&film, "cues-of-audio.mkv", |mut cues, _| {
        for cue in &mut cues {
            cue[1] = 2;
        }
        cues
    });
    check(&audio, 1, 8).await;
    // In the other order, twice, and at first with a wrong position.
    let twice = with_cues(&film, "cues-twice.mkv", |cues, _| {
        cues.into_iter().rev().flat_map(|cue| [moved(cue, 7), cue]).collect()
    });
    check(&twice, 3, 8).await;
    let first = with_cues(&film, "cues-first.mkv", |cues, _| cues[..4].to_vec());
    check(&first, 2, 4).await;
    // Clusters follow the Cues.
    let appended = with_cues_before(&first, "cues-appended.mkv", 3);
    check(&appended, 2, 4).await;
}

#[tokio::test]
async fn rungs_of_films_with_wrong_cues() {
    let early = with_cues(&super::rungs::film(), "rung-early.mkv", |cues, _| {
        cues.into_iter().map(|cue| moved(cue, -100)).collect()
    });
    super::rungs::check_file(&early, true).await;
    let none = with_cues(&super::rungs::film(), "rung-no-cues.mkv", |_, _| Vec::new());
    super::rungs::check_file(&none, false).await;
}
