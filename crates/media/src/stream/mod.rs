//! Reads containers without an index of their keyframes: a slice of the file tells which keyframes are in it.
//!
//! Small files are read as a whole. Of large ones, slices at evenly spaced offsets are read until each has a keyframe or
//! the budget is used up. The keyframes are wrapped as Matroska, without the packets of the container.

mod asf;
mod bits;
mod elementary;
mod flv;
mod kind;
mod ogg;
mod packets;
mod patches;
mod ps;
mod raw;
mod rejoin;
mod timeline;
mod ts;
mod windows;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use upreel_core::Container;
use upreel_core::video::MediaInfo;

pub(crate) use self::bits::Bits;
use self::kind::Stream;
#[cfg(test)]
pub(crate) use self::ogg::checksum as ogg_checksum;
pub(crate) use self::ogg::{Page as OggPage, pages as ogg_pages};
use self::packets::Found;
use self::timeline::{MS, Pace, Stamp, Timeline};
pub(crate) use self::windows::is_keyframe;
use crate::index::Streams;
use crate::keyframe::{self, Error, Keyframe, interleaved};
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
/// The longest duration that is assumed for the last frame of a video of fewer than four frames, in ticks.
const LAST_OF_FEW: i64 = 100 * MS;
/// The longest duration that is assumed for the last frame of any other video, in ticks.
const LAST: i64 = 1000 * MS;
/// Slices read at the same time.
const PARALLEL: usize = 4;

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
    let Some(mut stream) = Stream::find(start, container)? else { return Ok(None) };
    let links = match &mut stream {
        Stream::Ogg(video) if whole => {
            video.find_links(&head);
            Vec::new()
        }
        Stream::Ogg(video) => video.search_links(source, &head).await?,
        _ => Vec::new(),
    };
    let frame = stream.frame(start).unwrap_or(0);
    let (_, mut stamps) = stream.scan(&head, 0, frame, whole);
    let pace = stream.pace(&stamps, start);
    if !whole {
        stamps.extend(links);
        let start = size.saturating_sub(TAIL).max(HEAD);
        let tail = source.fetch(start..size).await?;
        stamps.extend(from(start, stream.scan(&tail, start, frame, true).1));
        stamps.sort_by_key(|stamp| stamp.at);
        stamps.dedup();
    }
    let stated = stream.frame_rate(start);
    let frame_rate = stated.map(raw::per_second).or(pace.frame_rate());
    // Nothing tells how long the last frame of a slide show is shown.
    let few = stamps.iter().filter(|stamp| stamp.stream == stream.number()).count() < 4;
    let longest = if few { LAST_OF_FEW } else { LAST };
    let last = Pace { frame: pace.frame.min(longest), ..pace };
    let duration_ms = Timeline::new(&stamps, last).duration_ms();
    let media_info = MediaInfo { duration_ms, frame_rate, ..MediaInfo::default() };
    let codec = stream.codec(start);
    Ok(Some((media_info, Track { stream, codec, size, stamps, pace, duration_ms })))
}

impl Track {
    /// See [`Index::nearest`](crate::Index::nearest). A large file has to be searched by ffmpeg.
    pub(crate) async fn nearest(&self, source: &Source, ms: u64) -> Result<Option<Keyframe>, Error> {
        let keyframes = if self.size <= WHOLE { self.all(source).await? } else { Vec::new() };
        Ok(keyframe::nearest(&keyframes, ms).cloned())
    }

