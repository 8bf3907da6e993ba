//! Parses what ffmpeg prints about its input into media info.
//!
//! The report is meant for people, but the lines read here are the same in FFmpeg 4 to 8, except for the indentation of
//! side data.
//!
//! The report also contains the file's own text. ffmpeg indents each line of a metadata value, but it prints the keys,
//! the language of a stream and names in warnings as they are, with their line feeds. So a file can forge any line.
//! It cannot remove the line that ffmpeg prints, and ffmpeg prints each line that is read here once. So a report that
//! has two of them is not used at all. One forgery remains: a language can contain a line break and the rest of its own
//! stream's line. It gains nothing, because a file's headers can state wrong values, too. No value is used without
//! [`MediaInfo::plausible`].

use std::collections::BTreeMap;

use upreel_core::video::MediaInfo;

use crate::colour::is_transfer_name;
use crate::filters::Filters;

/// The parsed report.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) media_info: MediaInfo,
    /// Width and height in pixels as stored, which ffmpeg takes from the container of VP8 and VP9.
    stored: Option<(u32, u32)>,
    /// The frames per second that ffmpeg guesses. It can be twice the right number.
    pub(crate) guessed_rate: Option<f64>,
    /// The pixel format has an alpha channel.
    alpha: bool,
    /// The stream specifies its colour matrix (H.273, table 4).
    matrix: bool,
}

impl Report {
    /// Returns the properties that determine the filters.
    pub(crate) fn filters(&self) -> Filters {
        Filters::of_video(&self.media_info, self.alpha)
    }

    /// Returns the colour space that players assume for a stream without a colour matrix: BT.709 from HD size, else
    /// SMPTE 170M. RGB is converted to it. Returns `None` if the stream specifies a matrix or the size is unknown.
    pub(crate) fn assumed_colours(&self) -> Option<&'static str> {
        let (width, height) = (self.media_info.width?, self.media_info.height?);
        let hd = width.min(height) >= 720 || width.max(height) >= 1280;
        (!self.matrix).then_some(if hd { "bt709" } else { "smpte170m" })
    }

    /// Replaces the stored size by the one that the frames themselves state, in pixels, if that is known. Scales the
    /// displayed size accordingly.
    pub(crate) fn resize(&mut self, frames: Option<(u32, u32)>) {
        let (Some(stored), Some(frames)) = (self.stored, frames) else { return };
        let scaled = |side: Option<u32>, to: u32, from: u32| {
            u32::try_from(u64::from(side?) * u64::from(to) / u64::from(from.max(1))).ok()
        };
        let turned = matches!(self.media_info.rotation, Some(90 | 270));
        let MediaInfo { width, height, .. } = &mut self.media_info;
        let (across, down) = if turned { (height, width) } else { (width, height) };
        *across = scaled(*across, frames.0, stored.0);
        *down = scaled(*down, frames.1, stored.1);
    }

    /// Overwrites values from the container with those that the decoder reports, which are more reliable.
    pub(crate) fn correct(&self, media_info: &mut MediaInfo) {
        let MediaInfo { width, height, rotation, video_codec, color_transfer, dolby_vision_profile, .. } =
            &self.media_info;
        if width.is_some() && height.is_some() {
            (media_info.width, media_info.height) = (*width, *height);
            // ffmpeg prints a mirrored frame as one that is rotated.
            if media_info.mirrored != Some(true) {
                media_info.rotation = *rotation;
            }
        }
        media_info.video_codec = video_codec.clone().or(media_info.video_codec.take());
        media_info.color_transfer = color_transfer.clone().or(media_info.color_transfer.take());
        media_info.dolby_vision_profile = dolby_vision_profile.or(media_info.dolby_vision_profile);
    }
}

