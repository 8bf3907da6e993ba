//! Uploads that are scanned before anybody may read them.

use upreel_core::check::SCAN_TAG;
use upreel_core::{Fault, Key};

use super::{Head, Missing, ObjectStore, status, unquoted};

impl ObjectStore {
    /// Finds uploads by listing them if `is_scanned` is set: the bucket's policy then denies every read of an upload that no
    /// scan has found clean, also to the functions.
    #[must_use]
    pub fn with_scan(self, is_scanned: bool) -> Self {
        Self { is_scanned, ..self }
    }

    /// Returns the metadata of an object as [`ObjectStore::head`] does, but without its media type and without the right to
    /// read the object.
    pub(super) async fn find(&self, key: &Key) -> Result<Option<Head>, Fault> {
        let key = key.to_string();
        let list = self.client.list_objects_v2().bucket(&self.buckets.uploads).prefix(&key).max_keys(1);
        let list = list.send().await.map_err(|error| Fault::new("s3:ListObjectsV2", &error))?;
        let found = list.contents.into_iter().flatten().find(|object| object.key() == Some(&key));
        let Some(object) = found else { return Ok(None) };
        let missing = |name| Fault::new("s3:ListObjectsV2", &Missing(name));
        Ok(Some(Head {
            size: object.size().and_then(|size| size.try_into().ok()).ok_or_else(|| missing("size"))?,
            etag: unquoted(object.e_tag().ok_or_else(|| missing("entity tag"))?),
            content_type: None,
        }))
    }

    /// Returns the result of the scan that the tags of an upload have.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn scan_tag(&self, key: &Key) -> Result<Option<String>, Fault> {
        let tags =
            self.client.get_object_tagging().bucket(self.bucket(key)).key(key.to_string()).send().await;
        match tags {
            Ok(tags) => {
                let tag = tags.tag_set().iter().find(|tag| tag.key() == SCAN_TAG);
                Ok(tag.map(|tag| tag.value().to_owned()))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(Fault::new("s3:GetObjectTagging", &error)),
        }
    }
}
