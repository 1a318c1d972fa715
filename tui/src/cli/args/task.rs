//! `task …`

use clap::{Args, Subcommand};

/// `task …`
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List what the engine does by itself, and when
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay task list
  backstay task list --json | jq -r '.items[] | [.id, .next_run_at] | @tsv'

Their runs are listed by `backstay run list --kind task`, --kind prune and --kind check."
    )]
    List,

    /// Run a system task now
    #[command(after_help = "\
Examples:
  backstay task run check
  backstay task run connection_health
  backstay task run prune --detach")]
    Run(TaskRun),

    /// Change when a system task runs by itself
    #[command(after_help = "\
Examples:
  backstay task edit check --cron '0 1 * * *' --zone Europe/Berlin
  backstay task edit connection_health --cron '* * * * *'
  backstay task edit prune --disable
  backstay task edit prune --enable")]
    Edit(TaskEdit),
}

/// `task run`
#[derive(Debug, Args)]
pub(crate) struct TaskRun {
    /// The task, as `task list` names it
    #[arg(value_name = "TASK")]
    pub(crate) task: String,

    /// Do not wait for the end
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `task edit`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct TaskEdit {
    /// The task, as `task list` names it
    #[arg(value_name = "TASK")]
    pub(crate) task: String,

    /// When: five fields of crontab, or a preset's name
    #[arg(long, value_name = "CRON", group = "change")]
    pub(crate) cron: Option<String>,

    /// By which clocks: a name of the IANA database
    #[arg(long, value_name = "ZONE", group = "change")]
    pub(crate) zone: Option<String>,

    /// Let it run by itself
    #[arg(long, group = "change", conflicts_with = "disable")]
    pub(crate) enable: bool,

    /// Let it run only when it is asked to
    #[arg(long, group = "change")]
    pub(crate) disable: bool,
}
