//! Slices of an object. A slice is a file with the samples of one chunk, so that ffmpeg reads nothing else, and finds
//! each sample at the time at which it is presented.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use upreel_core::range::{RangeRead, RangeReader};

use crate::error::Error;
use crate::matroska::Clusters;
use crate::mp4::boxes::Fields;
use crate::source::{self, Source, to_usize};

/// Bytes between two ranges that are read and thrown away, because another request takes longer.
const GAP: u64 = 16 << 10;

/// The samples that a slice needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Presentation times of the frames, in ticks of the cut points: from the first (inclusive) to the second (exclusive),
    /// or to the end.
    pub span: (i64, Option<i64>),
    /// Presentation times of the audio, in samples at 48 kHz.
    pub audio: (i64, Option<i64>),
}

/// A slice, and the time span in which each of its audio streams is presented, in samples at 48 kHz. There are no spans
/// if the container has no edits.
pub type Sliced = (Slice, Vec<(i64, i64)>);

/// A file with the samples of a chunk: a few bytes that are stored here, and ranges of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Samples(Samples),
    Clusters(Clusters),
}

/// The number of ranges that stands for [`Kind::Clusters`].
const CLUSTERS: u64 = u64::MAX;

/// Boxes, followed by media data.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Samples {
    /// The boxes. The bytes after them are those of the object, from its first byte on.
    head: Bytes,
    /// The ranges of the object that contain the samples, ascending. All other bytes of the object read as zeros.
    ranges: Vec<(u64, u64)>,
}

impl Slice {
    pub(crate) fn new(head: Vec<u8>, mut ranges: Vec<Range<u64>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some((_, end)) if range.start <= end.saturating_add(GAP) => *end = range.end.max(*end),
                _ => joined.push((range.start, range.end)),
            }
        }
        Self(Kind::Samples(Samples { head: head.into(), ranges: joined }))
    }

    pub(crate) const fn of_clusters(clusters: Clusters) -> Self {
        Self(Kind::Clusters(clusters))
    }

    /// Returns the number of bytes of the object that the slice needs, about.
    #[must_use]
    pub fn media_bytes(&self) -> u64 {
        match &self.0 {
            Kind::Samples(Samples { ranges, .. }) => {
                ranges.iter().map(|(from, to)| to.saturating_sub(*from)).fold(0, u64::saturating_add)
            }
            Kind::Clusters(clusters) => clusters.media_bytes(),
        }
    }

    /// Serialises the slice.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match &self.0 {
            Kind::Samples(Samples { head, ranges }) => {
                bytes.put_u64(ranges.len() as u64);
                for (from, to) in ranges {
                    bytes.put_u64(*from);
                    bytes.put_u64(*to);
                }
                bytes.put_slice(head);
            }
            Kind::Clusters(clusters) => {
                bytes.put_u64(CLUSTERS);
                clusters.put(&mut bytes);
            }
        }
        bytes.freeze()
    }

    /// Parses the output of [`Slice::to_bytes`]. Returns `None` if it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let mut fields = Fields(bytes);
        let count = fields.u64()?;
        if count == CLUSTERS {
            return Clusters::parse(fields).map(Self::of_clusters);
        }
        let ranges = (0..count).map(|_| Some((fields.u64()?, fields.u64()?))).collect::<Option<_>>()?;
        Some(Self(Kind::Samples(Samples { head: fields.0, ranges })))
    }

    /// Returns the slice as a source, which reads the samples from `object`.
    ///
    /// # Errors
    /// If the object could not be read, or the slice is not in it.
    pub async fn open(&self, object: &Arc<Source>) -> Result<Arc<Source>, Error> {
        let pieces = match &self.0 {
            Kind::Samples(samples) => samples.pieces(),
            Kind::Clusters(clusters) => {
                let mut end = 0u64;
                let pieces = clusters.pieces(object).await?.into_iter();
                let placed = pieces.map(|piece| {
                    let start = end;
                    end = end.saturating_add(piece.len());
                    (start, piece)
                });
                placed.collect()
            }
        };
        let size = pieces.last().map_or(0, |(start, piece)| start.saturating_add(piece.len()));
        Ok(Arc::new(Source::new(size, SliceReader { object: object.clone(), pieces }).allow_full_read()))
    }
}

impl Samples {
    fn pieces(&self) -> Vec<(u64, Piece)> {
        let start = self.head.len() as u64;
        let ranges =
            self.ranges.iter().map(|(from, to)| (start.saturating_add(*from), Piece::Object(*from..*to)));
        std::iter::once((0, Piece::Stored(self.head.clone()))).chain(ranges).collect()
    }
}

/// A part of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Stored(Bytes),
    /// A range of the object.
    Object(Range<u64>),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Stored(bytes) => bytes.len() as u64,
            Self::Object(range) => range.end.saturating_sub(range.start),
        }
    }
}

struct SliceReader {
    object: Arc<Source>,
    /// The pieces and their offsets, ascending. The bytes between them are zeros.
    pieces: Vec<(u64, Piece)>,
}

impl RangeReader for SliceReader {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(async move {
            let length = to_usize(range.end.saturating_sub(range.start));
            let mut bytes = BytesMut::zeroed(length);
            let first = self
                .pieces
                .partition_point(|(start, piece)| start.saturating_add(piece.len()) <= range.start);
            for (start, piece) in self.pieces.iter().skip(first).take_while(|(start, _)| *start < range.end) {
                let from = range.start.saturating_sub(*start);
                let to = piece.len().min(range.end - start);
                let part = match piece {
                    Piece::Stored(bytes) => bytes.slice(to_usize(from)..to_usize(to)),
                    Piece::Object(object) => {
                        let part = object.start + from..object.start + to;
                        self.object.fetch(part).await.map_err(source::Error::into_read_error)?
                    }
                };
                let at = to_usize(start.saturating_add(from) - range.start);
                if let Some(to) = bytes.get_mut(at..at.saturating_add(part.len())) {
                    to.copy_from_slice(&part);
                }
            }
            Ok(bytes.freeze())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_ranges_are_read() {
        let object = Bytes::from((0..200_000u32).map(|i| i.to_be_bytes()[3] | 1).collect::<Vec<_>>());
        let object = Arc::new(Source::new(object.len() as u64, object));
        let slice = Slice::new(b"head".to_vec(), vec![150_000..150_010, 10..20, 30..40]);
        let file = Slice::from_bytes(slice.to_bytes()).unwrap().open(&object).await.unwrap();
        assert_eq!(Slice::from_bytes(slice.to_bytes().slice(..20)), None);
        assert_eq!(file.size(), 4 + 150_010);
        let all = file.fetch(0..file.size()).await.unwrap();
        assert_eq!(object.stats().bytes, 40);
        for start in (0..file.size()).step_by(997) {
            let range = start..(start + 997).min(file.size());
            let at = |offset: u64| usize::try_from(offset).unwrap();
            assert_eq!(file.fetch(range.clone()).await.unwrap(), all[at(range.start)..at(range.end)]);
        }
        assert_eq!(all[..4], *b"head");
        let bytes = object.read(0..200_000).await.unwrap();
        assert_eq!((&all[14..44], &all[150_004..]), (&bytes[10..40], &bytes[150_000..150_010]));
        assert!(all[44..150_004].iter().chain(&all[4..14]).all(|byte| *byte == 0));
    }
}
