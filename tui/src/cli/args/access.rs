//! `user …`, `group …`, `api-key …`, `audit …`, `login`, `logout`

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueHint};

use super::{Page, types};

/// `user …`
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, who can log in
    #[command(after_help = "\
Examples:
  backstay user add ann --group operators
  backstay user add ann --group viewers --email ann@example.com --password-file first.txt

Their password is asked for, or read from --password-file. They are to change it with
`backstay user password`. `backstay group list` shows what the groups allow.")]
    Add(UserAdd),

    /// List users, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay user list
  backstay user list --json | jq -r '.items[] | select(.last_login_at == null) | .name'"
    )]
    List(Page),

    /// Show one user
    #[command(after_help = "\
Examples:
  backstay user show ann")]
    Show(UserName),

    /// Change a user; what is not named stays
    #[command(after_help = "\
Examples:
  backstay user edit ann --group operators --group viewers
  backstay user edit ann --password-file new.txt
  backstay user edit ann --disable

A new password, and --disable, end every login of theirs. Groups are replaced together.")]
    Edit(UserEdit),

    /// Change one's own password, which ends every login
    #[command(after_help = "\
Examples:
  backstay user password --host https://backup.example.com:8443
  backstay user password --host https://backup:8443 --current-file old.txt --new-file new.txt

Both are asked for, or read from files. Log in again afterwards.")]
    Password(UserPassword),

    /// Remove a user and end their logins
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay user remove ann --yes"
    )]
    Remove(UserName),
}

/// Names one user.
#[derive(Debug, Args)]
pub(crate) struct UserName {
    /// The user's name or id
    #[arg(value_name = "USER")]
    pub(crate) user: String,
}

/// `user add`
#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// What they log in as
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// A group they are in; may be given several times
    #[arg(long, short, value_name = "GROUP")]
    pub(crate) group: Vec<String>,

    /// Where they can be written to
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
    pub(crate) email: Option<String>,

    /// File with their first password; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,
}

/// `user edit`
#[derive(Debug, Args)]
#[group(id = "user_change", required = true, multiple = true, args = ["group", "no_groups", "email",
    "password_file", "enable", "disable"])]
pub(crate) struct UserEdit {
    #[command(flatten)]
    pub(crate) user: UserName,

    /// A group they are in from now on; may be given several times
    #[arg(long, short, value_name = "GROUP")]
    pub(crate) group: Vec<String>,

    /// Take them out of every group
    #[arg(long, conflicts_with = "group")]
    pub(crate) no_groups: bool,

    /// Where they can be written to; an empty text takes it away
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
    pub(crate) email: Option<String>,

    /// File with their new password; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,

    /// Let them log in again
    #[arg(long)]
    pub(crate) enable: bool,

    /// Keep them from logging in
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
}

/// `user password`
#[derive(Debug, Args)]
pub(crate) struct UserPassword {
    /// File with the password that holds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) current_file: Option<PathBuf>,

    /// File with the new one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_file: Option<PathBuf>,
}

/// `group …`
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Add a group: what its users may do
    #[command(after_help = "\
Examples:
  backstay group add restorers --permissions backups:read,backups:restore,runs:read
  backstay group add all-backups --permissions 'backups:*' --description 'Look after backups'

`backstay group permissions` lists what there is. Nobody can give what they do not have.")]
    Add(GroupAdd),

    /// List groups, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay group list"
    )]
    List(Page),

    /// Show one group
    #[command(after_help = "\
Examples:
  backstay group show operators")]
    Show(GroupName),

    /// Change a group; what is not named stays
    #[command(after_help = "\
Examples:
  backstay group edit restorers --permissions backups:read,backups:restore
  backstay group edit restorers --description ''

Permissions and projects are replaced together.")]
    Edit(GroupEdit),

    /// List the permissions there are
    #[command(after_help = "\
Examples:
  backstay group permissions")]
    Permissions,

    /// Remove a group that nobody is in
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay group remove restorers --yes"
    )]
    Remove(GroupName),
}

/// Names one group.
#[derive(Debug, Args)]
pub(crate) struct GroupName {
    /// The group's name or id
    #[arg(value_name = "GROUP")]
    pub(crate) group: String,
}

/// `group add`
#[derive(Debug, Args)]
pub(crate) struct GroupAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it allows, with commas between: `backups:read`, `backups:*` or `*`
    #[arg(long, value_name = "P[,P…]", value_delimiter = ',', required = true)]
    pub(crate) permissions: Vec<String>,

    /// Only within this project; may be given several times
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Vec<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// `group edit`
#[derive(Debug, Args)]
#[group(id = "group_change", required = true, multiple = true, args = ["permissions", "project",
    "all_projects", "description"])]
pub(crate) struct GroupEdit {
    #[command(flatten)]
    pub(crate) group: GroupName,

    /// What it allows from now on, with commas between
    #[arg(long, value_name = "P[,P…]", value_delimiter = ',')]
    pub(crate) permissions: Vec<String>,

