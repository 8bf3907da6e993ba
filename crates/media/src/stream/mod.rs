//! Reads containers without an index of their keyframes: a slice of the file tells which keyframes are in it.
//!
//! Small files are read as a whole. Of large ones, slices at evenly spaced offsets are read until each has a keyframe or
//! the budget is used up. The keyframes are wrapped as Matroska, without the packets of the container.

mod bits;
mod elementary;
mod packets;
mod ps;
mod timeline;
mod ts;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use upreel_core::Container;
use upreel_core::video::MediaInfo;

use self::elementary::Codec;
use self::packets::{Elementary, Found};
use self::ps::ProgramStream;
use self::timeline::{Pace, Stamp, Timeline};
use self::ts::{Missing, TransportStream};
use crate::keyframe::{Error, Keyframe, interleaved};
use crate::matroska;
use crate::source::{self, Source, in_parallel};

/// The first read of a file. It has to contain the description of the streams.
const HEAD: u64 = 1 << 20;
const HEAD_SEARCH: usize = 4 << 20;
/// The last read of a file, which tells the duration.
const TAIL: u64 = 256 << 10;
/// Files up to this size are read as a whole.
const WHOLE: u64 = 12 << 20;
/// The sizes to which a slice grows while no keyframe is found in it.
const SLICES: [u64; 7] = [128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20];
/// Bytes read for 100 keyframes, and the minimum for a few.
const BUDGET: u64 = 30 << 20;
const LEAST_BUDGET: u64 = 6 << 20;
/// Slices read at the same time.
const PARALLEL: usize = 4;

/// A video stream in a container.
#[derive(Debug)]
enum Stream {
    Transport(TransportStream),
    Program(ProgramStream),
}

impl Stream {
    /// Finds the video in the start of a file. Returns `None` if there is no reader for the container.
    fn find(head: &[u8], container: Container) -> Result<Option<Self>, Error> {
        match container {
            Container::MpegTs => match TransportStream::find(head) {
                Ok(stream) => Ok(Some(Self::Transport(stream))),
                Err(Missing::Video) => Err(Error::Unknown("no video with a known codec in the program maps")),
                Err(Missing::Encrypted) => Err(Error::Unknown("the video is encrypted")),
            },
            Container::MpegPs => {
                let stream = ProgramStream::find(head).ok_or(Error::Unknown("no packets of video"))?;
                Ok(Some(Self::Program(stream)))
            }
            _ => Ok(None),
        }
    }

    const fn video(&self) -> (u16, Codec) {
        match self {
            Self::Transport(stream) => (stream.video, stream.codec),
            Self::Program(stream) => (stream.video, stream.codec),
        }
    }

    fn demux(&self, slice: &[u8]) -> Elementary {
        match self {
            Self::Transport(stream) => stream.demux(slice),
            Self::Program(stream) => stream.demux(slice),
        }
    }
}

/// A video stream in a container, and what is known about its timestamps.
#[derive(Debug)]
pub(crate) struct Track {
    stream: Stream,
    codec: matroska::Codec,
    size: u64,
    /// The timestamps of the start and the end of the file.
    stamps: Vec<Stamp>,
    pace: Pace,
    duration_ms: Option<u64>,
}

/// The keyframes and timestamps of a slice. Their offsets count from the start of the file.
#[derive(Debug, Default)]
struct Slice {
    keyframes: Vec<(u64, Range<u64>)>,
    stamps: Vec<Stamp>,
}

pub(crate) async fn open(source: &Source, container: Container) -> Result<Option<(MediaInfo, Track)>, Error> {
    if !matches!(container, Container::MpegTs | Container::MpegPs) {
        return Ok(None);
    }
    let size = source.size();
    let whole = size <= WHOLE;
    let head = source.read(0..if whole { size } else { HEAD }).await?;
    let Some(stream) = Stream::find(&head[..head.len().min(HEAD_SEARCH)], container)? else {
        return Ok(None);
    };
    let (video, codec) = stream.video();
    let elementary = stream.demux(&head);
    let pace = Pace::measure(&elementary.stamps, video);
    let private = Bytes::copy_from_slice(codec.headers(&elementary.bytes));
    let mut stamps = elementary.stamps;
    if !whole {
        let start = size.saturating_sub(TAIL).max(HEAD);
        let tail = source.fetch(start..size).await?;
        stamps.extend(from(start, &stream.demux(&tail)));
    }
    let duration_ms = Timeline::new(&stamps, pace).duration_ms();
    let media_info =
        MediaInfo { duration_ms, video_codec: Some(codec.name().to_owned()), ..MediaInfo::default() };
    let codec = matroska::Codec { id: codec.matroska_id(), private, size: (0, 0) };
    Ok(Some((media_info, Track { stream, codec, size, stamps, pace, duration_ms })))
}

