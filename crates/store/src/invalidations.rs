//! The cache of the CDN (`CloudFront`), from which deleted videos are removed.
//!
//! This is the only request to the API of `CloudFront`, whose client in the SDK has more than a hundred operations. So the
//! request is written and signed here, and the SDK's runtime sends it like those of its clients.
//!
//! A repetition finds the invalidation with the same `CallerReference`, which `CloudFront` returns instead of creating,
//! and charging for, another one.

use std::convert::Infallible;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_types::sdk_config::SharedTimeSource;
use http::Request;
use tokio::time::timeout;
use upreel_core::Fault;
use upreel_core::key::Folder;

const OPERATION: &str = "cloudfront:CreateInvalidation";
/// The API has one endpoint for the whole world, which is in this region.
const ENDPOINT: &str = "https://cloudfront.amazonaws.com";
const FIPS_ENDPOINT: &str = "https://cloudfront-fips.amazonaws.com";
const REGION: &str = "us-east-1";
const API: &str = "2020-05-31";
const TIMEOUT: Duration = Duration::from_secs(5);
/// What `CloudFront` responds when it cannot take on more at present: at most 15 paths with a wildcard are in progress,
/// and requests are limited.
const BUSY: [&str; 2] = ["TooManyInvalidationsInProgress", "Throttling"];
/// Characters of an error response in the log.
const MAX_ERROR: usize = 500;

/// The cache of a distribution.
#[derive(Debug, Clone)]
pub struct Invalidations {
    http: Option<SharedHttpClient>,
    credentials: Option<SharedCredentialsProvider>,
    clock: SharedTimeSource,
    endpoint: String,
    distribution: String,
}

impl Invalidations {
    /// Creates a client for the distribution with the ID `distribution`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, distribution: &str) -> Self {
        let endpoint = if sdk.use_fips() == Some(true) { FIPS_ENDPOINT } else { ENDPOINT };
        Self {
            http: sdk.http_client(),
            credentials: sdk.credentials_provider(),
            clock: sdk.time_source().unwrap_or_default(),
            endpoint: sdk.endpoint_url().unwrap_or(endpoint).trim_end_matches('/').to_owned(),
            distribution: distribution.to_owned(),
        }
    }

    /// Removes folders from the cache. Returns `false` if `CloudFront` cannot take it on at present. Different folders
    /// need different references.
    ///
    /// # Errors
    /// Returns a fault if `CloudFront` fails.
    pub async fn create(&self, folders: &[Folder], reference: &str) -> Result<bool, Fault> {
        let request = self.request(&body(folders, reference)).await?;
        let http = self.http.clone().ok_or_else(|| Fault::message(OPERATION, "no HTTP client"))?;
        let operation = Operation::builder()
            .service_name("cloudfront")
            .operation_name("CreateInvalidation")
            .http_client(http)
            .endpoint_url(&self.endpoint)
            .time_source(self.clock.clone())
            .no_auth()
            .no_retry()
            .serializer(move |()| Ok(HttpRequest::try_from(request.clone().map(Into::into))?))
            .deserializer(|response: &HttpResponse| Ok::<_, OrchestratorError<Infallible>>(outcome(response)))
            .build();
        let sent = timeout(TIMEOUT, operation.invoke(())).await;
        let sent = sent.map_err(|error| Fault::new(OPERATION, &error))?;
        sent.map_err(|error| Fault::new(OPERATION, &error))?
    }

    /// Returns the signed request.
    async fn request(&self, body: &str) -> Result<Request<String>, Fault> {
        let credentials =
            self.credentials.as_ref().ok_or_else(|| Fault::message(OPERATION, "no credentials"))?;
        let credentials = credentials.provide_credentials().await.map_err(|e| Fault::new(OPERATION, &e))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("cloudfront")
            .time(self.clock.now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| Fault::new(OPERATION, &error))?
            .into();
        let url = format!("{}/{API}/distribution/{}/invalidation", self.endpoint, self.distribution);
        let content_type = ("content-type", "application/xml");
        let body_to_sign = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &url, std::iter::once(content_type), body_to_sign);
        let signable = signable.map_err(|error| Fault::new(OPERATION, &error))?;
        let signed = sign(signable, &params).map_err(|error| Fault::new(OPERATION, &error))?;
        let request = Request::post(&url).header(content_type.0, content_type.1).body(body.to_owned());
        let mut request = request.map_err(|error| Fault::new(OPERATION, &error))?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Returns the body of the request. Nothing in it needs escaping.
