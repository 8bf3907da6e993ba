//! Makes a video's poster and collects its media info.
//!
//! If the container's index can be read, a few keyframes are fetched and decoded by one ffmpeg process, and the one
//! that shows most becomes the poster. For other containers, or if that fails, ffmpeg itself seeks in the object,
//! through the range server.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::container::unsupported_format;
use upreel_core::video::MediaInfo;

use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input};
use crate::filters::Filters;
use crate::frame::{Frame, SCORED_SIDE};
use crate::index::Index;
use crate::keyframe::{HEAD, Keyframe};
use crate::report::{self, Report};
use crate::source::{self, Source, in_parallel};

/// Keyframes to choose the poster from.
const CANDIDATES: usize = 8;
/// Bytes of keyframes to read at first: one keyframe of a large video, several of a small one.
const FIRST_BUDGET: u64 = 192 * 1024;
/// Bytes of keyframes to read if all of the first ones are black or flat.
const SECOND_BUDGET: u64 = 24 << 20;
/// Processor time of all runs of ffmpeg, in seconds. The thumbnail function has a processor to itself, and less than two
/// minutes, so half of them are left to read the object.
const CPU_SECONDS: u64 = 60;
/// Where to seek first in a video without an index, in seconds. Many videos begin black.
const FIRST_SEEK: &str = "1";
/// Where to seek next, as fractions of the duration, while the best frame is black or flat.
const FURTHER_SEEKS: [f64; 3] = [0.2, 0.5, 0.8];

/// A poster in two sizes, and what was learned about the video.
#[derive(Debug)]
pub struct Poster {
    /// The poster as a JPEG, upright, 640 pixels wide.
    pub jpeg: Bytes,
    /// The poster as a JPEG, upright, 1280 pixels wide.
    pub large: Bytes,
    /// The poster's `BlurHash`, a placeholder to show while the poster loads.
    pub blur_hash: String,
    /// The video's media info.
    pub media_info: MediaInfo,
    /// The container's index, if it could be read.
    pub index: Option<Index>,
}

/// Makes the poster of `source` with the `ffmpeg` program, which is killed at `deadline`.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn make(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Poster, Error> {
    error::run("make the poster", deadline, attempt(source, ffmpeg, deadline)).await
}

async fn attempt(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Poster, Error> {
    let head = source.read(0..HEAD).await?;
    let container = Container::sniff(&head).ok_or_else(|| Error::Unsupported(unsupported_format(&head)))?;
    let budget = Budget::new(CPU_SECONDS);
    let attempt = Attempt { source, container, ffmpeg, budget, deadline };
    match attempt.by_index().await {
        Ok(Some(poster)) => return Ok(poster),
        Ok(None) => {}
        Err(error @ (Error::Fault(_) | Error::Gone | Error::TooComplex)) => return Err(error),
        // ffmpeg supports more variants of the containers, and recovers from more damage.
        Err(error) => tracing::info!(%error, "no poster from the index, ffmpeg seeks in the object"),
    }
    let mut poster = attempt.by_seeking().await?;
    // The file is fragmented. ffmpeg was told not to walk through the fragments (`ignidx`), so it knows the duration
    // of the first one only.
    if head.windows(4).any(|name| name == b"mvex") {
        poster.media_info.duration_ms = None;
    }
    Ok(poster)
}

/// The arguments of one attempt to make a poster.
struct Attempt<'a> {
    source: &'a Arc<Source>,
    container: Container,
    ffmpeg: &'a Path,
    budget: Budget,
    deadline: Instant,
}

