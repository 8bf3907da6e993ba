//! Reads Matroska and WebM (RFC 9559, RFC 8794).
//!
//! Opening usually takes one read: Info and Tracks come first, and a `SeekHead` locates the rest. The Cues, read when
//! keyframes are requested, locate a keyframe's block in its Cluster. The start of the block is read to learn its size.
//! No value in a file is trusted: constants bound the bytes read, and the bytes read bound the elements walked.

mod alone;
mod clock;
mod clusters;
mod codecs;
mod cues;
mod cuts;
mod decoding;
mod ebml;
mod entries;
mod foreign;
mod lacing;
mod layout;
mod listed;
mod locate;
mod outline;
mod remux;
mod scan;
mod single;
mod slices;
mod still;
mod text;
mod timing;
mod tracks;
mod window;
mod wrap;

use std::ops::Range;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

pub(crate) use self::alone::audio_alone;
pub(crate) use self::clock::{Clock, Frames};
use self::cues::Cue;
pub(crate) use self::cues::{middles, spread};
pub(crate) use self::decoding::file as decoder_file;
use self::ebml::{child, id};
pub(crate) use self::entries::opus_length;
pub(crate) use self::foreign::AudioCodec;
use self::layout::{DocType, Layout};
pub(crate) use self::listed::Listed;
pub(crate) use self::outline::blocks_of;
pub(crate) use self::single::Codec;
pub(crate) use self::slices::Clusters;
pub(crate) use self::text::text_block;
use crate::index::Streams;
use crate::keyframe::{Error, Keyframe};
use crate::source::{Source, in_parallel};

/// Largest Cues element, in bytes: some ten hours with a cue for each second and track.
const CUES_MAX: u64 = 4 << 20;
/// Size of the read at the start of the Cues, which usually covers all of them up to the end of the file.
const CUES_AHEAD: u64 = 128 << 10;
/// Nanoseconds per second.
const SECOND: u64 = 1_000_000_000;
/// How far the time of a cue can be from that of its keyframe, in milliseconds, in a file whose Cues are right.
const MAX_INACCURACY: u64 = 100;
/// Limit of keyframes per call, which bounds requests and parsing.
const KEYFRAMES_MAX: usize = 200;

/// The film and the location of its keyframes.
#[derive(Debug)]
pub(crate) struct Track {
    doc_type: DocType,
    streams: Streams,
    number: u64,
    /// The whole `TrackEntry` element, with an empty language.
    entry: Bytes,
    /// The data of the `TrackEntry` elements of audio, the one to play by default first.
    audio: Vec<Bytes>,
    /// The data of the Tracks element.
    tracks: Bytes,
    /// `TimestampScale`: nanoseconds per tick.
    scale: u64,
    /// The time in ticks that becomes 0.
    origin: u64,
    duration_ms: Option<u64>,
    /// The byte range of the Segment's data.
    segment: Range<u64>,
    /// A lower bound of the offset of the first Cluster.
    clusters_start: u64,
    /// The offset of the Cues, which has not been verified.
    cues: Option<u64>,
}

pub(crate) async fn open(source: &Source) -> Result<(MediaInfo, Track), Error> {
    let (tracks, mut track) = headers(source).await?;
    let video = tracks.video.ok_or(Error::NoVideo)?;
    let video = track.moving(source, video, tracks.others).await?;
    if video.encrypted || tracks.audio_encrypted {
        return Err(Error::Encrypted);
    }
    track.streams.film = Some(video.stream);
    (track.number, track.entry) = (video.number, video.entry);
    let scale = track.scale;
    let (origin, measured) = track.start(source, video.media_info.frame_rate).await?;
    track.origin = origin;
    let frame_rate = measured.or(video.media_info.frame_rate);
    // Some writers take the time of the end for the duration.
    if track.duration_ms.is_none() || origin > 0 {
        let frame_duration = frame_rate.map_or(0, |rate| whole_ms(1000.0 / rate));
        let end = track.end_time(source, frame_duration).await?;
        track.duration_ms =
            end.and_then(|end| end.checked_sub(ticks_to_ms(origin, scale)?)).or(track.duration_ms);
    }
    let duration_ms = track.duration_ms;
    Ok((MediaInfo { duration_ms, audio_codec: tracks.audio_codec, frame_rate, ..video.media_info }, track))
}

