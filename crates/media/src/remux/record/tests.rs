use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;
use crate::cmaf::{Row, head};
use crate::remux::Refusal;
use crate::remux::media::Sample;

const SIZE: u64 = 5_000_000;

fn samples(places: &[(u64, u32)]) -> Vec<Sample> {
    let sample = |(offset, size): &(u64, u32)| Sample {
        offset: *offset,
        size: *size,
        duration: 10,
        time: 0,
        is_sync: true,
    };
    places.iter().map(sample).collect()
}

fn part(track: usize, samples: &[Sample]) -> Part<'_> {
    let row = |sample: &Sample| Row { size: sample.size, duration: 10, offset: 0, is_sync: true };
    let head = head(1, 0, &samples.iter().map(row).collect::<Vec<_>>());
    Part { track, head, samples: samples.into(), gaps: &[], silence: Some(b"mute"), encoding: None }
}

fn object() -> Bytes {
    (0..u32::try_from(SIZE).unwrap()).map(|i| i.to_be_bytes()[2] ^ i.to_be_bytes()[3]).collect()
}

/// Tracks that are stored side by side, out of order, and partly not at all.
fn places() -> [Vec<Sample>; 2] {
    let far = SIZE - 100;
    [
        samples(&[(100, 10), (110, 20), (135, 5), (50, 7), (far, 100)]),
        samples(&[
            (130, 5),
            (Sample::SILENCE, 4),
            (Sample::SILENCE, 4),
            (140, 1),
            (57, 3),
            (Sample::SILENCE, 4),
        ]),
    ]
}

fn written(size: u64, parts: &[Part<'_>]) -> Vec<u8> {
    let mut records = b"before".to_vec();
    let place = write(&mut records, ("\"tag\"", size), parts).unwrap();
    assert_eq!(place, 6..records.len() as u64);
    records.split_off(6)
}

#[tokio::test]
async fn segments_are_what_was_written() {
    let [film, audio] = places();
    let parts = [part(0, &film), part(3, &audio)];
    let record = Record::from_bytes(&written(SIZE, &parts)).unwrap();
    assert_eq!((record.etag(), record.size()), ("\"tag\"", SIZE));
    let object = object();
    let source = Source::new(SIZE, object.clone());
    let made = record.segments(&source).await.unwrap().complete;
    assert_eq!(source.stats().requests, 2, "the last frame is far from the others");
    for ((track, bytes), part) in made.iter().zip(&parts) {
        let data = part.samples.iter().flat_map(|sample| match sample.offset {
            Sample::SILENCE => Bytes::from_static(b"mute"),
            offset => {
                let at = usize::try_from(offset).unwrap();
                object.slice(at..at + usize::try_from(sample.size).unwrap())
            }
        });
        let expected: Vec<u8> = part.head.iter().copied().chain(data).collect();
        assert_eq!((*track, &bytes[..]), (part.track, &expected[..]));
    }
    let other = Source::new(SIZE - 1, object.slice(1..));
    assert!(matches!(record.segments(&other).await, Err(Unplayable::Failed(Error::Read(ReadError::Gone)))));
}

#[test]
fn samples_beside_each_other_take_little_room() {
    let all: Vec<Vec<Sample>> = (0..2u64)
        .map(|track| (0..300u64).map(|i| (1000 * (2 * i + track), 1000)).collect::<Vec<_>>())
        .map(|places| samples(&places))
        .collect();
    let record = written(SIZE, &[part(0, &all[0]), part(1, &all[1])]);
    assert!(record.len() < 200, "{}", record.len());
}

#[test]
fn damaged_records_are_rejected() {
    let [film, audio] = places();
    let whole = written(SIZE, &[part(0, &film), part(3, &audio)]);
    assert!(Record::from_bytes(&whole).is_some());
    for len in 0..whole.len() {
        assert_eq!(Record::from_bytes(&whole[..len]), None);
    }
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::from_bytes(&damaged), None);
    }
}

/// Returns a record with another payload, and a valid checksum.
fn packed(payload: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(payload).unwrap();
    let packed = encoder.finish().unwrap();
    [&checksum(&packed)[..], &packed].concat()
}

fn payload(record: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    DeflateDecoder::new(&record[4..]).read_to_end(&mut payload).unwrap();
    payload
}

#[test]
fn hostile_records_are_rejected() {
    let [film, audio] = places();
    let parts = [part(0, &film), part(3, &audio)];
    assert!(Record::from_bytes(&packed(&payload(&written(SIZE, &parts)))).is_some());
    assert_eq!(Record::from_bytes(&written(SIZE - 1, &parts)), None, "an extent outside the object");
    assert_eq!(Record::from_bytes(&packed(&vec![VERSION; 64 << 20])), None, "too large");
    let whole = payload(&written(SIZE, &parts));
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7F, 0x80, 0xFF, whole[at].wrapping_add(1)] {
            let mut changed = whole.clone();
            changed[at] = byte;
            // Does not panic, and never leaves the object.
            if let Some(record) = Record::from_bytes(&packed(&changed)) {
                let inside = |piece: &Piece| match &piece.data {
                    Data::Extent(extent) => extent.start <= extent.end && extent.end <= record.size,
                    Data::Literal(_) => true,
                };
                if let Contents::Listing(listing) = &record.contents {
                    assert!(listing.pieces.iter().all(inside));
                }
            }
        }
    }
}

