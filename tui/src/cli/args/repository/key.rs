//! `repository key …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::RepositoryName;

/// `repository key …`
#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryKeyCommand {
    /// List what opens a repository
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay repository key list local

The last column says which key this engine opens the repository with, and which one the recovery kit
that it hands out opens. A damaged key opens nothing; its problem is told."
    )]
    List(RepositoryName),

    /// Add a passphrase, a recovery code or a key file that opens a repository
    #[command(after_help = "\
Examples:
  backstay repository key add local                                ask for a passphrase
  backstay repository key add local --passphrase-file /root/passphrase --use
  backstay repository key add local --recovery-code --label 'safe in the office'
  backstay repository key add local --new-key-file /media/stick/local.key

Each key opens all of the repository, by itself. A recovery code is shown this once, and the content
of a key file is nowhere but in that file, unless the engine is to use it.

To change keys, add one with --use, and then remove the one that the engine opened it with before.")]
    Add(RepositoryKeyAdd),

    /// Remove a key: what it opened, it opens no more
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay repository key remove local key_01J8ZK4T0W3M5N7P9R1S2V4X6Y --confirm local

The key that this engine opens the repository with is not removed before it has another one. When
that of the recovery kit goes, the kit opens nothing any more: take it anew. Nothing is encrypted
anew: whoever had the key and has a copy of the folder `keys` from before still reads the backups."
    )]
    Remove(RepositoryKeyRemove),
}

/// `repository key add`
#[derive(Debug, Args)]
pub(crate) struct RepositoryKeyAdd {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// File with the passphrase; `-` reads standard input. It is asked for when nothing is given
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Make a recovery code and show it
    #[arg(long, conflicts_with_all = ["passphrase_file", "new_key_file"])]
    pub(crate) recovery_code: bool,

    /// Make a key and write it into this new file, readable by you alone
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file", value_hint = ValueHint::FilePath)]
    pub(crate) new_key_file: Option<PathBuf>,

    /// What to call it
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// Let the engine keep it, and open the repository with it from now on
    #[arg(long = "use", conflicts_with = "recovery_code")]
    pub(crate) use_here: bool,
}

/// `repository key remove`
#[derive(Debug, Args)]
pub(crate) struct RepositoryKeyRemove {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// The key's id
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
}
