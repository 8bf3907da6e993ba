//! The ladder: the renditions that are made of a video.

use crate::rendition;
use serde::{Deserialize, Serialize};
use upreel_core::video::MediaInfo;

/// The rungs: the shorter side in pixels, and the maximum bit rate at 30 frames per second, in bits per second.
const LADDER: [(u32, u32); 4] = [(1080, 5_000_000), (720, 2_800_000), (480, 1_400_000), (360, 800_000)];
/// The maximum length of the longer side, in pixels, which many decoders support.
const MAX_SIDE: f64 = 4096.0;
/// The minimum length of a side, in pixels: a macroblock. Decoders in hardware refuse smaller frames.
const MIN_SIDE: u32 = 16;
/// Levels of H.264 (ITU-T H.264, table A-1): name, maximum macroblocks per frame and per second.
const LEVELS: [(&str, u32, f64); 8] = [
    ("3.0", 1620, 40_500.0),
    ("3.1", 3600, 108_000.0),
    ("3.2", 5120, 216_000.0),
    ("4.0", 8192, 245_760.0),
    ("4.2", 8704, 522_240.0),
    ("5.0", 22_080, 589_824.0),
    ("5.1", 36_864, 983_040.0),
    ("5.2", 36_864, 2_073_600.0),
];

/// Frames per second to assume if they are not known.
pub const ASSUMED_RATE: f64 = 30.0;

/// A rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// The name in keys: `v` and the shorter side, such as `v720`.
    pub name: String,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Maximum bit rate, in bits per second.
    pub max_bitrate: u32,
    /// H.264 level, such as `4.0`.
    pub level: String,
}

impl Rung {
    /// Returns the encoder settings of the rung.
    #[must_use]
    pub fn encoder_settings(&self) -> rendition::Rung<'_> {
        let Self { width, height, max_bitrate, .. } = *self;
        rendition::Rung { width, height, max_bitrate, level: &self.level }
    }
}

/// Returns the rungs for a video with these display dimensions, the largest first. There is at least one. None is
/// larger than the video, except that each side has at least 16 pixels.
#[must_use]
pub fn ladder(width: u32, height: u32, frame_rate: f64) -> Vec<Rung> {
    let short = width.min(height);
    let mut rungs: Vec<Rung> = LADDER
        .into_iter()
        .filter(|(side, _)| *side <= short)
        .map(|(side, bitrate)| rung(side, bitrate, (width, height), frame_rate))
        .collect();
    if rungs.is_empty() {
        let (_, bitrate) = LADDER[LADDER.len() - 1];
        rungs.push(rung(short.max(MIN_SIDE), bitrate, (width, height), frame_rate));
    }
    rungs
}

/// Returns the rungs that are useful beside the original: those below it, and one of its size if not all players play its
/// codec.
#[must_use]
pub fn beside_original(media_info: &MediaInfo) -> Vec<Rung> {
    let (Some(width), Some(height)) = (media_info.width, media_info.height) else { return Vec::new() };
    let is_common = media_info.video_codec.as_deref() == Some("h264");
    let mut rungs = ladder(width, height, media_info.frame_rate.unwrap_or(ASSUMED_RATE));
    // Sides are rounded to even numbers.
    rungs.retain(|rung| !is_common || rung.width.min(rung.height) + 1 < width.min(height));
    rungs
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "frame dimensions and bit rates are far below 2^32"
)]
fn rung(side: u32, bitrate: u32, (width, height): (u32, u32), frame_rate: f64) -> Rung {
    let (short, long) = (f64::from(width.min(height).max(1)), f64::from(width.max(height).max(1)));
    let scale = (f64::from(side) / short).min(MAX_SIDE / long);
    // Rounding must not exceed the video's size, unless it is enlarged.
    let even = |length: u32| {
        let limit = if scale > 1.0 { u32::MAX } else { length };
        ((f64::from(length) * scale / 2.0).round() as u32 * 2).min(limit / 2 * 2).max(MIN_SIDE)
    };
    // Twice the frame rate needs only 1.5 times the bit rate, because consecutive frames differ less.
    let factor = if frame_rate > 35.0 { 1.5 } else { 1.0 };
    let (width, height) = (even(width), even(height));
    Rung {
        name: format!("v{side}"),
        width,
        height,
        max_bitrate: (f64::from(bitrate) * factor) as u32,
        level: level(width, height, frame_rate).to_owned(),
    }
}

