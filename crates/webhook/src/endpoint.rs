//! The receiver of webhooks, and requests to it, signed in the same way as Mux's webhooks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, iter};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Uri, header};
use sha2::Sha256;
use tokio::time::timeout;
use upreel_core::Fault;
use upreel_store::Secret;

/// The header with the signature, with the name that existing verifiers expect.
pub const SIGNATURE: &str = "mux-signature";
/// Timeout of a delivery: name resolution, connection, request and response headers.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The receiver of webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    url: Uri,
    secret: Secret,
    connector: SharedHttpConnector,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why an endpoint is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// The URL is malformed, has another scheme, or has a user name.
    #[error("the webhook's URL must be an absolute {0} URL without a user name")]
    Url(&'static str),
    /// The secret is empty.
    #[error("the webhook's secret is empty")]
    Secret,
}

impl Endpoint {
    /// Creates an endpoint with TLS.
    ///
    /// # Errors
    /// When the URL is not `https`.
    pub fn new(url: &str, secret: Secret) -> Result<Self, Invalid> {
        Self::with_schemes(url, secret, "https", &["https"])
    }

    /// Creates an endpoint for the local backend, where TLS is optional.
    ///
    /// # Errors
    /// When the URL is neither `http` nor `https`, or the secret is empty.
    pub fn local(url: &str, secret: &str) -> Result<Self, Invalid> {
        if secret.is_empty() {
            return Err(Invalid::Secret);
        }
        Self::with_schemes(url, Secret::fixed(secret), "http or https", &["http", "https"])
    }

    /// Replaces the HTTP client. The simulation has no sockets.
    #[must_use]
    pub fn with_connector(self, connector: SharedHttpConnector) -> Self {
        Self { connector, ..self }
    }

    fn with_schemes(
        url: &str,
        secret: Secret,
        expected: &'static str,
        schemes: &[&str],
    ) -> Result<Self, Invalid> {
        let url: Uri = url.parse().map_err(|_| Invalid::Url(expected))?;
        let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if has_user || !url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) {
            return Err(Invalid::Url(expected));
        }
        // The SDK's HTTP client. It does not follow redirects, so only the configured receiver gets the events.
        let connector = Connector::builder()
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // Pooled connections would be dead after the sandbox was frozen.
            .pool_max_idle_per_host(0)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        Ok(Self { url, secret, connector: SharedHttpConnector::new(connector) })
    }

    /// Sends a body in one attempt. Does not read the body of the response.
    ///
    /// # Errors
    /// When the secret cannot be read, when there is no response within 10 seconds, or when its status is not 2xx.
    pub async fn post(&self, body: &str) -> Result<(), Fault> {
        let fault = |error: &(dyn std::error::Error + 'static)| Fault::new("deliver the webhook", error);
        let secrets = self.secret.all().await?;
        let failed = |text: String| Fault::message("deliver the webhook", text);
        // Each attempt has a new signature, because verifiers reject signatures older than five minutes.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = http::Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("Upreel/", env!("CARGO_PKG_VERSION")))
            .header(SIGNATURE, signature(&secrets, now, body))
            .body(SdkBody::from(body))
            .map_err(|error| fault(&error))?;
        let request = HttpRequest::try_from(request).map_err(|error| fault(&error))?;
        let response = timeout(TIMEOUT, self.connector.call(request)).await;
        let response = response.map_err(|_| failed(format!("no response within {} s", TIMEOUT.as_secs())))?;
        let status = response.map_err(|error| fault(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(failed(format!("status {}", status.as_u16()))) }
    }
}

/// Returns the signature of a body: `t=<seconds>`, and for each secret `,v1=<HMAC-SHA256 of "t.body">`. Verifiers
/// accept it if one of the codes is right, so that no webhook is lost while the receiver changes its secret.
fn signature(secrets: &[String], time: u64, body: &str) -> String {
    let codes = secrets.iter().filter_map(|secret| {
        // Cannot fail: HMAC accepts keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        let mac = mac.chain_update(time.to_string()).chain_update(".").chain_update(body);
        Some(format!(",v1={:x}", Bytes::copy_from_slice(&mac.finalize().into_bytes())))
    });
    iter::once(format!("t={time}")).chain(codes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_matches_python() {
        // hmac.new(b"whsec-test", b'1565220904.{"type":"video.asset.ready"}', "sha256").hexdigest()
        let sign = |secrets: &[&str]| {
            let secrets: Vec<_> = secrets.iter().map(|&secret| secret.to_owned()).collect();
            signature(&secrets, 1_565_220_904, r#"{"type":"video.asset.ready"}"#)
        };
        let code = "001c5262e1d579cc40c94d4c14f9e16f150db9d7ac2fc71536fe6e83371cfccb";
        assert_eq!(sign(&["whsec-test"]), format!("t=1565220904,v1={code}"));
        // While one secret replaces another, there is a code of each.
        let both = sign(&["new", "whsec-test"]);
        assert_eq!(both, format!("{},v1={code}", sign(&["new"])));
    }

    #[test]
    fn deployed_endpoints_require_https() {
        for bad in [
            "http://a.example/hook",
            "https://",
            "a.example",
            "/hook",
            "",
            "ftp://a.example",
            "https://u:p@a.example",
        ] {
            assert_eq!(Endpoint::new(bad, Secret::fixed("s")).err(), Some(Invalid::Url("https")), "{bad}");
        }
        assert!(Endpoint::new("https://a.example:8443/hook?a=b", Secret::fixed("s")).is_ok());
        assert!(Endpoint::local("http://127.0.0.1:8080", "s").is_ok());
        assert!(Endpoint::local("ftp://127.0.0.1", "s").is_err());
        assert_eq!(Endpoint::local("https://a.example", "").err(), Some(Invalid::Secret));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let endpoint = Endpoint::local("https://a.example", "very-secret");
        assert!(!format!("{endpoint:?}").contains("very-secret"));
    }
}
