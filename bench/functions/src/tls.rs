//! A certificate authority for the benchmark, and a certificate for `localhost`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64_simd::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use crate::BoxError;

/// Files with the root certificates for the functions: the benchmark's authority, and as many others as they read on
/// Lambda.
pub(crate) struct Trust {
    /// Only the authority.
    pub(crate) authority: PathBuf,
    /// The authority and the five roots that are in Upreel's binaries.
    pub(crate) amazon: PathBuf,
    /// The authority and all of Mozilla's roots, like the file of a system.
    pub(crate) mozilla: PathBuf,
}

pub(crate) fn make(folder: &Path) -> Result<(TlsAcceptor, Trust), BoxError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Upreel's benchmark");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &authority)?;
    let chain = vec![certificate.der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;

    let write = |name: &str, others: &[&CertificateDer<'_>]| -> Result<PathBuf, BoxError> {
        let path = folder.join(name);
        let pem: String = others.iter().copied().chain([authority.der()]).map(|root| pem(root)).collect();
        fs::write(&path, pem)?;
        Ok(path)
    };
    let all: Vec<_> = TLS_SERVER_ROOT_CERTS.iter().collect();
    let amazon: Vec<_> = all.iter().copied().filter(|root| is_amazon(root)).collect();
    if amazon.len() != 5 {
        return Err(format!("expected Amazon's five roots in Mozilla's list, found {}", amazon.len()).into());
    }
    let trust = Trust {
        authority: write("authority.pem", &[])?,
        amazon: write("amazon.pem", &amazon)?,
        mozilla: write("mozilla.pem", &all)?,
    };
    Ok((TlsAcceptor::from(Arc::new(config)), trust))
}

fn is_amazon(root: &[u8]) -> bool {
    let names: [&[u8]; 2] = [b"Amazon Root CA ", b"Starfield Services Root Certificate Authority"];
    names.iter().any(|name| root.windows(name.len()).any(|window| window == *name))
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode_to_string(certificate);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
