//! A byte stream to a host behind an SSH server, as `ssh -W host:port` makes one.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    self, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, known_hosts,
};
use russh::{ChannelStream, Preferred};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;
use crate::error::{Code, Error, Result};
use crate::secret::SecretText;
use crate::source::postgres::target::{HostKeys, SshKey, SshTarget};

/// How often a silent server is asked whether it is there, and how many answers may be missing.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVES_MISSED_MAX: usize = 4;

/// Where the tunnel leads, as the SSH server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A host and port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Opens a stream to `destination` through the SSH server, over `tcp`, which leads to it.
pub(crate) async fn open(
    ssh: &SshTarget,
    destination: &Destination,
    tcp: tokio::net::TcpStream,
) -> Result<Box<dyn Io>> {
    let gatekeeper = Gatekeeper::new(ssh)?;
    let mut config = client::Config {
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVES_MISSED_MAX,
        nodelay: true,
        ..client::Config::default()
    };
    gatekeeper.prefer_known(&mut config.preferred);
    let mut handle = client::connect_stream(Arc::new(config), tcp, gatekeeper)
        .await
        .map_err(|error| error.into_error(ssh))?;
    authenticate(&mut handle, ssh).await?;
    let channel = match destination {
        Destination::Tcp(host, port) => {
            handle
                .channel_open_direct_tcpip(host.as_str(), u32::from(*port), "127.0.0.1", 0)
                .await
        }
        Destination::Unix(path) => {
            handle
                .channel_open_direct_streamlocal(path.to_string_lossy().into_owned())
                .await
        }
    }
    .map_err(|error| {
        failed(ssh, "does not open the tunnel to the database")
            .hint(
                "Check host and port as seen from there, and AllowTcpForwarding in its sshd_config",
            )
            .because(error)
    })?;
    Ok(Box::new(Tunnel {
        stream: channel.into_stream(),
        _handle: handle,
    }))
}

fn failed(ssh: &SshTarget, what: &str) -> Error {
    Error::new(
        Code::ConnectionSsh,
        format!("The SSH server {} {what}", ssh.place()),
    )
}

/// The error for an SSH server that does not answer.
pub(crate) fn unreachable(ssh: &SshTarget, cause: io::Error) -> Error {
    failed(ssh, "cannot be reached")
        .hint("Check its host, port and firewalls")
        .because(cause)
}

/// A channel, and the session that carries it.
struct Tunnel {
    stream: ChannelStream<Msg>,
    _handle: Handle<Gatekeeper>,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Why a session did not come about.
#[derive(Debug)]
enum Refusal {
    /// The host showed a key that is not accepted.
    HostKey { message: String, hint: String },
    /// Anything else.
    Ssh(russh::Error),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Refusal {
    fn into_error(self, ssh: &SshTarget) -> Error {
        match self {
            Self::HostKey { message, hint } => failed(ssh, &message).hint(hint),
            Self::Ssh(error) => failed(ssh, "does not complete the handshake")
                .hint("Check that an SSH server listens there, and its log")
                .because(error),
        }
    }
}

/// Decides whether the host is who it should be.
struct Gatekeeper {
    host: String,
    port: u16,
    policy: HostKeys,
    file: PathBuf,
    known: Vec<keys::PublicKey>,
}

impl Gatekeeper {
    fn new(ssh: &SshTarget) -> Result<Self> {
        let file = match &ssh.host_keys {
            HostKeys::Known(Some(file)) | HostKeys::AcceptNew(Some(file)) => file.clone(),
            _ => std::env::home_dir()
                .unwrap_or_default()
                .join(".ssh")
                .join("known_hosts"),
        };
        let known =
            known_hosts::known_host_keys_path(&ssh.host, ssh.port, &file).map_err(|error| {
                Error::new(
                    Code::ConnectionSsh,
                    format!(
                        "The file of known SSH hosts cannot be read: {}",
                        file.display()
                    ),
                )
                .hint("Correct the line of this host")
                .because(error)
            })?;
        Ok(Self {
            host: ssh.host.clone(),
            port: ssh.port,
            policy: ssh.host_keys.clone(),
            file,
            known: known.into_iter().map(|(_, key)| key).collect(),
        })
    }

