//! Requests to a source: one connection each, to an address that was checked, with redirects that are checked like the first URL.
//!
//! The address is looked up once and the connection is made to the address that was checked, so that a name cannot resolve to
//! another one in between (DNS rebinding). A name with any address that is not public is refused.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use upreel_core::SourceUrl;
use upreel_core::fetch::{Refused, is_public};

use crate::source::{Error, Source};

const PORT: u16 = 443;
/// The number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Timeout of a connection with its handshake, to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Limits on sources.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The size of the parts in bytes, of which two are in memory. At least 5 MiB, as S3 demands.
    pub part: usize,
    /// How long a source may send nothing.
    pub idle: Duration,
    /// The delay after the first of several failures in a row. Each further delay is twice as long.
    pub back_off: Duration,
    /// The number of failures in a row after which the source counts as unavailable.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { part: 16 << 20, idle: Duration::from_secs(30), back_off: Duration::from_secs(1), failures: 6 }
    }
}

/// An HTTP client for sources. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    pub(crate) limits: Limits,
    /// The addresses of servers of tests, by their names.
    servers: Arc<HashMap<String, SocketAddr>>,
}

impl Client {
    /// Creates the client for the Internet: it trusts Mozilla's root certificates, and connects to public addresses only.
    #[must_use]
    pub fn public() -> Self {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
        Self::new(roots, Limits::default(), HashMap::new())
    }

    /// Creates a client for tests: it also trusts `root`, and connects to `servers` instead of looking up their names. All
    /// other names and addresses are treated as by [`Client::public`].
    #[must_use]
    pub fn with_servers(
        root: CertificateDer<'static>,
        limits: Limits,
        servers: HashMap<String, SocketAddr>,
    ) -> Self {
        Self::new([root], limits, servers)
    }

    fn new(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
        limits: Limits,
        servers: HashMap<String, SocketAddr>,
    ) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let tls = match builder.with_safe_default_protocol_versions() {
            Ok(builder) => builder.with_root_certificates(store).with_no_client_auth(),
            Err(error) => unreachable!("ring supports the default versions: {error}"),
        };
        Self { tls: Arc::new(tls), limits, servers: Arc::new(servers) }
    }

    /// Requests the source, or its bytes from an offset on if it still has this entity tag.
    pub(crate) async fn open(&self, url: &SourceUrl, from: Option<(u64, &str)>) -> Result<Source, Error> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let (response, connection) = self.request(&url, from).await?;
            if !is_redirect(response.status()) {
                return Source::new(response, connection, from.map(|(offset, _)| offset), self.limits.idle);
            }
            url = url.join(location(response.headers())?)?;
        }
        Err(Error::Unavailable("too many redirects".to_owned()))
    }

    async fn request(
        &self,
        url: &SourceUrl,
        from: Option<(u64, &str)>,
    ) -> Result<(http::Response<hyper::body::Incoming>, JoinSet<()>), Error> {
        let request = Request::get(url.target())
            .header(header::HOST, url.host())
            .header(header::USER_AGENT, concat!("Upreel/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            // A compressed body would have another size and other ranges.
            .header(header::ACCEPT_ENCODING, "identity");
        let request = match from {
            Some((offset, etag)) => {
                request.header(header::RANGE, format!("bytes={offset}-")).header(header::IF_RANGE, etag)
            }
            None => request,
        };
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| Error::Refused(Refused::Malformed))?;
        let stream = self.connect(url).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| Error::Broken(error.to_string()))?;
        // Ends with the response.
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(connection.await) });
        let response = timeout(self.limits.idle, sender.send_request(request)).await;
        let response = response.map_err(|_| Error::Broken("no response in time".to_owned()))?;
        let response = response.map_err(|error| Error::Broken(error.to_string()))?;
        Ok((response, tasks))
    }

    async fn connect(&self, url: &SourceUrl) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
        let name = url.address().map_or_else(
            || ServerName::try_from(url.host().to_owned()).map_err(|_| Error::Refused(Refused::Malformed)),
            |ip| Ok(ServerName::from(ip)),
        )?;
        let mut last = Error::Broken("the name has no address".to_owned());
        for address in self.resolve(url).await?.into_iter().take(MAX_ADDRESSES) {
            let connected = timeout(CONNECT_TIMEOUT, async {
                let stream = TcpStream::connect(address).await?;
                TlsConnector::from(self.tls.clone()).connect(name.clone(), stream).await
            });
            match connected.await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Error::Broken(error.to_string()),
                Err(_) => last = Error::Broken("no connection in time".to_owned()),
            }
        }
        Err(last)
    }

    /// Returns the addresses of the host, all of which are public.
    async fn resolve(&self, url: &SourceUrl) -> Result<Vec<SocketAddr>, Error> {
        if let Some(ip) = url.address() {
            // It was checked when the URL was parsed.
            return Ok(vec![SocketAddr::new(ip, PORT)]);
        }
        if let Some(server) = self.servers.get(url.host()) {
            return Ok(vec![*server]);
        }
        let found = timeout(CONNECT_TIMEOUT, lookup_host((url.host(), PORT))).await;
        let found = found.map_err(|_| Error::Broken("the name could not be resolved in time".to_owned()))?;
        let found: Vec<_> = found.map_err(|error| Error::Broken(error.to_string()))?.collect();
        if found.iter().all(|address| is_public(address.ip())) {
            Ok(found)
        } else {
            Err(Error::Refused(Refused::Address))
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(headers: &HeaderMap) -> Result<&str, Error> {
    let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    location.ok_or_else(|| Error::Unavailable("a redirect without a location".to_owned()))
}
