//! The S3 buckets: uploads, the pictures made of them, and their renditions.

mod multipart;
mod renditions;
mod signed;

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{ProvideCredentials, RequestChecksumCalculation, SharedCredentialsProvider};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use bytes::Bytes;
use futures_util::future::try_join_all;
use upreel_core::range::{RangeRead, RangeReader, ReadError};

use upreel_core::Fault;
use upreel_core::Key;

pub use multipart::{Completion, NamedPart, StoredPart};
pub use signed::{Form, MultipartRequest};

/// How long a signed upload may be begun.
const UPLOAD_URL_TTL: Duration = Duration::from_mins(5);
/// How long a signed download may be begun. It is signed at the last multiple of `DOWNLOAD_URL_STEP`,
/// so that a page which polls gets the same URL again and its cache holds.
const DOWNLOAD_URL_TTL: Duration = Duration::from_mins(15);
const DOWNLOAD_URL_STEP: u64 = 300;

/// The names of the buckets.
#[derive(Debug, Clone)]
pub struct Buckets {
    /// What users upload.
    pub uploads: String,
    /// Posters and storyboards.
    pub thumbnails: String,
    /// HLS renditions, and the work files of transcoding.
    pub processed: String,
}

/// The S3 buckets.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    client: Client,
    /// Presigned requests carry no checksum: a plain `fetch` or `curl -T` would not send one.
    signer: Client,
    /// The same for uploads, which may go by way of transfer acceleration.
    upload_signer: Client,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// TLS protects what is sent, so its SHA-256 need not be in the signature as well: that is most of what an
    /// upload costs. An endpoint of its own may have no TLS.
    is_https: bool,
    buckets: Buckets,
}

/// What S3 knows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: u64,
    /// The entity tag: changes with the bytes.
    pub etag: String,
    /// The media type it was stored with.
    pub content_type: Option<String>,
}

/// A signed URL.
#[derive(Debug, Clone)]
pub struct SignedPut {
    /// The URL to PUT to.
    pub url: String,
    /// For how long it may be used.
    pub expires_in: Duration,
}

