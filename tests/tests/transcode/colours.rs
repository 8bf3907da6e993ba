//! Colours: all renditions have the colours of the source, and correct colour tags. Posters have the shape of the video.

use std::path::Path;
use std::process::Command;

use tokio::time::Instant;
use upreel_media::poster;

use super::{ffmpeg, generate, source, transcode};

/// Red, green and blue of the test video.
const PATCH: [u8; 3] = [0x20, 0xC0, 0x40];

/// Returns ffmpeg's arguments for a video in this colour.
fn patch(size: &str, args: &str) -> String {
    format!("-f lavfi -i color=c=0x20C040:s={size}:d=2:r=5,format=gbrp {args}")
}

/// Returns the colour at the centre of the first frame, as ffmpeg converts it according to the file's colour tags.
fn displayed_colour(path: &Path) -> [u8; 3] {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args([
            "-frames:v",
            "1",
            "-vf",
            "crop=64:64,format=gbrp,format=rgb24,scale=1:1",
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .unwrap();
    output.stdout.try_into().unwrap()
}

/// Returns range, matrix, transfer and primaries of a file.
fn tags(path: &Path) -> String {
    let entries = "stream=color_range,color_space,color_transfer,color_primaries";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Transcodes a video, and checks that all renditions have these tags and this colour. Returns the sizes of the
/// renditions.
async fn check(name: &str, args: &str, expected_tags: &str, expected: [u8; 3]) -> Vec<(u32, u32)> {
    let transcoded = transcode(&generate(name, args), 5.0).await;
    for rung in &transcoded.plan.rungs {
        let file = transcoded.concatenated(&rung.name);
        assert_eq!(tags(&file), expected_tags, "{name} {}", rung.name);
        let colour = displayed_colour(&file);
        let difference = colour.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
        assert!(difference <= Some(4), "{name} {}: {colour:?} instead of {expected:?}", rung.name);
    }
    transcoded.plan.rungs.iter().map(|rung| (rung.width, rung.height)).collect()
}

const HD: &str = "tv,bt709,bt709,bt709";
const SD: &str = "tv,smpte170m,smpte170m,smpte170m";

#[tokio::test]
async fn untagged_hd_is_bt709() {
    let args = patch("1280x720", "-vf scale=out_color_matrix=bt709,format=yuv420p -c:v libx264");
    let sizes = check("hd.mp4", &args, HD, PATCH).await;
    assert_eq!(sizes, [(1280, 720), (854, 480), (640, 360)]);
}

#[tokio::test]
async fn untagged_hd_in_hevc_is_bt709() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt709,format=yuv420p -c:v libx265 -x265-params log-level=none -tag:v hvc1",
    );
    check("hd-hevc.mp4", &args, HD, PATCH).await;
}

#[tokio::test]
async fn untagged_sd_with_non_square_pixels_is_bt601() {
    let args = patch("720x576", "-vf scale=out_color_matrix=bt601,format=yuv420p,setsar=64/45 -c:v libx264");
    let sizes = check("pal.mp4", &args, SD, PATCH).await;
    assert_eq!(sizes, [(854, 480), (640, 360)]);
}

#[tokio::test]
async fn colour_tags_are_kept() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt601,format=yuv420p -c:v libx264 -colorspace smpte170m -color_primaries smpte170m \
         -color_trc smpte170m",
    );
    check("tagged.mp4", &args, SD, PATCH).await;
}

#[tokio::test]
async fn full_range_becomes_limited_range() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p -c:v libx264 -color_range pc",
    );
    check("full.mp4", &args, HD, PATCH).await;
}

#[tokio::test]
async fn rgb_becomes_bt709() {
    check("rgb.mov", &patch("1280x720", "-c:v qtrle"), HD, PATCH).await;
}

#[tokio::test]
async fn video_of_10_bits_and_422_keeps_its_colours() {
    for (name, args) in [
        ("422-10.mp4", "-c:v libx264 -pix_fmt yuv422p10le"),
        ("422-10.mov", "-c:v prores_ks -profile:v 3 -pix_fmt yuv422p10le"),
        ("422-10-hevc.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv422p10le -tag:v hvc1"),
    ] {
        let args = format!("-vf scale=out_color_matrix=bt709,format=yuv422p10le {args}");
        check(name, &patch("1280x720", &args), HD, PATCH).await;
    }
}

#[tokio::test]
async fn poster_has_the_shape_of_pixels_that_only_the_container_states() {
    for (name, codec) in [
        ("shape.wmv", "wmv2"),
        ("shape.avi", "huffyuv -pix_fmt yuv422p"),
        ("shape.mov", "qtrle"),
        ("shape.mkv", "huffyuv -pix_fmt yuv422p"),
    ] {
        let path = generate(name, &patch("160x120", &format!("-vf setsar=4/3 -c:v {codec}")));
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let poster = poster::make(&source(&path), &ffmpeg(), deadline).await.unwrap();
        assert_eq!((poster.media_info.width, poster.media_info.height), (Some(213), Some(120)), "{name}");
        let file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
        std::fs::write(file.path(), &poster.large).unwrap();
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0"])
            .arg(file.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "1280,720", "{name}");
    }
}
