//! Multipart uploads: creating, listing, completing and aborting them. Clients send the parts directly to S3; what the
//! backend fetches itself is sent by [`ObjectStore::put_part`]. A repeated part replaces the first one.
//!
//! A repeated completion finds that there is no such upload, but an object of the same number of parts: it succeeds
//! again. A repeated abort returns `false`. Only the error code `NoSuchUpload` says that there is no such upload: any other
//! 404 is not about the upload, so it is a fault of S3.

use std::time::Duration;

use aws_sdk_s3::config::Config;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use upreel_core::{Fault, Key};

use super::signed::PART_URL_TTL;
use super::{Missing, ObjectStore, SignedPut, status};
use crate::sdk;

/// Timeout of a completion: S3 begins its response at once, but can take long to join many parts. It ends before the 29
/// seconds of API Gateway; the client then repeats the request.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(24);

/// Timeout of one attempt to send a part.
const PART_TIMEOUT: Duration = Duration::from_mins(1);

/// S3's error code for an upload that was completed or aborted, or never existed.
const NO_SUCH_UPLOAD: &str = "NoSuchUpload";

/// A part that S3 has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// The part number, from 1 to 10,000.
    pub number: u16,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag in quotes, as S3 returns it.
    pub etag: String,
}

/// A part that a client names to complete an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    /// The part number, from 1 to 10,000.
    pub number: u16,
    /// The entity tag, with or without quotes.
    pub etag: String,
}

/// Outcome of completing an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The object exists.
    Done,
    /// The upload was aborted, or there is another object with its key.
    NoSuchUpload,
    /// S3 rejects these parts. The upload is unchanged.
    Refused,
}

