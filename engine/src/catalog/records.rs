//! The records: API documents plus what only the engine may know.

mod access;
mod answers;
mod downloads;
mod drills;
mod jobs;
mod notifications;
mod owed;
mod projects;
mod remarks;
mod settings;
mod sums;
mod tasks;

/// Calls a function for every kind of record, one after the other; the first error ends it.
macro_rules! for_every_kind {
    ($function:ident($argument:expr)) => {{
        use crate::catalog::records as kinds;
        $function::<kinds::ConnectionRecord>($argument)?;
        $function::<kinds::DatabaseRecord>($argument)?;
        $function::<kinds::RepositoryRecord>($argument)?;
        $function::<kinds::BackupRecord>($argument)?;
        $function::<kinds::RunRecord>($argument)?;
        $function::<kinds::RestoreRecord>($argument)?;
        $function::<kinds::TrashRecord>($argument)?;
        $function::<kinds::UserRecord>($argument)?;
        $function::<kinds::GroupRecord>($argument)?;
        $function::<kinds::ApiKeyRecord>($argument)?;
        $function::<kinds::LoginRecord>($argument)?;
        $function::<kinds::AuditRecord>($argument)?;
        $function::<kinds::JobRecord>($argument)?;
        $function::<kinds::SettingsRecord>($argument)?;
        $function::<kinds::ProjectRecord>($argument)?;
        $function::<kinds::EnvironmentRecord>($argument)?;
        $function::<kinds::DrillRecord>($argument)?;
        $function::<kinds::DrillReportRecord>($argument)?;
        $function::<kinds::TaskRecord>($argument)?;
        $function::<kinds::HealthRecord>($argument)?;
        $function::<kinds::MeasureRecord>($argument)?;
        $function::<kinds::DownloadRecord>($argument)?;
        $function::<kinds::TargetRecord>($argument)?;
        $function::<kinds::DeliveryRecord>($argument)?;
        $function::<kinds::AlertRecord>($argument)?;
        $function::<kinds::OwedRecord>($argument)?;
        $function::<kinds::AnswerRecord>($argument)?;
    }};
}
pub(in crate::catalog) use for_every_kind;

pub use access::*;
pub use answers::*;
pub use downloads::*;
pub use drills::*;
pub use jobs::*;
pub use notifications::*;
pub use owed::*;
pub use projects::*;
pub use remarks::{Remark, day_of, remarks_of};
pub use settings::*;
pub use sums::*;
pub use tasks::*;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::record::{Facet, Owner, Record, Table};
use super::undecodable;
use crate::error::Result;
use crate::ids::DrillId;
use crate::model::{
    Backup, BackupCreate, BackupKind, BackupType, Connection, Database, Deletion, Repository,
    Restore, RestoreCreate, Run, RunKind, RunStatus, TaskId, VerifyLevel,
};
use crate::vault::Sealed;

/// Facet numbers of connections.
pub mod connection {
    /// Project.
    pub const PROJECT: u8 = 0;
    /// Environment.
    pub const ENVIRONMENT: u8 = 1;
    /// Database system.
    pub const ENGINE: u8 = 2;
}

/// Facet numbers of databases.
pub mod database {
    /// Connection id.
    pub const CONNECTION: u8 = 0;
}

/// Facet numbers of backups.
pub mod backup {
    /// Connection id.
    pub const CONNECTION: u8 = 0;
    /// Database name.
    pub const DATABASE: u8 = 1;
    /// Kind and type: see [`super::kind_and_type`].
    pub const TYPE: u8 = 2;
    /// Status.
    pub const STATUS: u8 = 3;
    /// Label.
    pub const LABEL: u8 = 4;
    /// Job id.
    pub const JOB: u8 = 5;
    /// Repository id.
    pub const REPOSITORY: u8 = 6;
}

/// Facet numbers of deleted backups.
pub mod trash {
    /// Repository id.
    pub const REPOSITORY: u8 = 0;
}

/// Facet numbers of runs.
pub mod run {
    /// Kind.
    pub const KIND: u8 = 0;
    /// Status.
    pub const STATUS: u8 = 1;
    /// Connection id.
    pub const CONNECTION: u8 = 2;
    /// Database name.
    pub const DATABASE: u8 = 3;
    /// Job id.
    pub const JOB: u8 = 4;
}

/// Facet numbers of restores.
pub mod restore {
    /// Id of the connection the backup came from.
    pub const SOURCE: u8 = 3;
    /// Backup id.
    pub const BACKUP: u8 = 0;
    /// Connection id.
    pub const CONNECTION: u8 = 1;
    /// Status.
    pub const STATUS: u8 = 2;
}

/// A connection and its sealed secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// What may be shown.
    pub connection: Connection,
    /// The role's password.
    pub password: Option<Sealed>,
    /// The tunnel's private key.
    pub ssh_key: Option<Sealed>,
    /// What unlocks the private key.
    pub ssh_passphrase: Option<Sealed>,
    /// The tunnel account's password.
    pub ssh_password: Option<Sealed>,
}

