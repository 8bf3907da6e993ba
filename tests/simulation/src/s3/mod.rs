//! S3 in memory: the operations, conditions, statuses and error documents that the functions and the clients use.
//!
//! Every request is executed at one point in time, as S3 is strongly consistent. The entity tag depends on the content
//! only, so equal content has an equal tag. `multipart` has the multipart uploads, `xml` the documents.

mod multipart;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use upreel_core::Checks;
use upreel_core::check::{CLEAN, SCAN_TAG};

use crate::content;
use crate::http_api::{Query, respond};
use crate::signature;

/// The bucket of the uploads, the only one with event notifications.
pub(crate) const UPLOADS: &str = "uploads";
/// The bucket of the previews.
pub(crate) const THUMBNAILS: &str = "thumbnails";
/// The bucket of the renditions.
pub(crate) const PROCESSED: &str = "processed";
/// The most keys of one page of a list. S3 has 1,000; a small page makes the callers ask for the next one.
const PAGE: usize = 5;

/// How far in the future a presigned request may be signed.
const MAX_LEAD: Duration = Duration::from_mins(15);

/// A stored object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) body: Bytes,
    /// In quotes.
    pub(crate) etag: String,
    /// The tag of the scanner.
    pub(crate) scan_tag: Option<&'static str>,
    content_type: String,
    modified: SystemTime,
}

/// A notification of a written object.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    pub(crate) key: String,
    pub(crate) size: usize,
    pub(crate) etag: String,
    pub(crate) sequencer: String,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct S3 {
    /// The objects by bucket and key.
    pub(crate) objects: BTreeMap<(String, String), Object>,
    uploads: BTreeMap<String, multipart::Upload>,
    writes: u64,
    /// The numbers of all contents that were uploaded, by their entity tag without quotes.
    pub(crate) contents: BTreeMap<String, u64>,
    /// The checks of uploads, and the entity tags that they have found clean.
    pub(crate) checks: Checks,
    pub(crate) scanned: BTreeSet<String>,
    pub(crate) approved: BTreeSet<String>,
    /// The entity tags that the functions have tried to read too early.
    pub(crate) read_unchecked: BTreeSet<String>,
    /// Notifications that the world has not taken yet.
    pub(crate) notifications: Vec<Notification>,
    /// Whether a repeated completion of a multipart upload succeeds. S3 remembers completions for a short time only.
    pub(crate) remembers_completions: bool,
}

/// A request, taken apart.
struct Call<'a> {
    bucket: String,
    key: String,
    query: Query,
    request: &'a Request<Bytes>,
    now: SystemTime,
}

impl Call<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    fn id(&self) -> (String, String) {
        (self.bucket.clone(), self.key.clone())
    }
}

type Reply = Response<Bytes>;

