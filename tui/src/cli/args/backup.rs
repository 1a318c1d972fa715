//! `backup …`

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::types::{Pin, Source};
use super::{BackupName, Page, types};

/// `backup …`
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up a server's databases, or one of them, now
    #[command(after_help = "\
Examples:
  backstay backup run shop                            every selected database of the server
  backstay backup run shop/orders                     one database
  backstay backup run shop/orders --schema public --exclude-table 'public.log_*'
  backstay backup run shop --label before-upgrade --detach
  backstay backup run shop/orders --type incr
  backstay backup run shop --repository local --repository offsite

In patterns * stands for any text and ? for one character; other letters are compared as they are.
One that matches nothing is an error, with --exclude-table a warning in the log.
A backup of any type reads everything, stores only what the repository lacks, and is restored by
itself; types are what retention counts (keep_last_full, keep_last_incremental in the API).
Shows progress until it ended; Ctrl-C cancels it and leaves no half-written state.
Exits 5 when some objects could not be saved; `backstay backup show` says which.")]
    Run(BackupRun),

    /// List backups, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay backup list
  backstay backup list shop/orders --limit 10
  backstay backup list --label before-upgrade --since 2026-03-01
  backstay backup list --json | jq -r '.items[].id'"
    )]
    List(BackupList),

    /// Show one backup: when, what, how large, how far verified
    #[command(after_help = "\
Examples:
  backstay backup show shop/orders@latest
  backstay backup show bck_01J8Z

@latest and @TIME mean the newest backup of the database (at or before the time) that can be
restored. One of chosen schemas or tables (--schema, --table) counts only where there is no other; a
partial one counts. Where that is not plain, `restore` says which one it takes and what it lacks.")]
    Show(BackupName),

    /// List what a backup holds: schemas, tables, rows, sizes
    #[command(after_help = "\
Examples:
  backstay backup objects shop/orders@latest
  backstay backup objects shop/orders@latest --kind table --schema public")]
    Objects(BackupObjects),

    /// Show the first rows of a table as a backup holds them
    #[command(after_help = "\
Examples:
  backstay backup rows shop/orders@latest shop.orders
  backstay backup rows bck_01J8Z shop.orders --limit 200
  backstay backup rows bck_01J8Z '\"Shop\".\"odd.name\"' --json | jq '.rows[0]'

A name without a schema lies in public; put names with dots in double quotes. NULL is shown as –.
Reads only what these rows take. Of values longer than 4 KiB the beginning is shown. Takes the
permission backups:download, and is in the audit log like a download.")]
    Rows(BackupRows),

    /// Print the log of the run that made a backup
    #[command(after_help = "\
Examples:
  backstay backup log shop/orders@latest")]
    Log(BackupName),

    /// Prove that a backup is whole
    #[command(after_help = "\
Examples:
  backstay backup verify shop/orders@latest                  decode all, compare rows and hashes
  backstay backup verify shop/orders@latest --level checked  decrypt and hash every chunk

Levels: present (all objects are listed), checked (chunks decrypt and hash), decoded (the content
parses, row counts and hashes match). A level includes the ones before it. What a partial backup was
made without is said again; no level is about that.")]
    Verify(BackupVerify),

    /// Say how a backup differs from an older one
    #[command(after_help = "\
Examples:
  backstay backup diff shop/orders@latest                                  from the one before it
  backstay backup diff shop/orders@latest shop/orders@2026-03-01T00:00:00Z")]
    Diff(BackupDiff),

    /// Keep a backup whatever the retention says
    #[command(after_help = "\
Examples:
  backstay backup pin shop/orders@latest                        until it is removed
  backstay backup pin bck_01J8Z --until 2027-01-01
  backstay backup pin bck_01J8Z --until none                    remove the pin")]
    Pin(BackupPin),

    /// Say how backups went day by day
    #[command(after_help = "\
Examples:
  backstay backup trends
  backstay backup trends shop/orders --from 2026-03-01 --to 2026-03-31

Counts what was done, whether or not the backups are still there. Days are those of UTC.")]
    Trends(BackupDays),

    /// Say which backups there are of each day
    #[command(after_help = "\
