//! Asks ffmpeg which streams an object has, and what their decoders need to know.

mod alone;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use upreel_core::Container;

pub(crate) use self::alone::{AudioAlone, audio_alone};
use crate::child::{self, ChildSpec, Limits};
use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input};
use crate::index::{StreamId, Streams};
use crate::report::{self, DURATION, Lines, Report, STREAM};
use crate::source::Source;

/// The most audio streams that are used.
const MAX_AUDIO: usize = 8;

/// What ffmpeg reports about an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inspection {
    /// The video stream that shows the film.
    pub video: VideoStream,
    /// The audio streams that ffmpeg can decode, at most eight: the one to play by default first.
    pub audio: Vec<AudioStream>,
    /// The smallest time of a frame or of audio, in seconds.
    pub start: Option<f64>,
    /// The duration of the audio before the start of the presentation, in seconds, see [`Streams::padding`].
    pub padding: f64,
    /// The average frames per second of the video.
    pub frame_rate: Option<f64>,
}

/// The video stream of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoStream {
    /// The stream's number, as in the stream specifier `0:1` of ffmpeg.
    pub stream: u32,
    /// Width in pixels, as displayed.
    pub width: u32,
    /// Height in pixels, as displayed.
    pub height: u32,
    /// `FFmpeg`'s name for the transfer characteristics, if the stream states them. HDR is tone-mapped to SDR.
    pub color_transfer: Option<String>,
    /// The transfer characteristics to assume, if only the container states them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed_transfer: Option<String>,
    /// `FFmpeg`'s name for the colour space to assume, if the stream specifies none.
    pub assumed_colours: Option<String>,
    /// Whether the frames are rotated or mirrored for display.
    pub is_transformed: bool,
}

/// An audio stream of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioStream {
    /// The stream's number.
    pub stream: u32,
    /// The ID of its track in the container, if ffmpeg reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// `FFmpeg`'s name for the codec.
    pub codec: String,
    /// The language as the container states it, usually a code of ISO 639-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether it is not known where the channels belong. Then the first two are used.
    pub is_discrete: bool,
}

impl AudioStream {
    /// Returns how the index identifies the stream.
    #[must_use]
    pub fn identity(&self) -> StreamId {
        self.id.map_or(StreamId::Position(self.stream), StreamId::Id)
    }
}

/// Inspects an object with the `ffmpeg` program, which is killed at `deadline`. ffmpeg decodes no frame. `streams` are
/// the streams that the index chose.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn inspect(
    source: &Arc<Source>,
    container: Container,
    streams: &Streams,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Inspection, Error> {
    let input = Input::Object(container, source, None);
    let budget = Budget::new(Limits::FEW_FRAMES.cpu_seconds);
    let inspected = async {
        let report = ffmpeg::report(ffmpeg, &input, &budget, deadline).await?;
        let decodable = decodable_codecs(ffmpeg, deadline).await?;
        parse(&report, &decodable, streams).ok_or(Error::NoVideo)
    };
    error::run("inspect the object", deadline, inspected).await
}

/// Returns the names of the codecs that this ffmpeg can decode.
pub(crate) async fn decodable_codecs(ffmpeg: &Path, deadline: Instant) -> Result<BTreeSet<String>, Error> {
    let spec = ChildSpec {
        program: ffmpeg,
        args: &["-hide_banner", "-loglevel", "error", "-codecs"],
        input: None,
        outputs: 1,
        streams: Vec::new(),
        network: false,
        limits: Limits::FEW_FRAMES,
        deadline,
    };
    let output = child::run(spec, pending::<()>()).await?;
    let list = output.outputs.into_iter().next().unwrap_or_default();
    // A line such as ` DEA.L. aac   AAC (Advanced Audio Coding)`: `D` for decoding.
    let decodable = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|flags| flags.starts_with('D'))?;
        words.next().map(str::to_owned)
    };
    Ok(String::from_utf8_lossy(&list).lines().filter_map(decodable).collect())
}

/// A line about a stream, such as `#0:1[0x2](eng): Audio: aac (LC), 48000 Hz, stereo, fltp (default)`.
#[derive(Clone, Copy)]
struct StreamLine<'a> {
    number: u32,
    /// The ID in the container, if ffmpeg reports it.
    id: Option<u32>,
    language: Option<&'a str>,
    kind: &'a str,
    description: &'a str,
}