/// Parses the report on the first input. Returns an empty report if the file's text has forged lines of it.
pub(crate) fn parse(report: &str) -> Report {
    let Some(lines) = Lines::of(report) else {
        tracing::warn!("the file imitates lines of ffmpeg's report, ignoring the report");
        return Report::default();
    };
    let mut media_info = MediaInfo::default();
    let mut found = VideoStream { stored: None, sar: 1.0, guessed_rate: None, alpha: false, matrix: false };
    let mut in_video = false;
    for line in lines.0 {
        if let Some(rest) = line.strip_prefix(DURATION) {
            media_info.duration_ms = rest.split(',').next().and_then(milliseconds);
        } else if let Some(stream) = line.strip_prefix(STREAM) {
            in_video = false;
            if let Some((_, video)) = stream.split_once(": Video: ") {
                // Cover art is not the video. Of several video streams, the first one counts.
                if media_info.video_codec.is_none() && !video.contains("(attached pic)") {
                    in_video = true;
                    found = video_stream(video, &mut media_info);
                }
            } else if let Some((_, audio)) = stream.split_once(": Audio: ")
                && media_info.audio_codec.is_none()
            {
                media_info.audio_codec = codec(audio);
            }
        } else if in_video && let Some(rest) = line.trim_start().strip_prefix("displaymatrix: rotation of ") {
            media_info.rotation = rest.split(' ').next().and_then(clockwise);
        } else if in_video && let Some(rest) = line.trim_start().strip_prefix("Frame cropping: ") {
            crop(&mut media_info, rest);
        } else if in_video && let Some(rest) = line.trim_start().strip_prefix("DOVI configuration record: ") {
            let profile = rest.split(", ").find_map(|field| field.strip_prefix("profile: "));
            media_info.dolby_vision_profile = profile.and_then(|profile| profile.parse().ok());
        }
    }
    let VideoStream { stored, sar, guessed_rate, alpha, matrix } = found;
    square_pixels(&mut media_info, sar);
    Report { media_info: media_info.plausible(), stored, guessed_rate, alpha, matrix }
}

/// The starts of the lines that ffmpeg prints once: of the section on the input, of the duration and of a stream.
const INPUT: &str = "Input #0, ";
pub(crate) const DURATION: &str = "  Duration: ";
pub(crate) const STREAM: &str = "  Stream #0:";
/// The highest frame rate that is believed if it is a guess.
const MAX_GUESS: f64 = 120.0;
/// The line after the section on the input.
pub(crate) const MAPPING: &str = "Stream mapping:";

/// The lines of the section on the first input.
pub(crate) struct Lines<'a>(pub(crate) Vec<&'a str>);

impl<'a> Lines<'a> {
    /// Returns `None` if a line is repeated that ffmpeg prints once.
    pub(crate) fn of(report: &'a str) -> Option<Self> {
        let starts = |start: &str| report.lines().filter(|line| line.starts_with(start)).count();
        if starts(INPUT) > 1 || report.lines().filter(|line| *line == MAPPING).count() > 1 {
            return None;
        }
        let lines: Vec<&str> = report.lines().take_while(|line| *line != MAPPING).collect();
        let durations = lines.iter().filter(|line| line.starts_with(DURATION)).count();
        // ffmpeg repeats the line of a stream that several programs share.
        let mut streams = BTreeMap::new();
        let is_unique = lines.iter().filter_map(|line| line.strip_prefix(STREAM)).all(|stream| {
            let number = stream.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            *streams.entry(number).or_insert(stream) == stream
        });
        (durations <= 1 && is_unique).then_some(Self(lines))
    }
}

/// Returns the identifier of a stream such as `0[0x100](eng): Video: ...`.
pub(crate) fn id(stream: &str) -> Option<u32> {
    let id = stream.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("[0x")?;
    u32::from_str_radix(id.split(']').next()?, 16).ok()
}

/// Subtracts the cropping that the container states from the size. `sides` are the pixels at the top, bottom, left and
/// right. `FFmpeg` 7 reports the cropping and applies it when it decodes; older versions do neither.
fn crop(media_info: &mut MediaInfo, sides: &str) {
    let sides: Vec<u32> = sides.split('/').filter_map(|side| side.trim().parse().ok()).collect();
    let [top, bottom, left, right] = sides[..] else { return };
    let left_of = |side: Option<u32>, before: u32, after: u32| {
        let rest = side?.checked_sub(before)?.checked_sub(after)?;
        Some(rest).filter(|rest| *rest > 0)
    };
    let width = left_of(media_info.width, left, right);
    let height = left_of(media_info.height, top, bottom);
    if width.is_some() && height.is_some() {
        (media_info.width, media_info.height) = (width, height);
    }
}

/// The properties in the line of a video stream that are not media info.
struct VideoStream {
    /// Width and height in pixels.
    stored: Option<(u32, u32)>,
    /// The sample aspect ratio.
    sar: f64,
    guessed_rate: Option<f64>,
    alpha: bool,
    matrix: bool,
}

