//! Makes the poster and the peaks of a file with audio alone, and collects its media info.
//!
//! One decode of all audio, in constant memory, is reduced to the [peaks](peaks::Peaks) of a waveform. The poster is the
//! cover art if it can be decoded, otherwise a [picture](picture) of the waveform.

mod peaks;
mod picture;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use upreel_core::Container;
use upreel_core::container::unsupported_format;
use upreel_core::video::{Kind, MediaInfo};

use self::peaks::Peaks;
use crate::child::Limits;
use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input, Pass};
use crate::filters::Filters;
use crate::frame::Frame;
use crate::inspect::{self, AudioAlone};
use crate::keyframe::HEAD;
use crate::poster::{Film, Poster, graph, outputs};
use crate::source::{Source, Stats};

/// Processor time for decoding all audio, in seconds: that of some nine hours of AAC or MP3. Longer audio has no peaks.
const DECODE_SECONDS: u64 = 75;
/// How long that may take, because S3 can be slow, and the time left for the rest.
const DECODE_TIMEOUT: Duration = Duration::from_secs(85);
const MARGIN: Duration = Duration::from_secs(20);
/// Processor time of all other runs of ffmpeg, in seconds.
const CPU_SECONDS: u64 = 30;
/// Pieces of decoded audio that wait to be reduced.
const PIECES: usize = 8;

/// What was made of a file with audio alone.
#[derive(Debug)]
pub struct Made {
    /// The cover art or the waveform as a poster, and the media info.
    pub poster: Poster,
    /// The peaks as JSON; `None` if decoding all audio would take too long.
    pub peaks: Option<Bytes>,
    /// The reads that this took.
    pub stats: Stats,
}

/// Makes the poster and the peaks of `source` with the `ffmpeg` program, which is killed at `deadline`.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object: [`Error::NoVideo`] if there is no audio, either.
pub async fn make(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Made, Error> {
    error::run("make the waveform", deadline, attempt(source, ffmpeg, deadline)).await
}

async fn attempt(source: &Arc<Source>, ffmpeg: &Path, deadline: Instant) -> Result<Made, Error> {
    let head = source.read(0..HEAD).await?;
    let container = Container::sniff(&head).or_else(|| Container::sniff_audio(&head));
    let container = container.ok_or_else(|| Error::Unsupported(unsupported_format(&head)))?;
    // The cover art of these formats is in the tag.
    let source = Arc::new(source.whole(container.is_audio()));
    let budget = Budget::new(CPU_SECONDS);
    let attempt = Attempt { source: &source, container, ffmpeg, budget, deadline };
    attempt.run().await
}

/// The arguments of an attempt.
struct Attempt<'a> {
    source: &'a Arc<Source>,
    container: Container,
    ffmpeg: &'a Path,
    budget: Budget,
    deadline: Instant,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Made, Error> {
        let report = ffmpeg::report(self.ffmpeg, &self.input(), &self.budget, self.deadline).await?;
        let decodable = inspect::decodable_codecs(self.ffmpeg, self.deadline).await?;
        let audio = inspect::audio_alone(&report, &decodable).ok_or(Error::NoVideo)?;
        let peaks = self.peaks(&audio).await?;
        let frame = match self.cover(&audio).await? {
            Some(cover) => cover,
            None => self.waveform(peaks.as_ref()).await?,
        };
        let media_info = MediaInfo {
            kind: Some(Kind::Audio),
            // For formats without an index, ffmpeg only estimates it.
            duration_ms: peaks.as_ref().map(Peaks::duration_ms).or(audio.duration_ms),
            audio_codec: Some(audio.codec),
            audio_channels: Some(audio.channels),
            audio_sample_rate: Some(audio.sample_rate),
            container: Some(self.container),
            ..MediaInfo::default()
        };
        let blur_hash = frame.blur_hash();
        let (jpeg, large, media_info) = (frame.jpeg, frame.large, media_info.plausible());
        Ok(Made {
            poster: Poster { jpeg, large, blur_hash, media_info, index: None },
            peaks: peaks.map(|peaks| peaks.json().into()),
            stats: self.source.stats(),
        })
    }

    fn input(&self) -> Input<'_> {
        Input::Object(self.container, self.source, None)
    }

    /// Decodes all audio. Returns `None` if that would take too long.
    async fn peaks(&self, audio: &AudioAlone) -> Result<Option<Peaks>, Error> {
        let (map, channels) = (format!("0:{}", audio.stream), audio.channels.to_string());
        let rate = audio.sample_rate.to_string();
        let output = ["-map", &map, "-ac", &channels, "-ar", &rate, "-c:a", "pcm_s16le", "-f", "s16le"];
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let limits = Limits { cpu_seconds: DECODE_SECONDS, ..Limits::FEW_FRAMES };
        let pass = Pass {
            // Each damaged frame would be reported.
            log_level: "fatal",
            options: &["-threads", "1"],
            graphs: &[],
            outputs: &[&output],
            streams: vec![sender],
            limits,
        };
        let input = self.input();
        let decode = ffmpeg::run_whole(self.ffmpeg, &input, pass, self.deadline);
        let reduce = async {
            let mut peaks = Peaks::new(audio.channels, audio.sample_rate);
            while let Some(piece) = pieces.recv().await {
                peaks.push(&piece);
            }
            peaks.finish()
        };
        let end = self.deadline.checked_sub(MARGIN).unwrap_or(self.deadline);
        let end = end.min(Instant::now() + DECODE_TIMEOUT);
        match timeout_at(end, join(decode, reduce)).await {
            Ok((Ok(_), peaks)) if peaks.is_empty() => Err(Error::Unreadable("no audio".to_owned())),
            Ok((Ok(_), peaks)) => Ok(Some(peaks)),
            // Some audio of a damaged file is better than none.
            Ok((Err(Error::Unreadable(why)), peaks)) if !peaks.is_empty() => {
                tracing::info!(why, "the audio is damaged");
                Ok(Some(peaks))
            }
            Ok((Err(Error::TooComplex), _)) | Err(_) => {
                tracing::warn!("decoding all audio takes too long, so there are no peaks");
                Ok(None)
            }
            Ok((Err(error), _)) => Err(error),
        }
    }

    /// Decodes the cover art. Returns `None` if there is none, or if it is damaged.
    async fn cover(&self, audio: &AudioAlone) -> Result<Option<Frame>, Error> {
        let Some((stream, has_alpha)) = audio.cover else { return Ok(None) };
        let filters = Filters::of_video(&MediaInfo::default(), has_alpha);
        match self.frame(&self.input(), Film::Stream(stream), filters).await {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if error.is_permanent() => {
                tracing::info!(%error, "the cover art cannot be decoded");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Draws the waveform, which is a line if there are no peaks.
    async fn waveform(&self, peaks: Option<&Peaks>) -> Result<Frame, Error> {
        let levels = peaks.map_or_else(|| vec![0.0; picture::BARS], |peaks| peaks.levels(picture::BARS));
        let input = Input::Frames(picture::SIZE, vec![picture::draw(&levels)]);
        self.frame(&input, Film::First, Filters::default()).await
    }

    async fn frame(&self, input: &Input<'_>, film: Film, filters: Filters) -> Result<Frame, Error> {
        let graph = graph(film, "", filters, None);
        let made = outputs(self.ffmpeg, input, &[], &graph, "1", &self.budget, self.deadline).await?;
        let ([small, large, pixels], _) = made;
        let frame = Frame::split(small, large, pixels).into_iter().next();
        frame.ok_or_else(|| Error::Unreadable("no complete picture".to_owned()))
    }
}
