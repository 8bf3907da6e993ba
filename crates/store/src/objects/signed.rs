//! Signed requests that the SDK does not sign (the form of a POST policy, and a multipart upload's own), or with more than
//! a key.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{Request, Uri};
use serde_json::json;

use super::{DOWNLOAD_URL_TTL, Missing, ObjectStore, UPLOAD_URL_TTL};
use upreel_core::Fault;
use upreel_core::Key;

/// How long the upload of a part may be begun. The bucket's policy takes no older signature, and Uppy
/// gives up a part that takes longer.
pub(super) const PART_URL_TTL: Duration = Duration::from_mins(15);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A form for a POST to the bucket. S3 takes nothing but what its policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The bucket's URL, ending in `/`.
    pub url: String,
    /// All of the form but the file, which comes last.
    pub fields: BTreeMap<&'static str, String>,
    /// For how long it may be used.
    pub expires_in: Duration,
}

/// A request about a multipart upload, for a client that talks to S3 itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultipartRequest<'a> {
    /// Begins one; the content type has to be sent.
    Create {
        /// As it is signed.
        content_type: &'a str,
    },
    /// Lists the parts of this one.
    List(&'a str),
    /// Makes the object.
    Complete(&'a str),
    /// Removes the parts.
    Abort(&'a str),
}

impl MultipartRequest<'_> {
    fn method(&self) -> &'static str {
        match self {
            Self::Create { .. } | Self::Complete(_) => "POST",
            Self::List(_) => "GET",
            Self::Abort(_) => "DELETE",
        }
    }

    fn query(&self) -> String {
        match self {
            Self::Create { .. } => "uploads=".to_owned(),
            // An identifier has letters, digits and `._-` only; the edge lets no other in.
            Self::List(upload) | Self::Complete(upload) | Self::Abort(upload) => format!("uploadId={upload}"),
        }
    }
}

impl ObjectStore {
    /// As [`ObjectStore::sign_get`], with the type and the disposition that S3 is to answer with: an object keeps the
    /// type that was declared, and knows no file name.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_get_as(
        &self,
        key: &Key,
        content_type: &str,
        disposition: &str,
    ) -> Result<String, Fault> {
        self.sign_get_for(key, DOWNLOAD_URL_TTL, Some((content_type, disposition))).await
    }

    /// Signs the form of one POST: this key, this type, and a file of 1 to `max` bytes.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_post(&self, key: &Key, content_type: &str, max: u64) -> Result<Form, Fault> {
        let expires_in = self.life(UPLOAD_URL_TTL).await?;
        let credentials = self.provided().await?;
        let bucket = self.bucket(key);
        let url = self.url(bucket, "key").await?;
        let url = url.strip_suffix("key").unwrap_or(&url).to_owned();
        let scope = Scope::new(&credentials, &self.region, SystemTime::now());
        let key = key.to_string();
        let fields = scope.form(&Policy { bucket, key: &key, content_type, max, life: expires_in });
        Ok(Form { url, fields, expires_in })
    }

    /// Signs a request about a multipart upload.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_multipart(&self, key: &Key, request: MultipartRequest<'_>) -> Result<String, Fault> {
        const OPERATION: &str = "presign a multipart request";
        let mut settings = SigningSettings::default();
        // S3 encodes a path once and keeps it as it is, unlike every other service.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.life(PART_URL_TTL).await?);
        let identity = self.provided().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|e| Fault::new(OPERATION, &e))?
            .into();
        let url = self.url(self.bucket(key), &key.to_string()).await?;
        let uri: Uri = format!("{url}?{}", request.query()).parse().map_err(|e| Fault::new(OPERATION, &e))?;
        let text = uri.to_string();
        let content_type = match request {
            MultipartRequest::Create { content_type } => Some(("content-type", content_type)),
            _ => None,
        };
        let body = SignableBody::UnsignedPayload;
        let signable = SignableRequest::new(request.method(), text.as_str(), content_type.into_iter(), body);
        let signable = signable.map_err(|e| Fault::new(OPERATION, &e))?;
        let signed = sign(signable, &params).map_err(|e| Fault::new(OPERATION, &e))?;
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }

    /// An object's URL without a signature, by the endpoint's own rules.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn location(&self, key: &Key) -> Result<String, Fault> {
        self.url(self.bucket(key), &key.to_string()).await
    }

    /// The bucket that a key is in.
    #[must_use]
    pub fn bucket_of(&self, key: &Key) -> &str {
        self.bucket(key)
    }

    /// What the SDK makes of bucket and key: it knows accelerated, regional and path-style addresses.
    async fn url(&self, bucket: &str, key: &str) -> Result<String, Fault> {
        let signing = PresigningConfig::expires_in(UPLOAD_URL_TTL).map_err(|e| Fault::new("presign", &e))?;
        let put = self.upload_signer.put_object().bucket(bucket).key(key);
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:PutObject", &e))?;
        Ok(signed.uri().split('?').next().unwrap_or_default().to_owned())
    }

    async fn provided(&self) -> Result<Credentials, Fault> {
        let provider = self.credentials.as_ref();
        let provider = provider.ok_or_else(|| Fault::new("credentials", &Missing("provider")))?;
        provider.provide_credentials().await.map_err(|e| Fault::new("credentials", &e))
    }
}

