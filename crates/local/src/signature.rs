//! Signature Version 4 of AWS, in the `Authorization` header.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::ACCESS_KEY;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no signature, or it is incomplete.
    Unsigned,
    /// The access key ID is not that of the local backend.
    UnknownKey,
    /// The signature was made with another secret or for another request.
    Mismatch,
}

/// The contents of an `Authorization` header.
pub(crate) struct Authorization<'a> {
    credential: &'a str,
    /// The names of the signed headers, separated by semicolons.
    pub(crate) signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the `Authorization` header. Returns `None` if there is none, or one of its fields is missing.
    pub(crate) fn parse(headers: &'a HeaderMap) -> Option<Self> {
        let fields = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            credential: field("Credential")?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}

/// Returns the first `x-amz-` header that the signature does not cover. AWS refuses such a request, because with the
/// header, the holder of a signed request could change its meaning.
pub(crate) fn unsigned_header<'a>(headers: &'a HeaderMap, signed_headers: &str) -> Option<&'a str> {
    let mut names = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    names.find(|name| !signed_headers.split(';').any(|signed| signed == *name))
}

/// Verifies the signature of a request to `service`. Does not check the age of the signature: only programs on this
/// machine can read, and so repeat, its requests.
pub(crate) fn verify(request: &Parts, body: &[u8], service: &str, secret: &str) -> Result<(), Refusal> {
    let headers = &request.headers;
    let authorization = Authorization::parse(headers).ok_or(Refusal::Unsigned)?;
    let date = headers.get("x-amz-date").and_then(|date| date.to_str().ok()).ok_or(Refusal::Unsigned)?;
    let (key, scope) = authorization.credential.split_once('/').ok_or(Refusal::Unsigned)?;
    if key != ACCESS_KEY {
        return Err(Refusal::UnknownKey);
    }
    let [day, region, signed_service, end] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(Refusal::Unsigned);
    };
    let signed_headers = authorization.signed_headers;
    let is_complete = signed_headers.split(';').any(|name| name == "host")
        && unsigned_header(headers, signed_headers).is_none()
        && request.uri.query().is_none();
    if !is_complete || signed_service != service || end != "aws4_request" || !date.starts_with(day) {
        return Err(Refusal::Mismatch);
    }
    let canonical_headers: String = signed_headers.split(';').map(|name| canonical(headers, name)).collect();
    let canonical_request = [
        request.method.as_str(),
        request.uri.path(),
        "",
        &canonical_headers,
        signed_headers,
        &hex::encode(Sha256::digest(body)),
    ];
    let hash = hex::encode(Sha256::digest(canonical_request.join("\n")));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, end] {
        key = hmac(&key, part)?.finalize().into_bytes().to_vec();
    }
    let expected = hmac(&key, &format!("{ALGORITHM}\n{date}\n{scope}\n{hash}"))?;
    let signature = hex::decode(authorization.signature).map_err(|_| Refusal::Mismatch)?;
    expected.verify_slice(&signature).map_err(|_| Refusal::Mismatch)
}

/// Returns a line of the canonical headers: all values, without superfluous blanks.
fn canonical(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
}

fn hmac(key: &[u8], text: &str) -> Result<Hmac<Sha256>, Refusal> {
    // A key can have any length, so this never fails.
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Refusal::Mismatch)?;
    Ok(mac.chain_update(text))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const BODY: &[u8] = br#"{"TableName": "VideoMetadata"}"#;

    /// A request with the signature that botocore computes for it.
    fn signed() -> Parts {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20261127/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=c261028a9cf4db130ad9d7301bd013cf509ffb1260b90925c99593f9e676b730"
        );
        let request = Request::post("/")
            .header("host", "127.0.0.1:8000")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", "20261127T120000Z")
            .header("x-amz-target", "DynamoDB_20120810.DescribeTable")
            .header("authorization", authorization);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn accepts_only_the_signed_request() {
        let check = |request: &Parts, body: &[u8]| verify(request, body, "dynamodb", SECRET);
        assert_eq!(check(&signed(), BODY), Ok(()));
        assert_eq!(check(&signed(), b"{}"), Err(Refusal::Mismatch), "another body");
        assert_eq!(verify(&signed(), BODY, "dynamodb", "other"), Err(Refusal::Mismatch));
        assert_eq!(verify(&signed(), BODY, "s3", SECRET), Err(Refusal::Mismatch));
        let changed = |name: &'static str, value: &str| {
            let mut request = signed();
            request.headers.insert(name, value.parse().unwrap());
            check(&request, BODY)
        };
        for (name, value) in [
            ("x-amz-target", "DynamoDB_20120810.DeleteTable"),
            ("x-amz-date", "20261127T120001Z"),
            ("x-amz-date", "20261128T120000Z"),
            ("host", "127.0.0.1:8001"),
            ("x-amz-security-token", "not signed"),
        ] {
            assert_eq!(changed(name, value), Err(Refusal::Mismatch), "{name}: {value}");
        }
        assert_eq!(changed("content-type", "  application/x-amz-json-1.0 "), Ok(()), "blanks do not count");
        let mut query = signed();
        query.uri = "/?a=b".parse().unwrap();
        assert_eq!(check(&query, BODY), Err(Refusal::Mismatch));
        let text = signed().headers["authorization"].to_str().unwrap().to_owned();
        for (from, to, refusal) in [
            ("Credential=upreel/", "Credential=other/", Refusal::UnknownKey),
            ("Credential=", "Credentials=", Refusal::Unsigned),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", Refusal::Unsigned),
            ("host;", "", Refusal::Mismatch),
            ("x-amz-date;", "", Refusal::Mismatch),
            (";x-amz-target", "", Refusal::Mismatch),
            ("Signature=", "Signature=0", Refusal::Mismatch),
        ] {
            assert_eq!(changed("authorization", &text.replacen(from, to, 1)), Err(refusal), "{from}");
        }
        let mut unsigned = signed();
        unsigned.headers.remove("authorization");
        assert_eq!(check(&unsigned, BODY), Err(Refusal::Unsigned));
    }
}
