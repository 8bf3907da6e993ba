//! The objects in the buckets, and the changes to them: each is atomic and sends its event.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use s3s::dto::{self, ETag, ETagCondition};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::{Mutex, RwLock};
use upreel_core::{Checks, Key};

use crate::multipart::{self, Multipart};
use crate::notification::CompletedWrite;
use crate::queue::Queue;
use crate::rules::check_key;
use crate::staging::{Staged, Staging};

/// Interval at which incomplete multipart uploads are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) files: Arc<FileSystem>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) uploads: String,
    pub(crate) multipart: Multipart,
    pub(crate) staging: Staging,
    /// Held while a multipart upload is completed or aborted, so that only one request ends it.
    pub(crate) ending: Arc<Mutex<()>>,
    /// Held exclusively while an object is replaced or removed, which takes several steps.
    pub(crate) objects: Arc<RwLock<()>>,
    pub(crate) checks: Checks,
}

/// A write that is ready to be committed.
pub(crate) struct Write {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The `eventName`, such as `ObjectCreated:Put`.
    pub(crate) event_name: &'static str,
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    /// The folder of the multipart upload that the write completes.
    pub(crate) upload: Option<PathBuf>,
}

impl Write {
    /// Returns an unconditional write.
    pub(crate) fn new(bucket: String, key: String, event_name: &'static str) -> Self {
        Self { bucket, key, event_name, if_match: None, if_none_match: None, upload: None }
    }
}

impl Storage {
    /// Opens the buckets, which are folders in `data/s3`, and cleans up after a process that was killed. Writes of
    /// videos to the first bucket send an event to `queue`.
    pub(crate) fn new(
        data: &Path,
        buckets: [&str; 3],
        queue: Arc<Queue>,
        checks: Checks,
    ) -> io::Result<Self> {
        let root = &data.join("s3");
        for bucket in buckets {
            std::fs::create_dir_all(root.join(bucket))?;
        }
        // Removes the temporary files of writes that were killed.
        let files = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let staging = Staging::open(root)?;
        let multipart = Multipart::open(&data.join("multipart"), &staging)?;
        let (files, uploads) = (Arc::new(files), buckets[0].to_owned());
        Ok(Self {
            files,
            queue,
            uploads,
            multipart,
            staging,
            ending: Arc::default(),
            objects: Arc::default(),
            checks,
        })
    }

