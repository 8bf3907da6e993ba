//! The common interface of the readers of containers without an index.

use bytes::Bytes;
use upreel_core::Container;

use super::asf::WindowsMedia;
use super::elementary::Codec;
use super::flv::{self, FlashVideo};
use super::ogg::{self, OggVideo};
use super::packets::{Elementary, Found};
use super::ps::{self, ProgramStream};
use super::raw::{self, Untimed};
use super::timeline::{Pace, Stamp};
use super::ts::{Missing, TransportStream};
use crate::index::Streams;
use crate::keyframe::Error;
use crate::matroska;

/// A video stream in a container.
#[derive(Debug)]
pub(super) enum Stream {
    Transport(TransportStream),
    Program(ProgramStream),
    /// MPEG-1 or MPEG-2 in no container.
    Raw(Untimed),
    Flash(FlashVideo),
    WindowsMedia(WindowsMedia),
    Ogg(OggVideo),
}

impl Stream {
    /// Finds the video in the start of a file. Returns `None` if there is no reader for the container.
    pub(super) fn find(head: &[u8], container: Container) -> Result<Option<Self>, Error> {
        const UNKNOWN: Error = Error::Unknown("no video stream with a codec that the reader knows");
        Ok(Some(match container {
            Container::MpegTs => match TransportStream::find(head) {
                Ok(stream) => Self::Transport(stream),
                Err(Missing::Video) => return Err(UNKNOWN),
                Err(Missing::Encrypted) => return Err(Error::Encrypted),
            },
            Container::MpegPs if ps::is_scrambled(head) => return Err(Error::Encrypted),
            Container::MpegPs => Self::Program(ProgramStream::find(head).ok_or(UNKNOWN)?),
            Container::MpegVideo => {
                Self::Raw(Untimed::measure(&Elementary::plain(head), Codec::Mpeg2).ok_or(UNKNOWN)?)
            }
            Container::Flv => Self::Flash(FlashVideo::find(head).ok_or(UNKNOWN)?),
            Container::Wmv if WindowsMedia::is_encrypted(head) => return Err(Error::Encrypted),
            Container::Wmv => Self::WindowsMedia(WindowsMedia::find(head).ok_or(UNKNOWN)?),
            Container::Ogg => match OggVideo::find(head) {
                Some(stream) => Self::Ogg(stream),
                None if ogg::is_audio_alone(head) => return Err(Error::NoVideo),
                None => return Err(UNKNOWN),
            },
            _ => return Ok(None),
        }))
    }

    /// Returns the number of the stream in timestamps.
    pub(super) fn number(&self) -> u16 {
        match self {
            Self::Transport(stream) => stream.video,
            Self::Program(stream) => stream.untimed.map_or(stream.video, |_| Untimed::STREAM),
            Self::Raw(_) => Untimed::STREAM,
            Self::Flash(_) => flv::VIDEO.into(),
            Self::WindowsMedia(stream) => stream.video,
            Self::Ogg(_) => 0,
        }
    }

    /// Returns the frames per second that a header in the start of the file states, as a fraction.
    pub(super) fn frame_rate(&self, head: &[u8]) -> Option<(u64, u64)> {
        match self {
            Self::Transport(stream) if stream.codec == Codec::Mpeg2 => {
                raw::frame_rate(&stream.demux(head).bytes)
            }
            Self::Program(stream) if stream.codec == Codec::Mpeg2 => {
                raw::frame_rate(&stream.demux(head).bytes)
            }
            Self::Raw(_) => raw::frame_rate(head),
            Self::Ogg(stream) => Some(stream.frame_rate()),
            _ => None,
        }
    }

    /// Returns the duration of a frame, in ticks, if the start of the file states it, or if it has to be counted because
    /// not every frame has a timestamp.
    pub(super) fn frame(&self, head: &[u8]) -> Option<i64> {
        self.frame_rate(head).map(raw::ticks).or_else(|| match self {
            Self::Transport(stream) => stream.demux(head).frame(stream.codec),
            Self::Program(stream) => stream.demux(head).frame(stream.codec),
            _ => None,
        })
    }

    /// Measures the pace of the video in timestamps of the start of the file.
    pub(super) fn pace(&self, stamps: &[Stamp], head: &[u8]) -> Pace {
        let pace = Pace::measure(stamps, self.number());
        Pace { frame: self.frame(head).unwrap_or(pace.frame), ..pace }
    }

    /// Returns the codec, by the start of the file.
    pub(super) fn codec(&self, head: &[u8]) -> matroska::Codec {
        match self {
            Self::Transport(stream) => stream.codec.in_matroska(&stream.demux(head).bytes),
            Self::Program(stream) => stream.codec.in_matroska(&stream.demux(head).bytes),
            Self::Raw(_) => Codec::Mpeg2.in_matroska(head),
            Self::Flash(stream) => stream.codec.clone(),
            Self::WindowsMedia(stream) => stream.codec.clone(),
            Self::Ogg(stream) => stream.codec.clone(),
        }
    }

    /// Returns the keyframes and timestamps in a slice at an offset of the file. `frame` is the duration of a frame in
    /// ticks, by which those without a timestamp are counted. `at_end` says that the file ends with the slice.
    pub(super) fn scan(
        &self,
        slice: &[u8],
        offset: u64,
        frame: i64,
        at_end: bool,
    ) -> (Vec<Found>, Vec<Stamp>) {
        let elementary =
            |elementary: Elementary, codec| elementary.timed(codec, self.number(), frame, at_end);
        match self {
            Self::Transport(stream) => elementary(stream.demux(slice), stream.codec),
            Self::Program(stream) => match stream.untimed {
                Some(untimed) => untimed.scan(&stream.demux(slice), offset, at_end),
                None => elementary(stream.demux(slice), stream.codec),
            },
            Self::Raw(untimed) => untimed.scan(&Elementary::plain(slice), offset, at_end),
            Self::Flash(_) => FlashVideo::scan(slice),
            Self::WindowsMedia(stream) => stream.scan(slice, offset),
            Self::Ogg(stream) => stream.scan(slice, offset),
        }
    }

    /// Returns the frames in a slice that begins with a keyframe. `at_end` says that the last one ends with the slice.
    pub(super) fn frames(&self, slice: &[u8], at_end: bool) -> Vec<Bytes> {
        let elementary = |elementary: Elementary, codec| {
            let frames = elementary.units_from_keyframe(codec, at_end);
            frames.into_iter().map(Bytes::copy_from_slice).collect()
        };
        match self {
            Self::Transport(stream) => elementary(stream.demux(slice), stream.codec),
            Self::Program(stream) => elementary(stream.demux(slice), stream.codec),
            Self::Raw(_) => elementary(Elementary::plain(slice), Codec::Mpeg2),
            Self::Flash(_) => FlashVideo::frames(slice).into_iter().map(Bytes::copy_from_slice).collect(),
            Self::WindowsMedia(stream) => stream.frames(slice).into_iter().map(Bytes::from).collect(),
            Self::Ogg(stream) => stream.frames(slice).into_iter().map(Bytes::from).collect(),
        }
    }

    /// Returns the streams to present, as far as the container tells.
    pub(super) fn streams(&self) -> Streams {
        match self {
            Self::Transport(stream) => stream.streams(),
            Self::Program(stream) => stream.streams(),
            _ => Streams::default(),
        }
    }
}
