//! The S3 routes of Uppy's Companion, as called by `@uppy/aws-s3` with a `companionEndpoint`.
//!
//! `metadata` is what the page knows about the file. The row gets what describes the video, see [`Given`].

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use upreel_core::limits::MAX_PUT;
use upreel_core::{Fault, UserId};
use upreel_function::App;
use upreel_http::{Caller, Code, Given, Problem, Query, from_json};
use upreel_store::objects::{Completion, NamedPart};

use crate::declared::{Declared, NewVideo, UNKNOWN_MULTIPART, check_size, invalid};
use crate::upload::{MAX_PARTS, Upload, checked_size, in_range, no_such_upload, part_number};
use crate::{Fields, given};

#[derive(Deserialize)]
pub(crate) struct NewFile {
    filename: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    /// Not a field of Companion. With it, a file that is too large is rejected before it is sent.
    size: Option<u64>,
    #[serde(flatten)]
    given: Given,
}

impl NewFile {
    /// `max` is the largest size, and `reserved` what is reserved if the size is not known.
    fn new_video(
        self,
        app: &App,
        user: UserId,
        (max, reserved): (u64, u64),
    ) -> Result<(NewVideo, Declared), Problem> {
        let size = self.size.map(|size| check_size(size, max)).transpose()?;
        let name = self.filename.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("The file name is missing. Send it as `filename`."))?;
        let declared = Declared::new(&name, self.media_type.as_deref(), app.config.audio)?;
        Ok((NewVideo::new(user, &name, &declared, size, reserved).described(self.given, app)?, declared))
    }
}

#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    key: Option<String>,
    #[serde(rename = "partNumbers")]
    part_numbers: Option<String>,
}

type PathResult<T> = Result<Path<T>, PathRejection>;

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
    Query(mut file): Query<NewFile>,
    Query(fields): Query<Fields>,
) -> Result<Json<Params>, Problem> {
    let max = app.config.max_upload_bytes.min(MAX_PUT);
    file.given = given(&fields);
    let (new, declared) = file.new_video(&app, user, (max, max))?;
    let max = if app.config.quotas.is_off() { max } else { new.reserved };
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
    let limits = (app.config.max_upload_bytes, UNKNOWN_MULTIPART);
    let (new, declared) = from_json::<NewFile>(body)?.new_video(&app, user, limits)?;
    let upload = app.objects.create_multipart(&new.key, &declared.media_type).await?;
    if let Err(problem) = new.create(&app).await {
        if matches!(problem.code(), Code::QuotaExceeded | Code::TooLarge | Code::UnsupportedMedia) {
            app.objects.abort_multipart(&new.key, &upload).await?;
        }
        return Err(problem);
    }
    let bucket = app.objects.bucket(&new.key);
    Ok(Json(json!({"key": new.key.to_string(), "uploadId": upload, "bucket": bucket})))
}

pub(crate) async fn parts(
    State(app): State<App>,
    Caller(user): Caller,
    upload: PathResult<String>,
    Query(which): Query<UploadQuery>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, which.key.as_deref(), &parse_path(upload)?)?;
    let parts = upload.parts(&app).await?;
    let parts = parts.iter().map(|p| json!({"PartNumber": p.number, "Size": p.size, "ETag": p.etag}));
    Ok(Json(parts.collect()))
}

pub(crate) async fn abort(
    State(app): State<App>,
    Caller(user): Caller,
    upload: PathResult<String>,
    Query(which): Query<UploadQuery>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, which.key.as_deref(), &parse_path(upload)?)?;
    let existed = app.objects.abort_multipart(&upload.key, &upload.id).await?;
    app.release(&upload.key, &user).await?;
    existed.then(|| Json(json!({}))).ok_or_else(no_such_upload)
}

pub(crate) async fn part(
    State(app): State<App>,
    Caller(user): Caller,
    path: PathResult<(String, String)>,
    Query(which): Query<UploadQuery>,
) -> Result<Json<Value>, Problem> {
    let (upload, number) = parse_path(path)?;
    let upload = Upload::new(&user, which.key.as_deref(), &upload)?;
    let signed = app.objects.sign_part(&upload.key, &upload.id, part_number(&number)?).await?;
    // Uppy also uses `expires` as the timeout of the part's upload.
    Ok(Json(json!({"url": signed.url, "expires": signed.expires_in.as_secs()})))
}

pub(crate) async fn batch(
    State(app): State<App>,
    Caller(user): Caller,
    upload: PathResult<String>,
    Query(which): Query<UploadQuery>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, which.key.as_deref(), &parse_path(upload)?)?;
    let numbers = which.part_numbers.ok_or_else(|| {
        invalid("The part numbers are missing. Send them as `partNumbers`: &partNumbers=1,2,3")
    })?;
    let numbers = numbers.split(',').map(part_number).collect::<Result<Vec<_>, _>>()?;
    if numbers.len() > usize::from(MAX_PARTS) {
        return Err(invalid(format!("Too many part numbers. The limit is {MAX_PARTS}.")));
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
    upload: PathResult<String>,
    Query(which): Query<UploadQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let upload = Upload::new(&user, which.key.as_deref(), &parse_path(upload)?)?;
    let (key, id) = (&upload.key, upload.id.as_str());
    let parts = from_json::<Parts>(body)?.parts.into_iter();
    let parts = parts.map(|part| Ok(NamedPart { number: in_range(part.part_number)?, etag: part.etag }));
    let parts = parts.collect::<Result<Vec<_>, Problem>>()?;
    if parts.is_empty() {
        return Err(invalid("The list of parts is empty. Name at least one part."));
    }
    // If there is no such upload, skip the check: S3 repeats the response to a completion that it has just done, so a
    // client that lost the response can send the request again.
    let stored = app.objects.list_parts(key, id).await?;
    if let Some(stored) = &stored {
        let size = checked_size(&parts, stored)?;
        if size > app.config.max_upload_bytes {
            return Err(upload.abort_too_large(&app, &user).await?);
        }
        app.reserve(key, &user, size).await??;
    }
    match app.objects.complete_multipart(key, id, &parts).await? {
        Completion::Done => {}
        // An upload that was completed is not there any more, whatever the parts are.
        Completion::NoSuchUpload | Completion::Refused if stored.is_none() => return Err(no_such_upload()),
        // The upload was there a moment ago. A repetition finds out whether it was completed or aborted.
        Completion::NoSuchUpload => {
            return Err(Fault::message("s3:CompleteMultipartUpload", "the upload has disappeared").into());
        }
        // The check above has passed, so a part was replaced in the meantime.
        Completion::Refused => return Err(invalid("S3 rejected these parts. List the parts and try again.")),
    }
    tracing::info!(%key, parts = parts.len(), "multipart upload completed");
    let location = app.objects.location(key).await?;
    Ok(Json(json!({"location": location, "key": key.to_string(), "bucket": app.objects.bucket(key)})))
}

fn parse_path<T>(path: PathResult<T>) -> Result<T, Problem> {
    path.map(|Path(value)| value).map_err(|_| no_such_upload())
}
