//! Signed requests that the SDK cannot presign: the form of a POST policy, and the requests that manage a multipart
//! upload. Also downloads with response headers.
//!
//! POST policies: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

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
use upreel_core::{Fault, Key};

use super::{DOWNLOAD_URL_TTL, Missing, ObjectStore, UPLOAD_URL_TTL};

/// The lifetime of the presigned URL of a part. The bucket policy rejects older signatures, and Uppy aborts a part that
/// takes longer.
pub(super) const PART_URL_TTL: Duration = Duration::from_mins(15);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A form for a POST request to the bucket. S3 accepts only what its policy allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The bucket's URL, ending in `/`.
    pub url: String,
    /// The fields of the form. The file follows as the last field.
    pub fields: BTreeMap<&'static str, String>,
    /// The remaining lifetime of the form.
    pub expires_in: Duration,
}

/// A request that manages a multipart upload, for a client that calls S3 directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultipartRequest<'a> {
    /// Creates an upload. The client has to send the content type.
    Create {
        /// The signed content type.
        content_type: &'a str,
    },
    /// Lists the parts of the upload with this identifier.
    List(&'a str),
    /// Completes the upload.
    Complete(&'a str),
    /// Aborts the upload.
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
            // The identifier needs no escaping: the function has checked that it has only letters, digits and `._-`.
            Self::List(upload) | Self::Complete(upload) | Self::Abort(upload) => format!("uploadId={upload}"),
        }
    }
}

impl ObjectStore {
    /// Limits the lifetime of a signature to that of the credentials, with which it expires.
    pub(super) async fn url_ttl(&self, wanted: Duration) -> Result<Duration, Fault> {
        let Some(provider) = &self.credentials else { return Ok(wanted) };
        let credentials = provider.provide_credentials().await.map_err(|e| Fault::new("credentials", &e))?;
        let left = credentials.expiry().and_then(|at| at.duration_since(self.clock.now()).ok());
        Ok(left.map_or(wanted, |left| wanted.min(left)))
    }

    /// Like [`ObjectStore::sign_get`], with the content type and disposition of S3's response. The object itself has
    /// the type that was declared for the upload, and no file name.
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

    /// Signs the form of a POST request for this key, this content type, and a file of 1 to `max` bytes.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_post(&self, key: &Key, content_type: &str, max: u64) -> Result<Form, Fault> {
        let expires_in = self.url_ttl(UPLOAD_URL_TTL).await?;
        let credentials = self.credentials().await?;
        let bucket = self.bucket(key);
        let url = self.url(bucket, "key").await?;
        let url = url.strip_suffix("key").unwrap_or(&url).to_owned();
        let scope = Scope::new(&credentials, &self.region, self.clock.now());
        let key = key.to_string();
        let fields = scope.form(&Policy { bucket, key: &key, content_type, max, ttl: expires_in });
        Ok(Form { url, fields, expires_in })
    }

    /// Signs a request that manages a multipart upload.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_multipart(&self, key: &Key, request: MultipartRequest<'_>) -> Result<String, Fault> {
        const OPERATION: &str = "presign a multipart request";
        let mut settings = SigningSettings::default();
        // Unlike every other service, S3 encodes a path only once and does not normalise it.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.url_ttl(PART_URL_TTL).await?);
        let identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(self.clock.now())
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

    /// Returns the URL of an object without a signature.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn location(&self, key: &Key) -> Result<String, Fault> {
        self.url(self.bucket(key), &key.to_string()).await
    }

    /// Returns the URL that the SDK builds for a bucket and key, be it accelerated, regional or path-style.
    async fn url(&self, bucket: &str, key: &str) -> Result<String, Fault> {
        let signing = self.signing(UPLOAD_URL_TTL)?;
        let put = self.upload_signer.put_object().bucket(bucket).key(key);
        let signed = put.presigned(signing).await.map_err(|e| Fault::new("presign s3:PutObject", &e))?;
        Ok(signed.uri().split('?').next().unwrap_or_default().to_owned())
    }

    /// Returns the settings of a signature of the current time. The SDK's own default is the machine's time.
    pub(super) fn signing(&self, ttl: Duration) -> Result<PresigningConfig, Fault> {
        let config = PresigningConfig::builder().start_time(self.clock.now()).expires_in(ttl).build();
        config.map_err(|e| Fault::new("presign", &e))
    }

    async fn credentials(&self) -> Result<Credentials, Fault> {
        let provider = self.credentials.as_ref();
        let provider = provider.ok_or_else(|| Fault::new("credentials", &Missing("provider")))?;
        provider.provide_credentials().await.map_err(|e| Fault::new("credentials", &e))
    }
}

/// The parameters of a POST policy.
struct Policy<'a> {
    bucket: &'a str,
    key: &'a str,
    content_type: &'a str,
    max: u64,
    ttl: Duration,
}

/// The credentials, region and time of a signature.
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
        // S3 requires each field in the policy, except the policy itself, its signature and the file.
        let mut fields = BTreeMap::from([
            ("bucket", policy.bucket.to_owned()),
            ("key", policy.key.to_owned()),
            ("Content-Type", policy.content_type.to_owned()),
            // With 201 the response contains the object's URL, which Uppy passes on.
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
        let expiration = humantime::format_rfc3339_millis(self.at + policy.ttl).to_string();
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
    use serde_json::Value;

    use super::*;

    fn credentials(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    fn scope(credentials: &Credentials) -> Scope<'_> {
        let at = humantime::parse_rfc3339("2015-12-29T00:00:00Z").unwrap();
        Scope { credentials, region: "us-east-1", at }
    }

    /// The example of AWS's documentation, see the module.
    #[test]
    fn signature_matches_the_aws_example() {
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
    fn policy_has_a_condition_for_each_field() {
        let policy = Policy {
            bucket: "b",
            key: "videos/u/1.mp4",
            content_type: "video/mp4; codecs=\"avc1\"",
            max: 7,
            ttl: Duration::from_mins(5),
        };
        for token in [None, Some("tok/en==")] {
            let mut fields = scope(&credentials(token)).form(&policy);
            let text = base64_simd::STANDARD.decode_to_vec(fields.remove("Policy").unwrap()).unwrap();
            let signed: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(signed["expiration"], "2015-12-29T00:05:00.000Z");
            fields.remove("X-Amz-Signature").unwrap();
            assert_eq!(fields.get("X-Amz-Security-Token").map(String::as_str), token);
            assert_eq!(fields["X-Amz-Date"], "20151229T000000Z");
            assert_eq!(fields["X-Amz-Credential"], "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request");
            let mut expected: Vec<_> = fields.iter().map(|(name, value)| json!({*name: value})).collect();
            expected.push(json!(["content-length-range", 1, 7]));
            assert_eq!(signed["conditions"], json!(expected));
        }
    }
}
