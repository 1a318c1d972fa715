//! `job …`

use clap::{Args, Subcommand};

use super::types::Source;
use super::{Page, types};

/// `job …`
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Add a job: a backup that is made again and again
    #[command(after_help = "\
Examples:
  backstay job add nightly shop --cron '0 2 * * *' --zone Europe/Berlin
  backstay job add orders shop/orders --cron hourly --keep-last 24 --keep-daily 14
  backstay job add twice shop --cron daily --repository local --repository second
  backstay job add by-hand shop/orders --verify decoded
  backstay job add quiet shop --cron daily --hook-before pause-app --hook-after resume-app

A schedule has crontab's five fields (minute, hour, day of month, month, day of week), or is a name:
every_15_minutes, hourly, every_6_hours, daily, weekdays, weekly, monthly, yearly. Without one the
job runs when `job run` is called. Without a --keep rule every backup stays; the last good one of
each database always does. What is deleted can be brought back for a while, see `repository trash`.")]
    Add(JobAdd),

    /// List jobs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay job list
  backstay job list --json | jq -r '.items[] | [.name, .next_run_at] | @tsv'"
    )]
    List(JobList),

    /// Show one job: what, when, where, and how its last run went
    #[command(after_help = "\
Examples:
  backstay job show nightly")]
    Show(JobName),

    /// Change a job; what is not named stays
    #[command(after_help = "\
Examples:
  backstay job edit nightly --cron '30 3 * * *'
  backstay job edit nightly --keep-last 7 --keep-monthly 12
  backstay job edit nightly --no-schedule

Rules of retention are replaced together: one --keep flag drops the rules there were. So are hooks.")]
    Edit(JobEdit),

    /// Run a job now
    #[command(after_help = "\
Examples:
  backstay job run nightly
  backstay job run nightly --detach

Shows progress until it ended; Ctrl-C cancels it. One run is made for each
database; it reads once and stores into every repository of the job. Exits 5 when one lacks it.")]
    Run(JobRun),

    /// Let a job run only when it is asked to
    #[command(after_help = "\
Examples:
  backstay job pause nightly")]
    Pause(JobName),

    /// Let a paused job run by itself again, from now on
    #[command(after_help = "\
Examples:
  backstay job resume nightly")]
    Resume(JobName),

    /// Say when a job will run, or which of its backups its retention would delete
    #[command(after_help = "\
Examples:
  backstay job preview nightly
  backstay job preview nightly --count 30
  backstay job preview nightly --retention")]
    Preview(JobPreview),

    /// Delete now what a job's retention says; it does so by itself after each backup that succeeded
    #[command(after_help = "\
Examples:
  backstay job retain nightly
  backstay job retain nightly --confirm nightly

Where more would go than --max-delete allows, the job's name has to be typed or given with
--confirm. What is deleted can be brought back for a while, see `repository trash`.")]
    Retain(JobName),

    /// Add a paused job like another one
    #[command(after_help = "\
Examples:
  backstay job clone nightly weekly")]
    Clone(JobClone),

    /// Remove a job; its backups stay
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay job remove nightly --yes"
    )]
    Remove(JobName),
}

/// Names one job.
#[derive(Debug, Args)]
pub(crate) struct JobName {
    /// The job's name or id
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
}

/// When something runs by itself.
#[derive(Debug, Args)]
pub(crate) struct When {
    /// When it runs by itself: five fields, or a name such as daily
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: Option<String>,

    /// By which clocks, like Europe/Berlin; UTC unless told otherwise
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub(crate) zone: Option<String>,

    /// Spread starts over this many seconds
    #[arg(long, value_name = "SECONDS", requires = "cron")]
    pub(crate) jitter: Option<u32>,

    /// Start nothing then, like 08:00-18:00; may be given several times
    #[arg(long, value_name = "FROM-TO", requires = "cron", value_parser = types::window)]
    pub(crate) blackout: Vec<(String, String)>,

    /// What becomes of times that passed while no engine ran: one run for all, or none
    #[arg(long, value_name = "HOW", requires = "cron", value_parser = ["once", "skip"])]
    pub(crate) catch_up: Option<String>,
}

/// What `job add` and `job edit` both take.
#[derive(Debug, Args)]
pub(crate) struct JobOptions {
    #[command(flatten)]
    pub(crate) when: When,

    /// Store backups here instead of in the default repository; may be given several times
    #[arg(long, value_name = "R")]
    pub(crate) repository: Vec<String>,

    /// A word to find its backups by
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// full, diff or incr: what retention counts them as
    #[arg(long, value_name = "TYPE", value_parser = ["full", "diff", "incr"])]
    pub(crate) r#type: Option<String>,

    /// Call this webhook, a notification target, before each run; may be given several times
    #[arg(long, value_name = "TARGET")]
    pub(crate) hook_before: Vec<String>,

