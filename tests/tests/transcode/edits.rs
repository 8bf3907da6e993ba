//! Edit lists: renditions present exactly the frames and the audio that the edits present.

use std::path::PathBuf;
use std::process::Command;

use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::Index;
use upreel_media::inspect::inspect;
use upreel_media::slice::Slice;
use upreel_transcode::Plan;

use super::clock::{beeps, frames};
use super::films::{compose, whole};
use super::{Transcoded, ffmpeg, generate, packets, source, transcode};

/// Milliseconds from frame to frame.
const FRAME: u32 = 40;

/// Replaces the edit list of a film, in milliseconds: `DURATION:START`, `DURATION:` for an empty edit,
/// `DURATION:START:0` for a frame that is held.
fn edited(name: &str, film: &PathBuf, edits: &str) -> PathBuf {
    compose(name, |to| {
        std::fs::copy(film, to).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/videos/patch.py");
        let status =
            Command::new("python3").args(["-B", script]).arg(to).arg(format!("edits {edits}")).status();
        assert!(status.unwrap().success());
    })
}

/// A part of a film that is presented: its start in the presentation, its start in the film, and its duration, in
/// milliseconds.
type Part = (u32, u32, u32);

/// Returns the numbers of the frames of a part. A frame that starts before it is not presented.
fn frames_of((_, from, length): &Part) -> impl Iterator<Item = u32> + use<> {
    from.div_ceil(FRAME)..(from + length).div_ceil(FRAME)
}

fn check(name: &str, transcoded: &Transcoded, (parts, audio): (&[Part], &[Part]), duration: u32) {
    let seen = transcoded.examine(name);
    let numbers: Vec<usize> =
        parts.iter().flat_map(frames_of).map(|number| usize::try_from(number).unwrap()).collect();
    assert_eq!(seen.numbers, numbers, "{name}");
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    let times =
        parts.iter().flat_map(|part| frames_of(part).map(move |n| seconds(part.0 + n * FRAME - part.1)));
    // The first frame is presented from the start on.
    for (i, (time, right)) in seen.times.iter().zip(times).enumerate().skip(1) {
        assert!((time - right).abs() < 0.0015, "{name}: frame {i} at {time}, not {right}");
    }
    // A beep of 100 ms counts if half of it is presented.
    let beeps = audio.iter().copied().flat_map(|(start, from, length)| {
        let presented =
            (0..60).map(|second| second * 1000).filter(move |at| (from..from + length).contains(&(at + 50)));
        presented.map(move |at| seconds(start + at.saturating_sub(from)))
    });
    let beeps: Vec<f64> = beeps.collect();
    assert_eq!(seen.beeps.len(), beeps.len(), "{name}: {:?}, not {beeps:?}", seen.beeps);
    for (beep, right) in seen.beeps.iter().zip(&beeps) {
        assert!((beep - right).abs() < 0.023, "{name}: a beep at {beep}, not {right}");
    }
    let duration = seconds(duration);
    let (video, audio) = seen.duration;
    assert!((video - duration).abs() < 0.03 && (audio - video).abs() < 0.03, "{name}: {video} s, {audio} s");
    assert!((video - transcoded.record).abs() < 0.04, "{name}: {video} s, {} s", transcoded.record);
    assert_eq!(seen.keyframes, seen.segments.len(), "{name}");
    super::check_playlists(transcoded, name);
}

