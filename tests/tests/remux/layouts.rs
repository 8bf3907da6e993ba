//! The same video with its samples in other places.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use upreel_media::boxes::{Fields, atom, full_box};

use super::basic;
use super::check::{Expected, check};

/// The samples of a track.
struct Track {
    samples: Vec<Bytes>,
    /// Samples of a chunk.
    chunk: usize,
    /// The new offsets of the chunks.
    offsets: Vec<u32>,
}

fn child(fields: &Fields, path: &[&[u8; 4]]) -> Fields {
    path.iter().fold(fields.clone(), |fields, name| fields.child(**name).unwrap())
}

fn words(mut fields: Fields) -> Vec<u32> {
    std::iter::from_fn(|| fields.u32()).collect()
}

/// Reads the samples of a track from a file whose chunk offsets have 32 bits.
fn samples(file: &Bytes, trak: &Fields) -> Vec<Bytes> {
    let stbl = child(trak, &[b"mdia", b"minf", b"stbl"]);
    let [sizes, chunks, offsets] = [b"stsz", b"stsc", b"stco"].map(|name| words(child(&stbl, &[name])));
    let runs: Vec<&[u32]> = chunks[2..].chunks(3).collect();
    let mut sizes = sizes[3..].iter();
    let mut samples = Vec::new();
    for (number, offset) in (1u32..).zip(&offsets[2..]) {
        let run = runs.iter().rev().find(|run| run[0] <= number).unwrap();
        let mut at = *offset as usize;
        for size in sizes.by_ref().take(run[1] as usize) {
            samples.push(file.slice(at..at + *size as usize));
            at += *size as usize;
        }
    }
    samples
}

/// Copies a box with the new chunks of the tracks.
fn rebuilt(name: [u8; 4], body: &Fields, tracks: &[Track], next: &mut usize) -> Vec<u8> {
    let put = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let track = |next: usize| &tracks[next - 1];
    match &name {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
            *next += usize::from(name == *b"trak");
            let inner: Vec<_> = body.boxes().map(|(name, body)| rebuilt(name, &body, tracks, next)).collect();
            atom(name, &[&inner.concat()])
        }
        b"stsc" => {
            let Track { samples, chunk, offsets, .. } = track(*next);
            let (count, all) = (u32::try_from(offsets.len()).unwrap(), u32::try_from(samples.len()).unwrap());
            let chunk = u32::try_from(*chunk).unwrap();
            let last = all - (count - 1) * chunk;
            full_box(name, 0, 0, &[&put(&[2, 1, chunk, 1, count, last, 1])])
        }
        b"stco" => {
            let offsets = &track(*next).offsets;
            full_box(name, 0, 0, &[&put(&[u32::try_from(offsets.len()).unwrap()]), &put(offsets)])
        }
        _ => atom(name, &[&body.0]),
    }
}

/// Stores the samples of film and audio in chunks of so many samples, one chunk after the other in turns, or all audio after
/// the film.
fn arranged(name: &str, chunks: [usize; 2], in_turns: bool) -> PathBuf {
    let file = Bytes::from(std::fs::read(basic()).unwrap());
    let moov = Fields(file.clone()).child(*b"moov").unwrap();
    let boxes = moov.boxes().filter(|(name, _)| name == b"trak").zip(chunks);
    let mut tracks: Vec<Track> = boxes
        .map(|((_, trak), chunk)| Track { samples: samples(&file, &trak), chunk, offsets: Vec::new() })
        .collect();
    let ftyp = atom(*b"ftyp", &[b"isom\0\0\x02\0isom"]);
    let mut media = Vec::new();
    let counts: Vec<usize> = tracks.iter().map(|track| track.samples.len().div_ceil(track.chunk)).collect();
    let most = *counts.iter().max().unwrap();
    let order: Vec<(usize, usize)> = if in_turns {
        (0..most).flat_map(|chunk| [(0, chunk), (1, chunk)]).collect()
    } else {
        (0..2).flat_map(|track| (0..most).map(move |chunk| (track, chunk))).collect()
    };
    for (track, chunk) in order.into_iter().filter(|(track, chunk)| *chunk < counts[*track]) {
        let track = &mut tracks[track];
        track.offsets.push(u32::try_from(ftyp.len() + 8 + media.len()).unwrap());
        let all = track.samples.iter().skip(chunk * track.chunk).take(track.chunk);
        all.for_each(|sample| media.extend_from_slice(sample));
    }
    let moov = rebuilt(*b"moov", &moov, &tracks, &mut 0);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("remux").join(name);
    std::fs::write(&path, [ftyp, atom(*b"mdat", &[&media]), moov].concat()).unwrap();
    path
}

#[tokio::test]
async fn samples_are_found_in_any_place() {
    for (name, chunks, in_turns) in [
        ("half-seconds.mp4", [15, 23], true),
        ("three-seconds.mp4", [90, 140], true),
        ("one-by-one.mp4", [1, 1], true),
        ("audio-at-the-end.mp4", [30, 47], false),
    ] {
        check(&arranged(name, chunks, in_turns), Expected::default()).await;
    }
}
