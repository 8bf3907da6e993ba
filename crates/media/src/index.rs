//! What a container's own index says, read by ranges: facts, and where the keyframes are.
//!
//! Two readers know the formats that people upload: [`mp4`](crate::mp4) and
//! [`matroska`](crate::matroska). They read the few tables that a keyframe takes, however large the
//! object, and wrap the keyframe as a file of its own for ffmpeg's standard input.

use bytes::Bytes;
use upreel_core::Container;
use upreel_core::video::MediaInfo;

use crate::filters::Filters;
use crate::keyframe::{CutPoints, Error, Keyframe};
use crate::source::Source;
use crate::{matroska, mp4};

/// A larger picture is left to ffmpeg, which reads it piece by piece; an uncompressed one in 4K has less.
const MAX_KEYFRAME: u64 = 36 << 20;

/// The index of one object.
#[derive(Debug)]
pub struct Index {
    /// What it says of the video.
    pub media_info: MediaInfo,
    /// How its pictures are to be treated.
    pub(crate) filters: Filters,
    track: Track,
}

#[derive(Debug)]
enum Track {
    Mp4(Box<mp4::Track>),
    Matroska(matroska::Track),
}

impl Index {
    /// Reads the index of an object whose bytes say `container`; `None` if there is no reader for that.
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
            _ => return Ok(None),
        };
        media_info.container = Some(container);
        let filters = Filters::of(media_info.color_transfer.as_deref(), false);
        Ok(Some(Self { media_info, filters, track }))
    }

    /// At most `n` keyframes, spread evenly over the video, in the order of time.
    ///
    /// The video is cut into `n` equal spans; each gives the keyframe nearest to its middle. Several spans
    /// may have the same one, so there may be fewer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let mut keyframes = match &self.track {
            Track::Mp4(track) => track.keyframes(source, n).await?,
            Track::Matroska(track) => track.keyframes(source, n).await?,
        };
        let size = source.size();
        keyframes.retain(|Keyframe { range, .. }| {
            range.start < range.end && range.end <= size && range.end - range.start <= MAX_KEYFRAME
        });
        Ok(keyframes)
    }

    /// When all the keyframes are shown; `None` if the index does not tell.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        let cuts = match &self.track {
            Track::Mp4(track) => track.cuts(source).await?,
            Track::Matroska(track) => track.cuts(source).await?,
        };
        Ok(cuts.map(|mut cuts| {
            cuts.times.sort_unstable();
            cuts.times.dedup();
            cuts
        }))
    }

    /// A file that holds only these keyframes, as it is to be fed to ffmpeg, piece by piece. Each is shown
    /// for a second.
    #[must_use]
    pub fn wrap(&self, samples: Vec<Bytes>) -> Vec<Bytes> {
        match &self.track {
            Track::Mp4(track) => track.wrap(samples),
            Track::Matroska(track) => track.wrap(samples),
        }
    }
}
