//! The S3 routes of Uppy's Companion, as `@uppy/aws-s3` calls them when it has a `companionEndpoint`.
//!
//! Metadata is taken and left: the name is in the row, and nothing would read the rest.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use upreel_core::UserId;
use upreel_core::limits::MAX_PUT;
use upreel_function::App;
use upreel_http::{Caller, Code, Problem};
use upreel_store::objects::{Completion, NamedPart};

use crate::declared::{Declared, NewVideo, check_size, invalid};
use crate::upload::{MAX_PARTS, Upload, in_range, no_such_upload, part_number, total};

#[derive(Deserialize)]
pub(crate) struct File {
    filename: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    /// Companion has none; with it, what is too large is refused before it is sent.
    size: Option<u64>,
}

impl File {
    fn new_video(self, user: UserId, max: u64) -> Result<(NewVideo, Declared), Problem> {
        let size = self.size.map(|size| check_size(size, max)).transpose()?;
        let name = self.filename.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("Say the file's name, as `filename`."))?;
        let declared = Declared::new(&name, self.media_type.as_deref())?;
        Ok((NewVideo::new(user, &name, &declared, size), declared))
    }
}

#[derive(Deserialize)]
pub(crate) struct Which {
    key: Option<String>,
    #[serde(rename = "partNumbers")]
    part_numbers: Option<String>,
}

type Queried<T> = Result<Query<T>, QueryRejection>;
type Named<T> = Result<Path<T>, PathRejection>;

#[derive(Serialize)]
pub(crate) struct Params {
    method: &'static str,
    url: String,
    fields: BTreeMap<&'static str, String>,
    expires: u64,
}

pub(crate) async fn params(
    State(app): State<App>,
    Caller(user): Caller,
    file: Queried<File>,
) -> Result<Json<Params>, Problem> {
    let max = app.config.max_upload_bytes.min(MAX_PUT);
    let (new, declared) = queried(file)?.new_video(user, max)?;
    let form = app.objects.sign_post(&new.key, &declared.media_type, max).await?;
    new.create(&app).await?;
    Ok(Json(Params {
        method: "POST",
        url: form.url,
        fields: form.fields,
        expires: form.expires_in.as_secs(),
    }))
}

pub(crate) async fn create(
    State(app): State<App>,
    Caller(user): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let (new, declared) = from_json::<File>(body)?.new_video(user, app.config.max_upload_bytes)?;
    let upload = app.objects.create_multipart(&new.key, &declared.media_type).await?;
    new.create(&app).await?;
    let bucket = app.objects.bucket(&new.key);
    Ok(Json(json!({"key": new.key.to_string(), "uploadId": upload, "bucket": bucket})))
}

pub(crate) async fn parts(
    State(app): State<App>,
    Caller(user): Caller,
    upload: Named<String>,
    which: Queried<Which>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, queried(which)?.key.as_deref(), &named(upload)?)?;
    let parts = upload.parts(&app).await?;
    let parts = parts.iter().map(|p| json!({"PartNumber": p.number, "Size": p.size, "ETag": p.etag}));
    Ok(Json(parts.collect()))
}

pub(crate) async fn abort(
    State(app): State<App>,
    Caller(user): Caller,
    upload: Named<String>,
    which: Queried<Which>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, queried(which)?.key.as_deref(), &named(upload)?)?;
    let there_was_one = app.objects.abort_multipart(&upload.key, &upload.id).await?;
    there_was_one.then(|| Json(json!({}))).ok_or_else(no_such_upload)
}

pub(crate) async fn part(
    State(app): State<App>,
    Caller(user): Caller,
    path: Named<(String, String)>,
    which: Queried<Which>,
) -> Result<Json<Value>, Problem> {
    let (upload, number) = named(path)?;
    let upload = Upload::new(&user, queried(which)?.key.as_deref(), &upload)?;
    let signed = app.objects.sign_part(&upload.key, &upload.id, part_number(&number)?).await?;
    // Uppy takes it for the longest that the part may be under way, too.
    Ok(Json(json!({"url": signed.url, "expires": signed.expires_in.as_secs()})))
}

pub(crate) async fn batch(
    State(app): State<App>,
    Caller(user): Caller,
    upload: Named<String>,
    which: Queried<Which>,
) -> Result<Json<Value>, Problem> {
    let which = queried(which)?;
    let upload = Upload::new(&user, which.key.as_deref(), &named(upload)?)?;
    let numbers = which.part_numbers.ok_or_else(|| invalid("Say the parts: &partNumbers=1,2,3"))?;
    let numbers = numbers.split(',').map(part_number).collect::<Result<Vec<_>, _>>()?;
    if numbers.len() > usize::from(MAX_PARTS) {
        return Err(invalid(format!("There are at most {MAX_PARTS} parts.")));
    }
    let (key, id) = (&upload.key, &upload.id);
    let urls =
        try_join_all(numbers.into_iter().map(async |number| {
            app.objects.sign_part(key, id, number).await.map(|signed| (number, signed.url))
        }));
    let urls: BTreeMap<u16, String> = urls.await?.into_iter().collect();
    Ok(Json(json!({"presignedUrls": urls})))
}

#[derive(Deserialize)]
struct Parts {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    part_number: u16,
    #[serde(rename = "ETag")]
    etag: String,
}

pub(crate) async fn complete(
    State(app): State<App>,
    Caller(user): Caller,
    upload: Named<String>,
    which: Queried<Which>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, queried(which)?.key.as_deref(), &named(upload)?)?;
    let (key, id) = (&upload.key, upload.id.as_str());
    let parts = from_json::<Parts>(body)?.parts.into_iter();
    let parts = parts.map(|part| Ok(NamedPart { number: in_range(part.part_number)?, etag: part.etag }));
    let parts = parts.collect::<Result<Vec<_>, Problem>>()?;
    if parts.is_empty() {
        return Err(invalid("An upload has at least one part."));
    }
    // Without an upload there is nothing to check: S3 answers the repetition of a completion that it has
    // just done like the first, so a client that lost the answer can ask again.
    if let Some(stored) = app.objects.list_parts(key, id).await?
        && total(&parts, &stored)? > app.config.max_upload_bytes
    {
        return Err(upload.refuse(&app).await?);
    }
    match app.objects.complete_multipart(key, id, &parts).await? {
        Completion::Done => {}
        Completion::NoSuchUpload => return Err(no_such_upload()),
        // They were right a moment ago, so one was replaced meanwhile.
        Completion::Refused => return Err(invalid("S3 does not take these parts. List them and try again.")),
    }
    tracing::info!(%key, parts = parts.len(), "completed");
    let location = app.objects.location(key).await?;
    Ok(Json(json!({"location": location, "key": key.to_string(), "bucket": app.objects.bucket(key)})))
}

fn queried<T>(query: Queried<T>) -> Result<T, Problem> {
    query.map(|Query(value)| value).map_err(|error| invalid(error.body_text()))
}

fn named<T>(path: Named<T>) -> Result<T, Problem> {
    path.map(|Path(value)| value).map_err(|_| no_such_upload())
}

/// Whatever the header says that it is: without one for JSON a page needs no preflight.
pub(crate) fn from_json<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge, "The body is too long for this route."),
        _ => Problem::new(Code::MalformedBody, "The body could not be read: send it again."),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| invalid(format!("The body is not what it should be: {error}.")))
}
