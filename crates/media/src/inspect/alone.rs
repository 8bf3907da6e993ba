//! What ffmpeg reports about a file with audio alone.

use std::collections::{BTreeMap, BTreeSet};

use super::StreamLine;
use crate::report::{self, DURATION, Lines};

/// The audio to play by default, and the cover art.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioAlone {
    /// The number of the stream.
    pub(crate) stream: u32,
    /// `FFmpeg`'s name for the codec.
    pub(crate) codec: String,
    pub(crate) channels: u32,
    /// Samples per second.
    pub(crate) sample_rate: u32,
    /// The duration of the file, which ffmpeg can only estimate for some formats.
    pub(crate) duration_ms: Option<u64>,
    /// The number of the stream with the cover art, and whether that has an alpha channel.
    pub(crate) cover: Option<(u32, bool)>,
}

/// Parses a report. Returns `None` if it lists no audio that can be decoded.
pub(crate) fn audio_alone(report: &str, decodable: &BTreeSet<String>) -> Option<AudioAlone> {
    let lines = Lines::of(report)?.0;
    let streams: BTreeMap<u32, StreamLine<'_>> = lines
        .iter()
        .filter_map(|line| StreamLine::parse(line))
        .map(|stream| (stream.number, stream))
        .collect();
    let of_kind = |kind| streams.values().filter(move |stream| stream.kind == kind);
    let audio = of_kind("Audio").filter(|stream| stream.is_decodable(decodable));
    let audio = audio.min_by_key(|stream| !stream.has("default"))?;
    let mut fields = audio.description.split(", ");
    let sample_rate = fields.find_map(|field| field.strip_suffix(" Hz")?.parse().ok());
    let duration = lines.iter().find_map(|line| line.strip_prefix(DURATION));
    let cover = of_kind("Video").find(|stream| stream.has("attached pic"));
    let has_alpha = |stream: &StreamLine<'_>| {
        ["rgba", "ya8", "ya16"].iter().any(|format| stream.description.contains(format))
    };
    Some(AudioAlone {
        stream: audio.number,
        codec: audio.codec().to_owned(),
        channels: fields.next().and_then(channels)?,
        sample_rate: sample_rate.filter(|rate| *rate > 0)?,
        duration_ms: duration.and_then(|rest| report::milliseconds(rest.split(',').next()?)),
        cover: cover.map(|stream| (stream.number, has_alpha(stream))),
    })
}

/// Returns the number of channels of a layout, as ffmpeg names it.
fn channels(layout: &str) -> Option<u32> {
    /// The most channels of ffmpeg's PCM.
    const MAX: u32 = 64;
    let layout = layout.split(['(', ' ']).next()?;
    let channels = match layout {
        "mono" => 1,
        "stereo" | "downmix" | "binaural" => 2,
        "quad" => 4,
        "hexagonal" => 6,
        "octagonal" | "cube" => 8,
        "hexadecagonal" => 16,
        // Such as `5.1`: all speakers and those for low frequencies; or a number of channels.
        _ => layout.split('.').try_fold(0u32, |sum, count| sum.checked_add(count.parse().ok()?))?,
    };
    (1..=MAX).contains(&channels).then_some(channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(streams: &str) -> Option<AudioAlone> {
        let report = format!(
            "Input #0, mp3, from 'http://127.0.0.1:1/x':\n  Duration: 00:01:06.05, start: 0.025, bitrate: 58 kb/s\n{streams}"
        );
        audio_alone(&report, &["aac", "mp3"].map(str::to_owned).into())
    }

    #[test]
    fn the_default_stream_that_can_be_decoded_counts() {
        let other = "  Stream #0:0: Audio: apac, 48000 Hz, stereo (default)\n";
        let first = "  Stream #0:1: Audio: mp3, 44100 Hz, stereo, fltp, 128 kb/s\n";
        let default =
            "  Stream #0:2(eng): Audio: aac (LC) (mp4a / 0x6134706D), 48000 Hz, 5.1(side), fltp (default)\n";
        let cover =
            "  Stream #0:3: Video: png, rgba(pc, gbr/unknown/unknown), 300x300, 90k tbr (attached pic)\n";
        let film = "  Stream #0:4: Video: h264, yuv420p, 300x300\n";
        let found = AudioAlone {
            stream: 1,
            codec: "mp3".to_owned(),
            channels: 2,
            sample_rate: 44_100,
            duration_ms: Some(66_050),
            cover: None,
        };
        assert_eq!(alone(&format!("{other}{first}{film}")), Some(found));
        let found = alone(&format!("{other}{first}{default}{cover}")).unwrap();
        assert_eq!((found.stream, found.channels, found.cover), (2, 6, Some((3, true))));
        assert_eq!(alone(&format!("{other}{cover}")), None);
        assert_eq!(alone(&format!("{first}{first}{}", first.replace("44100", "8000"))), None, "forged");
    }

    #[test]
    fn layouts_have_channels() {
        let all =
            ["mono", "stereo", "5.1", "7.1(wide)", "22.2", "7.1.4", "3 channels", "3 channels (FL+FR+LFE)"];
        let counts = all.map(channels);
        assert_eq!(counts, [1, 2, 6, 8, 24, 12, 3, 3].map(Some));
        assert_eq!(["", "x", "0 channels", "99 channels", "4294967295.1"].map(channels), [None; 5]);
    }
}