impl Attempt<'_> {
    /// Fetches keyframes by the index and decodes them. Returns `None` if there is no index reader for the container.
    async fn by_index(&self) -> Result<Option<Poster>, Error> {
        let Some(mut index) = Index::open(self.source, self.container).await? else { return Ok(None) };
        let mut candidates = by_expected_detail(index.keyframes(self.source, CANDIDATES).await?);
        let mut found: Option<(Frame, Report)> = None;
        let mut failure = Error::Unreadable("no keyframe".to_owned());
        for budget in [FIRST_BUDGET, SECOND_BUDGET] {
            let chosen: Vec<Keyframe> = take_within(&mut candidates, budget);
            if chosen.is_empty() || found.as_ref().is_some_and(|(frame, _)| !frame.is_dull()) {
                break;
            }
            let samples = fetch(self.source, &chosen).await?;
            let input = Input::File(index.wrapped(), index.wrap(samples));
            match self.decode(&input, index.filters, &index.media_info).await {
                Ok((frames, report)) => {
                    let frames = frames.into_iter().map(|frame| (frame, report.clone()));
                    found = found
                        .into_iter()
                        .chain(frames)
                        .max_by(|(a, _), (b, _)| a.score().total_cmp(&b.score()));
                }
                Err(error @ Error::Unreadable(_)) => failure = error,
                Err(error) if error.is_permanent() && found.is_some() => break,
                Err(error) => return Err(error),
            }
        }
        let Some((frame, report)) = found else { return Err(failure) };
        index.filters = report.filters();
        if let Some(head) = index.unexamined(self.source).await? {
            index.media_info = self.examine(head, &index.media_info).await?;
        }
        report.correct(&mut index.media_info);
        Ok(Some(poster(&frame, index.media_info.clone(), Some(index))))
    }

    /// Lets ffmpeg examine the start of the object, and returns the media info with what the index does not tell.
    async fn examine(&self, head: Bytes, media_info: &MediaInfo) -> Result<MediaInfo, Error> {
        let input = Input::File(self.container, vec![head]);
        let found = match ffmpeg::examine(self.ffmpeg, &input, &self.budget, self.deadline).await {
            Ok(stderr) => report::parse(&stderr).media_info,
            Err(error) if error.is_permanent() => MediaInfo::default(),
            Err(error) => return Err(error),
        };
        Ok(MediaInfo {
            duration_ms: media_info.duration_ms,
            container: media_info.container,
            video_codec: found.video_codec.clone().or(media_info.video_codec.clone()),
            frame_rate: found.frame_rate.or(media_info.frame_rate),
            audio_codec: found.audio_codec.clone().or(media_info.audio_codec.clone()),
            ..found
        })
    }

    /// Makes the poster without an index: ffmpeg seeks in the object.
    async fn by_seeking(&self) -> Result<Poster, Error> {
        let at = |seconds| Input::Object(self.container, self.source, seconds);
        let (filters, media_info) = (Filters::default(), MediaInfo::default());
        let first = match self.decode(&at(Some(FIRST_SEEK.to_owned())), filters, &media_info).await {
            // The video is shorter than the first position, or damaged there.
            Err(Error::Unreadable(why)) => {
                tracing::debug!(why, "no frame at the first position, taking the first frame");
                self.decode(&at(None), filters, &media_info).await
            }
            other => other,
        };
        let (frames, report) = first?;
        let mut best = frames.into_iter().next().ok_or(Error::Unreadable("no frame".to_owned()))?;
        let length = report.media_info.duration_ms.unwrap_or(0);
        for fraction in FURTHER_SEEKS.into_iter().filter(|_| length > 2000) {
            if !best.is_dull() {
                break;
            }
            #[expect(clippy::cast_precision_loss, reason = "the position need not be exact")]
            let seconds = format!("{:.3}", length as f64 * fraction / 1000.0);
            match self.decode(&at(Some(seconds)), report.filters(), &report.media_info).await {
                Ok((frames, _)) => {
                    let better = frames.into_iter().max_by(|a, b| a.score().total_cmp(&b.score()));
                    best = better.filter(|frame| frame.score() > best.score()).unwrap_or(best);
                }
                // There already is a frame to fall back on.
                Err(error) if error.is_permanent() => {}
                Err(error) => return Err(error),
            }
        }
        let mut media_info = report.media_info;
        media_info.container = Some(self.container);
        Ok(poster(&best, media_info, None))
    }

    /// Decodes the frames of `input` with `filters`, and once more if ffmpeg reports properties that need other
    /// filters.
    async fn decode(
        &self,
        input: &Input<'_>,
        filters: Filters,
        media_info: &MediaInfo,
    ) -> Result<(Vec<Frame>, Report), Error> {
        let once = |filters| self.decode_frames(input, filters, media_info);
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

    /// Runs ffmpeg to decode and scale frames: up to [`CANDIDATES`] of a file, one of an object.
    async fn decode_frames(
        &self,
        input: &Input<'_>,
        filters: Filters,
        media_info: &MediaInfo,
    ) -> Result<(Vec<Frame>, Report), Error> {
        let frames = if matches!(input, Input::File(..)) { CANDIDATES.to_string() } else { "1".to_owned() };
        let graph = graph(filters, media_info.width);
        let jpeg = ["-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-f", "image2pipe"];
        let output = |name| [&["-map", name, "-frames:v", &frames][..], &jpeg].concat();
        let (small, large) = (output("[small]"), output("[large]"));
        let pixels = ["-map", "[pixels]", "-frames:v", &frames, "-c:v", "rawvideo", "-f", "rawvideo"];
        let outputs: [&[&str]; 3] = [&small, &large, &pixels];
        let (outputs, stderr) =
            ffmpeg::run(self.ffmpeg, input, &graph, &outputs, &self.budget, self.deadline).await?;
        let Ok([small, large, pixels]) = <[Vec<u8>; 3]>::try_from(outputs) else {
            return Err(Error::Unreadable("ffmpeg returned fewer than three outputs".to_owned()));
        };
        let frames = Frame::split(small, large, pixels);
        if frames.is_empty() {
            return Err(Error::Unreadable("no complete frame".to_owned()));
        }
        Ok((frames, report::parse(&stderr)))
    }
}

