use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::fixture::{
    cluster, cue, data, entry, file, group, info, master, simple, size, source, uint,
};
use super::super::open;
use super::*;

/// The film is track 2, the texts are track 3.
fn tracks(codec: &str, more: &[Vec<u8>]) -> Vec<u8> {
    master(id::TRACKS, &[entry(2, 1, "V_VP8", &[size(320, 180)]), entry(3, SUBTITLES, codec, more)])
}

fn listed(codec: &str, more: &[Vec<u8>]) -> Option<Listed> {
    let tracks = tracks(codec, more);
    // After the header of the element.
    children(&tracks[12..]).find_map(|entry| list(entry.data))
}

#[test]
fn tracks_of_text_are_listed() {
    let language = data(id::LANGUAGE, b"ger\0");
    let track = listed("S_TEXT/UTF8", &[language.clone(), data(id::NAME, b"Deutsch")]).unwrap();
    assert_eq!(
        (track.number, track.language.as_deref(), track.label.as_deref()),
        (3, Some("ger"), Some("Deutsch"))
    );
    assert_eq!((track.format, track.kind), (Format::SubRip, Kind::Subtitles));
    let tag = data(id::LANGUAGE_BCP_47, b"de-CH");
    assert_eq!(listed("S_TEXT/ASS", &[language, tag]).unwrap().language.as_deref(), Some("de-CH"));
    let plain = listed("S_TEXT/WEBVTT", &[]).unwrap();
    assert_eq!(plain.language.as_deref(), Some("en"), "the default of the format");
    assert_eq!(listed("D_WEBVTT/CAPTIONS", &[]).unwrap().kind, Kind::Captions);
    assert_eq!(listed("S_TEXT/UTF8", &[uint(id::FLAG_HEARING_IMPAIRED, 1)]).unwrap().kind, Kind::Captions);
    let rank = |flags: &[Vec<u8>]| listed("S_TEXT/UTF8", flags).unwrap().rank;
    assert!(rank(&[]) > rank(&[uint(id::FLAG_DEFAULT, 0)]));
    assert!(rank(&[uint(id::FLAG_DEFAULT, 0)]) > rank(&[uint(id::FLAG_ENABLED, 0)]));
    assert!(rank(&[]) > rank(&[uint(id::FLAG_COMMENTARY, 1)]));
    for none in [
        listed("S_TEXT/UTF8", &[uint(id::FLAG_FORCED, 1)]),
        listed("S_VOBSUB", &[]),
        listed("D_WEBVTT/METADATA", &[]),
        listed("S_TEXT/UTF8", &[encoding(&[uint(id::CONTENT_ENCODING_TYPE, 1)])]),
    ] {
        assert!(none.is_none(), "{none:?}");
    }
}

fn encoding(parts: &[Vec<u8>]) -> Vec<u8> {
    master(id::CONTENT_ENCODINGS, &[master(id::CONTENT_ENCODING, parts)])
}

#[test]
fn compressed_texts_are_decoded() {
    let zlib = |len: usize| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b'a'; len]).unwrap();
        Bytes::from(encoder.finish().unwrap())
    };
    let entry = encoding(&[master(id::CONTENT_COMPRESSION, &[])]);
    let decode = |bytes: Bytes| Encoding::of(&entry).unwrap().decode(bytes);
    assert_eq!(decode(zlib(5)).as_deref(), Some(&b"aaaaa"[..]));
    assert_eq!(
        (decode(zlib(1 << 20)), decode(Bytes::from_static(b"abc"))),
        (None, None),
        "large, and damaged"
    );
    let stripped = [uint(id::CONTENT_COMP_ALGO, 3), data(id::CONTENT_COMP_SETTINGS, b"1,")];
    let entry = encoding(&[master(id::CONTENT_COMPRESSION, &stripped)]);
    let decoded = Encoding::of(&entry).unwrap().decode(Bytes::from_static(b"2"));
    assert_eq!(decoded.as_deref(), Some(&b"1,2"[..]));
}

