//! The multipart form (RFC 7578): one field `file`.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, header};
use multer::{Field, Multipart};
use upreel_core::config::MAX_API_BODY;
use upreel_core::{Code, Problem};

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
pub async fn read(headers: &HeaderMap, body: Body, limit: u64) -> Result<File, Problem> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        malformed("Send the video as multipart/form-data with a boundary, in the field `file`.")
    })?;
    let mut left = limit + MAX_OVERHEAD;
    // Checked while streaming: what is too large is not kept.
    let stream = body.into_data_stream().map(move |chunk| {
        let chunk = chunk.map_err(|_| Cut::Off)?;
        left = left.checked_sub(chunk.len() as u64).ok_or(Cut::TooLarge)?;
        Ok::<_, Cut>(chunk)
    });
    let mut form = Multipart::new(stream, boundary);
    let mut file = None;
    while let Some(field) = form.next_field().await.map_err(|error| problem(&error, limit))? {
        if field.name() != Some("file") {
            continue;
        }
        if file.is_some() {
            return Err(malformed("Send one video a request: there is more than one field `file`."));
        }
        let name = field.file_name().unwrap_or_default().to_owned();
        let bytes = collect(field).await.map_err(|error| problem(&error, limit))?;
        file = Some(File { name, bytes });
    }
    let file = file.ok_or_else(|| Problem::new(Code::MissingFile, "The form has no field `file`."))?;
    match file.bytes.len() as u64 {
        0 => Err(Problem::new(Code::EmptyFile, "The file is empty.")),
        size if size > limit => Err(too_large(limit)),
        _ => Ok(file),
    }
}

/// The field's bytes; without a copy when they came in one piece, as they do on Lambda.
async fn collect(mut field: Field<'_>) -> Result<Bytes, multer::Error> {
    let Some(first) = field.chunk().await? else { return Ok(Bytes::new()) };
    let Some(second) = field.chunk().await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    all.extend_from_slice(&second);
    while let Some(chunk) = field.chunk().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Why the stream ended early.
#[derive(Debug)]
enum Cut {
    Off,
    TooLarge,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "the body was cut off",
            Self::TooLarge => "the body is too large",
        })
    }
}

impl std::error::Error for Cut {}

fn problem(error: &multer::Error, limit: u64) -> Problem {
    match error {
        multer::Error::StreamReadFailed(cause) if matches!(cause.downcast_ref(), Some(Cut::TooLarge)) => {
            too_large(limit)
        }
        multer::Error::IncompleteStream
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::StreamReadFailed(_) => {
            malformed("The body ends before the form does: send it again.")
        }
        _ => malformed("The body is not the multipart form that its Content-Type announces."),
    }
}

fn malformed(detail: &str) -> Problem {
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
    use futures_util::stream;

    const TYPE: &str = "multipart/form-data; boundary=XyZ";

    async fn form(content_type: &str, body: &str, limit: u64) -> Result<File, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let whole = read(&headers, Body::from(body.to_owned()), limit).await;
        // A body in pieces means the same as one in one piece.
        let bytes: Vec<_> = body.bytes().map(|b| Ok::<_, std::io::Error>(vec![b])).collect();
        let bytes = stream::iter(bytes).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        });
        let pieces = read(&headers, Body::from_stream(bytes), limit).await;
        let (whole, pieces) = (whole.map_err(|p| p.code()), pieces.map_err(|p| p.code()));
        assert_eq!(whole.as_ref().map(|f| &f.bytes), pieces.as_ref().map(|f| &f.bytes));
        whole
    }

    fn part(disposition: &str, body: &str) -> String {
        format!("--XyZ\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    }

    #[tokio::test]
    async fn the_file_is_found_among_other_fields() {
        let body = part("name=\"title\"", "My holiday")
            + &part("name=\"file\"; filename=\"a.mp4\"", "by\r\n--XyZtes")
            + &part("name=\"b\"", "")
            + "--XyZ--\r\n";
        // The near-miss boundary inside the file is data only if nothing can mistake it.
        let body = body.replace("\r\n--XyZtes", "\r\n--Xytes");
        let file = form(TYPE, &body, 100).await.unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), ("a.mp4", &b"by\r\n--Xytes"[..]));
    }

    #[tokio::test]
    async fn what_is_no_such_form_has_its_code() {
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
            assert_eq!(form(content_type, &body, 10).await.err(), Some(code), "{content_type} {body:?}");
        }
        assert!(form(TYPE, &(file + end), 10).await.is_ok());
    }

    #[tokio::test]
    async fn a_large_body_is_refused_before_it_is_kept() {
        let body = part("name=\"other\"", &"x".repeat(100_000)) + "--XyZ--\r\n";
        assert_eq!(form(TYPE, &body, 10).await.err(), Some(Code::TooLarge));
    }
}
