//! Reading an object as a whole, or more of it than usual.

use std::ops::Range;
use std::sync::Arc;

use upreel_core::RangeReader;
use upreel_core::range::RangeRead;

use super::{Source, Stats};

impl Source {
    /// Returns a source over the same object for a reading of the whole, with limits of its own. `with_tag` says whether it
    /// includes an ID3 tag at the start.
    #[must_use]
    pub fn whole(self: &Arc<Self>, with_tag: bool) -> Self {
        let skipped = if with_tag { self.skipped } else { 0 };
        let view = View { source: Arc::clone(self), skipped: self.skipped - skipped };
        Self::new(self.size + skipped, view).allow_full_read()
    }

    /// Allows requests and bytes beyond the limits. The caller limits their number.
    pub(crate) fn allow(&self, more: Stats) {
        let mut state = self.state();
        state.allowed.requests += more.requests;
        state.allowed.bytes += more.bytes;
    }
}

/// The object of a source, without some bytes at its start.
struct View {
    source: Arc<Source>,
    skipped: u64,
}

impl RangeReader for View {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        self.source.reader.read_range(range.start + self.skipped..range.end + self.skipped)
    }
}
