//! The kinds of requests, and the checks of their responses.

use bytes::Bytes;
use clap::ValueEnum;
use http::Method;
use serde_json::{Value, json};

use crate::BoxError;
use crate::signature::check_url;

const USER: &str = "0a4e6b7c-70f1-70c1-9a1b-2f7d3c5e8a90";
/// The video of the requests for one video.
pub(crate) const VIDEO: &str = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e";
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
/// An upload ID like those of S3.
const UPLOAD_ID: &str =
    "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA.kL2Nq3hcBlHlV5ckY7vfnXOZJDFZaYKPc0iYJHb9KqA-";

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    #[value(name = "upload-100k")]
    Upload100k,
    #[value(name = "upload-4m")]
    Upload4m,
    Presign,
    Part,
    Get,
    List,
}

impl Work {
    pub(crate) const ALL: [Self; 6] =
        [Self::Upload100k, Self::Upload4m, Self::Presign, Self::Part, Self::Get, Self::List];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Upload100k => "upload, 100 kB",
            Self::Upload4m => "upload, 4 MiB",
            Self::Presign => "presign",
            Self::Part => "sign part",
            Self::Get => "get video",
            Self::List => "list videos",
        }
    }

    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Upload100k | Self::Upload4m => {
                "`POST /upload`: a row, the object, the row again, a signed URL"
            }
            Self::Presign => "`GET /presign`: a signed URL and a row",
            Self::Part => "`GET /s3/multipart/{uploadId}/{partNumber}`: a signed URL",
            Self::Get => "`GET /videos/{videoId}`: a row and four signed URLs",
            Self::List => "`GET /videos`: twenty rows and eighty signed URLs",
        }
    }

    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Upload100k | Self::Upload4m => "upload",
            Self::Presign | Self::Part => "presign",
            Self::Get | Self::List => "videos",
        }
    }

    /// Returns the expected number of calls to AWS.
    pub(crate) const fn calls(self) -> usize {
        match self {
            Self::Upload100k | Self::Upload4m => 3,
            Self::Presign | Self::Get | Self::List => 1,
            Self::Part => 0,
        }
    }

    /// Returns the file to upload.
    pub(crate) fn file(self) -> Bytes {
        match self {
            Self::Upload100k => video(100_000),
            Self::Upload4m => video(4 << 20),
            _ => Bytes::new(),
        }
    }

    /// Returns the event, as API Gateway sends it.
    pub(crate) fn event(self) -> Result<Bytes, BoxError> {
        let event = match self {
            Self::Upload100k | Self::Upload4m => include_str!("../../../events/upload.json"),
            Self::Presign => include_str!("../../../events/presign.json"),
            Self::Part | Self::Get => include_str!("../../../events/get-video.json"),
            Self::List => include_str!("../../../events/list-videos.json"),
        };
        let mut event: Value = serde_json::from_str(event)?;
        let claims = &mut event["requestContext"]["authorizer"]["claims"];
        claims["sub"] = USER.into();
        match self {
            Self::Upload100k | Self::Upload4m => {
                // With a key, all requests but the first would get the stored response.
                for headers in ["headers", "multiValueHeaders"] {
                    event[headers].as_object_mut().and_then(|headers| headers.remove("Idempotency-Key"));
                }
                let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
                event["multiValueHeaders"]["Content-Type"] = json!([content_type]);
                event["headers"]["Content-Type"] = content_type.into();
                event["body"] = base64_simd::STANDARD.encode_to_string(form(&self.file())).into();
                event["isBase64Encoded"] = true.into();
            }
            Self::Part => {
                let path = format!("/s3/multipart/{UPLOAD_ID}/7");
                event["requestContext"]["path"] = format!("/v1{path}").into();
                event["requestContext"]["resourcePath"] = "/s3/multipart/{uploadId}/{partNumber}".into();
                event["resource"] = "/s3/multipart/{uploadId}/{partNumber}".into();
                event["path"] = path.into();
                event["pathParameters"] = json!({"uploadId": UPLOAD_ID, "partNumber": "7"});
                event["queryStringParameters"] = json!({"key": key(VIDEO)});
                event["multiValueQueryStringParameters"] = json!({"key": [key(VIDEO)]});
            }
            Self::List => {
                event["queryStringParameters"] = Value::Null;
                event["multiValueQueryStringParameters"] = Value::Null;
            }
            Self::Presign | Self::Get => {}
        }
        Ok(event.to_string().into())
    }

    /// Checks a response, including the signature of each URL in it.
    ///
    /// # Errors
    /// When the response is incorrect.
    pub(crate) fn check(self, response: &[u8]) -> Result<(), BoxError> {
        let response: Value = serde_json::from_slice(response)?;
        if response["statusCode"] != 200 {
            return Err(format!("the status is not 200: {response}").into());
        }
        let body = response["body"].as_str().unwrap_or_default();
        let body: Value = match response["isBase64Encoded"].as_bool() {
            Some(true) => serde_json::from_slice(&base64_simd::STANDARD.decode_to_vec(body)?)?,
            _ => serde_json::from_str(body)?,
        };
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        match self {
            Self::Upload100k | Self::Upload4m => {
                if body["success"] != true || text("status") != "UPLOADED" {
                    return Err(format!("not an uploaded video: {body}").into());
                }
                check_signed(&Method::GET, text("url"), &key(text("videoId")), &[])
            }
            Self::Presign => {
                let headers = [("content-type", "video/mp4"), ("content-length", "104857600")];
                if text("key") != key(text("videoId")) || body["headers"]["Content-Type"] != "video/mp4" {
                    return Err(format!("not a presigned PUT: {body}").into());
                }
                check_signed(&Method::PUT, text("uploadUrl"), text("key"), &headers)
            }
            Self::Part => {
                let pairs = [String::from("partNumber=7"), format!("uploadId={UPLOAD_ID}")];
                let has = |pair: &String| text("url").split(['?', '&']).any(|piece| piece == pair);
                if !pairs.iter().all(has) {
                    return Err(format!("not a signed part: {body}").into());
                }
                check_signed(&Method::PUT, text("url"), &key(VIDEO), &[])
            }
            Self::Get => check_video(&body),
            Self::List => {
                let videos = body["videos"].as_array().map(Vec::as_slice).unwrap_or_default();
                if videos.len() != 20 || !body["cursor"].is_string() {
                    return Err(format!("not a page of twenty videos: {body}").into());
                }
                videos.iter().try_for_each(check_video)
            }
        }
    }
}

