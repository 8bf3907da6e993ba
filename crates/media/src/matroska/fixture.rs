//! Builds files for the tests, element by element.

use bytes::Bytes;

use super::ebml::{id, put, put_head};
use crate::source::Source;

pub(super) fn source(bytes: Vec<u8>) -> Source {
    Source::new(bytes.len() as u64, Bytes::from(bytes))
}

pub(super) fn master(id: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    data(id, &parts.concat())
}

pub(super) fn data(id: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, id, data);
    out
}

pub(super) fn uint(id: u32, value: u64) -> Vec<u8> {
    data(id, &value.to_be_bytes())
}

pub(super) fn float(id: u32, value: f64) -> Vec<u8> {
    data(id, &value.to_be_bytes())
}

/// Sets the size of an element to unknown.
pub(super) fn unknown_size(mut element: Vec<u8>) -> Vec<u8> {
    element[5..12].fill(0xFF);
    element
}

pub(super) fn header(doc_type: &str) -> Vec<u8> {
    master(id::EBML, &[data(id::DOC_TYPE, doc_type.as_bytes())])
}

pub(super) fn info(duration: f64) -> Vec<u8> {
    let duration = if duration > 0.0 { float(id::DURATION, duration) } else { Vec::new() };
    master(id::INFO, &[uint(id::TIMESTAMP_SCALE, 1_000_000), duration])
}

pub(super) fn entry(number: u64, kind: u64, codec: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = vec![
        uint(id::TRACK_NUMBER, number),
        uint(id::TRACK_TYPE, kind),
        data(id::CODEC_ID, codec.as_bytes()),
    ];
    parts.extend_from_slice(more);
    master(id::TRACK_ENTRY, &parts)
}

pub(super) fn size(width: u64, height: u64) -> Vec<u8> {
    master(id::VIDEO, &[uint(id::PIXEL_WIDTH, width), uint(id::PIXEL_HEIGHT, height)])
}

/// Audio is track 1, video is track 2.
pub(super) fn tracks() -> Vec<u8> {
    master(
        id::TRACKS,
        &[
            entry(1, 2, "A_OPUS", &[]),
            entry(2, 1, "V_VP8", &[uint(id::DEFAULT_DURATION, 40_000_000), size(320, 180)]),
        ],
    )
}

/// The data of a block.
pub(super) fn payload(track: u8, time: i16, flags: u8, frame: &[u8]) -> Vec<u8> {
    let [high, low] = time.to_be_bytes();
    [&[0x80 | track, high, low, flags], frame].concat()
}

pub(super) fn simple(track: u8, time: i16, key: bool, frame: &[u8]) -> Vec<u8> {
    data(id::SIMPLE_BLOCK, &payload(track, time, u8::from(key) << 7, frame))
}

pub(super) fn group(track: u8, time: i16, key: bool, frame: &[u8]) -> Vec<u8> {
    let reference = if key { Vec::new() } else { data(id::REFERENCE_BLOCK, &[0xFF]) };
    let block = data(id::BLOCK, &payload(track, time, 0, frame));
    master(id::BLOCK_GROUP, &[uint(id::BLOCK_DURATION, 40), block, reference])
}

pub(super) fn cluster(timestamp: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    master(id::CLUSTER, &[data(id::CRC_32, &[0; 4]), uint(id::TIMESTAMP, timestamp), blocks.concat()])
}

pub(super) fn cue(time: u64, track: u64, cluster: u64, block: Option<u64>) -> Vec<u8> {
    let block = block.map_or_else(Vec::new, |block| uint(id::CUE_RELATIVE_POSITION, block));
    let positions = [uint(id::CUE_TRACK, track), uint(id::CUE_CLUSTER_POSITION, cluster), block];
    master(id::CUE_POINT, &[uint(id::CUE_TIME, time), master(id::CUE_TRACK_POSITIONS, &positions)])
}

pub(super) fn seek_head(targets: &[(u32, u64)]) -> Vec<u8> {
    let seek = |(target, at): &(u32, u64)| {
        let target = data(id::SEEK_ID, &target.to_be_bytes());
        master(id::SEEK, &[target, uint(id::SEEK_POSITION, *at)])
    };
    master(id::SEEK_HEAD, &targets.iter().map(seek).collect::<Vec<_>>())
}

pub(super) fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = header("webm");
    put_head(&mut out, id::SEGMENT, parts.iter().map(Vec::len).sum());
    [out, parts.concat()].concat()
}

/// A file as muxers write it: four seconds, each with a block of audio and then a keyframe of `frame` bytes, and the
/// Cues at the end.
pub(super) fn typical(frame: usize, with_positions: bool) -> Vec<u8> {
    let front =
        |cues| [seek_head(&[(id::CUES, cues)]), data(id::VOID, &[0; 30]), info(4000.0), tracks()].concat();
    let mut body = front(0);
    let mut cues = Vec::new();
    for second in 0..4u8 {
        let time = u64::from(second) * 1000;
        let start = body.len() as u64;
        let audio = simple(1, 0, true, b"audio");
        let keyframe = vec![second; frame];
        let made = match second % 2 {
            0 => [simple(2, 10, true, &keyframe), simple(2, 50, false, b"more")],
            _ => [group(2, 10, true, &keyframe), group(2, 50, false, b"more")],
        };
        // The block follows the checksum, the timestamp and the audio block.
        let position = (cluster(0, &[]).len() - 12 + audio.len()) as u64;
        cues.push(cue(time + 10, 2, start, with_positions.then_some(position)));
        body.extend(cluster(time, &[audio, made.concat()]));
    }
    body.splice(..front(0).len(), front(body.len() as u64));
    file(&[body, master(id::CUES, &cues)])
}