/// What a form may be used for.
struct Policy<'a> {
    bucket: &'a str,
    key: &'a str,
    content_type: &'a str,
    max: u64,
    life: Duration,
}

/// By whom, where and when something is signed.
struct Scope<'a> {
    credentials: &'a Credentials,
    region: &'a str,
    at: SystemTime,
}

impl<'a> Scope<'a> {
    fn new(credentials: &'a Credentials, region: &'a str, at: SystemTime) -> Self {
        Self { credentials, region, at }
    }

    fn form(&self, policy: &Policy<'_>) -> BTreeMap<&'static str, String> {
        let time = humantime::format_rfc3339_seconds(self.at).to_string().replace(['-', ':'], "");
        let day = time.split('T').next().unwrap_or_default();
        let (access_key, region) = (self.credentials.access_key_id(), self.region);
        // Every field of a form has to be in its policy, but the policy, its signature and the file.
        let mut fields = BTreeMap::from([
            ("bucket", policy.bucket.to_owned()),
            ("key", policy.key.to_owned()),
            ("Content-Type", policy.content_type.to_owned()),
            // 201 comes with the object's URL, which Uppy passes on.
            ("success_action_status", "201".to_owned()),
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", format!("{access_key}/{day}/{region}/s3/aws4_request")),
            ("X-Amz-Date", time.clone()),
        ]);
        if let Some(token) = self.credentials.session_token() {
            fields.insert("X-Amz-Security-Token", token.to_owned());
        }
        let mut conditions: Vec<_> = fields.iter().map(|(name, value)| json!({*name: value})).collect();
        conditions.push(json!(["content-length-range", 1, policy.max]));
        let expiration = humantime::format_rfc3339_millis(self.at + policy.life).to_string();
        let policy = json!({"expiration": expiration, "conditions": conditions}).to_string();
        let policy = base64_simd::STANDARD.encode_to_string(policy);
        fields.insert("X-Amz-Signature", self.signature(&policy));
        fields.insert("Policy", policy);
        fields
    }

    fn signature(&self, policy: &str) -> String {
        let secret = self.credentials.secret_access_key();
        let key = v4::generate_signing_key(secret, self.at, self.region, "s3");
        v4::calculate_signature(key, policy.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn credentials(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    fn scope(credentials: &Credentials) -> Scope<'_> {
        let at = humantime::parse_rfc3339("2015-12-29T00:00:00Z").unwrap();
        Scope { credentials, region: "us-east-1", at }
    }

    /// The example of the page that the module names.
    #[test]
    fn a_policy_is_signed_as_aws_does_it() {
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7\
            ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8i\
            XSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3Np\
            Z3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13\
            aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQi\
            fSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIk\
            eC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAx\
            NTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEy\
            NTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        let signature = scope(&credentials(None)).signature(policy);
        assert_eq!(signature, "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
    }

    #[test]
    fn the_policy_says_all_that_the_form_has() {
        let policy = Policy {
            bucket: "b",
            key: "videos/u/1.mp4",
            content_type: "video/mp4; codecs=\"avc1\"",
            max: 7,
            life: Duration::from_mins(5),
        };
        for token in [None, Some("tok/en==")] {
            let mut fields = scope(&credentials(token)).form(&policy);
            let text = base64_simd::STANDARD.decode_to_vec(fields.remove("Policy").unwrap()).unwrap();
            let said: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(said["expiration"], "2015-12-29T00:05:00.000Z");
            fields.remove("X-Amz-Signature").unwrap();
            assert_eq!(fields.get("X-Amz-Security-Token").map(String::as_str), token);
            assert_eq!(fields["X-Amz-Date"], "20151229T000000Z");
            assert_eq!(fields["X-Amz-Credential"], "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request");
            let mut expected: Vec<_> = fields.iter().map(|(name, value)| json!({*name: value})).collect();
            expected.push(json!(["content-length-range", 1, 7]));
            assert_eq!(said["conditions"], json!(expected), "each exactly, and nothing else");
        }
    }
}