#[test]
fn a_block_is_found_near_its_place() {
    let found =
        |before: usize, block: &[u8]| text_block(&[&vec![0xA3; before][..], block].concat().into(), 3);
    let payload = |found| match found {
        Found::Block(block) => (String::from_utf8(block.payload.to_vec()).unwrap(), block.duration),
        found => panic!("{found:?}"),
    };
    for before in 0..=7 {
        assert_eq!(payload(found(before, &group(3, 9, true, b"text"))), ("text".to_owned(), Some(40)));
        assert_eq!(payload(found(before, &simple(3, 9, true, b"text"))), ("text".to_owned(), None));
    }
    let whole = group(3, 9, true, b"text");
    assert_eq!(found(8, &whole), Found::Nothing);
    assert_eq!(found(0, &group(2, 9, true, b"text")), Found::Nothing, "of another track");
    // A Block, then its duration, so that the start tells the track.
    let block = data(id::BLOCK, &[0x83, 0, 0, 0, b'a', b'b']);
    let more =
        master(id::BLOCK_ADDITIONS, &[master(id::BLOCK_MORE, &[data(id::BLOCK_ADDITIONAL, b"line:0\n")])]);
    let whole = master(id::BLOCK_GROUP, &[block, uint(id::BLOCK_DURATION, 7), more]);
    let len = whole.len() as u64;
    assert_eq!(text_block(&Bytes::copy_from_slice(&whole[..30]), 3), Found::Longer(0..len));
    let Found::Block(block) = text_block(&whole.into(), 3) else { panic!() };
    assert_eq!((&block.payload[..], block.duration), (&b"ab"[..], Some(7)));
    assert_eq!(block.settings.as_deref(), Some(&b"line:0\n"[..]));
    let large = data(id::SIMPLE_BLOCK, &vec![0x83; 1 << 17]);
    assert_eq!(found(0, &large), Found::Nothing);
}

/// A file with a keyframe of `frame` bytes and a text each second, and a cue for each text if `with_cues`.
fn film(frame: usize, with_cues: bool) -> Vec<u8> {
    let mut body = [info(4000.0), tracks("S_TEXT/UTF8", &[])].concat();
    let front = |cues: u64| super::super::fixture::seek_head(&[(id::CUES, cues)]);
    let shift = front(0).len() as u64;
    let mut cues = Vec::new();
    for second in 0..4u64 {
        let video = simple(2, 0, true, &vec![7; frame]);
        let text = group(3, 100, true, format!("text {second}").as_bytes());
        let start = body.len() as u64 + shift;
        let made = cluster(second * 1000, &[video, text.clone()]);
        let at = (made.len() - text.len() - 12) as u64;
        body.extend(made);
        cues.push(cue(second * 1000, 2, start, None));
        if with_cues {
            cues.push(cue(second * 1000 + 100, 3, start, Some(at)));
        }
    }
    let at = body.len() as u64 + shift;
    file(&[front(at), body, master(id::CUES, &cues)])
}

#[tokio::test]
async fn texts_are_read_by_the_cues_or_of_a_small_file() {
    for (frame, with_cues) in [(100, true), (100, false), (1 << 20, true), (1 << 20, false), (3 << 20, true)]
    {
        let source = source(film(frame, with_cues));
        let (_, track) = open(&source).await.unwrap();
        let samples = track.text_samples(&source, 3).await.unwrap().unwrap();
        let times: Vec<u64> = samples.iter().map(|sample| sample.start).collect();
        assert_eq!(times, [100, 1100, 2100, 3100], "{frame} {with_cues}");
        for (n, sample) in samples.iter().enumerate() {
            let bytes = source.fetch(sample.range.clone()).await.unwrap();
            let Found::Block(block) = text_block(&bytes, 3) else { panic!("{n} {frame} {with_cues}") };
            assert_eq!(block.payload, format!("text {n}"));
            assert_eq!(track.decode_text(3, block).unwrap().duration, Some(40));
        }
    }
    let source = source(film(3 << 20, false));
    let (_, track) = open(&source).await.unwrap();
    let before = source.stats();
    assert_eq!(track.text_samples(&source, 3).await.unwrap(), Err(LeftOut::NoIndex));
    assert!(source.stats().bytes - before.bytes < 200 << 10, "only the Cues");
}
