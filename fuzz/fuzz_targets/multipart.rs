//! The form of `POST /upload`: a line with the content type, then the body.
#![no_main]

use std::io;
use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use futures_executor::block_on;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use upreel_fuzz as _;
use upreel_upload::form;

/// Inputs are shorter than this and what a form may have beside the file.
const LIMIT: u64 = 1000;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (content_type, body) = input.split_at(end);
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else { return };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let whole = block_on(form::read(&headers, Body::from(body.clone()), LIMIT));

    // A body in pieces means the same as one in one piece.
    let pieces = block_on(form::read(&headers, in_pieces(body.clone()), LIMIT));
    let (whole, pieces) = match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => (whole, pieces),
        (whole, pieces) => {
            return assert_eq!(whole.err().map(|p| p.code()), pieces.err().map(|p| p.code()));
        }
    };
    assert_eq!((&whole.name, &whole.bytes), (&pieces.name, &pieces.bytes));
    assert!((1..=LIMIT).contains(&(whole.bytes.len() as u64)));
    assert!(body.windows(whole.bytes.len()).any(|part| part == whole.bytes), "not a part of the body");
});

/// A body that comes in pieces, between which there is nothing to be read.
fn in_pieces(mut body: Bytes) -> Body {
    let size = 1 + body.len() % 61;
    let mut ready = true;
    Body::from_stream(stream::poll_fn(move |context| {
        ready = !ready;
        if !ready {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = body.split_to(size.min(body.len()));
        Poll::Ready((!piece.is_empty()).then_some(Ok::<_, io::Error>(piece)))
    }))
}
