//! An S3 that costs what S3 costs: the real protocol with signatures, behind a [`Link`].
//!
//! `s3s` alone, without `s3s-fs` below: that one would read 5 GB for an entity tag and send in pieces of
//! 4 KiB, and be the bottleneck of what is measured here.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

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

use crate::Failed;
use crate::files::Video;
use crate::link::Link;

const ACCESS_KEY: &str = "bench";
const SECRET_KEY: &str = "bench-secret";
const BUCKET: &str = "uploads";
/// What is read from the disk at a time.
const READ: u64 = 512 << 10;
/// What waits in a socket is counted as sent, so little may wait there.
const WAITING: u32 = 128 << 10;

/// Serves the videos in `folder` until its standard input ends. It prints its address, and for each line
/// that it is sent, the requests and bytes since the last one.
pub(crate) async fn serve(folder: PathBuf) -> Result<Infallible, Failed> {
    let service = {
        let mut builder = S3ServiceBuilder::new(Shelf { folder });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.build()
    };
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(WAITING)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(64)?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;

    let link = Arc::new(Link::default());
    let counted = link.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            let traffic = counted.traffic();
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
            let answer = service_fn(|request| answer(&service, &link, request));
            let connection =
                http1::Builder::new().max_buf_size(64 << 10).serve_connection(TokioIo::new(stream), answer);
            // Clients that have what they wanted go away, which is no error.
            let _ = connection.await;
        });
    }
}

type Answer<S> = http::Response<StreamBody<S>>;

async fn answer(
    service: &S3Service,
    link: &Arc<Link>,
    request: http::Request<Incoming>,
) -> Result<Answer<impl Stream<Item = Result<Frame<Bytes>, s3s::StdError>> + use<>>, s3s::HttpError> {
    link.request().await;
    let response = service.call(request.map(Into::into)).await?;
    let link = link.clone();
    Ok(response
        .map(|body| StreamBody::new(link.carry(body.into_data_stream()).map(|part| part.map(Frame::data)))))
}

/// The folder of the videos, as a bucket.
struct Shelf {
    folder: PathBuf,
}

struct Found {
    file: File,
    size: u64,
    etag: ETag,
}

impl Shelf {
    fn find(&self, bucket: &str, key: &str) -> S3Result<Found> {
        let name = (bucket == BUCKET).then(|| Video::of(key)).flatten().map(|video| video.name);
        let name = name.ok_or_else(|| s3_error!(NoSuchKey))?;
        let file = File::open(self.folder.join(name)).map_err(|error| s3_error!(error, NoSuchKey))?;
        let media_info = file.metadata().map_err(|error| s3_error!(error, InternalError))?;
        let etag = ETag::Strong(format!("{:x}-{:x}", media_info.size(), media_info.mtime()));
        Ok(Found { file, size: media_info.size(), etag })
    }
}

#[async_trait]
impl S3 for Shelf {
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

/// The objects at `endpoint`, as a function has them.
pub(crate) fn objects(endpoint: &str) -> ObjectStore {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench");
    let sdk: SdkConfig = sdk::defaults(&Roots::Known)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build();
    let buckets = Buckets { uploads: BUCKET.to_owned(), thumbnails: String::new(), processed: String::new() };
    ObjectStore::new(&sdk, buckets, false)
}
