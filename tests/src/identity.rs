//! Certificates for servers of tests, made by the openssl program.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::places::Scratch;
use crate::process::Program;

/// An authority, and a server it vouches for.
#[derive(Debug)]
pub struct Identity(Scratch);

impl Identity {
    /// A server known by that name and as 127.0.0.1.
    pub fn of(name: &str) -> Self {
        let identity = Self(Scratch::new("identity"));
        identity.openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=TestAuthority -keyout @ca.key -out @ca.crt",
        );
        identity.openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=Server -keyout @server.key -out @server.csr",
        );
        let names = format!("subjectAltName=DNS:{name},IP:127.0.0.1\n");
        std::fs::write(identity.path("extensions"), names).unwrap();
        identity.openssl(
            "x509 -req -in @server.csr -CA @ca.crt -CAkey @ca.key -CAcreateserial -days 2 \
             -extfile @extensions -out @server.crt",
        );
        identity
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, line: &str) {
        let words = line
            .split_whitespace()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.path(name).display().to_string(),
                None => word.to_owned(),
            });
        Program::new("openssl").args(words).run();
    }

    /// The authority's certificate, for `SSL_CERT_FILE`.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// What a server shows.
    pub fn server(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(self.path("server.crt"))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}
