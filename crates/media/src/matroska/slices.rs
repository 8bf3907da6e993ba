//! Slices of a film: the Clusters of a chunk.
//!
//! The Cues tell where a chunk begins and ends, and the plan has found these keyframes (see [`Track::found_cuts`]). The
//! headers of blocks are between the frames, so the encoder finds the rest itself before it starts.

mod stored;

use bytes::Bytes;

use super::clusters::{Block, Blocks};
use super::ebml::{self, child, children, id, put};
use super::window::Window;
use super::{SECOND, Track, wrap};
use crate::error::Error;
use crate::index::StreamId;
use crate::keyframe::CutPoints;
use crate::rendition::SAMPLE_RATE;
use crate::slice::{Piece, Slice, Sliced, Wanted};
use crate::source::{self, Source};

/// Bytes of the first read, which has the start of a Cluster.
const HEAD_READ: u64 = 1 << 10;
/// Bytes of each further read. Most frames of a large video are larger, and are not read.
pub(super) const READ: u64 = 16 << 10;
/// Limit of all these reads for one end of a slice, in bytes.
pub(super) const BUDGET: u64 = 16 << 20;

/// The Clusters of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clusters {
    /// Everything before the first Cluster.
    head: Bytes,
    /// The number of the film's track.
    film: u64,
    /// Where the first Cluster starts at the earliest, and the last one ends at the latest.
    range: (u64, u64),
    /// Ticks per second.
    scale: u64,
    /// The keyframe that the chunk starts with, unless it is the first chunk.
    start: Option<Key>,
    /// The keyframe that the next chunk starts with.
    end: Option<Key>,
    /// The numbers of the audio tracks, and the time in ticks at which the audio of the chunk ends.
    audio: Vec<(u64, u64)>,
}

/// A keyframe that a cue points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) time: u64,
    /// The offset of its Cluster.
    pub(super) cluster: u64,
    /// The offset of its block in the Cluster's data.
    pub(super) block: Option<u64>,
}

impl Track {
    /// See [`Index::slices`](crate::Index::slices). `cuts` are those that were found. Returns `None` if a chunk starts with
    /// none of them.
    pub(crate) fn slices(
        &self,
        cuts: &CutPoints,
        wanted: &[Wanted],
        audio: &[StreamId],
    ) -> Option<Vec<Sliced>> {
        let scale = self.ticks_per_second()?;
        let key = |wanted: &Wanted| Key::of(cuts, cuts.times.binary_search(&wanted.span.0).ok()?);
        let keys = wanted.iter().skip(1).map(key).collect::<Option<Vec<_>>>()?;
        let tracks = self.entries_of(audio)?;
        let head = wrap::header(self.doc_type, self.scale, &self.entries(&tracks), None);
        let starts = std::iter::once(None).chain(keys.iter().copied().map(Some));
        let ends = keys.iter().copied().map(Some).chain([None]);
        let slice = |((wanted, start), end): ((&Wanted, Option<Key>), Option<Key>)| {
            let until =
                |track: &&Bytes| (uint(track, id::TRACK_NUMBER), self.audio_end(track, wanted.audio.1));
            let clusters = Clusters {
                head: head.clone(),
                film: self.number,
                range: (self.clusters_start, self.segment.end),
                scale: scale.into(),
                start,
                end,
                audio: tracks.iter().map(until).collect(),
            };
            (Slice::of_clusters(clusters), Vec::new())
        };
        Some(wanted.iter().zip(starts).zip(ends).map(slice).collect())
    }

    /// Returns the data of the `TrackEntry` elements of these streams.
    fn entries_of(&self, audio: &[StreamId]) -> Option<Vec<&Bytes>> {
        let position =
            |stream: &StreamId| self.streams.audio.iter().position(|track| track.stream == *stream);
        audio.iter().map(|stream| self.audio.get(position(stream)?)).collect()
    }

    /// Returns the `TrackEntry` elements of all tracks: the film, the `audio`, and the others. Where a block has an unknown
    /// track, ffmpeg skips the rest of the Cluster.
    fn entries(&self, audio: &[&Bytes]) -> Vec<u8> {
        let audio_numbers = audio.iter().map(|data| uint(data, id::TRACK_NUMBER));
        let used: Vec<u64> = std::iter::once(self.number).chain(audio_numbers).collect();
        let others = children(&self.tracks).filter(|child| child.id == id::TRACK_ENTRY);
        let others = others.filter(|entry| !used.contains(&uint(entry.data, id::TRACK_NUMBER)));
        let mut entries = self.entry.to_vec();
        for data in audio.iter().map(|data| &data[..]).chain(others.map(|entry| entry.data)) {
            put(&mut entries, id::TRACK_ENTRY, data);
        }
        entries
    }