/// Parses the line of a video stream.
fn video_stream(line: &str, media_info: &mut MediaInfo) -> VideoStream {
    let (mut stored, mut sar, mut guess) = (None, 1.0, None);
    media_info.video_codec = codec(line);
    media_info.rotation = Some(0);
    for field in top_level(line) {
        if let Some((width, height, rest)) = dimensions(field) {
            (media_info.width, media_info.height) = (Some(width), Some(height));
            stored = Some((width, height));
            sar = rest
                .split_once("SAR ")
                .and_then(|(_, rest)| ratio(rest.split([' ', ']']).next()?))
                .unwrap_or(1.0);
        } else if let Some(ratio_text) = field.strip_prefix("SAR ") {
            // ffmpeg prints this field if container and codec disagree. The container's value counts.
            sar = ratio_text.split(' ').next().and_then(ratio).unwrap_or(sar);
        } else if let Some(rate) = field.strip_suffix(" fps") {
            media_info.frame_rate = match rate.strip_suffix('k') {
                Some(thousands) => decimal(thousands).map(|rate| rate * 1000.0),
                None => decimal(rate),
            };
        } else if let Some(rate) = field.strip_suffix(" tbr") {
            // ffmpeg always prints a guess, which can be the resolution of the timestamps instead of a frame rate.
            guess = decimal(rate).filter(|rate| *rate <= MAX_GUESS);
        }
    }
    let format = top_level(line).nth(1).unwrap_or_default();
    let (pixels, colour) = format.split_once('(').unwrap_or((format, ""));
    let colour = || colour.trim_end_matches(')').split(", ");
    media_info.color_transfer = colour().find_map(transfer).map(str::to_owned);
    let alpha = ["yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16"];
    let alpha = alpha.iter().any(|name| pixels.starts_with(name));
    VideoStream { stored, sar, guessed_rate: guess, alpha, matrix: colour().any(has_matrix) }
}

/// Returns whether a colour description such as `bt709` or `bt2020nc/bt2020/smpte2084` specifies a matrix. `gbr` stands
/// for RGB without one.
fn has_matrix(colour: &str) -> bool {
    match colour.split_once('/') {
        Some((matrix, _)) => !matches!(matrix, "unknown" | "gbr"),
        None => is_transfer_name(colour),
    }
}

/// Returns the transfer characteristics of a colour description: matrix, primaries and transfer, or one name for all.
fn transfer(colour: &str) -> Option<&str> {
    let name = colour.rsplit('/').next().unwrap_or_default();
    is_transfer_name(name).then_some(name)
}

/// Converts the stored dimensions to display dimensions, by the sample aspect ratio and the rotation.
pub(crate) fn square_pixels(media_info: &mut MediaInfo, sar: f64) {
    let (Some(width), Some(height)) = (media_info.width, media_info.height) else { return };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and the result is checked for plausibility"
    )]
    let width = (f64::from(width) * sar).round() as u32;
    let turned = matches!(media_info.rotation, Some(90 | 270));
    (media_info.width, media_info.height) =
        if turned { (Some(height), Some(width)) } else { (Some(width), Some(height)) };
}

/// Returns the codec name at the start of a stream's description.
fn codec(stream: &str) -> Option<String> {
    let name: String = stream.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty() && name != "none").then_some(name)
}

/// Splits at commas outside of brackets.
fn top_level(line: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    line.split(move |c| {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        c == ',' && depth == 0
    })
    .map(str::trim)
}

/// Parses dimensions such as `320x180 [SAR 1:1 DAR 16:9]`. The third value is the text after them.
fn dimensions(field: &str) -> Option<(u32, u32, &str)> {
    let (size, rest) = field.split_once(' ').unwrap_or((field, ""));
    let (width, height) = size.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?, rest))
}

fn ratio(text: &str) -> Option<f64> {
    let (num, den) = text.split_once(':')?;
    let (num, den) = (decimal(num)?, decimal(den)?);
    (num > 0.0 && den > 0.0).then(|| num / den)
}

/// Parses a number of digits and a point. Returns `None` for the other notations of a float, such as `NaN` and `1e9`.
fn decimal(text: &str) -> Option<f64> {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    text.parse().ok().filter(|number: &f64| number.is_finite() && text.bytes().all(allowed))
}

/// Parses a duration such as `00:01:02.34`.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut parts = text.trim().split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let (seconds, hundredths) = parts.next()?.split_once('.')?;
    let (seconds, hundredths) = (seconds.parse::<u64>().ok()?, hundredths.parse::<u64>().ok()?);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    seconds.checked_mul(1000)?.checked_add(hundredths.checked_mul(10)?)
}

