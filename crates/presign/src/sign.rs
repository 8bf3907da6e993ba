//! `POST /presign`: signs a request for the `signRequest` option of Uppy 6.
//!
//! For a new video, this function generates the object key. If the request has no `name`, it takes the file name, and
//! nothing else, from the request's `key`. It returns the generated key, which Uppy uses in all later requests.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use upreel_core::UserId;
use upreel_core::limits::MAX_PUT;
use upreel_function::App;
use upreel_http::{Caller, Given, Problem, from_json};
use upreel_store::objects::MultipartRequest;
use uuid::Uuid;

use crate::declared::{Declared, NewVideo, UNKNOWN_MULTIPART, check_put_size, check_size, invalid};
use crate::upload::{Upload, in_range};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignRequest {
    method: String,
    key: Option<String>,
    upload_id: Option<String>,
    part_number: Option<u16>,
    content_type: Option<String>,
    name: Option<String>,
    size: Option<u64>,
    /// Whether to sign a POST policy instead of a PUT request, so that S3 itself rejects files that are too large.
    #[serde(default)]
    fields: bool,
    #[serde(flatten)]
    given: Given,
}

#[derive(Serialize)]
pub(crate) struct Signed {
    url: String,
    key: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<&'static str, String>,
}

impl Signed {
    fn new(url: String, key: &impl ToString) -> Self {
        Self { url, key: key.to_string(), headers: BTreeMap::new(), fields: BTreeMap::new() }
    }
}

/// The kind of request to sign.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Put,
    Form,
    Create,
    Part(String, u16),
    List(String),
    Complete(String),
    Abort(String),
}

impl SignRequest {
    fn kind(&self) -> Result<Kind, Problem> {
        let upload = self.upload_id.clone();
        match (self.method.as_str(), upload, self.part_number) {
            ("PUT", None, None) => Ok(if self.fields { Kind::Form } else { Kind::Put }),
            ("PUT", Some(upload), Some(number)) => Ok(Kind::Part(upload, in_range(number)?)),
            ("POST", None, None) => Ok(Kind::Create),
            ("POST", Some(upload), None) => Ok(Kind::Complete(upload)),
            ("GET", Some(upload), None) => Ok(Kind::List(upload)),
            ("DELETE", Some(upload), None) => Ok(Kind::Abort(upload)),
            ("DELETE", None, None) => Err(invalid("To delete a video, call DELETE /videos/{videoId}.")),
            _ => Err(invalid(
                "This request cannot be signed. Supported: PUT and POST for a new video; PUT with `uploadId` and \
                 `partNumber`; GET, POST and DELETE with `uploadId`.",
            )),
        }
    }

    fn name(&self) -> Result<&str, Problem> {
        let given = self.name.as_deref().or_else(|| self.key.as_deref().map(without_prefix));
        given
            .filter(|name| !name.is_empty())
            .ok_or_else(|| invalid("The file name is missing. Send it as `name` or `key`."))
    }

    fn upload(&self, user: &UserId, id: &str) -> Result<Upload, Problem> {
        Upload::new(user, self.key.as_deref(), id)
    }
}

/// Returns the file name in an Uppy key, which consists of a random UUID, a hyphen and the name.
fn without_prefix(key: &str) -> &str {
    match key.split_at_checked(36) {
        Some((id, rest)) if Uuid::try_parse(id).is_ok() => rest.strip_prefix('-').unwrap_or(key),
        _ => key,
    }
}

pub(crate) async fn sign(
    State(app): State<App>,
    Caller(user): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Signed>, Problem> {
    let request: SignRequest = from_json(body)?;
    let signed = match request.kind()? {
        kind @ (Kind::Put | Kind::Form | Kind::Create) => sign_new(&app, user, &request, &kind).await?,
        Kind::Part(id, number) => {
            let upload = request.upload(&user, &id)?;
            let url = app.objects.sign_part(&upload.key, &id, number).await?.url;
            Signed::new(url, &upload.key)
        }
        Kind::List(id) => {
            sign_existing(&app, request.upload(&user, &id)?, MultipartRequest::List(&id)).await?
        }
        Kind::Abort(id) => {
            let upload = request.upload(&user, &id)?;
            app.release(&upload.key, &user).await?;
            sign_existing(&app, upload, MultipartRequest::Abort(&id)).await?
        }
        Kind::Complete(id) => {
            let upload = request.upload(&user, &id)?;
            // The last check before the object exists. The thumbnail function checks again on its event.
            let size =
                upload.parts(&app).await?.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size));
            if size > app.config.max_upload_bytes {
                return Err(upload.abort_too_large(&app, &user).await?);
            }
            app.reserve(&upload.key, &user, size).await??;
            sign_existing(&app, upload, MultipartRequest::Complete(&id)).await?
        }
    };
    Ok(Json(signed))
}

