//! Copies of objects from another bucket into that of the uploads, inside S3.
//!
//! A repetition of a copy writes the object again, with the same content: a copy is refused if the source has another
//! entity tag than in the listing. Parts of a copy that was interrupted are removed by the bucket's lifecycle rule.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MetadataDirective, TaggingDirective};
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use upreel_core::{Fault, Key};

use super::{Listed, Missing, ObjectStore, status};
use crate::sdk;

/// Objects from this size on are copied by parts, several at the same time. S3 copies at most 5 GB by one request.
const PART: u64 = 128 << 20;
/// S3's limit on the number of parts.
const MAX_PARTS: u64 = 10_000;
/// Parts that are copied at the same time.
const CONCURRENT_PARTS: usize = 8;
/// Timeout of one attempt to copy a part. S3 copies some tens of megabytes per second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);
/// Timeout of an operation with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(6);

/// The characters of a key that are encoded in a header.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The error for a source that was replaced after it was listed.
#[derive(Debug, thiserror::Error)]
#[error("the object was replaced or deleted after it was listed")]
struct Changed;

impl ObjectStore {
    /// Returns the name of the bucket of the uploads.
    #[must_use]
    pub fn uploads(&self) -> &str {
        &self.buckets.uploads
    }

    /// Copies an object of the bucket `source` to `key`, with this media type.
    ///
    /// # Errors
    /// When S3 fails, or the object is no longer the one that was listed.
    pub async fn copy(
        &self,
        source: &str,
        object: &Listed,
        key: &Key,
        content_type: &str,
    ) -> Result<(), Fault> {
        let from = format!("{source}/{}", encoded(&object.key));
        if object.size > PART {
            return self.copy_by_parts(&from, object, key, content_type).await;
        }
        let copy = self.client.copy_object().bucket(self.bucket(key)).key(key.to_string()).copy_source(from);
        let copy = copy
            .set_copy_source_if_match(condition(object))
            .content_type(content_type)
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace);
        match copy.customize().config_override(patience()).send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(status(&error), Some(404 | 412)) => {
                Err(Fault::new("s3:CopyObject", &Changed))
            }
            Err(error) => Err(Fault::new("s3:CopyObject", &error)),
        }
    }

    async fn copy_by_parts(
        &self,
        from: &str,
        object: &Listed,
        key: &Key,
        content_type: &str,
    ) -> Result<(), Fault> {
        let missing = |name| Fault::new("s3:CreateMultipartUpload", &Missing(name));
        let create = self.client.create_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        let created = create.content_type(content_type).send().await;
        let created = created.map_err(|error| Fault::new("s3:CreateMultipartUpload", &error))?;
        let upload = created.upload_id().ok_or_else(|| missing("upload ID"))?;
        let copied = self.copy_parts(from, object, key, upload).await;
        if copied.is_err() {
            // What cannot be removed now, the lifecycle rule removes.
            self.abort_multipart(key, upload).await.ok();
        }
        copied
    }

    async fn copy_parts(&self, from: &str, object: &Listed, key: &Key, upload: &str) -> Result<(), Fault> {
        let size = part_size(object.size);
        let parts = stream::iter(1..=object.size.div_ceil(size)).map(|number| async move {
            let (start, end) = ((number - 1) * size, object.size.min(number * size));
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let copy = self.client.upload_part_copy().bucket(self.bucket(key)).key(key.to_string());
            let copy = copy
                .upload_id(upload)
                .part_number(number)
                .copy_source(from)
                .set_copy_source_if_match(condition(object))
                .copy_source_range(format!("bytes={start}-{}", end - 1));
            let copied = match copy.customize().config_override(patience()).send().await {
                Ok(copied) => copied,
                Err(error) if matches!(status(&error), Some(404 | 412)) => {
                    return Err(Fault::new("s3:UploadPartCopy", &Changed));
                }
                Err(error) => return Err(Fault::new("s3:UploadPartCopy", &error)),
            };
            let etag = copied.copy_part_result().and_then(|result| result.e_tag());
            let etag = etag.ok_or_else(|| Fault::new("s3:UploadPartCopy", &Missing("entity tag")))?;
            Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
        });
        let parts = parts.buffered(CONCURRENT_PARTS).try_collect().await?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        let complete = complete.upload_id(upload).multipart_upload(parts).customize();
        let completed = complete.config_override(patience()).send().await;
        completed.map(drop).map_err(|error| Fault::new("s3:CompleteMultipartUpload", &error))
    }
}

/// Returns the timeouts of copies.
fn patience() -> Builder {
    Builder::new().timeout_config(sdk::timeouts(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT))
}

/// Returns the size of the parts of an object, whose number is limited.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MAX_PARTS))
}

/// Returns the condition that the source is still the listed one. An object of the local S3 may have no entity tag.
fn condition(object: &Listed) -> Option<String> {
    (!object.etag.is_empty()).then(|| format!("\"{}\"", object.etag))
}

/// Encodes a key for a header.
fn encoded(key: &str) -> PercentEncode<'_> {
    utf8_percent_encode(key, UNSAFE)
}

#[cfg(test)]
mod tests {
    use upreel_core::limits::{MAX_OBJECT, MAX_PUT};

    use super::*;

    #[test]
    fn parts_of_the_largest_object_are_few_enough() {
        assert_eq!(part_size(1 << 30), PART);
        let part = part_size(MAX_OBJECT);
        assert!(MAX_OBJECT.div_ceil(part) <= MAX_PARTS);
        assert!(part <= MAX_PUT, "S3's limit of a part");
    }

    #[test]
    fn keys_are_percent_encoded() {
        assert_eq!(encoded("a b/ä+c?.mp4").to_string(), "a%20b/%C3%A4%2Bc%3F.mp4");
    }
}
