//! What an image shows: the parameters of a request, in a form in which equal images are equal.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use upreel_core::video::MediaInfo;
use upreel_http::{Code, Problem};
use upreel_media::image::{Clip, Format, Size};

/// The sizes of a still image, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 16..=3840;
/// The width of a still image, unless a request states one.
const WIDTH: u32 = 640;
/// The widths of an animation.
const CLIP_WIDTHS: std::ops::RangeInclusive<u32> = 16..=480;
const CLIP_WIDTH: u32 = 320;
/// The greatest height of an animation. With the greatest width and number of frames, it takes 280 MB while it is encoded.
const CLIP_HEIGHT: u32 = 960;
/// The durations of an animation in milliseconds.
const CLIP: std::ops::RangeInclusive<u64> = 100..=10_000;
/// The duration, unless a request states an end.
const CLIP_DURATION: u64 = 5000;
/// Frames per second of an animation.
const FPS: std::ops::RangeInclusive<u32> = 1..=15;
const DEFAULT_FPS: u32 = 10;

/// An image of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// What it shows.
    pub moment: Moment,
    /// Its size.
    pub size: Size,
    /// Its format.
    pub format: Format,
}

/// A part of a video that an image shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The frame at a time in milliseconds, or, unless `exact` is set, the keyframe nearest to it.
    Frame {
        /// The time.
        time: u64,
        /// Whether it is exactly that frame.
        exact: bool,
    },
    /// A clip.
    Clip(Clip),
}

impl Image {
    /// Returns the name of the file, which is different for each image of a video. It is short, because the local S3
    /// limits keys.
    pub(crate) fn name(&self) -> String {
        let Size { width, height, crop } = self.size;
        let extension = match self.format {
            Format::Jpeg => "jpg",
            Format::Webp | Format::AnimatedWebp => "webp",
            Format::Gif => "gif",
        };
        match self.moment {
            Moment::Frame { time, exact } => {
                let (exact, crop) = (if exact { "x" } else { "" }, if crop { "c" } else { "" });
                format!("images/{time}{exact}-{width}x{height}{crop}.{extension}")
            }
            // The height follows from the width.
            Moment::Clip(Clip { start, end, fps }) => {
                format!("images/{start}-{}-{fps}-{width}.{extension}", end.saturating_sub(start))
            }
        }
    }
}

/// The parameters of a still image.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Still {
    time: Option<String>,
    exact: Option<String>,
    width: Option<String>,
    height: Option<String>,
    fit: Option<String>,
}

/// The parameters of an animation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Animation {
    start: Option<String>,
    end: Option<String>,
    fps: Option<String>,
    width: Option<String>,
}

/// The parameters of an image in a query.
pub(crate) trait Parameters: DeserializeOwned + Send + 'static {
    /// Returns the image of a video.
    ///
    /// # Errors
    /// When a parameter is invalid.
    fn image(self, video: &MediaInfo, format: Format) -> Result<Image, Problem>;
}

impl Parameters for Still {
    /// A time after the end is the end.
    fn image(self, video: &MediaInfo, format: Format) -> Result<Image, Problem> {
        let time = self.time.map_or(Ok(0), |time| milliseconds("time", &time))?;
        let exact = match self.exact.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("`exact` must be true or false.")),
        };
        let pixels = |name, text: Option<String>| text.map(|text| number(name, &text, &SIDES)).transpose();
        let sides = (pixels("width", self.width)?, pixels("height", self.height)?);
        let sides = if sides == (None, None) { (Some(WIDTH), None) } else { sides };
        let size = match (self.fit.as_deref(), sides) {
            (None | Some("contain"), (width, height)) => {
                let max = *SIDES.end();
                contained(video, width.unwrap_or(max), height.unwrap_or(max))
            }
            (Some("fill"), (Some(width), Some(height))) => Size { width, height, crop: false },
            (Some("cover"), (Some(width), Some(height))) => {
                let crop = contained(video, width, height) != Size { width, height, crop: false };
                Size { width, height, crop }
            }
            (Some("fill" | "cover"), _) => return Err(invalid("`fit` needs `width` and `height`.")),
            (Some(_), _) => return Err(invalid("`fit` must be contain, cover or fill.")),
        };
        let time = time.min(last(video));
        Ok(Image { moment: Moment::Frame { time, exact }, size, format })
    }
}

