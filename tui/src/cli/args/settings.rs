//! `settings …`

use clap::{Args, Subcommand};

/// `settings …`
#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show all settings, or one
    #[command(after_help = "\
Examples:
  backstay settings get
  backstay settings get rate_limits.reads_per_minute
  backstay settings get --json | jq .rate_limits")]
    Get(SettingsGet),

    /// Change a setting; it is in force at once
    #[command(after_help = "\
Examples:
  backstay settings set public_url https://backup.example.com
  backstay settings set rate_limits.reads_per_minute 500
  backstay settings set rate_limits.enabled false
  backstay settings set metrics.open true
  backstay settings set public_url ''

An empty text takes away what may be left out. `settings get` shows every key.")]
    Set(SettingsSet),
}

/// `settings get`
#[derive(Debug, Args)]
pub(crate) struct SettingsGet {
    /// Only this one, with its group: `logs.run_days`
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// `settings set`
#[derive(Debug, Args)]
pub(crate) struct SettingsSet {
    /// Which one, with its group: `logs.run_days`
    #[arg(value_name = "KEY")]
    pub(crate) key: String,

    /// Its new value
    #[arg(value_name = "VALUE")]
    pub(crate) value: String,
}
