//! Reads of an object by byte ranges.

use std::ops::Range;

use upreel_core::Key;
use upreel_core::range::{RangeRead, RangeReader};

use super::ObjectStore;

/// One version of an object in S3, identified by its entity tag.
#[derive(Debug, Clone)]
pub struct StoredObject {
    store: ObjectStore,
    key: Key,
    etag: String,
}

impl StoredObject {
    /// Refers to the object at `key`. Reads fail with [`ReadError::Gone`] once its entity tag is no longer `etag`.
    #[must_use]
    pub fn new(store: &ObjectStore, key: &Key, etag: &str) -> Self {
        Self { store: store.clone(), key: key.clone(), etag: etag.to_owned() }
    }
}

impl RangeReader for StoredObject {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        Box::pin(self.store.read(&self.key, &self.etag, range))
    }
}
