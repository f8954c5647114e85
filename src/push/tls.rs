//! How a server is known to be the right one.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::tls::{TlsError, authorities, certificates, private_key};

/// TLS towards a server. Without any setting, the system's CAs say who is who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// A PEM file of CAs, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, in PEM files, for a server that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have, in place of the one in the address.
    pub server_name: Option<String>,
}

impl ServerTls {
    /// Reads the files.
    pub(super) fn connector(&self) -> Result<TlsConnector, TlsError> {
        let roots = match &self.ca {
            Some(path) => authorities(path)?,
            None => system()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let pair = |error| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), error };
                builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(pair)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The CAs that the system trusts, or the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems have certificates that nothing can be done with.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        return Err(TlsError::NoRoots(
            why.unwrap_or_else(|| "none was found; the package is ca-certificates".to_owned()),
        ));
    }
    Ok(roots)
}
