//! Finds the frames of AVI in the list of frames itself, for files whose index is missing or wrong: a camera that loses
//! power does not write one.

use std::ops::Range;

use bytes::BytesMut;
use memchr::memmem;

use super::Entry;
use super::listed::is_frame;
use crate::keyframe::{Error, Keyframe, interleaved};
use crate::matroska::middles;
use crate::source::{self, Source, in_parallel};
use crate::stream::is_keyframe;

/// Files up to this size are read as a whole.
const WHOLE: u64 = 12 << 20;
/// The number and size of the pieces by which the frames of larger ones are estimated.
const SAMPLES: usize = 8;
const SAMPLE: u64 = 512 << 10;
/// The sizes to which a piece grows while no keyframe is found in it.
const PIECES: [u64; 4] = [128 << 10, 512 << 10, 2 << 20, 8 << 20];
/// Bytes read for 100 keyframes, and the minimum for a few.
const BUDGET: u64 = 30 << 20;
const LEAST_BUDGET: u64 = 6 << 20;
/// Pieces read at the same time.
const PARALLEL: usize = 4;

/// The frames of one stream.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    /// The first two bytes of the identifiers of its chunks.
    pub(super) digits: [u8; 2],
    /// The code of its codec.
    pub(super) codec: [u8; 4],
    /// The offsets of the list of frames. It can end in the middle of a frame.
    pub(super) list: Range<u64>,
}

/// A large file, whose keyframes are searched when they are needed.
#[derive(Debug)]
pub(super) struct Search {
    frames: Frames,
    /// The number of frames.
    pub(super) count: usize,
    /// The offsets of all frames in ascending order, if an index tells them.
    offsets: Vec<u64>,
}

/// What is known about the frames of a file.
pub(super) enum Found {
    All(Vec<Entry>),
    Search(Search),
}

impl Frames {
    /// Finds the frames. `listed` are those of an index that does not tell keyframes from others, `stated` is the number
    /// in a header. Returns `None` if the keyframes of the codec are not known here.
    pub(super) async fn find(
        self,
        source: &Source,
        listed: &[Entry],
        stated: Option<usize>,
    ) -> Result<Option<Found>, Error> {
        if is_keyframe(self.codec, &[]).is_none() {
            return Ok(None);
        }
        if source.size() <= WHOLE {
            let bytes = source.fetch(self.list.clone()).await?;
            return Ok(Some(Found::All(self.scan(&bytes, self.list.start))));
        }
        if !listed.is_empty() {
            let offsets: Vec<u64> = listed.iter().map(|entry| entry.at).collect();
            let count = offsets.len();
            return Ok(offsets.is_sorted().then_some(Found::Search(Search { frames: self, count, offsets })));
        }
        let starts: Vec<u64> = self.middles(SAMPLES).collect();
        let samples =
            starts.iter().map(|start| source.fetch(*start..self.list.end.min(start + SAMPLE))).collect();
        let (mut frames, mut bytes) = (0u128, 0u128);
        for sample in in_parallel(samples).await? {
            let found = self.scan(&sample, 0);
            if let [first, .., last] = found.as_slice() {
                frames += found.len() as u128 - 1;
                bytes += u128::from(last.at - first.at);
            }
        }
        let len = u128::from(self.list.end - self.list.start);
        let estimate = usize::try_from((len * frames).checked_div(bytes).unwrap_or(0)).unwrap_or(0);
        let stated = stated.filter(|stated| stated.abs_diff(estimate) <= estimate / 4);
        let count = stated.unwrap_or(estimate);
        Ok((count > 0).then_some(Found::Search(Search { frames: self, count, offsets: Vec::new() })))
    }

    /// Returns the middles of `n` equal spans of the list.
    fn middles(&self, n: usize) -> impl Iterator<Item = u64> + use<> {
        let start = self.list.start;
        middles(self.list.end.saturating_sub(start), n).map(move |middle| start + middle)
    }

    /// Returns the complete frames in a piece of the file that starts anywhere, at `offset`.
    fn scan(&self, piece: &[u8], offset: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut at = 0;
        while let Some((id, len)) = chunk(piece, at) {
            let data = at + 8;
            at = match &id {
                b"RIFF" => data + 4,
                b"LIST" if matches!(piece.get(data..data + 4), Some(b"movi" | b"rec ")) => data + 4,
                _ if is_chunk(id) && follows(piece, data, len) => {
                    let end = data + len;
                    if let Some(frame) = piece.get(data..end).filter(|_| is_frame(&id, self.digits)) {
                        let key = !frame.is_empty() && is_keyframe(self.codec, frame) == Some(true);
                        entries.push(Entry { at: offset + data as u64, len: len as u64, key });
                    }
                    end + len % 2
                }
                _ => match memmem::find(piece.get(at + 1..).unwrap_or_default(), &self.digits) {
                    Some(next) => at + 1 + next,
                    None => break,
                },
            };
        }
        entries
    }
}

