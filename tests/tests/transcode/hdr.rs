//! High dynamic range: the colours of renditions and posters, which have standard dynamic range.
//!
//! The expected values are computed here from ITU-R BT.2100 and the tone curve, independently of ffmpeg.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::time::Instant;
use upreel_core::video::MediaInfo;
use upreel_media::poster;

use super::films::compose;
use super::{ffmpeg, generate, source, transcode};

/// The width of a patch in pixels, and the height of the film.
const PATCH: (usize, usize) = (128, 360);
/// The light of each patch in nits: red, green and blue of BT.709.
const PATCHES: [[f64; 3]; 9] = [
    [1.0; 3],
    [20.0; 3],
    [100.0; 3],
    [203.0; 3],
    [500.0; 3],
    [1000.0; 3],
    [100.0, 0.0, 0.0],
    [0.0, 100.0, 0.0],
    [0.0, 0.0, 100.0],
];
/// Diffuse white, in nits (ITU-R BT.2408).
const WHITE: f64 = 203.0;

/// How light is encoded (BT.2100, tables 4 and 5).
#[derive(Clone, Copy, PartialEq)]
enum Transfer {
    Pq,
    Hlg,
}

impl Transfer {
    fn name(self) -> &'static str {
        if self == Self::Pq { "smpte2084" } else { "arib-std-b67" }
    }

    /// Returns red, green and blue of BT.2020 as they are stored, from 0 to 1.
    fn encode(self, nits: [f64; 3]) -> [f64; 3] {
        if self == Self::Pq {
            return nits.map(|nits| {
                let power = (nits / 10_000.0).powf(0.159_301_757_812_5);
                ((0.835_937_5 + 18.851_562_5 * power) / (1.0 + 18.6875 * power)).powf(78.84375)
            });
        }
        // A display of 1,000 nits has a gamma of 1.2, by the luminance.
        let light = nits.map(|nits| nits / 1000.0);
        let luminance = 0.2627 * light[0] + 0.678 * light[1] + 0.0593 * light[2];
        light.map(|light| {
            let scene = light * luminance.powf(1.0 / 1.2 - 1.0);
            if scene <= 1.0 / 12.0 {
                (3.0 * scene).sqrt()
            } else {
                0.178_832_77 * (12.0 * scene - 0.284_668_92).ln() + 0.559_910_73
            }
        })
    }
}

/// Converts linear light from BT.709 to BT.2020 (ITU-R BT.2087).
fn bt2020([r, g, b]: [f64; 3]) -> [f64; 3] {
    [
        0.6274 * r + 0.3293 * g + 0.0433 * b,
        0.0691 * r + 0.9195 * g + 0.0114 * b,
        0.0164 * r + 0.0880 * g + 0.8956 * b,
    ]
}

/// Returns luma and chroma in 10 bits, limited range.
fn stored([r, g, b]: [f64; 3]) -> [f64; 3] {
    let luma = 0.2627 * r + 0.678 * g + 0.0593 * b;
    let chroma = |part: f64, range: f64| 512.0 + 896.0 * (part - luma) / range;
    [64.0 + 876.0 * luma, chroma(b, 1.8814), chroma(r, 1.4746)].map(f64::round)
}

/// Returns ffmpeg's arguments for frames with the patches, side by side.
fn patches(transfer: Transfer) -> String {
    let mut planes = [String::new(), String::new(), String::new()];
    for (nits, i) in PATCHES.into_iter().zip(0..) {
        for (plane, value) in planes.iter_mut().zip(stored(transfer.encode(bt2020(nits)))) {
            let _ = write!(plane, "+{value}*eq(floor(X*9/W)\\,{i})");
        }
    }
    let [luma, blue, red] = planes;
    format!(
        "-f lavfi -i color=c=gray:s={}x{}:d=1:r=5,format=yuv444p10le,geq=lum='{luma}':cb='{blue}':cr='{red}' \
         -colorspace bt2020nc -color_primaries bt2020 -color_trc {}",
        PATCH.0 * PATCHES.len(),
        PATCH.1,
        transfer.name()
    )
}

