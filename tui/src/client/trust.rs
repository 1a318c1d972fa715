//! Whom to believe over TLS: the system's authorities, or those of one file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use backstay_engine::{Code, Error, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::Address;

/// How one engine proves who it is, and who its client is.
#[derive(Clone)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    shown: String,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.shown).finish()
    }
}

impl Trust {
    /// For that engine: vouched for by the authorities of `ca_file`, or else those of the system; shown
    /// the certificate in `client_cert`, which holds its key as well, if there is one.
    pub(crate) fn new(
        address: &Address,
        ca_file: Option<&Path>,
        client_cert: Option<&Path>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots
                        .add(certificate)
                        .map_err(|error| unusable(file, "is no authority").because(error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("No version of TLS is available").because(error))?
            .with_root_certificates(roots);
        let config = match client_cert {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let key = PrivateKeyDer::from_pem_file(file)
                    .map_err(|error| unusable(file, "holds no usable key").because(error))?;
                builder
                    .with_client_auth_cert(certificates(file)?, key)
                    .map_err(|error| unusable(file, "cannot be used").because(error))?
            }
        };
        let name = ServerName::try_from(address.host.clone()).map_err(|error| {
            Error::invalid(format!("\"{}\" is not the name of a host", address.host)).because(error)
        })?;
        Ok(Self {
            config: Arc::new(config),
            name,
            shown: address.authority(),
        })
    }

    /// Does the handshake.
    pub(super) async fn secure(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| {
                Error::new(
                    Code::EngineUnreachable,
                    format!(
                        "{} did not prove to be the engine that was meant",
                        self.shown
                    ),
                )
                .hint("--ca-file names the authority that signed its certificate")
                .because(error)
            })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(file, "could not be read").because(error))?;
    if found.is_empty() {
        return Err(unusable(file, "holds no certificate"));
    }
    Ok(found)
}

fn unusable(file: &Path, why: &str) -> Error {
    Error::invalid(format!("The file {} {why}", file.display()))
        .hint("--ca-file and --client-cert name PEM files")
}
