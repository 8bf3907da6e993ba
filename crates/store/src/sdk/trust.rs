//! The trusted root certificates: Amazon's, which are embedded in the binary, with a fallback to the system's.
//!
//! AWS's endpoints need five roots. Parsing the 140 of a system took two thirds of a function's init time. If a
//! certificate does not chain to the five (a proxy that inspects TLS, a region with another authority), the request is
//! sent again with the system's roots, and so are all later requests.

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

/// The trusted root certificates.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// Amazon's, with a fallback to the system's.
    #[default]
    Known,
    /// Only those of a PEM file.
    Bundle(Vec<u8>),
}

impl Roots {
    /// Reads the roots of `bundle`. Only these are trusted then, as with the AWS CLI. Without a bundle, returns
    /// [`Roots::Known`].
    ///
    /// # Errors
    /// When the file cannot be read, has no certificate, or has a malformed one.
    pub fn new(bundle: Option<&Path>) -> io::Result<Self> {
        let Some(bundle) = bundle else { return Ok(Self::Known) };
        let pem = fs::read(bundle)?;
        // Check the certificates here, because the connector panics on malformed ones.
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        if roots.is_empty() {
            Err(io::Error::other("the file has no certificate"))
        } else {
            Ok(Self::Bundle(pem))
        }
    }
}

pub(super) fn client(roots: &Roots) -> SharedHttpClient {
    match roots {
        Roots::Bundle(pem) => https(TrustStore::empty().with_pem_certificate(pem.as_slice())),
        Roots::Known => SharedHttpClient::new(Client(Arc::new(Clients {
            amazon: https(TrustStore::empty().with_pem_certificate(AMAZON)),
            system: https(TrustStore::default()),
            use_system: AtomicBool::new(false),
        }))),
    }
}

fn https(roots: TrustStore) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(error) => unreachable!("the trust store is not parsed here: {error}"),
    }
}

/// The HTTP client with the fallback. It also saves init time: the SDK's own client creates a connector, and so parses
/// the roots, for each S3 and DynamoDB client only to validate the settings.
#[derive(Debug)]
struct Client(Arc<Clients>);

