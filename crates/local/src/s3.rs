//! S3 on the file system: `s3s-fs`, and the behaviour of S3 that it lacks and Upreel needs.
//!
//! This adds atomic writes (`staging.rs`) and their events (`storage.rs`), conditional requests, empty bodies, the
//! response headers of a POST form, tags, and multipart uploads (`multipart.rs`); and it doesn't store `aws-chunked` as the
//! encoding of an object.

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use s3s::auth::SimpleAuth;
use s3s::dto::{self, ETag, ETagCondition};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use tower::ServiceExt;

use crate::ACCESS_KEY;
use crate::multipart;
use crate::rules::{Rules, check_key};
use crate::storage::{Storage, Write};

/// Returns the S3 server.
pub(crate) fn router(storage: Storage, secret: &str) -> Router {
    let mut builder = S3ServiceBuilder::new(storage);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, secret));
    builder.set_access(Rules);
    let service = builder.build();
    Router::new().fallback(move |request: Request| {
        let service = service.clone();
        async move {
            match service.oneshot(request).await {
                Ok(response) => response.map(axum::body::Body::new).into_response(),
                Err(error) => {
                    tracing::warn!(?error, "S3 request failed");
                    StatusCode::BAD_REQUEST.into_response()
                }
            }
        }
    })
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
                let _guard = self.objects.read().await;
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
    list_objects: ListObjectsInput => ListObjectsOutput;
    {
        async fn head_object(
            &self,
            req: S3Request<dto::HeadObjectInput>,
        ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
            self.head(req).await
        }

        async fn list_objects_v2(
            &self,
            req: S3Request<dto::ListObjectsV2Input>,
        ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
            self.list(req).await
        }

        async fn get_object_tagging(
            &self,
            req: S3Request<dto::GetObjectTaggingInput>,
        ) -> S3Result<S3Response<dto::GetObjectTaggingOutput>> {
            let tag_set = self.tag_set(&req.input.bucket, &req.input.key).await?;
            Ok(S3Response::new(dto::GetObjectTaggingOutput { tag_set, version_id: None }))
        }

        async fn get_object(
            &self,
            req: S3Request<dto::GetObjectInput>,
        ) -> S3Result<S3Response<dto::GetObjectOutput>> {
            let _guard = self.objects.read().await;
            self.check_read(&req.input.bucket, &req.input.key)?;
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
            let mut write = Write::new(input.bucket.clone(), input.key.clone(), "ObjectCreated:Put");
            (write.if_match, write.if_none_match) = (input.if_match.take(), input.if_none_match.take());
            let staged = self.staging.stage();
            (input.bucket, input.key) = staged.target();
            let response = self.files.put_object(req).await?;
            self.commit(staged, write).await?;
            Ok(response)
        }

        async fn copy_object(
            &self,
            mut req: S3Request<dto::CopyObjectInput>,
        ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
            let input = &mut req.input;
            if let dto::CopySource::Bucket { bucket, key, .. } = &input.copy_source {
                check_key(key)?;
                self.check_read(bucket, key)?;
            }
            let write = Write::new(input.bucket.clone(), input.key.clone(), "ObjectCreated:Copy");
            let staged = self.staging.stage();
            (input.bucket, input.key) = staged.target();
            let response = {
                let _guard = self.objects.read().await;
                self.files.copy_object(req).await?
            };
            self.commit(staged, write).await?;
            Ok(response)
        }

        async fn post_object(
            &self,
            mut req: S3Request<dto::PostObjectInput>,
        ) -> S3Result<S3Response<dto::PostObjectOutput>> {
            let input = &mut req.input;
            let write = Write::new(input.bucket.clone(), input.key.clone(), "ObjectCreated:Post");
            let location = location(&req.headers, &write.bucket, &write.key);
            let staged = self.staging.stage();
            (input.bucket, input.key) = staged.target();
            let mut response = self.files.post_object(req).await?;
            self.commit(staged, write).await?;
            let etag = response.output.e_tag.as_ref().map(ETag::value).unwrap_or_default();
            for (name, value) in [(header::LOCATION, location), (header::ETAG, format!("\"{etag}\""))] {
                let value = value.parse().map_err(|error| s3_error!(error, InternalError))?;
                response.headers.insert(name, value);
            }
            Ok(response)
        }

        async fn delete_object(
            &self,
            req: S3Request<dto::DeleteObjectInput>,
        ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
            self.remove(&req.input.bucket, &req.input.key).await?;
            Ok(S3Response::new(dto::DeleteObjectOutput::default()))
        }

        async fn delete_objects(
            &self,
            req: S3Request<dto::DeleteObjectsInput>,
        ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
            let mut deleted = Vec::new();
            for object in req.input.delete.objects {
                check_key(&object.key)?;
                self.remove(&req.input.bucket, &object.key).await?;
                deleted.push(dto::DeletedObject { key: Some(object.key), ..Default::default() });
            }
            let deleted = Some(deleted);
            Ok(S3Response::new(dto::DeleteObjectsOutput { deleted, ..Default::default() }))
        }

        async fn create_multipart_upload(
            &self,
            mut req: S3Request<dto::CreateMultipartUploadInput>,
        ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
            req.input.content_encoding = stored_encoding(req.input.content_encoding.take());
            let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
            let staged = self.staging.stage();
            let put = req.map_input(|input| multipart::headers(input, staged.target()));
            self.files.put_object(put).await?;
            let begun = self.multipart.begin(&staged.paths().1, &bucket, &key);
            let upload_id = Some(begun.map_err(|error| s3_error!(error, InternalError))?);
            let (bucket, key) = (Some(bucket), Some(key));
            let output = dto::CreateMultipartUploadOutput { bucket, key, upload_id, ..Default::default() };
            Ok(S3Response::new(output))
        }

        async fn upload_part(
            &self,
            req: S3Request<dto::UploadPartInput>,
        ) -> S3Result<S3Response<dto::UploadPartOutput>> {
            let input = req.input;
            let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
            let e_tag = self.store_part(&folder, input.part_number, input.body, input.content_md5).await?;
            Ok(S3Response::new(dto::UploadPartOutput { e_tag, ..Default::default() }))
        }

        async fn upload_part_copy(
            &self,
            req: S3Request<dto::UploadPartCopyInput>,
        ) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
            self.copy_part(req.input).await
        }

        async fn list_parts(
            &self,
            req: S3Request<dto::ListPartsInput>,
        ) -> S3Result<S3Response<dto::ListPartsOutput>> {
            let input = req.input;
            let folder = self.multipart.find(&input.upload_id, &input.bucket, &input.key)?;
            Ok(S3Response::new(dto::ListPartsOutput {
                bucket: Some(input.bucket),
                key: Some(input.key),
                upload_id: Some(input.upload_id),
                ..multipart::page(multipart::all(&folder)?, input.part_number_marker, input.max_parts)
            }))
        }

        async fn complete_multipart_upload(
            &self,
            req: S3Request<dto::CompleteMultipartUploadInput>,
        ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
            let input = req.input;
            let (bucket, key, upload) = (input.bucket, input.key, input.upload_id);
            let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
            let mut output = dto::CompleteMultipartUploadOutput {
                location: Some(location(&req.headers, &bucket, &key)),
                bucket: Some(bucket.clone()),
                key: Some(key.clone()),
                ..Default::default()
            };
            let guard = self.ending.clone().lock_owned().await;
            let folder = match self.multipart.find(&upload, &bucket, &key) {
                Ok(folder) => folder,
                Err(error) => {
                    // Like S3, repeats the response of a completion that has succeeded.
                    let done = self.staging.info(&bucket, &key).ok_or_else(|| s3_error!(NoSuchUpload))?;
                    if done.upload.as_ref() != Some(&upload) || multipart::etag(&parts)? != done.etag {
                        return Err(error);
                    }
                    output.e_tag = Some(ETag::Strong(done.etag));
                    return Ok(S3Response::new(output));
                }
            };
            multipart::check(&parts, &multipart::all(&folder)?)?;
            let (if_match, if_none_match) = (input.if_match, input.if_none_match);
            let event_name = "ObjectCreated:CompleteMultipartUpload";
            let write = Write { bucket, key, event_name, if_match, if_none_match, upload: Some(folder) };
            // Joining large parts takes longer than a client waits for the first byte, so the response begins at once,
            // as in S3. The task continues if the client disconnects.
            let storage = self.clone();
            let task = tokio::spawn(async move {
                let _guard = guard;
                output.e_tag = Some(ETag::Strong(storage.join(write, &upload, parts).await?));
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
            multipart::end(&folder).map_err(|error| s3_error!(error, InternalError))?;
            Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
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