/// Returns the lowest level that allows the dimensions and the frame rate, or else the highest.
fn level(width: u32, height: u32, frame_rate: f64) -> &'static str {
    let (across, down) = (width.div_ceil(16), height.div_ceil(16));
    let macroblocks = across * down;
    let fits = |(_, per_frame, per_second): &&(&str, u32, f64)| {
        // Each side has at most the square root of 8 times the macroblocks of a frame (A.3.1).
        macroblocks <= *per_frame
            && across.max(down).pow(2) <= 8 * per_frame
            && f64::from(macroblocks) * frame_rate <= *per_second
    };
    LEVELS.iter().find(fits).map_or("5.2", |(name, ..)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32) -> Vec<(String, u32, u32)> {
        ladder(width, height, 30.0).into_iter().map(|rung| (rung.name, rung.width, rung.height)).collect()
    }

    fn named(expected: &[(&str, u32, u32)]) -> Vec<(String, u32, u32)> {
        expected.iter().map(|(name, width, height)| ((*name).to_owned(), *width, *height)).collect()
    }

    #[test]
    fn rungs_are_even_and_not_larger_than_the_source() {
        let full =
            named(&[("v1080", 1920, 1080), ("v720", 1280, 720), ("v480", 854, 480), ("v360", 640, 360)]);
        assert_eq!(sizes(3840, 2160), full);
        assert_eq!(sizes(1920, 1080), full);
        assert_eq!(sizes(1919, 1079), full[1..]);
        assert_eq!(sizes(720, 406), named(&[("v360", 638, 360)]));
        assert_eq!(sizes(320, 180), named(&[("v180", 320, 180)]));
        assert_eq!(sizes(321, 181), named(&[("v181", 320, 180)]));
        for (width, height, rung) in
            [(1, 1, (16, 16)), (2, 2, (16, 16)), (4, 4, (16, 16)), (64, 4, (256, 16))]
        {
            assert_eq!(sizes(width, height), named(&[("v16", rung.0, rung.1)]));
        }
        assert_eq!(sizes(18, 17), named(&[("v17", 18, 16)]));
        assert_eq!(sizes(2, 9999), named(&[("v16", 16, 4096)]));
        for (width, height) in [(5000, 100), (100, 5000), (8192, 4320), (4320, 7680), (639, 360), (2, 9999)] {
            for rung in ladder(width, height, 60.0) {
                assert!(rung.width <= width.max(16) && rung.height <= height.max(16), "{rung:?}");
                assert!(rung.width % 2 == 0 && rung.height % 2 == 0, "{rung:?}");
                assert!(rung.width.max(rung.height) <= 4096, "{rung:?}");
            }
        }
    }

    #[test]
    fn rungs_beside_the_original_are_smaller() {
        let below = |width, height, codec: &str| {
            let media_info = MediaInfo {
                width: Some(width),
                height: Some(height),
                video_codec: Some(codec.to_owned()),
                ..MediaInfo::default()
            };
            beside_original(&media_info).into_iter().map(|rung| rung.name).collect::<Vec<_>>()
        };
        assert_eq!(below(1920, 1080, "h264"), ["v720", "v480", "v360"]);
        assert_eq!(below(1080, 1920, "hevc"), ["v1080", "v720", "v480", "v360"]);
        assert_eq!(below(640, 360, "h264"), [""; 0]);
        assert_eq!(below(639, 359, "h264"), [""; 0]);
    }

    #[test]
    fn portrait_rungs_follow_the_shorter_side() {
        assert_eq!(sizes(1080, 1920)[0], ("v1080".to_owned(), 1080, 1920));
    }

    #[test]
    fn level_is_the_lowest_that_fits() {
        for (width, height, rate, expected) in [
            (640, 360, 30.0, "3.0"),
            (854, 480, 29.97, "3.1"),
            (1280, 720, 30.0, "3.1"),
            (1280, 720, 60.0, "3.2"),
            (1920, 1080, 30.0, "4.0"),
            (1920, 1080, 60.0, "4.2"),
            (4096, 64, 30.0, "4.0"),
            (1920, 1080, 1000.0, "5.2"),
        ] {
            assert_eq!(level(width, height, rate), expected, "{width}x{height} {rate}");
        }
    }
}