/// Reads the headers. Returns the tracks, and what does not depend on the film.
async fn headers(source: &Source) -> Result<(tracks::Tracks, Track), Error> {
    let layout = Layout::read(source).await?;
    let at = layout.tracks.ok_or(Error::Unknown("no Tracks before the first Cluster or in a SeekHead"))?;
    let tracks = layout.master(source, at, id::TRACKS).await?;
    let all = tracks.ok_or(Error::Unknown("the Tracks element is damaged or too large"))?;
    let mut tracks = tracks::parse(&all);
    let info = match layout.info {
        Some(at) => layout.master(source, at, id::INFO).await?.unwrap_or_default(),
        None => Bytes::new(),
    };
    let scale = child(&info, id::TIMESTAMP_SCALE).and_then(ebml::uint).filter(|scale| *scale > 0);
    let scale = scale.unwrap_or(1_000_000);
    let track = Track {
        doc_type: layout.doc_type,
        streams: Streams { audio: std::mem::take(&mut tracks.audio), ..Streams::default() },
        number: 0,
        entry: Bytes::new(),
        audio: std::mem::take(&mut tracks.audio_entries),
        tracks: all,
        scale,
        origin: 0,
        duration_ms: child(&info, id::DURATION)
            .and_then(ebml::float)
            .and_then(|ticks| duration(ticks, scale)),
        segment: layout.segment,
        clusters_start: layout.clusters_start,
        cues: layout.cues,
    };
    Ok((tracks, track))
}

