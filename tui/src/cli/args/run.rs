//! `run …`

use backstay_engine::model::RunKind;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::{Page, RunName, types};

/// `run …`
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay run list
  backstay run list --status running
  backstay run list --kind backup --since 2026-03-01"
    )]
    List(RunList),

    /// Show one run: state, progress, outcome, what was lost
    #[command(after_help = "\
Examples:
  backstay run show run_01J8Z")]
    Show(RunName),

    /// Follow a run until it ends, and exit as it did
    #[command(after_help = "\
Examples:
  backstay run watch run_01J8Z
  backstay run watch run_01J8Z --json     one document per change

Ctrl-C stops watching; the run goes on.")]
    Watch(RunName),

    /// Print a run's log
    #[command(after_help = "\
Examples:
  backstay run log run_01J8Z
  backstay run log run_01J8Z -f")]
    Log(RunLog),

    /// Stop a run; what it stored already is reused by the next one
    #[command(after_help = "\
Examples:
  backstay run cancel run_01J8Z")]
    Cancel(RunName),
}

/// `run list`
#[derive(Debug, Args)]
pub(crate) struct RunList {
    /// Only of this kind
    #[arg(long, value_name = "KIND", value_parser = types::run_kind())]
    pub(crate) kind: Option<RunKind>,

    /// Only with this status
    #[arg(long, value_name = "STATUS", value_parser = ["pending", "running", "success", "partial", "failed", "cancelled", "interrupted"])]
    pub(crate) status: Option<String>,

    /// Only of this job
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,

    /// Only of this connection
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<String>,

    /// Only of databases of this name
    #[arg(long, value_name = "DATABASE")]
    pub(crate) database: Option<String>,

    /// Only begun at or after this time, like 2026-03-01 or 2026-03-01T14:30:00Z
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only begun before this time
    #[arg(long, value_name = "TIME", value_parser = types::time)]
    pub(crate) until: Option<DateTime<Utc>>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `run log`
#[derive(Debug, Args)]
pub(crate) struct RunLog {
    #[command(flatten)]
    pub(crate) run: RunName,

    /// Go on until the run ends
    #[arg(long, short)]
    pub(crate) follow: bool,
}