/// Signs a request that manages an existing upload.
async fn sign_existing(app: &App, upload: Upload, request: MultipartRequest<'_>) -> Result<Signed, Problem> {
    Ok(Signed::new(app.objects.sign_multipart(&upload.key, request).await?, &upload.key))
}

/// Signs the first request of a new video, and adds its row.
async fn sign_new(app: &App, user: UserId, request: &SignRequest, kind: &Kind) -> Result<Signed, Problem> {
    let max = app.config.max_upload_bytes;
    let name = request.name()?;
    let declared = Declared::new(name, request.content_type.as_deref(), app.config.audio)?;
    let check = if *kind == Kind::Create { check_size } else { check_put_size };
    let size = request.size.map(|size| check(size, max)).transpose()?;
    let reserved = if *kind == Kind::Create { UNKNOWN_MULTIPART } else { max.min(MAX_PUT) };
    let new = NewVideo::new(user, name, &declared, size, reserved).described(request.given.clone(), app)?;
    let content_type = &declared.media_type;
    let headers = BTreeMap::from([("Content-Type", content_type.clone())]);
    let signed = match kind {
        Kind::Form => {
            let max = if app.config.quotas.is_off() { max.min(MAX_PUT) } else { new.reserved };
            let form = app.objects.sign_post(&new.key, content_type, max).await?;
            Signed { fields: form.fields, ..Signed::new(form.url, &new.key) }
        }
        Kind::Create => {
            let create = MultipartRequest::Create { content_type };
            let url = app.objects.sign_multipart(&new.key, create).await?;
            Signed { headers, ..Signed::new(url, &new.key) }
        }
        _ => {
            let url = app.objects.sign_put(&new.key, content_type, size).await?.url;
            Signed { headers, ..Signed::new(url, &new.key) }
        }
    };
    new.create(app).await?;
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use upreel_http::Code;

    use super::*;

    fn kind(request: Value) -> Result<Kind, Code> {
        serde_json::from_value::<SignRequest>(request).unwrap().kind().map_err(|problem| problem.code())
    }

    #[test]
    fn recognises_the_requests_of_uppy() {
        assert_eq!(kind(json!({"method": "PUT", "key": "k", "contentType": "video/mp4"})), Ok(Kind::Put));
        assert_eq!(kind(json!({"method": "PUT", "key": "k", "fields": true})), Ok(Kind::Form));
        assert_eq!(kind(json!({"method": "POST", "key": "k"})), Ok(Kind::Create));
        let existing = |method: &str| json!({"method": method, "key": "k", "uploadId": "u"});
        assert_eq!(kind(existing("POST")), Ok(Kind::Complete("u".into())));
        assert_eq!(kind(existing("GET")), Ok(Kind::List("u".into())));
        assert_eq!(kind(existing("DELETE")), Ok(Kind::Abort("u".into())));
        let part = json!({"method": "PUT", "key": "k", "uploadId": "u", "partNumber": 7});
        assert_eq!(kind(part), Ok(Kind::Part("u".into(), 7)));
    }

    #[test]
    fn rejects_other_requests() {
        for bad in [
            json!({"method": "GET", "key": "k"}),
            json!({"method": "HEAD", "key": "k"}),
            json!({"method": "put", "key": "k"}),
            json!({"method": "DELETE", "key": "k"}),
            json!({"method": "PUT", "key": "k", "uploadId": "u"}),
            json!({"method": "PUT", "key": "k", "partNumber": 1}),
            json!({"method": "PUT", "key": "k", "uploadId": "u", "partNumber": 0}),
            json!({"method": "POST", "key": "k", "uploadId": "u", "partNumber": 1}),
        ] {
            assert_eq!(kind(bad.clone()), Err(Code::InvalidRequest), "{bad}");
        }
    }

    #[test]
    fn extracts_the_file_name_from_an_uppy_key() {
        assert_eq!(without_prefix("0195d3b2-1c3b-7cc0-a6a4-3d6e7f8a9b0c-my clip.mp4"), "my clip.mp4");
        for other in ["clip.mp4", "0195d3b2-1c3b-7cc0-a6a4-3d6e7f8a9b0c.mp4", "ä".repeat(20).as_str()] {
            assert_eq!(without_prefix(other), other);
        }
    }
}