/// Returns the light of a patch in standard dynamic range, from 0 to 1. The tone curve applies to the strongest of the
/// three colours. It is ffmpeg's curve "mobius": linear up to 0.3, with a peak of 1,000 nits.
fn toned(nits: [f64; 3]) -> [f64; 3] {
    const FROM: f64 = 0.3;
    const PEAK: f64 = 4.93;
    let strongest = nits.into_iter().fold(0.0, f64::max) / WHITE;
    let a = -FROM * FROM * (PEAK - 1.0) / (FROM * FROM - 2.0 * FROM + PEAK);
    let b = (FROM * FROM - 2.0 * FROM * PEAK + PEAK) / (PEAK - 1.0);
    let curve = (b * b + 2.0 * b * FROM + FROM * FROM) / (b - a) * (strongest + a) / (strongest + b);
    let tone = if strongest <= FROM { strongest } else { curve };
    nits.map(|nits| (nits / WHITE / strongest * tone).clamp(0.0, 1.0))
}

/// Returns the mean colour of the middle of each patch, as ffmpeg converts it according to the file's colour tags.
fn colours(path: &Path) -> Vec<[u8; 3]> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-frames:v", "1", "-vf"])
        .arg("scale=576:64:flags=area,format=gbrp,crop=iw:32,format=rgb24")
        .args(["-f", "rawvideo", "-"])
        .output();
    let pixels = output.unwrap().stdout;
    let at = |patch: usize| <[u8; 3]>::try_from(&pixels[(16 * 576 + patch * 64 + 32) * 3..][..3]).unwrap();
    (0..PATCHES.len()).map(at).collect()
}

/// Compares colours with those of the patches. `gamma` converts light to a code value from 0 to 1.
fn compare(name: &str, found: &[[u8; 3]], gamma: impl Fn(f64) -> f64) {
    for (colour, nits) in found.iter().zip(PATCHES) {
        let expected = toned(nits).map(|light| gamma(light) * 255.0);
        // Near black, one step of the stored value is several steps of the result.
        let near = colour
            .iter()
            .zip(expected)
            .all(|(found, right)| (f64::from(*found) - right).abs() < 5.0 || (*found < 24 && right < 24.0));
        assert!(near, "{name}: {colour:?} instead of {expected:?} for {nits:?} nits");
    }
}

/// Checks the poster and the renditions of a film, and returns the media info.
async fn check(name: &str, path: &Path) -> MediaInfo {
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let poster = poster::make(&source(path), &ffmpeg(), deadline).await.unwrap();
    let file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
    std::fs::write(file.path(), &poster.large).unwrap();
    let srgb = |light: f64| {
        if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
    };
    compare(&format!("{name}, poster"), &colours(file.path()), srgb);
    let transcoded = transcode(path, 20.0).await;
    for rung in &transcoded.plan.rungs {
        let video = transcoded.concatenated(&rung.name);
        compare(&format!("{name}, {}", rung.name), &colours(&video), |light| light.powf(1.0 / 2.4));
    }
    poster.media_info
}

const X265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=none:crf=4:bframes=0 -tag:v hvc1";
/// Removes the colours from the stream.
const UNSTATED: &str =
    "-bsf:v hevc_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2";

