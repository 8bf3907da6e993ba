//! Reads ahead the parts of the index that lead to the keyframes of a poster, to need fewer rounds of requests.
//!
//! Each box header tells where the next box is, so a walk over large tables makes one request after the other. The
//! chunk offset table usually follows the sample sizes, so its entries are read at the same time as its header. The
//! bytes are cached for the readers. Errors are ignored here, because the readers meet them again.

use std::ops::Range;

use futures_util::future::join;

use super::boxes::{Header, Reader};
use super::headers::Movie;
use super::movie::{BOX_READ, MAX_BODY, Media};
use super::tables::{FEW_KEYFRAMES, Tables};
use crate::keyframe::Error;
use crate::source::Source;

/// Reads ahead if the first track is video, as it usually is.
pub(super) async fn read(source: &Source, moov: &Header) {
    let _ = walk(source, moov).await;
}

async fn walk(source: &Source, moov: &Header) -> Result<(), Error> {
    let mut reader = Reader::new(source);
    let mut movie = Movie::default();
    let mut at = moov.body.start;
    while let Some(header) = reader.header(at, moov.body.end, BOX_READ).await? {
        if header.name == *b"mvhd" {
            movie.read(&mut reader.body(&header, MAX_BODY).await?);
        }
        if header.name == *b"trak" {
            return match Media::open(source, &header).await? {
                Some(media) if media.handler == *b"vide" => tables(&mut reader, &media, movie.scale).await,
                _ => Ok(()),
            };
        }
        at = header.body.end;
    }
    Ok(())
}

/// Reads the headers of the sample tables, and the entries for a few keyframes.
async fn tables(reader: &mut Reader<'_>, media: &Media, movie_scale: u32) -> Result<(), Error> {
    let Some(stbl) = media.stbl_body(reader).await? else { return Ok(()) };
    let mut boxes = Vec::new();
    let mut at = stbl.start;
    while let Some(header) = reader.header(at, stbl.end, BOX_READ).await? {
        at = header.body.end;
        let is_before_offsets = matches!(&header.name, b"stsz" | b"stz2");
        boxes.push(header);
        if is_before_offsets && reader.source.cached(at).is_empty() {
            let mut other = Reader::new(reader.source);
            let entries = entries(&mut other, media, movie_scale, &boxes, at..stbl.end);
            let _ = join(reader.header(at, stbl.end, BOX_READ), entries).await;
        }
    }
    Ok(())
}

