//! S3 and DynamoDB, as far as the functions call them: over TLS, with signatures, bodies and conditions checked, and
//! every call counted. What is not as it should be is refused, and remembered as a complaint.

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

use crate::signature::{check_header, hex};
use crate::tls::{self, Trust};
use crate::{Failed, aws_chunked, work};

pub(crate) const TABLE: &str = "videos";
pub(crate) const UPLOADS: &str = "uploads";
const CHECKSUM: &str = "x-amz-checksum-crc32";

/// The endpoints.
pub(crate) struct Aws {
    pub(crate) url: String,
    pub(crate) trust: Trust,
    state: Arc<Mutex<State>>,
    _folder: TempDir,
}

/// What is known of the calls of one run.
#[derive(Default)]
struct State {
    calls: Vec<String>,
    complaint: Option<String>,
    /// What is to be uploaded.
    file: File,
    rows: HashMap<String, Row>,
}

/// Where the row of a new video stands.
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
    pub(crate) async fn start() -> Result<Self, Failed> {
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
                    // Who does not trust the authority has gone.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| answer(request, &state));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, trust, state, _folder: folder })
    }

    /// Forgets the last run. `file` is what the next one uploads.
    pub(crate) fn expect(&self, file: Bytes) {
        let sha256 = hex(&Sha256::digest(&file));
        let crc32 = STANDARD.encode_to_string(crc32fast::hash(&file).to_be_bytes());
        *lock(&self.state) = State { file: File { bytes: file, sha256, crc32 }, ..State::default() };
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        lock(&self.state).calls.len()
    }

    /// Their names.
    pub(crate) fn named_calls(&self) -> Vec<String> {
        lock(&self.state).calls.clone()
    }

    /// # Errors
    /// What was wrong with a call; or when a video is only half uploaded.
    pub(crate) fn finish(&self) -> Result<(), Failed> {
        let state = lock(&self.state);
        if let Some(complaint) = &state.complaint {
            return Err(complaint.clone().into());
        }
        let uploads = state.calls.iter().any(|call| call == "s3:PutObject");
        if uploads && state.rows.values().any(|row| *row != Row::Uploaded) {
            return Err("a video was not stored, or its row does not say so".into());
        }
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
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
        let complaint = format!("{} {}: {error}", parts.method, parts.uri);
        let refusal = Response::new(Full::from(complaint.clone()));
        lock(state).complaint.get_or_insert(complaint);
        let (mut head, body) = refusal.into_parts();
        head.status = StatusCode::BAD_REQUEST;
        Response::from_parts(head, body)
    }))
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn s3(parts: &Parts, body: Incoming, state: &Mutex<State>) -> Result<Response<Full<Bytes>>, Failed> {
    lock(state).calls.push(if parts.method == Method::PUT { "s3:PutObject" } else { "s3" }.to_owned());
    let payload = header(parts, "x-amz-content-sha256");
    check_header(&parts.method, &parts.uri, &parts.headers, payload)?;
    let (bucket, key) = parts.uri.path().trim_start_matches('/').split_once('/').unwrap_or_default();
    let is_new = header(parts, "if-none-match") == "*" && header(parts, "content-type") == "video/mp4";
    if parts.method != Method::PUT || bucket != UPLOADS || !is_new {
        return Err("no conditional PUT of a video".into());
    }
    let File { bytes, sha256, crc32 } = lock(state).file.clone();
    let checksum = if payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
        is_chunked(body, &bytes).await?
    } else if payload == "UNSIGNED-PAYLOAD" || payload == sha256 {
        is_plain(body, &bytes).await?;
        Some(header(parts, CHECKSUM).to_owned()).filter(|checksum| !checksum.is_empty())
    } else {
        return Err("the hash is not the file's".into());
    };
    if checksum.is_some_and(|checksum| checksum != crc32) {
        return Err("the checksum is not the file's".into());
    }
    let id = key.rsplit('/').next().unwrap_or_default().trim_end_matches(".mp4");
    match lock(state).rows.get_mut(id) {
        Some(row @ Row::Pending) => *row = Row::Stored,
        _ => return Err("no row is pending for this object".into()),
    }
    let response = Response::builder()
        .header("etag", "\"9b2cf535f27731c974343645a3985328\"")
        .header("x-amz-request-id", "4442587FB7D0A2F9")
        .header(CHECKSUM, crc32)
        .header("x-amz-checksum-type", "FULL_OBJECT");
    Ok(response.body(Full::default())?)
}

