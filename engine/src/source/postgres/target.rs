//! Where a PostgreSQL server is and how to get in: what a connection URL says, checked.

mod ssh;
mod url;

#[cfg(test)]
mod tests;

pub use ssh::{HostKeys, SshKey, SshTarget};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::secret::SecretText;

/// The port when the URL names none.
pub const DEFAULT_PORT: u16 = 5432;

/// How long reaching the server may take, name lookup, tunnel and handshakes included.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the server listens, as seen from the engine or from the far end of the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address and a port.
    Tcp {
        /// Host name, IPv4 or bare IPv6 address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The folder of a Unix socket; the port is part of the socket's name.
    Unix {
        /// The folder that holds `.s.PGSQL.<port>`.
        directory: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

/// How much encryption is asked for, with libpq's names and meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Plain first, TLS when the server insists.
    Allow,
    /// TLS first, plain when the server has none.
    #[default]
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, and the certificate leads to a trusted root.
    VerifyCa,
    /// TLS, a trusted certificate, and it names the host.
    VerifyFull,
}

impl TlsMode {
    /// How much it protects, compared with others.
    pub fn strength(self) -> usize {
        let place = Self::ALL.iter().position(|mode| *mode == self);
        place.unwrap_or_default()
    }

    /// Every mode, weakest first.
    pub const ALL: [Self; 6] = [
        Self::Disable,
        Self::Allow,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    /// The word libpq uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What the URL says about TLS.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// How much encryption is asked for.
    pub mode: TlsMode,
    /// PEM file of trusted roots; the system's roots when a mode verifies and none is given.
    pub root_cert: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub client_cert: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub client_key: Option<PathBuf>,
}

/// A server and the identity to use there. Neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Where the server listens.
    pub address: Address,
    /// The database role.
    pub user: String,
    /// The role's password, where one is needed.
    pub password: Option<SecretText>,
    /// The database the URL names, if it names one.
    pub database: Option<String>,
    /// Encryption.
    pub tls: TlsOptions,
    /// The tunnel to go through, if any.
    pub ssh: Option<SshTarget>,
    /// What the server lists as the program's name.
    pub application_name: String,
    /// Startup options for the server, as `psql` takes them in `PGOPTIONS`.
    pub options: Option<String>,
    /// How long reaching the server may take.
    pub connect_timeout: Duration,
}

impl Target {
    /// Reads `postgres://user[:password]@host[:port]/[database][?parameter=value&…]`.
    ///
    /// Parts are percent-decoded. A host that begins with `/` (or `?host=/folder`) is a socket
    /// folder. An unknown parameter is an error, not a silent difference from what was meant.
    pub fn from_url(text: &str) -> Result<Self> {
        url::parse(text)
    }

    /// The URL that leads here, without the password.
    pub fn to_url(&self) -> String {
        url::write(self)
    }

    /// The same server with another password.
    #[must_use]
    pub fn with_password(mut self, password: Option<SecretText>) -> Self {
        self.password = password;
        self
    }

    /// The same server through a tunnel.
    #[must_use]
    pub fn through(mut self, ssh: Option<SshTarget>) -> Self {
        self.ssh = ssh;
        self
    }

    /// The databases to try for questions about the whole server, best first.
    pub fn maintenance_databases(&self) -> Vec<String> {
        let mut names: Vec<String> = self.database.iter().cloned().collect();
        for name in ["postgres", "template1", self.user.as_str()] {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Host and port, or the socket's path, for messages.
    pub fn place(&self) -> String {
        let place = match &self.address {
            Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix { .. } => self
                .socket_path()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
        };
        match &self.ssh {
            Some(ssh) => format!("{place} through {}", ssh.place()),
            None => place,
        }
    }

    /// The path of the Unix socket, when the address is one.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match &self.address {
            Address::Unix { directory, port } => Some(directory.join(format!(".s.PGSQL.{port}"))),
            Address::Tcp { .. } => None,
        }
    }

    /// The host name that a certificate must carry.
    pub(crate) fn tls_host(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp { host, .. } => Some(host),
            Address::Unix { .. } => None,
        }
    }

    /// An error when the parts contradict each other.
    pub fn check(&self) -> Result<()> {
        if self.user.is_empty() {
            return Err(
                Error::invalid("The connection names no user").hint("Write postgres://USER@HOST/…")
            );
        }
        for (what, text) in [
            ("user", self.user.as_str()),
            ("database", self.database.as_deref().unwrap_or_default()),
            ("application_name", self.application_name.as_str()),
            ("options", self.options.as_deref().unwrap_or_default()),
        ] {
            if text.contains('\0') {
                return Err(Error::invalid(format!("The {what} contains a NUL byte")));
            }
        }
        if self.tls.client_cert.is_some() != self.tls.client_key.is_some() {
            return Err(Error::invalid(
                "A client certificate needs both sslcert and sslkey",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_url())?;
        match &self.ssh {
            Some(ssh) => write!(f, " through {}", ssh.place()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}
