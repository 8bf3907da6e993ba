//! The sizes of samples: `stsz` (ISO/IEC 14496-12, 8.7.3.2) and the compact `stz2` (8.7.3.3).

use std::ops::Range;

use super::boxes::{Fields, Header, Reader, find};
use super::table::Table;
use crate::keyframe::Error;
use crate::source::Source;

/// The sizes of a track's samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes {
    /// The number of samples.
    pub(super) count: u64,
    /// The size of every sample, if there is no table.
    uniform: u64,
    /// The sizes, in bytes of the table.
    pub(super) table: Option<Table>,
    /// Bits of an entry: 4, 8, 16 or 32.
    bits: u64,
}

impl Sizes {
    /// Reads the header of the table among the boxes of `stbl`.
    pub(super) async fn open(reader: &Reader<'_>, boxes: &[Header]) -> Result<Self, Error> {
        let compact = find(boxes, *b"stz2");
        let Some(header) = find(boxes, *b"stsz").or(compact) else { return Ok(Self::default()) };
        let end = header.body.end.min(header.body.start + 12);
        let mut head = Fields(reader.read(header.body.start..end, 12).await?);
        let _version = head.version_and_flags();
        let (field, declared) = (head.u32().unwrap_or(0), u64::from(head.u32().unwrap_or(0)));
        let is_compact = header.name == *b"stz2";
        if !is_compact && field > 0 {
            return Ok(Self { count: declared, uniform: field.into(), table: None, bits: 0 });
        }
        let bits = if is_compact { u64::from(field & 0xFF) } else { 32 };
        if !matches!(bits, 4 | 8 | 16 | 32) {
            return Err(Error::Unknown("compact sample sizes of an unknown width"));
        }
        let table = Table::bytes_of(header, 12, (declared * bits).div_ceil(8));
        Ok(Self { count: declared.min(table.len() * 8 / bits), uniform: 0, table: Some(table), bits })
    }

    /// Reads the sizes of samples. Returns fewer if the table ends before.
    pub(super) async fn read(&self, source: &Source, samples: Range<u64>) -> Result<Vec<u64>, Error> {
        let len = samples.end.saturating_sub(samples.start);
        let Some(table) = &self.table else {
            // The caller asks for the samples of a few chunks.
            return Ok(vec![self.uniform; usize::try_from(len.min(MAX_UNIFORM)).unwrap_or(0)]);
        };
        let byte = |sample: u64| sample.saturating_mul(self.bits) / 8;
        let end = samples.end.min(self.count);
        let mut fields = table.read(source, byte(samples.start)..(end * self.bits).div_ceil(8)).await?;
        if self.bits == 4 {
            let halves = fields.0.iter().flat_map(|byte| [u64::from(byte >> 4), u64::from(byte & 15)]);
            let len = end.saturating_sub(samples.start);
            return Ok(halves
                .skip(usize::from(samples.start % 2 == 1))
                .take(usize::try_from(len).unwrap_or(0))
                .collect());
        }
        Ok(std::iter::from_fn(|| match self.bits {
            8 => fields.u8().map(u64::from),
            16 => fields.u16().map(u64::from),
            _ => fields.u32().map(u64::from),
        })
        .collect())
    }

    /// Returns the size of `samples` samples of the same size, or `None` if their sizes are in a table.
    pub(super) fn uniform(&self, samples: u64) -> Option<u64> {
        self.table.is_none().then(|| samples.saturating_mul(self.uniform))
    }
}

/// Largest number of samples of the same size that are listed one by one.
const MAX_UNIFORM: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::tests::atom;
    use super::*;

    async fn sizes(name: super::super::boxes::Name, words: &[u32], samples: Range<u64>) -> (u64, Vec<u64>) {
        let object: Bytes = atom(name, words, &[]).into();
        let source = Source::new(object.len() as u64, object);
        let mut reader = Reader::new(&source);
        let boxes = reader.children(&(0..source.size()), 8).await.unwrap();
        let sizes = Sizes::open(&reader, &boxes).await.unwrap();
        (sizes.count, sizes.read(&source, samples).await.unwrap())
    }

    #[tokio::test]
    async fn every_width_of_a_size_can_be_read() {
        assert_eq!(sizes(*b"stsz", &[0, 0, 3, 10, 20, 30], 1..9).await, (3, vec![20, 30]));
        assert_eq!(sizes(*b"stsz", &[0, 7, 3], 1..3).await, (3, vec![7, 7]));
        assert_eq!(sizes(*b"stz2", &[0, 16, 3, 0x0102_0304, 0x0506_0000], 0..3).await.1, [258, 772, 1286]);
        assert_eq!(sizes(*b"stz2", &[0, 8, 3, 0x0102_0300], 1..3).await, (3, vec![2, 3]));
        assert_eq!(sizes(*b"stz2", &[0, 4, 5, 0x1234_5000], 1..5).await, (5, vec![2, 3, 4, 5]));
        assert_eq!(sizes(*b"stz2", &[0, 4, 5, 0x1234_5000], 2..4).await.1, [3, 4]);
    }

    #[tokio::test]
    async fn declared_count_is_cut_to_the_box() {
        assert_eq!(sizes(*b"stsz", &[0, 0, u32::MAX, 10], 0..9).await, (1, vec![10]));
        assert_eq!(sizes(*b"stz2", &[0, 4, u32::MAX, 0x1234_5678], 0..99).await.0, 8);
    }
}
