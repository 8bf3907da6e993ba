//! Reads of an object by byte ranges.

use std::ops::Range;

use bytes::Bytes;
use upreel_core::range::{RangeRead, RangeReader, ReadError};
use upreel_core::{Fault, Key};

use super::{ObjectStore, status};

/// One version of an object in S3, identified by its entity tag.
#[derive(Debug, Clone)]
pub struct StoredObject {
    store: ObjectStore,
    key: Key,
    etag: String,
}

impl StoredObject {
    /// Refers to the object at `key`. Reads fail with [`ReadError::Gone`] once its entity tag is no longer `etag`, which has
    /// no quotes.
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

impl ObjectStore {
    /// Reads a byte range of the object with this entity tag. A response that breaks off or stalls is requested again
    /// once; the SDK repeats only requests whose response has not begun.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when the object was deleted or replaced, and when S3 fails.
    pub async fn read(&self, key: &Key, etag: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        let mut is_first = true;
        loop {
            let get = self
                .client
                .get_object()
                .bucket(self.bucket(key))
                .key(key.to_string())
                .if_match(format!("\"{etag}\""))
                .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
                .send()
                .await;
            let object = match get {
                Ok(object) => object,
                // The caller looks at the object again before it draws a conclusion.
                Err(error) if matches!(status(&error), Some(404 | 412)) => return Err(ReadError::Gone),
                Err(error) => return Err(Fault::new("s3:GetObject", &error).into()),
            };
            match object.body.collect().await {
                Ok(body) => return Ok(body.into_bytes()),
                Err(_) if is_first => is_first = false,
                Err(error) => return Err(Fault::new("s3:GetObject", &error).into()),
            }
        }
    }
}