fn key(id: &str) -> String {
    format!("videos/{USER}/{id}.mp4")
}

/// Checks that a URL is signed for this object and this request.
fn check_signed(method: &Method, url: &str, key: &str, headers: &[(&str, &str)]) -> Result<(), BoxError> {
    if !url.split('?').next().unwrap_or_default().ends_with(key) {
        return Err(format!("not a URL of {key}: {url}").into());
    }
    check_url(method, url, headers).map_err(|error| format!("{url}: {error}").into())
}

/// The version of the object in the rows: sequencer and entity tag.
const VERSION: &str = "0065E8F2A3B4C5D6E70000000000000000000000-9a0364b9e99bb480dd25e1f0284c8555";

/// Checks a processed video and the URLs of its previews.
fn check_video(video: &Value) -> Result<(), BoxError> {
    let text = |name: &str| video[name].as_str().unwrap_or_default();
    let id = text("videoId");
    if text("status") != "PROCESSED" || text("filename") != "clip.mp4" || video["width"] != 1920 {
        return Err(format!("wrong video: {video}").into());
    }
    for (name, key) in [
        ("thumbnailUrl", format!("thumbnails/{id}/{VERSION}.jpg")),
        ("thumbnailLargeUrl", format!("thumbnails/{id}/{VERSION}-w1280.jpg")),
        ("storyboardUrl", format!("storyboards/{id}/{VERSION}.vtt")),
        ("storyboardImageUrl", format!("storyboards/{id}/{VERSION}.jpg")),
    ] {
        check_signed(&Method::GET, text(name), &key, &[])?;
    }
    Ok(())
}

/// Returns the row of a processed video.
pub(crate) fn row(id: &str) -> Value {
    json!({
        "videoId": {"S": id}, "userId": {"S": USER}, "filename": {"S": "clip.mp4"}, "key": {"S": key(id)},
        "contentType": {"S": "video/mp4"}, "size": {"N": "62914560"}, "status": {"S": "PROCESSED"},
        "uploadTime": {"S": "2026-11-23T07:41:47.123Z"}, "durationMs": {"N": "60040"}, "width": {"N": "1920"},
        "height": {"N": "1080"}, "rotation": {"N": "0"}, "frameRate": {"N": "25"}, "videoCodec": {"S": "h264"},
        "colorTransfer": {"S": "bt709"}, "audioCodec": {"S": "aac"}, "container": {"S": "mp4"},
        "sequencer": {"S": VERSION[..40]},
        "thumbnailKey": {"S": format!("thumbnails/{id}/{VERSION}.jpg")},
        "thumbnailLargeKey": {"S": format!("thumbnails/{id}/{VERSION}-w1280.jpg")},
        "storyboardKey": {"S": format!("storyboards/{id}/{VERSION}.vtt")},
        "blurHash": {"S": "LEHV6nWB2yk8pyo0adR*.7kCMdnj"},
    })
}

/// Returns the identifiers of the videos in a page.
pub(crate) fn listed() -> impl Iterator<Item = String> {
    (0..20).map(|n| format!("{}{n:02x}", &VIDEO[..34]))
}

fn form(file: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\n\
         Content-Type: video/mp4\r\n\r\n"
    );
    [head.as_bytes(), file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// Returns a file that begins like an MP4, followed by pseudo-random bytes, which are as incompressible as video.
fn video(size: usize) -> Bytes {
    let mut bytes = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2mp41".to_vec();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
