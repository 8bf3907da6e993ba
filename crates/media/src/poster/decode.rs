//! Runs ffmpeg to decode frames in the sizes of a poster.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::video::MediaInfo;

use super::Attempt;
use crate::error::Error;
use crate::ffmpeg::{self, Budget, Input};
use crate::filters::Filters;
use crate::frame::{Frame, SCORED_SIDE};
use crate::index::{Index, StreamId, Streams};
use crate::inspect;
use crate::report::{self, Report};

/// The number of frames of [`FromInput::Every`].
const STEPS: usize = 16;

/// The frames to take from an input.
#[derive(Debug, Clone, Copy)]
pub(super) enum FromInput {
    /// The first ones, whose number is given.
    First(usize),
    /// The first keyframe.
    Keyframe,
    /// The first frame, without the cropping that the container states: a damaged container can crop everything.
    Uncropped,
    /// Every frame of this step, as many as [`STEPS`].
    Every(usize),
}

/// The film among the streams of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Film {
    /// The first video stream, as in a file of wrapped keyframes.
    First,
    /// The stream with this number.
    Stream(u32),
}

impl Film {
    /// Finds the film in ffmpeg's report on an input.
    pub(crate) fn find(report: &str, streams: &Streams) -> Self {
        Self::of(inspect::film(report, &BTreeSet::new(), streams).map(|(number, _)| number))
    }

    fn of(number: Option<u32>) -> Self {
        number.map_or(Self::First, Self::Stream)
    }

    pub(crate) fn specifier(self) -> String {
        match self {
            Self::First => "V:0".to_owned(),
            Self::Stream(number) => number.to_string(),
        }
    }

    /// Returns what a report tells about the film.
    pub(crate) fn report(self, report: &str) -> Report {
        match self {
            Self::First => report::parse(report),
            Self::Stream(number) => {
                let streams = Streams { film: Some(StreamId::Position(number)), ..Streams::default() };
                inspect::film(report, &BTreeSet::new(), &streams)
                    .map(|(_, report)| report)
                    .unwrap_or_default()
            }
        }
    }
}

impl Attempt<'_> {
    /// Lets ffmpeg examine the start of the object, and returns the media info with what the index and the wrapped
    /// keyframes do not tell.
    pub(super) async fn examine(&self, head: Bytes, index: &Index) -> Result<MediaInfo, Error> {
        let input = Input::File(self.container, vec![head]);
        let found = match self.report(&input).await {
            Ok(stderr) => self.film(&stderr, &index.streams()).await?.1.media_info,
            Err(error) if error.is_permanent() => MediaInfo::default(),
            Err(error) => return Err(error),
        };
        let known = index.media_info.clone();
        // For video in no container, ffmpeg prints the same frame rate for every file; for AVI, that of another stream.
        let is_measured =
            !matches!(self.container, Container::MpegVideo | Container::Avi) && !index.is_joined();
        // Metadata can state a rate that the timestamps contradict.
        let highest = known.frame_rate.map_or(f64::MAX, |rate| 2.5 * rate);
        let found_rate = found.frame_rate.filter(|rate| is_measured && *rate <= highest);
        let (width, height, rotation) = match (found.width, found.height) {
            (Some(_), Some(_)) => (found.width, found.height, found.rotation),
            _ => (known.width, known.height, known.rotation),
        };
        Ok(MediaInfo {
            duration_ms: known.duration_ms,
            width,
            height,
            rotation,
            mirrored: known.mirrored,
            frame_rate: found_rate.or(known.frame_rate),
            video_codec: found.video_codec.or(known.video_codec),
            color_transfer: known.color_transfer.or(found.color_transfer),
            dolby_vision_profile: known.dolby_vision_profile.or(found.dolby_vision_profile),
            audio_codec: found.audio_codec.or(known.audio_codec),
            container: known.container,
            ..MediaInfo::default()
        })
    }

    /// Returns the film in a report, and what the report tells about it and its audio.
    pub(super) async fn film(&self, report: &str, streams: &Streams) -> Result<(Film, Report), Error> {
        // The decodable codecs matter only for the choice among several audio streams.
        let decodable = match report.matches(": Audio: ").count() {
            0 | 1 => BTreeSet::new(),
            _ => inspect::decodable_codecs(self.ffmpeg, self.deadline).await?,
        };
        let (number, report) = inspect::film(report, &decodable, streams).unzip();
        Ok((Film::of(number), report.unwrap_or_default()))
    }

    /// Decodes the frames of `input` with `filters`, and once more if ffmpeg reports properties that need other
    /// filters.
    pub(super) async fn decode(
        &self,
        input: &Input<'_>,
        film: Film,
        frames: FromInput,
        filters: Filters,
        media_info: &MediaInfo,
    ) -> Result<(Vec<Frame>, Report), Error> {
        let once = |filters| self.decode_frames(input, film, frames, filters, media_info);
        match once(filters).await {
            Ok((frames, report)) if report.filters() == filters => Ok((frames, report)),
            Ok((frames, report)) => match once(report.filters()).await {
                // If ffmpeg was built without tone mapping, the poster has pale colours.
                Err(error) if error.is_permanent() => Ok((frames, report)),
                again => again,
            },
            Err(Error::Unreadable(_)) if filters != Filters::default() => once(Filters::default()).await,
            Err(error) => Err(error),
        }
    }

    /// Runs ffmpeg to decode and scale frames. Their transfer characteristics in the report are those of `media_info` if
    /// only the container states them.
    async fn decode_frames(
        &self,
        input: &Input<'_>,
        film: Film,
        frames: FromInput,
        filters: Filters,
        media_info: &MediaInfo,
    ) -> Result<(Vec<Frame>, Report), Error> {
        let (frames, select, options): (_, _, &[&str]) = match frames {
            FromInput::First(count) => (count.to_string(), String::new(), &[]),
            FromInput::Keyframe => ("1".to_owned(), String::new(), &["-skip_frame", "nokey"]),
            // FFmpeg 7 introduced the option. Older versions never crop as the container states.
            FromInput::Uncropped => ("1".to_owned(), String::new(), &["-apply_cropping", "codec"]),
            FromInput::Every(step) => (STEPS.to_string(), format!("select=not(mod(n\\,{step})),"), &[]),
        };
        let graph = graph(film, &select, filters, media_info.width);
        let (outputs, stderr) =
            outputs(self.ffmpeg, input, options, &graph, &frames, &self.budget, self.deadline).await?;
        let [small, large, pixels] = outputs;
        let frames = Frame::split(small, large, pixels);
        if frames.is_empty() {
            return Err(Error::Unreadable("no complete frame".to_owned()));
        }
        let mut report = film.report(&stderr);
        let transfer = &mut report.media_info.color_transfer;
        *transfer = transfer.take().or_else(|| media_info.color_transfer.clone());
        Ok((frames, report))
    }
}

