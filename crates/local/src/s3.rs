//! S3 on the file system: `s3s-fs`, and the behaviour of S3 that it lacks and Upreel needs.
//!
//! This adds events after a write, `If-Match` on reads, mutual exclusion of conditional writes, empty bodies, the
//! response headers of a POST form, and checks of multipart uploads (`multipart.rs`); and it doesn't store
//! `aws-chunked` as the encoding of an object.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderMap, header};
use s3s::dto::{self, ETagCondition};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::Mutex;
use upreel_core::Key;

use crate::multipart::{self, Multipart};
use crate::notification::CompletedWrite;
use crate::queue::Queue;

#[derive(Clone)]
pub(crate) struct Storage {
    files: Arc<FileSystem>,
    queue: Arc<Queue>,
    uploads: String,
    multipart: Multipart,
    /// Held while a multipart upload is completed or aborted, so that only one request ends it.
    ending: Arc<Mutex<()>>,
    /// Held during a conditional write, from its check to its end.
    conditional: Arc<Mutex<()>>,
}

impl Storage {
    /// Opens the buckets, which are folders in `data/s3`. Writes of videos to the first bucket send an event to
    /// `queue`.
    pub(crate) fn new(data: &Path, buckets: [&str; 3], queue: Arc<Queue>) -> io::Result<Self> {
        let root = &data.join("s3");
        for bucket in buckets {
            std::fs::create_dir_all(root.join(bucket))?;
        }
        let files = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let multipart = Multipart::open(&data.join("multipart"))?;
        let (files, uploads) = (Arc::new(files), buckets[0].to_owned());
        Ok(Self { files, queue, uploads, multipart, ending: Arc::default(), conditional: Arc::default() })
    }

    /// Performs `write` and sends its event if it succeeds. The intent is stored before the object is written, so that
    /// no event is lost when the process is killed.
    async fn write<T>(
        &self,
        bucket: &str,
        key: &str,
        event_name: &'static str,
        write: impl Future<Output = S3Result<T>>,
    ) -> S3Result<T> {
        if bucket != self.uploads || !matches!(key.parse(), Ok(Key::Video { .. })) {
            return write.await;
        }
        let intent = self.queue.intend(key).map_err(|error| s3_error!(error, InternalError))?;
        let result = write.await?;
        let head = self.head(bucket, key).await?;
        self.queue
            .send_created(
                intent,
                &CompletedWrite { bucket, key, event_name, size: head.size, etag: &head.etag },
            )
            .map_err(|error| s3_error!(error, InternalError))?;
        Ok(result)
    }

    async fn head(&self, bucket: &str, key: &str) -> S3Result<Head> {
        let input =
            dto::HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..Default::default() };
        let head = self.files.head_object(request(input)).await?.output;
        Ok(Head {
            size: head.content_length.and_then(|size| size.try_into().ok()).unwrap_or_default(),
            etag: head.e_tag.map(dto::ETag::into_value).unwrap_or_default(),
        })
    }
}

struct Head {
    size: u64,
    etag: String,
}

/// Returns an internal request to `s3s-fs`.
fn request<T>(input: T) -> S3Request<T> {
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

/// Returns the URL of an object, with the host that the client used.
fn location(headers: &HeaderMap, bucket: &str, key: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}/{bucket}/{key}")
}

/// Returns the `Content-Encoding` to store. `aws-chunked` is an encoding of the transfer, not of the object.
fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let rest: Vec<String> = encoding?
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && name != "aws-chunked")
        .collect();
    (!rest.is_empty()).then(|| rest.join(", "))
}

/// Implements [`S3`]: the listed operations are delegated to `s3s-fs`, those in the block are implemented here.
macro_rules! s3 {
    ($($name:ident: $input:ident => $output:ident;)* { $($own:tt)* }) => {
        #[async_trait]
        impl S3 for Storage {
            $(async fn $name(&self, req: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.files.$name(req).await
            })*
            $($own)*
        }
    };
}

