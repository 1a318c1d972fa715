//! From a saved connection to a way into the server.

use super::Engine;
use crate::catalog::records::ConnectionRecord;
use crate::error::{Error, Result};
use crate::model::{ConnectionCreate, SshCreate, SshInfo};
use crate::secret::SecretText;
use crate::source::postgres::Target;
use crate::source::postgres::target::{Address, HostKeys, SshKey, SshTarget};

/// Names of the sealed fields.
pub(super) const PASSWORD: &str = "password";
pub(super) const SSH_KEY: &str = "ssh_private_key";
pub(super) const SSH_PASSPHRASE: &str = "ssh_passphrase";
pub(super) const SSH_PASSWORD: &str = "ssh_password";

/// A URL, read; the password is taken out of it.
pub(super) fn read_url(url: &str) -> Result<Target> {
    let scheme = url.split("://").next().unwrap_or_default();
    if matches!(scheme, "mysql" | "mariadb") {
        return Err(
            Error::invalid(format!("This version cannot back up {scheme} servers"))
                .field("url", "must begin with postgres://"),
        );
    }
    Target::from_url(url)
}

/// Host, or folder of the socket, and port.
pub(super) fn place(target: &Target) -> (String, u16) {
    match &target.address {
        Address::Tcp { host, port } => (host.clone(), *port),
        Address::Unix { directory, port } => (directory.display().to_string(), *port),
    }
}

/// What of a tunnel may be shown.
pub(super) fn ssh_info(ssh: &SshCreate) -> Result<SshInfo> {
    if ssh.host.is_empty() || ssh.user.is_empty() {
        return Err(Error::invalid("A tunnel needs a host and a user")
            .field("ssh", "must name host and user"));
    }
    Ok(SshInfo {
        host: ssh.host.clone(),
        port: ssh.port.unwrap_or(22),
        user: ssh.user.clone(),
        host_key: ssh.host_key.clone(),
    })
}

/// The secrets of a tunnel.
#[derive(Clone, Debug, Default)]
pub(super) struct SshSecrets {
    pub(super) key: Option<SecretText>,
    pub(super) passphrase: Option<SecretText>,
    pub(super) password: Option<SecretText>,
}

impl Engine {
    /// The server of a request that is not saved.
    pub(super) fn target_of_request(&self, create: &ConnectionCreate) -> Result<Target> {
        self.target_of(&create.url, create.password.as_ref(), create.ssh.as_ref())
    }

    /// The server behind a URL, the password beside it and a tunnel.
    pub(super) fn target_of(
        &self,
        url: &str,
        password: Option<&SecretText>,
        ssh: Option<&SshCreate>,
    ) -> Result<Target> {
        let mut target = read_url(url)?;
        if let Some(password) = password {
            target.password = Some(password.clone());
        }
        let ssh = match ssh {
            None => None,
            Some(ssh) => {
                let secrets = SshSecrets {
                    key: ssh.private_key.clone(),
                    passphrase: ssh.passphrase.clone(),
                    password: ssh.password.clone(),
                };
                Some(self.ssh_target(&ssh_info(ssh)?, secrets))
            }
        };
        let target = target.through(ssh);
        target.check()?;
        Ok(target)
    }

    /// The server of a saved connection, its secrets opened.
    pub(super) fn target(&self, record: &ConnectionRecord) -> Result<Target> {
        let connection = &record.connection;
        let id = connection.id.to_string();
        let open = |field: &str, sealed: &Option<crate::vault::Sealed>| {
            sealed
                .as_ref()
                .map(|sealed| self.0.catalog.vault().open(&id, field, sealed))
                .transpose()
        };
        let mut target = read_url(&connection.url)?;
        target.password = open(PASSWORD, &record.password)?;
        let ssh = match &connection.ssh {
            None => None,
            Some(info) => {
                let secrets = SshSecrets {
                    key: open(SSH_KEY, &record.ssh_key)?,
                    passphrase: open(SSH_PASSPHRASE, &record.ssh_passphrase)?,
                    password: open(SSH_PASSWORD, &record.ssh_password)?,
                };
                Some(self.ssh_target(info, secrets))
            }
        };
        let target = target.through(ssh);
        target.check()?;
        Ok(target)
    }

    fn ssh_target(&self, info: &SshInfo, secrets: SshSecrets) -> SshTarget {
        let known = self.0.config.paths.data.join("known_hosts");
        SshTarget {
            host: info.host.clone(),
            port: info.port,
            user: info.user.clone(),
            key: match secrets.key {
                Some(key) => Some(SshKey::Text(key)),
                None if secrets.password.is_none() => Some(SshKey::Agent),
                None => None,
            },
            passphrase: secrets.passphrase,
            password: secrets.password,
            host_keys: match &info.host_key {
                Some(fingerprint) => HostKeys::Pinned(fingerprint.clone()),
                None => HostKeys::AcceptNew(Some(known)),
            },
        }
    }
}
