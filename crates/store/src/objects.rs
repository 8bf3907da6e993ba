//! The S3 buckets: uploads, their previews, and their renditions.
//!
//! A repetition of a write finds:
//!
//! - [`ObjectStore::put_upload`], a conditional write: the object exists, which is verified by its size.
//! - [`ObjectStore::store_once`], a conditional write: the object exists with the same content, because its key contains
//!   what it is made of.
//! - [`ObjectStore::store`]: the object exists. It is written again with the same content, because the keys of derived
//!   objects contain the version that they are made of.
//! - deletions: the object is gone.

mod copies;
mod folders;
mod multipart;
mod renditions;
mod scanned;
mod signed;
mod stored;

use std::time::{Duration, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{AsyncSleep, StalledStreamProtectionConfig};
use aws_sdk_s3::config::{RequestChecksumCalculation, SharedCredentialsProvider};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_types::sdk_config::SharedTimeSource;
use bytes::Bytes;
use upreel_core::{Bucket, Fault, Key};

use crate::sdk;

pub use folders::Listed;
pub use multipart::{Completion, NamedPart, StoredPart};
pub use signed::{Form, MultipartRequest};
pub use stored::StoredObject;

/// The lifetime of a presigned upload URL. An upload that has started may take longer.
const UPLOAD_URL_TTL: Duration = Duration::from_mins(5);
/// The lifetime of a presigned download URL. The signing time is rounded down to a multiple of `DOWNLOAD_URL_STEP`, so
/// that a page that polls receives the same URL again and its cache stays valid.
const DOWNLOAD_URL_TTL: Duration = Duration::from_mins(15);
/// In seconds.
const DOWNLOAD_URL_STEP: u64 = 300;
/// Timeout of one attempt, until the response begins, and of the time that the bytes of a response may stall.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an operation with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);
/// How often a write is attempted while another conditional write of the same key is in progress.
const CONFLICTS: u32 = 4;

/// The names of the buckets.
#[derive(Debug, Clone)]
pub struct Buckets {
    /// The uploaded files.
    pub uploads: String,
    /// The posters and storyboards.
    pub thumbnails: String,
    /// The HLS renditions, and the work files of transcoding.
    pub processed: String,
}

/// The S3 buckets.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    client: Client,
    /// Adds no checksum to requests, because a plain `fetch` or `curl -T` would not send the presigned one.
    signer: Client,
    /// Like `signer`, for uploads, which can use transfer acceleration.
    upload_signer: Client,
    credentials: Option<SharedCredentialsProvider>,
    /// The clock of all signatures.
    clock: SharedTimeSource,
    region: String,
    /// Whether requests use TLS; a custom endpoint may not. TLS protects the body, so the signature does not need its
    /// SHA-256, which would take most of the CPU time of an upload.
    is_https: bool,
    buckets: Buckets,
    /// Whether S3 refuses to read uploads that were not scanned, which includes HEAD requests.
    is_scanned: bool,
}

/// The metadata of an object in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The size in bytes.
    pub size: u64,
    /// The entity tag without quotes, which changes with the bytes.
    pub etag: String,
    /// The media type with which it was stored.
    pub content_type: Option<String>,
}

/// A presigned PUT request.
#[derive(Debug, Clone)]
pub struct SignedPut {
    /// The URL.
    pub url: String,
    /// The remaining lifetime of the URL.
    pub expires_in: Duration,
}

