//! `connection …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{ConnectionName, Page, types};

/// `connection …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionCommand {
    /// Add a database server; it is tested before it is saved
    #[command(after_help = "\
Examples:
  backstay connection add shop postgres://backup@db.example.com/shop
  backstay connection add shop postgres://backup@db.example.com --password-file /run/secrets/shop
  backstay connection add shop 'postgres://backup@db.example.com?sslmode=verify-full'
  backstay connection add here 'postgres://postgres@/postgres?host=/var/run/postgresql'
  backstay connection add far postgres://backup@127.0.0.1 --ssh me@bastion --ssh-key ~/.ssh/id

The password is taken from the URL, from --password-file, from BACKSTAY_PASSWORD, or asked for on
a terminal when the server wants one. It is kept encrypted and never shown again.")]
    Add(ConnectionAdd),

    /// List the servers
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay connection list
  backstay connection list --json | jq -r '.items[].name'"
    )]
    List(ConnectionList),

    /// Show one server: address, version, databases, rights
    #[command(after_help = "\
Examples:
  backstay connection show shop
  backstay connection show shop --json | jq .last_test

Databases and rights are those of the last test; `backstay connection test shop` looks again.")]
    Show(ConnectionName),

    /// Change a server's address, name or credentials; what is not given stays
    #[command(after_help = "\
Examples:
  backstay connection edit shop --url postgres://backup@db2.example.com/shop
  backstay connection edit shop --name shop-eu
  backstay connection edit shop --password-file /run/secrets/shop")]
    Edit(ConnectionEdit),

    /// Try to reach a server, and say what is missing for a backup
    #[command(after_help = "\
Examples:
  backstay connection test shop
  backstay connection test postgres://backup@db.example.com/shop    before adding it

Warnings do not fail it. Exits as the failure it found would: 1 unreachable, 4 refused, 3 no such
database.")]
    Test(ConnectionTest),

    /// Look for databases that came or went
    #[command(after_help = "\
Examples:
  backstay connection discover shop

New ones are backed up from then on, unless the connection was added with --no-new-databases. A
backup of the whole server looks for them by itself.")]
    Discover(ConnectionName),

    /// List a server's databases, or choose which ones are backed up
    #[command(after_help = "\
Examples:
  backstay connection databases shop
  backstay connection databases shop --deselect scratch --deselect test
  backstay connection databases shop --select scratch")]
    Databases(ConnectionDatabases),

    /// Create a role on the server that reads for backups and can change nothing
    #[command(after_help = "\
Examples:
  backstay connection readonly-user shop
  backstay connection readonly-user shop --user shop_backup --no-switch

The connection must log in as a role that may create roles. The new role gets a random password,
which is printed once; the connection uses it from now on unless --no-switch is given.
It may read every table, now and later (before PostgreSQL 14 only those that exist and those that
the connection's role makes), and the large objects there are. What it may not read is printed.
A restore needs more: add a second connection for that and give `restore run --to` its name.")]
    ReadonlyUser(ReadonlyUser),

    /// Forget a server; its backups stay
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay connection remove shop --confirm shop"
    )]
    Remove(ConnectionName),
}

/// `connection add`
#[derive(Debug, Args)]
pub(crate) struct ConnectionAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// postgres://user[:password]@host[:port]/[database][?sslmode=…&sslrootcert=…&host=/socket/dir]
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) ssh: SshArgs,

    /// Project and environment it belongs to
    #[arg(long, value_name = "P/E", value_parser = types::environment)]
    pub(crate) environment: Option<String>,

    /// File with the database password; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,

    /// Leave databases out that appear later
    #[arg(long)]
    pub(crate) no_new_databases: bool,

    /// Save it without trying to reach it
    #[arg(long)]
    pub(crate) no_test: bool,
}

/// The tunnel.
#[derive(Clone, Debug, Args)]
pub(crate) struct SshArgs {
    /// Reach the server through SSH on this host
    #[arg(long, value_name = "USER@HOST[:PORT]", value_parser = types::ssh)]
    pub(crate) ssh: Option<String>,

    /// File with the private key for --ssh
    #[arg(long, value_name = "FILE", requires = "ssh", value_hint = ValueHint::FilePath)]
    pub(crate) ssh_key: Option<PathBuf>,
}

/// `connection list`
#[derive(Debug, Args)]
pub(crate) struct ConnectionList {
    /// Only of this project, or of its environment: PROJECT[/ENVIRONMENT]
    #[arg(long, value_name = "P[/E]")]
    pub(crate) environment: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `connection edit`
#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = ["new_name", "url", "ssh", "no_ssh",
    "environment", "password_file", "new_databases"])]
pub(crate) struct ConnectionEdit {
    #[command(flatten)]
    pub(crate) connection: ConnectionName,

    /// Call it this from now on
    #[arg(long = "name", value_name = "NEW")]
    pub(crate) new_name: Option<String>,

    /// Its new address
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    pub(crate) ssh: SshArgs,

    /// Reach it directly from now on
    #[arg(long, conflicts_with = "ssh")]
    pub(crate) no_ssh: bool,

    /// Project and environment it belongs to
    #[arg(long, value_name = "P/E", value_parser = types::environment)]
    pub(crate) environment: Option<String>,

    /// File with the new password; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,

    /// Whether databases that appear later are backed up too
    #[arg(long, value_name = "true|false")]
    pub(crate) new_databases: Option<bool>,

    /// Save it without trying to reach it
    #[arg(long)]
    pub(crate) no_test: bool,
}

/// `connection test`
#[derive(Debug, Args)]
pub(crate) struct ConnectionTest {
    /// A connection's name or id, or the URL of a server that was not added yet
    #[arg(value_name = "NAME|URL")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) ssh: SshArgs,

    /// File with the password for a URL; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,
}

/// `connection databases`
#[derive(Debug, Args)]
pub(crate) struct ConnectionDatabases {
    #[command(flatten)]
    pub(crate) connection: ConnectionName,

    /// Back this database up; may be given several times
    #[arg(long, value_name = "DATABASE")]
    pub(crate) select: Vec<String>,

    /// Leave this database out; may be given several times
    #[arg(long, value_name = "DATABASE")]
    pub(crate) deselect: Vec<String>,
}

/// `connection readonly-user`
#[derive(Debug, Args)]
pub(crate) struct ReadonlyUser {
    #[command(flatten)]
    pub(crate) connection: ConnectionName,

    /// The role to create
    #[arg(long, value_name = "ROLE", default_value = "backstay")]
    pub(crate) user: String,

    /// Go on with the role the connection uses now
    #[arg(long)]
    pub(crate) no_switch: bool,
}
