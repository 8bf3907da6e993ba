//! Objects some of whose bytes are replaced when they are read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use upreel_core::range::{RangeRead, RangeReader};

use crate::source::{self, Source};

/// What replaces bytes of an object: each time as many, at offsets that ascend.
#[derive(Debug, Clone)]
pub(super) struct Patches<const LENGTH: usize>(pub(super) Vec<(u64, [u8; LENGTH])>);

impl<const LENGTH: usize> Default for Patches<LENGTH> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<const LENGTH: usize> Patches<LENGTH> {
    /// Replaces bytes of a slice at an offset of the object.
    pub(super) fn apply<'a>(&self, slice: &'a [u8], offset: u64) -> Cow<'a, [u8]> {
        let end = offset.saturating_add(slice.len() as u64);
        let first = self.0.partition_point(|(at, _)| at.saturating_add(LENGTH as u64) <= offset);
        let mut result = Cow::Borrowed(slice);
        for (start, bytes) in self.0.iter().skip(first).take_while(|(at, _)| *at < end) {
            for (at, byte) in (*start..).zip(bytes) {
                let at = at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
                if let Some(at) = at.filter(|at| *at < slice.len()) {
                    result.to_mut()[at] = *byte;
                }
            }
        }
        result
    }

    /// Returns the object with the bytes replaced, or the object itself if none are.
    pub(super) fn patch(self, source: &Arc<Source>) -> Arc<Source> {
        if self.0.is_empty() {
            return source.clone();
        }
        let patched = Patched { source: source.clone(), patches: self };
        Arc::new(Source::new(source.size(), patched).allow_full_read())
    }
}

struct Patched<const LENGTH: usize> {
    source: Arc<Source>,
    patches: Patches<LENGTH>,
}

impl<const LENGTH: usize> RangeReader for Patched<LENGTH> {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(async move {
            let bytes = self.source.fetch(range.clone()).await.map_err(source::Error::into_read_error)?;
            Ok(match self.patches.apply(&bytes, range.start) {
                Cow::Borrowed(_) => bytes,
                Cow::Owned(patched) => patched.into(),
            })
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fixture;
    use super::*;

    /// Reads an object that a function returns for another one, in pieces. Also returns whether it is the same.
    pub(in super::super) async fn read_in_pieces(
        object: Vec<u8>,
        piece: usize,
        convert: impl AsyncFnOnce(Arc<Source>) -> Arc<Source>,
    ) -> (bool, Vec<u8>) {
        let source = Arc::new(fixture::source(object));
        let converted = convert(source.clone()).await;
        let mut bytes = Vec::new();
        for start in (0..source.size()).step_by(piece) {
            let end = (start + piece as u64).min(source.size());
            bytes.extend(converted.fetch(start..end).await.unwrap());
        }
        (Arc::ptr_eq(&source, &converted), bytes)
    }

    #[test]
    fn patches_can_begin_and_end_outside_of_a_slice() {
        let patches = Patches(vec![(2, *b"abc"), (5, *b"def"), (20, *b"xyz")]);
        let all = patches.apply(&[b'.'; 22], 0).into_owned();
        assert_eq!(all, b"..abcdef............xy");
        for start in 0..22 {
            for end in start..22 {
                assert_eq!(*patches.apply(&[b'.'; 22][start..end], start as u64), all[start..end]);
            }
        }
        assert!(matches!(patches.apply(&[b'.'; 10], 9), Cow::Borrowed(_)));
    }
}
