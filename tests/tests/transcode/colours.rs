//! Colours: all sizes show those of the source, and say which they are.

use std::path::Path;
use std::process::Command;

use super::{made, rendered};

/// Red, green, blue.
const PATCH: [u8; 3] = [0x20, 0xC0, 0x40];

fn patch(size: &str, more: &str) -> String {
    format!("-f lavfi -i color=c=0x20C040:s={size}:d=2:r=5,format=gbrp {more}")
}

/// The middle of the first picture, as ffmpeg shows it by what the file says of its colours.
fn shown(path: &Path) -> [u8; 3] {
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

fn tags(path: &Path) -> String {
    let entries = "stream=color_range,color_space,color_transfer,color_primaries";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// All sizes have these tags and this colour.
async fn check(name: &str, args: &str, tagged: &str, colour: [u8; 3]) -> Vec<(u32, u32)> {
    let rendered = rendered(&made(name, args), 5.0).await;
    for rung in &rendered.plan.rungs {
        let whole = rendered.whole(&rung.name);
        assert_eq!(tags(&whole), tagged, "{name} {}", rung.name);
        let shown = shown(&whole);
        let off = shown.iter().zip(colour).map(|(a, b)| a.abs_diff(b)).max();
        assert!(off <= Some(4), "{name} {}: {shown:?} instead of {colour:?}", rung.name);
    }
    rendered.plan.rungs.iter().map(|rung| (rung.width, rung.height)).collect()
}

const HD: &str = "tv,bt709,bt709,bt709";
const SD: &str = "tv,smpte170m,smpte170m,smpte170m";

#[tokio::test]
async fn hd_without_tags() {
    let args = patch("1280x720", "-vf scale=out_color_matrix=bt709,format=yuv420p -c:v libx264");
    let sizes = check("hd.mp4", &args, HD, PATCH).await;
    assert_eq!(sizes, [(1280, 720), (854, 480), (640, 360)]);
}

#[tokio::test]
async fn hd_without_tags_in_hevc() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt709,format=yuv420p -c:v libx265 -x265-params log-level=none -tag:v hvc1",
    );
    check("hd-hevc.mp4", &args, HD, PATCH).await;
}

#[tokio::test]
async fn television_without_tags_and_with_wide_pixels() {
    let args = patch("720x576", "-vf scale=out_color_matrix=bt601,format=yuv420p,setsar=64/45 -c:v libx264");
    let sizes = check("pal.mp4", &args, SD, PATCH).await;
    assert_eq!(sizes, [(854, 480), (640, 360)]);
}

#[tokio::test]
async fn tags_are_kept() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt601,format=yuv420p -c:v libx264 -colorspace smpte170m -color_primaries smpte170m \
         -color_trc smpte170m",
    );
    check("tagged.mp4", &args, SD, PATCH).await;
}

#[tokio::test]
async fn full_range() {
    let args = patch(
        "1280x720",
        "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p -c:v libx264 -color_range pc",
    );
    check("full.mp4", &args, HD, PATCH).await;
}

#[tokio::test]
async fn rgb() {
    check("rgb.mov", &patch("1280x720", "-c:v qtrle"), HD, PATCH).await;
}

/// White paper has 203 nits, which is 58 % in PQ. What is brighter has its place above: 68 % of the light are left to it,
/// which is 217 by BT.1886.
#[tokio::test]
async fn high_dynamic_range_becomes_standard() {
    let args = "-f lavfi -i color=c=gray:s=1280x720:d=2:r=5,format=yuv420p10le,geq=lum=572:cb=512:cr=512 \
                -c:v libx265 -x265-params log-level=none -tag:v hvc1 -colorspace bt2020nc -color_primaries bt2020 \
                -color_trc smpte2084";
    check("pq.mp4", args, HD, [217; 3]).await;
}
