//! CMAF segments (ISO/IEC 23000-19) made of encoded frames, with the timestamps of the source.

mod file;

use crate::mp4::boxes::{atom, full_box};
use crate::rendition::AAC_FRAME;

pub use file::{File, Sample, Unexpected};

/// A media segment: `styp`, `moof` and `mdat`.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// The serialised boxes.
    pub bytes: Vec<u8>,
    /// The duration in ticks.
    pub duration: u64,
    /// Number of bytes up to the end of the first sample, enough to show that frame.
    pub first: usize,
}

/// A sample with its times on the timeline of the whole video.
struct Timed<'a> {
    sample: &'a Sample,
    decoded: i64,
    presented: i64,
    duration: i64,
}

/// The largest number of frames by which decoding order may run ahead of presentation order: what x264 needs for
/// three consecutive B-frames, one of them a reference.
pub const REORDER: usize = 2;

/// Why encoded frames cannot be cut into segments.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The encoder returned more or fewer frames than it was given.
    #[error("{samples} encoded frames for {times} presentation times")]
    Count {
        /// Encoded frames.
        samples: usize,
        /// Frames that were to be encoded.
        times: usize,
    },
    /// A frame would be presented before it is decoded.
    #[error("a frame is decoded more than {REORDER} frames late")]
    Order,
}

/// Returns the initialization segment: `ftyp` and `moov`.
pub fn init(file: &File) -> Vec<u8> {
    let mut bytes = atom(*b"ftyp", &[b"iso6", &0u32.to_be_bytes(), b"iso6cmfcmp41"]);
    bytes.extend(&file.moov);
    bytes
}

/// Cuts a chunk of video into segments, one for each keyframe.
///
/// `times` are the presentation times in ascending order. The last frame lasts until `end`; if that is `None`, it has
/// the duration from the encoder. `step` is a lower bound of the distance between two frames of the whole video.
/// `number` is the sequence number of the first segment.
///
/// The decode time of a frame is the presentation time of the frame [`REORDER`] places before it. Decode times thus
/// ascend across chunks although each chunk is made without knowing the others, and no frame is presented before it
/// is decoded. (Negative composition offsets would do too, if all players handled them alike.)
///
/// # Errors
/// See [`Mismatch`].
pub fn video(
    file: &File,
    times: &[i64],
    end: Option<i64>,
    step: i64,
    number: u32,
) -> Result<Vec<Segment>, Mismatch> {
    let samples = &file.samples;
    if samples.len() != times.len() {
        return Err(Mismatch::Count { samples: samples.len(), times: times.len() });
    }
    let Some((begin, last)) = times.first().zip(times.last()) else { return Ok(Vec::new()) };
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|i| samples[*i].presentation_time);
    let mut presented = vec![0; samples.len()];
    for (i, time) in order.into_iter().zip(times) {
        presented[i] = *time;
    }
    let end = end.unwrap_or_else(|| last.saturating_add(samples.last().map_or(1, |s| s.duration.into())));
    let early = |begin: i64, i: usize| {
        begin.saturating_sub(i64::try_from(REORDER - i).unwrap_or(0).saturating_mul(step))
    };
    let decoded = |i: usize| match i.checked_sub(REORDER) {
        Some(before) => times.get(before).copied().unwrap_or(end),
        None => early(*begin, i),
    };
    let mut frames = Vec::with_capacity(samples.len());
    for (i, sample) in samples.iter().enumerate() {
        let next = if i + 1 < samples.len() { decoded(i + 1) } else { early(end, 0) };
        let decoded = decoded(i);
        if presented[i] < decoded {
            return Err(Mismatch::Order);
        }
        frames.push(Timed {
            sample,
            decoded,
            presented: presented[i],
            duration: next.saturating_sub(decoded).max(1),
        });
    }
    let groups: Vec<&[Timed<'_>]> = frames.chunk_by(|_, next| !next.sample.is_sync).collect();
    let begins = groups.iter().map(|group| group.first().map_or(end, |first| first.presented)).chain([end]);
    let begins: Vec<i64> = begins.collect();
    let lengths = begins.windows(2).map(|pair| u64::try_from(pair[1].saturating_sub(pair[0])).unwrap_or(0));
    let segments = groups.iter().zip(lengths).zip(number..);
    Ok(segments.map(|((group, length), number)| segment(file, group, length, number)).collect())
}

/// Cuts audio `samples`, which begin at `start`, into about `segments` segments.
pub fn audio(file: &File, samples: &[Sample], start: i64, segments: usize, number: u32) -> Vec<Segment> {
    let mut at = start;
    let timed: Vec<Timed<'_>> = samples
        .iter()
        .map(|sample| {
            let (decoded, duration) = (at, AAC_FRAME);
            at = at.saturating_add(duration);
            Timed { sample, decoded, presented: decoded, duration }
        })
        .collect();
    let groups = timed.chunks(timed.len().div_ceil(segments.max(1)).max(1));
    let length = |group: &[Timed<'_>]| group.iter().map(|timed| timed.duration.unsigned_abs()).sum();
    groups.zip(number..).map(|(group, number)| segment(file, group, length(group), number)).collect()
}

fn segment(file: &File, samples: &[Timed<'_>], duration: u64, number: u32) -> Segment {
    const SYNC: u32 = 0x0200_0000;
    const NON_SYNC: u32 = 0x0101_0000;
    let begin = samples.first().map_or(0, |sample| sample.decoded);
    let mut rows = Vec::new();
    for timed in samples {
        let flags = if timed.sample.is_sync { SYNC } else { NON_SYNC };
        let size = file.data(timed.sample).len();
        let offset = u32::try_from(timed.presented.saturating_sub(timed.decoded)).unwrap_or(0);
        rows.extend(u32::try_from(timed.duration).unwrap_or(0).to_be_bytes());
        rows.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
        rows.extend(flags.to_be_bytes());
        rows.extend(offset.to_be_bytes());
    }
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX).to_be_bytes();
    let moof = |data_offset: u32| {
        let mfhd = full_box(*b"mfhd", 0, 0, &[&number.to_be_bytes()]);
        // 0x020000: default-base-is-moof, data offsets are relative to the `moof` box.
        let tfhd = full_box(*b"tfhd", 0, 0x02_0000, &[&1u32.to_be_bytes()]);
        let tfdt = full_box(*b"tfdt", 1, 0, &[&begin.to_be_bytes()]);
        let trun = full_box(*b"trun", 0, 0x0F01, &[&count, &data_offset.to_be_bytes(), &rows]);
        atom(*b"moof", &[&mfhd, &atom(*b"traf", &[&tfhd, &tfdt, &trun])])
    };
    let offset = moof(0).len() + 8;
    let moof = moof(u32::try_from(offset).unwrap_or(u32::MAX));
    let data: Vec<&[u8]> = samples.iter().map(|timed| file.data(timed.sample)).collect();
    let mut bytes = atom(*b"styp", &[b"msdh", &0u32.to_be_bytes(), b"msdhcmfc"]);
    let first = bytes.len() + offset + data.first().map_or(0, |data| data.len());
    bytes.extend(moof);
    bytes.extend(atom(*b"mdat", &data));
    Segment { bytes, duration, first }
}
