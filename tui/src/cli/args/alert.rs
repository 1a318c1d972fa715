//! `alert …`

use clap::{Args, Subcommand};

use super::Page;

/// `alert …`
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List alerts that wait for somebody, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay alert list
  backstay alert list --all --kind backup_stale
  backstay alert list --json | jq -r '.items[].title'

An alert is opened once, and closes itself when its state ends."
    )]
    List(AlertList),

    /// Say how many wait, and how many of them nobody read
    #[command(after_help = "\
Examples:
  backstay alert count
  backstay alert count --json | jq .unread")]
    Count,

    /// Mark an alert as read
    #[command(after_help = "\
Examples:
  backstay alert read alr_01J5")]
    Read(AlertName),

    /// Put an alert aside; it does not come back while its state goes on
    #[command(after_help = "\
Examples:
  backstay alert dismiss alr_01J5")]
    Dismiss(AlertName),
}

/// Names one alert.
#[derive(Debug, Args)]
pub(crate) struct AlertName {
    /// The alert's id, or the beginning of it
    #[arg(value_name = "ALERT")]
    pub(crate) alert: String,
}

/// `alert list`
#[derive(Debug, Args)]
pub(crate) struct AlertList {
    /// Also those that were dismissed or are over
    #[arg(long)]
    pub(crate) all: bool,

    /// Only of this kind, such as run_failed or backup_stale
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    /// Only of this project
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}