#[tokio::test]
async fn every_edit_is_presented_at_its_time() {
    let encoders = [
        ("b", "mp4", "-c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 50 -c:a aac"),
        ("long", "mp4", "-c:v libx264 -preset ultrafast -g 1000 -keyint_min 1000 -sc_threshold 0 -c:a aac"),
        ("pcm", "mov", "-c:v libx264 -preset ultrafast -g 25 -c:a pcm_s16le"),
    ];
    let cases: [(&str, &str, &[Part], u32); 7] = [
        ("middle", "12000:0 12000:26000", &[(0, 0, 12_000), (12_000, 26_000, 12_000)], 24_000),
        (
            "inside",
            "7400:1480 9370:20610 3000:32500",
            &[(0, 1480, 7400), (7400, 20_610, 9370), (16_770, 32_500, 3000)],
            19_770,
        ),
        (
            "repeated",
            "6000:1000 6000:3000 9000:1000",
            &[(0, 1000, 6000), (6000, 3000, 6000), (12_000, 1000, 9000)],
            21_000,
        ),
        ("delayed", "1000: 15000:5000", &[(1000, 5000, 15_000)], 16_000),
        ("gap", "6000:2000 2000: 7000:12000", &[(0, 2000, 6000), (8000, 12_000, 7000)], 15_000),
        ("once", "20000:9320", &[(0, 9320, 20_000)], 20_000),
        // A rate of 0 holds a frame.
        (
            "held",
            "6000:0 3000:6400:0 8000:6440",
            &[(0, 0, 6000), (6000, 6400, 40), (9000, 6440, 8000)],
            17_000,
        ),
    ];
    for (kind, extension, encoder) in encoders {
        let args =
            format!("{} {} -pix_fmt yuv420p {encoder}", frames("96x54", "25", 40.0), beeps(48_000, 40.0));
        let film = generate(&format!("edits-{kind}.{extension}"), &args);
        for (case, edits, parts, duration) in cases {
            let name = format!("edits-{kind}-{case}.{extension}");
            let transcoded = transcode(&edited(&name, &film, edits), 5.0).await;
            assert!(transcoded.plan.is_sliced, "{name}");
            check(&name, &transcoded, (parts, parts), duration);
        }
    }
}

#[tokio::test]
async fn audio_can_have_edits_of_its_own() {
    // They begin within chunks, and several within one.
    let audio = [(0, 3000, 7500), (7500, 14_000, 1500), (9000, 1000, 3000)];
    for (extension, encoder) in [("mp4", "aac"), ("mov", "pcm_s16le")] {
        let args = format!("{} {} -c:a {encoder}", frames("96x54", "25", 16.0), beeps(48_000, 16.0));
        let args = format!("{args} -c:v libx264 -preset ultrafast -g 25 -bf 0 -pix_fmt yuv420p");
        let film = generate(&format!("edits-audio-all.{extension}"), &args);
        let name = format!("edits-audio.{extension}");
        let film = edited(&name, &film, "audio 7500:3000 1500:14000 3000:1000");
        let transcoded = transcode(&film, 5.0).await;
        assert!(transcoded.plan.is_sliced && transcoded.plan.chunks.len() > 2, "{name}");
        check(&name, &transcoded, (&[(0, 0, 16_000)], &audio), 16_000);
    }
}

#[tokio::test]
async fn what_is_before_the_edit_of_a_fragmented_film_is_not_presented() {
    let args = format!("{} {} -c:a aac", frames("96x54", "25", 16.0), beeps(48_000, 16.0));
    let args = format!("{args} -c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 25 -pix_fmt yuv420p");
    let film = generate("edits-fragmented-all.mp4", &format!("{args} -movflags +frag_keyframe+delay_moov"));
    // A last edit of no length goes on to the end of the fragments.
    for (name, from) in [("edits-fragmented-keyframe.mp4", 3000), ("edits-fragmented-gop.mp4", 3400)] {
        let transcoded = transcode(&edited(name, &film, &format!("0:{from}")), 5.0).await;
        assert!(transcoded.plan.is_sliced && transcoded.plan.origin == 0, "{name}");
        let part = [(0, from, 16_000 - from)];
        check(name, &transcoded, (&part, &part), 16_000 - from);
    }
}

#[tokio::test]
async fn a_fragmented_film_can_have_several_edits() {
    let args = format!("{} {} -c:a aac", frames("96x54", "25", 16.0), beeps(48_000, 16.0));
    let args = format!("{args} -c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 50 -pix_fmt yuv420p");
    // A longer edit list moves the fragments, so nothing may tell their offsets.
    let args = format!("{args} -movflags +frag_keyframe+delay_moov+default_base_moof+skip_trailer");
    let film = generate("edits-fragmented-moved.mp4", &args);
    let name = "edits-fragmented-cut.mp4";
    let transcoded = transcode(&edited(name, &film, "4000:2520 2000:0 0:9000"), 5.0).await;
    assert!(transcoded.plan.is_sliced && transcoded.plan.chunks.len() > 2);
    let parts = [(0, 2520, 4000), (4000, 0, 2000), (6000, 9000, 7000)];
    check(name, &transcoded, (&parts, &parts), 13_000);
}