#[tokio::test]
async fn every_kind_of_hdr_is_tone_mapped_alike() {
    for (name, transfer, args) in [
        ("pq.mp4", Transfer::Pq, format!("-pix_fmt yuv420p10le {X265}")),
        ("pq-422.mp4", Transfer::Pq, format!("-pix_fmt yuv422p10le {X265}")),
        ("pq-prores.mov", Transfer::Pq, "-pix_fmt yuv422p10le -c:v prores_ks -profile:v 3".to_owned()),
        ("pq.ts", Transfer::Pq, format!("-pix_fmt yuv420p10le {X265}").replace(" -tag:v hvc1", "")),
        ("hlg.mp4", Transfer::Hlg, format!("-pix_fmt yuv420p10le {X265}")),
        (
            "hlg.webm",
            Transfer::Hlg,
            "-pix_fmt yuv420p10le -c:v libvpx-vp9 -crf 4 -b:v 0 -cpu-used 8".to_owned(),
        ),
        // Only the container states the colours.
        ("pq-unstated.mp4", Transfer::Pq, format!("-pix_fmt yuv420p10le {X265} {UNSTATED}")),
        ("hlg-unstated.mkv", Transfer::Hlg, format!("-pix_fmt yuv420p10le {X265} {UNSTATED}")),
    ] {
        let name = format!("patches-{name}");
        let path = generate(&name, &format!("{} {args}", patches(transfer)));
        let media_info = check(&name, &path).await;
        assert_eq!(media_info.color_transfer.as_deref(), Some(transfer.name()), "{name}");
        assert_eq!(media_info.dolby_vision_profile, None, "{name}");
    }
}

/// Adds the Dolby Vision configuration record to the sample entry of a film (Dolby Vision Streams Within the ISO Base
/// Media File Format, 3.2).
fn dolby_vision(name: &str, film: &Path, profile: u8, compatibility: u8) -> PathBuf {
    compose(name, |to| {
        let mut bytes = std::fs::read(film).unwrap();
        let size = |bytes: &[u8], at: usize| {
            usize::try_from(u32::from_be_bytes(*bytes[at..].first_chunk().unwrap())).unwrap()
        };
        let config = bytes.windows(4).position(|name| name == b"hvcC").unwrap() - 4;
        let end = config + size(&bytes, config);
        // The boxes around it, and where their contents begin.
        let (mut at, mut around) = (0, Vec::new());
        while at < config {
            let contents = match &bytes[at + 4..at + 8] {
                b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => 8,
                b"stsd" => 16,
                b"hvc1" => 86,
                _ => 0,
            };
            let length = size(&bytes, at);
            if contents > 0 && at + length >= end {
                around.push((at, length));
                at += contents;
            } else {
                at += length;
            }
        }
        for (at, length) in around {
            bytes[at..at + 4].copy_from_slice(&u32::try_from(length + 32).unwrap().to_be_bytes());
        }
        // Profile, level 4, with metadata and the base layer.
        let flags = (u16::from(profile) << 9 | 4 << 3 | 5).to_be_bytes();
        let name = if profile < 8 { b"dvcC" } else { b"dvvC" };
        let mut record = [&[0, 0, 0, 32][..], name, &[1, 0], &flags, &[compatibility << 4]].concat();
        record.resize(32, 0);
        bytes.splice(end..end, record);
        std::fs::write(to, bytes).unwrap();
    })
}

#[tokio::test]
async fn dolby_vision_8_is_shown_as_its_base_layer() {
    for (name, transfer, compatibility) in [("8.1", Transfer::Pq, 1), ("8.4", Transfer::Hlg, 4)] {
        let args = format!("{} -pix_fmt yuv420p10le {X265}", patches(transfer));
        let film = generate(&format!("patches-{}-base.mp4", transfer.name()), &args);
        let path = dolby_vision(&format!("dolby-{name}.mp4"), &film, 8, compatibility);
        let media_info = check(name, &path).await;
        assert_eq!(media_info.dolby_vision_profile, Some(8), "{name}");
        assert_eq!(media_info.color_transfer.as_deref(), Some(transfer.name()), "{name}");
        let matroska = compose(&format!("dolby-{name}.mkv"), |to| {
            let status = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-y", "-i"])
                .arg(&path)
                .args(["-c", "copy", "-strict", "unofficial", "-f", "matroska"])
                .arg(to)
                .status();
            assert!(status.unwrap().success());
        });
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let media_info = poster::make(&source(&matroska), &ffmpeg(), deadline).await.unwrap().media_info;
        assert_eq!(media_info.dolby_vision_profile, Some(8), "{name} in Matroska");
    }
}

