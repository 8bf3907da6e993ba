//! Reads the index of AVI: `idx1`, or the `OpenDML` index of large files.

use std::ops::Range;

use super::{Entry, MAX_INDEX, Stream, read_chunk};
use crate::keyframe::Error;
use crate::source::{Source, in_parallel};
use crate::stream::is_keyframe;

/// Limit of the parts of an `OpenDML` index.
const MAX_PARTS: usize = 1000;
/// The flag of keyframes in `idx1`.
const KEYFRAME: u32 = 0x10;

/// Returns the frames in the index.
pub(super) async fn listed(
    source: &Source,
    stream: &Stream,
    digits: [u8; 2],
    list: u64,
    after: u64,
) -> Result<Vec<Entry>, Error> {
    let mut entries = parts(source, stream).await?;
    if entries.is_empty() {
        let index = read_chunk(source, after, *b"idx1").await?;
        entries = idx1(&index, digits);
        let absolute = offsets_are_absolute(source, &entries, digits, list).await?;
        for entry in &mut entries {
            // Offsets count from the type of the list, and lead to the header of a chunk.
            let base = if absolute { 8 } else { list + 8 };
            entry.at = entry.at.saturating_add(base);
        }
    }
    Ok(entries)
}

/// Returns whether an index lists all frames.
pub(super) fn is_complete(entries: &[Entry], stream: &Stream, list: &Range<u64>) -> bool {
    let end = entries.last().map_or(0, |last| last.at.saturating_add(last.len));
    let rest = list.end.saturating_sub(end.max(list.start));
    !stream.parts.is_empty() && !entries.is_empty() || rest <= list.end.saturating_sub(list.start) / 10
}

/// Returns whether an index lists all frames, and tells keyframes from others.
pub(super) fn is_reliable(entries: &[Entry], stream: &Stream, list: &Range<u64>) -> bool {
    let frames = entries.iter().filter(|entry| entry.len > 0);
    let (keys, others) = frames.fold(
        (0, 0),
        |(keys, others), entry| {
            if entry.key { (keys + 1, others) } else { (keys, others + 1) }
        },
    );
    // An index of keyframes only is right if every frame of the codec is a keyframe, and then an empty one counts as one.
    let all = others == 0 && keys > 1 && is_keyframe(stream.codec, &[]) == Some(false);
    keys > 0 && !all && is_complete(entries, stream, list)
}

/// Parses the index of the parts of an `OpenDML` index.
pub(super) fn index_of_parts(index: &[u8]) -> Vec<(u64, u64)> {
    // Four 32-bit values for each entry, and the type of an index of indexes.
    let [4, 0, _, 0, count @ ..] = index.first_chunk::<8>().copied().unwrap_or_default() else {
        return Vec::new();
    };
    let count = usize::try_from(u32::from_le_bytes(count)).unwrap_or(MAX_PARTS).min(MAX_PARTS);
    let entries = index.get(24..).unwrap_or_default().as_chunks::<16>().0.iter().take(count);
    let parts = entries.filter_map(|entry| {
        let at = u64::from_le_bytes(*entry.first_chunk()?);
        Some((at, u64::from(u32::from_le_bytes(*entry.get(8..)?.first_chunk()?))))
    });
    parts.filter(|(at, size)| *at > 0 && *size > 32).collect()
}

/// Reads the parts of an `OpenDML` index.
async fn parts(source: &Source, stream: &Stream) -> Result<Vec<Entry>, Error> {
    if stream.parts.iter().map(|(_, size)| size).sum::<u64>() > MAX_INDEX {
        return Err(Error::Unknown("the index is too large"));
    }
    let reads = stream.parts.iter().map(|(at, size)| source.fetch(*at..at.saturating_add(*size))).collect();
    let mut entries = Vec::new();
    for part in in_parallel(reads).await? {
        let (Some([b'i' | b'0'..=b'9', ..]), Some(base)) =
            (part.first_chunk::<4>(), part.get(20..).and_then(|rest| rest.first_chunk()))
        else {
            return Ok(Vec::new());
        };
        let base = u64::from_le_bytes(*base);
        let count = part.get(12..16).and_then(|count| count.try_into().ok()).map_or(0, u32::from_le_bytes);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for entry in part.get(32..).unwrap_or_default().as_chunks::<8>().0.iter().take(count) {
            let [a, b, c, d, size @ ..] = *entry;
            let size = u32::from_le_bytes(size);
            let at = base.saturating_add(u32::from_le_bytes([a, b, c, d]).into());
            // The highest bit marks frames that are not keyframes.
            entries.push(Entry { at, len: u64::from(size & 0x7FFF_FFFF), key: size >> 31 == 0 });
        }
    }
    Ok(entries)
}

/// Returns whether the identifier of a chunk is that of a frame.
pub(super) fn is_frame(id: &[u8], digits: [u8; 2]) -> bool {
    id.starts_with(&digits) && id[2] == b'd'
}

/// Parses `idx1`. The offsets are those in the file.
fn idx1(index: &[u8], digits: [u8; 2]) -> Vec<Entry> {
    let entries = index.as_chunks::<16>().0.iter().filter(|entry| is_frame(&entry[..4], digits));
    let field = |entry: &[u8; 16], at: usize| {
        u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
    };
    let entries = entries.map(|entry| Entry {
        at: field(entry, 8).into(),
        len: field(entry, 12).into(),
        key: field(entry, 4) & KEYFRAME != 0,
    });
    entries.collect()
}

/// Returns whether the offsets in `idx1` count from the start of the file instead of that of the list.
async fn offsets_are_absolute(
    source: &Source,
    entries: &[Entry],
    digits: [u8; 2],
    list: u64,
) -> Result<bool, Error> {
    let Some(first) = entries.iter().find(|entry| entry.len > 0) else { return Ok(false) };
    for (base, absolute) in [(list, false), (0, true)] {
        let start = first.at.saturating_add(base);
        let id = source.read(start..start.saturating_add(4)).await?;
        if id.starts_with(&digits) {
            return Ok(absolute);
        }
    }
    Err(Error::Unknown("the index does not lead to frames"))
}
