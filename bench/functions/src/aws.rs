//! The operations of S3 and DynamoDB that the functions call, over TLS. Signatures, bodies and conditions are checked,
//! and all calls are counted. An incorrect call is rejected with 400, and its error fails the run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64_simd::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::signature::check_header;
use crate::tls::{self, Trust};
use crate::{BoxError, aws_chunked, work};

pub(crate) const TABLE: &str = "videos";
pub(crate) const UPLOADS: &str = "uploads";
const CHECKSUM: &str = "x-amz-checksum-crc32";

/// The emulated services.
pub(crate) struct Aws {
    pub(crate) url: String,
    pub(crate) trust: Trust,
    state: Arc<Mutex<State>>,
    _folder: TempDir,
}

/// The calls and the data of one run.
#[derive(Default)]
struct State {
    calls: Vec<String>,
    /// The first error.
    error: Option<String>,
    /// The expected upload.
    file: File,
    rows: HashMap<String, Row>,
}

/// The progress of a new video.
#[derive(PartialEq)]
enum Row {
    Pending,
    Stored,
    Uploaded,
}

#[derive(Clone, Default)]
struct File {
    bytes: Bytes,
    sha256: String,
    crc32: String,
}

impl Aws {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let folder = tempfile::tempdir()?;
        let (acceptor, trust) = tls::make(folder.path())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    // The handshake fails if the client doesn't trust the certificate authority.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| respond(request, &state));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, trust, state, _folder: folder })
    }

    /// Resets the state for a new run, which uploads `file`.
    pub(crate) fn expect(&self, file: Bytes) {
        let sha256 = hex::encode(Sha256::digest(&file));
        let crc32 = STANDARD.encode_to_string(crc32fast::hash(&file).to_be_bytes());
        *lock(&self.state) = State { file: File { bytes: file, sha256, crc32 }, ..State::default() };
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> usize {
        lock(&self.state).calls.len()
    }

    /// Returns the names of all calls.
    pub(crate) fn call_names(&self) -> Vec<String> {
        lock(&self.state).calls.clone()
    }

    /// Checks the calls of a run.
    ///
    /// # Errors
    /// When a call was incorrect, or the upload of a video is incomplete.
    pub(crate) fn finish(&self) -> Result<(), BoxError> {
        let state = lock(&self.state);
        if let Some(error) = &state.error {
            return Err(error.clone().into());
        }
        let uploads = state.calls.iter().any(|call| call == "s3:PutObject");
        if uploads && state.rows.values().any(|row| *row != Row::Uploaded) {
            return Err("a video was not stored, or its row is not UPLOADED".into());
        }
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn respond(
    request: Request<Incoming>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let result = match target.and_then(|target| target.strip_prefix("DynamoDB_20120810.")) {
        Some(operation) => dynamodb(&parts, operation, body, state).await,
        None => s3(&parts, body, state).await,
    };
    Ok(result.unwrap_or_else(|error| {
        let error = format!("{} {}: {error}", parts.method, parts.uri);
        let response = Response::new(Full::from(error.clone()));
        lock(state).error.get_or_insert(error);
        let (mut head, body) = response.into_parts();
        head.status = StatusCode::BAD_REQUEST;
        Response::from_parts(head, body)
    }))
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn s3(parts: &Parts, body: Incoming, state: &Mutex<State>) -> Result<Response<Full<Bytes>>, BoxError> {
    lock(state).calls.push(if parts.method == Method::PUT { "s3:PutObject" } else { "s3" }.to_owned());
    let payload = header(parts, "x-amz-content-sha256");
    check_header(&parts.method, &parts.uri, &parts.headers, payload)?;
    let (bucket, key) = parts.uri.path().trim_start_matches('/').split_once('/').unwrap_or_default();
    let is_new = header(parts, "if-none-match") == "*" && header(parts, "content-type") == "video/mp4";
    if parts.method != Method::PUT || bucket != UPLOADS || !is_new {
        return Err("not a conditional PUT of a video".into());
    }
    let File { bytes, sha256, crc32 } = lock(state).file.clone();
    let checksum = if payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
        check_chunked(body, &bytes).await?
    } else if payload == "UNSIGNED-PAYLOAD" || payload == sha256 {
        check_plain(body, &bytes).await?;
        Some(header(parts, CHECKSUM).to_owned()).filter(|checksum| !checksum.is_empty())
    } else {
        return Err("the payload hash does not match the file".into());
    };
    if checksum.is_some_and(|checksum| checksum != crc32) {
        return Err("the checksum does not match the file".into());
    }
    let id = key.rsplit('/').next().unwrap_or_default().trim_end_matches(".mp4");
    match lock(state).rows.get_mut(id) {
        Some(row @ Row::Pending) => *row = Row::Stored,
        _ => return Err("this object has no PENDING row".into()),
    }
    let response = Response::builder()
        .header("etag", "\"9b2cf535f27731c974343645a3985328\"")
        .header("x-amz-request-id", "4442587FB7D0A2F9")
        .header(CHECKSUM, crc32)
        .header("x-amz-checksum-type", "FULL_OBJECT");
    Ok(response.body(Full::default())?)
}

/// Compares a body with the file, without copying it, because the function waits for the response.
async fn check_plain(mut body: Incoming, file: &[u8]) -> Result<(), BoxError> {
    let mut rest = file;
    while let Some(frame) = body.frame().await {
        if let Some(chunk) = frame?.data_ref() {
            rest = rest.strip_prefix(&chunk[..]).ok_or("the body does not match the file")?;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err("the body is incomplete".into()) }
}

/// Compares an `aws-chunked` body with the file, and returns the checksum in its trailer.
async fn check_chunked(body: Incoming, file: &[u8]) -> Result<Option<String>, BoxError> {
    let (bytes, checksum) = aws_chunked::decode(&body.collect().await?.to_bytes())?;
    if bytes == file { Ok(checksum) } else { Err("the body does not match the file".into()) }
}

async fn dynamodb(
    parts: &Parts,
    operation: &str,
    body: Incoming,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    lock(state).calls.push(format!("dynamodb:{operation}"));
    let body = body.collect().await?.to_bytes();
    check_header(&parts.method, &parts.uri, &parts.headers, &hex::encode(Sha256::digest(&body)))?;
    let input: Value = serde_json::from_slice(&body)?;
    if input["TableName"] != TABLE {
        return Err("wrong table".into());
    }
    let fail = |error: &str| Err(format!("{error}: {input}").into());
    let rows = &mut lock(state).rows;
    let output = match operation {
        "PutItem" => {
            let (item, condition) = (&input["Item"], &input["ConditionExpression"]);
            let id = item["videoId"]["S"].as_str().unwrap_or_default();
            let complete = ["userId", "key", "filename", "contentType", "uploadTime"]
                .iter()
                .all(|name| item[name]["S"].is_string());
            if item["status"]["S"] != "PENDING" || !complete || !item["ttl"]["N"].is_string() {
                return fail("incomplete row of a new video");
            }
            if *condition != "attribute_not_exists(videoId)"
                || rows.insert(id.to_owned(), Row::Pending).is_some()
            {
                return fail("the row exists, or the condition is missing");
            }
            json!({})
        }
        "UpdateItem" => {
            let id = input["Key"]["videoId"]["S"].as_str().unwrap_or_default();
            let values = input["ExpressionAttributeValues"].as_object();
            let has =
                |value: &str| values.is_some_and(|all| all.values().any(|operand| operand["S"] == value));
            if !has("UPLOADED") || !has("PENDING") || !input["ConditionExpression"].is_string() {
                return fail("not a transition from PENDING to UPLOADED");
            }
            match rows.get_mut(id) {
                Some(row @ Row::Stored) => *row = Row::Uploaded,
                _ => return fail("the object of this row is not stored"),
            }
            json!({})
        }
        "GetItem" => {
            if input["Key"]["videoId"]["S"] != work::VIDEO || input["ConsistentRead"] != true {
                return fail("not a consistent read of the video");
            }
            json!({"Item": work::row(work::VIDEO)})
        }
        "Query" => {
            if input["IndexName"] != "byUser" || input["Limit"] != 20 || input["ScanIndexForward"] != false {
                return fail("not the first page of the newest videos");
            }
            let items: Vec<Value> = work::listed().map(|id| work::row(&id)).collect();
            let last = items.last().map(|item| {
                json!({"videoId": item["videoId"], "userId": item["userId"], "uploadTime": item["uploadTime"]})
            });
            json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items, "LastEvaluatedKey": last})
        }
        _ => return fail("unexpected operation"),
    };
    let body = output.to_string();
    let response = Response::builder()
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "8B9QVPO0Q5TLSB2PSDTG8KPNVJVV4KQNSO5AEMVJF66Q9ASUAAJG")
        .header("x-amz-crc32", crc32fast::hash(body.as_bytes()));
    Ok(response.body(Full::from(body))?)
}