/// Does not check the colours, which are wrong, because the metadata is not applied.
#[tokio::test]
async fn dolby_vision_5_is_reported() {
    let args = format!("-f lavfi -i testsrc2=s=320x180:r=5:d=1 -pix_fmt yuv420p10le {X265}");
    let path = dolby_vision("dolby-5.mp4", &generate("dolby-5-base.mp4", &args), 5, 0);
    let transcoded = transcode(&path, 20.0).await;
    assert_eq!(transcoded.examine("dolby-5.mp4").times.len(), 5);
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let media_info = poster::make(&source(&path), &ffmpeg(), deadline).await.unwrap().media_info;
    assert_eq!(media_info.dolby_vision_profile, Some(5));
}

/// Writes pairs of a number and its count of bits one after the other.
fn bits(fields: &[(u32, u32)]) -> Vec<u8> {
    let bits: Vec<u8> = fields
        .iter()
        .flat_map(|(value, count)| (0..*count).rev().map(move |bit| u8::from(value >> bit & 1 == 1)))
        .collect();
    bits.chunks(8).map(|byte| byte.iter().zip(0..).fold(0, |sum, (bit, i)| sum | bit << (7 - i))).collect()
}

#[tokio::test]
async fn hdr10_plus_is_shown_as_hdr10() {
    // SMPTE ST 2094-40 in T.35 (ANSI/CTA 861): a window, whose brightest light is 400 nits.
    let mut metadata = vec![0xB5, 0, 0x3C, 0, 1];
    metadata.extend(bits(&[
        (4, 8),
        (1, 8),
        (1, 2),
        (400, 27),
        (0, 1),
        (4000, 17),
        (4000, 17),
        (4000, 17),
        (1000, 17),
        (1, 4),
        (99, 7),
        (4000, 17),
        (0, 10),
        (0, 1),
        (0, 1),
        (0, 1),
    ]));
    // A prefix SEI message: registered user data.
    let mut unit = vec![0, 0, 0, 1, 0x4E, 1, 4, u8::try_from(metadata.len()).unwrap()];
    for byte in metadata.into_iter().chain([0x80]) {
        // Emulation prevention.
        if unit.len() > 4 && unit.ends_with(&[0, 0]) && byte <= 3 {
            unit.push(3);
        }
        unit.push(byte);
    }
    let path = compose("hdr10-plus.mp4", |to| {
        let args =
            format!("{} -pix_fmt yuv420p10le {X265}", patches(Transfer::Pq)).replace(" -tag:v hvc1", "");
        let film = std::fs::read(generate("hdr10-plus-base.hevc", &args)).unwrap();
        let mut stream = tempfile::Builder::new().suffix(".hevc").tempfile().unwrap();
        let mut rest = &film[..];
        while let Some(start) = rest.windows(5).position(|bytes| {
            // The first slice of a frame.
            bytes[..3] == [0, 0, 1] && (bytes[3] >> 1 & 0x3F) < 32 && rest.len() > 5
        }) {
            let start = if start > 0 && rest[start - 1] == 0 { start - 1 } else { start };
            std::io::Write::write_all(
                &mut stream,
                &[&rest[..start], &unit, &rest[start..start + 5]].concat(),
            )
            .unwrap();
            rest = &rest[start + 5..];
        }
        std::io::Write::write_all(&mut stream, rest).unwrap();
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-r", "5", "-i"])
            .arg(stream.path())
            .args(["-c", "copy", "-tag:v", "hvc1"])
            .arg(to)
            .status();
        assert!(status.unwrap().success());
    });
    let output = Command::new("ffprobe").args(["-v", "error", "-show_frames"]).arg(&path).output();
    let frames = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(frames.contains("SMPTE2094-40"), "{frames}");
    assert_eq!(check("hdr10-plus.mp4", &path).await.color_transfer.as_deref(), Some("smpte2084"));
}
