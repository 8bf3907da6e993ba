//! Slices of an object. A slice is a file with the samples of one chunk, so that ffmpeg reads nothing else, and finds
//! each sample at the time at which it is presented.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use upreel_core::range::{RangeRead, RangeReader};

use crate::mp4::boxes::Fields;
use crate::source::{self, Source};

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

/// A slice, and the time span in which each of its audio streams is presented, in samples at 48 kHz.
pub type Sliced = (Slice, Vec<(i64, i64)>);

/// A file with the samples of a chunk: boxes, which are stored here, followed by media data, which is read from the
/// object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
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
        Self { head: head.into(), ranges: joined }
    }

    /// Returns the number of bytes of the object that the slice needs.
    #[must_use]
    pub fn media_bytes(&self) -> u64 {
        self.ranges.iter().map(|(from, to)| to.saturating_sub(*from)).fold(0, u64::saturating_add)
    }

    /// Serialises the slice.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u64(self.ranges.len() as u64);
        for (from, to) in &self.ranges {
            bytes.put_u64(*from);
            bytes.put_u64(*to);
        }
        bytes.put_slice(&self.head);
        bytes.freeze()
    }

    /// Parses the output of [`Slice::to_bytes`]. Returns `None` if it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let mut fields = Fields(bytes);
        let count = fields.u64()?;
        let ranges = (0..count).map(|_| Some((fields.u64()?, fields.u64()?))).collect::<Option<_>>()?;
        Some(Self { head: fields.0, ranges })
    }

    /// Returns the slice as a source, which reads the samples from `object`.
    #[must_use]
    pub fn open(&self, object: &Arc<Source>) -> Arc<Source> {
        let end = self.ranges.last().map_or(0, |(_, end)| *end);
        let size = (self.head.len() as u64).saturating_add(end);
        let Self { head, ranges } = self.clone();
        Arc::new(Source::new(size, SliceReader { object: object.clone(), head, ranges }).allow_full_read())
    }
}

struct SliceReader {
    object: Arc<Source>,
    head: Bytes,
    ranges: Vec<(u64, u64)>,
}

impl RangeReader for SliceReader {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(async move {
            let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let mut bytes = BytesMut::zeroed(length);
            let start = self.head.len() as u64;
            let mut put = |at: u64, part: &[u8]| {
                let at = usize::try_from(at - range.start).unwrap_or(usize::MAX);
                if let Some(to) = bytes.get_mut(at..at.saturating_add(part.len())) {
                    to.copy_from_slice(part);
                }
            };
            if range.start < start {
                let from = usize::try_from(range.start).unwrap_or(usize::MAX);
                let to = usize::try_from(range.end.min(start)).unwrap_or(usize::MAX);
                put(range.start, self.head.get(from..to).unwrap_or_default());
            }
            let wanted = range.start.saturating_sub(start)..range.end.saturating_sub(start);
            let next = self.ranges.partition_point(|(_, end)| *end <= wanted.start);
            for (from, to) in self.ranges.iter().skip(next).take_while(|(from, _)| *from < wanted.end) {
                let part = (*from).max(wanted.start)..(*to).min(wanted.end);
                let read = self.object.fetch(part.clone()).await.map_err(source::Error::into_read_error)?;
                put(start + part.start, &read);
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
        let file = Slice::from_bytes(slice.to_bytes()).unwrap().open(&object);
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
