//! Certificates and keys from PEM files, for whoever speaks TLS: syslog sources as servers, pushes as clients.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    /// The system has no certificates of CAs.
    #[error("this system has no certificates of CAs: {0}")]
    NoRoots(String),
    /// rustls refuses to begin at all.
    #[error("TLS: {0}")]
    Setup(rustls::Error),
}

/// Every certificate in a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), error: without_contents(&error) };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::Missing { path: path.to_owned(), expected: "certificate" });
    }
    Ok(found)
}

/// Every certificate in a file, as CAs to trust.
pub(crate) fn authorities(path: &Path) -> Result<rustls::RootCertStore, TlsError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(path)? {
        let invalid = |error: rustls::Error| TlsError::Certificate { path: path.to_owned(), error: error.to_string() };
        roots.add(certificate).map_err(invalid)?;
    }
    Ok(roots)
}

/// The private key in a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::Missing { path: path.to_owned(), expected: "private key" },
        error => TlsError::File { path: path.to_owned(), error: without_contents(&error) },
    })
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
