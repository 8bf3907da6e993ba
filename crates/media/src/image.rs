//! Makes images of a video when somebody wants them: a frame at a time, and a short animation.
//!
//! The index locates the keyframe nearest to a time, as for posters. Any other frame is decoded from the keyframe before
//! it: in segments of the film (see [`remux`](crate::remux)), or in the object, where ffmpeg seeks.

mod chosen;
mod format;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::container::unsupported_format;
use upreel_core::video::MediaInfo;

pub use self::chosen::Chosen;
pub use self::format::Format;
use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input};
use crate::filters::Filters;
use crate::index::{Index, Streams};
use crate::keyframe::HEAD;
use crate::poster::{Film, fetch};
use crate::report::DURATION;
use crate::source::Source;

/// Processor time of all runs of ffmpeg for one image, in seconds. Somebody waits for the response.
const CPU_SECONDS: u64 = 12;
/// The output option for a single frame.
const FIRST: &[&str] = &["-frames:v", "1"];
/// How much earlier ffmpeg seeks, in milliseconds, where it does not find the keyframe before a time by an index.
const LEAD: u64 = 5000;

/// The size of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the frame is cropped to this aspect ratio. If not, it is stretched.
    pub crop: bool,
}

/// A part of a video to show as an animation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    /// The start in milliseconds.
    pub start: u64,
    /// The end in milliseconds.
    pub end: u64,
    /// Frames per second.
    pub fps: u32,
}

/// Makes images of one object.
pub struct Images<'a> {
    source: &'a Arc<Source>,
    media_info: &'a MediaInfo,
    ffmpeg: &'a Path,
    deadline: Instant,
    budget: Budget,
}

/// An input for ffmpeg, and how its times count.
#[derive(Clone)]
struct Found<'a> {
    input: Input<'a>,
    film: Film,
    /// Additional options of the input.
    options: &'static [&'static str],
    /// The time in milliseconds, as the input counts, of the time that was asked for.
    time: u64,
}

impl Found<'_> {
    /// Returns filters that select the frame at its time. Frames that begin later are dropped, and the last one of the
    /// others is repeated until it is later.
    fn last_frame(&self) -> String {
        let end = seconds(self.time + 1);
        format!("trim=end={end},tpad=stop=-1:stop_mode=clone,select=gte(t\\,{end}),")
    }
}

impl<'a> Images<'a> {
    /// Makes images of `source`, a video with these properties, with the `ffmpeg` program, which is killed at `deadline`.
    #[must_use]
    pub fn new(
        source: &'a Arc<Source>,
        media_info: &'a MediaInfo,
        ffmpeg: &'a Path,
        deadline: Instant,
    ) -> Self {
        Self { source, media_info, ffmpeg, deadline, budget: Budget::new(CPU_SECONDS) }
    }

    /// Makes an image of the keyframe nearest to a time in milliseconds. Returns `None` if the index does not lead to it.
    ///
    /// # Errors
    /// As [`Images::frame`].
    pub async fn keyframe(&self, ms: u64, size: Size, format: Format) -> Result<Option<Bytes>, Error> {
        let made = error::run("make an image", self.deadline, self.by_index(ms, size, format)).await;
        match made {
            // As for posters, ffmpeg supports more variants of the containers.
            Err(error) if error.is_permanent() && !matches!(error, Error::TooComplex | Error::Encrypted) => {
                tracing::info!(%error, "no keyframe from the index");
                Ok(None)
            }
            made => made,
        }
    }

    /// Makes an image of the frame that is presented at a time in milliseconds: the last one that begins at or before it.
    /// `segments` are the film's initialization segment and the segment of that time; without them, ffmpeg seeks in the
    /// object, and unless `exact` is set, shows the keyframe before that time.
    ///
    /// # Errors
    /// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
    /// this object.
    pub async fn frame(
        &self,
        segments: Option<Vec<Bytes>>,
        (ms, exact): (u64, bool),
        size: Size,
        format: Format,
    ) -> Result<Bytes, Error> {
        let made = async {
            let found = self.find(segments, ms).await?;
            let select = found.last_frame();
            if matches!(found.input, Input::Object(..)) && !exact {
                let found = Found { options: &["-skip_frame", "nokey"], ..found.clone() };
                match self.image(&found, &select, FIRST, size, format).await {
                    Err(Error::Unreadable(_)) => {}
                    made => return made,
                }
            }
            match self.image(&found, &select, FIRST, size, format).await {
                // The first frame begins later, or ffmpeg has found no keyframe before that time.
                Err(Error::Unreadable(_)) => self.image(&found, "", FIRST, size, format).await,
                made => made,
            }
        };
        error::run("make an image", self.deadline, made).await
    }