/// Reads the entries for a few keyframes from the tables `boxes` and a chunk offset table that is expected at `offsets`.
async fn entries(
    reader: &mut Reader<'_>,
    media: &Media,
    movie_scale: u32,
    boxes: &[Header],
    offsets: Range<u64>,
) -> Result<(), Error> {
    let tables = Tables::open(reader, boxes).await?.with_offsets_expected_in(offsets, reader.source.size());
    if tables.sizes.count > 0 {
        let timing = media.timing_of(reader, &tables, movie_scale).await?;
        tables.keyframes(reader.source, &timing, FEW_KEYFRAMES).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::{atom, full_box};
    use super::*;
    use crate::source::in_parallel;
    use crate::source::rounds::Rounds;

    /// An hour at 30 frames per second, a keyframe every two seconds.
    const FRAMES: u32 = 108_000;
    const GOP: u32 = 60;
    /// Bytes of a frame, so that the object has 5 GB.
    const FRAME: u32 = 46_000;
    const ALL_FRAMES: u64 = FRAMES as u64 * FRAME as u64;
    const MDAT_HEADER: u64 = 16;

    /// An object whose frames are zeros.
    struct Object {
        size: u64,
        /// The offset of the first frame.
        first: u64,
        rounds: Rounds,
    }

    impl Object {
        /// Creates an object whose chunks have these numbers of frames, over and over.
        fn new(is_index_first: bool, chunks: &[u32]) -> Self {
            let ftyp = atom(*b"ftyp", &[b"isom", &[0; 20]]);
            let length = (MDAT_HEADER + ALL_FRAMES).to_be_bytes();
            let mdat = [&1u32.to_be_bytes()[..], b"mdat", &length].concat();
            let (start, index) = (ftyp.len() as u64, moov(0, chunks).len() as u64);
            let (moov_at, mdat_at) = if is_index_first {
                (start, start + index)
            } else {
                (start + MDAT_HEADER + ALL_FRAMES, start)
            };
            let first = mdat_at + MDAT_HEADER;
            let size = start + index + MDAT_HEADER + ALL_FRAMES;
            // All bytes that are not zero, with their offsets.
            let parts = [(0, ftyp), (moov_at, moov(first, chunks)), (mdat_at, mdat)];
            Self { size, first, rounds: Rounds::new(move |range| read(&parts, range)) }
        }

        fn source(&self) -> Source {
            Source::new(self.size, self.rounds.clone())
        }
    }

    fn read(parts: &[(u64, Vec<u8>)], range: Range<u64>) -> Bytes {
        let place = |at: u64| usize::try_from(at).unwrap();
        let mut bytes = vec![0; place(range.end - range.start)];
        for (at, part) in parts {
            let (from, to) = (range.start.max(*at), range.end.min(at + part.len() as u64));
            if from < to {
                bytes[place(from - range.start)..place(to - range.start)]
                    .copy_from_slice(&part[place(from - at)..place(to - at)]);
            }
        }
        bytes.into()
    }

    fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// Returns the index of frames from the offset `first` on.
    fn moov(first: u64, chunks: &[u32]) -> Vec<u8> {
        let table =
            |name, entries: Vec<u8>, count: u32| full_box(name, 0, 0, &[&count.to_be_bytes(), &entries]);
        let starts =
            chunks.iter().cycle().scan(0, |next, frames| Some(std::mem::replace(next, *next + frames)));
        let starts: Vec<u32> = starts.take_while(|frame| *frame < FRAMES).collect();
        let count = u32::try_from(starts.len()).unwrap();
        let offsets =
            starts.iter().flat_map(|frame| (first + u64::from(*frame) * u64::from(FRAME)).to_be_bytes());
        // An entry is for all chunks up to that of the next one.
        let runs = if chunks.len() == 1 { 1 } else { count };
        let runs_of = (1..=runs).zip(chunks.iter().cycle()).flat_map(|(chunk, frames)| [chunk, *frames, 1]);
        let mut entry = vec![0; 78];
        (entry[24], entry[25], entry[26]) = (7, 128, 4);
        let avc1 = atom(*b"avc1", &[&entry, &atom(*b"avcC", &[&[1, 66, 0, 30, 255, 224, 0]])]);
        let stbl = atom(
            *b"stbl",
            &[
                &table(*b"stsd", avc1, 1),
                &table(*b"stts", words([FRAMES, 100]), 1),
                &table(*b"stss", words((0..FRAMES / GOP).map(|i| i * GOP + 1)), FRAMES / GOP),
                &table(*b"ctts", words((0..FRAMES).flat_map(|i| [1, 100 * (i % 3)])), FRAMES),
                &table(*b"stsc", words(runs_of), runs),
                &full_box(*b"stsz", 0, 0, &[&words([0, FRAMES]), &words((0..FRAMES).map(|_| FRAME))]),
                &table(*b"co64", offsets.collect(), count),
            ],
        );
        let hdlr = full_box(*b"hdlr", 0, 0, &[&words([0]), b"vide", &[0; 13]]);
        let mdhd = full_box(*b"mdhd", 0, 0, &[&words([0, 0, 3000, FRAMES * 100, 0])]);
        let mdia = atom(*b"mdia", &[&mdhd, &hdlr, &atom(*b"minf", &[&stbl])]);
        let matrix = words([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
        let tkhd =
            full_box(*b"tkhd", 0, 3, &[&words([0, 0, 1, 0, 3_600_000, 0, 0, 0, 0]), &matrix, &words([0, 0])]);
        let mvhd = full_box(*b"mvhd", 0, 0, &[&words([0, 0, 1000, 3_600_000]), &[0; 16], &matrix, &[0; 28]]);
        atom(*b"moov", &[&mvhd, &atom(*b"trak", &[&tkhd, &mdia])])
    }

    /// Returns the number of rounds until the keyframes for a poster have been read, and of requests.
    fn rounds(is_index_first: bool) -> (u64, u64) {
        let object = Object::new(is_index_first, &[1]);
        let source = object.source();
        let read = async {
            let (_, track) = super::super::open(&source).await.unwrap();
            let keyframes = track.keyframes(&source, FEW_KEYFRAMES).await.unwrap();
            let starts: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.range.start).collect();
            let first = object.first;
            assert_eq!((starts.len(), (starts[3] - first) % u64::from(FRAME * GOP)), (FEW_KEYFRAMES, 0));
            assert!(keyframes.iter().all(|keyframe| keyframe.bytes() == FRAME.into()));
            in_parallel(keyframes.into_iter().map(|keyframe| source.fetch(keyframe.range)).collect())
                .await
                .unwrap();
        };
        let rounds = object.rounds.run(read).1;
        (rounds, source.stats().requests)
    }

    #[test]
    fn keyframes_of_a_5_gb_object_take_4_rounds_of_requests() {
        assert_eq!(rounds(true), (4, 27));
        // One more, to find the index.
        assert_eq!(rounds(false), (5, 28));
    }

    /// Finds and reads the keyframe nearest to a time, and returns the number of bytes and of rounds.
    fn nearest(object: &Object, ms: u64) -> (u64, u64) {
        let source = object.source();
        let read = async {
            let (_, track) = super::super::open(&source).await.unwrap();
            let keyframe = track.nearest(&source, ms).await.unwrap().unwrap();
            source.fetch(keyframe.range.clone()).await.unwrap();
            keyframe
        };
        let (keyframe, rounds) = object.rounds.run(read);
        assert!(keyframe.time_ms.abs_diff(ms) <= u64::from(GOP) * 1000 / 30 / 2, "{keyframe:?}");
        assert_eq!((keyframe.range.start - object.first) % u64::from(FRAME * GOP), 0);
        assert_eq!(keyframe.bytes(), FRAME.into());
        (source.stats().bytes, rounds)
    }

    #[test]
    fn the_keyframe_nearest_to_a_time_takes_less_than_1_mb_of_a_5_gb_object() {
        for is_index_first in [true, false] {
            let (bytes, rounds) = nearest(&Object::new(is_index_first, &[1]), 1_234_567);
            assert!(bytes < 1_000_000 && rounds <= 6, "{bytes} {rounds}");
        }
    }

    #[test]
    fn a_large_sample_to_chunk_table_leads_to_every_keyframe() {
        for ms in [1000, 1_800_000, 3_599_000] {
            let (bytes, rounds) = nearest(&Object::new(true, &[1, 2]), ms);
            assert!(bytes < 1_100_000 && rounds <= 8, "{bytes} {rounds}");
        }
    }
}