#[test]
fn records_that_would_read_too_much_are_refused() {
    let far: Vec<(u64, u32)> = (0..100).map(|i| (i << 30, 1)).collect();
    let far = samples(&far);
    assert_eq!(write(&mut Vec::new(), ("", 1 << 40), &[part(0, &far)]), Err(Refusal("SCATTERED")));
    let many = samples(&vec![(0, 1); MAX_SAMPLES + 1]);
    assert_eq!(write(&mut Vec::new(), ("", 9), &[part(0, &many)]), Err(Refusal("SEGMENT_TOO_LARGE")));
}

#[tokio::test]
async fn hostile_records_of_a_range_are_harmless() {
    for (is_ac3, version) in [(false, SPAN_VERSION), (true, ENCODED_SPAN_VERSION)] {
        hostile_range(
            crate::matroska::fixture::Film { is_ac3, ..crate::matroska::fixture::Film::new(4) },
            version,
        )
        .await;
    }
}

async fn hostile_range(film: crate::matroska::fixture::Film, version: u8) {
    let object = Bytes::from(film.file());
    let size = object.len() as u64;
    let source = || Source::new(size, object.clone());
    let index = crate::Index::open(&source(), upreel_core::Container::Mkv).await.unwrap().unwrap();
    let remux = index.remux(&source(), "").await.unwrap().unwrap();
    let whole = payload(&remux.records[usize::try_from(remux.tracks[0].segments[1].record.start).unwrap()..]);
    assert_eq!(whole[0], version);
    assert!(Record::from_bytes(&packed(&whole)).unwrap().segments(&source()).await.is_ok());
    assert_eq!(Record::from_bytes(&packed(&whole[..whole.len() - 1])), None);
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7F, 0x80, 0xFF, whole[at].wrapping_add(1)] {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Some(record) = Record::from_bytes(&packed(&changed)) {
                let source = Source::new(record.size(), object.clone());
                if record.size() <= size {
                    let _ = record.segments(&source).await;
                }
                assert!(source.stats().bytes <= 3 * size);
            }
        }
    }
}

/// A film, and audio that is encoded.
fn encoded(places: &[Vec<Sample>; 2]) -> Vec<u8> {
    let [film, audio] = places;
    let audio: Vec<Sample> =
        audio.iter().filter(|sample| sample.offset != Sample::SILENCE).copied().collect();
    let encoding = Encoding { init: &b"init"[..], number: 7, frames: 100..200, span: -5..48_000 };
    let row = |sample: &Sample| Row { size: sample.size, duration: 10, offset: 0, is_sync: true };
    let head = head(1, 0, &audio.iter().map(row).collect::<Vec<_>>());
    let (samples, encoding) = (audio.into(), Some(encoding));
    let audio = Part { track: 1, head, samples, gaps: &[], silence: None, encoding };
    written(SIZE, &[part(0, film), audio])
}

#[tokio::test]
async fn audio_to_be_encoded_is_read_with_the_film() {
    let record = encoded(&places());
    assert_eq!(payload(&record)[0], ENCODED_VERSION);
    let record = Record::from_bytes(&record).unwrap();
    let source = Source::new(SIZE, object());
    let Segments { complete, encodable } = record.segments(&source).await.unwrap();
    assert_eq!(source.stats().requests, 2, "as for the film alone");
    let ([(0, _)], [(1, audio)]) = (&complete[..], &encodable[..]) else { panic!("{complete:?}") };
    let expected = Encoding { init: "init".into(), number: 7, frames: 100..200, span: -5..48_000 };
    assert_eq!(audio.encoding, expected);
    let samples = [&object()[130..135], &object()[140..141], &object()[57..60]].concat();
    assert!(audio.fragment.ends_with(&samples));
}

#[test]
fn hostile_encodings_are_rejected() {
    let whole = payload(&encoded(&places()));
    for at in 0..whole.len() {
        assert_eq!(Record::from_bytes(&packed(&whole[..at])), None);
        for byte in [0, 1, 0x7F, 0x80, 0xFF, whole[at].wrapping_add(1)] {
            let mut changed = whole.clone();
            changed[at] = byte;
            let Some(Record { contents: Contents::Listing(listing), .. }) =
                Record::from_bytes(&packed(&changed))
            else {
                continue;
            };
            let encodings = listing.segments.iter().filter_map(|segment| segment.encoding.as_ref());
            assert!(encodings.into_iter().all(Encoding::is_possible));
        }
    }
}

#[tokio::test]
async fn samples_in_pieces_are_joined() {
    let gaps = [110..115, 140..200, 230..240];
    let places = samples(&[(100, 20), (Sample::SILENCE, 4), (125, 30), (215, 25), (250, 5)]);
    let other = samples(&[(300, 10), (400, 10)]);
    let parts = [Part { gaps: &gaps, ..part(0, &places) }, part(1, &other)];
    let record = written(SIZE, &parts);
    assert_eq!(payload(&record)[0], PIECES_VERSION);
    let source = Source::new(SIZE, object());
    let Segments { complete, .. } = Record::from_bytes(&record).unwrap().segments(&source).await.unwrap();
    let at = |range: Range<usize>| object().slice(range);
    let pieces = [
        at(100..110),
        at(115..125),
        "mute".into(),
        at(125..140),
        at(200..215),
        at(215..230),
        at(240..250),
        at(250..255),
    ];
    assert!(complete[0].1.ends_with(&pieces.concat()));
    assert!(complete[1].1.ends_with(&[at(300..310), at(400..410)].concat()));
    let whole = payload(&record);
    for at in 0..whole.len() {
        assert_eq!(Record::from_bytes(&packed(&whole[..at])), None);
        for byte in [0, 1, 0x7F, 0x80, 0xFF, whole[at].wrapping_add(1)] {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Some(record) = Record::from_bytes(&packed(&changed)) {
                let _ = record.segments(&source).await;
            }
        }
    }
}