impl Track {
    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        if self.size <= WHOLE {
            let bytes = source.read(0..self.size).await?;
            let slice = self.slice(&bytes, 0, true);
            let keyframes = self.timed(vec![slice]);
            let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
            let duration = self.duration_ms.or(times.last().copied()).unwrap_or(0);
            let chosen = matroska::spread(&times, duration, n).into_iter();
            return Ok(chosen.filter_map(|i| keyframes.get(i).cloned()).collect());
        }
        let budget = (BUDGET / 100).saturating_mul(n as u64).clamp(LEAST_BUDGET, BUDGET);
        let limit = source.stats().bytes.saturating_add(budget);
        let mut slices = Vec::new();
        for offsets in interleaved(matroska::middles(self.size, n.min(100)).collect()).chunks(PARALLEL) {
            if source.stats().bytes >= limit {
                break;
            }
            let probes = offsets.iter().map(|offset| self.probe(source, *offset)).collect();
            slices.extend(in_parallel(probes).await?);
        }
        let mut keyframes = self.timed(slices);
        keyframes.dedup_by(|a, b| a.range == b.range);
        Ok(keyframes)
    }

    /// Returns the start of the file.
    pub(crate) async fn head(&self, source: &Source) -> Result<Bytes, source::Error> {
        source.read(0..HEAD).await
    }

    /// Returns the first keyframe after an offset, if it is near, and the timestamps around it.
    async fn probe(&self, source: &Source, offset: u64) -> Result<Slice, source::Error> {
        let mut read = BytesMut::new();
        let mut slice = Slice::default();
        for len in SLICES {
            let end = offset.saturating_add(len).min(self.size);
            // Not cached, because that would evict the index.
            read.extend_from_slice(&source.fetch(offset + read.len() as u64..end).await?);
            slice = self.slice(&read, offset, end == self.size);
            slice.keyframes.truncate(1);
            if !slice.keyframes.is_empty() || end == self.size {
                break;
            }
        }
        Ok(slice)
    }

    fn slice(&self, bytes: &[u8], offset: u64, at_end: bool) -> Slice {
        let elementary = self.stream.demux(bytes);
        let found = elementary.keyframes(self.stream.video().1, at_end);
        let frame = self.pace.frame.unsigned_abs();
        let keyframes = found.into_iter().map(|Found { pts, frames, range: (start, end) }| {
            (pts.saturating_add(frames.saturating_mul(frame)), offset + start as u64..offset + end as u64)
        });
        Slice { keyframes: keyframes.collect(), stamps: from(offset, &elementary) }
    }

    /// Returns the keyframes of slices with their playing times, in their order.
    fn timed(&self, slices: Vec<Slice>) -> Vec<Keyframe> {
        let mut stamps = self.stamps.clone();
        stamps.extend(slices.iter().flat_map(|slice| slice.stamps.iter().copied()));
        stamps.sort_by_key(|stamp| stamp.at);
        stamps.dedup();
        let timeline = Timeline::new(&stamps, self.pace);
        let keyframes = slices.into_iter().flat_map(|slice| slice.keyframes);
        let mut keyframes: Vec<Keyframe> =
            keyframes.map(|(pts, range)| Keyframe::new(timeline.time_ms(range.start, pts), range)).collect();
        keyframes.sort_by_key(|keyframe| keyframe.time_ms);
        keyframes
    }

    /// Wraps the frames that follow from the start of a keyframe on, which a decoder returns in their order.
    pub(crate) fn wrap_on(&self, slice: &[u8]) -> Vec<Bytes> {
        let elementary = self.stream.demux(slice);
        let frames = elementary.units_from_keyframe(self.stream.video().1);
        self.codec.wrap(frames.into_iter().map(|frame| Some(Bytes::copy_from_slice(frame))))
    }

    /// See [`Index::wrap`](crate::Index::wrap).
    pub(crate) fn wrap(&self, samples: &[Bytes]) -> Vec<Bytes> {
        self.codec.wrap(samples.iter().map(|sample| {
            let elementary = self.stream.demux(sample);
            elementary.first_keyframe(self.stream.video().1).map(Bytes::copy_from_slice)
        }))
    }
}

