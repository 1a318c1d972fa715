//! Records of jobs.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Owner, Record, Table};
use crate::ids::{JobId, RepositoryId};
use crate::model::{Job, Time};

/// Facet numbers of jobs.
pub mod job {
    /// Connection id.
    pub const CONNECTION: u8 = 0;
    /// Whether it runs by itself.
    pub const ENABLED: u8 = 1;
    /// Id of the environment whose schedule it belongs to.
    pub const ENVIRONMENT: u8 = 2;
}

/// A job, and how far its schedule is dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// What may be shown; names, next and last run in it are filled in when it is answered.
    pub job: Job,
    /// Scheduled times up to here are dealt with.
    pub handled: Time,
    /// When it was last let run by itself, or got its schedule, after it was made.
    #[serde(default)]
    pub since: Option<Time>,
    /// Runs that failed and are to be tried again, and first tries that wait for their turn.
    #[serde(default)]
    pub retries: Vec<Retry>,
}

/// A run that is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Of which database.
    pub database: String,
    /// Into which repositories.
    pub repository_ids: Vec<RepositoryId>,
    /// Which try it will be; the first run is number 1.
    pub attempt: u32,
    /// When.
    pub at: Time,
}

/// What a run knows of the job it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfJob {
    /// Which.
    pub id: JobId,
    /// Which try it is.
    pub attempt: u32,
    /// It is cancelled when it takes longer.
    pub max_runtime_seconds: Option<u64>,
}

impl Record for JobRecord {
    const TABLE: Table = Table::Jobs;
    /// 1: a retry had one repository. 3: every field is written, so that its JSON can be passed on.
    const VERSION: u8 = 3;
    fn id(&self) -> u128 {
        self.job.id.bits()
    }
    fn serial(&self) -> u64 {
        self.job.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.job.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Connection(self.job.connection_id)
    }
    fn name(&self) -> Option<String> {
        Some(self.job.name.clone())
    }
    fn upgrade(from: u8, mut document: serde_json::Value) -> serde_json::Value {
        if from > 1 {
            return document;
        }
        let retries = document["retries"].as_array_mut();
        for retry in retries.into_iter().flatten() {
            retry["repository_ids"] = serde_json::json!([retry["repository_id"]]);
        }
        document
    }
    fn facets(&self) -> Vec<Facet> {
        let mut facets = vec![
            (job::CONNECTION, self.job.connection_id.to_string()),
            (job::ENABLED, self.job.enabled.to_string()),
        ];
        facets.extend(
            self.job
                .environment_id
                .map(|id| (job::ENVIRONMENT, id.to_string())),
        );
        facets
    }
}
