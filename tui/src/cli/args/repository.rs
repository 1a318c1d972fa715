//! `repository …`

mod key;

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueHint};

use super::{Page, RepositoryName, types};

pub(crate) use key::{RepositoryKeyAdd, RepositoryKeyCommand, RepositoryKeyRemove};

/// `repository …`
#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Add a repository, new or existing
    #[command(after_help = "\
Examples:
  backstay repository add disk /mnt/backup/backstay
  backstay repository add disk /mnt/backup/backstay --passphrase-file /root/passphrase
  backstay repository add second /mnt/other --same-domain-as disk

Without a passphrase a key file is made beside the engine's data. Take the recovery kit afterwards
(`backstay repository recovery-kit disk`): without key and kit nobody can read the backups.")]
    Add(RepositoryAdd),

    /// List the repositories
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay repository list"
    )]
    List(RepositoryList),

    /// Show one repository: place, size, what opens it
    #[command(after_help = "\
Examples:
  backstay repository show local")]
    Show(RepositoryName),

    /// Say how large a repository was day by day
    #[command(after_help = "\
Examples:
  backstay repository trends local
  backstay repository trends local --from 2026-03-01 --json

Repositories are measured by the system task `statistics`, once an hour unless it was changed. Days
are those of UTC; 400 of them are remembered.")]
    Trends(RepositoryTrends),

    /// Change what a repository is called
    #[command(after_help = "\
Examples:
  backstay repository edit local --name disk")]
    Edit(RepositoryEdit),

    /// Let new backups go to this repository
    #[command(after_help = "\
Examples:
  backstay repository set-default disk")]
    SetDefault(RepositoryName),

    /// Try that a repository can be read and written
    #[command(after_help = "\
Examples:
  backstay repository test local
  backstay repository test /mnt/backup/backstay      before adding it

A repository is opened with its key, its backups are listed, and a write is begun and ended there.
A place that was not added yet is only looked at. Says what is wrong and what to do, and
exits as the failure it found would; 0 when all is well. `check` looks at the data itself.")]
    Test(RepositoryTest),

    /// Check that everything the backups need is there and whole
    #[command(after_help = "\
Examples:
  backstay repository check local                    structure: every object is there
  backstay repository check local --read-data 100%   read, decrypt and hash everything
  backstay repository check local --read-data 5%     another twentieth each time

Changes nothing, and backups go on meanwhile. Names what is damaged and the backups that need it,
and exits 1 then; `backstay repository repair` mends what can be mended.")]
    Check(RepositoryCheck),

    /// Free the space of deleted backups
    #[command(after_help = "\
Examples:
  backstay repository prune local --dry-run
  backstay repository prune local

Backups go on meanwhile. Space that a writer may still need is freed by a later prune. A deleted
backup can be brought back for undo_window (7 days unless configured); its space is freed then.")]
    Prune(RepositoryPrune),

    /// Rebuild the index from the packs, and say what is lost
    #[command(after_help = "\
Examples:
  backstay repository repair local

Reads every file of data (pack), so it takes as long as reading the whole repository. Changes the
index and takes damaged packs out of use; deletes no backup. Run it when a check found damage.")]
    Repair(RepositoryRepair),

    /// Recreate the catalog from a repository: backups, connections, their secrets
    #[command(after_help = "\
Examples:
  backstay repository rebuild /mnt/backup/backstay --recovery-code-file kit.txt
  backstay repository rebuild /mnt/backup/backstay --passphrase-file /root/passphrase

All it needs is the repository and its recovery kit.")]
    Rebuild(RepositoryRebuild),

    /// Write the recovery kit: address, id and recovery code, as a ZIP
    #[command(after_help = "\
Examples:
  backstay repository recovery-kit local -o local-recovery-kit.zip
  backstay repository recovery-kit local -o - | gpg -c > kit.zip.gpg

