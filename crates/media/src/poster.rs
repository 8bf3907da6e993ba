//! Makes a video's poster and collects its media info.
//!
//! If the container's index can be read, a few keyframes are fetched and decoded by one ffmpeg process, and the one
//! that shows most becomes the poster. For other containers, or if that fails, ffmpeg itself seeks in the object,
//! through the range server.

mod decode;

use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::container::unsupported_format;
use upreel_core::video::MediaInfo;

use self::decode::FromInput;
pub(crate) use self::decode::{Film, graph, outputs};
use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input};
use crate::frame::Frame;
use crate::index::{Index, Streams};
use crate::keyframe::{FrameData, HEAD, Keyframe};
use crate::report::Report;
use crate::source::{self, Source, in_parallel};

/// Keyframes to choose the poster from.
const CANDIDATES: usize = 8;
/// Bytes of keyframes to read at first: one keyframe of a large video, several of a small one.
const FIRST_BUDGET: u64 = 192 * 1024;
/// Bytes of keyframes to read if all of the first ones are black or flat.
const SECOND_BUDGET: u64 = 24 << 20;
/// If all keyframes are black or flat, every frame of this number is examined from one on.
const STEP: usize = 12;
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
        Err(error @ (Error::Fault(_) | Error::Gone | Error::TooComplex | Error::Encrypted)) => {
            return Err(error);
        }
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
        let keyframes = index.keyframes(self.source, CANDIDATES).await?;
        let middle = keyframes.get(keyframes.len() / 2).cloned();
        let mut candidates = by_expected_detail(keyframes);
        let mut found: Option<(Frame, Report)> = None;
        let mut failure = Error::Unreadable("no keyframe".to_owned());
        let mut size = None;
        for budget in [FIRST_BUDGET, SECOND_BUDGET] {
            let chosen: Vec<Keyframe> = take_within(&mut candidates, budget);
            if chosen.is_empty() || found.as_ref().is_some_and(|(frame, _)| !frame.is_dull()) {
                break;
            }
            let samples = fetch(self.source, &chosen).await?;
            // The size of a single keyframe counts only if there are no others, because theirs can differ.
            size = index.frame_size(&samples).filter(|_| chosen.len() > 1 || candidates.is_empty());
            let input = Input::File(index.wrapped(), index.wrap(samples));
            match self
                .decode(&input, Film::First, FromInput::First(CANDIDATES), index.filters, &index.media_info)
                .await
            {
                Ok((frames, report)) => {
                    let frames = frames.into_iter().map(|frame| (frame, report.clone()));
                    found = found.into_iter().chain(frames).max_by(|(a, _), (b, _)| by_score(a, b));
                }
                Err(error @ Error::Unreadable(_)) => failure = error,
                Err(error) if error.is_permanent() && found.is_some() => break,
                Err(error) => return Err(error),
            }
        }
        let Some((mut frame, mut report)) = found else { return Err(failure) };
        report.resize(size);
        // A film can fade in from its only keyframe.
        if let Some(keyframe) = middle.filter(|_| frame.is_dull()) {
            let input = index.starting_at(self.source, &keyframe).await?;
            let film = match input {
                Input::Object(..) => match self.report(&input).await {
                    Ok(report) => Film::find(&report, &index.streams()),
                    Err(error) if error.is_permanent() => Film::First,
                    Err(error) => return Err(error),
                },
                Input::File(..) | Input::Frames(..) => Film::First,
            };
            match self
                .decode(&input, film, FromInput::Every(STEP), report.filters(), &report.media_info)
                .await
            {
                Ok((frames, _)) => {
                    let better = frames.into_iter().max_by(by_score);
                    frame = better.filter(|better| better.score() > frame.score()).unwrap_or(frame);
                }
                Err(error) if error.is_permanent() => {}
                Err(error) => return Err(error),
            }
        }
        index.filters = report.filters();
        report.correct(&mut index.media_info);
        if let Some(head) = index.unexamined(self.source).await? {
            index.media_info = self.examine(head, &index).await?;
        }
        Ok(Some(poster(&frame, index.media_info.clone(), Some(index))))
    }

    /// Makes the poster without an index: ffmpeg seeks in the object.
    async fn by_seeking(&self) -> Result<Poster, Error> {
        let at = |seconds| Input::Object(self.container, self.source, seconds);
        let report = self.report(&at(None)).await?;
        let (film, known) = self.film(&report, &Streams::default()).await?;
        let (filters, length) = (known.filters(), known.media_info.duration_ms);
        // ffmpeg does not always seek to a keyframe, and shows frames whose references are missing. If there are no
        // keyframes, the first frame counts; it is better than none in a damaged file, too.
        let mut first = Err(Error::NoVideo);
        for (seconds, frames) in [
            (Some(FIRST_SEEK.to_owned()), FromInput::Keyframe),
            (None, FromInput::Keyframe),
            (Some(FIRST_SEEK.to_owned()), FromInput::First(1)),
            (None, FromInput::First(1)),
            (None, FromInput::Uncropped),
        ] {
            first = self.decode(&at(seconds), film, frames, filters, &known.media_info).await;
            let Err(Error::Unreadable(why)) = &first else { break };
            tracing::debug!(why, ?frames, "no frame");
        }
        let (frames, report) = first?;
        let mut best = frames.into_iter().next().ok_or(Error::Unreadable("no frame".to_owned()))?;
        #[expect(clippy::cast_precision_loss, reason = "the position need not be exact")]
        let seconds = |fraction: f64| Some(format!("{:.3}", length.unwrap_or(0) as f64 * fraction / 1000.0));
        let further = FURTHER_SEEKS.into_iter().filter(|_| length > Some(2000));
        let further = further.map(|fraction| (seconds(fraction), FromInput::Keyframe));
        // From the start of the file on, no frame lacks the frames that it refers to.
        for (seconds, frames) in further.chain([(None, FromInput::Every(STEP))]) {
            if !best.is_dull() {
                break;
            }
            match self.decode(&at(seconds), film, frames, report.filters(), &report.media_info).await {
                Ok((frames, _)) => {
                    let better = frames.into_iter().max_by(by_score);
                    best = better.filter(|frame| frame.score() > best.score()).unwrap_or(best);
                }
                // There already is a frame to fall back on.
                Err(error) if error.is_permanent() => {}
                Err(error) => return Err(error),
            }
        }
        let media_info = MediaInfo {
            duration_ms: length,
            frame_rate: report.media_info.frame_rate.or(report.guessed_rate),
            audio_codec: known.media_info.audio_codec,
            container: Some(self.container),
            ..report.media_info
        };
        Ok(poster(&best, media_info, None))
    }

    /// Returns ffmpeg's report on an input.
    async fn report(&self, input: &Input<'_>) -> Result<String, Error> {
        ffmpeg::report(self.ffmpeg, input, &self.budget, self.deadline).await
    }
}

