//! TLS 1.2 and 1.3 for connections: certificate, key and client CA from PEM files.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, ServerConfig};

pub use crate::tls::TlsError;
use crate::tls::{authorities, certificates, private_key};

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

impl Tls {
    /// Reads the files.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificates = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let pair = |error| TlsError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), error };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(pair)?;
        let builder = match &self.client_ca {
            Some(path) => {
                let invalid = |error: String| TlsError::Certificate { path: path.clone(), error };
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| invalid(error.to_string()))?)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(certificates, key).map_err(pair)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