/// The error for a required value that is missing.
#[derive(Debug, thiserror::Error)]
#[error("missing {0}")]
struct Missing(&'static str);

impl ObjectStore {
    /// Creates the clients for `buckets`. With `transfer_acceleration`, presigned uploads use the nearest edge
    /// location.
    #[must_use]
    pub fn new(sdk: &SdkConfig, buckets: Buckets, transfer_acceleration: bool) -> Self {
        // A custom endpoint (the local backend, an emulator) has no host name for each bucket.
        let stalled = StalledStreamProtectionConfig::enabled().grace_period(ATTEMPT_TIMEOUT).build();
        let builder = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(sdk.endpoint_url().is_some())
            .timeout_config(sdk::service_timeouts(sdk, ATTEMPT_TIMEOUT, OPERATION_TIMEOUT))
            .stalled_stream_protection(stalled);
        let signer = builder.clone().request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let upload_signer = signer.clone().accelerate(transfer_acceleration);
        Self {
            client: Client::from_conf(builder.build()),
            signer: Client::from_conf(signer.build()),
            upload_signer: Client::from_conf(upload_signer.build()),
            credentials: sdk.credentials_provider(),
            clock: sdk.time_source().unwrap_or_default(),
            region: sdk.region().map(ToString::to_string).unwrap_or_default(),
            is_https: sdk.endpoint_url().is_none_or(|endpoint| endpoint.starts_with("https://")),
            buckets,
            is_scanned: false,
        }
    }

    /// Returns the name of the bucket for a key.
    #[must_use]
    pub fn bucket(&self, key: &Key) -> &str {
        self.bucket_name(key.bucket())
    }

    fn bucket_name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Uploads => &self.buckets.uploads,
            Bucket::Thumbnails => &self.buckets.thumbnails,
            Bucket::Processed => &self.buckets.processed,
        }
    }

    /// Stores an uploaded file, unless it is stored already: by an earlier attempt whose response was lost. S3 verifies
    /// the body by its CRC-32.
    ///
    /// # Errors
    /// When S3 fails, or has an object of another size under this key. Then nothing may be stored.
    pub async fn put_upload(&self, key: &Key, content_type: &str, body: Bytes) -> Result<(), Fault> {
        let size = body.len() as u64;
        if self.put_once(key, content_type, body).await? {
            return Ok(());
        }
        match self.head(key).await? {
            Some(head) if head.size == size => Ok(()),
            _ => Err(Fault::message("s3:PutObject", "another object has this key")),
        }
    }

    /// Stores an object, unless there is one. Returns whether it was stored.
    async fn put_once(&self, key: &Key, content_type: &str, body: Bytes) -> Result<bool, Fault> {
        let mut attempt = 1;
        loop {
            let put = self.client.put_object().bucket(self.bucket(key)).key(key.to_string());
            let put = put.content_type(content_type).if_none_match("*").body(body.clone().into()).customize();
            let put = if self.is_https { put.disable_payload_signing() } else { put };
            let Err(error) = put.send().await else { return Ok(true) };
            match status(&error) {
                Some(412) => return Ok(false),
                // Another conditional write of this key is in progress. Its result is not known yet.
                Some(409) if attempt < CONFLICTS => {
                    let delay = Duration::from_millis(100) * 2_u32.pow(attempt);
                    if let Some(sleep) = self.client.config().sleep_impl() {
                        sleep.sleep(delay).await;
                    }
                    attempt += 1;
                }
                _ => return Err(Fault::new("s3:PutObject", &error)),
            }
        }
    }

    /// Returns the metadata of an object, or `None` if there is no object. Asks twice before it returns `None`, because
    /// what follows can't be undone: the video is recorded as failed or lost.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>, Fault> {
        match self.head_once(key).await? {
            None => self.head_once(key).await,
            found => Ok(found),
        }
    }

    /// Returns whether there is an object. A wrong answer has it made again.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn exists(&self, key: &Key) -> Result<bool, Fault> {
        self.head_once(key).await.map(|head| head.is_some())
    }

    async fn head_once(&self, key: &Key) -> Result<Option<Head>, Fault> {
        if self.is_scanned && key.bucket() == Bucket::Uploads {
            return self.find(key).await;
        }
        let head = self.client.head_object().bucket(self.bucket(key)).key(key.to_string()).send().await;
        match head {
            Ok(head) => {
                let missing = |name| Fault::new("s3:HeadObject", &Missing(name));
                let size = head.content_length().and_then(|size| size.try_into().ok());
                Ok(Some(Head {
                    size: size.ok_or_else(|| missing("size"))?,
                    etag: unquoted(head.e_tag().ok_or_else(|| missing("entity tag"))?),
                    content_type: head.content_type().map(str::to_owned),
                }))
            }
            // The response to a HEAD has no body with an error code, only a status.
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(Fault::new("s3:HeadObject", &error)),
        }
    }

    /// Deletes an object. Succeeds if there is no object.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn delete(&self, key: &Key) -> Result<(), Fault> {
        let delete = self.client.delete_object().bucket(self.bucket(key)).key(key.to_string()).send().await;
        delete.map(|_| ()).map_err(|error| Fault::new("s3:DeleteObject", &error))
    }

    /// Signs a PUT request. The signature includes the content type, and the length if given.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_put(
        &self,
        key: &Key,
        content_type: &str,
        size: Option<u64>,
    ) -> Result<SignedPut, Fault> {
        let expires_in = self.url_ttl(UPLOAD_URL_TTL).await?;
        let put = self
            .upload_signer
            .put_object()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .content_type(content_type);
        let put = put.set_content_length(size.and_then(|size| size.try_into().ok()));
        let signing = self.signing(expires_in)?;
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:PutObject", &e))?;
        Ok(SignedPut { url: signed.uri().to_owned(), expires_in })
    }

    /// Signs a GET request. The URL is valid for another 10 to 15 minutes.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_get(&self, key: &Key) -> Result<String, Fault> {
        self.sign_get_for(key, DOWNLOAD_URL_TTL, None).await
    }

    async fn sign_get_for(
        &self,
        key: &Key,
        ttl: Duration,
        response: Option<(&str, &str)>,
    ) -> Result<String, Fault> {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let start = UNIX_EPOCH + Duration::from_secs(now - now % DOWNLOAD_URL_STEP);
        let signing = PresigningConfig::builder().start_time(start).expires_in(ttl).build();
        let signing = signing.map_err(|e| Fault::new("presign", &e))?;
        let mut get = self.signer.get_object().bucket(self.bucket(key)).key(key.to_string());
        if let Some((content_type, disposition)) = response {
            get = get.response_content_type(content_type).response_content_disposition(disposition);
        }
        let signed: PresignedRequest =
            get.presigned(signing).await.map_err(|e| Fault::new("presign s3:GetObject", &e))?;
        Ok(signed.uri().to_owned())
    }
}

