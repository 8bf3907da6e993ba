//! Parses the form of `POST /upload`. The input is a line with the content type, then the body.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use upreel_fuzz as _;
use upreel_http::form;
use upreel_http::form::{Malformed, Multipart, Part};

/// The limit for the file, in bytes. Inputs are short enough for the limit of the form's other bytes.
const LIMIT: u64 = 1000;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (content_type, body) = input.split_at(end);
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else { return };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.clone())]);
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());

    let parts = Multipart::new(content_type.as_bytes(), body.clone())
        .and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let file = form::read(&headers, body.clone(), LIMIT);
    match &parts {
        Err(_) => assert!(file.is_err()),
        Ok(parts) => check_order(parts, &body),
    }
    if let Ok(file) = file {
        assert!((1..=LIMIT).contains(&(file.bytes.len() as u64)));
        assert!(body.windows(file.bytes.len()).any(|part| part == file.bytes), "the file is not in the body");
    }
    compare_with_multer(&content_type, &body, parts);
});

/// Checks that the values are slices of the body, in order and without overlap.
fn check_order(parts: &[Part], body: &Bytes) {
    let mut from = body.as_ptr();
    for value in parts.iter().map(|part| &part.value).filter(|value| !value.is_empty()) {
        let slice = value.as_ptr_range();
        assert!(from <= slice.start && slice.end <= body.as_ptr_range().end, "a value is out of order");
        from = slice.end;
    }
}

/// Checks that multer parses the same values, for bodies that it parses to the end and that are unambiguous.
fn compare_with_multer(content_type: &HeaderValue, body: &Bytes, ours: Result<Vec<Part>, Malformed>) {
    let Ok(ours) = ours else { return };
    let Ok(text) = content_type.to_str() else { return };
    let Some(boundary) = text.strip_prefix("multipart/form-data; boundary=") else { return };
    let delimiters = memchr::memmem::find_iter(body, format!("--{boundary}").as_bytes()).count();
    // multer rejects parts without headers, and takes the delimiter after an empty line for the value.
    let is_plain = |part: &Part| part.name.is_some() && !part.value.is_empty();
    if delimiters != ours.len() + 1
        || !ours.iter().all(is_plain)
        || !boundary.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return;
    }
    let stream = stream::iter([Ok::<_, std::convert::Infallible>(body.clone())]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut theirs = Vec::new();
    // The whole body is in memory, so the future is always ready.
    while let Some(Ok(field)) = form.next_field().now_or_never() {
        let Some(field) = field else {
            return assert_eq!(ours.into_iter().map(|part| part.value).collect::<Vec<_>>(), theirs);
        };
        let Some(Ok(value)) = field.bytes().now_or_never() else { return };
        theirs.push(value);
    }
}