Examples:
  backstay backup calendar
  backstay backup calendar shop --from 2026-03-01 --to 2026-03-31

Days are those of UTC.")]
    Calendar(BackupDays),

    /// Say how old the last good backup of each database is, against its jobs' schedules
    #[command(after_help = "\
Examples:
  backstay backup freshness
  backstay backup freshness --json | jq '.items[] | select(.state == \"stale\")'

fresh: no scheduled time has passed since. due: one has, by less than half of the time to the
next. stale: the scheduled backup is overdue. none: there is none yet, and none is overdue.
unscheduled: no job backs it up by itself.")]
    Freshness(BackupFreshness),

    /// Give a backup a label or a note
    #[command(after_help = "\
Examples:
  backstay backup annotate shop/orders@latest --label before-upgrade --note 'schema 41'
  backstay backup annotate shop/orders@latest --label ''        remove the label")]
    Annotate(BackupAnnotate),

    /// Delete a backup; it can be brought back until its space is freed
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay backup delete bck_01J8Z --yes
  backstay backup delete bck_01J8Z --force --yes     although it is pinned, or the last good one

`backstay repository trash` lists what can be brought back and brings it back."
    )]
    Delete(BackupDelete),

    /// Write a backup as a file that the database's own tools load
    #[command(after_help = "\
Examples:
  backstay backup export shop/orders@latest -o orders.sql
  backstay backup export shop/orders@latest -o - | psql -d restored
  backstay backup export shop/orders@latest --format tar -o orders.tar
  backstay backup export shop/orders@latest --format sql.gz -o orders.sql.gz
  backstay backup export shop/orders@latest --globals -o orders.sql    with roles

An export holds the database alone, as pg_dump writes it: load it into an empty one. With
--globals roles and tablespaces that the server lacks are made first, as pg_dumpall
--globals-only writes them; the hashes of passwords are among them where the backup's role could
read them. Exports are not encrypted.
Exits 5 when the backup is partial: what it lacks is said, and written at the script's beginning.")]
    Export(BackupExport),
}

/// `backup run`
#[derive(Debug, Args)]
pub(crate) struct BackupRun {
    /// The connection, and one of its databases
    #[arg(value_name = "CONNECTION[/DATABASE]", value_parser = types::source)]
    pub(crate) target: Source,

    /// Store it here instead of in the default repository; may be given several times, for a backup in
    /// each from one read of the server
    #[arg(long, value_name = "R")]
    pub(crate) repository: Vec<String>,

    /// full, diff (against the last full one) or incr (against the last one)
    #[arg(long, value_name = "TYPE", value_parser = ["full", "diff", "incr"])]
    pub(crate) r#type: Option<String>,

    /// A word to find it by
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// A sentence about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    /// Only this schema; may be given several times, * and ? match
    #[arg(long, short = 'n', value_name = "SCHEMA")]
    pub(crate) schema: Vec<String>,

    /// Only this table, SCHEMA.TABLE; may be given several times, * and ? match
    #[arg(long, short, value_name = "TABLE")]
    pub(crate) table: Vec<String>,

    /// Not this table, SCHEMA.TABLE; may be given several times, * and ? match
    #[arg(long, short = 'T', value_name = "TABLE")]
    pub(crate) exclude_table: Vec<String>,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `backup list`
#[derive(Debug, Args)]
pub(crate) struct BackupList {
    /// Only of this connection, and this database
    #[arg(value_name = "CONNECTION[/DATABASE]", value_parser = types::source)]
    pub(crate) target: Option<Source>,

    /// Only in this repository
    #[arg(long, value_name = "R")]
    pub(crate) repository: Option<String>,

    /// Only of connections of this project, or of its environment: PROJECT[/ENVIRONMENT]
    #[arg(long, value_name = "P[/E]")]
    pub(crate) environment: Option<String>,

    /// Only of this kind
    #[arg(long, value_name = "KIND", value_parser = ["logical", "physical"])]
    pub(crate) kind: Option<String>,

    /// Only of this type
    #[arg(long, value_name = "TYPE", value_parser = ["full", "diff", "incr"])]
    pub(crate) r#type: Option<String>,

    /// Only with this status
    #[arg(long, value_name = "STATUS", value_parser = ["running", "success", "partial", "failed", "cancelled", "interrupted"])]
    pub(crate) status: Option<String>,

