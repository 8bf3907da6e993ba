//! Slices of Matroska and WebM files.

use std::process::Command;

use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::Index;
use upreel_media::inspect::inspect;
use upreel_transcode::Plan;

use super::clock::{beeps, frames};
use super::films::{compose, whole};
use super::{ffmpeg, generate, source, transcode};

const X264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3";
const VP8: &str = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M";

#[tokio::test]
async fn slices_of_matroska_show_the_whole_film() {
    let input = format!("{} {}", frames("320x180", "25", 16.0), beeps(48_000, 16.0));
    // ffmpeg begins a Cluster with each keyframe if the one before has 4 KiB.
    let small = format!("{} {}", frames("64x64", "25", 16.0), beeps(48_000, 16.0));
    for (name, args) in [
        ("sliced.mkv", format!("{input} {X264} -b_strategy 0 -g 50 -c:a aac")),
        ("sliced-open.mkv", format!("{input} {X264} -g 50 -x264-params open-gop=1 -c:a aac")),
        ("sliced-small.mkv", format!("{small} {X264} -g 15 -c:a libopus -b:a 8k -cluster_size_limit 65536")),
        ("sliced.webm", format!("{input} {VP8} -g 50 -c:a libopus")),
    ] {
        let path = generate(name, &args);
        let transcoded = transcode(&path, 4.0).await;
        let (size, chunks_read) = (path.metadata().unwrap().len(), transcoded.chunk_bytes);
        eprintln!("{name}: {chunks_read} of {size} bytes, {} chunks", transcoded.plan.chunks.len());
        assert!(transcoded.plan.is_sliced && transcoded.plan.chunks.len() >= 4, "{name}");
        transcoded.examine(name).check(name, &whole(16));
        super::check_playlists(&transcoded, name);
    }
}

#[tokio::test]
async fn slices_of_four_hours_of_matroska_read_little_more_than_the_film() {
    let input = format!("{} {}", frames("96x54", "25", 40.0), beeps(48_000, 40.0));
    for (name, args) in [
        ("hours.mkv", format!("{X264} -g 50 -x264-params open-gop=1 -c:a aac -b:a 32k")),
        ("hours.webm", format!("{VP8} -g 100 -c:a libopus -b:a 32k")),
    ] {
        let film = generate(&format!("part-of-{name}"), &format!("{input} {args}"));
        let path = compose(name, |to| {
            let status = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-y", "-stream_loop", "359", "-i"])
                .arg(&film)
                .args(["-c", "copy"])
                .arg(to)
                .status();
            assert!(status.unwrap().success());
        });
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let (planned, size) = (source(&path), path.metadata().unwrap().len());
        let index = Index::open(&planned, Container::Mkv).await.unwrap().unwrap();
        let (streams, ffmpeg) = (index.streams(), ffmpeg());
        let inspection = inspect(&planned, Container::Mkv, &streams, &ffmpeg, deadline).await.unwrap();
        let before = planned.stats().bytes;
        let with_slices = Plan::with_slices(&planned, Some(&index), &index.media_info, &inspection, None);
        let (plan, slices) = with_slices.await.unwrap();
        assert!(plan.chunks.len() > 200 && slices.len() == plan.chunks.len(), "{}", plan.chunks.len());
        let (mut bytes, mut requests) = (0, 0);
        for slice in &slices {
            let object = source(&path);
            let opened = slice.open(&object).await.unwrap();
            requests = requests.max(object.stats().requests);
            // All of it, as ffmpeg does.
            for at in (0..opened.size()).step_by(512 << 10) {
                opened.fetch(at..at + (512 << 10)).await.unwrap();
            }
            bytes += object.stats().bytes;
        }
        let planned = planned.stats().bytes - before;
        eprintln!(
            "{name}: {size} bytes, {bytes} in slices, {planned} read for the plan, {requests} requests"
        );
        assert!(bytes * 100 < size * 105, "{name}: {bytes} of {size}");
    }
}