impl<'a> StreamLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.strip_prefix(STREAM)?;
        let (head, rest) = line.split_once(": ")?;
        let (kind, description) = rest.split_once(": ")?;
        let digits = head.bytes().take_while(u8::is_ascii_digit).count();
        let language = head.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        let number = head[..digits].parse().ok()?;
        Some(Self { number, id: report::id(head), language, kind, description })
    }

    fn is_decodable(&self, decodable: &BTreeSet<String>) -> bool {
        // ffmpeg prints a sample rate and a number of channels only if it has found a frame of the stream.
        let has_frames = !self.description.contains(" 0 channels") && self.description.contains(" Hz");
        has_frames && decodable.contains(self.codec())
    }

    fn is(&self, stream: StreamId) -> bool {
        match stream {
            StreamId::Id(id) => self.id == Some(id),
            StreamId::Position(number) => self.number == number,
        }
    }

    /// Returns whether the stream has a disposition, such as `default`.
    fn has(&self, disposition: &str) -> bool {
        self.description.contains(&format!(" ({disposition})"))
    }

    fn codec(&self) -> &'a str {
        let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        self.description.split(end).next().unwrap_or_default()
    }
}

/// Returns whether a codec is a format of still images. A stream with such a codec is a cover or a preview of the film,
/// unless it is the only video stream.
pub(crate) fn is_picture(codec: &str) -> bool {
    matches!(codec, "mjpeg" | "png" | "bmp")
}

/// The streams in a report, and which of them are used.
struct Used<'a> {
    video: StreamLine<'a>,
    /// The lines about the duration and the video stream.
    details: Vec<&'a str>,
    /// The audio streams that can be decoded, the one to play by default first, with the languages that the index states.
    audio: Vec<(StreamLine<'a>, Option<String>)>,
    /// All audio streams.
    all_audio: Vec<StreamLine<'a>>,
}

impl<'a> Used<'a> {
    /// Finds the streams that the index chose in the lines of a report, or chooses them. Returns `None` if there is no
    /// video stream.
    fn find(lines: &[&'a str], decodable: &BTreeSet<String>, chosen: &Streams) -> Option<Self> {
        // ffmpeg repeats the line of a stream that several programs share.
        let streams: BTreeMap<u32, StreamLine<'_>> = lines
            .iter()
            .filter_map(|line| StreamLine::parse(line))
            .map(|stream| (stream.number, stream))
            .collect();
        let videos = || streams.values().filter(|stream| stream.kind == "Video");
        let film = videos().find(|stream| chosen.film.is_some_and(|film| stream.is(film)));
        let video = film.or_else(|| {
            let films = videos().filter(|stream| !stream.has("attached pic"));
            films.min_by_key(|stream| (is_picture(stream.codec()), !stream.has("default")))
        })?;

        let all_audio: Vec<_> = streams.values().filter(|stream| stream.kind == "Audio").copied().collect();
        let rank = |stream: &StreamLine<'_>| {
            let position = chosen.audio.iter().position(|track| stream.is(track.stream));
            (position.unwrap_or(usize::MAX), !stream.has("default"))
        };
        let mut audio: Vec<_> = all_audio.iter().copied().filter(|s| s.is_decodable(decodable)).collect();
        audio.sort_by_key(rank);
        let is_chosen = |stream: &StreamLine<'_>| rank(stream).0 < usize::MAX;
        if audio.iter().any(is_chosen) {
            audio.retain(is_chosen);
        }
        let language = |stream: &StreamLine<'_>| chosen.audio.get(rank(stream).0)?.language.clone();
        let audio = audio.into_iter().map(|stream| (stream, language(&stream))).collect();

        let of_video =
            |line: &&str| StreamLine::parse(line).is_some_and(|stream| stream.number == video.number);
        let at = lines.iter().position(of_video)?;
        let rest = lines[at + 1..].iter().take_while(|line| !line.starts_with(STREAM));
        let duration = lines.iter().filter(|line| line.starts_with(DURATION));
        let details = duration.chain(&lines[at..=at]).chain(rest).copied().collect();
        Some(Self { video: *video, details, audio, all_audio })
    }

    /// Returns the report as if the video were the only stream.
    fn report(&self) -> Report {
        report::parse(&self.details.join("\n"))
    }
}

/// Returns the number of the film's stream in a report, and what the report tells about the film and the audio that is
/// used. Returns `None` if it lists no video stream.
pub(crate) fn film(report: &str, decodable: &BTreeSet<String>, chosen: &Streams) -> Option<(u32, Report)> {
    let used = Used::find(&Lines::of(report)?.0, decodable, chosen)?;
    let audio = used.audio.first().map(|(stream, _)| stream).or(used.all_audio.first());
    let audio_codec = audio.map(StreamLine::codec).filter(|codec| *codec != "none").map(str::to_owned);
    let mut report = used.report();
    report.media_info.audio_codec = audio_codec;
    Some((used.video.number, report))
}