    /// Removes incomplete multipart uploads when they are too old, until the future is dropped.
    pub(crate) async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let _guard = self.ending.lock().await;
            self.multipart.sweep(SystemTime::now());
        }
    }

    /// Commits a staged object and sends its event. Both happen even if the client disconnects meanwhile.
    pub(crate) async fn commit(&self, staged: Staged, write: Write) -> S3Result<()> {
        if !self.staging.has(&write.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        // The key of a form is not part of the URL.
        check_key(&write.key)?;
        let storage = self.clone();
        let task = tokio::spawn(async move {
            let _guard = storage.objects.write().await;
            storage.check_conditions(&write).await?;
            storage.replace(&staged, &write).map_err(|error| s3_error!(error, InternalError))
        });
        task.await.unwrap_or_else(|error| Err(s3_error!(error, InternalError)))
    }

    async fn check_conditions(&self, write: &Write) -> S3Result<()> {
        if write.if_match.is_none() && write.if_none_match.is_none() {
            return Ok(());
        }
        let input = dto::HeadObjectInput {
            bucket: write.bucket.clone(),
            key: write.key.clone(),
            ..Default::default()
        };
        // An object without an entity tag is hashed.
        let current = self.files.head_object(request(input)).await.ok().and_then(|head| head.output.e_tag);
        let matches = |condition: &ETagCondition| match condition {
            ETagCondition::Any => current.is_some(),
            ETagCondition::ETag(etag) => current.as_ref().map(ETag::value) == Some(etag.value()),
        };
        let fulfilled =
            write.if_match.as_ref().is_none_or(matches) && !write.if_none_match.as_ref().is_some_and(matches);
        if fulfilled { Ok(()) } else { Err(s3_error!(PreconditionFailed)) }
    }

    /// Replaces the object and sends its event. The intent is stored before the object changes, so that no event is lost
    /// when the process is killed.
    fn replace(&self, staged: &Staged, write: &Write) -> io::Result<()> {
        let Write { bucket, key, event_name, .. } = write;
        let (size, etag) = staged.describe()?;
        let is_video = *bucket == self.uploads && matches!(key.parse(), Ok(Key::Video { .. }));
        if *bucket == self.uploads && !is_video {
            tracing::warn!(
                "stored {bucket}/{key}, but will not process it: this is not the key of a video. Get one from GET \
                 /presign"
            );
        }
        let intent = is_video.then(|| self.queue.intend(key)).transpose()?;
        staged.commit(bucket, key)?;
        if let Some(intent) = intent {
            self.queue
                .send_created(intent, &CompletedWrite { bucket, key, event_name, size, etag: &etag })?;
            self.start_scan(key);
        }
        if let Some(folder) = &write.upload
            && let Err(error) = multipart::end(folder)
        {
            tracing::warn!(%error, "could not remove the parts of a completed upload");
        }
        Ok(())
    }

    /// Joins the parts of an upload, and returns the entity tag of the object.
    pub(crate) async fn join(
        &self,
        write: Write,
        upload: &str,
        parts: Vec<dto::CompletedPart>,
    ) -> S3Result<String> {
        let etag = multipart::etag(&parts)?;
        let staged = self.staging.stage();
        staged.set_info(&etag, upload).map_err(|error| s3_error!(error, InternalError))?;
        if let Some(folder) = write.upload.clone() {
            let (contents, headers) = staged.paths();
            let join = move || multipart::join(&folder, &parts, &contents, &headers);
            let joined = tokio::task::spawn_blocking(join).await.map_err(io::Error::other).flatten();
            joined.map_err(|error| s3_error!(error, InternalError))?;
        }
        self.commit(staged, write).await?;
        Ok(etag)
    }

    /// Removes an object with its headers and its entity tag.
    pub(crate) async fn remove(&self, bucket: &str, key: &str) -> S3Result<()> {
        if !self.staging.has(bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        let _guard = self.objects.write().await;
        self.staging.remove(bucket, key).map_err(|error| s3_error!(error, InternalError))
    }
}

/// Returns an internal request to `s3s-fs`.
pub(crate) fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: axum::http::Method::HEAD,
        uri: axum::http::Uri::default(),
        headers: HeaderMap::default(),
        extensions: axum::http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

impl Storage {
    /// Stores a part in the folder of its upload, and returns its entity tag.
    pub(crate) async fn store_part(
        &self,
        folder: &Path,
        number: i32,
        body: Option<dto::StreamingBlob>,
        content_md5: Option<String>,
    ) -> S3Result<Option<ETag>> {
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(InvalidArgument, "The part number must be from 1 to 10,000"));
        }
        let staged = self.staging.stage();
        let (bucket, key) = staged.target();
        let body = body.or_else(|| Some(dto::StreamingBlob::from(Body::empty())));
        let put = dto::PutObjectInput { bucket, key, body, content_md5, ..Default::default() };
        let put = self.files.put_object(request(put)).await?.output;
        let etag = put.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        multipart::store(folder, number, etag, &staged.paths().0)?;
        Ok(put.e_tag)
    }

    /// Stores a part that is a range of another object.
    pub(crate) async fn copy_part(
        &self,
        input: dto::UploadPartCopyInput,
    ) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
        let dto::CopySource::Bucket { bucket, key, .. } = input.copy_source else {
            return Err(s3_error!(NotImplemented, "The local S3 copies from buckets only"));
        };
        check_key(&key)?;
        let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
        let range = input.copy_source_range.as_deref().map(dto::Range::parse).transpose();
        let range = range.map_err(|error| s3_error!(error, InvalidArgument))?;
        let if_match = input.copy_source_if_match;
        let bucket = bucket.into();
        let get = dto::GetObjectInput { bucket, key: key.into(), range, if_match, ..Default::default() };
        let body = self.get_object(request(get)).await?.output.body;
        let e_tag = self.store_part(&folder, input.part_number, body, None).await?;
        let result = dto::CopyPartResult { e_tag, ..Default::default() };
        let copy_part_result = Some(result);
        Ok(S3Response::new(dto::UploadPartCopyOutput { copy_part_result, ..Default::default() }))
    }
}
