//! TLS to database servers, by rustls and ring, with the meanings that libpq gave to `sslmode`.
//!
//! Database servers often show certificates that web browsers would refuse: self-signed ones marked
//! as authorities, ones of version 1 without any extension, ones that name the host only in their
//! subject. How strict to be is the user's choice, made with [`Verify`], and not a matter of form.

mod certificate;
mod verifier;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::certificate::Certificate;
use self::verifier::Verifier;
use super::Io;
use crate::error::{Code, Error, Result};

/// Files of certificates and keys beyond this size are something else.
const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is checked of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nothing: the traffic is encrypted to whoever answers.
    Nothing,
    /// It leads to a trusted root.
    Chain,
    /// It leads to a trusted root and names the host.
    Host,
}

/// How to do the handshake.
#[derive(Clone, Debug)]
pub(crate) struct TlsRequest {
    /// The name or address that was asked for.
    pub(crate) host: String,
    /// What is checked.
    pub(crate) verify: Verify,
    /// PEM file of trusted roots; the system's when absent.
    pub(crate) root_cert: Option<PathBuf>,
    /// PEM files of the client's certificate chain and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// A stream after the handshake.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<Box<dyn Io>>,
    /// The `tls-server-end-point` channel binding (RFC 5929), where the certificate defines one.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// Does the handshake on an open stream.
pub(crate) async fn handshake(request: &TlsRequest, io: Box<dyn Io>) -> Result<Secured> {
    let (config, name) = configure(request).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, io)
        .await
        .map_err(|error| failed(request, error))?;
    let end_point = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| Certificate::read(chain.first()?).ok()?.end_point());
    Ok(Secured { stream, end_point })
}

async fn configure(request: &TlsRequest) -> Result<(ClientConfig, ServerName<'static>)> {
    let (roots, own) = match (request.verify, &request.root_cert) {
        (Verify::Nothing, _) => (RootCertStore::empty(), Vec::new()),
        (_, Some(path)) => read_roots(path).await?,
        (_, None) => (system_roots().await?, Vec::new()),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Verifier::new(request.verify, request.host.clone(), roots, own, algorithms);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal("No version of TLS is available").because(e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &request.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = read_certificates(certificate).await?;
            let key = read_key(key).await?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                wrong_file("The client certificate and its key do not fit", certificate).because(e)
            })?
        }
    };
    config.resumption = Resumption::disabled();
    // A host that no certificate could name (`my host`) can still be encrypted to.
    let name = match ServerName::try_from(request.host.clone()) {
        Ok(name) => name,
        Err(_) if request.verify != Verify::Host => {
            config.enable_sni = false;
            ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
        }
        Err(error) => {
            return Err(Error::new(
                Code::ConnectionTls,
                format!(
                    "{:?} is not a name that a certificate can carry",
                    request.host
                ),
            )
            .hint("Use the server's DNS name, or sslmode=verify-ca")
            .because(error));
        }
    };
    Ok((config, name))
}

async fn read_file(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        wrong_file("A certificate or key file cannot be read", path).because(error)
    };
    let length = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if length > PEM_BYTES_MAX {
        return Err(wrong_file(
            "A certificate or key file is far too large",
            path,
        ));
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

async fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read_file(path).await?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong_file("A certificate file is not PEM", path).because(e.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong_file("A certificate file holds no certificate", path));
    }
    Ok(certificates)
}

async fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = read_file(path).await?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|e| {
        wrong_file("A key file holds no key that can be used", path)
            .hint("Give an unencrypted PEM key (PKCS#8, PKCS#1 or SEC1)")
            .because(e.to_string())
    })
}

/// The roots of a file, as anchors and as they are.
async fn read_roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let own = read_certificates(path).await?;
    let mut roots = RootCertStore::empty();
    for certificate in &own {
        roots
            .add(certificate.clone())
            .map_err(|e| wrong_file("A root certificate cannot be used", path).because(e))?;
    }
    Ok((roots, own))
}

pub(crate) async fn system_roots() -> Result<RootCertStore> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|e| Error::internal("Reading the system's roots was interrupted").because(e))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            Error::new(Code::ConnectionTls, "The system has no trusted roots")
                .hint("Name the server's authority with sslrootcert=FILE"),
        );
    }
    Ok(roots)
}

fn wrong_file(what: &str, path: &Path) -> Error {
    Error::new(Code::ConnectionTls, format!("{what}: {}", path.display()))
        .hint("Check the file named in the URL, as the account that the engine runs as")
}

fn failed(request: &TlsRequest, error: std::io::Error) -> Error {
    use rustls::CertificateError as Wrong;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let hint = match inner {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                "Use the host name that the certificate carries, or sslmode=verify-ca"
            }
            Wrong::Expired | Wrong::ExpiredContext { .. } => "Renew the server's certificate",
            Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "Check the clocks",
            _ => "Name the authority that signed the server's certificate with sslrootcert=FILE",
        },
        Some(rustls::Error::AlertReceived(_)) => {
            "Check the server's log; it may want a client certificate (sslcert, sslkey)"
        }
        _ => "Check the server's log and that it speaks TLS 1.2 or newer",
    };
    Error::new(
        Code::ConnectionTls,
        format!("No trusted TLS connection to {}", request.host),
    )
    .hint(hint)
    .because(error)
}
