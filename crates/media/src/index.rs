//! The index of a container, read by byte ranges: media info and the location of the keyframes.
//!
//! The readers [`mp4`](crate::mp4) and [`matroska`](crate::matroska) cover the formats that people upload. They read
//! only the tables that lead to a keyframe, whatever the object's size, and wrap keyframes as a small file for
//! ffmpeg's standard input.

mod chunks;
mod nearest;
mod streams;

use std::sync::Arc;

use bytes::Bytes;
use upreel_core::Container;
use upreel_core::video::MediaInfo;

pub use self::streams::{AudioTrack, StreamId, Streams};
use crate::ffmpeg::Input;
use crate::filters::Filters;
use crate::keyframe::{Error, FrameData, Keyframe};
use crate::remux::{Media, Outline, Refusal, Unplayable};
use crate::source::{self, Source};
use crate::text::{self, LeftOut};
use crate::{avi, matroska, mp4, nal, stream, vpx};

use self::nearest::retain_readable;

/// Largest index that is read ahead, in bytes: that of twelve hours.
const MAX_PRELOADED: u64 = 64 << 20;
/// Bytes at the start of an object that ffmpeg examines.
const UNEXAMINED: u64 = 1 << 20;
/// Bytes to read from a keyframe on in search of a frame that shows more.
const MAX_RUN: u64 = 8 << 20;

/// The index of one object.
#[derive(Debug)]
pub struct Index {
    /// The media info from the index.
    pub media_info: MediaInfo,
    /// The filters that its frames need.
    pub(crate) filters: Filters,
    track: Track,
}

#[derive(Debug)]
enum Track {
    Mp4(Box<mp4::Track>),
    Matroska(matroska::Track),
    Avi(avi::Track),
    Stream(Box<stream::Track>),
}

