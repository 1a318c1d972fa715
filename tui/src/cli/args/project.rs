//! `project …` and `environment …`

use clap::{Args, Subcommand};

use super::Page;

/// `project …`
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Add a project
    #[command(after_help = "\
Examples:
  backstay project add shop --description 'The web shop'

A connection that names a project or environment which is not there makes it:
`backstay connection add NAME URL --environment PROJECT/ENVIRONMENT`.")]
    Add(ProjectAdd),

    /// List projects, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay project list
  backstay project list --json | jq -r '.items[].name'"
    )]
    List(ProjectList),

    /// Show one project
    #[command(after_help = "\
Examples:
  backstay project show shop")]
    Show(ProjectName),

    /// Say what a project is for; its name never changes
    #[command(after_help = "\
Examples:
  backstay project edit shop --description 'The web shop'
  backstay project edit shop --description ''         remove the description")]
    Edit(ProjectEdit),

    /// Remove a project that has no connections
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay project remove shop --yes

Refused while it has connections, and while a group or an API key is limited to it."
    )]
    Remove(ProjectName),
}

/// Names one project.
#[derive(Debug, Args)]
pub(crate) struct ProjectName {
    /// The project's name or id
    #[arg(value_name = "PROJECT")]
    pub(crate) project: String,
}

/// `project add`
#[derive(Debug, Args)]
pub(crate) struct ProjectAdd {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// `project list`
#[derive(Debug, Args)]
pub(crate) struct ProjectList {
    #[command(flatten)]
    pub(crate) page: Page,
}

/// `project edit`
#[derive(Debug, Args)]
pub(crate) struct ProjectEdit {
    #[command(flatten)]
    pub(crate) project: ProjectName,

    /// What it is for; empty removes it
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: String,
}

/// `environment …`
#[derive(Debug, Subcommand)]
pub(crate) enum EnvironmentCommand {
    /// Add an environment to a project
    #[command(after_help = "\
Examples:
  backstay environment add shop/staging --description 'What is tried before it is shipped'")]
    Add(EnvironmentAdd),

    /// List environments, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay environment list
  backstay environment list --project shop"
    )]
    List(EnvironmentList),

    /// Show one environment
    #[command(after_help = "\
Examples:
  backstay environment show shop/production")]
    Show(EnvironmentName),

    /// Say what an environment is for
    #[command(after_help = "\
Examples:
  backstay environment edit shop/production --description 'What customers see'")]
    Edit(EnvironmentEdit),

    /// Remove an environment that has no connections
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay environment remove shop/staging --yes"
    )]
    Remove(EnvironmentName),

    /// Back up every selected database of an environment now
    #[command(after_help = "\
Examples:
  backstay environment backup shop/production
  backstay environment backup shop/production --label before-upgrade --detach")]
    Backup(EnvironmentBackup),

    /// Show, give or take the schedule of an environment
    #[command(after_help = "\
Examples:
  backstay environment schedule shop/production
  backstay environment schedule shop/production --cron '0 2 * * *' --zone Europe/Berlin
  backstay environment schedule shop/production --cron daily --keep-daily 14
  backstay environment schedule shop/production --cron daily --paused
  backstay environment schedule shop/production --remove

A schedule is a job for each connection of the environment, also for those added later; `backstay
job list` shows them. Giving a schedule replaces the one there was, with its rules.")]
    Schedule(EnvironmentSchedule),
}

/// Names one environment.
#[derive(Debug, Args)]
pub(crate) struct EnvironmentName {
    /// PROJECT/ENVIRONMENT, or the environment's id
    #[arg(value_name = "P/E")]
    pub(crate) environment: String,
}

/// `environment add`
#[derive(Debug, Args)]
pub(crate) struct EnvironmentAdd {
    /// The project, which exists, and the environment's name
    #[arg(value_name = "P/E", value_parser = super::types::environment)]
    pub(crate) environment: String,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// `environment list`
#[derive(Debug, Args)]
pub(crate) struct EnvironmentList {
    /// Only of this project
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `environment edit`
#[derive(Debug, Args)]
pub(crate) struct EnvironmentEdit {
    #[command(flatten)]
    pub(crate) environment: EnvironmentName,

    /// What it is for; empty removes it
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: String,
}

/// `environment backup`
#[derive(Debug, Args)]
pub(crate) struct EnvironmentBackup {
    #[command(flatten)]
    pub(crate) environment: EnvironmentName,

    /// full, diff or incr: see `backstay backup run --help`
    #[arg(long, value_name = "TYPE", value_parser = ["full", "diff", "incr"])]
    pub(crate) r#type: Option<String>,

    /// Store them here instead of in the default repository
    #[arg(long, value_name = "R")]
    pub(crate) repository: Option<String>,

    /// A word to find them by
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// Return at once with the runs' ids
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `environment schedule`
#[derive(Debug, Args)]
pub(crate) struct EnvironmentSchedule {
    #[command(flatten)]
    pub(crate) environment: EnvironmentName,

    /// When backups are made: five fields, or a name such as daily
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: Option<String>,

    /// By which clocks, like Europe/Berlin; UTC unless told otherwise
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub(crate) zone: Option<String>,

    /// Store backups here instead of in the default repository; may be given several times
    #[arg(long, value_name = "R", requires = "cron")]
    pub(crate) repository: Vec<String>,

    /// Its jobs run only when they are asked to
    #[arg(long, requires = "cron")]
    pub(crate) paused: bool,

    #[command(flatten)]
    pub(crate) keep: super::JobKeep,

    /// Take the schedule away; backups stay
    #[arg(long, conflicts_with = "cron")]
    pub(crate) remove: bool,
}