    /// Only within this project; may be given several times
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Vec<String>,

    /// In every project
    #[arg(long, conflicts_with = "project")]
    pub(crate) all_projects: bool,

    /// What it is for; an empty text takes it away
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// `api-key …`
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make an API key and print it, this once
    #[command(after_help = "\
Examples:
  backstay api-key add ci --permissions backups:create,backups:read,runs:read --expires 90d
  backstay api-key add shop --permissions 'backups:*' --project shop --tier professional
  backstay api-key add root --permissions '*' > root.key
  backstay api-key add ci --permissions status:read --json | jq -r .key

Standard output has the key and nothing else. Only a hash of it is kept. A key never has more
than whoever made it. `backstay group permissions` lists what there is.")]
    Add(ApiKeyAdd),

    /// List API keys, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay api-key list
  backstay api-key list --json | jq -r '.items[] | [.name, .last_used_at] | @tsv'"
    )]
    List(Page),

    /// Show one API key, without the key
    #[command(after_help = "\
Examples:
  backstay api-key show ci")]
    Show(ApiKeyName),

    /// Change an API key; what is not named stays
    #[command(after_help = "\
Examples:
  backstay api-key edit ci --permissions backups:create,backups:read,runs:read
  backstay api-key edit ci --expires 2027-06-30 --tier professional
  backstay api-key edit ci --disable

The key itself stays; `rotate` replaces it. Permissions and projects are replaced together.")]
    Edit(ApiKeyEdit),

    /// Replace a key and print the new one, this once; the old one stops working
    #[command(after_help = "\
Examples:
  backstay api-key rotate ci > ci.key")]
    Rotate(ApiKeyName),

    /// End a key
    #[command(
        visible_aliases = ["remove", "rm"],
        after_help = "\
Examples:
  backstay api-key revoke ci --yes"
    )]
    Revoke(ApiKeyName),
}

/// Names one API key.
#[derive(Debug, Args)]
pub(crate) struct ApiKeyName {
    /// The key's name or id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// `api-key add`
#[derive(Debug, Args)]
pub(crate) struct ApiKeyAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it allows, with commas between: `backups:read`, `backups:*` or `*`
    #[arg(long, value_name = "P[,P…]", value_delimiter = ',', required = true)]
    pub(crate) permissions: Vec<String>,

    /// Only within this project; may be given several times
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Vec<String>,

    /// How much it may ask for over the network: free, professional or enterprise, which has no limit
    #[arg(long, value_name = "TIER", value_parser = ["free", "professional", "enterprise"])]
    pub(crate) tier: Option<String>,

    /// When it stops working: a time, a day, or after a while like 90d; never without this
    #[arg(long, value_name = "D", value_parser = types::expiry)]
    pub(crate) expires: Option<DateTime<Utc>>,
}

/// `api-key edit`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[group(id = "key_change", required = true, multiple = true, args = ["rename", "permissions", "project",
    "all_projects", "tier", "expires", "never_expires", "enable", "disable"])]
pub(crate) struct ApiKeyEdit {
    #[command(flatten)]
    pub(crate) key: ApiKeyName,

    /// What to call it from now on
    #[arg(long, value_name = "NAME")]
    pub(crate) rename: Option<String>,

    /// What it allows from now on, with commas between
    #[arg(long, value_name = "P[,P…]", value_delimiter = ',')]
    pub(crate) permissions: Vec<String>,

    /// Only within this project; may be given several times
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Vec<String>,

    /// In every project
    #[arg(long, conflicts_with = "project")]
    pub(crate) all_projects: bool,

    /// How much it may ask for over the network
    #[arg(long, value_name = "TIER", value_parser = ["free", "professional", "enterprise"])]
    pub(crate) tier: Option<String>,

    /// When it stops working: a time, a day, or after a while like 90d
    #[arg(long, value_name = "D", value_parser = types::expiry)]
    pub(crate) expires: Option<DateTime<Utc>>,

    /// Let it work until it is revoked
    #[arg(long, conflicts_with = "expires")]
    pub(crate) never_expires: bool,

    /// Let it work again
    #[arg(long)]
    pub(crate) enable: bool,

    /// Keep it from working
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who changed what, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay audit list
  backstay audit list --actor user:ann --since 2026-03-01
  backstay audit list --action api_key.add --json"
    )]
    List(AuditList),

    /// Prove that no entry was changed or taken away
    #[command(after_help = "\
Examples:
  backstay audit verify

Exits 1 when one was, and says which.")]
    Verify,
}

/// `audit list`
#[derive(Debug, Args)]
pub(crate) struct AuditList {
    /// Only what they did: user:ann, key:ci, uid:0, engine
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,

    /// Only that: connection.add, login.refused, …
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,

    /// Only about the record with this id
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,

    /// Only at or after this time
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) until: Option<DateTime<Utc>>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `login`
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The user's name
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    /// File with the password; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,
}
