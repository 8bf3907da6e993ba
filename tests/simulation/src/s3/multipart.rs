//! Multipart uploads.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::{Call, Reply, S3, entity_tag, error, same_tag, xml};
use crate::http_api::respond;

/// S3's minimum size of all parts but the last, in bytes.
const MIN_PART: usize = 5 << 20;

/// A multipart upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    content_type: String,
    parts: BTreeMap<u16, (String, Bytes)>,
    /// The entity tag of the object, once completed.
    completed: Option<String>,
}

impl S3 {
    pub(super) fn create_upload(&mut self, call: &Call<'_>) -> Reply {
        self.writes += 1;
        let id = format!("upload-{}", self.writes);
        let content_type = call.header("content-type").unwrap_or("binary/octet-stream").to_owned();
        let upload = Upload {
            bucket: call.bucket.clone(),
            key: call.key.clone(),
            content_type,
            parts: BTreeMap::new(),
            completed: None,
        };
        self.uploads.insert(id.clone(), upload);
        let (bucket, key) = (&call.bucket, &call.key);
        respond(
            200,
            format!(
                "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
                 <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ),
        )
    }

    pub(super) fn upload_part(&mut self, call: &Call<'_>) -> Reply {
        let body = call.request.body().clone();
        let number = call.query.get("partNumber").and_then(|n| n.parse().ok());
        let (Some(number), Some(upload)) = (number, self.open_upload(call)) else { return no_such_upload() };
        let etag = entity_tag(&body);
        upload.parts.insert(number, (etag.clone(), body));
        let mut reply = respond(200, "");
        reply.headers_mut().insert("etag", etag.parse().unwrap());
        reply
    }

    pub(super) fn list_parts(&mut self, call: &Call<'_>) -> Reply {
        let Some(upload) = self.open_upload(call) else { return no_such_upload() };
        let parts = upload.parts.iter().map(|(number, (etag, body))| {
            let etag = etag.replace('"', "&quot;");
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>{}</Size></Part>",
                body.len()
            )
        });
        let parts: String = parts.collect();
        respond(200, format!("<ListPartsResult><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>"))
    }

    pub(super) fn list_uploads(&mut self, call: &Call<'_>) -> Reply {
        let mut open = String::new();
        for (id, upload) in &self.uploads {
            if upload.completed.is_none() && upload.bucket == call.bucket {
                let _ = write!(open, "<Upload><Key>{}</Key><UploadId>{id}</UploadId></Upload>", upload.key);
            }
        }
        let end = "</ListMultipartUploadsResult>";
        respond(200, format!("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{open}{end}"))
    }

    pub(super) fn complete_upload(&mut self, call: &Call<'_>) -> Reply {
        let remembers = self.remembers_completions;
        let id = call.query.get("uploadId").unwrap_or_default().to_owned();
        let Some(upload) = self.uploads.get_mut(&id).filter(|upload| upload.key == call.key) else {
            return no_such_upload();
        };
        if let Some(etag) = &upload.completed {
            return if remembers { completed(&call.key, etag) } else { no_such_upload() };
        }
        let text = String::from_utf8_lossy(call.request.body());
        let numbers =
            xml::texts(&text, "PartNumber").into_iter().map(|n| n.parse::<u16>().unwrap_or_default());
        let named: Vec<_> = numbers.zip(xml::texts(&text, "ETag")).collect();
        let mut body = BytesMut::new();
        for (i, (number, etag)) in named.iter().enumerate() {
            match upload.parts.get(number) {
                Some((stored, bytes)) if same_tag(stored, etag) => {
                    if i + 1 < named.len() && bytes.len() < MIN_PART {
                        return error(StatusCode::BAD_REQUEST, "EntityTooSmall");
                    }
                    body.extend_from_slice(bytes);
                }
                _ => return error(StatusCode::BAD_REQUEST, "InvalidPart"),
            }
        }
        if named.is_empty() {
            return error(StatusCode::BAD_REQUEST, "MalformedXML");
        }
        let content_type = upload.content_type.clone();
        let body = body.freeze();
        // The tag of a joined object ends in the number of its parts.
        let etag = format!("\"{}-{}\"", entity_tag(&body).trim_matches('"'), named.len());
        self.write(call.id(), content_type, etag.clone(), body, call.now);
        if let Some(upload) = self.uploads.get_mut(&id) {
            upload.completed = Some(etag.clone());
            upload.parts.clear();
        }
        completed(&call.key, &etag)
    }

    pub(super) fn abort_upload(&mut self, call: &Call<'_>) -> Reply {
        if self.open_upload(call).is_none() {
            return no_such_upload();
        }
        self.uploads.remove(call.query.get("uploadId").unwrap_or_default());
        respond(204, "")
    }

    /// The upload of a call, unless it is unknown or completed.
    fn open_upload(&mut self, call: &Call<'_>) -> Option<&mut Upload> {
        let upload = self.uploads.get_mut(call.query.get("uploadId")?)?;
        (upload.key == call.key && upload.completed.is_none()).then_some(upload)
    }
}

fn completed(key: &str, etag: &str) -> Reply {
    let etag = etag.replace('"', "&quot;");
    respond(
        200,
        format!(
            "<CompleteMultipartUploadResult><Key>{key}</Key><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
        ),
    )
}

fn no_such_upload() -> Reply {
    error(StatusCode::NOT_FOUND, "NoSuchUpload")
}
