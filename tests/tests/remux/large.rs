//! A film of an hour, of which only the index exists: requests, bytes, and the size of the segment index.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use upreel_core::Container;
use upreel_core::range::{RangeRead, RangeReader};
use upreel_media::boxes::{atom, full_box};
use upreel_media::{Index, Record, Source};

/// Frames of a second, and between keyframes.
const RATE: u32 = 30;
const GOP: u32 = 60;
/// Bytes of a frame on average, so that an hour has 5 GB.
const FRAME: u32 = 46_000;
const AUDIO_FRAME: u32 = 330;

/// An object that consists of zeros, but for its index at the end.
#[derive(Clone)]
struct Object(Arc<(u64, Bytes)>);

impl RangeReader for Object {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        let (index_at, index) = &*self.0;
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let mut bytes = BytesMut::zeroed(at(range.end - range.start));
        let from = range.start.max(*index_at);
        if from < range.end {
            let part = &index[at(from - index_at)..at(range.end - index_at)];
            bytes[at(from - range.start)..].copy_from_slice(part);
        }
        if range.start < 40 {
            // An empty `ftyp`, and `mdat` up to the index.
            let head = [&atom(*b"ftyp", &[b"isom\0\0\x02\0"])[..], &mdat(*index_at)].concat();
            let (from, to) = (at(range.start), at(range.end).min(head.len()));
            bytes[..to - from].copy_from_slice(&head[from..to]);
        }
        Box::pin(std::future::ready(Ok(bytes.freeze())))
    }
}