/// Converts a rotation from the display matrix's counterclockwise degrees to clockwise degrees: 0, 90, 180 or 270.
fn clockwise(degrees: &str) -> Option<u16> {
    let quarters = (-degrees.parse::<f64>().ok()? / 90.0).round();
    [0.0, 1.0, 2.0, 3.0]
        .iter()
        .position(|q| (quarters - q).rem_euclid(4.0) < 0.5)
        .and_then(|quarter| u16::try_from(quarter * 90).ok())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};
    use proptest::sample::select;

    use super::*;

    const PHONE: &str = "\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'http://127.0.0.1:1/x':
  Metadata:
    major_brand     : qt  
    title           : evil
                    : Stream #0:9: Video: evil, 1x1
  Duration: 00:01:02.34, start: 0.000000, bitrate: 111 kb/s
  Stream #0:0(und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, mono, fltp, 69 kb/s (default)
  Stream #0:1[0x2](und): Video: hevc (Main 10) (hvc1 / 0x31637668), yuv420p10le(tv, bt2020nc/bt2020/smpte2084, \
progressive), 1920x1080 [SAR 1:1 DAR 16:9], 100 kb/s, 29.97 fps, 30 tbr, 600 tbn (default)
    Metadata:
      handler_name    : Core Media Video
    Side data:
      displaymatrix: rotation of -90.00 degrees
      DOVI configuration record: version: 1.0, profile: 8, level: 4, rpu flag: 1, el flag: 0, bl flag: 1, compatibility id: 1
Stream mapping:
  Stream #0:1 -> #0:0 (hevc (native) -> mjpeg (native))
  Stream #0:0: Video: mjpeg, yuvj420p(pc), 640x1138, q=2-31, 200 kb/s, 29.97 fps, 600 tbn