#[tokio::test]
async fn slices_of_four_hours_read_little_more_than_the_movie() {
    let args = format!(
        "{} {} -pix_fmt yuv420p -c:v libx264 -preset veryfast -bf 3 -g 50 -c:a aac",
        frames("96x54", "25", 40.0),
        beeps(48_000, 40.0)
    );
    let film = generate("hours-part.mp4", &args);
    for (name, flags) in [("hours.mp4", ""), ("hours-start.mp4", "-movflags +faststart")] {
        let path = compose(name, |to| {
            let status = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-y", "-stream_loop", "359", "-i"])
                .arg(&film)
                .args(["-c", "copy", "-f", "mp4"])
                .args(flags.split_whitespace())
                .arg(to)
                .status();
            assert!(status.unwrap().success());
        });
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let (source, size) = (source(&path), path.metadata().unwrap().len());
        let index = Index::open(&source, Container::Mp4).await.unwrap().unwrap();
        let (streams, ffmpeg) = (index.streams(), ffmpeg());
        let inspected = inspect(&source, Container::Mp4, &streams, &ffmpeg, deadline);
        let inspection = inspected.await.unwrap();
        let planned = Plan::with_slices(&source, Some(&index), &index.media_info, &inspection, None);
        let (plan, slices) = planned.await.unwrap();
        assert!(plan.chunks.len() > 200 && slices.len() == plan.chunks.len(), "{}", plan.chunks.len());
        let bytes: u64 = slices.iter().map(Slice::media_bytes).sum();
        eprintln!("{name}: {size} bytes, {bytes} in slices, {} read for the plan", source.stats().bytes);
        assert!(bytes * 100 < size * 105, "{name}: {bytes} of {size}");
    }
}

#[tokio::test]
async fn slices_of_a_movie_with_a_large_index_read_little_more_than_it() {
    // An index of a kilobyte for each frame: many small frames.
    let args = format!(
        "{} {} -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 25 -c:a aac",
        frames("16x16", "50", 240.0),
        beeps(48_000, 240.0)
    );
    for (name, flags) in [("index-end.mp4", ""), ("index-start.mp4", "-movflags +faststart")] {
        let path = generate(name, &format!("{args} {flags}"));
        let transcoded = transcode(&path, 5.0).await;
        let size = path.metadata().unwrap().len();
        assert!(transcoded.plan.chunks.len() > 40, "{name}");
        eprintln!("{name}: {} of {size} bytes", transcoded.chunk_bytes);
        assert!(transcoded.chunk_bytes * 100 < size * 105, "{name}: {} of {size}", transcoded.chunk_bytes);
        let frames = packets(&transcoded.concatenated(&transcoded.plan.rungs[0].name), "v:0").pts.len();
        assert_eq!(frames, 12_000, "{name}");
    }
}

#[tokio::test]
async fn slices_of_movie_fragments_read_little_more_than_the_movie() {
    const FRAGMENTED: &str = "-movflags +frag_keyframe+empty_moov+default_base_moof";
    let args = format!(
        "{} {} -vf noise=alls=20:allf=t -pix_fmt yuv420p -c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 25 -c:a aac -b:a 24k",
        frames("96x54", "25", 40.0),
        beeps(48_000, 40.0)
    );
    for (name, flags) in [("fragments.mp4", ""), ("fragments-sidx.mp4", "+global_sidx")] {
        let path = generate(name, &format!("{args} {FRAGMENTED}{flags}"));
        let transcoded = transcode(&path, 5.0).await;
        let size = path.metadata().unwrap().len();
        let chunks = transcoded.plan.chunks.len();
        assert!(transcoded.plan.is_sliced && chunks >= 8, "{name}: {chunks}");
        eprintln!("{name}: {} of {size} bytes", transcoded.chunk_bytes);
        assert!(transcoded.chunk_bytes * 100 < size * 105, "{name}: {} of {size}", transcoded.chunk_bytes);
        transcoded.examine(name).check(name, &whole(40));
    }
}
