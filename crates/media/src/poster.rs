//! The poster and the facts of a video.
//!
//! Where the container's index can be read, a few keyframes are cut out and decoded in one run of ffmpeg,
//! and the best of them is the poster. For other containers, or when that fails, ffmpeg seeks in the object
//! itself, through the range server.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use upreel_core::video::MediaInfo;
use upreel_core::{Container, Fault};

use crate::error::Error;
use crate::ffmpeg::{self, Input};
use crate::filters::Filters;
use crate::frame::{Frame, SMALL};
use crate::index::Index;
use crate::keyframe::{HEAD, Keyframe};
use crate::report::{self, Report};
use crate::source::{self, Source, in_parallel};

/// Keyframes that are looked at.
const CANDIDATES: usize = 8;
/// Bytes of keyframes that are read at first: one of a large video, several of a small one.
const FIRST_LOOK: u64 = 192 * 1024;
/// Bytes of those that are read if all of the first are black or flat.
const SECOND_LOOK: u64 = 24 << 20;
/// Where to look in a video without an index: in seconds at first, many videos begin black; then at
/// fractions of the whole.
const FIRST_CHOICE: &str = "1";
const OTHER_CHOICES: [f64; 3] = [0.2, 0.5, 0.8];

/// What a video gives.
#[derive(Debug)]
pub struct Poster {
    /// The picture, 640 pixels wide, upright.
    pub jpeg: Bytes,
    /// The same, 1280 pixels wide.
    pub large: Bytes,
    /// A `BlurHash` of it, to be shown while it loads.
    pub blur_hash: String,
    /// What is known of the video.
    pub media_info: MediaInfo,
    /// Where the keyframes are, if the container's index could be read.
    pub index: Option<Index>,
}

