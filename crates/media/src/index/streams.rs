//! The choice of the streams to present.

use std::time::Duration;

/// The streams to present, as the index chooses them. ffmpeg's report chooses what is missing here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Streams {
    /// The video stream that shows the film.
    pub film: Option<StreamId>,
    /// The audio streams that belong to the film, the one to play by default first. Empty if the index does not tell.
    pub audio: Vec<AudioTrack>,
    /// The duration of the audio before the start of the presentation, in a container without cut points. An encoder
    /// added this audio as a delay, and it is not presented.
    pub padding: Duration,
    /// `FFmpeg`'s name for the transfer characteristics of the film that the container states.
    pub color_transfer: Option<String>,
}

/// How ffmpeg identifies a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamId {
    /// By the ID of the track in the container.
    Id(u32),
    /// By its position among all streams, from 0, because ffmpeg does not report the IDs of this container.
    Position(u32),
}

/// An audio stream, as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTrack {
    /// Its stream in ffmpeg.
    pub stream: StreamId,
    /// The language as a BCP 47 tag or an ISO 639-2 code, if it is known.
    pub language: Option<String>,
}

impl AudioTrack {
    pub(crate) const fn new(stream: StreamId) -> Self {
        Self { stream, language: None }
    }
}
