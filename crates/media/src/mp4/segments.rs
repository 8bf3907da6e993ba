//! Indexes of movie fragments: the segment index (`sidx`, ISO/IEC 14496-12, 8.16.3) before the fragments, and the
//! random access box (`mfra`, 8.8.9) at the end of the file.

use super::boxes::{Fields, Header, Reader};
use super::fragments::{MAX_MOOF, MOOF_READ};
use crate::keyframe::Error;

/// Largest random access box, in bytes.
const MAX_MFRA: u64 = 4 << 20;
/// Size of the read at the end of the file, in search of `mfra`.
const TAIL: u64 = 16 * 1024;

/// An index entry: the offset of a `moof`, or of boxes just before it, and the time of its first keyframe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) time: u64,
    pub(super) offset: u64,
}

/// A segment index (`sidx`).
pub(super) struct SegmentIndex {
    pub(super) track: u32,
    pub(super) entries: Vec<IndexEntry>,
    pub(super) duration: u64,
    /// The offset of the end of the last segment.
    pub(super) end: u64,
}

impl SegmentIndex {
    /// Reads a `sidx` box (8.16.3) and converts its times to `scale`. Returns `None` if it is malformed or refers to
    /// other indexes.
    pub(super) fn read(fields: &mut Fields, header: &Header, scale: u32) -> Option<Self> {
        let (version, _) = fields.version_and_flags()?;
        let track = fields.u32()?;
        let sidx_scale = u64::from(fields.u32().filter(|scale| *scale > 0)?);
        let first = fields.u32_or_u64(version)?;
        let mut offset = header.body.end.checked_add(fields.u32_or_u64(version)?)?;
        let count = u64::from(fields.u32()? & 0xFFFF);
        let scaled =
            |time: u64| u64::try_from(u128::from(time) * u128::from(scale) / u128::from(sidx_scale)).ok();
        let mut time = first;
        let mut entries = Vec::new();
        for _ in 0..count {
            let (reference, duration, _access_point) = (fields.u32()?, fields.u32()?, fields.u32()?);
            if reference >> 31 == 1 {
                return None;
            }
            entries.push(IndexEntry { time: scaled(time)?, offset });
            offset = offset.checked_add(reference.into())?;
            time = time.checked_add(duration.into())?;
        }
        Some(Self { track, entries, duration: scaled(time - first)?, end: offset })
    }
}

/// Finds the first `moof` after `at`, and the segment index of the track before it.
pub(super) async fn find_first(
    reader: &mut Reader<'_>,
    mut at: u64,
    track: u32,
    scale: u32,
) -> Result<(Header, Option<SegmentIndex>), Error> {
    let mut sidx: Option<SegmentIndex> = None;
    loop {
        let Some(header) = reader.header(at, u64::MAX, MOOF_READ).await? else {
            return Err(Error::Unknown("video track without samples"));
        };
        if header.name == *b"moof" {
            return Ok((header, sidx));
        }
        if header.name == *b"sidx"
            && sidx.as_ref().is_none_or(|sidx| sidx.track != track)
            && let Some(found) =
                SegmentIndex::read(&mut reader.body(&header, MAX_MOOF).await?, &header, scale)
            && (sidx.is_none() || found.track == track)
        {
            sidx = Some(found);
        }
        at = header.body.end;
    }
}

/// Reads the `mfra` box (8.8.9) at the end of the object. Returns no entries if there is none.
pub(super) async fn random_access(reader: &mut Reader<'_>, track: u32) -> Result<Vec<IndexEntry>, Error> {
    let size = reader.source.size();
    let tail = reader.source.read(size.saturating_sub(TAIL)..size).await?;
    let Some(mut mfro) = tail.len().checked_sub(16).map(|at| Fields(tail.slice(at..))) else {
        return Ok(Vec::new());
    };
    let known = mfro.u32() == Some(16) && mfro.name() == Some(*b"mfro") && mfro.version_and_flags().is_some();
    let Some(len) = mfro.u32().filter(|_| known) else { return Ok(Vec::new()) };
    let Some(start) = size.checked_sub(len.into()) else { return Ok(Vec::new()) };
    let Some(mfra) = reader.header(start, size, len.into()).await? else { return Ok(Vec::new()) };
    if mfra.name != *b"mfra" {
        return Ok(Vec::new());
    }
    let body = reader.body(&mfra, MAX_MFRA).await?;
    let mut tables = body.boxes().filter(|(name, _)| name == b"tfra");
    let mut entries = tables.find_map(|(_, tfra)| access_points(tfra, track)).unwrap_or_default();
    entries.sort_by_key(|entry| entry.time);
    entries.dedup_by_key(|entry| entry.offset);
    Ok(entries)
}

/// Reads a `tfra` box (8.8.10). Returns `None` if it is of another track.
fn access_points(mut tfra: Fields, track: u32) -> Option<Vec<IndexEntry>> {
    let (version, _) = tfra.version_and_flags()?;
    if tfra.u32()? != track {
        return None;
    }
    let lengths = tfra.u32()?;
    let numbers = [4, 2, 0].iter().map(|shift| 1 + (lengths >> shift & 3) as usize).sum();
    let _count = tfra.u32()?;
    let mut entries = Vec::new();
    while let (Some(time), Some(offset), Some(())) =
        (tfra.u32_or_u64(version), tfra.u32_or_u64(version), tfra.skip(numbers))
    {
        entries.push(IndexEntry { time, offset });
    }
    Some(entries)
}