    /// Converts the end of a chunk's audio, in samples at 48 kHz, to ticks of the blocks of an audio track.
    fn audio_end(&self, track: &[u8], end: Option<i64>) -> u64 {
        let Some(end) = end else { return u64::MAX };
        let time = i128::from(end) * i128::from(SECOND) / i128::from(SAMPLE_RATE);
        let time = time + i128::from(uint(track, id::CODEC_DELAY));
        u64::try_from(time / i128::from(self.scale) + 1).unwrap_or(0)
    }
}

fn uint(track: &[u8], id: u32) -> u64 {
    child(track, id).and_then(ebml::uint).unwrap_or(0)
}

impl Clusters {
    /// Returns the pieces of the file. Clusters that are cut get a new header, without a size.
    pub(crate) async fn pieces(&self, object: &Source) -> Result<Vec<Piece>, Error> {
        let mut pieces = vec![Piece::Stored(self.head.clone())];
        let from = match self.start {
            Some(key) => {
                let (blocks, block) = self.find(object, key, HEAD_READ).await?;
                pieces.push(Piece::Stored(cluster_head(blocks.timestamp)));
                block.element.start
            }
            None => self.range.0,
        };
        let Some(key) = self.end else {
            pieces.push(Piece::Object(from..self.range.1));
            return Ok(pieces);
        };
        let End { cut, cluster, audio } = self.end(object, key).await?;
        if cut < from {
            return Err(missing(key));
        }
        if cluster.0 >= from {
            pieces.push(Piece::Object(from..cluster.0));
            pieces.push(Piece::Stored(cluster_head(None)));
        }
        pieces.push(Piece::Object(from.max(cluster.1)..cut));
        pieces.push(Piece::Stored(audio.into()));
        Ok(pieces)
    }

    /// Finds a keyframe, with reads of at most `max_read` bytes. Also returns its Cluster, from the next block on.
    async fn find<'a>(
        &self,
        object: &'a Source,
        key: Key,
        max_read: u64,
    ) -> Result<(Blocks<'a>, Block), Error> {
        key.find(object, (self.film, self.range.1), max_read).await?.ok_or_else(|| missing(key))
    }

    /// Finds the end of a chunk. `key` is the keyframe of the next one.
    ///
    /// After it, there can be frames that are presented before it. Audio is stored about when it is presented, but the
    /// chunk's audio ends later than its frames.
    async fn end(&self, object: &Source, key: Key) -> Result<End, Error> {
        let (mut blocks, block) = self.find(object, key, READ).await?;
        let position = |blocks: &Blocks<'_>| blocks.cluster.as_ref().map_or((0, 0), |it| (it.start, it.end));
        let (mut cut, mut cluster) = (block.element.start, position(&blocks));
        let mut frames_end = false;
        let (mut now, mut audio) = (key.time, Vec::new());
        // The time at which each audio track was last seen, unless all of its audio was.
        let mut seen = vec![Some(key.time); self.audio.len()];
        while let Some(block) = blocks.next().await? {
            if block.track == self.film {
                frames_end |= block.time >= key.time;
                if block.time < key.time {
                    (cut, cluster) = (block.element.end, position(&blocks));
                }
            } else if let Some(i) = self.audio.iter().position(|(number, _)| *number == block.track) {
                let is_wanted = self.audio.get(i).is_some_and(|(_, until)| block.time < *until);
                if let Some(seen) = seen.get_mut(i) {
                    *seen = is_wanted.then_some(now);
                }
                if is_wanted {
                    audio.push((block.element.start, audio_cluster(&block, blocks.data(&block).await?)));
                }
            } else {
                continue;
            }
            now = now.max(block.time);
            // What was not seen for a second has ended, or has a gap.
            let is_over = |seen: u64| now.saturating_sub(seen) > self.scale;
            if (frames_end || is_over(key.time)) && seen.iter().all(|seen| seen.is_none_or(is_over)) {
                break;
            }
        }
        // What is stored before the last frame is read with it.
        let audio =
            audio.into_iter().filter(|(start, _)| *start >= cut).flat_map(|(_, audio)| audio).collect();
        Ok(End { cut, cluster, audio })
    }
}

