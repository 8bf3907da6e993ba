//! How slices are stored.

use bytes::{BufMut, BytesMut};

use super::{Clusters, Key};
use crate::mp4::boxes::Fields;

impl Clusters {
    /// Returns the number of bytes from the first Cluster to the next chunk's.
    pub(crate) fn media_bytes(&self) -> u64 {
        let start = self.start.map_or(self.range.0, |key| key.cluster);
        self.end.map_or(self.range.1, |key| key.cluster).saturating_sub(start)
    }

    /// Serialises the slice.
    pub(crate) fn put(&self, bytes: &mut BytesMut) {
        for number in [self.film, self.range.0, self.range.1, self.scale] {
            bytes.put_u64(number);
        }
        for key in [self.start, self.end] {
            bytes.put_u64(key.is_some().into());
            if let Some(Key { time, cluster, block }) = key {
                for number in [time, cluster, block.is_some().into(), block.unwrap_or(0)] {
                    bytes.put_u64(number);
                }
            }
        }
        bytes.put_u64(self.audio.len() as u64);
        for (number, until) in &self.audio {
            bytes.put_u64(*number);
            bytes.put_u64(*until);
        }
        bytes.put_slice(&self.head);
    }

    /// Parses the output of [`Clusters::put`]. Returns `None` if it is damaged.
    pub(crate) fn parse(mut fields: Fields) -> Option<Self> {
        let [film, from, to, scale] = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
        let mut key = || -> Option<Option<Key>> {
            if fields.u64()? == 0 {
                return Some(None);
            }
            let [time, cluster, is_known, block] =
                [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
            Some(Some(Key { time, cluster, block: (is_known > 0).then_some(block) }))
        };
        let (start, end) = (key()?, key()?);
        let count = fields.u64()?;
        let audio = (0..count).map(|_| Some((fields.u64()?, fields.u64()?))).collect::<Option<_>>()?;
        Some(Self { head: fields.0, film, range: (from, to), scale, start, end, audio })
    }
}