/// Returns an entity tag without the quotes of the header.
fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aws_sdk_s3::config::{Credentials, Region};

    use super::*;

    fn objects(transfer_acceleration: bool, ttl: Duration) -> ObjectStore {
        let credentials = Credentials::new("a", "b", None, Some(SystemTime::now() + ttl), "test");
        let sdk = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        ObjectStore::new(&sdk, buckets(), transfer_acceleration)
    }

    fn buckets() -> Buckets {
        Buckets {
            uploads: "uploads".to_owned(),
            thumbnails: "thumbnails".to_owned(),
            processed: "processed".to_owned(),
        }
    }

    fn key() -> Key {
        Key::Video { user: "u".parse().unwrap(), id: upreel_core::VideoId::new(), container: None }
    }

    #[tokio::test]
    async fn only_uploads_are_accelerated() {
        for (accelerated, host) in
            [(false, "uploads.s3.eu-central-1.amazonaws.com"), (true, "uploads.s3-accelerate.amazonaws.com")]
        {
            let objects = objects(accelerated, Duration::from_hours(1));
            let put = objects.sign_put(&key(), "video/mp4", None).await.unwrap();
            assert!(put.url.starts_with(&format!("https://{host}/videos/u/")), "{}", put.url);
            let get = objects.sign_get(&key()).await.unwrap();
            assert!(get.starts_with("https://uploads.s3.eu-central-1.amazonaws.com/"), "{get}");
        }
    }

    #[derive(Debug)]
    struct Then;

    impl aws_types::sdk_config::TimeSource for Then {
        fn now(&self) -> SystemTime {
            humantime::parse_rfc3339("2000-01-01T00:07:00Z").unwrap()
        }
    }

    #[tokio::test]
    async fn every_signature_has_the_time_of_the_configured_clock() {
        let sdk = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "a", "b", None, None, "test",
            )))
            .time_source(Then)
            .build();
        let objects = ObjectStore::new(&sdk, buckets(), false);
        let put = objects.sign_put(&key(), "video/mp4", None).await.unwrap().url;
        let part = objects.sign_part(&key(), "u", 1).await.unwrap().url;
        let list = objects.sign_multipart(&key(), MultipartRequest::List("u")).await.unwrap();
        for url in [put, part, list] {
            assert!(url.contains("X-Amz-Date=20000101T000700Z&"), "{url}");
        }
        let get = objects.sign_get(&key()).await.unwrap();
        assert!(get.contains("X-Amz-Date=20000101T000500Z&"), "rounded down: {get}");
        let form = objects.sign_post(&key(), "video/mp4", 7).await.unwrap();
        assert_eq!(form.fields["X-Amz-Date"], "20000101T000700Z");
    }

    #[tokio::test]
    async fn signatures_expire_with_the_credentials() {
        let objects = objects(false, Duration::from_mins(2));
        let put = objects.sign_put(&key(), "video/mp4", Some(7)).await.unwrap();
        assert!(put.expires_in <= Duration::from_mins(2), "{:?}", put.expires_in);
        assert!(put.url.contains(&format!("X-Amz-Expires={}&", put.expires_in.as_secs())), "{}", put.url);
        assert!(put.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&"), "{}", put.url);
        let part = objects.sign_part(&key(), "u", 1).await.unwrap();
        assert!(part.expires_in <= Duration::from_mins(2), "{:?}", part.expires_in);
        let form = objects.sign_post(&key(), "video/mp4", 7).await.unwrap();
        assert!(form.expires_in <= Duration::from_mins(2), "{:?}", form.expires_in);
    }

    #[tokio::test]
    async fn forms_address_the_bucket_and_parts_the_object() {
        for (accelerated, host) in
            [(false, "uploads.s3.eu-central-1.amazonaws.com"), (true, "uploads.s3-accelerate.amazonaws.com")]
        {
            let objects = objects(accelerated, Duration::from_hours(1));
            let form = objects.sign_post(&key(), "video/mp4", 7).await.unwrap();
            assert_eq!((form.url, form.expires_in), (format!("https://{host}/"), UPLOAD_URL_TTL));
            let part = objects.sign_part(&key(), "u", 3).await.unwrap().url;
            assert!(part.starts_with(&format!("https://{host}/videos/u/")), "{part}");
            assert!(part.contains("partNumber=3") && part.contains("X-Amz-SignedHeaders=host&"), "{part}");
            assert!(part.contains("X-Amz-Expires=900&") && !part.contains("checksum"), "{part}");
            let list = objects.sign_multipart(&key(), MultipartRequest::List("u")).await.unwrap();
            assert!(list.starts_with(&format!("https://{host}/videos/u/")), "{list}");
            assert!(list.contains("?uploadId=u&") && list.contains("X-Amz-Expires=900&"), "{list}");
            let create = MultipartRequest::Create { content_type: "video/mp4" };
            let create = objects.sign_multipart(&key(), create).await.unwrap();
            assert!(create.contains("?uploads=&") && create.contains("=content-type%3Bhost&"), "{create}");
        }
    }
}