impl Key {
    /// Returns one of the cut points, by its number.
    pub(super) fn of(cuts: &CutPoints, number: usize) -> Option<Self> {
        let (cluster, block) = *cuts.places.get(number)?;
        Some(Self { time: u64::try_from(*cuts.times.get(number)?).ok()?, cluster, block })
    }

    /// Finds the keyframe, with reads of at most `max_read` bytes. Also returns its Cluster, from the next block on. `film`
    /// is the number of the film's track, and `limit` the end of the last Cluster.
    pub(super) async fn find(
        self,
        object: &Source,
        (film, limit): (u64, u64),
        max_read: u64,
    ) -> Result<Option<(Blocks<'_>, Block)>, source::Error> {
        let cluster = || {
            let window = Window::new(object, HEAD_READ, max_read, BUDGET);
            Blocks::within(film, limit, window, self.cluster)
        };
        let is_found = |block: &Block| block.key && block.track == film && block.time == self.time;
        if let Some(offset) = self.block {
            let mut blocks = cluster();
            if blocks.seek_to_block(offset).await?.is_some()
                && let Some(block) = blocks.next().await?
                && is_found(&block)
            {
                return Ok(Some((blocks, block)));
            }
        }
        // The muxer did not write the position, or a wrong one.
        let mut blocks = cluster();
        while let Some(block) = blocks.next_key().await? {
            if blocks.cluster_start() != Some(self.cluster) {
                break;
            }
            if is_found(&block) {
                return Ok(Some((blocks, block)));
            }
        }
        Ok(None)
    }
}

/// The end of a chunk.
struct End {
    /// The offset after its last frame.
    cut: u64,
    /// The start of the Cluster of this offset, and that of the Cluster's data.
    cluster: (u64, u64),
    /// The audio after that offset, in Clusters.
    audio: Vec<u8>,
}

fn missing(key: Key) -> Error {
    Error::Unreadable(format!("there is no keyframe at {} as the Cues tell", key.time))
}

/// Returns the header of a Cluster of unknown size, and its timestamp unless that is copied.
fn cluster_head(timestamp: Option<u64>) -> Bytes {
    let mut out = Vec::new();
    ebml::put_head_of_unknown_size(&mut out, id::CLUSTER);
    if let Some(timestamp) = timestamp {
        put(&mut out, id::TIMESTAMP, &timestamp.to_be_bytes());
    }
    out.into()
}