/// A repository and what opens it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepositoryRecord {
    /// What may be shown.
    pub repository: Repository,
    /// The key file, where one is used.
    pub key_file: Option<std::path::PathBuf>,
    /// The passphrase, where one is used.
    pub passphrase: Option<Sealed>,
    /// The recovery code, for the kit.
    pub recovery_code: Option<Sealed>,
    /// Catalogs of others in it that a rebuild has taken in: what this catalog lacks of them was
    /// removed since.
    #[serde(default)]
    pub taken_in: Vec<TakenIn>,
}

/// A catalog, as some engine kept it in a repository at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenIn {
    /// Whose.
    pub writer: String,
    /// As of when.
    pub at: crate::model::Time,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupRecord(pub Backup);

/// A deleted backup that can be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrashRecord {
    /// Its number among deletions.
    pub serial: u64,
    /// The backup as it was.
    pub backup: Backup,
    /// When and until when.
    pub deletion: Deletion,
}

/// What a run is to do, kept so that a queued run survives a restart. Secrets are not in it:
/// work that needs one is not taken up again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Make a backup.
    Backup(BackupCreate),
    /// Bring one back.
    Restore(RestoreCreate),
    /// Prove one.
    Verify(VerifyLevel),
    /// Restore one into a scratch database and compare.
    Drill {
        /// Which drill asks for it.
        drill: DrillId,
        /// It is cancelled when it takes longer.
        max_runtime_seconds: Option<u64>,
    },
    /// Check a repository.
    Check {
        /// How much of the data to read.
        read_data_percent: u8,
    },
    /// Free what nothing needs.
    Prune {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Repair the index.
    Repair,
    /// Recreate the catalog.
    Rebuild,
    /// Something that the engine does by itself.
    Task(TaskId),
}

/// A run and its work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// What may be shown.
    pub run: Run,
    /// What it does.
    pub work: Work,
    /// The job it belongs to.
    #[serde(default)]
    pub job: Option<OfJob>,
}

impl RunRecord {
    /// How long it may take before it is cancelled.
    pub fn max_runtime_seconds(&self) -> Option<u64> {
        match &self.work {
            Work::Drill {
                max_runtime_seconds,
                ..
            } => *max_runtime_seconds,
            _ => self.job.as_ref().and_then(|job| job.max_runtime_seconds),
        }
    }
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RestoreRecord(pub Restore);

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatabaseRecord(pub Database);

impl Record for ConnectionRecord {
    const TABLE: Table = Table::Connections;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.connection.id.bits()
    }
    fn serial(&self) -> u64 {
        self.connection.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.connection.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Project(self.connection.project.clone())
    }
    fn name(&self) -> Option<String> {
        Some(self.connection.name.clone())
    }
    fn facets(&self) -> Vec<Facet> {
        vec![
            (connection::PROJECT, self.connection.project.clone()),
            (connection::ENVIRONMENT, self.connection.environment.clone()),
            (connection::ENGINE, self.connection.engine.to_string()),
        ]
    }
}

impl Record for DatabaseRecord {
    const TABLE: Table = Table::Databases;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.0.id.bits()
    }
    fn serial(&self) -> u64 {
        self.0.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.0.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Connection(self.0.connection_id)
    }
    fn name(&self) -> Option<String> {
        Some(database_key(self.0.connection_id, &self.0.name))
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(database::CONNECTION, self.0.connection_id.to_string())]
    }
}

/// The unique name of a database record.
pub fn database_key(connection: crate::ids::ConnectionId, name: &str) -> String {
    format!("{connection}/{name}")
}

impl Record for RepositoryRecord {
    const TABLE: Table = Table::Repositories;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.repository.id.bits()
    }
    fn serial(&self) -> u64 {
        self.repository.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.repository.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Everybody
    }
    fn name(&self) -> Option<String> {
        Some(self.repository.name.clone())
    }
}

impl Record for BackupRecord {
    const TABLE: Table = Table::Backups;
    // 2: every field is written, so that its JSON can be passed on.
    const VERSION: u8 = 2;
    fn id(&self) -> u128 {
        self.0.id.bits()
    }
    fn serial(&self) -> u64 {
        self.0.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.0.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Connection(self.0.connection_id)
    }
    fn facets(&self) -> Vec<Facet> {
        let own = &self.0;
        FiledBackup {
            connection_id: own.connection_id.to_string().into(),
            database: Cow::Borrowed(&own.database),
            kind: own.kind,
            backup_type: own.backup_type,
            status: own.status,
            repository_id: own.repository_id.to_string().into(),
            label: own.label.as_deref().map(Cow::Borrowed),
            job_id: own.job_id.as_deref().map(Cow::Borrowed),
        }
        .facets()
    }
    fn facets_in(document: &[u8]) -> Result<Vec<Facet>> {
        let filed: FiledBackup<'_> = serde_json::from_slice(document).map_err(undecodable)?;
        Ok(filed.facets())
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        let remark = remarks::share_of(&self.0);
        sums::of_backup(&self.0).into_iter().chain(remark).collect()
    }
}