fn mdat(index_at: u64) -> Vec<u8> {
    [&1u32.to_be_bytes()[..], b"mdat", &(index_at - 16).to_be_bytes()].concat()
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// The tables of a track whose samples are each in a chunk.
struct Tables {
    handler: [u8; 4],
    scale: u32,
    duration: u32,
    entry: Vec<u8>,
    sizes: Vec<u32>,
    offsets: Vec<u64>,
}

fn trak(id: u32, tables: &Tables) -> Vec<u8> {
    let Tables { handler, scale, duration, entry, sizes, offsets } = tables;
    let count = u32::try_from(sizes.len()).unwrap();
    let table = |name, count: u32, entries: Vec<u8>| full_box(name, 0, 0, &[&count.to_be_bytes(), &entries]);
    let mut boxes = vec![table(*b"stsd", 1, entry.clone()), table(*b"stts", 1, words([count, *duration]))];
    let is_film = handler == b"vide";
    if is_film {
        let keyframes = count.div_ceil(GOP);
        boxes.push(table(*b"stss", keyframes, words((0..keyframes).map(|i| i * GOP + 1))));
        // I P B B: a P-frame is presented after the two frames that follow it.
        let offset = |i: u32| match i % GOP {
            0 | 58.. => 2,
            i if i % 3 == 1 => 4,
            _ => 1,
        };
        boxes.push(table(*b"ctts", count, words((0..count).flat_map(|i| [1, offset(i) * duration]))));
    }
    boxes.push(table(*b"stsc", 1, words([1, 1, 1])));
    boxes.push(full_box(*b"stsz", 0, 0, &[&words([0, count]), &words(sizes.iter().copied())]));
    boxes.push(table(*b"co64", count, offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect()));
    let stbl = atom(*b"stbl", &[&boxes.concat()]);
    let hdlr = full_box(*b"hdlr", 0, 0, &[&words([0]), handler, &[0; 13]]);
    let mdhd = full_box(*b"mdhd", 0, 0, &[&words([0, 0, *scale, count * duration, 0x55C4_0000])]);
    let mdia = atom(*b"mdia", &[&mdhd, &hdlr, &atom(*b"minf", &[&stbl])]);
    let matrix = words([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
    let size = words([1920 << 16, 1080 << 16]);
    let tkhd = full_box(*b"tkhd", 0, 3, &[&words([0, 0, id, 0, 0, 0, 0, 0, 0]), &matrix, &size]);
    // The first frame is decoded two frames before it is presented.
    let elst =
        full_box(*b"elst", 0, 0, &[&words([1, 0, if is_film { 2 * duration } else { 1024 }, 1 << 16])]);
    atom(*b"trak", &[&tkhd, &atom(*b"edts", &[&elst]), &mdia])
}

/// Returns an object of this many hours, with frames of different sizes.
fn object(hours: f64) -> (Source, u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let seconds = (hours * 3600.0) as u32;
    let mut random = 1u32;
    let mut size = |mean: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        mean / 2 + random % mean
    };
    let avc = atom(*b"avcC", &[&[1, 100, 0, 40, 255, 225, 0, 1, 0x67]]);
    let mut film = [0; 78];
    (film[24], film[25], film[26], film[27]) = (7, 128, 4, 56);
    let esds = [&b"\x03\x19\0\0\0\x04\x11\x40\x15"[..], &[0; 11], b"\x05\x02\x11\x90\x06\x01\x02"].concat();
    let mut sound = [0; 28];
    sound[17] = 2;
    let mp4a = atom(*b"mp4a", &[&sound, &full_box(*b"esds", 0, 0, &[&esds])]);
    let avc1 = atom(*b"avc1", &[&film, &avc]);
    let track = |handler: &[u8; 4], scale, duration, entry| Tables {
        handler: *handler,
        scale,
        duration,
        entry,
        sizes: Vec::new(),
        offsets: Vec::new(),
    };
    let mut tracks = [track(b"vide", 15_360, 512, avc1), track(b"soun", 48_000, 1024, mp4a)];
    let [film, audio] = &mut tracks;
    let mut at = 40;
    for frame in 0..seconds * RATE {
        // The audio up to a frame is stored before it.
        while u64::try_from(audio.sizes.len()).unwrap() * 1024 * u64::from(RATE) <= u64::from(frame) * 48_000
        {
            audio.sizes.push(size(AUDIO_FRAME));
            audio.offsets.push(at);
            at += u64::from(*audio.sizes.last().unwrap());
        }
        film.sizes.push(size(FRAME));
        film.offsets.push(at);
        at += u64::from(*film.sizes.last().unwrap());
    }
    let matrix = words([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
    let mvhd = full_box(*b"mvhd", 0, 0, &[&words([0, 0, 1000, 1000]), &[0; 16], &matrix, &[0; 28]]);
    let moov = atom(*b"moov", &[&mvhd, &trak(1, &tracks[0]), &trak(2, &tracks[1])]);
    let length = moov.len() as u64;
    (Source::new(at + length, Object(Arc::new((at, moov.into())))), length)
}

#[tokio::test]
async fn an_hour_is_indexed_with_few_requests() {
    let (source, moov) = object(1.0);
    Index::preload(&source, Container::Mp4).await.unwrap();
    let index = Index::open(&source, Container::Mp4).await.unwrap().unwrap();
    let opened = source.stats();
    let started = std::time::Instant::now();
    let remux = index.remux(&source, "\"etag\"").await.unwrap().unwrap();
    let made = source.stats();
    if std::env::var_os("UPREEL_FIGURES").is_some() {
        eprintln!(
            "{:?}; {} to open, {} more, {} bytes of moov, {} bytes of records, {} segments",
            started.elapsed(),
            opened.requests,
            made.requests - opened.requests,
            moov,
            remux.records.len(),
            remux.tracks[0].segments.len()
        );
    }
    // The start and the end of the object, two pieces of the index, and three keyframes.
    assert!(made.requests <= 7, "{made:?}");
    assert!(made.bytes <= moov + (128 << 10), "{made:?}");
    assert!(remux.records.len() < 1_600_000, "{}", remux.records.len());
    assert_eq!(remux.tracks[0].segments.len(), 901);

    // A segment takes one read of what it contains.
    let place = remux.tracks[0].segments[450].record.clone();
    let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
    let record = Record::from_bytes(&remux.records[place]).unwrap();
    let segments = record.segments(&source).await.unwrap();
    let read = source.stats();
    let media = segments.complete.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    assert_eq!(read.requests - made.requests, 1);
    // The audio of a time is not stored beside the frames of exactly that time.
    assert!(read.bytes - made.bytes <= media + media / 50, "{} for {media}", read.bytes - made.bytes);
}
