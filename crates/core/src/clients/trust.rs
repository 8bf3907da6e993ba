//! Whom the clients trust: Amazon's roots, which are in the binary, and then the system's.
//!
//! AWS's endpoints need five roots. To parse a system's 140 took two thirds of a function's start. An endpoint
//! that the five do not vouch for (a proxy that inspects TLS, a region with another authority) is asked again
//! with the system's, and so is all that comes after.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, RootCertStore};

/// Amazon Root CA 1 to 4 and Starfield Services Root Certificate Authority - G2, see `build.rs`.
const AMAZON: &str = include_str!(concat!(env!("OUT_DIR"), "/amazon.pem"));

/// The roots to trust.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// Amazon's, and the system's for what is not under them.
    #[default]
    Known,
    /// Only those of a file (PEM).
    Bundle(Vec<u8>),
}

impl Roots {
    /// Those of `AWS_CA_BUNDLE` or `SSL_CERT_FILE` if one is set: then these and no others, as with AWS's CLI.
    ///
    /// # Errors
    /// When the file cannot be read, or has no certificate, or one that is none.
    pub fn new(bundle: Option<&Path>) -> io::Result<Self> {
        let Some(bundle) = bundle else { return Ok(Self::Known) };
        let pem = fs::read(bundle)?;
        // The connector would panic.
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        if roots.is_empty() { Err(io::Error::other("no certificate in it")) } else { Ok(Self::Bundle(pem)) }
    }
}

pub(super) fn client(roots: &Roots) -> SharedHttpClient {
    match roots {
        Roots::Bundle(pem) => https(TrustStore::empty().with_pem_certificate(pem.as_slice())),
        Roots::Known => SharedHttpClient::new(Client(Arc::new(Clients {
            amazon: https(TrustStore::empty().with_pem_certificate(AMAZON)),
            system: https(TrustStore::default()),
            refused: AtomicBool::new(false),
        }))),
    }
}

fn https(roots: TrustStore) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(error) => unreachable!("nothing is checked yet: {error}"),
    }
}

/// Also spares the start what the SDK's own client does there for each S3 and DynamoDB client: it makes a
/// connector, roots and all, only to see that it can.
#[derive(Debug)]
struct Client(Arc<Clients>);

#[derive(Debug)]
struct Clients {
    amazon: SharedHttpClient,
    /// Reads the system's roots when it is first used.
    system: SharedHttpClient,
    /// An endpoint was not under Amazon's roots.
    refused: AtomicBool,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        if self.0.refused.load(Ordering::Relaxed) {
            return self.0.system.http_connector(settings, components);
        }
        SharedHttpConnector::new(Connector {
            amazon: self.0.amazon.http_connector(settings, components),
            clients: self.0.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    amazon: SharedHttpConnector,
    clients: Arc<Clients>,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Nothing of it is sent to an endpoint that is refused. A body that cannot be copied waits for the
        // SDK's next attempt.
        let copy = request.try_clone();
        let answer = self.amazon.call(request);
        let (clients, settings, components) =
            (self.clients.clone(), self.settings.clone(), self.components.clone());
        HttpConnectorFuture::new(async move {
            let error = match answer.await {
                Err(error) if is_unknown_issuer(&error) => error,
                answer => return answer,
            };
            if !clients.refused.swap(true, Ordering::Relaxed) {
                tracing::warn!("an endpoint is not under Amazon's roots: the system's are used from now on");
            }
            let Some(request) = copy else { return Err(error) };
            clients.system.http_connector(&settings, &components).call(request).await
        })
    }
}

fn is_unknown_issuer(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) = error.downcast_ref()
        {
            return true;
        }
        // What is inside of an I/O error is not its source but that error's.
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}
