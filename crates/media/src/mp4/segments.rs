//! Indexes of the fragments: the segment index (`sidx`, ISO/IEC 14496-12, 8.16.3) in front of them, and the
//! random access box (`mfra`, 8.8.9) at the end.

use super::boxes::{Fields, Header, Reader};
use crate::keyframe::Error;

/// The random access box, and where it is looked for.
const MAX_MFRA: u64 = 4 << 20;
const TAIL: u64 = 16 * 1024;

/// Where a `moof` is looked for, and the time of its first keyframe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: u64,
    pub(super) offset: u64,
}

/// What a segment index says.
pub(super) struct Segments {
    pub(super) track: u32,
    pub(super) places: Vec<Place>,
    pub(super) duration: u64,
    /// The end of the last one.
    pub(super) end: u64,
}

impl Segments {
    /// `sidx`, 8.16.3; times in `scale`. One that refers to other indexes is of no use here.
    pub(super) fn read(fields: &mut Fields, header: &Header, scale: u32) -> Option<Self> {
        let (version, _) = fields.version()?;
        let track = fields.u32()?;
        let own_scale = u64::from(fields.u32().filter(|scale| *scale > 0)?);
        let first = fields.wide(version)?;
        let mut offset = header.body.end.checked_add(fields.wide(version)?)?;
        let count = u64::from(fields.u32()? & 0xFFFF);
        let scaled =
            |time: u64| u64::try_from(u128::from(time) * u128::from(scale) / u128::from(own_scale)).ok();
        let mut time = first;
        let mut places = Vec::new();
        for _ in 0..count {
            let (reference, duration, _access_point) = (fields.u32()?, fields.u32()?, fields.u32()?);
            if reference >> 31 == 1 {
                return None;
            }
            places.push(Place { time: scaled(time)?, offset });
            offset = offset.checked_add(reference.into())?;
            time = time.checked_add(duration.into())?;
        }
        Some(Self { track, places, duration: scaled(time - first)?, end: offset })
    }
}

/// `mfra`, 8.8.9, at the end of the object, if it is there.
pub(super) async fn random_access(reader: &mut Reader<'_>, track: u32) -> Result<Vec<Place>, Error> {
    let size = reader.source.size();
    let tail = reader.source.read(size.saturating_sub(TAIL)..size).await?;
    let Some(mut mfro) = tail.len().checked_sub(16).map(|at| Fields(tail.slice(at..))) else {
        return Ok(Vec::new());
    };
    let known = mfro.u32() == Some(16) && mfro.name() == Some(*b"mfro") && mfro.version().is_some();
    let Some(len) = mfro.u32().filter(|_| known) else { return Ok(Vec::new()) };
    let Some(start) = size.checked_sub(len.into()) else { return Ok(Vec::new()) };
    let Some(mfra) = reader.header(start, size, len.into()).await? else { return Ok(Vec::new()) };
    if mfra.name != *b"mfra" {
        return Ok(Vec::new());
    }
    let body = reader.body(&mfra, MAX_MFRA).await?;
    let mut tables = body.boxes().filter(|(name, _)| name == b"tfra");
    let mut places = tables.find_map(|(_, tfra)| access_points(tfra, track)).unwrap_or_default();
    places.sort_by_key(|place| place.time);
    places.dedup_by_key(|place| place.offset);
    Ok(places)
}

/// `tfra`, 8.8.10, if it is of this track.
fn access_points(mut tfra: Fields, track: u32) -> Option<Vec<Place>> {
    let (version, _) = tfra.version()?;
    if tfra.u32()? != track {
        return None;
    }
    let lengths = tfra.u32()?;
    let numbers = [4, 2, 0].iter().map(|shift| 1 + (lengths >> shift & 3) as usize).sum();
    let _count = tfra.u32()?;
    let mut places = Vec::new();
    while let (Some(time), Some(offset), Some(())) =
        (tfra.wide(version), tfra.wide(version), tfra.skip(numbers))
    {
        places.push(Place { time, offset });
    }
    Some(places)
}