    /// Returns all keyframes of a file that is read whole.
    async fn all(&self, source: &Source) -> Result<Vec<Keyframe>, Error> {
        let bytes = source.read(0..self.size).await?;
        let slice = self.slice(&bytes, 0, true);
        Ok(self.timed(vec![slice]))
    }

    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        if self.size <= WHOLE {
            let keyframes = self.all(source).await?;
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
        let (found, stamps) = self.stream.scan(bytes, offset, self.pace.frame, at_end);
        let keyframes = found
            .into_iter()
            .map(|Found { pts, range: (start, end) }| (pts, offset + start as u64..offset + end as u64));
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

    /// Returns whether the file consists of several recordings.
    pub(crate) fn is_joined(&self) -> bool {
        Timeline::new(&self.stamps, self.pace).is_joined()
    }

    pub(crate) fn streams(&self) -> Streams {
        let streams = self.stream.streams();
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

/// Returns an object that consists of several files, joined by their bytes, as one file: with a continuous clock, and
/// without headers in the middle. Returns any other source itself.
///
/// # Errors
/// Fails if the object cannot be read, or if the read would exceed a limit.
pub(crate) async fn joined(source: &Arc<Source>, container: Container) -> Result<Arc<Source>, source::Error> {
    match container {
        Container::MpegTs | Container::MpegPs | Container::Flv => rejoin::rejoin(source, container).await,
        Container::Ogg => ogg::unchain(source).await,
        _ => Ok(source.clone()),
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
    async fn uses_the_first_program_with_clear_video() {
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
    async fn encrypted_windows_media_is_not_shown() {
        let mut bytes = fixture::windows_media(10, 5);
        // The object of the audio becomes one of encryption.
        let audio = bytes.windows(16).rposition(|id| *id == asf::STREAM_PROPERTIES).unwrap();
        bytes[audio..audio + 16]
            .copy_from_slice(b"\xFB\xB3\x11\x22\x23\xBD\xD2\x11\xB4\xB7\x00\xA0\xC9\x55\xFC\x6E");
        let opened = open(&source(bytes), Container::Wmv).await;
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
    async fn ogg_without_video_is_told_from_unknown_video() {
        let error =
            async |pages: &[Vec<u8>]| open(&source(pages.concat()), Container::Ogg).await.err().unwrap();
        let opus = fixture::ogg_page(1, 2, 0, &[19], b"OpusHead\x01\x02\0\0\x80\xBB\0\0\0\0\0");
        let skeleton = fixture::ogg_page(2, 2, 0, &[9], b"fishead\0\x04");
        let dirac = fixture::ogg_page(3, 2, 0, &[5], b"BBCD\0");
        assert!(matches!(error(&[skeleton, opus.clone()]).await, Error::NoVideo));
        assert!(matches!(error(&[opus, dirac]).await, Error::Unknown(_)));
        assert!(matches!(error(&[Vec::new()]).await, Error::Unknown(_)));
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
    async fn reads_vp8_in_ogg() {
        let (media_info, keyframes, frames) = open_all(fixture::vp8(100, 25), Container::Ogg).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(4000), vec![0, 1000, 2000, 3000]));
        let frame = |n: u8| Bytes::from([b"\x10\0\0\x9D\x01\x2A".to_vec(), vec![n; 94]].concat());
        assert_eq!(frames, [0, 25, 50, 75].map(frame));
    }

    #[tokio::test]
    async fn links_of_a_chain_follow_each_other() {
        // Shorter than a jump of the clock is.
        for film in [fixture::theora(20, 10, 1, &[]), fixture::vp8(20, 10)] {
            let links = [1, 2, 1].map(|serial| fixture::renumbered(&film, serial));
            let (media_info, keyframes, frames) = open_all(links.concat(), Container::Ogg).await;
            assert_eq!(media_info.duration_ms, Some(2400));
            assert_eq!(times(&keyframes), [0, 400, 800, 1200, 1600, 2000]);
            assert!(frames.len() == 6 && frames[..2] == frames[2..4] && frames[..2] == frames[4..]);
        }
        // The comments may differ, the size may not.
        let film = fixture::theora(20, 10, 1, &[]);
        let replaced = |old: &[u8], new: &[u8]| {
            let at = film.windows(old.len()).position(|window| window == old).unwrap();
            fixture::renumbered(&[&film[..at], new, &film[at + new.len()..]].concat(), 9)
        };
        let (other, comments) =
            (replaced(b"\x03\x02\x01\0", b"\x03\x02\x01\x05"), replaced(b"comments", b"a remark"));
        let (media_info, keyframes, _) =
            open_all([film.clone(), other, comments].concat(), Container::Ogg).await;
        assert_eq!((media_info.duration_ms, times(&keyframes)), (Some(1600), vec![0, 400, 800, 1200]));
        // The links of a long chain are not searched for.
        let long = [film.clone(), fixture::renumbered(&film, 8).repeat(1000)].concat();
        assert!(open(&source(long), Container::Ogg).await.is_err());
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
            (fixture::vp8(30, 10).repeat(3), Container::Ogg),
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
