//! Connections: database servers Backstay can reach.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Time;
use super::choices::choices;
use super::secret_field;
use crate::ids::ConnectionId;
use crate::secret::SecretText;

choices! {
    /// Which database system a server runs.
    ServerKind, "database system" {
        /// PostgreSQL.
        Postgres = "postgres",
        /// MySQL.
        Mysql = "mysql",
        /// MariaDB.
        Mariadb = "mariadb",
    }
}

/// A saved connection. Secrets are not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// Which database system.
    pub engine: ServerKind,
    /// The URL it was made from, without password.
    pub url: String,
    /// Host name, address, or folder of the Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role it logs in as.
    pub user: String,
    /// The database it opens first.
    pub database: String,
    /// Whether a password is stored.
    pub has_password: bool,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub tls_mode: String,
    /// The tunnel, when there is one.
    pub ssh: Option<SshInfo>,
    /// The project it belongs to.
    pub project: String,
    /// The environment it belongs to.
    pub environment: String,
    /// Whether databases found later are selected for whole-server backups.
    pub include_new_databases: bool,
    /// The server's version as it names itself, once known.
    pub server_version: Option<String>,
    /// How the last test went.
    pub last_test: Option<TestSummary>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// An SSH tunnel as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshInfo {
    /// The host the tunnel goes through.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// The account there.
    pub user: String,
    /// The host key that was seen first and is required since, `SHA256:…`.
    pub host_key: Option<String>,
}

/// The last test in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestSummary {
    /// When.
    pub at: Time,
    /// Whether the server answered and everything needed is allowed.
    pub ok: bool,
    /// One sentence.
    pub message: String,
    /// What the role may do and the like, name and value, for people.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// What may hinder some operation, for people.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// An SSH tunnel as it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshCreate {
    /// The host to go through.
    pub host: String,
    /// Its SSH port; 22 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The account there.
    pub user: String,
    /// The private key itself (OpenSSH or PEM), not a path.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub private_key: Option<SecretText>,
    /// The passphrase of the private key.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// The account's password, where no key is used.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub password: Option<SecretText>,
    /// The host key to require, `SHA256:…`; the first one seen when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

/// A new connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionCreate {
    /// Its unique name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// `postgres://user[:password]@host[:port]/[db][?sslmode=…&sslrootcert=…&host=/socket/dir]`.
    pub url: String,
    /// The password, where it is not in the URL.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub password: Option<SecretText>,
    /// The tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshCreate>,
    /// The project; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The environment; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether databases found later are selected; `true` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_new_databases: Option<bool>,
    /// Whether to try it before saving; `true` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
}

/// A connection to try without saving it: as it would be added, with or without a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionTry {
    /// What it would be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `postgres://user[:password]@host[:port]/[db][?sslmode=…&sslrootcert=…&host=/socket/dir]`.
    pub url: String,
    /// The password, where it is not in the URL.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub password: Option<SecretText>,
    /// The tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshCreate>,
    /// The project it would be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The environment it would be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether databases found later would be selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_new_databases: Option<bool>,
    /// Means nothing here: it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
}

/// Changes to a connection; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionEdit {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new URL; the stored password stays unless the URL or `password` brings one, which they must where
    /// host, port, user or encryption change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A new password; empty removes it.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub password: Option<SecretText>,
    /// A new tunnel; the stored key stays when its fields are left out. Through another host the passwords
    /// must be given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshCreate>,
    /// `true` takes the tunnel away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_ssh: Option<bool>,
    /// Another project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Another environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether databases found later are selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_new_databases: Option<bool>,
    /// Whether to try the changed connection before saving; `true` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
}

/// Which connections to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ConnectionList {
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only of this database system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ServerKind>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionTest {
    /// Whether a backup can be made.
    pub ok: bool,
    /// One sentence.
    pub message: String,
    /// What to do when it is not ok.
    pub hint: Option<String>,
    /// Stable error code when it is not ok.
    pub code: Option<String>,
    /// How long the server took to let us in.
    pub latency_ms: Option<u64>,
    /// The server's version as it names itself.
    pub server_version: Option<String>,
    /// The version as a number, for example 150004.
    pub server_version_num: Option<u32>,
    /// Whether the session is encrypted.
    pub tls: Option<bool>,
    /// Facts about server and role, name and value, for people.
    pub facts: Vec<Fact>,
    /// What may hinder some operation, for people.
    pub warnings: Vec<String>,
}

/// A name and a value, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Asks for a least-privilege backup role.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadonlyUserCreate {
    /// Its name; `backstay` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the connection uses it from now on; `true` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<bool>,
}

/// The role that was made. The password is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadonlyUser {
    /// Its name.
    pub name: String,
    /// Its password, shown once.
    pub password: String,
    /// Whether the connection uses it now.
    pub switched: bool,
    /// The statements that were run, passwords masked.
    pub statements: Vec<String>,
    /// What it may not read nevertheless, for people.
    #[serde(default)]
    pub limits: Vec<String>,
}