/// As it comes, without a copy: what this takes is in the time of the function's call.
async fn is_plain(mut body: Incoming, file: &[u8]) -> Result<(), Failed> {
    let mut rest = file;
    while let Some(frame) = body.frame().await {
        if let Some(chunk) = frame?.data_ref() {
            rest = rest.strip_prefix(&chunk[..]).ok_or("the body is not the file")?;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err("the body is cut off".into()) }
}

/// The checksum that comes with it.
async fn is_chunked(body: Incoming, file: &[u8]) -> Result<Option<String>, Failed> {
    let (bytes, checksum) = aws_chunked::decode(&body.collect().await?.to_bytes())?;
    if bytes == file { Ok(checksum) } else { Err("the body is not the file".into()) }
}

async fn dynamodb(
    parts: &Parts,
    operation: &str,
    body: Incoming,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, Failed> {
    lock(state).calls.push(format!("dynamodb:{operation}"));
    let body = body.collect().await?.to_bytes();
    check_header(&parts.method, &parts.uri, &parts.headers, &hex(&Sha256::digest(&body)))?;
    let input: Value = serde_json::from_slice(&body)?;
    if input["TableName"] != TABLE {
        return Err("another table".into());
    }
    let wrong = |why: &str| Err(format!("{why}: {input}").into());
    let rows = &mut lock(state).rows;
    let output = match operation {
        "PutItem" => {
            let (item, condition) = (&input["Item"], &input["ConditionExpression"]);
            let id = item["videoId"]["S"].as_str().unwrap_or_default();
            let complete = ["userId", "key", "filename", "contentType", "uploadTime"]
                .iter()
                .all(|name| item[name]["S"].is_string());
            if item["status"]["S"] != "PENDING" || !complete || !item["ttl"]["N"].is_string() {
                return wrong("not the row of a new video");
            }
            if *condition != "attribute_not_exists(videoId)"
                || rows.insert(id.to_owned(), Row::Pending).is_some()
            {
                return wrong("not a new row, or one that replaces another");
            }
            json!({})
        }
        "UpdateItem" => {
            let id = input["Key"]["videoId"]["S"].as_str().unwrap_or_default();
            let values = input["ExpressionAttributeValues"].as_object();
            let has = |value: &str| values.is_some_and(|all| all.values().any(|one| one["S"] == value));
            if !has("UPLOADED") || !has("PENDING") || !input["ConditionExpression"].is_string() {
                return wrong("not a move from PENDING to UPLOADED");
            }
            match rows.get_mut(id) {
                Some(row @ Row::Stored) => *row = Row::Uploaded,
                _ => return wrong("the object of this row is not stored"),
            }
            json!({})
        }
        "GetItem" => {
            if input["Key"]["videoId"]["S"] != work::VIDEO || input["ConsistentRead"] != true {
                return wrong("not a consistent read of the video");
            }
            json!({"Item": work::row(work::VIDEO)})
        }
        "Query" => {
            if input["IndexName"] != "byUser" || input["Limit"] != 20 || input["ScanIndexForward"] != false {
                return wrong("not the first page of the newest videos");
            }
            let items: Vec<Value> = work::listed().map(|id| work::row(&id)).collect();
            let last = items.last().map(|item| {
                json!({"videoId": item["videoId"], "userId": item["userId"], "uploadTime": item["uploadTime"]})
            });
            json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items, "LastEvaluatedKey": last})
        }
        _ => return wrong("a call that is not needed"),
    };
    let body = output.to_string();
    let response = Response::builder()
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "8B9QVPO0Q5TLSB2PSDTG8KPNVJVV4KQNSO5AEMVJF66Q9ASUAAJG")
        .header("x-amz-crc32", crc32fast::hash(body.as_bytes()));
    Ok(response.body(Full::from(body))?)
}