Whoever has the kit can read the backups: keep it away from the server and from strangers.")]
    RecoveryKit(RepositoryRecoveryKit),

    /// List, add and remove what opens a repository
    #[command(subcommand)]
    Key(RepositoryKeyCommand),

    /// List deleted backups that can still be brought back, or bring one back
    #[command(after_help = "\
Examples:
  backstay repository trash local
  backstay repository trash local --undo bck_01J8Z

What is listed can be brought back until a prune after the time shown.")]
    Trash(RepositoryTrash),

    /// Forget a repository; what it holds stays where it is
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay repository remove disk --confirm disk"
    )]
    Remove(RepositoryName),
}

/// `repository trends`
#[derive(Debug, Args)]
pub(crate) struct RepositoryTrends {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// The first day, like 2026-03-01; the oldest one that is remembered unless told otherwise
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<NaiveDate>,

    /// The last day; today unless told otherwise
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<NaiveDate>,
}

/// `repository edit`
#[derive(Debug, Args)]
pub(crate) struct RepositoryEdit {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// Its new name
    #[arg(long = "name", value_name = "NEW")]
    pub(crate) new_name: String,
}

/// `repository add`
#[derive(Debug, Args)]
pub(crate) struct RepositoryAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Where it is: a folder's absolute path
    #[arg(value_name = "LOCATION", value_hint = ValueHint::DirPath)]
    pub(crate) location: String,

    /// File with a passphrase that opens it; `-` reads standard input. Without one a key file is made
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Open an existing repository with the recovery code in this file
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file", value_hint = ValueHint::FilePath)]
    pub(crate) recovery_code_file: Option<PathBuf>,

    /// Share deduplication with this repository, so that copies need no work
    #[arg(long, value_name = "R")]
    pub(crate) same_domain_as: Option<String>,

    /// Let new backups go here
    #[arg(long)]
    pub(crate) default: bool,
}

/// `repository list`
#[derive(Debug, Args)]
pub(crate) struct RepositoryList {
    #[command(flatten)]
    pub(crate) page: Page,
}

/// `repository test`
#[derive(Debug, Args)]
pub(crate) struct RepositoryTest {
    /// A repository's name or id, or a place that was not added yet
    #[arg(value_name = "NAME|LOCATION")]
    pub(crate) target: String,
}

/// `repository check`
#[derive(Debug, Args)]
pub(crate) struct RepositoryCheck {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// Read, decrypt and hash this share of the data as well, 1% to 100%; none when left out
    #[arg(long, value_name = "P%", value_parser = types::percent)]
    pub(crate) read_data: Option<u8>,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `repository prune`
#[derive(Debug, Args)]
pub(crate) struct RepositoryPrune {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// Say what would be freed and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `repository repair`
#[derive(Debug, Args)]
pub(crate) struct RepositoryRepair {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `repository rebuild`
#[derive(Debug, Args)]
pub(crate) struct RepositoryRebuild {
    /// Where the repository is
    #[arg(value_name = "LOCATION", value_hint = ValueHint::DirPath)]
    pub(crate) location: String,

    /// What to call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// File with the recovery code, as in the recovery kit; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) recovery_code_file: Option<PathBuf>,

    /// File with the repository's passphrase; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recovery_code_file", "key_file"], value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// The repository's key file
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_code_file", value_hint = ValueHint::FilePath)]
    pub(crate) key_file: Option<PathBuf>,

    /// Return at once with the run's id
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `repository recovery-kit`
#[derive(Debug, Args)]
pub(crate) struct RepositoryRecoveryKit {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// The file to write, made readable by you alone; `-` writes to standard output.
    /// backstay-NAME-recovery-kit.zip in this folder when left out
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// `repository trash`
#[derive(Debug, Args)]
pub(crate) struct RepositoryTrash {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,

    /// Bring this backup back
    #[arg(long, value_name = "BACKUP", conflicts_with_all = ["limit", "cursor"])]
    pub(crate) undo: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}
