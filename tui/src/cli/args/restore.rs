//! `restore …`

use clap::{Args, Subcommand};

use super::{BackupName, Page, types};

/// `restore …`
#[derive(Debug, Subcommand)]
pub(crate) enum RestoreCommand {
    /// Restore a backup
    #[command(after_help = "\
Examples:
  backstay restore run shop/orders@latest                  into a new database beside the original
  backstay restore run shop/orders@latest --database copy  into that one, made if absent
  backstay restore run shop/orders@latest --to staging     on another server
  backstay restore run shop/orders@latest --in-place --confirm orders
                                                           swap with the original, once proved
  backstay restore run shop/orders@latest --object public.item=item_old --database orders

Without a target a new database is made and its name printed. --in-place restores beside, proves
the copy, ends every session in the old database, swaps by rename and keeps the old one. A database
that holds anything needs --clean, which empties it; with --object it drops only what is restored,
and is refused where something else needs that (a foreign key, a view). --in-place and --clean ask
for the database's name, typed or given with --confirm NAME.
@latest is the newest backup of the database; one of chosen schemas or tables counts only where
there is no other, a partial one counts. What the backup lacks is said before the restore begins.
Exits 5 when some objects could not be restored; the run says which.")]
    Run(RestoreRun),

    /// Say what a restore would do: what exists, what would be made, dropped, overwritten
    #[command(after_help = "\
Examples:
  backstay restore plan shop/orders@latest
  backstay restore plan shop/orders@latest --database orders --clean

Takes the flags of `restore run` and changes nothing.")]
    Plan(RestorePlan),

    /// List restores, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay restore list
  backstay restore list --status failed"
    )]
    List(RestoreList),

    /// Show one restore
    #[command(after_help = "\
Examples:
  backstay restore show rst_01J8Z")]
    Show(RestoreName),
}

/// Names one restore.
#[derive(Debug, Args)]
pub(crate) struct RestoreName {
    /// The restore's id or a unique prefix of it
    #[arg(value_name = "RESTORE")]
    pub(crate) restore: String,
}

/// What a restore takes and where it goes.
#[derive(Clone, Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as people need"
)]
pub(crate) struct RestoreTarget {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// Restore on this connection instead of the one the backup came from
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) to: Option<String>,

    /// Restore into this database; made if absent
    #[arg(long, short, value_name = "NAME", conflicts_with = "in_place")]
    pub(crate) database: Option<String>,

    /// Replace the original database, once the restored copy is proved equal to the backup; ends every
    /// session in it
    #[arg(long, conflicts_with = "clean")]
    pub(crate) in_place: bool,

    /// Restore only this table (and to another name, in a schema that exists); may be given several times
    #[arg(long, value_name = "SCHEMA.TABLE[=NEW]", value_parser = types::object)]
    pub(crate) object: Vec<String>,

    /// Empty the database that --database names first; with --object, drop only what is restored
    #[arg(long, requires = "database")]
    pub(crate) clean: bool,

    /// Leave ownership to the role that restores
    #[arg(long)]
    pub(crate) no_owner: bool,

    /// Leave out GRANT and REVOKE
    #[arg(long)]
    pub(crate) no_privileges: bool,

    /// Leave out CREATE EXTENSION
    #[arg(long)]
    pub(crate) no_extensions: bool,

    /// Bring missing roles and tablespaces back too
    #[arg(long)]
    pub(crate) globals: bool,
}

/// `restore run`
#[derive(Debug, Args)]
pub(crate) struct RestoreRun {
    #[command(flatten)]
    pub(crate) target: RestoreTarget,

    /// Say what would be done and change nothing, as `restore plan` does
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `restore plan`
#[derive(Debug, Args)]
pub(crate) struct RestorePlan {
    #[command(flatten)]
    pub(crate) target: RestoreTarget,
}

/// `restore list`
#[derive(Debug, Args)]
pub(crate) struct RestoreList {
    /// Only to this connection
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: Option<String>,

    /// Only with this status
    #[arg(long, value_name = "STATUS", value_parser = ["pending", "running", "success", "partial", "failed", "cancelled", "interrupted"])]
    pub(crate) status: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}
