//! In which sizes a video is offered.

use serde::{Deserialize, Serialize};
use upreel_media::rendition;

/// Lengths of the shorter side, and bits in a second for 30 pictures a second, at most.
const LADDER: [(u32, u32); 4] = [(1080, 5_000_000), (720, 2_800_000), (480, 1_400_000), (360, 800_000)];
/// What many decoders can do on the longer side.
const MAX_SIDE: f64 = 4096.0;
/// Levels of H.264 (ITU-T H.264, table A-1): name, macroblocks in a picture and in a second.
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

/// One size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// Its name in keys: `v` and the shorter side.
    pub name: String,
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// Bits in a second, at most.
    pub max_bitrate: u32,
    /// Of H.264.
    pub level: String,
}

impl Rung {
    /// As the encoder takes it.
    #[must_use]
    pub fn to_encode(&self) -> rendition::Rung<'_> {
        let Self { width, height, max_bitrate, .. } = *self;
        rendition::Rung { width, height, max_bitrate, level: &self.level }
    }
}

/// The sizes for a picture of `width` and `height` as it is shown, the largest first: none larger than that,
/// and one at least.
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
        rungs.push(rung(short.max(2), bitrate, (width, height), frame_rate));
    }
    rungs
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides of a picture and rates of bits are far below 2^32"
)]
fn rung(side: u32, bitrate: u32, (width, height): (u32, u32), frame_rate: f64) -> Rung {
    let (short, long) = (f64::from(width.min(height).max(1)), f64::from(width.max(height).max(1)));
    let scale = (f64::from(side) / short).min(MAX_SIDE / long);
    let even = |length: u32| ((f64::from(length) * scale / 2.0).round() as u32).max(1) * 2;
    // Twice the pictures take half as much again: there is less news in each.
    let more = if frame_rate > 35.0 { 1.5 } else { 1.0 };
    let (width, height) = (even(width).min(even_below(width)), even(height).min(even_below(height)));
    Rung {
        name: format!("v{side}"),
        width,
        height,
        max_bitrate: (f64::from(bitrate) * more) as u32,
        level: level(width, height, frame_rate).to_owned(),
    }
}

/// The largest even number that is no larger, and 2 at least.
fn even_below(length: u32) -> u32 {
    (length / 2 * 2).max(2)
}

/// The lowest level that allows for it.
fn level(width: u32, height: u32, frame_rate: f64) -> &'static str {
    let (across, down) = (width.div_ceil(16), height.div_ceil(16));
    let picture = across * down;
    let fits = |(_, pictures, seconds): &&(&str, u32, f64)| {
        // A side has at most the root of eight pictures' macroblocks (A.3.1).
        picture <= *pictures
            && across.max(down).pow(2) <= 8 * pictures
            && f64::from(picture) * frame_rate <= *seconds
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
    fn no_size_is_larger_than_the_source() {
        let full =
            named(&[("v1080", 1920, 1080), ("v720", 1280, 720), ("v480", 854, 480), ("v360", 640, 360)]);
        assert_eq!(sizes(3840, 2160), full);
        assert_eq!(sizes(1920, 1080), full);
        assert_eq!(sizes(1919, 1079), full[1..]);
        assert_eq!(sizes(720, 406), named(&[("v360", 638, 360)]));
        assert_eq!(sizes(320, 180), named(&[("v180", 320, 180)]));
        assert_eq!(sizes(321, 181), named(&[("v181", 320, 180)]));
        assert_eq!(sizes(1, 1), named(&[("v2", 2, 2)]));
        for (width, height) in [(5000, 100), (100, 5000), (8192, 4320), (4320, 7680), (639, 360), (2, 9999)] {
            for rung in ladder(width, height, 60.0) {
                assert!(rung.width <= width.max(2) && rung.height <= height.max(2), "{rung:?}");
                assert!(rung.width % 2 == 0 && rung.height % 2 == 0, "{rung:?}");
                assert!(rung.width.max(rung.height) <= 4096, "{rung:?}");
            }
        }
    }

    #[test]
    fn a_portrait_is_measured_by_its_shorter_side() {
        assert_eq!(sizes(1080, 1920)[0], ("v1080".to_owned(), 1080, 1920));
    }

    #[test]
    fn the_level_is_the_lowest_that_allows_for_it() {
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