    /// Call this webhook after each run, with how it ended; may be given several times
    #[arg(long, value_name = "TARGET")]
    pub(crate) hook_after: Vec<String>,

    /// What becomes of a run whose hook before it fails
    #[arg(long, value_name = "HOW", requires = "hook_before", value_parser = ["abort", "ignore"])]
    pub(crate) hook_failure: Option<String>,

    /// How long a hook before a run may take; 30 unless told otherwise
    #[arg(long, value_name = "SECONDS", requires = "hook_before")]
    pub(crate) hook_timeout: Option<u32>,

    /// Only this schema; may be given several times, * and ? match
    #[arg(long, short = 'n', value_name = "SCHEMA")]
    pub(crate) schema: Vec<String>,

    /// Only this table, SCHEMA.TABLE; may be given several times, * and ? match
    #[arg(long, short, value_name = "TABLE")]
    pub(crate) table: Vec<String>,

    /// Not this table, SCHEMA.TABLE; may be given several times, * and ? match
    #[arg(long, short = 'T', value_name = "TABLE")]
    pub(crate) exclude_table: Vec<String>,

    /// Verify each backup once it is made
    #[arg(long, value_name = "LEVEL", value_parser = ["none", "present", "checked", "decoded"])]
    pub(crate) verify: Option<String>,

    /// Try a scheduled run that failed again so many times
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Wait before the first of them, in seconds; each later one waits twice as long
    #[arg(long, value_name = "SECONDS")]
    pub(crate) backoff: Option<u32>,

    /// Cancel a run that takes longer than so many seconds; 0 lets it take its time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_runtime: Option<u64>,

    #[command(flatten)]
    pub(crate) keep: JobKeep,
}

/// Rules of retention.
#[derive(Debug, Args)]
pub(crate) struct JobKeep {
    /// Keep the newest so many backups
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<u32>,

    /// Keep all that are younger than so many days
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_within: Option<u32>,

    /// Keep the newest of each of so many hours
    #[arg(long, value_name = "N")]
    pub(crate) keep_hourly: Option<u32>,

    /// Keep the newest of each of so many days
    #[arg(long, value_name = "N")]
    pub(crate) keep_daily: Option<u32>,

    /// Keep the newest of each of so many weeks
    #[arg(long, value_name = "N")]
    pub(crate) keep_weekly: Option<u32>,

    /// Keep the newest of each of so many months
    #[arg(long, value_name = "N")]
    pub(crate) keep_monthly: Option<u32>,

    /// Keep the newest of each of so many years
    #[arg(long, value_name = "N")]
    pub(crate) keep_yearly: Option<u32>,

    /// Delete nothing when more than this share of a database's backups would go (50% unless told otherwise)
    #[arg(long, value_name = "P%", value_parser = types::percent)]
    pub(crate) max_delete: Option<u8>,
}

/// `job add`
#[derive(Debug, Args)]
pub(crate) struct JobAdd {
    /// The job's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The connection, and one of its databases; all selected ones without
    #[arg(value_name = "CONNECTION[/DATABASE]", value_parser = types::source)]
    pub(crate) target: Source,

    /// Another database of it; may be given several times
    #[arg(long, value_name = "DATABASE")]
    pub(crate) database: Vec<String>,

    /// Add it paused
    #[arg(long)]
    pub(crate) paused: bool,

    #[command(flatten)]
    pub(crate) options: JobOptions,
}

/// `job list`
#[derive(Debug, Args)]
pub(crate) struct JobList {
    /// Only of this connection
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `job edit`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct JobEdit {
    #[command(flatten)]
    pub(crate) job: JobName,

    /// A new name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Its databases; may be given several times
    #[arg(long, value_name = "DATABASE", conflicts_with = "all_databases")]
    pub(crate) database: Vec<String>,

    /// Every selected database of the server
    #[arg(long)]
    pub(crate) all_databases: bool,

    /// Take the schedule away
    #[arg(long, conflicts_with = "cron")]
    pub(crate) no_schedule: bool,

    /// Call no hooks any more
    #[arg(long, conflicts_with_all = ["hook_before", "hook_after"])]
    pub(crate) no_hooks: bool,

    /// Take every rule of retention away: all backups stay
    #[arg(long)]
    pub(crate) keep_all: bool,

    #[command(flatten)]
    pub(crate) options: JobOptions,
}

/// `job run`
#[derive(Debug, Args)]
pub(crate) struct JobRun {
    #[command(flatten)]
    pub(crate) job: JobName,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `job preview`
#[derive(Debug, Args)]
pub(crate) struct JobPreview {
    #[command(flatten)]
    pub(crate) job: JobName,

    /// Say what its retention would do now
    #[arg(long, conflicts_with = "count")]
    pub(crate) retention: bool,

    /// How many starts to tell
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) count: u32,
}

/// `job clone`
#[derive(Debug, Args)]
pub(crate) struct JobClone {
    #[command(flatten)]
    pub(crate) job: JobName,

    /// The new job's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
