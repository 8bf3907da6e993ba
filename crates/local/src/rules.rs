//! Refuses requests that S3 refuses and `s3s` accepts: with headers that the signature does not cover, or with a body
//! of unknown length. Also refuses keys that cannot be paths of files.

use async_trait::async_trait;
use axum::http::{HeaderMap, Method, Uri, header};
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

use crate::signature::{Authorization, unsigned_header};

/// The longest key, in bytes. `s3s-fs` stores the headers in a file whose name contains the bucket and the key in base64,
/// and file systems allow 255 bytes for a name.
const MAX_KEY: usize = 158;

pub(crate) struct Rules;

#[async_trait]
impl S3Access for Rules {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "The request is not signed"));
        }
        if let Some(name) =
            unsigned_header(request.headers(), &signed_headers(request.uri(), request.headers()))
        {
            let message = "There were headers present in the request which were not signed";
            return Err(s3_error!(AccessDenied, "{message}: {name}"));
        }
        let has = |name: &str| request.headers().contains_key(name);
        // A request with the content encoding `aws-chunked` states the length of the object in another header. A copy
        // has no body.
        let has_length = has(header::CONTENT_LENGTH.as_str())
            || has("x-amz-decoded-content-length")
            || has("x-amz-copy-source");
        if *request.method() == Method::PUT && !has_length {
            return Err(s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header."));
        }
        request.s3_path().get_object_key().map_or(Ok(()), check_key)
    }
}

/// Returns the names of the headers that the signature covers, separated by semicolons. A form signs no headers.
fn signed_headers(uri: &Uri, headers: &HeaderMap) -> String {
    let query = uri.query().unwrap_or_default();
    let presigned = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-SignedHeaders="));
    match presigned {
        Some(names) => names.replace("%3B", ";").replace("%3b", ";"),
        None => {
            Authorization::parse(headers).map_or_else(String::new, |found| found.signed_headers.to_owned())
        }
    }
}

/// Checks that the key can be the path of a file below its bucket's folder, and of no other key's file.
pub(crate) fn check_key(key: &str) -> S3Result<()> {
    let is_segment = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    if !key.split('/').all(is_segment) {
        return Err(s3_error!(
            InvalidArgument,
            "The local S3 stores an object as a file. Use a key without NUL, and without empty, `.` or `..` segments"
        ));
    }
    if key.len() > MAX_KEY { Err(s3_error!(KeyTooLongError)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use upreel_core::id::Choice;
    use upreel_core::{Key, Sequencer, Version, VideoId};
    use upreel_media::remux::segment_name;

    use super::*;

    #[test]
    fn keys_are_paths_of_files() {
        for key in ["a", "videos/u/1.mp4", "a/..b/c..", ".hidden", "ä b", &"x".repeat(MAX_KEY)] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in [
            "",
            "..",
            ".",
            "../x",
            "a/..",
            "a/../b",
            "a/./b",
            "/a",
            "a/",
            "a//b",
            "a\0b",
            &"x".repeat(MAX_KEY + 1),
        ] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn the_longest_keys_fit() {
        let name = |key: &str| {
            let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
            format!(".bucket-{}.object-{}.metadata.json", encode(crate::THUMBNAILS), encode(key))
        };
        assert!(name(&"x".repeat(MAX_KEY)).len() <= 255);
        let id = VideoId::new();
        // A multipart upload of 9,999 parts.
        let version = Version::new(Sequencer::lowest(), &format!("{:032}-9999", 0));
        let [_, poster] = Key::posters(id, &version, Some(Choice::random()));
        let segment = format!("source-audio-9/{}", segment_name(&(99_990_000..99_999_999)));
        let image = "images/99999999-10000-15-480.webp".to_owned();
        let made = [segment, image].map(|name| Key::Segment {
            id,
            version: version.clone(),
            name: name.parse().unwrap(),
        });
        for key in made.into_iter().chain([poster]) {
            assert!(check_key(&key.to_string()).is_ok(), "{key}");
        }
    }

    #[test]
    fn signed_headers_are_those_of_the_url_or_the_authorization() {
        let none = HeaderMap::new();
        let url = Uri::from_static("/b/k?a=b&X-Amz-SignedHeaders=content-type%3Bhost&c=d");
        assert_eq!(signed_headers(&url, &none), "content-type;host");
        assert_eq!(signed_headers(&Uri::from_static("/b/k"), &none), "");
        let value = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;x-amz-date, Signature=0";
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(signed_headers(&Uri::from_static("/b/k"), &headers), "host;x-amz-date");
    }
}
