//! Reads containers without an index of their keyframes: a slice of the file tells which keyframes are in it.
//!
//! Small files are read as a whole. Of large ones, slices at evenly spaced offsets are read until each has a keyframe or
//! the budget is used up. The keyframes are wrapped as Matroska, without the packets of the container.

mod asf;
mod bits;
mod elementary;
mod flv;
mod ogg;
mod packets;
mod ps;
mod raw;
mod rejoin;
mod timeline;
mod ts;

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use upreel_core::Container;
use upreel_core::video::MediaInfo;

use self::asf::WindowsMedia;
use self::elementary::Codec;
use self::flv::FlashVideo;
use self::ogg::Theora;
use self::packets::{Elementary, Found};
use self::ps::ProgramStream;
use self::raw::Untimed;
pub(crate) use self::rejoin::rejoin;
use self::timeline::{MS, Pace, Stamp, Timeline};
use self::ts::{Missing, TransportStream};
use crate::index::Streams;
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
/// The longest time that is assumed for the last frame, in ticks, of a few frames and of more.
const LAST_OF_FEW: i64 = 100 * MS;
const LAST: i64 = 1000 * MS;
/// Slices read at the same time.
const PARALLEL: usize = 4;

/// A video stream in a container.
#[derive(Debug)]
enum Stream {
    Transport(TransportStream),
    Program(ProgramStream),
    /// MPEG-1 or MPEG-2 in no container.
    Raw(Untimed),
    Flash(FlashVideo),
    WindowsMedia(WindowsMedia),
    Ogg(Theora),
}

impl Stream {
    /// Finds the video in the start of a file. Returns `None` if there is no reader for the container.
    fn find(head: &[u8], container: Container) -> Result<Option<Self>, Error> {
        const UNKNOWN: Error = Error::Unknown("no video stream with a codec that the reader knows");
        Ok(Some(match container {
            Container::MpegTs => match TransportStream::find(head) {
                Ok(stream) => Self::Transport(stream),
                Err(Missing::Video) => return Err(UNKNOWN),
                Err(Missing::Encrypted) => return Err(Error::Encrypted),
            },
            Container::MpegPs => Self::Program(ProgramStream::find(head).ok_or(UNKNOWN)?),
            Container::MpegVideo => {
                Self::Raw(Untimed::measure(&Elementary::plain(head), Codec::Mpeg2).ok_or(UNKNOWN)?)
            }
            Container::Flv => Self::Flash(FlashVideo::find(head).ok_or(UNKNOWN)?),
            Container::Wmv => Self::WindowsMedia(WindowsMedia::find(head).ok_or(UNKNOWN)?),
            Container::Ogg => Self::Ogg(Theora::find(head).ok_or(UNKNOWN)?),
            _ => return Ok(None),
        }))
    }