/// Makes the poster of `source` with the `ffmpeg` program, by `deadline`.
///
/// # Errors
/// See [`Error`]: all but `Fault` say something about the object, and would come again.
pub async fn make(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Poster, Error> {
    timeout_at(deadline, attempt(source, ffmpeg, deadline))
        .await
        .unwrap_or_else(|late| Err(Error::Fault(Fault::new("make the poster", &late))))
}

async fn attempt(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Poster, Error> {
    let head = source.read(0..HEAD).await?;
    let container = Container::sniff(&head).ok_or(Error::Unsupported)?;
    let attempt = Attempt { source, container, ffmpeg, deadline };
    match attempt.keyframes().await {
        Ok(Some(poster)) => return Ok(poster),
        Ok(None) => {}
        Err(error @ (Error::Fault(_) | Error::Gone | Error::TooComplex)) => return Err(error),
        // ffmpeg knows more kinds of files, and repairs more.
        Err(error) => tracing::info!(%error, "no poster by the index, seeking in the object"),
    }
    let mut poster = attempt.seek().await?;
    // ffmpeg was told not to walk through the fragments, so it knows the length of the first only.
    if head.windows(4).any(|name| name == b"mvex") {
        poster.media_info.duration_ms = None;
    }
    Ok(poster)
}

struct Attempt<'a> {
    source: &'a Arc<Source>,
    container: Container,
    ffmpeg: &'a Path,
    deadline: Instant,
}

impl Attempt<'_> {
    /// CutPoints keyframes out and decodes them; `None` for containers without a reader.
    async fn keyframes(&self) -> Result<Option<Poster>, Error> {
        let Some(mut index) = Index::open(self.source, self.container).await? else { return Ok(None) };
        let mut candidates = by_promise(index.keyframes(self.source, CANDIDATES).await?);
        let mut found: Option<(Frame, Report)> = None;
        let mut failure = Error::Unreadable("no keyframe".to_owned());
        for budget in [FIRST_LOOK, SECOND_LOOK] {
            let filters: Vec<Keyframe> = within(&mut candidates, budget);
            if filters.is_empty() || found.as_ref().is_some_and(|(frame, _)| !frame.is_dull()) {
                break;
            }
            let samples = fetch(self.source, &filters).await?;
            let input = Input::File(self.container, index.wrap(samples));
            match self.decode(&input, index.filters, &index.media_info).await {
                Ok((frames, report)) => {
                    let frames = frames.into_iter().map(|frame| (frame, report.clone()));
                    found = found
                        .into_iter()
                        .chain(frames)
                        .max_by(|(a, _), (b, _)| a.score().total_cmp(&b.score()));
                }
                Err(error @ Error::Unreadable(_)) => failure = error,
                Err(error) => return Err(error),
            }
        }
        let Some((frame, report)) = found else { return Err(failure) };
        index.filters = report.filters();
        report.correct(&mut index.media_info);
        Ok(Some(poster(&frame, index.media_info.clone(), Some(index))))
    }

    /// Lets ffmpeg seek in the object.
    async fn seek(&self) -> Result<Poster, Error> {
        let at = |seconds| Input::Object(self.container, self.source, seconds);
        let (filters, media_info) = (Filters::default(), MediaInfo::default());
        let first = match self.decode(&at(Some(FIRST_CHOICE.to_owned())), filters, &media_info).await {
            // Too short for the first choice, or damaged there.
            Err(Error::Unreadable(why)) => {
                tracing::debug!(why, "no picture at the first choice, taking the first one");
                self.decode(&at(None), filters, &media_info).await
            }
            other => other,
        };
        let (frames, report) = first?;
        let mut best = frames.into_iter().next().ok_or(Error::Unreadable("no picture".to_owned()))?;
        let length = report.media_info.duration_ms.unwrap_or(0);
        for fraction in OTHER_CHOICES.into_iter().filter(|_| length > 2000) {
            if !best.is_dull() {
                break;
            }
            #[expect(clippy::cast_precision_loss, reason = "a place in a video need not be exact")]
            let seconds = format!("{:.3}", length as f64 * fraction / 1000.0);
            // It has a poster already; that another place is damaged is no matter.
            if let Ok((frames, _)) =
                self.decode(&at(Some(seconds)), report.filters(), &report.media_info).await
            {
                best = frames
                    .into_iter()
                    .chain([best])
                    .max_by(|a, b| a.score().total_cmp(&b.score()))
                    .ok_or(Error::Gone)?;
            }
        }
        let mut media_info = report.media_info;
        media_info.container = Some(self.container);
        Ok(poster(&best, media_info, None))
    }

    /// Decodes what `input` gives, once more if the pictures turn out to need other filters.
    async fn decode(
        &self,
        input: &Input<'_>,
        filters: Filters,
        media_info: &MediaInfo,
    ) -> Result<(Vec<Frame>, Report), Error> {
        let once = |filters| pictures(self.ffmpeg, input, filters, media_info, self.deadline);
        match once(filters).await {
            Ok((frames, report)) if report.filters() == filters => Ok((frames, report)),
            // An ffmpeg without tone mapping still makes a pale picture.
            Ok((frames, report)) => Ok(once(report.filters()).await.unwrap_or((frames, report))),
            Err(Error::Unreadable(_)) if filters != Filters::default() => once(Filters::default()).await,
            Err(error) => Err(error),
        }
    }
}

fn poster(frame: &Frame, media_info: MediaInfo, index: Option<Index>) -> Poster {
    Poster {
        jpeg: frame.jpeg.clone(),
        large: frame.large.clone(),
        blur_hash: frame.blur_hash(),
        media_info,
        index,
    }
}

/// The most promising first: how many bytes a keyframe has tells how much there is to see in it. The
/// typical and the richer ones come before the poor ones, which may be black.
fn by_promise(mut keyframes: Vec<Keyframe>) -> Vec<Keyframe> {
    keyframes.sort_by_key(|keyframe| len(&keyframe.range));
    let mut order = keyframes.split_off(keyframes.len() / 2);
    keyframes.reverse();
    order.extend(keyframes);
    order
}

