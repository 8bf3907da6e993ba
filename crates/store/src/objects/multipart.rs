//! Multipart uploads: begun, listed, completed and aborted here; the parts go straight to S3.

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::signed::PART_URL_TTL;
use super::{Missing, ObjectStore, SignedPut, status};
use upreel_core::Fault;
use upreel_core::Key;

/// A part that is in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// In its quotes, as S3 says it.
    pub etag: String,
}

/// A part that is to be in the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    /// 1 to 10,000.
    pub number: u16,
    /// With or without its quotes.
    pub etag: String,
}

/// What became of an attempt to complete an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The object is there.
    Done,
    /// The upload was aborted, or completed a while ago.
    NoSuchUpload,
    /// S3 does not take these parts; the upload is as it was.
    Refused,
}

/// All of them use the client without the SDK's own checksums: an upload that was begun with one asks for
/// one with each part, and a browser has none.
impl ObjectStore {
    /// Begins an upload; gives its identifier.
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

    /// The parts that are there, in order; `None` when there is no such upload.
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
                Err(error) if status(&error) == Some(404) => return Ok(None),
                Err(error) => return Err(Fault::new("s3:ListParts", &error)),
            };
            parts.extend(page.parts().iter().map(|part| StoredPart {
                number: part.part_number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
                size: part.size().and_then(|n| n.try_into().ok()).unwrap_or_default(),
                etag: part.e_tag().unwrap_or_default().to_owned(),
            }));
            marker = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true));
            if marker.is_none() {
                return Ok(Some(parts));
            }
        }
    }

    /// Makes the object of these parts.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn complete_multipart(
        &self,
        key: &Key,
        upload: &str,
        parts: &[NamedPart],
    ) -> Result<Completion, Fault> {
        let parts = parts
            .iter()
            .map(|part| CompletedPart::builder().part_number(part.number.into()).e_tag(&part.etag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = self.signer.complete_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        match complete.upload_id(upload).multipart_upload(parts).send().await {
            Ok(_) => Ok(Completion::Done),
            Err(error) => match status(&error) {
                Some(404) => Ok(Completion::NoSuchUpload),
                Some(400) => Ok(Completion::Refused),
                _ => Err(Fault::new("s3:CompleteMultipartUpload", &error)),
            },
        }
    }

    /// Removes an upload and its parts; says whether there was one.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn abort_multipart(&self, key: &Key, upload: &str) -> Result<bool, Fault> {
        let abort = self.signer.abort_multipart_upload().bucket(self.bucket(key)).key(key.to_string());
        match abort.upload_id(upload).send().await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(Fault::new("s3:AbortMultipartUpload", &error)),
        }
    }

    /// Signs the PUT of one part. S3 looks at neither its type nor its length before all are there.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_part(&self, key: &Key, upload: &str, number: u16) -> Result<SignedPut, Fault> {
        let expires_in = self.life(PART_URL_TTL).await?;
        let signing = PresigningConfig::expires_in(expires_in).map_err(|e| Fault::new("presign", &e))?;
        let put = self.upload_signer.upload_part().bucket(self.bucket(key)).key(key.to_string());
        let put = put.upload_id(upload).part_number(number.into());
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:UploadPart", &e))?;
        Ok(SignedPut { url: signed.uri().to_owned(), expires_in })
    }
}