/// These methods use the client without the SDK's checksums: an upload that is created with a checksum requires one for
/// each part, which browsers do not send.
impl ObjectStore {
    /// Creates an upload and returns its identifier.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn create_multipart(&self, key: &Key, content_type: &str) -> Result<String, Fault> {
        const OPERATION: &str = "s3:CreateMultipartUpload";
        let create = self.signer.create_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        let created = create.content_type(content_type).send().await;
        let created = created.map_err(|error| Fault::new(OPERATION, &error))?;
        created.upload_id.ok_or_else(|| Fault::new(OPERATION, &Missing("upload id")))
    }

    /// Returns the received parts in ascending order, or `None` if there is no such upload.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn list_parts(&self, key: &Key, upload: &str) -> Result<Option<Vec<StoredPart>>, Fault> {
        let mut parts = Vec::new();
        let mut marker = None;
        loop {
            let list = self.signer.list_parts().bucket(self.bucket(key)).key(key.to_string());
            let page = match list.upload_id(upload).set_part_number_marker(marker).send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => return Ok(None),
                Err(error) => return Err(Fault::new("s3:ListParts", &error)),
            };
            for part in page.parts() {
                let missing = |name| Fault::new("s3:ListParts", &Missing(name));
                let number = part.part_number().and_then(|number| number.try_into().ok());
                let size = part.size().and_then(|size| size.try_into().ok());
                parts.push(StoredPart {
                    number: number.ok_or_else(|| missing("part number"))?,
                    size: size.ok_or_else(|| missing("size"))?,
                    etag: part.e_tag().ok_or_else(|| missing("entity tag"))?.to_owned(),
                });
            }
            marker = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true));
            if marker.is_none() {
                return Ok(Some(parts));
            }
        }
    }

    /// Stores a part of an upload. Returns its entity tag, or `None` if there is no such upload.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: u16,
        body: Bytes,
    ) -> Result<Option<String>, Fault> {
        const OPERATION: &str = "s3:UploadPart";
        let put = self.signer.upload_part().bucket(self.bucket(key)).key(key.to_string());
        let put = put.upload_id(upload).part_number(number.into()).body(ByteStream::from(body)).customize();
        let put = if self.is_https { put.disable_payload_signing() } else { put };
        let timeouts = sdk::timeouts(PART_TIMEOUT, PART_TIMEOUT * 3);
        match put.config_override(Config::builder().timeout_config(timeouts)).send().await {
            Ok(put) => put.e_tag.map(Some).ok_or_else(|| Fault::new(OPERATION, &Missing("entity tag"))),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(None),
            Err(error) => Err(Fault::new(OPERATION, &error)),
        }
    }

    /// Completes an upload: S3 joins these parts into the object.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn complete_multipart(
        &self,
        key: &Key,
        upload: &str,
        parts: &[NamedPart],
    ) -> Result<Completion, Fault> {
        let count = parts.len();
        let parts = parts
            .iter()
            .map(|part| CompletedPart::builder().part_number(part.number.into()).e_tag(&part.etag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = self.signer.complete_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        let complete = complete.upload_id(upload).multipart_upload(parts).customize();
        let timeouts = sdk::timeouts(COMPLETION_TIMEOUT, COMPLETION_TIMEOUT);
        let complete = complete.config_override(Config::builder().timeout_config(timeouts));
        match complete.send().await {
            Ok(_) => Ok(Completion::Done),
            // An earlier completion has succeeded, if the object exists.
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => match self.head(key).await? {
                Some(head) if is_joined(&head.etag, count) => Ok(Completion::Done),
                _ => Ok(Completion::NoSuchUpload),
            },
            Err(error) if status(&error) == Some(400) && error.code().is_some_and(is_about_parts) => {
                Ok(Completion::Refused)
            }
            Err(error) => Err(Fault::new("s3:CompleteMultipartUpload", &error)),
        }
    }

    /// Aborts an upload and deletes its parts. Returns whether there was such an upload.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn abort_multipart(&self, key: &Key, upload: &str) -> Result<bool, Fault> {
        let abort = self.signer.abort_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        match abort.upload_id(upload).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(false),
            Err(error) => Err(Fault::new("s3:AbortMultipartUpload", &error)),
        }
    }

    /// Signs the PUT request of a part. The signature includes neither type nor length: S3 checks the sizes of parts
    /// only when the upload is completed.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_part(&self, key: &Key, upload: &str, number: u16) -> Result<SignedPut, Fault> {
        let expires_in = self.url_ttl(PART_URL_TTL).await?;
        let signing = self.signing(expires_in)?;
        let put = self.upload_signer.upload_part().bucket(self.bucket(key)).key(key.to_string());
        let put = put.upload_id(upload).part_number(number.into());
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:UploadPart", &e))?;
        Ok(SignedPut { url: signed.uri().to_owned(), expires_in })
    }
}

/// Returns whether an error code of a completion says that the parts cannot be joined. Other errors with status 400 are
/// about the request, such as `RequestTimeout`: a repetition may succeed, and an earlier attempt may have.
fn is_about_parts(code: &str) -> bool {
    [
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidArgument",
        "InvalidPart",
        "InvalidPartOrder",
        "InvalidRequest",
    ]
    .contains(&code)
}

/// Returns whether an object was joined from this number of parts. S3 appends the number to the entity tag.
fn is_joined(etag: &str, parts: usize) -> bool {
    etag.rsplit_once('-').is_some_and(|(_, count)| count == parts.to_string())
}

#[cfg(test)]
mod tests {
    use super::{is_about_parts, is_joined};

    #[test]
    fn entity_tag_has_the_number_of_parts() {
        assert!(is_joined("9a0364b9e99bb480dd25e1f0284c8555-7", 7));
        assert!(!is_joined("9a0364b9e99bb480dd25e1f0284c8555-7", 8));
        assert!(!is_joined("9a0364b9e99bb480dd25e1f0284c8555", 1), "not a multipart upload");
    }

    #[test]
    fn only_errors_about_the_parts_refuse_a_completion() {
        assert!(["InvalidPart", "InvalidPartOrder", "EntityTooSmall"].into_iter().all(is_about_parts));
        assert!(!["RequestTimeout", "ExpiredToken", "InvalidDigest"].into_iter().any(is_about_parts));
    }
}