#[derive(Debug)]
struct Clients {
    amazon: SharedHttpClient,
    /// Reads the system's roots on its first use.
    system: SharedHttpClient,
    /// Set once a certificate did not chain to Amazon's roots.
    use_system: AtomicBool,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        if self.0.use_system.load(Ordering::Relaxed) {
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
        // The handshake fails before anything of the request is sent, so it can be sent again. A request whose body
        // cannot be cloned is left to the SDK's next attempt.
        let copy = request.try_clone();
        let response = self.amazon.call(request);
        let (clients, settings, components) =
            (self.clients.clone(), self.settings.clone(), self.components.clone());
        HttpConnectorFuture::new(async move {
            let error = match response.await {
                Err(error) if is_unknown_issuer(&error) => error,
                response => return response,
            };
            if !clients.use_system.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "a certificate does not chain to Amazon's roots: using the system's from now on"
                );
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
        // `io::Error::source` returns the source of the inner error and skips the inner error itself.
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::process::{Command, Stdio};
    use std::sync::atomic::AtomicUsize;

    use aws_config::Region;
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use bytes::Bytes;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use sha2::{Digest, Sha256};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::sdk;

    /// The SHA-256 fingerprints published at <https://www.amazontrust.com/repository/>.
    const FINGERPRINTS: [(&str, &str); 5] = [
        ("Amazon Root CA 1", "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"),
        ("Amazon Root CA 2", "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4"),
        ("Amazon Root CA 3", "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4"),
        ("Amazon Root CA 4", "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092"),
        (
            "Starfield Services Root Certificate Authority - G2",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ),
    ];

    #[test]
    fn embedded_roots_are_amazons() {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(AMAZON.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(roots.len(), FINGERPRINTS.len());
        for (root, (name, fingerprint)) in roots.iter().zip(FINGERPRINTS) {
            assert_eq!(format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(root))), fingerprint, "{name}");
            assert!(root.windows(name.len()).any(|text| text == name.as_bytes()), "{name}");
            RootCertStore::empty().add(root.clone()).unwrap();
        }
    }

    /// A fake DynamoDB with an empty table, and a certificate of its own authority.
    struct Server {
        address: SocketAddr,
        /// The number of connections, and of those with a request.
        seen: Arc<[AtomicUsize; 2]>,
        /// The authority's certificate.
        authority: tempfile::NamedTempFile,
    }

    impl Server {
        async fn start() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut authority = CertificateParams::new(Vec::new()).unwrap();
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let root = authority.self_signed(&key).unwrap();
            let authority = Issuer::new(authority, key);
            let key = KeyPair::generate().unwrap();
            let own = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let own = own.signed_by(&key, &authority).unwrap();
            let config = rustls::ServerConfig::builder_with_provider(default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![own.into()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
                .unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), root.pem()).unwrap();

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::<[AtomicUsize; 2]>::default());
            let counts = seen.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    counts[0].fetch_add(1, Ordering::SeqCst);
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    // With TLS 1.3 the client rejects a certificate after the server's handshake has ended.
                    let mut request = [0; 4096];
                    if !matches!(stream.read(&mut request).await, Ok(1..)) {
                        continue;
                    }
                    counts[1].fetch_add(1, Ordering::SeqCst);
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n";
                    let response = format!("{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}");
                    stream.write_all(response.as_bytes()).await.unwrap();
                    let _ = stream.shutdown().await;
                }
            });
            Self { address, seen, authority: file }
        }

        fn seen(&self) -> [usize; 2] {
            [0, 1].map(|i| self.seen[i].load(Ordering::SeqCst))
        }
    }

    async fn scan(roots: &Roots, port: u16, times: usize) -> Result<(), String> {
        let credentials = Credentials::new("a", "b", None, None, "test");
        let sdk = sdk::defaults(roots)
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(format!("https://localhost:{port}"))
            .build();
        let client = aws_sdk_dynamodb::Client::new(&sdk);
        for _ in 0..times {
            let response = client.scan().table_name("t").send().await;
            response.map_err(|e| upreel_core::Fault::new("scan", &e).to_string())?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn unknown_authority_is_rejected() {
        let server = Server::start().await;
        let error = scan(&Roots::Known, server.address.port(), 1).await.unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
        let [connections, requests] = server.seen();
        assert!(connections >= 2, "retried with the system's roots");
        assert_eq!(requests, 0);
    }

    #[tokio::test]
    async fn only_the_bundle_is_trusted() {
        let (server, other) = (Server::start().await, Server::start().await);
        let roots = Roots::new(Some(server.authority.path())).unwrap();
        scan(&roots, server.address.port(), 1).await.unwrap();
        assert_eq!(server.seen(), [1, 1]);
        let error = scan(&roots, other.address.port(), 1).await.unwrap_err();
        assert!(error.contains("invalid peer certificate"), "{error}");
        assert_eq!(other.seen()[1], 0);
    }

    /// The system's roots are loaded once for a process, so this test starts another one.
    #[tokio::test]
    async fn system_authority_is_trusted() {
        let server = Server::start().await;
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sdk::trust::tests::another_process", "--ignored", "--nocapture"])
            .env("SSL_CERT_FILE", server.authority.path())
            .env("UPREEL_TEST_PORT", server.address.port().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(server.seen(), [3, 2], "only the first connection is rejected");
    }

    #[tokio::test]
    #[ignore = "runs in the process that `system_authority_is_trusted` starts"]
    async fn another_process() {
        #[expect(clippy::disallowed_methods, reason = "tells the child process of a test where to connect")]
        let port = std::env::var("UPREEL_TEST_PORT").unwrap().parse().unwrap();
        scan(&Roots::Known, port, 2).await.unwrap();
    }

    #[test]
    fn rejects_missing_and_malformed_bundles() {
        assert!(matches!(Roots::new(None), Ok(Roots::Known)));
        assert!(Roots::new(Some(Path::new("/does/not/exist"))).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        let broken = AMAZON.replace("MIIDQ", "AAAAA");
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &broken] {
            fs::write(file.path(), text).unwrap();
            assert!(Roots::new(Some(file.path())).is_err(), "{text}");
        }
        fs::write(file.path(), AMAZON).unwrap();
        assert!(matches!(Roots::new(Some(file.path())), Ok(Roots::Bundle(_))));
    }
}
