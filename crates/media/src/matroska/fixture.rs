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

/// A film with a keyframe each second and frames in between that refer to later ones, beside AAC or AC-3.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Film {
    pub(crate) seconds: i64,
    /// When audio is stored after the frames of its time, in milliseconds. Negative: before them.
    pub(crate) audio_delay: i64,
    /// The times between which there is audio, in milliseconds.
    pub(crate) audio: (i64, i64),
    /// A second after whose keyframe a frame is stored that is presented before it.
    pub(crate) open: Option<i64>,
    /// A second whose cue states another time.
    pub(crate) wrong: Option<i64>,
    /// A second whose cue states another position.
    pub(crate) moved: Option<i64>,
    /// Whether audio is AC-3.
    pub(crate) is_ac3: bool,
}

impl Film {
    /// The time of the first frame in milliseconds.
    pub(crate) const START: i64 = 67;

    pub(crate) const fn new(seconds: i64) -> Self {
        Self {
            seconds,
            audio_delay: 0,
            audio: (0, seconds * 1000),
            open: None,
            wrong: None,
            moved: None,
            is_ac3: false,
        }
    }

    /// Returns the blocks with the times at which they are stored: the track, the presentation time, and whether it is a
    /// keyframe.
    fn blocks(&self) -> Vec<(i64, u8, i64, bool)> {
        let mut blocks = Vec::new();
        for second in 0..self.seconds {
            let start = Self::START + second * 1000;
            // I, and eight times P B B.
            let order = (0..8).flat_map(|group| [3, 1, 2].map(|i| group * 3 + i));
            let times = std::iter::once(0).chain(order).map(|i| start + i * 40);
            for (mut time, i) in times.zip(0..) {
                if self.open == Some(second) && i == 1 {
                    time = start - 20;
                }
                blocks.push((start - 80 + i * 40, 1, time, i == 0));
            }
        }
        let length = if self.is_ac3 { 1536 } else { 1024 };
        let frames = (0..).map(move |frame| (frame * length + 24) / 48);
        let audio = frames.skip_while(|time| *time < self.audio.0).take_while(|time| *time < self.audio.1);
        blocks.extend(audio.map(|time| (time + self.audio_delay, 2, time, true)));
        blocks.sort_by_key(|(stored, track, ..)| (*stored, *track));
        blocks
    }

    /// Returns the file. A Cluster starts with each keyframe.
    pub(crate) fn file(&self) -> Vec<u8> {
        let avc = data(id::CODEC_PRIVATE, &[1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67]);
        let aac = data(id::CODEC_PRIVATE, &[0x11, 0x90]);
        let rate = [float(id::SAMPLING_FREQUENCY, 48_000.0), uint(id::CHANNELS, 2)];
        let entries = [
            entry(1, 1, "V_MPEG4/ISO/AVC", &[avc, uint(id::DEFAULT_DURATION, 40_000_000), size(320, 180)]),
            entry(2, 2, if self.is_ac3 { "A_AC3" } else { "A_AAC" }, &[aac, master(id::AUDIO, &rate)]),
        ];
        let mut clusters: Vec<(i64, Vec<Vec<u8>>)> = vec![(0, Vec::new())];
        for ((_, track, time, is_key), i) in self.blocks().into_iter().zip(0u32..) {
            if track == 1 && is_key && !clusters.last().unwrap().1.is_empty() {
                clusters.push((time, Vec::new()));
            }
            let (start, blocks) = clusters.last_mut().unwrap();
            // A slice of an IDR picture, or another one.
            let unit = if is_key { 0x65 } else { 0x41 };
            let frame =
                [&[0, 0, 1, 0x90, unit][..], &i.to_be_bytes().repeat(if track == 1 { 100 } else { 9 })];
            blocks.push(simple(track, i16::try_from(time - *start).unwrap(), is_key, &frame.concat()));
        }
        let front = |cues| {
            let tracks = master(id::TRACKS, &entries);
            [seek_head(&[(id::CUES, cues)]), info(0.0), tracks].concat()
        };
        let (mut body, mut cues) = (front(0), Vec::new());
        for ((time, blocks), second) in clusters.into_iter().zip(0..) {
            let time = time.unsigned_abs();
            if second > 0 {
                let at = body.len() as u64 + 50 * u64::from(self.moved == Some(second));
                cues.push(cue(time + u64::from(self.wrong == Some(second)), 1, at, None));
            }
            body.extend(cluster(time, &blocks));
        }
        body.splice(..front(0).len(), front(body.len() as u64));
        file(&[body, master(id::CUES, &cues)])
    }
}
