//! `config …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// `config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the whole setup into one document
    #[command(after_help = "\
Examples:
  backstay config export -o setup.json --passphrase-file secret.txt
  backstay config export                          without passwords and keys, to look at or compare
  backstay config export --passphrase-file secret.txt | gzip > setup.json.gz

Settings, system tasks, projects, environments with their schedules, repositories, connections,
jobs, drills, notification targets, groups, users and API keys; no backups, no runs. With a
passphrase, which has at least 8 characters, passwords and keys are in it too, sealed.
`config import` takes it in.")]
    Export(ConfigExport),

    /// Take in what `config export` wrote, all of it or nothing
    #[command(after_help = "\
Examples:
  backstay config import setup.json --dry-run                          show what it would do
  backstay config import setup.json --passphrase-file secret.txt       ask, then do it
  backstay config import setup.json --passphrase-file secret.txt --paused --yes
  backstay config import jobs.json --overwrite

Things are the same when they have the same name. What is here stays as it is unless --overwrite
is given; repositories always stay. What lacks its secret afterwards is named. A document may be
written by hand, and hold only a part. When something cannot be taken in, nothing is, and the exit
code tells why; a dry run exits 6 then. Takes every permission. What is in a repository that is
new here is listed after `backstay repository rebuild LOCATION`.")]
    Import(ConfigImport),
}

/// `config export`
#[derive(Debug, Args)]
pub(crate) struct ConfigExport {
    /// Write this file, mode 0600, which must not exist yet; printed when left out
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Put passwords and keys in, sealed under the passphrase on the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// `config import`
#[derive(Debug, Args)]
pub(crate) struct ConfigImport {
    /// The document, `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// The passphrase of the export, on the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Change nothing; show what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Change what is here and differs
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Pause the jobs, drills and schedules that are new: wise while the other engine still runs
    #[arg(long)]
    pub(crate) paused: bool,
}
