//! Where the API is served besides the Unix socket, and what clients may take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Code, Error, Result};

/// Listeners beyond the Unix socket, and the limits of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// TCP addresses.
    pub addresses: Vec<SocketAddr>,
    /// PEM file of the server's certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates are required.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether HTTP without TLS may leave this machine.
    pub plain_http: bool,
    /// Connections one listener serves at once.
    pub max_clients: usize,
    /// How long a client may take for its part; zero for ever.
    pub client_timeout: Duration,
}

/// The files TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the server's certificate chain.
    pub cert: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the authorities whose client certificates are required.
    pub client_ca: Option<PathBuf>,
}

impl Listen {
    /// The files of TLS, if it is used.
    pub fn tls(&self) -> Result<Option<TlsFiles>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: self.tls_client_ca.clone(),
            })),
            (Some(_), None) => Err(incomplete("tls_cert", "tls_key")),
            (None, Some(_)) => Err(incomplete("tls_key", "tls_cert")),
            (None, None) if self.tls_client_ca.is_some() => {
                Err(incomplete("tls_client_ca", "tls_cert and tls_key"))
            }
            (None, None) => Ok(None),
        }
    }

    /// Whether `address` may be served; passwords and keys must not cross a network in the clear.
    pub fn allow(&self, address: SocketAddr) -> Result<()> {
        let tls = self.tls()?.is_some();
        if tls || self.plain_http || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(Error::new(
            Code::ConfigInvalid,
            format!("Serving HTTP on {address} without TLS would send keys and data in the clear"),
        )
        .hint(
            "Give --tls-cert and --tls-key, listen on 127.0.0.1 behind a proxy, or insist with --plain-http",
        ))
    }

    /// Every mistake that can be seen without opening anything.
    pub fn check(&self) -> Result<()> {
        self.tls()?;
        self.addresses
            .iter()
            .try_for_each(|address| self.allow(*address))
    }
}

/// Reads an address to listen on.
pub fn parse_address(text: &str) -> Result<SocketAddr> {
    let text = text.trim();
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        Error::invalid(format!("\"{text}\" is not an address with a port"))
            .hint("Write it like 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443")
    })
}

fn incomplete(given: &str, missing: &str) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("{given} is set without {missing}"),
    )
    .hint(format!("Set {missing} as well"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen {
            addresses: vec![parse_address(address).unwrap()],
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            plain_http: false,
            max_clients: 1,
            client_timeout: Duration::ZERO,
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for address in [
            "127.0.0.1:1",
            "[::1]:1",
            "localhost:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            listen(address).check().unwrap();
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.1.2.3:1"] {
            let mut listen = listen(address);
            assert_eq!(listen.check().unwrap_err().code(), Code::ConfigInvalid);
            listen.plain_http = true;
            listen.check().unwrap();
            listen.plain_http = false;
            listen.tls_cert = Some("c".into());
            listen.tls_key = Some("k".into());
            listen.check().unwrap();
        }
    }

    #[test]
    fn half_of_tls_is_a_mistake() {
        let mut half = listen("127.0.0.1:1");
        half.tls_client_ca = Some("ca".into());
        assert!(half.check().is_err());
        half.tls_cert = Some("c".into());
        let error = half.check().unwrap_err();
        assert_eq!(error.message(), "tls_cert is set without tls_key");
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in ["8443", "host:1", "127.0.0.1", "localhost:", "1.2.3.4:70000"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
