//! The form of `POST /upload`: one field `file`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use upreel_core::limits::MAX_API_BODY;

use crate::problem::{Code, Problem};

mod multipart;
mod part_header;

pub use multipart::{Malformed, Multipart, Part};

/// Boundaries, part headers, and other small fields.
const MAX_OVERHEAD: u64 = 64 * 1024;

/// The field `file`.
#[derive(Debug)]
pub struct File {
    /// As the client wrote it.
    pub name: String,
    /// From 1 to the limit.
    pub bytes: Bytes,
}

/// Reads the form to its end, so that a body which was cut off is noticed.
///
/// # Errors
/// When it is no such form, or the file is missing, empty, or has more bytes than `limit`.
pub fn read(headers: &HeaderMap, body: Bytes, limit: u64) -> Result<File, Problem> {
    if body.len() as u64 > limit + MAX_OVERHEAD {
        return Err(too_large(limit));
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut file = None;
    for part in Multipart::new(content_type, body).map_err(malformed)? {
        let part = part.map_err(malformed)?;
        if part.name.as_deref() != Some("file") {
            continue;
        }
        let found = File { name: part.filename.unwrap_or_default(), bytes: part.value };
        if file.replace(found).is_some() {
            let detail = "Send one video a request: there is more than one field `file`.";
            return Err(Problem::new(Code::MalformedBody, detail));
        }
    }
    let file = file.ok_or_else(|| Problem::new(Code::MissingFile, "The form has no field `file`."))?;
    match file.bytes.len() as u64 {
        0 => Err(Problem::new(Code::EmptyFile, "The file is empty.")),
        size if size > limit => Err(too_large(limit)),
        _ => Ok(file),
    }
}

fn malformed(why: Malformed) -> Problem {
    let detail = match why {
        Malformed::ContentType => {
            "Send the video as multipart/form-data with a boundary, in the field `file`."
        }
        Malformed::Truncated => "The body ends before the form does: send it again.",
        Malformed::Headers => "The body is not the multipart form that its Content-Type announces.",
    };
    Problem::new(Code::MalformedBody, detail)
}

fn too_large(limit: u64) -> Problem {
    let detail = if limit < MAX_API_BODY {
        // No other way takes more.
        format!("A video has at most {limit} bytes here.")
    } else {
        format!(
            "A video sent to /upload has at most {limit} bytes. Ask GET /presign for a URL and PUT a larger one there."
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
    fn the_file_is_found_among_other_fields() {
        let body = part("name=\"title\"", "My holiday")
            + &part("name=\"file\"; filename=\"a.mp4\"", "by\r\n--XyZtes")
            + &part("name=\"b\"", "")
            + "--XyZ--\r\n";
        let file = form(TYPE, &body, 100).unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), ("a.mp4", &b"by\r\n--XyZtes"[..]));
    }

    #[test]
    fn what_is_no_such_form_has_its_code() {
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
    fn a_large_body_is_refused_before_it_is_kept() {
        let body = part("name=\"other\"", &"x".repeat(100_000)) + "--XyZ--\r\n";
        assert_eq!(form(TYPE, &body, 10).err(), Some(Code::TooLarge));
    }
}