/// Parses the report. Returns `None` if it lists no video stream.
fn parse(report: &str, decodable: &BTreeSet<String>, chosen: &Streams) -> Option<Inspection> {
    let lines = Lines::of(report)?.0;
    let used = Used::find(&lines, decodable, chosen)?;
    let report = used.report();
    let audio = used.audio.iter().take(MAX_AUDIO).map(|(stream, language)| {
        let reported = stream.language.filter(|language| is_language(language)).map(str::to_owned);
        AudioStream {
            stream: stream.number,
            id: stream.id,
            codec: stream.codec().to_owned(),
            language: language.clone().or(reported),
            // ffmpeg prints the name of a layout, or the number of channels.
            is_discrete: stream.description.contains(" channels"),
        }
    });
    let is_transformed = used.details.iter().any(|line| line.trim_start().starts_with("displaymatrix: "));
    let start = lines.iter().find_map(|line| line.strip_prefix("  Duration: ")?.split_once("start: "));
    let start = start.and_then(|(_, rest)| rest.split(',').next()?.trim().parse().ok());
    Some(Inspection {
        video: VideoStream {
            stream: used.video.number,
            width: report.media_info.width.unwrap_or(0),
            height: report.media_info.height.unwrap_or(0),
            assumed_colours: report.assumed_colours().map(str::to_owned),
            assumed_transfer: match report.media_info.color_transfer {
                Some(_) => None,
                None => chosen.color_transfer.clone(),
            },
            color_transfer: report.media_info.color_transfer,
            is_transformed,
        },
        audio: audio.collect(),
        start: start.filter(|start: &f64| start.is_finite()),
        padding: chosen.padding.as_secs_f64(),
        frame_rate: report.media_info.frame_rate,
    })
}