/// What lists of backups filter by.
#[derive(Deserialize)]
struct FiledBackup<'a> {
    #[serde(borrow)]
    connection_id: Cow<'a, str>,
    #[serde(borrow)]
    database: Cow<'a, str>,
    kind: BackupKind,
    #[serde(rename = "type")]
    backup_type: BackupType,
    status: RunStatus,
    #[serde(borrow)]
    repository_id: Cow<'a, str>,
    #[serde(borrow)]
    label: Option<Cow<'a, str>>,
    #[serde(borrow)]
    job_id: Option<Cow<'a, str>>,
}

impl FiledBackup<'_> {
    fn facets(self) -> Vec<Facet> {
        let mut facets = vec![
            (backup::CONNECTION, self.connection_id.into_owned()),
            (backup::DATABASE, self.database.into_owned()),
            (backup::TYPE, kind_and_type(self.kind, self.backup_type)),
            (backup::STATUS, self.status.to_string()),
            (backup::REPOSITORY, self.repository_id.into_owned()),
        ];
        facets.extend(self.label.map(|label| (backup::LABEL, label.into_owned())));
        facets.extend(self.job_id.map(|job| (backup::JOB, job.into_owned())));
        facets
    }
}

/// The one facet for both, since kinds and types are few: a list by one of them takes any of the other.
pub fn kind_and_type(kind: BackupKind, backup_type: BackupType) -> String {
    format!("{kind}/{backup_type}")
}

impl Record for TrashRecord {
    const TABLE: Table = Table::Trash;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.backup.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Connection(self.backup.connection_id)
    }
    fn facets(&self) -> Vec<Facet> {
        let repository = self.backup.repository_id.to_string();
        vec![(trash::REPOSITORY, repository)]
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        let repository = self.backup.repository_id;
        vec![(tally::within(repository, tally::BACKUPS), 1)]
    }
}

impl Record for RunRecord {
    const TABLE: Table = Table::Runs;
    // 2: every field is written, so that its JSON can be passed on.
    const VERSION: u8 = 2;
    fn id(&self) -> u128 {
        self.run.id.bits()
    }
    fn serial(&self) -> u64 {
        self.run.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.run.serial = serial;
    }
    fn owner(&self) -> Owner {
        let connection = self.run.connection_id;
        connection.map_or(Owner::Engine, Owner::Connection)
    }
    fn facets(&self) -> Vec<Facet> {
        let run = &self.run;
        FiledRun {
            kind: run.kind,
            status: run.status,
            connection_id: run.connection_id.map(|id| id.to_string().into()),
            database: run.database.as_deref().map(Cow::Borrowed),
            job_id: run.job_id.as_deref().map(Cow::Borrowed),
        }
        .facets()
    }
    fn facets_in(document: &[u8]) -> Result<Vec<Facet>> {
        #[derive(Deserialize)]
        struct Filed<'a> {
            #[serde(borrow)]
            run: FiledRun<'a>,
        }
        let filed: Filed<'_> = serde_json::from_slice(document).map_err(undecodable)?;
        Ok(filed.run.facets())
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        sums::of_run(&self.run)
    }
}

/// What lists of runs filter by.
#[derive(Deserialize)]
struct FiledRun<'a> {
    kind: RunKind,
    status: RunStatus,
    #[serde(borrow)]
    connection_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    database: Option<Cow<'a, str>>,
    #[serde(borrow)]
    job_id: Option<Cow<'a, str>>,
}

impl FiledRun<'_> {
    fn facets(self) -> Vec<Facet> {
        let mut facets = vec![
            (run::KIND, self.kind.to_string()),
            (run::STATUS, self.status.to_string()),
        ];
        let named = [
            (run::CONNECTION, self.connection_id),
            (run::DATABASE, self.database),
            (run::JOB, self.job_id),
        ];
        let named = named.into_iter();
        facets.extend(named.filter_map(|(facet, own)| Some((facet, own?.into_owned()))));
        facets
    }
}

impl Record for RestoreRecord {
    const TABLE: Table = Table::Restores;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.0.id.bits()
    }
    fn serial(&self) -> u64 {
        self.0.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.0.serial = serial;
    }
    fn owner(&self) -> Owner {
        let connection = self.0.connection_id;
        connection.map_or(Owner::Engine, Owner::Connection)
    }
    fn facets(&self) -> Vec<Facet> {
        let mut facets = vec![
            (restore::BACKUP, self.0.backup_id.to_string()),
            (restore::STATUS, self.0.status.to_string()),
        ];
        facets.extend(
            self.0
                .connection_id
                .map(|id| (restore::CONNECTION, id.to_string())),
        );
        facets.extend(
            self.0
                .source_connection_id
                .map(|id| (restore::SOURCE, id.to_string())),
        );
        facets
    }
}