    /// A host that is known by a key of one kind is asked for that kind.
    fn prefer_known(&self, preferred: &mut Preferred) {
        if self.known.is_empty() || matches!(self.policy, HostKeys::Pinned(_)) {
            return;
        }
        let is_known = |kind: &keys::Algorithm| {
            self.known.iter().any(|key| {
                // An RSA key signs with several hashes.
                key.algorithm() == *kind || (key.algorithm().is_rsa() && kind.clone().is_rsa())
            })
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = preferred.key.iter().cloned().partition(is_known);
        first.extend(rest);
        preferred.key = Cow::Owned(first);
    }

    fn judge(&self, key: &keys::PublicKey) -> std::result::Result<(), Refusal> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if let HostKeys::Pinned(pinned) = &self.policy {
            if *pinned == fingerprint {
                return Ok(());
            }
            return Err(Refusal::HostKey {
                message: format!("shows the key {fingerprint}, not the one it was pinned to"),
                hint: "Find out why before you pin another key".to_owned(),
            });
        }
        if self
            .known
            .iter()
            .any(|known| known.key_data() == key.key_data())
        {
            return Ok(());
        }
        if !self.known.is_empty() {
            return Err(Refusal::HostKey {
                message: format!("shows the key {fingerprint}, but is known by another one"),
                hint: format!(
                    "Find out why; then correct its line in {}",
                    self.file.display()
                ),
            });
        }
        match self.policy {
            HostKeys::AcceptNew(_) => known_hosts::learn_known_hosts_path(
                &self.host, self.port, key, &self.file,
            )
            .map_err(|error| Refusal::HostKey {
                message: format!("is new, but its key cannot be kept: {error}"),
                hint: format!("Make {} writable", self.file.display()),
            }),
            _ => Err(Refusal::HostKey {
                message: format!("is not known; it shows the key {fingerprint}"),
                hint: format!("Compare the key, then add it to {}", self.file.display()),
            }),
        }
    }
}

impl client::Handler for Gatekeeper {
    type Error = Refusal;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> std::result::Result<bool, Refusal> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge(key).map(|()| true),
            PublicKeyOrCertificate::Certificate(_) => Err(Refusal::HostKey {
                message: "shows a host certificate, which is not supported".to_owned(),
                hint: "Pin its key's fingerprint instead".to_owned(),
            }),
        }
    }
}

async fn authenticate(handle: &mut Handle<Gatekeeper>, ssh: &SshTarget) -> Result<()> {
    let accepted = match &ssh.key {
        Some(SshKey::Agent) => by_agent(handle, ssh).await?,
        Some(SshKey::File(path)) => {
            let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                Error::new(
                    Code::ConnectionSsh,
                    format!("The SSH key {} cannot be read", path.display()),
                )
                .hint("Check the path, as the account that the engine runs as")
                .because(error)
            })?;
            by_key(handle, ssh, &text).await?
        }
        Some(SshKey::Text(text)) => by_key(handle, ssh, text.expose()).await?,
        None => false,
    };
    if accepted {
        return Ok(());
    }
    if let Some(password) = &ssh.password {
        let answer = handle
            .authenticate_password(ssh.user.as_str(), password.expose())
            .await
            .map_err(|error| failed(ssh, "hung up during the login").because(error))?;
        if answer.success() {
            return Ok(());
        }
    }
    Err(failed(ssh, "does not accept the login")
        .hint("Check the user, and that its authorized_keys holds the key"))
}

async fn by_key(handle: &mut Handle<Gatekeeper>, ssh: &SshTarget, text: &str) -> Result<bool> {
    let passphrase = ssh.passphrase.as_ref().map(SecretText::expose);
    let key = keys::decode_secret_key(text, passphrase).map_err(|error| {
        Error::new(Code::ConnectionSsh, "The SSH key cannot be used")
            .hint("Give a private key in OpenSSH or PEM form, and its passphrase if it has one")
            .because(error)
    })?;
    let key: Arc<PrivateKey> = Arc::new(key);
    let hung_up = |error: russh::Error| failed(ssh, "hung up during the login").because(error);
    let hash = rsa_hash(handle, &key.algorithm()).await.map_err(hung_up)?;
    let answer = handle
        .authenticate_publickey(ssh.user.as_str(), PrivateKeyWithHashAlg::new(key, hash))
        .await
        .map_err(hung_up)?;
    Ok(answer.success())
}

/// The hash to sign with; only RSA keys have a choice.
async fn rsa_hash(
    handle: &Handle<Gatekeeper>,
    kind: &keys::Algorithm,
) -> std::result::Result<Option<HashAlg>, russh::Error> {
    if !kind.clone().is_rsa() {
        return Ok(None);
    }
    let offered = handle.best_supported_rsa_hash().await?;
    Ok(offered.unwrap_or(Some(HashAlg::Sha256)))
}

async fn by_agent(handle: &mut Handle<Gatekeeper>, ssh: &SshTarget) -> Result<bool> {
    let no_agent = |error: keys::Error| {
        Error::new(Code::ConnectionSsh, "The SSH agent does not answer")
            .hint("Start ssh-agent and set SSH_AUTH_SOCK for the engine, or name a key file")
            .because(error)
    };
    let mut agent = AgentClient::connect_env().await.map_err(no_agent)?;
    for identity in agent.request_identities().await.map_err(no_agent)? {
        let AgentIdentity::PublicKey { key, .. } = identity else {
            continue;
        };
        let hash = rsa_hash(handle, &key.algorithm())
            .await
            .map_err(|error| failed(ssh, "hung up during the login").because(error))?;
        let answer = handle
            .authenticate_publickey_with(ssh.user.as_str(), key, hash, &mut agent)
            .await
            .map_err(|error| failed(ssh, "hung up during the login").because(error.to_string()))?;
        if answer.success() {
            return Ok(true);
        }
    }
    Ok(false)
}