/// Returns whether a text can be a code of ISO 639-2 or a tag of RFC 5646.
fn is_language(text: &str) -> bool {
    (2..=35).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::AudioTrack;

    fn inspected(streams: &str) -> Option<Inspection> {
        inspected_with(streams, &Streams::default())
    }

    fn inspected_with(streams: &str, chosen: &Streams) -> Option<Inspection> {
        let report = report_of(streams);
        parse(&report, &["aac", "ac3", "pcm_s16le"].map(str::to_owned).into(), chosen)
    }

    fn report_of(streams: &str) -> String {
        format!(
            "Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'http://127.0.0.1:1/x':\n  Metadata:\n    title : x\n  \
             Duration: 00:00:06.00, start: -0.021000, bitrate: 58 kb/s\n{streams}\
             At least one output file must be specified\n"
        )
    }

    const VIDEO: &str = "  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 1280x720, 25 fps, 25 tbr (default)\n";

    #[test]
    fn first_decodable_audio_stream_counts() {
        let streams = format!(
            "{VIDEO}  Stream #0:1[0x2](und): Audio: none (apac / 0x63617061), 48000 Hz, stereo, 15 kb/s (default)\n  \
             Stream #0:2[0x3](eng): Audio: aac (LC) (mp4a / 0x6134706D), 48000 Hz, mono, fltp, 15 kb/s\n  \
             Stream #0:3[0x4](fra): Audio: opus, 48000 Hz, mono, fltp, 15 kb/s\n  \
             Stream #0:4: Audio: ac3, 0 channels\n"
        );
        let inspection = inspected(&streams).unwrap();
        let audio = AudioStream {
            stream: 2,
            id: Some(3),
            codec: "aac".into(),
            language: Some("eng".into()),
            is_discrete: false,
        };
        assert_eq!(inspection.audio, [audio]);
        assert_eq!((inspection.start, inspection.frame_rate), (Some(-0.021), Some(25.0)));
        let video = VideoStream {
            width: 1280,
            height: 720,
            assumed_colours: Some("bt709".into()),
            ..VideoStream::default()
        };
        assert_eq!(inspection.video, video);
    }

    #[test]
    fn default_audio_stream_comes_first() {
        let streams = format!(
            "{VIDEO}  Stream #0:1(eng): Audio: aac, 48000 Hz, stereo\n  Stream #0:2(x y): Audio: ac3, 48000 Hz, 5.1 (default)\n"
        );
        let order: Vec<_> = inspected(&streams)
            .unwrap()
            .audio
            .into_iter()
            .map(|audio| (audio.stream, audio.language))
            .collect();
        assert_eq!(order, [(2, None), (1, Some("eng".to_owned()))]);
    }

    #[test]
    fn uses_the_streams_that_the_index_chose() {
        let streams = "  Stream #0:0[0x1e0]: Video: h264, yuv420p, 320x180, 25 fps (default)\n  \
                       Stream #0:1[0x1e1]: Video: mjpeg, yuvj420p, 640x360, 30 fps\n  \
                       Stream #0:2[0x11](und): Audio: ac3, 48000 Hz, mono (default)\n  \
                       Stream #0:3[0x12](eng): Audio: aac, 48000 Hz, mono\n  \
                       Stream #0:4[0x13]: Audio: aac, 48000 Hz, mono\n";
        let audio = |stream| AudioTrack { stream, language: Some("de-AT".to_owned()) };
        let by_id = Streams {
            film: Some(StreamId::Id(0x1E1)),
            audio: vec![audio(StreamId::Id(0x12)), AudioTrack::new(StreamId::Id(0x11))],
            ..Streams::default()
        };
        let position = StreamId::Position;
        let by_position = Streams {
            film: Some(position(1)),
            audio: vec![audio(position(3)), AudioTrack::new(position(2)), AudioTrack::new(position(9))],
            ..Streams::default()
        };
        for chosen in [by_id, by_position] {
            let found = inspected_with(streams, &chosen).unwrap();
            assert_eq!((found.video.stream, found.video.width, found.frame_rate), (1, 640, Some(30.0)));
            let found = found.audio.iter().map(|audio| (audio.stream, audio.language.as_deref()));
            assert_eq!(found.collect::<Vec<_>>(), [(3, Some("de-AT")), (2, Some("und"))]);
            let (number, report) = film(&report_of(streams), &["aac".to_owned()].into(), &chosen).unwrap();
            let media_info = report.media_info;
            assert_eq!((number, media_info.duration_ms, media_info.width), (1, Some(6000), Some(640)));
            assert_eq!(media_info.audio_codec.as_deref(), Some("aac"));
        }
        let missing = Streams {
            film: Some(StreamId::Id(7)),
            audio: vec![AudioTrack::new(StreamId::Id(8))],
            ..Streams::default()
        };
        let found = inspected_with(streams, &missing).unwrap();
        assert_eq!((found.video.stream, found.audio.len()), (0, 3));
        assert_eq!(film("", &BTreeSet::new(), &missing), None);
    }

    #[test]
    fn transfer_characteristics_of_the_container_are_assumed() {
        let container = Streams { color_transfer: Some("smpte2084".into()), ..Streams::default() };
        let video = |colours: &str| {
            let streams = VIDEO.replace("progressive", colours);
            let video = inspected_with(&streams, &container).unwrap().video;
            (video.color_transfer, video.assumed_transfer)
        };
        assert_eq!(video("tv, progressive"), (None, Some("smpte2084".into())));
        assert_eq!(video("tv, bt2020nc/bt2020/unknown"), (None, Some("smpte2084".into())));
        assert_eq!(video("tv, bt2020nc/bt2020/arib-std-b67"), (Some("arib-std-b67".into()), None));
    }

    #[test]
    fn channels_without_a_layout_are_discrete() {
        let streams =
            format!("{VIDEO}  Stream #0:1: Audio: pcm_s16le (sowt), 48000 Hz, 12 channels, s16, 9216 kb/s\n");
        assert!(inspected(&streams).unwrap().audio[0].is_discrete);
    }

    #[test]
    fn film_is_not_a_preview_image() {
        let image =
            "  Stream #0:0: Video: mjpeg (Baseline), yuvj420p(pc), 160x160, 25 fps, 25 tbr (default)\n";
        let film = "  Stream #0:1: Video: h264 (High), yuv420p(tv, bt709), 320x180, 30 fps\n    Side data:\n      \
                    displaymatrix: rotation of -90.00 degrees\n";
        let video = inspected(&format!("{image}{film}")).unwrap().video;
        assert_eq!((video.stream, video.width, video.is_transformed), (1, 180, true));
        assert_eq!(video.color_transfer.as_deref(), Some("bt709"));
        let video = inspected(image).unwrap().video;
        assert_eq!((video.stream, video.width, video.is_transformed), (0, 160, false));
        assert_eq!(inspected(&image.replace("(default)", "(attached pic)")), None);
        let second = VIDEO.replace("#0:0[0x1](und)", "#0:3");
        let other = VIDEO.replace(" (default)", "");
        assert_eq!(inspected(&format!("{other}{second}")).unwrap().video.stream, 3);
    }

    #[test]
    fn report_with_forged_lines_is_not_used() {
        let forged = "  Stream #0:0: Video: h264, yuv420p, 9x9, 25 fps\n";
        assert_eq!(inspected(&format!("{forged}{VIDEO}")), None);
        assert_eq!(inspected(""), None);
    }
}
