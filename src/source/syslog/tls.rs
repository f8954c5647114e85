//! TLS 1.2 and 1.3 for connections: certificate, key and client CA from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// The files that TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those between it and its CA.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
    /// CAs of the senders. With it, a sender must show a certificate of one of them; without, anybody may send.
    pub client_ca: Option<PathBuf>,
}

/// Which file is unusable, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read, or is not PEM.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not; shows nothing of the contents.
        error: String,
    },
    /// The file has nothing of what it should.
    #[error("{}: no {expected} in PEM is in it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        expected: &'static str,
    },
    /// A certificate in the file is not valid.
    #[error("{}: {error}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        error: String,
    },
    /// Certificate and key are each readable, but unusable together.
    #[error("{} with {}: {error}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls says: the key may be another certificate's.
        error: rustls::Error,
    },
}

impl Tls {
    /// Reads the files.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificates = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::Missing { path: self.key.clone(), expected: "private key" },
            error => TlsError::File { path: self.key.clone(), error: without_contents(&error) },
        })?;
        let pair = |error| TlsError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), error };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(pair)?;
        let builder = match &self.client_ca {
            Some(path) => {
                let invalid = |error: String| TlsError::Certificate { path: path.clone(), error };
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(path)? {
                    roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| invalid(error.to_string()))?)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(certificates, key).map_err(pair)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Every certificate in a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), error: without_contents(&error) };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::Missing { path: path.to_owned(), expected: "certificate" });
    }
    Ok(found)
}

/// What is wrong with PEM. The crate's own words may hold a line of the file, which may be of a key.
fn without_contents(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::MissingSectionEnd { .. } => "a section of PEM has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line begins no section of PEM, though it looks like it".to_owned(),
        pem::Error::Base64Decode(_) => "a section of PEM is not base64".to_owned(),
        pem::Error::SectionTooLarge => "a section of PEM is too large".to_owned(),
        _ => "the file is not PEM".to_owned(),
    }
}
