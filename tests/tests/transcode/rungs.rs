//! Rungs beside the original: their segments have its frames and times, so that players can switch at each of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::inspect::inspect;
use upreel_media::{Index, Record, Remux, poster};
use upreel_transcode::{Plan, encode, playlist};

use super::{ffmpeg, generate, psnr, source, warnings};

/// Returns the segments of the original's film, each with its initialization segment before it.
async fn originals(path: &Path, remux: &Remux) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    for entry in &remux.tracks[0].segments {
        let place = usize::try_from(entry.record.start).unwrap()..usize::try_from(entry.record.end).unwrap();
        let record = Record::from_bytes(&remux.records[place]).unwrap();
        let made = record.segments(&source(path)).await.unwrap();
        let film: &Bytes = &made.complete.iter().find(|(track, _)| *track == 0).unwrap().1;
        segments.push([&remux.tracks[0].init[..], &film[..]].concat());
    }
    segments
}

/// Returns the presentation times of the decoded frames of a file, as multiples of `1 / scale` seconds.
fn times(bytes: &[u8], scale: i64) -> Vec<i64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args("-nostdin -v error -xerror -copyts -threads 1 -i".split(' '))
        .arg(file.path())
        .args("-map 0:v -fps_mode passthrough -enc_time_base -1 -f framemd5 -".split(' '))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let own: i64 = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")).unwrap().parse().unwrap();
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    let time = |line: &str| line.split(',').nth(2).unwrap().trim().parse::<i64>().unwrap();
    let exact = |time: i64| {
        assert_eq!(time * scale % own, 0, "not a multiple of 1/{scale} s");
        time * scale / own
    };
    frames.map(time).map(exact).collect()
}

/// Encodes the lowest rung of a video, and compares each segment with the original's: its frames' number and times, and
/// its duration.
async fn check(name: &str, args: &str) {
    check_file(&generate(name, args), true).await;
}

/// As [`check`], of a film that is one chunk unless it `is_cut`.
pub(crate) async fn check_file(path: &Path, is_cut: bool) {
    let name = &path.display().to_string();
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let media_info = poster::make(&source(path), &ffmpeg(), deadline).await.unwrap().media_info;
    let container: Container = media_info.container.unwrap();
    let index = Index::open(&source(path), container).await.unwrap().unwrap();
    let remux =
        index.remux(&source(path), "etag").await.unwrap().unwrap_or_else(|why| panic!("{name}: {why:?}"));
    let inspection = inspect(&source(path), container, &index.streams(), &ffmpeg(), deadline).await.unwrap();
    let of = (&remux.timeline, "v120", 9000);
    let read = source(path);
    let planned = Plan::of_rung_with_slices(&read, Some(&index), &media_info, &inspection, of);
    let (plan, slices) = planned.await.unwrap();
    assert_eq!((plan.chunks.len() > 1, plan.first > 0), (is_cut, is_cut), "{name}");
    let order: Vec<usize> = plan.order().collect();
    assert_eq!((order[0], order.len()), (plan.first, plan.chunks.len()), "{name}");
    let (start, end) = plan.chunks[plan.first].span.unwrap();
    let position = plan.origin + 9 * i64::from(plan.scale);
    assert!((start..end.unwrap()).contains(&position), "{name}: the first chunk has the position");
    let (mut manifests, mut objects) = (Vec::new(), Vec::new());
    // Each chunk is encoded on its own.
    for chunk in plan.chunks.iter().rev() {
        let slice = slices.get(chunk.index);
        let (manifest, made) =
            encode(&source(path), &plan, chunk.index, slice, &ffmpeg(), deadline).await.unwrap();
        manifests.push(manifest);
        objects.extend(made);
    }
    let rung = playlist::rung(&plan, manifests).unwrap();
    let object = |file: &str| {
        let name = format!("v120/{file}");
        &objects.iter().find(|object| object.name == name).unwrap_or_else(|| panic!("no {name}")).bytes
    };
    assert_eq!(objects.len(), rung.rendition.segments.len() + 1, "{name}: no audio is encoded");
    let planned = plan.planned(&rung.rendition.codec).unwrap();
    assert_eq!(planned.rendition.media_playlist(), rung.rendition.media_playlist(), "{name}");

    let film = &remux.tracks[0];
    let originals = originals(path, &remux).await;
    assert_eq!(rung.rendition.segments.len(), originals.len(), "{name}");
    // A multiple of both scales.
    let scale = i64::from(film.scale) * i64::from(rung.rendition.scale);
    let (mut joined, mut whole) = (object("init.mp4").to_vec(), film.init.to_vec());
    for ((segment, entry), original) in rung.rendition.segments.iter().zip(&film.segments).zip(&originals) {
        let ours = [&object("init.mp4")[..], &object(&segment.name)[..]].concat();
        assert_eq!(times(&ours, scale), times(original, scale), "{name}: {}", segment.name);
        assert_eq!(
            u128::from(segment.duration) * u128::from(film.scale),
            u128::from(entry.duration) * u128::from(rung.rendition.scale),
            "{name}: {}",
            segment.name
        );
        joined.extend(&object(&segment.name)[..]);
        whole.extend(&original[film.init.len()..]);
    }
    let folder = tempfile::tempdir().unwrap();
    let (rung, original) = (folder.path().join("rung.mp4"), folder.path().join("original.mp4"));
    std::fs::write(&rung, joined).unwrap();
    std::fs::write(&original, whole).unwrap();
    assert_eq!(warnings(&rung), "", "{name}");
    let (lowest, mean) = psnr(&rung, &original);
    assert!(lowest > 28.0 && mean > 34.0, "{name}: PSNR {lowest} dB lowest, {mean} dB mean");
}