    /// Returns the number of the stream in timestamps.
    fn number(&self) -> u16 {
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
    fn frame_rate(&self, head: &[u8]) -> Option<(u64, u64)> {
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

    /// Returns the codec, by the start of the file.
    fn codec(&self, head: &[u8]) -> matroska::Codec {
        match self {
            Self::Transport(stream) => stream.codec.in_matroska(&stream.demux(head).bytes),
            Self::Program(stream) => stream.codec.in_matroska(&stream.demux(head).bytes),
            Self::Raw(_) => Codec::Mpeg2.in_matroska(head),
            Self::Flash(stream) => stream.codec.clone(),
            Self::WindowsMedia(stream) => stream.codec.clone(),
            Self::Ogg(stream) => stream.codec.clone(),
        }
    }

    /// Returns the keyframes and timestamps in a slice at an offset of the file. `at_end` says that the file ends there.
    fn scan(&self, slice: &[u8], offset: u64, at_end: bool) -> (Vec<Found>, Vec<Stamp>) {
        let elementary =
            |elementary: Elementary, codec| (elementary.keyframes(codec, at_end), elementary.stamps);
        match self {
            Self::Transport(stream) => elementary(stream.demux(slice), stream.codec),
            Self::Program(stream) => match stream.untimed {
                Some(untimed) => untimed.scan(&stream.demux(slice), offset, at_end),
                None => elementary(stream.demux(slice), stream.codec),
            },
            Self::Raw(untimed) => untimed.scan(&Elementary::plain(slice), offset, at_end),
            Self::Flash(_) => FlashVideo::scan(slice),
            Self::WindowsMedia(stream) => stream.scan(slice, offset),
            Self::Ogg(stream) => stream.scan(slice),
        }
    }

    /// Returns the frames in a slice that begins with a keyframe. `at_end` says that the last one ends with the slice.
    fn frames(&self, slice: &[u8], at_end: bool) -> Vec<Bytes> {
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
    let size = source.size();
    let whole = size <= WHOLE;
    let head = source.read(0..if whole { size } else { HEAD }).await?;
    let start = &head[..head.len().min(HEAD_SEARCH)];
    let Some(stream) = Stream::find(start, container)? else { return Ok(None) };
    let (_, mut stamps) = stream.scan(&head, 0, whole);
    let pace = Pace::measure(&stamps, stream.number());
    if !whole {
        let start = size.saturating_sub(TAIL).max(HEAD);
        let tail = source.fetch(start..size).await?;
        stamps.extend(from(start, stream.scan(&tail, start, true).1));
    }
    let stated = stream.frame_rate(start);
    let frame_rate = stated.map(raw::per_second).or(pace.frame_rate());
    // Nothing tells how long the last frame of a slide show is seen.
    let few = stamps.iter().filter(|stamp| stamp.stream == stream.number()).count() < 4;
    let longest = if few { LAST_OF_FEW } else { LAST };
    let last = Pace { frame: stated.map_or(pace.frame, raw::ticks).min(longest), ..pace };
    let duration_ms = Timeline::new(&stamps, last).duration_ms();
    let media_info = MediaInfo { duration_ms, frame_rate, ..MediaInfo::default() };
    let codec = stream.codec(start);
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
        let (found, stamps) = self.stream.scan(bytes, offset, at_end);
        let frame = self.pace.frame.unsigned_abs();
        let keyframes = found.into_iter().map(|Found { pts, frames, range: (start, end) }| {
            (pts.saturating_add(frames.saturating_mul(frame)), offset + start as u64..offset + end as u64)
        });
        Slice { keyframes: keyframes.collect(), stamps: from(offset, stamps) }
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

    pub(crate) fn streams(&self) -> Streams {
        let streams = match &self.stream {
            Stream::Transport(stream) => stream.streams(),
            Stream::Program(stream) => stream.streams(),
            _ => Streams::default(),
        };
        let padding = Timeline::new(&self.stamps, self.pace).padding();
        let micros = u64::try_from(padding.saturating_mul(1000) / MS).unwrap_or(0);
        Streams { padding: Duration::from_micros(micros), ..streams }
    }

    /// Wraps the frames that follow from the start of a keyframe on, which a decoder returns in their order.
    pub(crate) fn wrap_on(&self, slice: &[u8]) -> Vec<Bytes> {
        self.codec.wrap(self.stream.frames(slice, false).into_iter().map(Some))
    }

    pub(crate) fn is_wrapped_with_presentation_times(&self) -> bool {
        self.codec.id != matroska::Codec::VIDEO_FOR_WINDOWS
    }

    /// See [`Index::wrap`](crate::Index::wrap).
    pub(crate) fn wrap(&self, samples: &[Bytes]) -> Vec<Bytes> {
        self.codec.wrap(samples.iter().map(|sample| self.stream.frames(sample, true).into_iter().next()))
    }
}

fn from(offset: u64, stamps: Vec<Stamp>) -> Vec<Stamp> {
    stamps.into_iter().map(|stamp| Stamp { at: stamp.at + offset, ..stamp }).collect()
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
                assert_eq!(
                    (media_info.duration_ms, times(&keyframes)),
                    (Some(4000), vec![0, 1000, 2000, 3000])
                );
                assert_eq!(media_info.frame_rate, Some(25.0));
                assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(film.frame(n))), "{before} {missing}");
            }
        }
    }

    #[tokio::test]
    async fn the_first_program_with_a_picture_counts() {
        let (none, small) = (Program::film(0, 1), Program { size: 20, ..Program::film(50, 25) });
        let scrambled = Program { scrambled: true, ..Program::film(100, 25) };
        for others in [vec![&small, &scrambled], vec![&none, &scrambled, &small]] {
            let film = Program::film(100, 50);
            let programs: Vec<_> = others.into_iter().chain([&film]).collect();
            let (media_info, keyframes, frames) =
                open_all(transport_stream(&programs, (0, 0)), Container::MpegTs).await;
            assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(2000), vec![0, 1000]));
            assert_eq!(frames[0], small.frame(0));
        }
    }

    #[tokio::test]
    async fn frames_begin_anywhere_in_a_packet() {
        let film = Program { late: 700, ..Program::film(100, 25) };
        let (media_info, keyframes, frames) =
            open_all(transport_stream(&[&film], (0, 0)), Container::MpegTs).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(film.frame(n))));
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
        assert!(matches!(opened, Err(Error::Encrypted)), "{opened:?}");
    }

    #[tokio::test]
    async fn reads_program_streams() {
        let film = Program::film(100, 25);
        let (media_info, keyframes, frames) = open_all(program_stream(&film), Container::MpegPs).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(film.frame(n))));
    }

    #[tokio::test]
    async fn reads_flash_video() {
        let (media_info, keyframes, frames) =
            open_all(fixture::flash_video(100, 25, 40), Container::Flv).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(vec![n; 300])));
    }

    #[tokio::test]
    async fn the_last_frame_of_a_slide_show_is_not_guessed_to_last_long() {
        for (count, ms, duration) in [(3, 6000, 12_100), (4, 6000, 19_000), (4, 500, 2000), (2, 40, 80)] {
            let (media_info, ..) = open_all(fixture::flash_video(count, 1, ms), Container::Flv).await;
            assert_eq!(media_info.duration_ms, Some(duration), "{count} {ms}");
        }
    }

    #[tokio::test]
    async fn damaged_pages_of_ogg_are_not_shown() {
        let mut bytes = fixture::theora(30, 10, 1, &[]);
        let at = bytes.windows(20).position(|window| *window == [10; 20]).unwrap();
        bytes[at] ^= 1;
        let (_, keyframes, frames) = open_all(bytes, Container::Ogg).await;
        let frame = |n: u8| Bytes::from([vec![0], vec![n; 700]].concat());
        assert_eq!((keyframes.len(), frames), (3, [0, 20].map(frame).to_vec()));
    }

    #[tokio::test]
    async fn old_theora_counts_frames_from_0() {
        let (media_info, keyframes, _) = open_all(fixture::theora(30, 10, 0, &[]), Container::Ogg).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(1200), vec![0, 400, 800]));
    }

    #[tokio::test]
    async fn a_video_in_ogg_lasts_as_long_as_its_audio() {
        let little = |value: u32| value.to_le_bytes();
        let vorbis = [b"\x01vorbis\0\0\0\0\x02", &little(44_100)[..], &[0; 14]].concat();
        let opus = [b"OpusHead\x01\x02", &little(4800)[..2], &[0; 7]].concat();
        let flac = [b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22", &[0; 10][..], &[0x0B, 0xB8, 0, 0]].concat();
        let speex = [b"Speex   ", &[0; 28][..], &little(16_000)].concat();
        for (header, samples) in [(vorbis, 220_500), (opus, 244_800), (flac, 240_000), (speex, 80_000)] {
            let starts = fixture::ogg_page(1, 2, 0, &[u8::try_from(header.len()).unwrap()], &header);
            let mut bytes = fixture::theora(100, 25, 1, &starts);
            bytes.extend(fixture::ogg_page(1, 0, samples, &[9], &[0; 9]));
            bytes.extend(fixture::ogg_page(1, 0, -1, &[255], &[0; 255]));
            let (media_info, keyframes, _) = open_all(bytes, Container::Ogg).await;
            assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(5000), vec![0, 1000, 2000, 3000]));
        }
    }

    #[tokio::test]
    async fn reads_theora() {
        let (media_info, keyframes, frames) =
            open_all(fixture::theora(100, 25, 1, &[]), Container::Ogg).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        let frame = |n: u8| Bytes::from([vec![0], vec![n; 700]].concat());
        assert_eq!(frames, [0, 25, 50, 75].map(frame));
    }

    #[tokio::test]
    async fn reads_windows_media() {
        let (media_info, keyframes, frames) = open_all(fixture::windows_media(100, 25), Container::Wmv).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(5000), vec![0, 1000, 2000, 3000]));
        assert_eq!(frames, [0, 25, 50, 75].map(|n| Bytes::from(vec![n; 300])));
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
            (fixture::flash_video(30, 10, 40), Container::Flv),
            (fixture::theora(30, 10, 1, &[]), Container::Ogg),
            (fixture::windows_media(30, 10), Container::Wmv),
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