/// Runs ffmpeg with a [`graph`]. Returns `frames` frames as JPEGs in both sizes and as the pixels that are scored, and
/// ffmpeg's report.
pub(crate) async fn outputs(
    ffmpeg: &Path,
    input: &Input<'_>,
    options: &[&str],
    graph: &str,
    frames: &str,
    budget: &Budget,
    deadline: Instant,
) -> Result<([Vec<u8>; 3], String), Error> {
    let jpeg = ["-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-f", "image2pipe"];
    let output = |name| [&["-map", name, "-frames:v", frames][..], &jpeg].concat();
    let (small, large) = (output("[small]"), output("[large]"));
    let pixels = ["-map", "[pixels]", "-frames:v", frames, "-c:v", "rawvideo", "-f", "rawvideo"];
    let pipes: [&[&str]; 3] = [&small, &large, &pixels];
    let (outputs, stderr) = ffmpeg::run(ffmpeg, input, options, graph, &pipes, budget, deadline).await?;
    match <[Vec<u8>; 3]>::try_from(outputs) {
        Ok(outputs) => Ok((outputs, stderr)),
        Err(_) => Err(Error::Unreadable("ffmpeg returned fewer than three outputs".to_owned())),
    }
}

/// Builds the filter graph from the video to the `[small]` and `[large]` poster and the `[pixels]` that are scored.
/// `select` is a filter before the others, and `width` the video's display width.
pub(crate) fn graph(film: Film, select: &str, filters: Filters, width: Option<u32>) -> String {
    let scaled = |across: u32| {
        // The height is even, and at most six times the width.
        let half = across / 2;
        let size = format!("w={across}:h='clip(2*round({half}*ih/(iw*sar)),2,{})'", across * 6);
        filters.scale(&size, width.is_none_or(|width| width < across))
    };
    format!(
        "[0:{film}]{select}{source},split[a][b];[a]{large}[large];[b]{small},split[small][c];\
         [c]scale={SCORED_SIDE}:{SCORED_SIDE}:flags=area,format=rgb24[pixels]",
        film = film.specifier(),
        source = filters.source(),
        large = scaled(1280),
        small = scaled(640),
    )
}