fn by_score(a: &Frame, b: &Frame) -> Ordering {
    a.score().total_cmp(&b.score())
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
    keyframes.sort_by_key(Keyframe::bytes);
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
        bytes += keyframe.bytes();
        bytes <= budget
    });
    let count = fit.count().max(1).min(keyframes.len());
    let mut taken: Vec<Keyframe> = keyframes.drain(..count).collect();
    taken.sort_by_key(|keyframe| keyframe.time_ms);
    taken
}

/// Fetches the bytes of keyframes, in the given order.
pub(crate) async fn fetch(source: &Source, keyframes: &[Keyframe]) -> Result<Vec<FrameData>, source::Error> {
    let frames = keyframes.iter().map(|keyframe| async move {
        let ranges: Vec<Range<u64>> = keyframe.ranges().cloned().collect();
        let mut samples = source.fetch_all(&ranges).await?;
        let shown = samples.pop().unwrap_or_default();
        Ok(FrameData { lead_in: samples, shown })
    });
    in_parallel(frames.collect()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframes(sizes: &[u64]) -> Vec<Keyframe> {
        (0..).zip(sizes).map(|(time_ms, size)| Keyframe::new(time_ms, 0..*size)).collect()
    }

    fn sizes(keyframes: &[Keyframe]) -> Vec<u64> {
        keyframes.iter().map(Keyframe::bytes).collect()
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