impl Search {
    /// Returns at most `n` keyframes, each the first one after the start of one of `n` spans, and their numbers.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        n: usize,
        ms: impl Fn(usize) -> Option<u64>,
    ) -> Result<Vec<Keyframe>, source::Error> {
        let budget = (BUDGET / 100).saturating_mul(n as u64).clamp(LEAST_BUDGET, BUDGET);
        let limit = source.stats().bytes.saturating_add(budget);
        let mut found = Vec::new();
        for offsets in interleaved(self.frames.middles(n.min(100)).collect()).chunks(PARALLEL) {
            if source.stats().bytes >= limit {
                break;
            }
            let probes = offsets.iter().map(|offset| self.probe(source, *offset)).collect();
            found.extend(in_parallel(probes).await?.into_iter().flatten());
        }
        found.sort_by_key(|entry| entry.at);
        found.dedup_by_key(|entry| entry.at);
        let keyframes = found.into_iter().filter_map(|entry| {
            Some(Keyframe::new(ms(self.number(entry.at))?, entry.at..entry.at.checked_add(entry.len)?))
        });
        Ok(keyframes.collect())
    }

    /// Returns the number of the frame at an offset. Without an index, it is an estimate.
    fn number(&self, at: u64) -> usize {
        if !self.offsets.is_empty() {
            return self.offsets.partition_point(|offset| *offset < at);
        }
        let list = &self.frames.list;
        let len = u128::from((list.end - list.start).max(1));
        usize::try_from(u128::from(at - list.start) * self.count as u128 / len).unwrap_or(usize::MAX)
    }

    /// Returns the first keyframe after an offset, if it is near.
    async fn probe(&self, source: &Source, offset: u64) -> Result<Option<Entry>, source::Error> {
        let mut read = BytesMut::new();
        for len in PIECES {
            let end = offset.saturating_add(len).min(self.frames.list.end);
            read.extend_from_slice(&source.fetch(offset + read.len() as u64..end).await?);
            let key = self.frames.scan(&read, offset).into_iter().find(|entry| entry.key);
            if key.is_some() || end == self.frames.list.end {
                return Ok(key);
            }
        }
        Ok(None)
    }
}

/// Returns the identifier and the length of the chunk at an offset.
fn chunk(piece: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let [a, b, c, d, len @ ..] = piece.get(at..)?.first_chunk::<8>()?;
    Some(([*a, *b, *c, *d], usize::try_from(u32::from_le_bytes(*len)).ok()?))
}

/// Returns whether a chunk of this identifier can be in a list of frames, or follow it.
fn is_chunk(id: [u8; 4]) -> bool {
    let of_stream =
        id[0].is_ascii_digit() && id[1].is_ascii_digit() && id[2..].iter().all(u8::is_ascii_lowercase);
    of_stream || matches!(&id, b"JUNK" | b"LIST" | b"RIFF" | b"idx1" | [b'i', b'x', ..])
}

/// Returns whether another chunk begins after data of this length, with or without padding, or the bytes end before.
fn follows(piece: &[u8], data: usize, len: usize) -> bool {
    let end = data.saturating_add(len);
    [end, end.saturating_add(len % 2)]
        .into_iter()
        .any(|at| chunk(piece, at).is_none_or(|(id, _)| is_chunk(id)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const DIGITS: [u8; 2] = *b"00";

    /// A list of frames of some 20 kB, of which every 20th is a keyframe, with audio between them.
    fn list(count: usize) -> Vec<u8> {
        let mut list = Vec::new();
        for n in 0..count {
            let kind = if n % 20 == 0 { 0x10 } else { 0x50 };
            let len = 20_000 + n * 7919 % 101;
            list.extend(
                [b"00dc", &u32::try_from(len).unwrap().to_le_bytes()[..], &[0, 0, 1, 0xB6, kind]].concat(),
            );
            list.resize((list.len() + len - 5).next_multiple_of(2), u8::try_from(n % 251).unwrap());
            list.extend(b"01wb\x02\0\0\0ab");
        }
        list
    }

    #[tokio::test]
    async fn a_large_file_is_searched_in_pieces() {
        let bytes = list(2000);
        let frames = |bytes: &[u8]| Frames { digits: DIGITS, codec: *b"XVID", list: 0..bytes.len() as u64 };
        let entries = frames(&bytes).scan(&bytes, 0);
        assert_eq!((entries.len(), entries.iter().filter(|entry| entry.key).count()), (2000, 100));
        let source = Source::new(bytes.len() as u64, Bytes::from(bytes.clone()));
        for listed in [&entries[..], &[]] {
            let found = frames(&bytes).find(&source, listed, None).await.unwrap();
            let Some(Found::Search(search)) = found else { panic!("not searched") };
            assert!(search.count.abs_diff(2000) < 5, "{}", search.count);
            let before = source.stats().bytes;
            let keyframes = search.keyframes(&source, 50, |number| Some(number as u64)).await.unwrap();
            assert!(keyframes.len() > 40 && source.stats().bytes - before < 20 << 20, "{:?}", source.stats());
            for keyframe in keyframes {
                let entry = entries.iter().position(|entry| entry.at == keyframe.range.start).unwrap();
                assert!(
                    entries[entry].key
                        && keyframe.time_ms.abs_diff(entry as u64) <= if listed.is_empty() { 3 } else { 0 }
                );
            }
        }
    }

    #[test]
    fn a_piece_begins_anywhere() {
        let bytes = list(40);
        let frames = Frames { digits: DIGITS, codec: *b"XVID", list: 0..bytes.len() as u64 };
        let all = frames.scan(&bytes, 0);
        for start in (0..bytes.len()).step_by(997) {
            let found: Vec<u64> =
                frames.scan(&bytes[start..], start as u64).iter().map(|entry| entry.at).collect();
            let right = all.iter().map(|entry| entry.at).filter(|at| *at >= start as u64 + 8);
            assert_eq!(found, right.collect::<Vec<_>>(), "{start}");
        }
    }
}
