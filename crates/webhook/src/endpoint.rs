//! The receiver: one POST, signed as Mux signs its webhooks.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The header that existing verifiers look for.
pub const SIGNATURE: &str = "mux-signature";
/// For all of it: name, connection, request, status line.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    url: Uri,
    secret: String,
    connector: SharedHttpConnector,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why an endpoint cannot be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// It is no URL, or one of another kind.
    #[error("the webhook's URL must be an absolute {0} URL without a user name")]
    Url(&'static str),
    /// An empty secret is none.
    #[error("the webhook's secret is empty")]
    Secret,
}

impl Endpoint {
    /// An endpoint that is reached over TLS.
    ///
    /// # Errors
    /// When the URL is not `https`, or the secret is empty.
    pub fn new(url: &str, secret: &str) -> Result<Self, Invalid> {
        Self::with(url, secret, "https", &["https"])
    }

    /// An endpoint on one's own machine, which may do without TLS.
    ///
    /// # Errors
    /// When the URL is neither `http` nor `https`, or the secret is empty.
    pub fn local(url: &str, secret: &str) -> Result<Self, Invalid> {
        Self::with(url, secret, "http or https", &["http", "https"])
    }

    fn with(url: &str, secret: &str, kind: &'static str, schemes: &[&str]) -> Result<Self, Invalid> {
        let url: Uri = url.parse().map_err(|_| Invalid::Url(kind))?;
        let named = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if named || !url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) {
            return Err(Invalid::Url(kind));
        }
        if secret.is_empty() {
            return Err(Invalid::Secret);
        }
        // The SDK's own client and TLS. It follows no redirect, so an event goes where the operator said.
        let connector = Connector::builder()
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
            // A function that was frozen would wake up with dead connections.
            .pool_max_idle_per_host(0)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        Ok(Self { url, secret: secret.to_owned(), connector: SharedHttpConnector::new(connector) })
    }

    /// Sends one body, once. Only a 2xx is a success; what the answer holds besides is not read.
    ///
    /// # Errors
    /// When there was no answer in time, or another one.
    pub async fn post(&self, body: &str) -> Result<(), Fault> {
        let fault = |error: &(dyn std::error::Error + 'static)| Fault::new("deliver the webhook", error);
        let other = |text: String| Fault::message("deliver the webhook", text);
        // Signed anew at each attempt: a verifier refuses a signature that is five minutes old.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = http::Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("Upreel/", env!("CARGO_PKG_VERSION")))
            .header(SIGNATURE, signature(&self.secret, now, body))
            .body(SdkBody::from(body))
            .map_err(|error| fault(&error))?;
        let request = HttpRequest::try_from(request).map_err(|error| fault(&error))?;
        let answer = timeout(PATIENCE, self.connector.call(request)).await;
        let answer = answer.map_err(|_| other(format!("no answer within {} s", PATIENCE.as_secs())))?;
        let status = answer.map_err(|error| fault(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(other(format!("answered {}", status.as_u16()))) }
    }
}

/// `t=<seconds>,v1=<HMAC-SHA256 of "t.body">`.
fn signature(secret: &str, time: u64, body: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    let code =
        mac.chain_update(time.to_string()).chain_update(".").chain_update(body).finalize().into_bytes();
    format!("t={time},v1={:x}", Bytes::copy_from_slice(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_another_implementation() {
        // hmac.new(b"whsec-test", b'1565220904.{"type":"video.asset.ready"}', "sha256").hexdigest() of Python 3.11
        assert_eq!(
            signature("whsec-test", 1_565_220_904, r#"{"type":"video.asset.ready"}"#),
            "t=1565220904,v1=001c5262e1d579cc40c94d4c14f9e16f150db9d7ac2fc71536fe6e83371cfccb"
        );
    }

    #[test]
    fn only_https_is_deployed() {
        for bad in [
            "http://a.example/hook",
            "https://",
            "a.example",
            "/hook",
            "",
            "ftp://a.example",
            "https://u:p@a.example",
        ] {
            assert_eq!(Endpoint::new(bad, "s").err(), Some(Invalid::Url("https")), "{bad}");
        }
        assert!(Endpoint::new("https://a.example:8443/hook?a=b", "s").is_ok());
        assert!(Endpoint::local("http://127.0.0.1:8080", "s").is_ok());
        assert!(Endpoint::local("ftp://127.0.0.1", "s").is_err());
        assert_eq!(Endpoint::new("https://a.example", "").err(), Some(Invalid::Secret));
    }

    #[test]
    fn the_secret_is_in_no_log() {
        let endpoint = Endpoint::new("https://a.example", "very-secret");
        assert!(!format!("{endpoint:?}").contains("very-secret"));
    }
}