impl Track {
    pub(crate) fn streams(&self) -> Streams {
        self.streams.clone()
    }

    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let n = n.min(KEYFRAMES_MAX);
        let (found, chosen) = self.keyframes_from_cues(source, n).await?;
        // If most cues are wrong, the few others are not spread over the film.
        if found.is_empty() || found.len() * 2 < chosen {
            let scanned = self.scan(source, n).await?;
            if scanned.len() > found.len() {
                return Ok(scanned);
            }
        }
        Ok(found)
    }

    /// Returns keyframes located by the Cues, and the number of cues that were chosen. Those that are wrong can lead to no
    /// keyframe, or to the same one.
    async fn keyframes_from_cues(&self, source: &Source, n: usize) -> Result<(Vec<Keyframe>, usize), Error> {
        let cues = self.all_cues(source).await?;
        let times: Vec<_> = cues.iter().map(|cue| self.time_ms(cue.time).unwrap_or(u64::MAX)).collect();
        let duration = self.duration_ms.or(times.last().copied()).unwrap_or(0);
        let chosen: Vec<_> = cues::spread(&times, duration, n)
            .into_iter()
            .filter_map(|i| cues.get(i))
            .map(|cue| self.locate(source, *cue))
            .collect();
        let count = chosen.len();
        let mut found: Vec<_> = in_parallel(chosen).await?.into_iter().flatten().collect();
        found.sort_by_key(|keyframe| keyframe.time_ms);
        found.dedup();
        Ok((found, count))
    }

    /// See [`Index::nearest`](crate::Index::nearest).
    pub(crate) async fn nearest(&self, source: &Source, ms: u64) -> Result<Option<Keyframe>, Error> {
        let cues = self.all_cues(source).await?;
        let distance = |cue: &&Cue| self.time_ms(cue.time).unwrap_or(u64::MAX).abs_diff(ms);
        let Some(cue) = cues.iter().min_by_key(distance) else { return Ok(None) };
        // If there is a keyframe of another time, another cue can lead to the nearest one.
        let is_right = |found: &Keyframe| {
            self.time_ms(cue.time).is_some_and(|time| time.abs_diff(found.time_ms) <= MAX_INACCURACY)
        };
        Ok(self.locate(source, *cue).await?.filter(is_right))
    }

    /// Returns the number of ticks per second, if it is a whole one.
    fn ticks_per_second(&self) -> Option<u32> {
        SECOND.is_multiple_of(self.scale).then(|| u32::try_from(SECOND / self.scale).ok()).flatten()
    }

    /// Returns the playing time of a timestamp.
    fn time_ms(&self, ticks: u64) -> Option<u64> {
        ticks_to_ms(ticks.saturating_sub(self.origin), self.scale)
    }

    async fn all_cues(&self, source: &Source) -> Result<Vec<Cue>, Error> {
        let bytes = self.cues_data(source).await?.unwrap_or_default();
        Ok(cues::parse(&bytes, self.number))
    }

    /// Returns the data of the Cues, or `None` if they are missing or too large.
    async fn cues_data(&self, source: &Source) -> Result<Option<Bytes>, Error> {
        let Some(at) = self.cues else { return Ok(None) };
        layout::data(source, at..self.segment.end, id::CUES, CUES_MAX, CUES_AHEAD).await
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole_ms(ms: f64) -> u64 {
    ms.round() as u64
}

/// Converts ticks of `scale` nanoseconds to milliseconds.
fn ticks_to_ms(ticks: u64, scale: u64) -> Option<u64> {
    u64::try_from(u128::from(ticks) * u128::from(scale) / 1_000_000).ok()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the result is rounded and range-checked"
)]
fn duration(ticks: f64, scale: u64) -> Option<u64> {
    let ms = (ticks * scale as f64 / 1e6).round();
    // Longer than a year is implausible.
    (ms > 0.0 && ms < 366.0 * 86_400_000.0).then_some(ms as u64)
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::*;
    use super::*;

    /// Returns the media info, the keyframes' times, and their frames without the block headers.
    async fn read(bytes: Vec<u8>, n: usize) -> (MediaInfo, Vec<u64>, Vec<Bytes>) {
        let source = source(bytes);
        let (media_info, track) = open(&source).await.unwrap();
        let found = track.keyframes(&source, n).await.unwrap();
        let mut frames = Vec::new();
        for keyframe in &found {
            frames.push(source.fetch(keyframe.range.clone()).await.unwrap().slice(4..));
        }
        (media_info, found.iter().map(|keyframe| keyframe.time_ms).collect(), frames)
    }

    #[tokio::test]
    async fn reads_media_info_and_keyframes_of_a_typical_file() {
        for (frame, with_positions) in [(8, true), (8, false), (100_000, true), (100_000, false)] {
            let (media_info, times, frames) = read(typical(frame, with_positions), 4).await;
            assert_eq!(
                (media_info.width, media_info.height, media_info.rotation),
                (Some(320), Some(180), Some(0))
            );
            assert_eq!((media_info.duration_ms, media_info.frame_rate), (Some(4000), Some(25.0)));
            assert_eq!(media_info.video_codec.as_deref(), Some("vp8"));
            assert_eq!(media_info.audio_codec.as_deref(), Some("opus"));
            assert_eq!(times, [10, 1010, 2010, 3010], "{frame} {with_positions}");
            for (frame_no, bytes) in (0u8..).zip(&frames) {
                assert_eq!(bytes, &vec![frame_no; frame], "{with_positions}");
            }
        }
    }

    #[tokio::test]
    async fn a_keyframe_of_a_large_file_takes_few_requests() {
        let source = source(typical(5 << 20, true));
        let (_, track) = open(&source).await.unwrap();
        assert_eq!((source.stats().requests, source.stats().bytes), (1, crate::keyframe::HEAD));
        assert_eq!(track.keyframes(&source, 4).await.unwrap().len(), 4);
        // One for opening, one for the Cues, three for the Clusters that the first read does not cover.
        assert_eq!(source.stats().requests, 5);
        assert!(source.stats().bytes < 80_000, "{:?}", source.stats());
    }

    #[tokio::test]
    async fn wrong_cues_are_ignored() {
        let clusters: Vec<_> = (0..3)
            .map(|i| cluster(i * 1000, &[simple(2, 0, true, &[7; 20]), simple(1, 0, true, b"s")]))
            .collect();
        let front = [info(3000.0), tracks()].concat();
        let second = (front.len() + clusters[0].len()) as u64;
        let audio = (cluster(0, &[]).len() - 12 + simple(2, 0, true, &[7; 20]).len()) as u64;
        for bad in [
            cue(0, 2, 1, None),
            cue(0, 2, u64::MAX, Some(u64::MAX)),
            cue(0, 2, 1 << 40, Some(5)),
            cue(0, 2, second, Some(3)),
            // Audio only.
            cue(0, 1, second, None),
        ] {
            let cues = master(id::CUES, std::slice::from_ref(&bad));
            // Without a SeekHead, the Cues are found before the first Cluster.
            let front = [cues, front.clone()].concat();
            let (_, times, _) = read(file(&[front, clusters.concat()]), 3).await;
            assert!(!times.is_empty(), "{bad:?}");
        }
        // A cue that points at another track's block still locates the Cluster.
        let pointed = [cue(1000, 2, second, Some(audio)), cue(2000, 2, 3, None)];
        let cues = second + (clusters[1].len() + clusters[2].len()) as u64;
        let seek = |at| seek_head(&[(id::CUES, at), (id::CUES, 0), (id::SEGMENT, 9)]);
        let shift = seek(0).len() as u64;
        let pointed = [cue(1000, 2, second + shift, Some(audio)), pointed[1].clone()];
        let bytes = file(&[seek(cues + shift), front, clusters.concat(), master(id::CUES, &pointed)]);
        assert_eq!(read(bytes, 3).await.1, [1000]);
    }

    #[tokio::test]
    async fn a_cue_that_points_at_another_frame_leads_to_the_keyframe_of_its_cluster() {
        for make in [simple, group] {
            let front = [info(3000.0), tracks()].concat();
            let blocks = |second| [make(2, 0, true, &[second; 20]), make(2, 40, false, &[9; 20])];
            let clusters = [0, 1, 2].map(|second| cluster(u64::from(second) * 1000, &blocks(second)));
            let second_block = cluster(0, &blocks(0)[..1]).len() as u64 - 12;
            for (late, found) in [(40, true), (500, false)] {
                let cues = |start: u64| {
                    let cue = |i: u64| {
                        cue(i * 1000 + late, 2, start + i * clusters[0].len() as u64, Some(second_block))
                    };
                    master(id::CUES, &[0, 1, 2].map(cue))
                };
                let start = (front.len() + cues(0).len()) as u64;
                let bytes = file(&[front.clone(), cues(start), clusters.concat()]);
                let (_, times, frames) = read(bytes.clone(), 3).await;
                assert_eq!((times, &frames[2][..]), (vec![0, 1000, 2000], &[2; 20][..]));
                // The nearest one is not known if the times are wrong.
                let source = source(bytes);
                let (_, track) = open(&source).await.unwrap();
                let nearest = track.nearest(&source, 1040).await.unwrap().map(|keyframe| keyframe.time_ms);
                assert_eq!(nearest, found.then_some(1000));
            }
        }
    }

    #[tokio::test]
    async fn info_and_tracks_may_follow_the_clusters() {
        let first = cluster(0, &[simple(2, 0, true, &[1; 9])]);
        let attached = data(0x1941_A469, &vec![0; 200_000]);
        let front = |at: u64| {
            let info_at = at + tracks().len() as u64;
            [seek_head(&[(id::TRACKS, at), (id::INFO, info_at), (id::CUES, 0)]), attached.clone()].concat()
        };
        let at = (front(0).len() + first.len()) as u64;
        let (media_info, times, _) = read(file(&[front(at), first, tracks(), info(500.0)]), 1).await;
        assert_eq!((media_info.duration_ms, times), (Some(500), vec![0]));
    }

    #[tokio::test]
    async fn rejects_files_that_are_not_video() {
        let no_video = file(&[info(9.0), master(id::TRACKS, &[entry(1, 2, "A_OPUS", &[])])]);
        assert!(matches!(open(&source(no_video)).await, Err(Error::NoVideo)));
        let large = entry(1, 1, "V_VP8", &[data(id::CODEC_PRIVATE, &vec![0; 5 << 20])]);
        let wrong_seek_head = seek_head(&[(id::TRACKS, 0)]);
        for bad in [
            vec![],
            b"\x1A\x45\xDF\xA3".to_vec(),
            header("webm"),
            [header("other"), file(&[])[header("webm").len()..].to_vec()].concat(),
            file(&[]),
            file(&[info(9.0), cluster(0, &[]), tracks()]),
            file(&[wrong_seek_head, cluster(0, &[])]),
            file(&[master(id::TRACKS, &[large])]),
            file(&[unknown_size(tracks())]),
        ] {
            assert!(matches!(open(&source(bad)).await, Err(Error::Unknown(_))));
        }
    }

    #[tokio::test]
    async fn damaged_files_never_panic_or_hang() {
        let whole = typical(40, true);
        let live = file(&[info(0.0), tracks(), unknown_size(cluster(5, &[group(2, 0, true, &[9; 50])]))]);
        let mut seed = 1u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut damaged: Vec<_> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
        damaged.extend((0..live.len()).map(|len| live[..len].to_vec()));
        for i in 0..4000 {
            let mut bytes = if i % 4 == 0 { live.clone() } else { whole.clone() };
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = [0, 1, 0x1F, 0x7F, 0x80, 0xFF, bytes[at] ^ 1 << random(8)][random(7)];
            }
            damaged.push(bytes);
        }
        for bytes in damaged {
            let source = source(bytes);
            let Ok((_, track)) = open(&source).await else { continue };
            for n in [0, 1, 8, usize::MAX] {
                let found = track.keyframes(&source, n).await.unwrap();
                let mut samples = Vec::new();
                for keyframe in found {
                    assert!(keyframe.range.end <= source.size());
                    samples.push(source.fetch(keyframe.range).await.unwrap());
                }
                track.wrap(&samples);
            }
            assert!(source.stats().requests < 200, "{:?}", source.stats());
        }
    }
}