fn from(offset: u64, elementary: &Elementary) -> Vec<Stamp> {
    elementary.stamps.iter().map(|stamp| Stamp { at: stamp.at + offset, ..*stamp }).collect()
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{Program, program_stream, source, transport_stream};
    use super::*;

    async fn open_all(bytes: Vec<u8>, container: Container) -> (MediaInfo, Vec<Keyframe>, Vec<Bytes>) {
        let source = source(bytes);
        let (media_info, track) = open(&source, container).await.unwrap().unwrap();
        let keyframes = track.keyframes(&source, 100).await.unwrap();
        let mut samples = Vec::new();
        for keyframe in &keyframes {
            samples.push(source.fetch(keyframe.range.clone()).await.unwrap());
        }
        // Every second piece is a frame.
        let frames = track.wrap(&samples).into_iter().skip(2).step_by(2).collect();
        (media_info, keyframes, frames)
    }

    fn times(keyframes: &[Keyframe]) -> Vec<u64> {
        keyframes.iter().map(|keyframe| keyframe.time_ms).collect()
    }

    #[tokio::test]
    async fn reads_transport_streams_of_any_packet_length_from_any_byte() {
        let film = Program::film(100, 25);
        for (before, after) in [(0, 0), (4, 0), (0, 16)] {
            for missing in [0, 59, 190] {
                let bytes = transport_stream(&[&film], (before, after)).split_off(missing);
                let (media_info, keyframes, frames) = open_all(bytes, Container::MpegTs).await;
                assert_eq!(media_info.video_codec.as_deref(), Some("h264"));
                assert_eq!(
                    (media_info.duration_ms, times(&keyframes)),
                    (Some(4000), vec![0, 1000, 2000, 3000])
                );
                assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(film.frame(n))), "{before} {missing}");
            }
        }
    }

    #[tokio::test]
    async fn the_video_with_most_packets_counts() {
        let (still, film) = (Program { size: 20, ..Program::film(10, 10) }, Program::film(100, 50));
        let bytes = transport_stream(&[&still, &film], (0, 0));
        let (media_info, keyframes, frames) = open_all(bytes, Container::MpegTs).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 2000]));
        assert_eq!(frames[0], film.frame(0));
    }

    #[tokio::test]
    async fn recordings_that_were_joined_play_one_after_the_other() {
        let film = Program::film(100, 50);
        let bytes = transport_stream(&[&film], (4, 0)).repeat(3);
        let (media_info, keyframes, _) = open_all(bytes, Container::MpegTs).await;
        assert_eq!(media_info.duration_ms, Some(12_000));
        assert_eq!(times(&keyframes), [0, 2000, 4000, 6000, 8000, 10_000]);
    }

    #[tokio::test]
    async fn encrypted_packets_are_not_shown() {
        let bytes = transport_stream(&[&Program { scrambled: true, ..Program::film(100, 25) }], (0, 0));
        let opened = open(&source(bytes), Container::MpegTs).await;
        assert!(matches!(opened, Err(Error::Unknown("the video is encrypted"))), "{opened:?}");
    }

    #[tokio::test]
    async fn reads_program_streams() {
        let film = Program::film(100, 25);
        let (media_info, keyframes, frames) = open_all(program_stream(&film), Container::MpegPs).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(film.frame(n))));
    }

    #[tokio::test]
    async fn a_large_file_is_read_in_slices() {
        // 40 MB, with a keyframe of 20 kB every 0.4 MB.
        let film = Program { size: 20_000, ..Program::film(2000, 20) };
        let source = source(transport_stream(&[&film], (0, 0)));
        let (media_info, track) = open(&source, Container::MpegTs).await.unwrap().unwrap();
        assert_eq!((media_info.duration_ms, source.stats().requests), (Some(80_000), 2));
        for (n, most) in [(8, 7 << 20), (80, 27 << 20)] {
            let before = source.stats().bytes;
            let keyframes = track.keyframes(&source, n).await.unwrap();
            assert!(keyframes.len() > n * 2 / 3, "{} of {n}", keyframes.len());
            assert!(keyframes.iter().all(|keyframe| keyframe.time_ms % 800 == 0), "{:?}", times(&keyframes));
            assert!(source.stats().bytes - before < most, "{:?}", source.stats());
        }
    }

    #[tokio::test]
    async fn damaged_files_never_panic() {
        let film = Program::film(30, 10);
        let files = [
            (transport_stream(&[&film], (0, 0)), Container::MpegTs),
            (program_stream(&film), Container::MpegPs),
        ];
        let mut seed = 1u64;
        for (bytes, container) in files {
            for i in 0..500 {
                let mut bytes = bytes.clone();
                for _ in 0..=i % 20 {
                    seed =
                        seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
                    bytes[at] =
                        [0, 1, 0x47, 0xFF, bytes[at] ^ 8][usize::try_from(seed >> 20 & 0xFFF).unwrap() % 5];
                }
                let source = source(bytes);
                let Ok(Some((_, track))) = open(&source, container).await else { continue };
                let keyframes = track.keyframes(&source, 8).await.unwrap();
                for keyframe in keyframes {
                    track.wrap(&[source.fetch(keyframe.range).await.unwrap()]);
                }
            }
        }
    }
}