    /// Makes an animation. `segments` are the film's initialization segment and all segments of that time; without them,
    /// ffmpeg seeks in the object.
    ///
    /// # Errors
    /// As [`Images::frame`].
    pub async fn animation(
        &self,
        segments: Option<Vec<Bytes>>,
        clip: Clip,
        size: Size,
        format: Format,
    ) -> Result<Bytes, Error> {
        let made = async {
            let found = self.find(segments, clip.start).await?;
            let (start, end) = (seconds(found.time), seconds(found.time + (clip.end - clip.start)));
            let select = format!("trim=start={start}:end={end},setpts=PTS-STARTPTS,fps={},", clip.fps);
            self.image(&found, &select, &["-loop", "0"], size, format).await
        };
        error::run("make an animation", self.deadline, made).await
    }

    async fn by_index(&self, ms: u64, size: Size, format: Format) -> Result<Option<Bytes>, Error> {
        let Some(index) = Index::open(self.source, self.container().await?).await? else { return Ok(None) };
        let Some(keyframe) = index.nearest(self.source, ms).await? else { return Ok(None) };
        let input = Input::File(index.wrapped(), index.wrap(fetch(self.source, &[keyframe]).await?));
        let found = Found { input, film: Film::First, options: &[], time: 0 };
        self.image(&found, "", FIRST, size, format).await.map(Some)
    }

    async fn container(&self) -> Result<Container, Error> {
        let head = self.source.read(0..HEAD).await?;
        Container::sniff(&head).ok_or_else(|| Error::Unsupported(unsupported_format(&head)))
    }

    /// Returns an input that begins with a keyframe before a time in milliseconds.
    async fn find(&self, segments: Option<Vec<Bytes>>, ms: u64) -> Result<Found<'a>, Error> {
        // Otherwise times would count from the first segment, or, of one stream among several, from another start than that
        // of the input.
        let options = &["-copyts"];
        if let Some(segments) = segments {
            let input = Input::File(Container::Mp4, segments);
            return Ok(Found { input, film: Film::First, options, time: ms });
        }
        let container = self.container().await?;
        let whole = Input::Object(container, self.source, None);
        let report = ffmpeg::report(self.ffmpeg, &whole, &self.budget, self.deadline).await?;
        let film = Film::find(&report, &Streams::default());
        let has_index = matches!(
            container,
            Container::Mp4
                | Container::Mov
                | Container::ThreeGp
                | Container::Mkv
                | Container::Webm
                | Container::Avi
        );
        let from = if has_index { ms } else { ms.saturating_sub(LEAD) };
        let input = Input::Object(container, self.source, (from > 0).then(|| seconds(from)));
        Ok(Found { input, film, options, time: start(&report) + ms })
    }

    /// Runs ffmpeg for an image, and once more if it reports transparent frames.
    async fn image(
        &self,
        found: &Found<'_>,
        select: &str,
        output: &[&str],
        size: Size,
        format: Format,
    ) -> Result<Bytes, Error> {
        let opaque = Filters::of_video(self.media_info, false);
        let (image, filters) =
            self.run(found, &self.graph(found, select, opaque, size, format), output, format).await?;
        if !filters.alpha {
            return Ok(image);
        }
        let transparent = Filters { alpha: true, ..opaque };
        let graph = self.graph(found, select, transparent, size, format);
        self.run(found, &graph, output, format).await.map(|(image, _)| image)
    }

    async fn run(
        &self,
        found: &Found<'_>,
        graph: &str,
        output: &[&str],
        format: Format,
    ) -> Result<(Bytes, Filters), Error> {
        let output = [&["-map", "[image]"], output, format.output()].concat();
        let (mut outputs, stderr) = ffmpeg::run(
            self.ffmpeg,
            &found.input,
            found.options,
            graph,
            &[&output],
            &self.budget,
            self.deadline,
        )
        .await?;
        let image = outputs.pop().filter(|image| format.is_complete(image));
        let image = image.ok_or_else(|| Error::Unreadable("the image is incomplete".to_owned()))?;
        Ok((image.into(), found.film.report(&stderr).filters()))
    }

    /// Builds the filter graph from the film to the `[image]`. `select` is a filter before the others.
    fn graph(&self, found: &Found<'_>, select: &str, filters: Filters, size: Size, format: Format) -> String {
        let Size { width, height, crop } = size;
        let crop = if crop {
            format!(
                ",crop=w='max(1,min(iw,ih*{width}/{height}/sar))':h='max(1,min(ih,iw*sar*{height}/{width}))':exact=1"
            )
        } else {
            String::new()
        };
        let enlarge = self.media_info.width.is_none_or(|of_video| of_video < width);
        format!(
            "[0:{film}]{select}{source}{crop},{scale}{last}",
            film = found.film.specifier(),
            source = filters.source(),
            scale = filters.scale(&format!("{width}:{height}"), enlarge),
            last = format.filters(),
        )
    }
}

/// Returns when an input starts according to ffmpeg's report, in milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
fn start(report: &str) -> u64 {
    let line = report.lines().find_map(|line| line.strip_prefix(DURATION));
    let start = line.and_then(|line| line.split(", ").find_map(|part| part.strip_prefix("start: ")));
    start.and_then(|start| start.parse().ok()).map_or(0, |start: f64| (start * 1000.0).round() as u64)
}

/// Formats milliseconds as seconds.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
