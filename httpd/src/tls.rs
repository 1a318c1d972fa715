//! TLS of the TCP listeners, by rustls and ring. Certificates are renewed while the engine runs, so
//! the files are looked at again when clients connect.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backstay_engine::config::TlsFiles;
use backstay_engine::{Code, Error, Result};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files beyond this size hold no certificates.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// What is in use, and the files it came from.
pub(crate) struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    seen: Vec<Stamp>,
    looked: Instant,
}

/// Tells one version of a file from another: time of change in nanoseconds, inode, length.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Tls {
    /// Reads the files; what does not fit together is refused.
    pub(crate) fn load(files: TlsFiles) -> Result<Self> {
        let seen = stamps(&files);
        let config = Arc::new(read(&files)?);
        Ok(Self {
            files,
            state: Mutex::new(State {
                config,
                seen,
                looked: Instant::now(),
            }),
        })
    }

    /// What does the handshake of the next connection, with the newest files that are any good.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            self.renew(&mut state);
        }
        TlsAcceptor::from(Arc::clone(&state.config))
    }

    fn renew(&self, state: &mut State) {
        // Taken before reading: a file that changes meanwhile is read again at the next look.
        let seen = stamps(&self.files);
        if seen == state.seen {
            return;
        }
        state.seen = seen;
        match read(&self.files) {
            Ok(config) => {
                state.config = Arc::new(config);
                tracing::info!(certificate = %self.files.cert.display(), "certificate renewed");
            }
            Err(error) => tracing::error!("The old certificate stays in use: {}", told(&error)),
        }
    }
}

fn told(error: &Error) -> String {
    let mut text = error.message().to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    [
        Some(&files.cert),
        Some(&files.key),
        files.client_ca.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.mtime(), facts.mtime_nsec(), facts.ino(), facts.len()))
    })
    .collect()
}

fn read(files: &TlsFiles) -> Result<ServerConfig> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&content(&files.key)?)
        .map_err(|error| wrong("There is no usable private key in", &files.key).because(error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("No version of TLS is available").because(error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| {
                    wrong("A certificate is no authority in", path).because(error)
                })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong("Clients cannot be checked by", path).because(error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        wrong("The key does not fit the certificate in", &files.cert).because(error)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&content(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("Cannot understand", path).because(error))?;
    if found.is_empty() {
        return Err(wrong("There is no certificate in", path));
    }
    Ok(found)
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| wrong("Cannot read", path).because(error))?;
    Ok(bytes)
}

fn wrong(what: &str, path: &Path) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("{what} the file {}", path.display()),
    )
    .hint("tls_cert, tls_key and tls_client_ca name PEM files that the engine's user can read")
}