    /// Only with this label
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// Only begun at or after this time, like 2026-03-01 or 2026-03-01T14:30:00Z
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only begun before this time
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) until: Option<DateTime<Utc>>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `backup trends` and `backup calendar`
#[derive(Debug, Args)]
pub(crate) struct BackupDays {
    /// Only of this connection, and this database
    #[arg(value_name = "CONNECTION[/DATABASE]", value_parser = types::source)]
    pub(crate) target: Option<Source>,

    /// Only of connections of this project, or of its environment: PROJECT[/ENVIRONMENT]
    #[arg(long, value_name = "P[/E]", conflicts_with = "target")]
    pub(crate) environment: Option<String>,

    /// The first day, like 2026-03-01; 29 days before the last one unless told otherwise
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<NaiveDate>,

    /// The last day; today unless told otherwise
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<NaiveDate>,
}

/// `backup freshness`
#[derive(Debug, Args)]
pub(crate) struct BackupFreshness {
    #[command(flatten)]
    pub(crate) page: Page,
}

/// `backup objects`
#[derive(Debug, Args)]
pub(crate) struct BackupObjects {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// Only objects of this kind, like table, view, function or index
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    /// Only objects of this schema
    #[arg(long, short = 'n', value_name = "SCHEMA")]
    pub(crate) schema: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `backup rows`
#[derive(Debug, Args)]
pub(crate) struct BackupRows {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// The table
    #[arg(value_name = "[SCHEMA.]TABLE")]
    pub(crate) table: String,

    /// Show so many rows, at most 200
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
}

/// How far a verification goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// All objects are listed
    Present,
    /// Chunks decrypt and hash
    Checked,
    /// Content parses; row counts and hashes match
    #[default]
    Decoded,
}

impl Level {
    /// As the API spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Checked => "checked",
            Self::Decoded => "decoded",
        }
    }
}

/// `backup verify`
#[derive(Debug, Args)]
pub(crate) struct BackupVerify {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// How far to go
    #[arg(long, value_name = "LEVEL", default_value = "decoded")]
    pub(crate) level: Level,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `backup diff`
#[derive(Debug, Args)]
pub(crate) struct BackupDiff {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// The older backup; by default the one before it
    #[arg(value_name = "OLDER")]
    pub(crate) older: Option<String>,
}

/// `backup pin`
#[derive(Debug, Args)]
pub(crate) struct BackupPin {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// How long: a time like 2027-01-01 or 2027-01-01T06:00:00Z, `forever`, or `none` to remove the pin
    #[arg(long, value_name = "TIME", default_value = "forever", value_parser = types::pin)]
    pub(crate) until: Pin,
}

/// `backup annotate`
#[derive(Debug, Args)]
#[group(id = "annotation", required = true, multiple = true, args = ["label", "note"])]
pub(crate) struct BackupAnnotate {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// A word to find it by; empty removes it
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// A sentence about it; empty removes it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

/// `backup delete`
#[derive(Debug, Args)]
pub(crate) struct BackupDelete {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// Delete it although it is pinned, or the last good one of its database
    #[arg(long)]
    pub(crate) force: bool,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Plain SQL that psql loads
    #[default]
    Sql,
    /// The same, compressed
    #[value(name = "sql.gz")]
    SqlGz,
    /// One file per table, and the schema
    Tar,
    /// The same, compressed
    #[value(name = "tar.gz")]
    TarGz,
}

impl ExportFormat {
    /// As the API spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::SqlGz => "sql.gz",
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
        }
    }
}

/// `backup export`
#[derive(Debug, Args)]
pub(crate) struct BackupExport {
    #[command(flatten)]
    pub(crate) backup: BackupName,

    /// What it looks like
    #[arg(long, value_name = "FORMAT", default_value = "sql")]
    pub(crate) format: ExportFormat,

    /// Begin with the server's roles, memberships and tablespaces
    #[arg(long)]
    pub(crate) globals: bool,

    /// The file to write; `-`, the default, writes to standard output
    #[arg(long, short, value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Write over the file that -o names if there is one
    #[arg(long)]
    pub(crate) force: bool,
}