/// Returns a Cluster with a copy of a block of audio.
fn audio_cluster(block: &Block, data: &[u8]) -> Vec<u8> {
    let track = usize::try_from(block.frame.saturating_sub(block.range.start)).unwrap_or(0).saturating_sub(3);
    let (track, frame) = (data.get(..track).unwrap_or_default(), data.get(track + 3..).unwrap_or_default());
    // Relative timestamp 0. All blocks of audio are keyframes.
    let copy = [track, &[0, 0, block.flags | 0x80], frame].concat();
    let mut cluster = Vec::new();
    put(&mut cluster, id::TIMESTAMP, &block.time.to_be_bytes());
    put(&mut cluster, id::SIMPLE_BLOCK, &copy);
    let mut out = Vec::new();
    put(&mut out, id::CLUSTER, &cluster);
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{
        cluster, cue, file, group, info, master, seek_head, simple, source, tracks, unknown_size,
    };
    use super::super::open;
    use super::*;

    const SECONDS: u64 = 12;

    /// A film with a keyframe each second.
    #[derive(Debug, Clone, Copy)]
    struct Film {
        /// The keyframes in a Cluster.
        keys: u64,
        /// Whether the Cues have positions in Clusters: `None`, or what is added to them.
        positions: Option<u64>,
        /// Blocks are in groups.
        is_grouped: bool,
        /// Frames are presented before the keyframe that they follow.
        is_open: bool,
        /// When audio is stored, in milliseconds after the frames of its time.
        late: i64,
        has_sizes: bool,
    }

    const FILM: Film =
        Film { keys: 1, positions: Some(0), is_grouped: false, is_open: false, late: 0, has_sizes: true };

    impl Film {
        /// The blocks with the times at which they are stored: the track, the time, and whether it is a keyframe.
        fn blocks(self) -> Vec<(i64, u8, i64, bool)> {
            let mut blocks = Vec::new();
            for second in (0..SECONDS).map(|second| second.cast_signed() * 1000) {
                blocks.push((second, 2, second, true));
                if self.is_open && second > 0 {
                    blocks.extend([30, 10].map(|early| (second + 1, 2, second - early, false)));
                }
                blocks.extend((1..25).map(|i| (second + i * 40, 2, second + i * 40, false)));
            }
            // Two frames of audio in each block.
            let end = SECONDS.cast_signed() * 1000;
            blocks.extend((0..end).step_by(40).map(|time| (time + self.late, 1, time, true)));
            blocks.sort_by_key(|(stored, track, ..)| (*stored, *track));
            blocks
        }

        fn file(self) -> Vec<u8> {
            let mut clusters: Vec<(u64, Vec<Vec<u8>>)> = vec![(0, Vec::new())];
            let mut keys = Vec::new();
            for ((_, track, time, is_key), i) in self.blocks().into_iter().zip(0u32..) {
                let second = time.unsigned_abs() / 1000;
                if track == 2 && is_key && second > 0 && second.is_multiple_of(self.keys) {
                    clusters.push((second * 1000, Vec::new()));
                }
                let number = clusters.len() - 1;
                let (start, blocks) = clusters.last_mut().unwrap();
                if track == 2 && is_key {
                    // After the checksum and the timestamp.
                    let at = cluster(0, &[]).len() - 12 + blocks.concat().len();
                    keys.push((time.unsigned_abs(), number, at as u64));
                }
                let relative = i16::try_from(time - start.cast_signed()).unwrap();
                let payload = [&[1][..], &i.to_be_bytes().repeat(20)].concat();
                let make = if self.is_grouped { group } else { simple };
                let mut block = make(track, relative, is_key, &payload);
                if track == 1 {
                    // Lacing with a fixed size.
                    let flags = block.len() - payload.len() - 1;
                    block[flags] |= 4;
                }
                blocks.push(block);
            }
            let clusters = clusters.into_iter().map(|(time, blocks)| cluster(time, &blocks));
            let clusters: Vec<_> =
                clusters.map(|it| if self.has_sizes { it } else { unknown_size(it) }).collect();
            let front = |cues| [seek_head(&[(id::CUES, cues)]), info(0.0), tracks()].concat();
            let starts: Vec<u64> = clusters
                .iter()
                .scan(front(0).len() as u64, |at, cluster| {
                    Some(std::mem::replace(at, *at + cluster.len() as u64))
                })
                .collect();
            let cue = |(time, number, at): &(u64, usize, u64)| {
                cue(*time, 2, starts[*number], self.positions.map(|wrong| at + wrong))
            };
            let cues = master(id::CUES, &keys.iter().map(cue).collect::<Vec<_>>());
            let clusters = clusters.concat();
            file(&[front((front(0).len() + clusters.len()) as u64), clusters, cues])
        }
    }

    /// The audio that a chunk from one keyframe to the next needs, in milliseconds.
    fn audio((start, end): (u64, Option<u64>)) -> (u64, u64) {
        (if start == 0 { 0 } else { start + 400 }, end.map_or(u64::MAX, |end| end + 540))
    }

    fn wanted(span: (u64, Option<u64>)) -> Wanted {
        let (from, until) = audio(span);
        let samples = |ms: u64| ms.cast_signed() * 48;
        Wanted {
            span: (span.0.cast_signed(), span.1.map(u64::cast_signed)),
            audio: (samples(from), span.1.map(|_| samples(until))),
        }
    }

    /// Returns the blocks of a file: the track, the time, and the frames.
    async fn blocks(file: &Source) -> Vec<(u64, u64, Bytes)> {
        let (_, track) = open(file).await.unwrap();
        let bytes = file.fetch(0..file.size()).await.unwrap();
        let mut blocks = Blocks::new(&track, Window::new(file, 0, 0, 0).over(0, bytes), track.clusters_start);
        let mut all = Vec::new();
        while let Some(block) = blocks.next().await.unwrap() {
            let frames = Bytes::copy_from_slice(blocks.data(&block).await.unwrap()).slice(4..);
            assert_eq!(block.flags & 6, if block.track == 1 { 4 } else { 0 }, "lacing");
            all.push((block.track, block.time, frames));
        }
        all
    }

    /// Returns the cut points at which chunks start.
    async fn found(object: &Source, track: &Track, wanted: &[Wanted]) -> CutPoints {
        let cuts = track.cuts(object).await.unwrap().unwrap();
        let starts: Vec<i64> = wanted.iter().map(|wanted| wanted.span.0).collect();
        track.found_cuts(object, &cuts, &starts).await.unwrap()
    }

    async fn sliced(object: &Source, spans: &[(u64, Option<u64>)]) -> Option<Vec<Slice>> {
        let (_, track) = open(object).await.unwrap();
        let wanted: Vec<_> = spans.iter().copied().map(wanted).collect();
        let slices =
            track.slices(&found(object, &track, &wanted).await, &wanted, &[StreamId::Position(0)])?;
        Some(slices.into_iter().map(|(slice, _)| Slice::from_bytes(slice.to_bytes()).unwrap()).collect())
    }

    const SPANS: [(u64, Option<u64>); 4] =
        [(0, Some(3000)), (3000, Some(4000)), (4000, Some(8000)), (8000, None)];

    #[tokio::test]
    async fn slices_have_the_frames_and_the_audio_of_their_chunks() {
        for film in [
            FILM,
            Film { keys: 3, ..FILM },
            Film { keys: 5, is_grouped: true, late: 300, ..FILM },
            Film { keys: 2, positions: None, ..FILM },
            Film { keys: 4, positions: Some(7), ..FILM },
            Film { keys: 3, is_open: true, ..FILM },
            Film { is_open: true, is_grouped: true, late: -200, ..FILM },
            Film { keys: 4, has_sizes: false, ..FILM },
            Film { keys: SECONDS, has_sizes: false, is_open: true, ..FILM },
        ] {
            let object = Arc::new(source(film.file()));
            let all = blocks(&object).await;
            let slices = sliced(&object, &SPANS).await.unwrap();
            for (slice, span) in slices.iter().zip(SPANS) {
                let found = blocks(&slice.open(&object).await.unwrap()).await;
                let is_presented = |(track, time, _): &&(u64, u64, Bytes)| {
                    let (from, until) =
                        if *track == 2 { (span.0, span.1.unwrap_or(u64::MAX)) } else { audio(span) };
                    (from..until).contains(time)
                };
                for number in [1, 2] {
                    let of_track = |all: &[(u64, u64, Bytes)]| -> Vec<_> {
                        let blocks = all.iter().filter(|(track, ..)| *track == number);
                        blocks.filter(is_presented).cloned().collect()
                    };
                    assert!(!of_track(&all).is_empty());
                    assert_eq!(of_track(&found), of_track(&all), "{film:?} {span:?}");
                }
                // It begins with the keyframe, and has little of the next chunk.
                let film = || found.iter().filter(|(track, ..)| *track == 2);
                assert_eq!(film().next().unwrap().1, span.0);
                assert!(film().filter(|(_, time, _)| *time >= span.1.unwrap_or(u64::MAX)).count() <= 1);
            }
        }
    }

    #[tokio::test]
    async fn slices_name_all_tracks() {
        let object = Arc::new(source(FILM.file()));
        let (_, track) = open(&object).await.unwrap();
        let cuts = found(&object, &track, &SPANS.map(wanted)).await;
        let slices = track.slices(&cuts, &SPANS.map(wanted), &[]).unwrap();
        let opened = slices[1].0.open(&object).await.unwrap();
        let (_, of_slice) = open(&opened).await.unwrap();
        let numbers = |tracks: &[u8]| -> Vec<u64> {
            children(tracks).map(|entry| uint(entry.data, id::TRACK_NUMBER)).collect()
        };
        assert_eq!((numbers(&track.tracks), numbers(&of_slice.tracks)), (vec![1, 2], vec![2, 1]));
    }

    #[tokio::test]
    async fn chunks_start_at_keyframes_that_were_found() {
        let object = Arc::new(source(FILM.file()));
        assert!(sliced(&object, &[(0, Some(3500)), (3500, None)]).await.is_none(), "no keyframe");
        let (_, track) = open(&object).await.unwrap();
        let cuts = found(&object, &track, &SPANS.map(wanted)).await;
        assert_eq!(cuts.times, [0, 3000, 4000, 8000]);
        assert!(track.slices(&cuts, &SPANS.map(wanted), &[StreamId::Position(1)]).is_none(), "no such audio");
        // The time of a cue is not that of the keyframe.
        let mut bytes = FILM.file();
        let at = memchr::memmem::rfind(&bytes, &4000u64.to_be_bytes()).unwrap();
        bytes[at..at + 8].copy_from_slice(&4040u64.to_be_bytes());
        let object = source(bytes);
        let (_, track) = open(&object).await.unwrap();
        assert_eq!(
            found(&object, &track, &[(0, Some(4040)), (4040, None)].map(wanted)).await.times,
            [0, 4000]
        );
    }
}
