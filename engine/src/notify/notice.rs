//! Something that happened, as people and programs are told of it.

use serde::{Deserialize, Serialize};

use crate::ids::{AlertId, BackupId, ConnectionId, JobId, RepositoryId, RunId};
use crate::model::{Backup, Run, Time};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its name.
    pub event: String,
    /// When.
    pub at: Time,
    /// What it happened to, as a prefixed id.
    pub subject: Option<String>,
    /// One line.
    pub title: String,
    /// Everything worth saying, in a few lines.
    pub message: String,
    /// What it is about.
    #[serde(flatten)]
    pub facts: Facts,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// What something that happened is about; what does not apply is absent.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Facts {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }

        impl Facts {
            /// Their names, which are placeholders of templates.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// One of them as text; empty when it does not apply.
            pub fn text(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => Some(self.$name.as_ref().map(ToString::to_string).unwrap_or_default()),)*
                    _ => None,
                }
            }
        }
    };
}

facts! {
    /// The project.
    project: String,
    /// The environment in it.
    environment: String,
    /// The connection's id.
    connection_id: ConnectionId,
    /// The connection's name.
    connection: String,
    /// The database.
    database: String,
    /// The job's id.
    job_id: JobId,
    /// The job's name.
    job: String,
    /// Which try of the job's it was.
    attempt: u32,
    /// The repository's id.
    repository_id: RepositoryId,
    /// The repository's name.
    repository: String,
    /// The run.
    run_id: RunId,
    /// The backup.
    backup_id: BackupId,
    /// The alert.
    alert_id: AlertId,
    /// How the run ended.
    status: String,
    /// Why it did not succeed.
    error: String,
    /// What to do about it.
    hint: String,
    /// How long it took.
    duration_ms: u64,
    /// Bytes the server sent.
    source_bytes: u64,
    /// Bytes added to the repository.
    stored_bytes: u64,
    /// Rows in the backup.
    rows: u64,
    /// Objects that were lost.
    losses: u64,
}

impl Facts {
    /// What a run is about.
    pub fn of_run(run: &Run) -> Self {
        Self {
            connection_id: run.connection_id,
            connection: run.connection.clone(),
            database: run.database.clone(),
            job_id: run.job_id.as_ref().and_then(|id| id.parse().ok()),
            repository_id: run.repository_id,
            repository: run.repository.clone(),
            run_id: Some(run.id),
            backup_id: run.backup_id,
            status: Some(run.status.to_string()),
            error: run.error.as_ref().map(|error| error.message.clone()),
            hint: run.error.as_ref().and_then(|error| error.hint.clone()),
            duration_ms: run.duration_ms,
            losses: Some(run.losses_total).filter(|losses| *losses > 0),
            ..Self::default()
        }
    }

    /// Adds how large a backup is.
    #[must_use]
    pub fn sized(mut self, backup: &Backup) -> Self {
        self.source_bytes = Some(backup.source_bytes);
        self.stored_bytes = Some(backup.stored_bytes);
        self.rows = Some(backup.rows);
        self
    }
}
