//! The scanner of the local backend. It is no virus scanner: it knows only the test file of EICAR, which every scanner
//! recognises and which is harmless. On AWS, `GuardDuty` scans.

use std::fs::File;
use std::io::{self, Read};

use s3s::dto::{self, ETag};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use upreel_core::Key;
use upreel_core::check::{CLEAN, Check, CheckResult, INFECTED, SCAN_TAG};
use upreel_events::check::{self, Checked};
use uuid::Uuid;

use crate::staging::Tags;
use crate::storage::Storage;

/// The test file in two parts, so that no scanner takes this program for it.
const TEST_FILE: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
/// The bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// The scan of uploads, as `GuardDuty` does it on AWS: its result is a tag of the object and an event.
impl Storage {
    /// Refuses to read an upload that no scan has found clean, as the bucket's policy does on AWS.
    pub(crate) fn check_read(&self, bucket: &str, key: &str) -> S3Result<()> {
        let is_open = bucket != self.uploads || !self.checks.scan || !self.staging.exists(bucket, key);
        if is_open || self.staging.tags(bucket, key).get(SCAN_TAG).is_some_and(|result| result == CLEAN) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "No scan has found the object clean"))
    }

    /// Scans an upload in the background.
    pub(crate) fn start_scan(&self, key: &str) {
        if self.checks.scan {
            let (storage, key) = (self.clone(), key.to_owned());
            tokio::spawn(async move {
                if let Err(error) = storage.scan(&key).await {
                    tracing::warn!(key, ?error, "scan failed, the video stays held until the next start");
                }
            });
        }
    }

    async fn scan(&self, key: &str) -> S3Result<()> {
        let failed = |error| s3_error!(error, InternalError);
        let (file, etag) = {
            let _guard = self.objects.read().await;
            // Without both, the object is gone.
            let Some(info) = self.staging.info(&self.uploads, key) else { return Ok(()) };
            let Ok(file) = File::open(self.staging.object(&self.uploads, key)) else { return Ok(()) };
            (file, info.etag)
        };
        let scanned = tokio::task::spawn_blocking(move || contains_test_file(file)).await;
        let is_infected = scanned.map_err(io::Error::other).flatten().map_err(failed)?;
        let result = if is_infected { INFECTED } else { CLEAN };
        tracing::info!(key, result, "scanned");
        let _guard = self.objects.write().await;
        // It was replaced meanwhile. The other object is scanned as well.
        if self.staging.info(&self.uploads, key).is_none_or(|info| info.etag != etag) {
            return Ok(());
        }
        let tags = Tags::from([(SCAN_TAG.to_owned(), result.to_owned())]);
        self.staging.set_tags(&self.uploads, key, &tags).map_err(failed)?;
        let result = CheckResult { etag, value: result.to_owned() };
        let checked = Checked { key: key.to_owned(), check: Check::Scan, result };
        let event = check::event(&self.uploads, &checked);
        self.queue.send(Uuid::now_v7().to_string(), checked.key, event).map_err(failed)
    }

    /// Scans the uploads that an earlier process has not scanned.
    pub(crate) fn resume_scans(&self) -> io::Result<()> {
        if self.checks.scan {
            for key in self.staging.keys(&self.uploads)? {
                let is_video = matches!(key.parse(), Ok(Key::Video { .. }));
                if is_video && !self.staging.tags(&self.uploads, &key).contains_key(SCAN_TAG) {
                    self.start_scan(&key);
                }
            }
        }
        Ok(())
    }

    /// Returns the metadata of an object, if it can be read.
    pub(crate) async fn head(
        &self,
        req: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let _guard = self.objects.read().await;
        self.check_read(&req.input.bucket, &req.input.key)?;
        self.files.head_object(req).await
    }

    /// Lists objects, with their entity tags: the scan finds uploads by them that cannot be read.
    pub(crate) async fn list(
        &self,
        req: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let _guard = self.objects.read().await;
        let bucket = req.input.bucket.clone();
        let mut response = self.files.list_objects_v2(req).await?;
        for object in response.output.contents.iter_mut().flatten() {
            let info = object.key.as_deref().and_then(|key| self.staging.info(&bucket, key));
            object.e_tag = info.map(|info| ETag::Strong(info.etag));
        }
        Ok(response)
    }

    /// Returns the tags of an object.
    pub(crate) async fn tag_set(&self, bucket: &str, key: &str) -> S3Result<Vec<dto::Tag>> {
        let _guard = self.objects.read().await;
        if !self.staging.exists(bucket, key) {
            return Err(s3_error!(NoSuchKey));
        }
        let tags = self.staging.tags(bucket, key).into_iter();
        Ok(tags.map(|(key, value)| dto::Tag { key: Some(key), value: Some(value) }).collect())
    }
}

/// Returns whether the test file occurs anywhere in the content. Reads it once, in chunks.
pub(crate) fn contains_test_file(mut content: impl Read) -> io::Result<bool> {
    let wanted = TEST_FILE.concat().into_bytes();
    // A chunk, after the end of the one before, in which the test file may begin.
    let mut buffer = Vec::with_capacity(CHUNK + wanted.len());
    loop {
        let kept = buffer.len();
        if content.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)? == 0 {
            return Ok(false);
        }
        if buffer.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
        debug_assert!(kept < wanted.len());
        let end = buffer.len().saturating_sub(wanted.len() - 1);
        buffer.drain(..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_file_is_found_at_every_offset_of_a_chunk() {
        let test_file = TEST_FILE.concat();
        assert_eq!(test_file.len(), 68);
        for before in [0, 1, CHUNK - 68, CHUNK - 67, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 30] {
            let content = [&vec![b'x'; before][..], test_file.as_bytes(), b" \n"].concat();
            assert!(contains_test_file(&content[..]).unwrap(), "{before}");
            assert!(!contains_test_file(&content[..before + 67]).unwrap(), "{before}: incomplete");
        }
        assert!(!contains_test_file(&b""[..]).unwrap());
    }
}