/// Takes those off the front that fit into the budget, and one in any case; in the order of time.
fn within(keyframes: &mut Vec<Keyframe>, budget: u64) -> Vec<Keyframe> {
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

fn len(place: &Range<u64>) -> u64 {
    place.end - place.start
}

/// Reads keyframes, in their order.
pub(crate) async fn fetch(source: &Source, keyframes: &[Keyframe]) -> Result<Vec<Bytes>, source::Error> {
    in_parallel(keyframes.iter().map(|keyframe| source.fetch(keyframe.range.clone())).collect()).await
}

/// Runs ffmpeg for the three pictures of each frame: the poster, the larger one, and one to judge it by.
async fn pictures(
    ffmpeg: &Path,
    input: &Input<'_>,
    filters: Filters,
    media_info: &MediaInfo,
    deadline: Instant,
) -> Result<(Vec<Frame>, Report), Error> {
    let frames = if matches!(input, Input::File(..)) { CANDIDATES.to_string() } else { "1".to_owned() };
    let graph = graph(filters, media_info.width);
    let jpeg = ["-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-f", "image2pipe"];
    let picture = |name| [&["-map", name, "-frames:v", &frames][..], &jpeg].concat();
    let (small, large) = (picture("[small]"), picture("[large]"));
    let pixels = ["-map", "[pixels]", "-frames:v", &frames, "-c:v", "rawvideo", "-f", "rawvideo"];
    let (outputs, stderr) = ffmpeg::run(ffmpeg, input, &graph, &[&small, &large, &pixels], deadline).await?;
    let Ok([small, large, pixels]) = <[Vec<u8>; 3]>::try_from(outputs) else {
        return Err(Error::Unreadable("not three outputs".to_owned()));
    };
    let frames = Frame::split(small, large, pixels);
    if frames.is_empty() {
        return Err(Error::Unreadable("no whole picture".to_owned()));
    }
    Ok((frames, report::parse(&stderr)))
}

/// The filters between a video and its `[large]` and `[small]` poster, and the `[pixels]` that are judged:
/// with them, ffmpeg makes the same picture of the same keyframe of the whole file.
#[must_use]
pub fn filters(index: &Index) -> String {
    graph(index.filters, index.media_info.width)
}

fn graph(filters: Filters, width: Option<u32>) -> String {
    let scaled = |across: u32| {
        // An even height, and none out of proportion.
        let half = across / 2;
        let size = format!("w={across}:h='clip(2*round({half}*ih/(iw*sar)),2,{})'", across * 6);
        filters.scale(&size, width.is_none_or(|width| width < across))
    };
    format!(
        "[0:V:0]{source},split[a][b];[a]{large}[large];[b]{small},split[small][c];\
         [c]scale={SMALL}:{SMALL}:flags=area,format=rgb24[pixels]",
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
    fn the_typical_come_first_and_the_poor_last() {
        let order = by_promise(keyframes(&[5, 900, 100, 120, 110, 2, 130, 90]));
        assert_eq!(sizes(&order), [110, 120, 130, 900, 100, 90, 5, 2]);
        assert_eq!(sizes(&by_promise(keyframes(&[7]))), [7]);
        assert_eq!(by_promise(Vec::new()), []);
    }

    #[test]
    fn a_budget_takes_one_at_least_and_all_at_most() {
        let mut left = keyframes(&[50, 40, 30]);
        assert_eq!(sizes(&within(&mut left, 10)), [50]);
        assert_eq!(sizes(&within(&mut left, 70)), [40, 30]);
        assert_eq!(within(&mut left, 70), []);
        let mut order = by_promise(keyframes(&[30, 20, 10]));
        assert_eq!(sizes(&within(&mut order, 60)), [30, 20, 10], "in the order of time");
    }
}
