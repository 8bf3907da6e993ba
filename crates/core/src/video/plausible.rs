//! The range of values that a record accepts from a file.

use super::MediaInfo;

/// The longest playing time: 1,000 hours.
const MAX_DURATION_MS: u64 = 1000 * 3600 * 1000;
/// The largest width and height, in pixels.
const MAX_SIDE: u32 = 65_535;
const MAX_FRAME_RATE: f64 = 1000.0;
/// The most audio channels and the highest sample rate, those that `FFmpeg` and DSD have.
const MAX_CHANNELS: u32 = 512;
const MAX_SAMPLE_RATE: u32 = 11_289_600;
/// The highest profile of Dolby Vision, which has 7 bits.
const MAX_PROFILE: u8 = 127;
/// The longest name of a codec or of transfer characteristics.
const MAX_NAME: usize = 32;

impl MediaInfo {
    /// Returns the media info without its implausible values.
    ///
    /// A file can declare anything, and its text can imitate ffmpeg's report. `DynamoDB` refuses a NaN, clients compute
    /// with the values, and pages show them. So every value that enters a record passes through here.
    #[must_use]
    pub fn plausible(self) -> Self {
        let side = |pixels: Option<u32>| pixels.filter(|pixels| (1..=MAX_SIDE).contains(pixels));
        let name = |name: Option<String>| name.filter(|name| is_name(name));
        Self {
            kind: self.kind,
            duration_ms: self.duration_ms.filter(|ms| *ms <= MAX_DURATION_MS),
            width: side(self.width),
            height: side(self.height),
            rotation: self.rotation.filter(|degrees| matches!(degrees, 0 | 90 | 180 | 270)),
            mirrored: self.mirrored.filter(|mirrored| *mirrored),
            // A comparison with NaN is false.
            frame_rate: self.frame_rate.filter(|rate| *rate > 0.0 && *rate <= MAX_FRAME_RATE),
            video_codec: name(self.video_codec),
            color_transfer: name(self.color_transfer),
            dolby_vision_profile: self.dolby_vision_profile.filter(|profile| *profile <= MAX_PROFILE),
            audio_codec: name(self.audio_codec),
            audio_channels: self.audio_channels.filter(|channels| (1..=MAX_CHANNELS).contains(channels)),
            audio_sample_rate: self.audio_sample_rate.filter(|rate| (1..=MAX_SAMPLE_RATE).contains(rate)),
            container: self.container,
        }
    }
}

/// Returns whether `text` has the form of `FFmpeg`'s names.
fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Container;
    use crate::video::Kind;

    #[test]
    fn plausible_values_are_kept() {
        let longest = MediaInfo {
            kind: Some(Kind::Audio),
            duration_ms: Some(MAX_DURATION_MS),
            width: Some(65_535),
            height: Some(1),
            rotation: Some(270),
            mirrored: Some(true),
            frame_rate: Some(1000.0),
            video_codec: Some("pcm_s16le".to_owned()),
            color_transfer: Some("arib-std-b67".to_owned()),
            dolby_vision_profile: Some(20),
            audio_codec: Some("a".repeat(32)),
            audio_channels: Some(MAX_CHANNELS),
            audio_sample_rate: Some(MAX_SAMPLE_RATE),
            container: Some(Container::Mp4),
        };
        assert_eq!(longest.clone().plausible(), longest);
        let shortest = MediaInfo { duration_ms: Some(0), frame_rate: Some(0.01), ..MediaInfo::default() };
        assert_eq!(shortest.clone().plausible(), shortest);
        assert_eq!(MediaInfo::default().plausible(), MediaInfo::default());
    }

    #[test]
    fn each_implausible_value_is_dropped() {
        let implausible = MediaInfo {
            kind: None,
            duration_ms: Some(MAX_DURATION_MS + 1),
            width: Some(0),
            height: Some(65_536),
            rotation: Some(45),
            mirrored: Some(false),
            frame_rate: Some(f64::NAN),
            video_codec: Some("H264".to_owned()),
            color_transfer: Some(String::new()),
            dolby_vision_profile: Some(128),
            audio_codec: Some("a".repeat(33)),
            audio_channels: Some(0),
            audio_sample_rate: Some(MAX_SAMPLE_RATE + 1),
            container: Some(Container::Mkv),
        };
        let left = MediaInfo { container: Some(Container::Mkv), ..MediaInfo::default() };
        assert_eq!(implausible.plausible(), left);
        for rate in [f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -25.0, 1000.01, f64::MAX] {
            let media_info = MediaInfo { frame_rate: Some(rate), ..MediaInfo::default() };
            assert_eq!(media_info.plausible().frame_rate, None, "{rate}");
        }
        for name in ["a b", "a\n", "\u{e4}", "<b>", "none.", "a/b"] {
            let media_info = MediaInfo { video_codec: Some(name.to_owned()), ..MediaInfo::default() };
            assert_eq!(media_info.plausible().video_codec, None, "{name:?}");
        }
    }
}
