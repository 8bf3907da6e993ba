//! The multipart form of `POST /upload`, with one field `file`, and what the user says about the video.

mod multipart;
mod part_header;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use upreel_core::limits::MAX_API_BODY;

use crate::details::Given;
use crate::problem::{Code, Problem};

pub use multipart::{Malformed, Multipart, Part};

/// The bytes allowed for boundaries, part headers, and other small fields.
const MAX_OVERHEAD: u64 = 64 * 1024;

/// The field `file`.
#[derive(Debug)]
pub struct File {
    /// The file name, as sent by the client.
    pub name: String,
    /// The content: 1 byte up to the limit.
    pub bytes: Bytes,
    /// What the user says about the video.
    pub given: Given,
}

/// Reads the field `file`. Parses the form to its end, to detect a truncated body.
///
/// # Errors
/// When the body is not a valid form, or the file is missing, empty, or has more bytes than `limit`.
pub fn read(headers: &HeaderMap, body: Bytes, limit: u64) -> Result<File, Problem> {
    if body.len() as u64 > limit + MAX_OVERHEAD {
        return Err(too_large(limit));
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let (mut file, mut given) = (None, Given::default());
    for part in Multipart::new(content_type, body).map_err(malformed)? {
        let part = part.map_err(malformed)?;
        if part.name.as_deref() != Some("file") {
            given.field(part.name.as_deref().unwrap_or_default(), &String::from_utf8_lossy(&part.value));
            continue;
        }
        let found =
            File { name: part.filename.unwrap_or_default(), bytes: part.value, given: Given::default() };
        if file.replace(found).is_some() {
            let detail = "Send one video for each request: this form has more than one field `file`.";
            return Err(Problem::new(Code::MalformedBody, detail));
        }
    }
    let file = file.ok_or_else(|| {
        Problem::new(Code::MissingFile, "The form has no field `file`. Send the video in this field.")
    })?;
    match file.bytes.len() as u64 {
        0 => Err(Problem::new(Code::EmptyFile, "The file is empty.")),
        size if size > limit => Err(too_large(limit)),
        _ => Ok(File { given, ..file }),
    }
}

fn malformed(error: Malformed) -> Problem {
    let detail = match error {
        Malformed::ContentType => {
            "Send the video as multipart/form-data with a boundary, in the field `file`."
        }
        Malformed::Truncated => "The body is truncated. Send it again.",
        Malformed::Headers => "The body is not the multipart form that its Content-Type announces.",
    };
    Problem::new(Code::MalformedBody, detail)
}

fn too_large(limit: u64) -> Problem {
    let detail = if limit < MAX_API_BODY {
        // The limit is that of the service, so no other way of uploading accepts more.
        format!("The video is too large. The limit is {limit} bytes.")
    } else {
        format!(
            "The video is too large for /upload, which accepts up to {limit} bytes. Request a URL from GET /presign, \
             and send the video there with PUT."
        )
    };
    Problem::new(Code::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XyZ";

    fn form(content_type: &str, body: &str, limit: u64) -> Result<File, Code> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        read(&headers, Bytes::copy_from_slice(body.as_bytes()), limit).map_err(|p| p.code())
    }

    fn part(disposition: &str, body: &str) -> String {
        format!("--XyZ\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    }

    #[test]
    fn finds_the_file_among_other_fields() {
        let body = part("name=\"title\"", "My holiday")
            + &part("name=\"file\"; filename=\"a.mp4\"", "by\r\n--XyZtes")
            + &part("name=\"b\"", "")
            + "--XyZ--\r\n";
        let file = form(TYPE, &body, 100).unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), ("a.mp4", &b"by\r\n--XyZtes"[..]));
    }

    #[test]
    fn rejects_invalid_forms_with_their_code() {
        let file = part("name=\"file\"; filename=\"a\"", "0123456789");
        let end = "--XyZ--\r\n";
        let cases = [
            ("application/json", "{}".to_owned(), Code::MalformedBody),
            ("multipart/form-data", String::new(), Code::MalformedBody),
            (TYPE, String::new(), Code::MalformedBody),
            (TYPE, "no boundary at all".to_owned(), Code::MalformedBody),
            (TYPE, part("name=\"other\"", "x") + end, Code::MissingFile),
            (TYPE, end.to_owned(), Code::MissingFile),
            (TYPE, part("name=\"file\"; filename=\"a\"", "") + end, Code::EmptyFile),
            (TYPE, file.clone(), Code::MalformedBody),
            (TYPE, file[..file.len() - 5].to_owned(), Code::MalformedBody),
            (TYPE, file.clone() + &file + end, Code::MalformedBody),
            (TYPE, part("name=\"file\"", "0123456789A") + end, Code::TooLarge),
        ];
        for (content_type, body, code) in cases {
            assert_eq!(form(content_type, &body, 10).err(), Some(code), "{content_type} {body:?}");
        }
        assert!(form(TYPE, &(file + end), 10).is_ok());
    }

    #[test]
    fn rejects_large_bodies_before_parsing() {
        let body = part("name=\"other\"", &"x".repeat(100_000)) + "--XyZ--\r\n";
        assert_eq!(form(TYPE, &body, 10).err(), Some(Code::TooLarge));
    }
}