impl S3 {
    /// Executes a request.
    pub(crate) fn handle(&mut self, request: &Request<Bytes>, now: SystemTime) -> Reply {
        let host = request.uri().host().unwrap_or_default();
        let path = percent_encoding::percent_decode_str(request.uri().path().trim_start_matches('/'));
        let call = Call {
            bucket: host.split('.').next().unwrap_or_default().to_owned(),
            key: path.decode_utf8_lossy().into_owned(),
            query: Query::new(request.uri().query().unwrap_or_default()),
            request,
            now,
        };
        let begun = call.header("x-begun").and_then(|begun| begun.parse().ok()).map(Duration::from_millis);
        let begun = begun.map_or(now, |begun| SystemTime::UNIX_EPOCH + begun);
        if signature::validity(&call.query)
            .is_some_and(|(signed, expires)| expires < begun || signed > now + MAX_LEAD)
        {
            return error(StatusCode::FORBIDDEN, "AccessDenied");
        }
        let has = |name| call.query.get(name).is_some();
        match *request.method() {
            Method::PUT if has("uploadId") => self.upload_part(&call),
            Method::PUT => self.put(&call),
            Method::POST if has("uploads") => self.create_upload(&call),
            Method::POST if has("uploadId") => self.complete_upload(&call),
            Method::POST if has("delete") => self.delete_objects(&call),
            Method::POST if call.header("x-form-key").is_some() => self.put_form(&call),
            Method::GET if has("uploadId") => self.list_parts(&call),
            Method::GET if has("uploads") => self.list_uploads(&call),
            Method::GET if has("list-type") => self.list(&call),
            Method::GET if has("tagging") => self.tags(&call),
            Method::GET => self.get(&call),
            Method::HEAD => self.get(&call).map(|_| Bytes::new()),
            Method::DELETE if has("uploadId") => self.abort_upload(&call),
            Method::DELETE => {
                self.objects.remove(&call.id());
                respond(204, "")
            }
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    /// Stores the file of a form. Its policy and encoding are left out: the key is in a header.
    fn put_form(&mut self, call: &Call<'_>) -> Reply {
        let key = call.header("x-form-key").unwrap_or_default().to_owned();
        let content_type = call.header("content-type").unwrap_or_default().to_owned();
        let body = call.request.body().clone();
        self.write((call.bucket.clone(), key), content_type, entity_tag(&body), body, call.now);
        respond(204, "")
    }

    fn put(&mut self, call: &Call<'_>) -> Reply {
        let existing = self.objects.get(&call.id());
        if call.header("if-none-match").is_some() && existing.is_some() {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        if let Some(wanted) = call.header("if-match") {
            match existing {
                None => return error(StatusCode::NOT_FOUND, "NoSuchKey"),
                Some(object) if !same_tag(&object.etag, wanted) => {
                    return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
                }
                Some(_) => {}
            }
        }
        let content_type = call.header("content-type").unwrap_or("binary/octet-stream").to_owned();
        let body = call.request.body().clone();
        let etag = entity_tag(&body);
        self.write(call.id(), content_type, etag.clone(), body, call.now);
        let mut reply = respond(200, "");
        reply.headers_mut().insert("etag", etag.parse().unwrap());
        reply
    }

    /// Writes an object and its notification.
    fn write(
        &mut self,
        id: (String, String),
        content_type: String,
        etag: String,
        body: Bytes,
        now: SystemTime,
    ) {
        self.writes += 1;
        if id.0 == UPLOADS {
            if let Some(number) = content::number(&body) {
                self.contents.insert(etag.trim_matches('"').to_owned(), number);
            }
            self.notifications.push(Notification {
                key: id.1.clone(),
                size: body.len(),
                etag: etag.trim_matches('"').to_owned(),
                sequencer: format!("{:016X}", 0x0066_0000_0000_0000 + self.writes),
            });
        }
        self.objects.insert(id, Object { body, etag, scan_tag: None, content_type, modified: now });
    }

    /// Whether an object with this entity tag has passed all checks.
    pub(crate) fn is_cleared(&self, etag: &str) -> bool {
        let etag = etag.trim_matches('"');
        (!self.checks.scan || self.scanned.contains(etag))
            && (!self.checks.moderation || self.approved.contains(etag))
    }

    fn tags(&self, call: &Call<'_>) -> Reply {
        let Some(object) = self.objects.get(&call.id()) else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        respond(200, xml::tags(object.scan_tag.map(|value| (SCAN_TAG, value))))
    }

    fn get(&mut self, call: &Call<'_>) -> Reply {
        if call.bucket == UPLOADS && self.checks.any() {
            // The functions read what they have been told to, whatever is there now.
            if let Some(etag) = call.header("if-match").filter(|etag| !self.is_cleared(etag)) {
                self.read_unchecked.insert(etag.to_owned());
            }
            let object = self.objects.get(&call.id());
            // The policy of the bucket, which cannot know the verdict of a moderator.
            if self.checks.scan && object.is_some_and(|object| object.scan_tag != Some(CLEAN)) {
                return error(StatusCode::FORBIDDEN, "AccessDenied");
            }
        }
        let Some(object) = self.objects.get(&call.id()) else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        if call.header("if-match").is_some_and(|wanted| !same_tag(&object.etag, wanted)) {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let size = object.body.len();
        let (status, body) = match call.header("range").and_then(range) {
            None => (200, object.body.clone()),
            Some((start, _)) if start >= size => {
                return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
            }
            Some((start, last)) => (206, object.body.slice(start..=last.min(size - 1))),
        };
        let modified = DateTime::from(object.modified).fmt(Format::HttpDate).unwrap();
        let mut reply = respond(status, body.clone());
        let headers = reply.headers_mut();
        headers.insert("etag", object.etag.parse().unwrap());
        headers.insert("content-length", body.len().into());
        headers.insert("content-type", object.content_type.parse().unwrap());
        headers.insert("last-modified", modified.parse().unwrap());
        reply
    }

    fn delete_objects(&mut self, call: &Call<'_>) -> Reply {
        let text = String::from_utf8_lossy(call.request.body());
        for key in xml::texts(&text, "Key") {
            self.objects.remove(&(call.bucket.clone(), key));
        }
        respond(200, "<DeleteResult></DeleteResult>")
    }

    fn list(&self, call: &Call<'_>) -> Reply {
        let prefix = call.query.get("prefix").unwrap_or_default();
        let after =
            call.query.get("continuation-token").or(call.query.get("start-after")).unwrap_or_default();
        let limit =
            call.query.get("max-keys").and_then(|n| n.parse().ok()).map_or(PAGE, |n: usize| n.min(PAGE));
        let found = self.objects.iter().filter(|((bucket, key), _)| {
            *bucket == call.bucket && key.starts_with(prefix) && key.as_str() > after
        });
        let mut found: Vec<_> = found.take(limit + 1).collect();
        let truncated = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| truncated).map(|((_, key), _)| key.clone());
        respond(200, xml::list(&found, next.as_deref()))
    }

    /// The content of an object.
    pub(crate) fn body(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.objects.get(&(bucket.to_owned(), key.to_owned())).map(|object| object.body.clone())
    }
}

/// Returns an error document of S3.
pub(crate) fn error(status: StatusCode, code: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    respond(status.as_u16(), text)
}

/// The entity tag of a content. It hashes the ends only: contents differ there, and parts of 5 MiB would take long.
fn entity_tag(body: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    body.len().hash(&mut hasher);
    body[..body.len().min(256)].hash(&mut hasher);
    body[body.len().saturating_sub(256)..].hash(&mut hasher);
    format!("\"{:032x}\"", hasher.finish())
}

fn same_tag(a: &str, b: &str) -> bool {
    a.trim_matches('"') == b.trim_matches('"')
}

fn range(header: &str) -> Option<(usize, usize)> {
    let (start, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, last.parse().unwrap_or(usize::MAX)))
}
