//! Repositories: places that hold backups.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{Time, secret_field};
use crate::ids::RepositoryId;
use crate::secret::SecretText;

choices! {
    /// What opens a repository here.
    KeyKind, "kind of key" {
        /// A key file beside the catalog.
        KeyFile = "key_file",
        /// A passphrase, sealed in the catalog.
        Passphrase = "passphrase",
    }
}

choices! {
    /// What opens a key slot.
    KeySlotKind, "kind of key slot" {
        /// The key of a key file.
        KeyFile = "key_file",
        /// A passphrase.
        Passphrase = "passphrase",
        /// A recovery code, like the recovery kit's.
        RecoveryCode = "recovery_code",
    }
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    /// Its id in this catalog.
    pub id: RepositoryId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// Where it is, without secrets.
    pub location: String,
    /// The id inside the repository itself, a UUID.
    pub uid: String,
    /// Whether backups go here when nothing else is said.
    pub is_default: bool,
    /// What opens it.
    pub key: KeyKind,
    /// Whether the recovery kit was taken.
    pub kit_taken_at: Option<Time>,
    /// When it was made or added.
    pub created_at: Time,
    /// When it was last checked without finding damage.
    pub checked_at: Option<Time>,
    /// When it was last pruned.
    pub pruned_at: Option<Time>,
}

/// A new repository, or an existing one to add.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryCreate {
    /// Its unique name.
    pub name: String,
    /// `/path`, `s3://…` or `sftp://…`.
    pub location: String,
    /// A passphrase; a key file is made without one. Opens what is there already.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// The recovery code that opens what is there already.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub recovery_code: Option<SecretText>,
    /// Whether it becomes the default.
    #[serde(default)]
    pub default: bool,
    /// Shares the dedup domain of that repository, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_domain_as: Option<String>,
}

/// A place to try without making a repository: as it would be added, with or without a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryTry {
    /// What it would be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `/path`, `s3://…` or `sftp://…`.
    pub location: String,
    /// A passphrase; nothing is opened with it here.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// A recovery code; nothing is opened with it here.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub recovery_code: Option<SecretText>,
    /// Whether it would become the default.
    #[serde(default)]
    pub default: bool,
    /// Whose dedup domain it would share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_domain_as: Option<String>,
}

/// The answer to a creation. The recovery code is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryCreated {
    /// The repository.
    #[serde(flatten)]
    pub repository: Repository,
    /// Opens the repository when everything else is lost; absent when it existed before.
    pub recovery_code: Option<String>,
}

/// Changes to a repository; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryEdit {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a test of a repository found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryTest {
    /// Whether it can be used.
    pub ok: bool,
    /// One sentence.
    pub message: String,
    /// What to do when it is not ok.
    pub hint: Option<String>,
    /// Stable error code when it is not ok.
    pub code: Option<String>,
    /// Whether a repository is there already.
    pub exists: bool,
    /// Bytes the place has, where that can be known.
    pub total_bytes: Option<u64>,
    /// Bytes still free there.
    pub free_bytes: Option<u64>,
}

/// Numbers about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryStats {
    /// The repository.
    pub id: RepositoryId,
    /// Backups in it.
    pub backups: u64,
    /// Bytes the servers sent for them.
    pub source_bytes: u64,
    /// Bytes of all its objects.
    pub stored_bytes: u64,
    /// Its objects.
    pub objects: u64,
    /// Its packs.
    pub packs: u64,
    /// Bytes of its packs.
    pub pack_bytes: u64,
    /// Deleted backups that can still be undone.
    pub trash: u64,
    /// Bytes the place has, where that can be known.
    pub total_bytes: Option<u64>,
    /// Bytes still free there.
    pub free_bytes: Option<u64>,
}

/// How large a repository was at the end of a day, or now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryDay {
    /// Which, by UTC.
    pub date: NaiveDate,
    /// Bytes of all its objects.
    pub stored_bytes: u64,
    /// Bytes the servers sent for the backups in it.
    pub source_bytes: u64,
    /// Backups in it.
    pub backups: u64,
    /// Bytes free in its place, where that could be known.
    pub free_bytes: Option<u64>,
}

/// Which days of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RepositoryDays {
    /// The first day; the oldest that is known when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The last day; today when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// Days wanted at once, 1 to 200; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One stored object, for the storage explorer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryFile {
    /// Its key.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was made.
    pub modified_at: Time,
}

/// Asks for a check.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// How much of the data to read, 0 to 100 percent; 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_data_percent: Option<u8>,
}

/// Asks for a prune.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Recreates the catalog from a repository.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RebuildRequest {
    /// Where it is.
    pub location: String,
    /// Its name in the catalog; the one it had when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The recovery code of the kit.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub recovery_code: Option<SecretText>,
    /// Or its passphrase.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// Or its key, as the key file holds it.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub key: Option<SecretText>,
}

/// A recovery kit: a ZIP to keep away from the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryKit {
    /// A name for the file.
    pub file_name: String,
    /// The ZIP.
    pub bytes: bytes::Bytes,
}

/// A way into a repository: a key slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySlot {
    /// Its id in the repository; of an object that is no key slot, what it is called there.
    pub id: String,
    /// What opens it; not known of a damaged one.
    pub kind: Option<KeySlotKind>,
    /// For people.
    pub label: Option<String>,
    /// When it was made, where known.
    pub created_at: Option<Time>,
    /// Whether this engine opens the repository with it.
    pub used_here: bool,
    /// Whether it is opened by the recovery kit that this engine hands out.
    pub in_kit: bool,
    /// What is wrong with a damaged one, which opens nothing.
    pub problem: Option<String>,
}

/// A new key of a repository: one of `passphrase`, `recovery_code` and `key_file`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyCreate {
    /// This passphrase.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// A new recovery code, which is shown once.
    #[serde(default)]
    pub recovery_code: bool,
    /// A new key for a key file, which is shown once.
    #[serde(default)]
    pub key_file: bool,
    /// For people; what opens it when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether this engine keeps it and opens the repository with it from now on.
    #[serde(default)]
    pub use_here: bool,
}

/// The answer to a new key. What opens the slot is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyMade {
    /// The key slot.
    #[serde(flatten)]
    pub slot: KeySlot,
    /// The new recovery code.
    pub recovery_code: Option<String>,
    /// What a key file holds: 64 hexadecimal digits.
    pub key: Option<String>,
}