fn body(folders: &[Folder], reference: &str) -> String {
    let paths = folders.iter().flat_map(|folder| ["<Path>/", folder.prefix.as_str(), "*</Path>"]);
    let paths: String = paths.collect();
    format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/{API}/\">\
         <CallerReference>{reference}</CallerReference>\
         <Paths><Items>{paths}</Items><Quantity>{}</Quantity></Paths></InvalidationBatch>",
        folders.len()
    )
}

/// Returns what a response means.
fn outcome(response: &HttpResponse) -> Result<bool, Fault> {
    if response.status().is_success() {
        return Ok(true);
    }
    let text = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
    if BUSY.iter().any(|code| text.contains(&format!("<Code>{code}</Code>"))) {
        return Ok(false);
    }
    let text: String = text.chars().take(MAX_ERROR).collect();
    Err(Fault::message(OPERATION, format!("status {}: {text}", response.status().as_u16())))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_credential_types::Credentials;
    use axum::Router;
    use axum::extract::Request;
    use axum::http::{StatusCode, header};
    use tokio::net::TcpListener;
    use upreel_core::Key;

    use super::*;
    use crate::sdk::{Roots, defaults};

    const ID: &str = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e";

    /// Sends a request to a server that responds so. Returns the result, and the request: its path, the scope of its
    /// signature, and its body.
    async fn create(status: u16, response: &'static str) -> (Result<bool, String>, [String; 3]) {
        let seen = Arc::new(Mutex::new(<[String; 3]>::default()));
        let server = Router::new().fallback({
            let seen = seen.clone();
            async move |request: Request| {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let signature = head.headers[header::AUTHORIZATION].to_str().unwrap();
                let scope = signature.split('/').skip(2).take(3).collect::<Vec<_>>().join("/");
                let scope = scope.split(',').next().unwrap().to_owned();
                let path = format!("{} {}", head.method, head.uri.path());
                *seen.lock().unwrap() = [path, scope, String::from_utf8(body.to_vec()).unwrap()];
                (StatusCode::from_u16(status).unwrap(), response)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, server).await });
        let credentials = Credentials::for_tests();
        let sdk = defaults(&Roots::Known).credentials_provider(SharedCredentialsProvider::new(credentials));
        let invalidations = Invalidations::new(&sdk.endpoint_url(url).build(), "E1");
        let created = invalidations.create(&Key::served_folders(ID.parse().unwrap()), "reference").await;
        serving.abort();
        let request = seen.lock().unwrap().clone();
        (created.map_err(|fault| fault.to_string()), request)
    }

    #[tokio::test]
    async fn one_signed_request_names_all_folders() {
        let (created, [path, scope, body]) = create(201, "<Invalidation/>").await;
        assert_eq!(created, Ok(true));
        assert_eq!(path, "POST /2020-05-31/distribution/E1/invalidation");
        assert_eq!(scope, "us-east-1/cloudfront/aws4_request");
        let paths = ["hls", "playback", "segments"].map(|folder| format!("<Path>/{folder}/{ID}/*</Path>"));
        assert_eq!(
            body,
            format!(
                "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
                 <CallerReference>reference</CallerReference><Paths><Items>{}</Items><Quantity>3</Quantity></Paths>\
                 </InvalidationBatch>",
                paths.concat()
            )
        );
    }

    #[tokio::test]
    async fn a_busy_service_is_no_fault() {
        let busy =
            "<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>";
        assert_eq!(create(400, busy).await.0, Ok(false));
        let (denied, _) =
            create(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>").await;
        assert!(denied.unwrap_err().contains("status 403: <ErrorResponse><Error><Code>AccessDenied"));
    }
}