s3! {
    head_bucket: HeadBucketInput => HeadBucketOutput;
    list_buckets: ListBucketsInput => ListBucketsOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    delete_object: DeleteObjectInput => DeleteObjectOutput;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
    list_objects: ListObjectsInput => ListObjectsOutput;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    {
        async fn get_object(
            &self,
            req: S3Request<dto::GetObjectInput>,
        ) -> S3Result<S3Response<dto::GetObjectOutput>> {
            let expected = req.input.if_match.clone();
            let response = self.files.get_object(req).await?;
            if let Some(ETagCondition::ETag(expected)) = expected
                && response.output.e_tag.as_ref().map(dto::ETag::value) != Some(expected.value())
            {
                return Err(s3_error!(PreconditionFailed));
            }
            Ok(response)
        }

        async fn put_object(
            &self,
            mut req: S3Request<dto::PutObjectInput>,
        ) -> S3Result<S3Response<dto::PutObjectOutput>> {
            let input = &mut req.input;
            input.content_encoding = stored_encoding(input.content_encoding.take());
            input.body.get_or_insert_with(|| dto::StreamingBlob::from(Body::empty()));
            let (bucket, key) = (input.bucket.clone(), input.key.clone());
            let conditional = input.if_match.is_some() || input.if_none_match.is_some();
            let _guard = if conditional { Some(self.conditional.lock().await) } else { None };
            self.write(&bucket, &key, "ObjectCreated:Put", self.files.put_object(req)).await
        }

        async fn copy_object(
            &self,
            req: S3Request<dto::CopyObjectInput>,
        ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
            let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
            self.write(&bucket, &key, "ObjectCreated:Copy", self.files.copy_object(req)).await
        }

        async fn post_object(
            &self,
            req: S3Request<dto::PostObjectInput>,
        ) -> S3Result<S3Response<dto::PostObjectOutput>> {
            let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
            let location = location(&req.headers, &bucket, &key);
            let post = self.files.post_object(req);
            let mut response = self.write(&bucket, &key, "ObjectCreated:Post", post).await?;
            let etag = response.output.e_tag.as_ref().map(dto::ETag::value).unwrap_or_default();
            for (name, value) in [(header::LOCATION, location), (header::ETAG, format!("\"{etag}\""))] {
                let value = value.parse().map_err(|error| s3_error!(error, InternalError))?;
                response.headers.insert(name, value);
            }
            Ok(response)
        }

        async fn create_multipart_upload(
            &self,
            mut req: S3Request<dto::CreateMultipartUploadInput>,
        ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
            req.input.content_encoding = stored_encoding(req.input.content_encoding.take());
            let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
            let response = self.files.create_multipart_upload(req).await?;
            self.multipart.begin(response.output.upload_id.as_deref().unwrap_or_default(), &bucket, &key)?;
            Ok(response)
        }

        async fn upload_part(
            &self,
            req: S3Request<dto::UploadPartInput>,
        ) -> S3Result<S3Response<dto::UploadPartOutput>> {
            let (input, number) = (&req.input, req.input.part_number);
            let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
            let response = self.files.upload_part(req).await?;
            multipart::store_etag(&folder, number, response.output.e_tag.as_ref())?;
            Ok(response)
        }

        async fn list_parts(
            &self,
            req: S3Request<dto::ListPartsInput>,
        ) -> S3Result<S3Response<dto::ListPartsOutput>> {
            let input = &req.input;
            let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
            let (bucket, key, upload_id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
            let (marker, max) = (input.part_number_marker, input.max_parts);
            let list = self.files.list_parts(req).await?;
            Ok(list.map_output(|list| dto::ListPartsOutput {
                bucket: Some(bucket),
                key: Some(key),
                upload_id: Some(upload_id),
                ..multipart::page(multipart::all(&folder, list), marker, max)
            }))
        }

        async fn complete_multipart_upload(
            &self,
            req: S3Request<dto::CompleteMultipartUploadInput>,
        ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
            let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
            let upload_id = req.input.upload_id.clone();
            let guard = self.ending.clone().lock_owned().await;
            let folder = self.multipart.find(&upload_id, &bucket, &key)?;
            let input =
                dto::ListPartsInput { bucket: bucket.clone(), key: key.clone(), upload_id, ..Default::default() };
            let stored = self.files.list_parts(request(input)).await?.output;
            let stored = multipart::all(&folder, stored);
            let requested = req.input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref());
            multipart::check(requested.unwrap_or_default(), &stored)?;
            let location = location(&req.headers, &bucket, &key);
            // Joining large parts takes longer than a client waits for the first byte, so the response begins at once,
            // as in S3. The task continues if the client disconnects: stopping half way would lose the parts.
            let storage = self.clone();
            let task = tokio::spawn(async move {
                let _guard = guard;
                let complete = async {
                    let mut output = storage.files.complete_multipart_upload(req).await?.output;
                    if let Some(future) = output.future.take() {
                        output = future.await?;
                    }
                    Ok(output)
                };
                let event_name = "ObjectCreated:CompleteMultipartUpload";
                let mut output = storage.write(&bucket, &key, event_name, complete).await?;
                output.location = Some(location);
                multipart::end(&folder);
                Ok(output)
            });
            let future = async { task.await.unwrap_or_else(|error| Err(s3_error!(error, InternalError))) };
            let output = dto::CompleteMultipartUploadOutput { future: Some(Box::pin(future)), ..Default::default() };
            Ok(S3Response::new(output))
        }

        async fn abort_multipart_upload(
            &self,
            req: S3Request<dto::AbortMultipartUploadInput>,
        ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
            let input = &req.input;
            let _guard = self.ending.lock().await;
            let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
            let response = self.files.abort_multipart_upload(req).await?;
            multipart::end(&folder);
            Ok(response)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stored_encoding;

    #[test]
    fn aws_chunked_is_not_stored_as_content_encoding() {
        let stored = |text: &str| stored_encoding(Some(text.to_owned()));
        assert_eq!(stored("aws-chunked"), None);
        assert_eq!(stored("aws-chunked, gzip").as_deref(), Some("gzip"));
        assert_eq!(stored("gzip").as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(None), None);
    }
}
