//! Verifies Signature Version 4, in the `Authorization` header or in the query of a presigned URL.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};

use crate::BoxError;
use crate::run::{ACCESS_KEY, REGION, SECRET_KEY};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Verifies the signature in the `Authorization` header. `payload` is the hash of the body, or the placeholder for an
/// unsigned one.
pub(crate) fn check_header(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    payload: &str,
) -> Result<(), BoxError> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = get("authorization").strip_prefix(ALGORITHM).ok_or("no Signature Version 4")?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| format!("no {name} in the signature"))
    };
    let signed = field("SignedHeaders")?;
    for required in ["host", "x-amz-date"] {
        if !signed.split(';').any(|name| name == required) {
            return Err(format!("{required} is not signed").into());
        }
    }
    let canonical = Canonical { method, uri, query: uri.query().unwrap_or_default(), signed, payload };
    canonical.check(field("Credential")?, get("x-amz-date"), field("Signature")?, get)
}

/// Verifies a presigned URL, for a request with these headers.
pub(crate) fn check_url(method: &Method, url: &str, headers: &[(&str, &str)]) -> Result<(), BoxError> {
    let uri: Uri = url.parse()?;
    let query = uri.query().unwrap_or_default();
    let (query, signature) = query.rsplit_once("X-Amz-Signature=").ok_or("the URL is not signed")?;
    // Other parameters can follow the signature.
    let (signature, rest) = signature.split_once('&').unwrap_or((signature, ""));
    let query = format!("{query}{rest}");
    let field = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.map(decode).ok_or_else(|| format!("no {name} in the URL"))
    };
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let get = |name: &str| {
        let found = headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value);
        if name == "host" { host } else { found.unwrap_or_default() }
    };
    let (signed, credential) = (field("X-Amz-SignedHeaders")?, field("X-Amz-Credential")?);
    let query = query.trim_end_matches('&');
    let canonical = Canonical { method, uri: &uri, query, signed: &signed, payload: "UNSIGNED-PAYLOAD" };
    canonical.check(&credential, &field("X-Amz-Date")?, signature, get)
}

struct Canonical<'a> {
    method: &'a Method,
    uri: &'a Uri,
    query: &'a str,
    signed: &'a str,
    payload: &'a str,
}

impl Canonical<'_> {
    fn check<'h>(
        &self,
        credential: &str,
        date: &str,
        signature: &str,
        header: impl Fn(&str) -> &'h str,
    ) -> Result<(), BoxError> {
        let (key, scope) = credential.split_once('/').ok_or("no scope in the signature")?;
        let [day, region, service, end] = scope.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!("malformed scope: {scope}").into());
        };
        if key != ACCESS_KEY || region != REGION || end != "aws4_request" || !date.starts_with(day) {
            return Err(format!("wrong credential: {credential}").into());
        }
        let mut pairs: Vec<_> = self.query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        pairs.sort_by(|a, b| a.split_once('=').cmp(&b.split_once('=')));
        let headers: Vec<_> =
            self.signed.split(';').map(|name| format!("{name}:{}", header(name).trim())).collect();
        let request = [
            self.method.as_str(),
            self.uri.path(),
            &pairs.join("&"),
            &headers.join("\n"),
            "",
            self.signed,
            self.payload,
        ];
        let hash = hex::encode(Sha256::digest(request.join("\n")));
        let mut key = hmac(format!("AWS4{SECRET_KEY}").as_bytes(), day);
        for part in [region, service, end] {
            key = hmac(&key, part);
        }
        let expected = hex::encode(hmac(&key, &format!("{ALGORITHM}\n{date}\n{scope}\n{hash}")));
        if signature == expected {
            Ok(())
        } else {
            Err(format!("the signature does not match; canonical request:\n{}", request.join("\n")).into())
        }
    }
}

fn pair(pair: &str) -> String {
    if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC accepts keys of any length, so this never fails.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's own examples: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
    #[test]
    fn verifies_signed_requests() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let uri = Uri::from_static("https://examplebucket.s3.amazonaws.com/test.txt");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        check_header(&Method::GET, &uri, &headers, EMPTY).unwrap();
        assert!(check_header(&Method::PUT, &uri, &headers, EMPTY).is_err());
        headers.insert("range", "bytes=0-10".parse().unwrap());
        assert!(check_header(&Method::GET, &uri, &headers, EMPTY).is_err());
    }

    #[test]
    fn rejects_changed_presigned_urls() {
        let url = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        check_url(&Method::GET, url, &[]).unwrap();
        assert!(check_url(&Method::PUT, url, &[]).is_err());
        assert!(check_url(&Method::GET, &url.replace("/test", "/best"), &[]).is_err());
        assert!(check_url(&Method::GET, &url.replace("86400", "86401"), &[]).is_err());
    }
}
