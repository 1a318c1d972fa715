//! The SSH server to tunnel through, and how it and we prove who we are.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::secret::SecretText;

/// Where the private key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// A file, read at each connection.
    File(PathBuf),
    /// The key itself, in OpenSSH, PKCS#1 or PKCS#8 PEM form.
    Text(SecretText),
    /// The agent behind `SSH_AUTH_SOCK`.
    Agent,
}

/// Which host key is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeys {
    /// One that is listed in the file; `~/.ssh/known_hosts` when none is named.
    Known(Option<PathBuf>),
    /// A listed one; an unknown host's key is learned, a changed one refused.
    AcceptNew(Option<PathBuf>),
    /// Exactly the key with this fingerprint, `SHA256:…`.
    Pinned(String),
}

/// A tunnel: `USER@HOST[:PORT]` and the ways to authenticate, tried in the order key, password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// Host name or address.
    pub host: String,
    /// TCP port, 22 by default.
    pub port: u16,
    /// The account there.
    pub user: String,
    /// The private key, if one is used.
    pub key: Option<SshKey>,
    /// What unlocks the key.
    pub passphrase: Option<SecretText>,
    /// The account's password, if one is used.
    pub password: Option<SecretText>,
    /// Which host key is accepted.
    pub host_keys: HostKeys,
}

impl SshTarget {
    /// Reads `USER@HOST[:PORT]`, with brackets around an IPv6 address.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Err(
                Error::invalid(format!("{text:?} is not an SSH address: {why}"))
                    .hint("Write USER@HOST or USER@HOST:PORT"),
            )
        };
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let Some((user, place)) = text.rsplit_once('@') else {
            return wrong("the user is missing");
        };
        let (host, port) = match split_host_port(place) {
            Ok((host, port)) => (host, port.unwrap_or(22)),
            Err(why) => return wrong(&why),
        };
        if user.is_empty() || host.is_empty() {
            return wrong("user and host are both needed");
        }
        Ok(Self {
            host,
            port,
            user: user.to_owned(),
            key: None,
            passphrase: None,
            password: None,
            host_keys: HostKeys::Known(None),
        })
    }

    /// `user@host:port`, for messages and for [`SshTarget::parse`].
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("{}@[{}]:{}", self.user, self.host, self.port)
        } else {
            format!("{}@{}:{}", self.user, self.host, self.port)
        }
    }
}

/// Splits `host[:port]` or `[v6][:port]`; the error is the reason in words.
pub(super) fn split_host_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| "the bracket of the IPv6 address is not closed".to_owned())?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(format!("{rest:?} follows the IPv6 address")),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) => Some(parse_port(digits)?),
    };
    Ok((host.to_owned(), port))
}

/// A TCP port from 1 to 65535; the error is the reason in words.
pub(super) fn parse_port(digits: &str) -> Result<u16, String> {
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{digits:?} is not a port from 1 to 65535")),
    }
}
