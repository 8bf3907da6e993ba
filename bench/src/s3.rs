//! An S3 server with the real protocol and signatures, behind a [`Link`] with the latency and bandwidth of S3.
//!
//! It uses `s3s` without `s3s-fs`, which would be the bottleneck: it reads a whole file of 5 GB for an entity tag, and
//! sends pieces of 4 KiB.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{self, ETag, ETagCondition, StreamingBlob};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use tokio::net::TcpSocket;
use upreel_store::sdk::{self, Roots};
use upreel_store::{Buckets, ObjectStore};

use crate::BoxError;
use crate::files::Video;
use crate::link::Link;

const ACCESS_KEY: &str = "bench";
const SECRET_KEY: &str = "bench-secret";
const BUCKET: &str = "uploads";
/// The bucket of what is made of the videos.
const PROCESSED: &str = "processed";
/// Size of the reads from the disk, in bytes.
const READ: u64 = 512 << 10;
/// Send buffer of a socket, in bytes. It is small because buffered bytes are counted as sent.
const SEND_BUFFER: u32 = 128 << 10;

/// Serves the videos in `folder` until its standard input is closed. It prints its address, and for each line of input
/// the requests and bytes since the last one.
pub(crate) async fn serve(folder: PathBuf) -> Result<Infallible, BoxError> {
    let service = {
        let mut builder = S3ServiceBuilder::new(VideoFolder { folder, made: Mutex::default() });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.build()
    };
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(64)?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;

    let link = Arc::new(Link::default());
    let counter = link.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            let traffic = counter.traffic();
            if line.is_err() || writeln!(io::stdout(), "{} {}", traffic.requests, traffic.bytes).is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (service, link) = (service.clone(), link.clone());
        tokio::spawn(async move {
            let respond = service_fn(|request| respond(&service, &link, request));
            let connection =
                http1::Builder::new().max_buf_size(64 << 10).serve_connection(TokioIo::new(stream), respond);
            // A client that closes the connection early is not an error.
            let _ = connection.await;
        });
    }
}

type Response<S> = http::Response<StreamBody<S>>;

async fn respond(
    service: &S3Service,
    link: &Arc<Link>,
    request: http::Request<Incoming>,
) -> Result<Response<impl Stream<Item = Result<Frame<Bytes>, s3s::StdError>> + use<>>, s3s::HttpError> {
    link.request().await;
    let response = service.call(request.map(Into::into)).await?;
    let link = link.clone();
    Ok(response
        .map(|body| StreamBody::new(link.carry(body.into_data_stream()).map(|part| part.map(Frame::data)))))
}

/// The folder of the videos, served as a bucket, and what is made of them, in memory.
struct VideoFolder {
    folder: PathBuf,
    made: Mutex<HashMap<String, Bytes>>,
}

struct Found {
    file: File,
    size: u64,
    etag: ETag,
}

impl VideoFolder {
    /// Returns an object of the other bucket.
    fn made(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(key).filter(|_| bucket == PROCESSED).cloned()
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<Found> {
        let name = (bucket == BUCKET).then(|| Video::of(key)).flatten().map(|video| video.name);
        let name = name.ok_or_else(|| s3_error!(NoSuchKey))?;
        let file = File::open(self.folder.join(name)).map_err(|error| s3_error!(error, NoSuchKey))?;
        let metadata = file.metadata().map_err(|error| s3_error!(error, InternalError))?;
        let etag = ETag::Strong(format!("{:x}-{:x}", metadata.size(), metadata.mtime()));
        Ok(Found { file, size: metadata.size(), etag })
    }
}

#[async_trait]
impl S3 for VideoFolder {
    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let found = self.find(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(dto::HeadObjectOutput {
            content_length: found.size.try_into().ok(),
            e_tag: Some(found.etag),
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = request.input;
        if let Some(body) = self.made(&input.bucket, &input.key) {
            let size = body.len() as u64;
            let range = input.range.map(|range| range.check(size)).transpose()?.unwrap_or(0..size);
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let part = body.slice(place(range.start)..place(range.end));
            return Ok(S3Response::new(dto::GetObjectOutput {
                content_length: part.len().try_into().ok(),
                body: Some(StreamingBlob::wrap(stream::iter([io::Result::Ok(part)]))),
                ..Default::default()
            }));
        }
        let Found { file, size, etag } = self.find(&input.bucket, &input.key)?;
        if let Some(ETagCondition::ETag(expected)) = input.if_match
            && expected.value() != etag.value()
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let range = input.range.map(|range| range.check(size)).transpose()?;
        let content_range = range.as_ref().map(|r| format!("bytes {}-{}/{size}", r.start, r.end - 1));
        let range = range.unwrap_or(0..size);
        Ok(S3Response::new(dto::GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: (range.end - range.start).try_into().ok(),
            content_range,
            e_tag: Some(etag),
            body: Some(StreamingBlob::wrap(read(Arc::new(file), range))),
            ..Default::default()
        }))
    }

    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let dto::PutObjectInput { bucket, key, body, .. } = request.input;
        if bucket != PROCESSED {
            return Err(s3_error!(AccessDenied));
        }
        let mut bytes = BytesMut::new();
        if let Some(mut body) = body {
            while let Some(part) = body.next().await {
                bytes.extend_from_slice(&part.map_err(|_| s3_error!(IncompleteBody))?);
            }
        }
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bytes.freeze());
        Ok(S3Response::new(dto::PutObjectOutput::default()))
    }
}

fn read(file: Arc<File>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(range.start, move |at| {
        let (file, end) = (file.clone(), range.end);
        async move {
            if at >= end {
                return Ok(None);
            }
            let next = end.min(at + READ);
            let read = move || {
                let mut part = BytesMut::zeroed(usize::try_from(next - at).unwrap_or_default());
                file.read_exact_at(&mut part, at).map(|()| part.freeze())
            };
            let part = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
            Ok(Some((part, next)))
        }
    })
}

/// Returns an [`ObjectStore`] for `endpoint`, configured as in a function.
pub(crate) fn objects(endpoint: &str) -> ObjectStore {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench");
    let sdk: SdkConfig = sdk::defaults(&Roots::Known)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build();
    let buckets =
        Buckets { uploads: BUCKET.to_owned(), thumbnails: String::new(), processed: PROCESSED.to_owned() };
    ObjectStore::new(&sdk, buckets, false)
}