impl Parameters for Animation {
    /// An end after that of the video is its end.
    fn image(self, video: &MediaInfo, format: Format) -> Result<Image, Problem> {
        let start = self.start.map_or(Ok(0), |start| milliseconds("start", &start))?;
        let end = self.end.map_or(Ok(start + CLIP_DURATION), |end| milliseconds("end", &end))?;
        if !end.checked_sub(start).is_some_and(|duration| CLIP.contains(&duration)) {
            return Err(invalid("`end` must be 0.1 to 10 seconds after `start`."));
        }
        if start > last(video) {
            return Err(invalid("`start` must be before the end of the video."));
        }
        let fps = self.fps.map_or(Ok(DEFAULT_FPS), |fps| number("fps", &fps, &FPS))?;
        let width = self.width.map_or(Ok(CLIP_WIDTH), |width| number("width", &width, &CLIP_WIDTHS))?;
        let end = end.min(last(video).saturating_add(1));
        Ok(Image {
            moment: Moment::Clip(Clip { start, end, fps }),
            size: contained(video, width, CLIP_HEIGHT),
            format,
        })
    }
}

/// Returns the last time at which a frame is presented, in milliseconds.
pub(crate) fn last(video: &MediaInfo) -> u64 {
    video.duration_ms.map_or(u64::MAX, |duration| duration.saturating_sub(1))
}

/// Returns the greatest size with the aspect ratio of a video that fits into a box: 16:9, if it is unknown.
fn contained(video: &MediaInfo, width: u32, height: u32) -> Size {
    let of_video = video.width.zip(video.height).filter(|(width, height)| *width > 0 && *height > 0);
    let (across, down) = of_video.map_or((16, 9), |(width, height)| (u64::from(width), u64::from(height)));
    let scaled = |side: u32, to: u64, from: u64| {
        let side = (u64::from(side) * to + from / 2) / from;
        u32::try_from(side).unwrap_or(u32::MAX).max(2)
    };
    let below = scaled(width, down, across);
    if below <= height {
        Size { width, height: below, crop: false }
    } else {
        Size { width: scaled(height, across, down).min(width), height, crop: false }
    }
}

/// Parses a time in seconds: digits, and at most nine after a point.
fn milliseconds(name: &str, text: &str) -> Result<u64, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str, max| {
        (1..=max).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    if !is_number(whole, 7) || !is_number(fraction, 9) {
        return Err(invalid(&format!("`{name}` must be a time in seconds, such as 12 or 12.345.")));
    }
    let whole: u64 = whole.parse().unwrap_or_default();
    let nanos: u64 = format!("{fraction:0<9}").parse().unwrap_or_default();
    Ok(whole * 1000 + (nanos + 500_000) / 1_000_000)
}