/// Something that has to be there and is not.
#[derive(Debug, thiserror::Error)]
#[error("there is no {0}")]
struct Missing(&'static str);

/// Which object a conditional write may replace.
#[derive(Debug, Clone, Copy)]
pub enum WriteCondition<'a> {
    /// None: there must be no object yet.
    Absent,
    /// Only the one with this entity tag.
    Matches(&'a str),
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there.
    Done,
    /// The condition did not hold; nothing was changed.
    Conflict,
}

impl ObjectStore {
    /// Creates the clients for `buckets`. With `transfer_acceleration`, signed uploads go to the nearest edge location.
    #[must_use]
    pub fn new(sdk: &SdkConfig, buckets: Buckets, transfer_acceleration: bool) -> Self {
        // An endpoint of its own (the local backend, an emulator) has no name per bucket.
        let builder = aws_sdk_s3::config::Builder::from(sdk).force_path_style(sdk.endpoint_url().is_some());
        let signer = builder.clone().request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let upload_signer = signer.clone().accelerate(transfer_acceleration);
        Self {
            client: Client::from_conf(builder.build()),
            signer: Client::from_conf(signer.build()),
            upload_signer: Client::from_conf(upload_signer.build()),
            credentials: sdk.credentials_provider(),
            region: sdk.region().map(ToString::to_string).unwrap_or_default(),
            is_https: sdk.endpoint_url().is_none_or(|endpoint| endpoint.starts_with("https://")),
            buckets,
        }
    }

    fn bucket(&self, key: &Key) -> &str {
        match key {
            Key::Video { .. } => &self.buckets.uploads,
            Key::Thumbnail(_)
            | Key::ThumbnailLarge(_)
            | Key::StoryboardImage(_)
            | Key::StoryboardTrack(_) => &self.buckets.thumbnails,
            Key::Rendition { .. } | Key::Work { .. } => &self.buckets.processed,
        }
    }

    /// Stores a body with a checksum (CRC-32, which S3 verifies), if `replace` allows it.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn put(
        &self,
        key: &Key,
        content_type: &str,
        body: Bytes,
        replace: WriteCondition<'_>,
    ) -> Result<PutOutcome, Fault> {
        let put = self
            .client
            .put_object()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .content_type(content_type)
            .body(body.into());
        let put = match replace {
            WriteCondition::Absent => put.if_none_match("*"),
            WriteCondition::Matches(etag) => put.if_match(etag),
        };
        let put = put.customize();
        let put = if self.is_https { put.disable_payload_signing() } else { put };
        match put.send().await {
            Ok(_) => Ok(PutOutcome::Done),
            // 409: another conditional write of the same key is under way; 404: what was to be
            // replaced has been deleted.
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(PutOutcome::Conflict),
            Err(error) => Err(Fault::new("s3:PutObject", &error)),
        }
    }

    /// What S3 knows of an object; `None` when there is none.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>, Fault> {
        let head = self.client.head_object().bucket(self.bucket(key)).key(key.to_string()).send().await;
        match head {
            Ok(head) => Ok(Some(Head {
                size: head.content_length().and_then(|n| n.try_into().ok()).unwrap_or_default(),
                etag: head.e_tag().unwrap_or_default().to_owned(),
                content_type: head.content_type().map(str::to_owned),
            })),
            // A HEAD has no body to name the error in, so the status has to do.
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(Fault::new("s3:HeadObject", &error)),
        }
    }

    /// Reads bytes of the object that has this entity tag.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when it was deleted or replaced.
    pub async fn read(&self, key: &Key, etag: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        let get = self
            .client
            .get_object()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .if_match(etag)
            .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            .send()
            .await;
        let object = match get {
            Ok(object) => object,
            Err(error) if matches!(status(&error), Some(404 | 412)) => return Err(ReadError::Gone),
            Err(error) => return Err(Fault::new("s3:GetObject", &error).into()),
        };
        let body = object.body.collect().await.map_err(|error| Fault::new("s3:GetObject", &error))?;
        Ok(body.into_bytes())
    }

    /// Removes an object; it is no error if there is none.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn delete(&self, key: &Key) -> Result<(), Fault> {
        let delete = self.client.delete_object().bucket(self.bucket(key)).key(key.to_string()).send().await;
        delete.map(|_| ()).map_err(|error| Fault::new("s3:DeleteObject", &error))
    }

    /// Removes several, side by side.
    ///
    /// # Errors
    /// When S3 fails; some of the others may be left then too.
    pub async fn delete_all(&self, keys: &[Key]) -> Result<(), Fault> {
        try_join_all(keys.iter().map(|key| self.delete(key))).await.map(drop)
    }

    /// Signs one PUT. The content type is part of the signature, and so is the length when given.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_put(
        &self,
        key: &Key,
        content_type: &str,
        size: Option<u64>,
    ) -> Result<SignedPut, Fault> {
        let expires_in = self.life(UPLOAD_URL_TTL).await?;
        let put = self
            .upload_signer
            .put_object()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .content_type(content_type);
        let put = put.set_content_length(size.and_then(|size| size.try_into().ok()));
        let signing = PresigningConfig::expires_in(expires_in).map_err(|e| Fault::new("presign", &e))?;
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:PutObject", &e))?;
        Ok(SignedPut { url: signed.uri().to_owned(), expires_in })
    }

    /// A URL that a browser can show the object from, for some 10 to 15 minutes.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_get(&self, key: &Key) -> Result<String, Fault> {
        self.sign_get_for(key, DOWNLOAD_URL_TTL, None).await
    }

    async fn sign_get_for(
        &self,
        key: &Key,
        life: Duration,
        answer: Option<(&str, &str)>,
    ) -> Result<String, Fault> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let start = UNIX_EPOCH + Duration::from_secs(now - now % DOWNLOAD_URL_STEP);
        let signing = PresigningConfig::builder().start_time(start).expires_in(life).build();
        let signing = signing.map_err(|e| Fault::new("presign", &e))?;
        let mut get = self.signer.get_object().bucket(self.bucket(key)).key(key.to_string());
        if let Some((content_type, disposition)) = answer {
            get = get.response_content_type(content_type).response_content_disposition(disposition);
        }
        let signed: PresignedRequest =
            get.presigned(signing).await.map_err(|e| Fault::new("presign s3:GetObject", &e))?;
        Ok(signed.uri().to_owned())
    }

    /// A signature dies with the credentials that made it, so it must not promise more.
    async fn life(&self, wanted: Duration) -> Result<Duration, Fault> {
        let Some(provider) = &self.credentials else { return Ok(wanted) };
        let credentials = provider.provide_credentials().await.map_err(|e| Fault::new("credentials", &e))?;
        let left = credentials.expiry().and_then(|at| at.duration_since(SystemTime::now()).ok());
        Ok(left.map_or(wanted, |left| wanted.min(left)))
    }
}

/// One version of an object in S3, identified by its entity tag.
#[derive(Debug, Clone)]
pub struct StoredObject {
    store: ObjectStore,
    key: Key,
    etag: String,
}

impl StoredObject {
    /// Names the object at `key`. Reads fail with [`ReadError::Gone`] once its entity tag is no longer `etag`.
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

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::config::{Credentials, Region};

    fn objects(transfer_acceleration: bool, life: Duration) -> ObjectStore {
        let credentials = Credentials::new("a", "b", None, Some(SystemTime::now() + life), "test");
        let sdk = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let buckets = Buckets {
            uploads: "uploads".to_owned(),
            thumbnails: "thumbnails".to_owned(),
            processed: "processed".to_owned(),
        };
        ObjectStore::new(&sdk, buckets, transfer_acceleration)
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

    #[tokio::test]
    async fn a_url_promises_no_more_than_its_credentials() {
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
    async fn a_form_goes_to_the_bucket_and_parts_to_the_object() {
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