impl Index {
    /// Reads the index of an object of the given container format. Returns `None` if there is no reader for it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(source: &Source, container: Container) -> Result<Option<Self>, Error> {
        let (mut media_info, track) = match container {
            Container::Mp4 | Container::Mov | Container::ThreeGp => {
                let (media_info, track) = mp4::open(source).await?;
                (media_info, Track::Mp4(Box::new(track)))
            }
            Container::Webm | Container::Mkv => {
                let (media_info, track) = matroska::open(source).await?;
                (media_info, Track::Matroska(track))
            }
            Container::Avi => {
                let (media_info, track) = avi::open(source).await?;
                (media_info, Track::Avi(track))
            }
            _ => match stream::open(source, container).await? {
                Some((media_info, track)) => (media_info, Track::Stream(Box::new(track))),
                None => return Ok(None),
            },
        };
        media_info = MediaInfo { container: Some(container), ..media_info.plausible() };
        let filters = Filters::of_video(&media_info, false);
        Ok(Some(Self { media_info, filters, track }))
    }

    /// Reads a large index whole, before it is opened for [`Index::remux`]: that needs all of it, and reading it in pieces side
    /// by side takes fewer requests than what leads to a few keyframes. An index that cannot be found is left to `open`.
    ///
    /// # Errors
    /// Fails if the object cannot be read.
    pub async fn preload(source: &Source, container: Container) -> Result<(), source::Error> {
        if !matches!(container, Container::Mp4 | Container::Mov | Container::ThreeGp) {
            return Ok(());
        }
        match mp4::preload(source, MAX_PRELOADED).await {
            Err(Error::Source(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns at most `n` keyframes, spread evenly over the video, in presentation order.
    ///
    /// Divides the video into `n` equal spans and takes the keyframe nearest to the middle of each. Returns fewer
    /// than `n` if several spans share one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let mut keyframes = match &self.track {
            Track::Mp4(track) => track.keyframes(source, n).await?,
            Track::Matroska(track) => track.keyframes(source, n).await?,
            Track::Avi(track) => track.keyframes(source, n).await?,
            Track::Stream(track) => track.keyframes(source, n).await?,
        };
        retain_readable(&mut keyframes, source.size());
        Ok(keyframes)
    }

    /// Returns the streams to present. The keyframes are those of the same film.
    #[must_use]
    pub fn streams(&self) -> Streams {
        let streams = match &self.track {
            Track::Mp4(track) => track.streams(),
            Track::Matroska(track) => track.streams(),
            Track::Avi(track) => Streams { film: Some(track.stream), ..Streams::default() },
            Track::Stream(track) => track.streams(),
        };
        Streams { color_transfer: self.media_info.color_transfer.clone(), ..streams }
    }

    /// Lists all samples that are presented, or tells why players cannot play them.
    pub(crate) async fn media(&self, source: &Source) -> Result<Media, Unplayable> {
        match &self.track {
            Track::Mp4(track) => track.media(source).await,
            Track::Matroska(track) => track.media(source, &self.media_info).await,
            Track::Avi(_) | Track::Stream(_) => Err(Refusal("CONTAINER").into()),
        }
    }

    /// Tells what is known about the film without listing its samples, if the container does not list them.
    pub(crate) async fn outline(&self, source: &Source) -> Result<Option<Outline>, Unplayable> {
        let Track::Matroska(track) = &self.track else { return Ok(None) };
        track.outline(source, &self.media_info).await.map(Some)
    }

    /// Lists the text tracks whose format is known.
    pub(crate) async fn listed_text(&self, source: &Source) -> Result<Vec<text::Listed>, source::Error> {
        match &self.track {
            Track::Mp4(track) => {
                track.listed_text(source, self.media_info.container == Some(Container::Mov)).await
            }
            Track::Matroska(track) => Ok(track.listed_text()),
            Track::Avi(_) | Track::Stream(_) => Ok(Vec::new()),
        }
    }

    /// Returns where the texts of a track are.
    pub(crate) async fn text_samples(
        &self,
        source: &Source,
        number: u64,
    ) -> Result<Result<Vec<text::Sample>, LeftOut>, source::Error> {
        match &self.track {
            Track::Mp4(track) => track.text_samples(source, number).await,
            Track::Matroska(track) => track.text_samples(source, number).await,
            Track::Avi(_) | Track::Stream(_) => Ok(Err(LeftOut::NoIndex)),
        }
    }

    /// Returns a text as its format has it.
    pub(crate) fn decoded_text(&self, number: u64, block: text::Block) -> Option<text::Block> {
        match &self.track {
            Track::Matroska(track) => track.decode_text(number, block),
            Track::Mp4(_) | Track::Avi(_) | Track::Stream(_) => Some(block),
        }
    }

    /// Returns the start of the object if only ffmpeg can tell its properties.
    pub(crate) async fn unexamined(&self, source: &Source) -> Result<Option<Bytes>, source::Error> {
        match &self.track {
            Track::Avi(_) | Track::Stream(_) => Ok(Some(source.read(0..UNEXAMINED).await?)),
            Track::Mp4(_) | Track::Matroska(_) => Ok(None),
        }
    }

    /// Returns whether the object consists of several recordings. What ffmpeg measures across them is wrong.
    pub(crate) fn is_joined(&self) -> bool {
        matches!(&self.track, Track::Stream(track) if track.is_joined())
    }

    /// Returns an input for ffmpeg that begins with a keyframe and goes on with the frames after it.
    pub(crate) async fn starting_at<'a>(
        &self,
        source: &'a Arc<Source>,
        keyframe: &Keyframe,
    ) -> Result<Input<'a>, source::Error> {
        let Track::Stream(track) = &self.track else {
            // Without an exact index, ffmpeg finds nothing at 0.
            let seconds = (keyframe.time_ms > 0)
                .then(|| format!("{}.{:03}", keyframe.time_ms / 1000, keyframe.time_ms % 1000));
            return Ok(Input::Object(self.wrapped(), source, seconds));
        };
        let start = keyframe.range.start;
        let slice = source.fetch(start..start.saturating_add(MAX_RUN)).await?;
        Ok(Input::File(self.wrapped(), track.wrap_on(&slice)))
    }

    /// Returns whether a decoder returns the frame of a keyframe before it gets the next one. One that can reorder frames
    /// does not if they are wrapped as AVI does, without presentation times, and mixes up those keyframes of H.264 that
    /// are recovery points instead of IDR pictures.
    pub(crate) fn is_independent(&self, frame: &FrameData) -> bool {
        let reorders = ["h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vc1", "wmv3"];
        let presented = match &self.track {
            Track::Avi(_) => false,
            Track::Stream(track) => track.is_wrapped_with_presentation_times(),
            Track::Mp4(_) | Track::Matroska(_) => true,
        };
        match (presented, self.media_info.video_codec.as_deref()) {
            (false, codec) => codec.is_some_and(|codec| !reorders.contains(&codec)),
            (true, Some("h264")) => {
                self.wrap(vec![frame.clone()]).last().is_none_or(|frame| nal::has_idr(frame))
            }
            _ => true,
        }
    }

    /// Returns the size in pixels that the keyframes themselves state, if all of them state the same one. Only frames
    /// of VP8 and VP9 are examined; their containers can state another size.
    pub(crate) fn frame_size(&self, frames: &[FrameData]) -> Option<(u32, u32)> {
        let size = match self.media_info.video_codec.as_deref()? {
            "vp8" => vpx::vp8_size,
            "vp9" => vpx::vp9_size,
            _ => return None,
        };
        let mut sizes = frames.iter().map(|frame| size(self.wrap(vec![frame.clone()]).last()?));
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }

    /// Returns the format of the file that [`Index::wrap`] returns.
    pub(crate) fn wrapped(&self) -> Container {
        match (&self.track, self.media_info.container) {
            (Track::Stream(_), _) => Container::Mkv,
            (_, container) => container.unwrap_or(Container::Mp4),
        }
    }

    /// Wraps keyframes as a file for ffmpeg, returned in pieces. Each keyframe lasts one second.
    #[must_use]
    pub fn wrap(&self, frames: Vec<FrameData>) -> Vec<Bytes> {
        match &self.track {
            Track::Mp4(track) => track.wrap(frames),
            Track::Matroska(track) => track.wrap(&shown(frames)),
            Track::Avi(track) => track.wrap(shown(frames)),
            Track::Stream(track) => track.wrap(&shown(frames)),
        }
    }
}

fn shown(frames: Vec<FrameData>) -> Vec<Bytes> {
    frames.into_iter().map(|frame| frame.shown).collect()
}