const FILM: &str = "-f lavfi -i testsrc2=size=160x120:rate=30:duration=24";
const TONE: &str = "-f lavfi -i sine=f=440:d=24 -c:a aac";
const H264: &str = "-c:v libx264 -preset veryfast -x264-params keyint=60:min-keyint=60:scenecut=0:bframes=3:b-pyramid=normal";

pub(crate) fn film() -> PathBuf {
    generate("rung.mkv", &format!("{FILM} {TONE} {H264}"))
}

#[tokio::test]
async fn rungs_have_the_cuts_and_times_of_the_original() {
    check("rung.mp4", &format!("{FILM} {TONE} {H264}")).await;
    check_file(&film(), true).await;
    let fragmented = "-movflags +frag_keyframe+empty_moov+default_base_moof";
    check("rung-fragmented.mp4", &format!("{FILM} {TONE} {H264} {fragmented}")).await;
    check("rung-silent.mp4", &format!("{FILM} {H264}")).await;
}

#[tokio::test]
async fn rungs_of_other_frame_rates_and_edits() {
    let ntsc = FILM.replace("rate=30", "rate=24000/1001");
    check("rung-23976.mp4", &format!("{ntsc} {TONE} {H264}")).await;
    let vary = "-vf select='not(mod(n,7))+not(mod(n,3))' -fps_mode vfr";
    check("rung-vfr.mp4", &format!("{FILM} {TONE} {vary} {H264}")).await;
    check("rung-coarse.mp4", &format!("{FILM} {TONE} {H264} -video_track_timescale 30")).await;
    let whole = generate("rung.mp4", &format!("{FILM} {TONE} {H264}")).display().to_string();
    // The first frame is shown earlier, from the start of the audio on.
    check("rung-late.mp4", &format!("-itsoffset 0.5 -i {whole} -i {whole} -map 0:v -map 1:a -c copy")).await;
    check("rung-trimmed.mp4", &format!("-ss 4 -i {whole} -c copy")).await;
}

#[tokio::test]
async fn rungs_of_other_codecs() {
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k -c:a libopus";
    check("rung.webm", &format!("{FILM} -f lavfi -i sine=f=440:d=24 {vp9}")).await;

    let whole = generate("rung.mp4", &format!("{FILM} {TONE} {H264}")).display().to_string();
    check("rung-turned.mp4", &format!("-i {whole} -c copy -metadata:s:v rotate=90")).await;
}