/// Parses a whole number in a range.
fn number(name: &str, text: &str, range: &std::ops::RangeInclusive<u32>) -> Result<u32, Problem> {
    let number =
        text.parse().ok().filter(|number: &u32| number.to_string() == text && range.contains(number));
    number.ok_or_else(|| {
        invalid(&format!("`{name}` must be a whole number from {} to {}.", range.start(), range.end()))
    })
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(width: u32, height: u32) -> MediaInfo {
        let (width, height) = (Some(width), Some(height));
        MediaInfo { duration_ms: Some(12_000), width, height, ..MediaInfo::default() }
    }

    fn text(value: &str) -> Option<String> {
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Returns the name of the image with these parameters: time, exact, width, height and fit.
    fn still(video: &MediaInfo, [time, exact, width, height, fit]: [&str; 5]) -> Option<String> {
        let [time, exact, width, height, fit] = [time, exact, width, height, fit].map(text);
        let query = Still { time, exact, width, height, fit };
        query.image(video, Format::Jpeg).ok().map(|image| image.name())
    }

    /// Returns the name of the animation with these parameters: start, end, fps and width.
    fn clip(video: &MediaInfo, [start, end, fps, width]: [&str; 4]) -> Option<String> {
        let [start, end, fps, width] = [start, end, fps, width].map(text);
        let query = Animation { start, end, fps, width };
        query.image(video, Format::Gif).ok().map(|image| image.name())
    }

    #[test]
    fn equal_images_have_the_same_name() {
        let wide = video(1920, 1080);
        let name = Some("images/1500-640x360.jpg".to_owned());
        for parameters in [
            ["1.5", "", "", "", ""],
            ["1.50", "false", "640", "", "contain"],
            ["1.5000001", "", "640", "640", ""],
            ["0001.4999999", "", "", "360", ""],
            ["1.5", "", "640", "360", "fill"],
            ["1.5", "", "640", "360", "cover"],
        ] {
            assert_eq!(still(&wide, parameters), name, "{parameters:?}");
        }
        let name = |text: &str| Some(format!("images/{text}"));
        assert_eq!(still(&wide, ["", "true", "", "", ""]), name("0x-640x360.jpg"));
        assert_eq!(still(&wide, ["0", "", "300", "300", "cover"]), name("0-300x300c.jpg"));
        assert_eq!(still(&wide, ["0", "", "300", "300", "fill"]), name("0-300x300.jpg"));
        assert_eq!(still(&wide, ["12", "", "", "", ""]), name("11999-640x360.jpg"), "the end");
        assert_eq!(still(&wide, ["9999999.999", "", "", "", ""]), name("11999-640x360.jpg"), "after the end");
        assert_eq!(still(&video(1080, 1920), ["0", "", "3840", "", ""]), name("0-2160x3840.jpg"), "too high");
        assert_eq!(still(&video(10_000, 1), ["0", "", "16", "", ""]), name("0-16x2.jpg"), "a line");
        assert_eq!(still(&MediaInfo::default(), ["7", "", "", "", ""]), name("7000-640x360.jpg"), "unknown");
        assert_eq!(clip(&wide, ["", "", "", ""]), name("0-5000-10-320.gif"));
        assert_eq!(clip(&wide, ["11", "21", "15", "480"]), name("11000-1000-15-480.gif"));
        assert_eq!(clip(&video(100, 900), ["0", "0.1", "1", "480"]), name("0-100-1-107.gif"));
    }

    #[test]
    fn names_are_file_names() {
        let longest = clip(&MediaInfo::default(), ["9999990", "9999999", "15", "480"]);
        for name in [still(&video(16, 16), ["9999999", "true", "3840", "16", "cover"]), longest] {
            assert!(name.is_some_and(|name| name.parse::<upreel_core::key::FileName>().is_ok()));
        }
    }

    #[test]
    fn rejects_other_parameters() {
        let wide = video(1920, 1080);
        for time in [
            "-1",
            "+1",
            "NaN",
            "inf",
            "1e3",
            "1.",
            ".5",
            "1,5",
            "0x10",
            " 1",
            "1.1.1",
            "12345678",
            "0.1234567890",
        ] {
            assert_eq!(still(&wide, [time, "", "", "", ""]), None, "{time}");
            assert_eq!(clip(&wide, [time, "", "", ""]), None, "{time}");
        }
        for side in ["0", "15", "3841", "-16", "016", "+16", "16.0", "99999999999", "auto"] {
            assert_eq!(still(&wide, ["", "", side, "", ""]), None, "{side}");
            assert_eq!(still(&wide, ["", "", "", side, ""]), None, "{side}");
            assert_eq!(clip(&wide, ["", "", "", side]), None, "{side}");
        }
        for fit in [["640", "", "cover"], ["", "640", "fill"], ["", "", "cover"], ["640", "640", "crop"]] {
            assert_eq!(still(&wide, ["", "", fit[0], fit[1], fit[2]]), None, "{fit:?}");
        }
        assert_eq!(still(&wide, ["", "yes", "", "", ""]), None);
        for (start, end) in [("0", "10.001"), ("3", "3"), ("3", "3.099"), ("3", "2"), ("12", "13")] {
            assert_eq!(clip(&wide, [start, end, "", ""]), None, "{start} {end}");
        }
        for fps in ["0", "16", "7.5"] {
            assert_eq!(clip(&wide, ["", "", fps, ""]), None, "{fps}");
        }
    }

    #[test]
    fn names_fit_into_keys_of_the_local_s3() {
        // A day, the largest size, and the longest animation.
        let film = MediaInfo { duration_ms: Some(99_999_999), ..video(1920, 1080) };
        for name in [
            still(&film, ["99999", "true", "3840", "3840", "cover"]),
            clip(&film, ["99980", "99990", "15", "480"]),
        ] {
            assert!(name.as_ref().is_some_and(|name| name.len() <= 33), "{name:?}");
        }
    }
}
