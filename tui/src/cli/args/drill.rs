//! `drill …`

use clap::{Args, Subcommand};

use super::job::When;
use super::types::Source;
use super::{Page, types};

/// `drill …`
#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// Add a drill: a restore into a scratch database that is compared and dropped
    #[command(after_help = "\
Examples:
  backstay drill add weekly shop/orders --cron weekly
  backstay drill add all shop --choose least_proved --cron '0 5 * * *' --zone Europe/Berlin
  backstay drill add elsewhere shop/orders --scratch standby
  backstay drill add counted shop/orders --check 'SELECT count(*) > 0 FROM orders' --expect t

A drill makes a database of a name of its own on the scratch server, restores a backup into it,
compares the rows of every table with the counts and hashes that the backup recorded, puts your
queries, and drops the database again, also after a failure. Its report says what was found and how
long the restore took. A difference marks the backup as damaged. The role needs the right to create
databases. An answer has a line for each row and | between columns, as CSV; NULL is nothing.")]
    Add(DrillAdd),

    /// List drills, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay drill list
  backstay drill list --json | jq -r '.items[] | [.name, .last_run.status] | @tsv'"
    )]
    List(DrillList),

    /// Show one drill: of what, where, when, and how it went the last time
    #[command(after_help = "\
Examples:
  backstay drill show weekly")]
    Show(DrillName),

    /// Change a drill; what is not named stays
    #[command(after_help = "\
Examples:
  backstay drill edit weekly --cron '30 3 * * 6'
  backstay drill edit weekly --choose newest
  backstay drill edit weekly --pause

Checks are replaced together: one --check drops those there were.")]
    Edit(DrillEdit),

    /// Run a drill now
    #[command(after_help = "\
Examples:
  backstay drill run weekly
  backstay drill run weekly --detach

Shows progress until it ended; Ctrl-C cancels it, and the scratch database is dropped.
Exits 1 when something differs, 5 when the scratch server did not take everything.")]
    Run(DrillRun),

    /// List what a drill's runs found, newest first
    #[command(after_help = "\
Examples:
  backstay drill reports weekly
  backstay drill reports weekly --json | jq '.items[0].differences'")]
    Reports(DrillReports),

    /// Remove a drill
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay drill remove weekly --yes"
    )]
    Remove(DrillName),
}

/// Names one drill.
#[derive(Debug, Args)]
pub(crate) struct DrillName {
    /// The drill's name or id
    #[arg(value_name = "DRILL")]
    pub(crate) drill: String,
}

/// What `drill add` and `drill edit` both take.
#[derive(Debug, Args)]
pub(crate) struct DrillOptions {
    #[command(flatten)]
    pub(crate) when: When,

    /// Which backup: the newest good one, or the one restored by a drill longest ago or never
    #[arg(long, value_name = "WHICH", value_parser = ["newest", "least_proved"])]
    pub(crate) choose: Option<String>,

    /// Always this backup
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<String>,

    /// Only backups in this repository
    #[arg(long, value_name = "R")]
    pub(crate) repository: Option<String>,

    /// Make the scratch database on this server instead of the backup's own
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) scratch: Option<String>,

    /// Restore only this table, SCHEMA.TABLE; may be given several times; proves no whole backup
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Vec<String>,

    /// Put this query to the restored database; may be given several times, each with its --expect
    #[arg(long, value_name = "SQL")]
    pub(crate) check: Vec<String>,

    /// What the query must answer
    #[arg(long, value_name = "TEXT", requires = "check")]
    pub(crate) expect: Vec<String>,

    /// Leave owners out; they are on another server than the backup's own
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) no_owner: Option<bool>,

    /// Leave grants out; they are on another server than the backup's own
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) no_privileges: Option<bool>,

    /// Cancel a run that takes longer than so many seconds; 0 lets it take its time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_runtime: Option<u64>,
}

/// `drill add`
#[derive(Debug, Args)]
pub(crate) struct DrillAdd {
    /// The drill's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Whose backups: the connection, and one of its databases; any without
    #[arg(value_name = "CONNECTION[/DATABASE]", value_parser = types::source)]
    pub(crate) source: Source,

    /// Add it paused
    #[arg(long)]
    pub(crate) paused: bool,

    #[command(flatten)]
    pub(crate) options: DrillOptions,
}

/// `drill list`
#[derive(Debug, Args)]
pub(crate) struct DrillList {
    /// Only of this connection's backups
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `drill edit`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub(crate) struct DrillEdit {
    #[command(flatten)]
    pub(crate) drill: DrillName,

    /// A new name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Only backups of this database; '' for any of the connection
    #[arg(long, value_name = "DATABASE")]
    pub(crate) database: Option<String>,

    /// Restore everything
    #[arg(long, conflicts_with = "object")]
    pub(crate) all_objects: bool,

    /// Put no query
    #[arg(long, conflicts_with = "check")]
    pub(crate) no_checks: bool,

    /// Take the schedule away
    #[arg(long, conflicts_with = "cron")]
    pub(crate) no_schedule: bool,

    /// Let it run only when it is asked to
    #[arg(long, conflicts_with = "resume")]
    pub(crate) pause: bool,

    /// Let it run by itself again, from now on
    #[arg(long)]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) options: DrillOptions,
}

/// `drill run`
#[derive(Debug, Args)]
pub(crate) struct DrillRun {
    #[command(flatten)]
    pub(crate) drill: DrillName,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `drill reports`
#[derive(Debug, Args)]
pub(crate) struct DrillReports {
    #[command(flatten)]
    pub(crate) drill: DrillName,

    /// Only with this status
    #[arg(long, value_name = "STATUS", value_parser = ["running", "success", "partial", "failed", "cancelled", "interrupted"])]
    pub(crate) status: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}