";

    #[test]
    fn indentation_of_side_data_does_not_matter() {
        let newer =
            PHONE.replace("    Side data:\n      displaymatrix", "      Side data:\n        displaymatrix");
        assert_ne!(newer, PHONE);
        assert_eq!(parse(&newer), parse(PHONE));
    }

    #[test]
    fn parses_a_phone_video() {
        assert_eq!(
            parse(PHONE).media_info,
            MediaInfo {
                duration_ms: Some(62_340),
                width: Some(1080),
                height: Some(1920),
                rotation: Some(90),
                mirrored: None,
                frame_rate: Some(29.97),
                video_codec: Some("hevc".into()),
                color_transfer: Some("smpte2084".into()),
                dolby_vision_profile: Some(8),
                audio_codec: Some("aac".into()),
                ..MediaInfo::default()
            }
        );
    }

    #[test]
    fn display_size_follows_sample_aspect_ratio() {
        let line =
            "  Stream #0:0: Video: mpeg2video (Main), yuv420p(tv), 720x576 [SAR 64:45 DAR 16:9], 25 fps";
        let media_info = parse(line).media_info;
        assert_eq!(
            (media_info.width, media_info.height, media_info.rotation),
            (Some(1024), Some(576), Some(0))
        );
        let line = "  Stream #0:0: Video: h264, yuv420p, 720x576, SAR 4:3 DAR 5:3, 1k fps";
        let media_info = parse(line).media_info;
        assert_eq!((media_info.width, media_info.frame_rate), (Some(960), Some(1000.0)));
    }

    #[test]
    fn size_of_the_frames_overrides_that_of_the_container() {
        let mut report = parse("  Stream #0:0: Video: vp8, yuv420p, 200x300, SAR 2:1 DAR 4:3, 1 fps");
        report.resize(None);
        assert_eq!((report.media_info.width, report.media_info.height), (Some(400), Some(300)));
        report.resize(Some((640, 360)));
        assert_eq!((report.media_info.width, report.media_info.height), (Some(1280), Some(360)));
        let mut turned = parse(PHONE);
        turned.resize(Some((960, 540)));
        assert_eq!((turned.media_info.width, turned.media_info.height), (Some(540), Some(960)));
    }

    #[test]
    fn cropping_of_the_container_is_subtracted() {
        let report =
            "  Stream #0:0: Video: vp8, yuv420p, 64x48, SAR 2:1 DAR 8:3, 1 fps\n      Side data:\n        ";
        for (cropping, size) in [
            ("Frame cropping: 5/3/20/4", (Some(80), Some(40))),
            ("Frame cropping: 0/48/0/0", (Some(128), Some(48))),
            ("Frame cropping: 5/3/20", (Some(128), Some(48))),
        ] {
            let media_info = parse(&format!("{report}{cropping}\n")).media_info;
            assert_eq!((media_info.width, media_info.height), size, "{cropping}");
        }
    }

    #[test]
    fn a_guessed_frame_rate_is_not_the_resolution_of_timestamps() {
        for (text, rate) in [("30.08 tbr, 1k tbn", Some(30.08)), ("1k tbr, 1k tbn", None), ("1000 tbr", None)]
        {
            let report = parse(&format!("  Stream #0:0: Video: vp8, yuv420p, 320x240, {text}"));
            assert_eq!((report.media_info.frame_rate, report.guessed_rate), (None, rate), "{text}");
        }
    }

    #[test]
    fn detects_hdr_and_alpha() {
        let filters = |format: &str| {
            let report = parse(&format!("  Stream #0:0: Video: h264 (High), {format}, 64x64, 25 fps"));
            (report.media_info.color_transfer.clone().unwrap_or_default(), report.filters())
        };
        let plain = Filters::default();
        assert_eq!(filters("yuv420p(tv, bt709)"), ("bt709".into(), plain));
        assert_eq!(filters("yuv420p(tv, bt470bg/unknown/unknown, progressive)"), (String::new(), plain));
        assert_eq!(filters("yuv420p(progressive)"), (String::new(), plain));
        assert_eq!(
            filters("yuv420p10le(bt2020nc/bt2020/arib-std-b67)").1,
            Filters { hdr: Some("arib-std-b67"), ..plain }
        );
        assert_eq!(filters("yuva444p12le(bt709)").1, Filters { alpha: true, ..plain });
        assert_eq!(filters("argb").1, Filters { alpha: true, ..plain });
    }

    #[test]
    fn colours_are_assumed_without_a_matrix() {
        let assumed = |format: &str, size: &str| {
            parse(&format!("  Stream #0:0: Video: h264 (High), {format}, {size}, 25 fps")).assumed_colours()
        };
        for untagged in [
            "yuv420p(progressive)",
            "yuv420p(tv)",
            "rgb24",
            "gbrp(pc, gbr/bt709/bt709)",
            "yuv420p(tv, unknown/bt709/bt709)",
        ] {
            assert_eq!(assumed(untagged, "1920x1080"), Some("bt709"), "{untagged}");
            assert_eq!(assumed(untagged, "720x576 [SAR 64:45 DAR 16:9]"), Some("smpte170m"), "{untagged}");
        }
        assert_eq!(assumed("yuv420p", "1280x544"), Some("bt709"));
        for tagged in
            ["yuv420p(bt709)", "yuv420p(tv, smpte170m, progressive)", "yuvj420p(pc, bt470bg/unknown/unknown)"]
        {
            assert_eq!(assumed(tagged, "1920x1080"), None, "{tagged}");
        }
    }

    #[test]
    fn decoder_values_override_container_values() {
        let mut media_info =
            MediaInfo { width: Some(1), height: Some(2), frame_rate: Some(3.0), ..MediaInfo::default() };
        parse(PHONE).correct(&mut media_info);
        assert_eq!(
            (media_info.width, media_info.height, media_info.rotation),
            (Some(1080), Some(1920), Some(90))
        );
        assert_eq!((media_info.frame_rate, media_info.duration_ms), (Some(3.0), None));
    }

    #[test]
    fn cover_art_is_not_the_video() {
        let report = "  Stream #0:0: Video: mjpeg, yuvj420p, 600x600, 90k tbr (attached pic)\n  \
                      Stream #0:1: Video: h264, yuv420p, 320x180, 25 fps";
        assert_eq!(parse(report).media_info.video_codec.as_deref(), Some("h264"));
    }

    #[test]
    fn unknown_values_are_none() {
        let report = "  Duration: N/A, start: 0.0\n  Stream #0:0: Video: none, 0x0 [SAR 0:0 DAR 0:0]\n";
        let media_info = parse(report).media_info;
        assert_eq!((media_info.duration_ms, media_info.video_codec), (None, None));
        assert_eq!(parse(""), Report::default());
    }

    /// A report on a video of 320 by 180 pixels, with a line from the file's text in front.
    fn forged(text: &str) -> Report {
        parse(&format!(
            "Input #0, matroska,webm, from 'pipe:0':\n  Metadata:\n    {text}: v\n  Duration: 00:00:02.00, start: 0\n\
             \x20 Stream #0:0: Video: vp9, yuv420p, 320x180, 25 fps\nStream mapping:\n  Stream #0:0 -> #0:0 (vp9)\n\
             Output #0, image2pipe, to 'pipe:':\n  Stream #0:0: Video: mjpeg, yuvj420p, 640x360\n"
        ))
    }

    #[test]
    fn report_with_forged_lines_is_not_used() {
        assert_eq!(forged("title").media_info.duration_ms, Some(2000));
        assert_eq!(forged("k: \n   Duration: 09:00:00.00, s").media_info.duration_ms, Some(2000));
        for line in [
            "  Duration: 09:00:00.00, start: 0",
            "  Duration: 0:9999999999999999999:00.00",
            "  Stream #0:0: Video: h264, yuv420p, 9x9, 25 fps",
            "  Stream #0:0(eng): Audio: aac",
            "Stream mapping:",
            "  Stream #0:0: Video: h264, yuv420p, 9x9, NaN fps\nStream mapping:",
            "Input #0, mov, from 'pipe:0':",
        ] {
            assert_eq!(forged(&format!("k: \n{line}\nx")), Report::default(), "{line}");
        }
    }

    #[test]
    fn stream_of_two_programs_is_not_a_forgery() {
        let stream = "  Stream #0:0[0x100]: Video: h264, yuv420p, 16x16, 25 fps\n";
        let report = format!("  Duration: 00:00:02.00\n  Program 1\n{stream}  Program 2\n{stream}");
        assert_eq!(parse(&report).media_info.video_codec.as_deref(), Some("h264"));
    }

    #[test]
    fn implausible_values_are_none() {
        let stream = |size: &str, rate: &str| {
            parse(&format!("  Stream #0:0: Video: h264, yuv420p, {size}, {rate} fps")).media_info
        };
        for rate in [
            "NaN",
            "nan",
            "inf",
            "infinity",
            "infk",
            "1e3",
            "-25",
            "+25",
            "0",
            "",
            "k",
            "1.5k",
            "9".repeat(400).as_str(),
        ] {
            assert_eq!(stream("16x16", rate).frame_rate, None, "{rate}");
        }
        for sar in ["NaN:1", "inf:1", "0:1", "1:0", "1:inf", "-1:1", ":"] {
            assert_eq!(stream(&format!("16x16 [SAR {sar} DAR 1:1]"), "25").width, Some(16), "{sar}");
        }
        assert_eq!(stream("16x16 [SAR 999999:1 DAR 1:1]", "25").width, None);
        assert_eq!(stream("99999x99999", "25").width, None);
        for duration in [
            "0:9999999999999999999:00.00",
            "9999999999999999999:00:00.00",
            "00:00:9999999999999999999.00",
            "00:00:00.9999999999999999999",
            "1001:00:00.00",
            "-1:00:00.00",
            "NaN:00:00.00",
            "1:2",
            "",
        ] {
            assert_eq!(
                parse(&format!("  Duration: {duration}, start: 0")).media_info.duration_ms,
                None,
                "{duration}"
            );
        }
    }

    proptest! {
        /// Any text gives plausible values, and none makes the parser panic.
        #[test]
        fn any_text_gives_plausible_values(words in vec(select(WORDS), 0..60), noise in ".{0,40}") {
            for report in [words.concat(), noise.clone(), format!("{}{noise}", words.concat())] {
                let media_info = parse(&report).media_info;
                prop_assert_eq!(media_info.clone(), media_info.plausible());
            }
        }
    }

    /// Parts of reports, which together reach every line of the parser.
    const WORDS: &[&str] = &[
        "Input #0, mov, from 'x':\n",
        "\n",
        "  Duration: ",
        "  Stream #0:",
        "0",
        "1",
        "(eng)",
        ": Video: ",
        ": Audio: ",
        "h264",
        " (High)",
        ", ",
        "yuv420p",
        "(tv, bt2020nc/bt2020/smpte2084)",
        "640x360",
        "x",
        " [SAR ",
        "]",
        "4:3",
        ":",
        "NaN",
        "inf",
        "1e308",
        "9999999999999999999",
        ".",
        "-",
        "25",
        " fps",
        "k",
        "00:00:01.00",
        "Stream mapping:\n",
        "    Side data:\n",
        "      displaymatrix: rotation of ",
        "-90.00",
        " degrees\n",
        "(attached pic)",
        "\u{e4}",
        "\0",
    ];

    #[test]
    fn rotation_is_clockwise() {
        for (text, degrees) in
            [("-90.00", 90), ("90.00", 270), ("180.00", 180), ("-180.00", 180), ("-0.00", 0)]
        {
            assert_eq!(clockwise(text), Some(degrees), "{text}");
        }
    }
}