fn poster(frame: &Frame, media_info: MediaInfo, index: Option<Index>) -> Poster {
    Poster {
        jpeg: frame.jpeg.clone(),
        large: frame.large.clone(),
        blur_hash: frame.blur_hash(),
        // The only place where values of a file become those of a record.
        media_info: media_info.plausible(),
        index,
    }
}

/// Orders keyframes by how much they are likely to show, judging by their size in bytes. Those of median size and above
/// come first, in ascending order; the smaller ones, which may be black, follow in descending order.
fn by_expected_detail(mut keyframes: Vec<Keyframe>) -> Vec<Keyframe> {
    keyframes.sort_by_key(|keyframe| len(&keyframe.range));
    let mut order = keyframes.split_off(keyframes.len() / 2);
    keyframes.reverse();
    order.extend(keyframes);
    order
}

/// Removes the first keyframes that together have at most `budget` bytes, but at least one. Returns them in the order
/// of time.
fn take_within(keyframes: &mut Vec<Keyframe>, budget: u64) -> Vec<Keyframe> {
    let mut bytes = 0;
    let fit = keyframes.iter().take_while(|keyframe| {
        bytes += len(&keyframe.range);
        bytes <= budget
    });
    let count = fit.count().max(1).min(keyframes.len());
    let mut taken: Vec<Keyframe> = keyframes.drain(..count).collect();
    taken.sort_by_key(|keyframe| keyframe.time_ms);
    taken
}

fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}

/// Fetches the bytes of keyframes, in the given order.
pub(crate) async fn fetch(source: &Source, keyframes: &[Keyframe]) -> Result<Vec<Bytes>, source::Error> {
    in_parallel(keyframes.iter().map(|keyframe| source.fetch(keyframe.range.clone())).collect()).await
}

/// Builds the filter graph from the video to the `[small]` and `[large]` poster and the `[pixels]` that are scored.
/// `width` is the video's display width.
fn graph(filters: Filters, width: Option<u32>) -> String {
    let scaled = |across: u32| {
        // The height is even, and at most six times the width.
        let half = across / 2;
        let size = format!("w={across}:h='clip(2*round({half}*ih/(iw*sar)),2,{})'", across * 6);
        filters.scale(&size, width.is_none_or(|width| width < across))
    };
    format!(
        "[0:V:0]{source},split[a][b];[a]{large}[large];[b]{small},split[small][c];\
         [c]scale={SCORED_SIDE}:{SCORED_SIDE}:flags=area,format=rgb24[pixels]",
        source = filters.source(),
        large = scaled(1280),
        small = scaled(640),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframes(sizes: &[u64]) -> Vec<Keyframe> {
        (0..).zip(sizes).map(|(time_ms, size)| Keyframe { time_ms, range: 0..*size }).collect()
    }

    fn sizes(keyframes: &[Keyframe]) -> Vec<u64> {
        keyframes.iter().map(|keyframe| len(&keyframe.range)).collect()
    }

    #[test]
    fn median_and_larger_keyframes_come_first() {
        let order = by_expected_detail(keyframes(&[5, 900, 100, 120, 110, 2, 130, 90]));
        assert_eq!(sizes(&order), [110, 120, 130, 900, 100, 90, 5, 2]);
        assert_eq!(sizes(&by_expected_detail(keyframes(&[7]))), [7]);
        assert_eq!(by_expected_detail(Vec::new()), []);
    }

    #[test]
    fn budget_takes_at_least_one_keyframe() {
        let mut left = keyframes(&[50, 40, 30]);
        assert_eq!(sizes(&take_within(&mut left, 10)), [50]);
        assert_eq!(sizes(&take_within(&mut left, 70)), [40, 30]);
        assert_eq!(take_within(&mut left, 70), []);
        let mut order = by_expected_detail(keyframes(&[30, 20, 10]));
        assert_eq!(sizes(&take_within(&mut order, 60)), [30, 20, 10], "in the order of time");
    }
}
