//! Records of projects and environments.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Owner, Record, Table};
use crate::ids::RepositoryId;
use crate::model::{Environment, EnvironmentSchedule, Project};

/// Facet numbers of environments.
pub mod environment {
    /// Project id.
    pub const PROJECT: u8 = 0;
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectRecord(pub Project);

/// An environment and its schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentRecord {
    /// What may be shown.
    pub environment: Environment,
    /// What was put; its repositories are named by `repository_ids`.
    pub schedule: Option<EnvironmentSchedule>,
    /// Where its backups go.
    pub repository_ids: Vec<RepositoryId>,
}

/// The unique name of an environment record.
pub fn environment_key(project: &str, environment: &str) -> String {
    format!("{project}/{environment}")
}

impl Record for ProjectRecord {
    const TABLE: Table = Table::Projects;
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
        Owner::Project(self.0.name.clone())
    }
    fn name(&self) -> Option<String> {
        Some(self.0.name.clone())
    }
}

impl Record for EnvironmentRecord {
    const TABLE: Table = Table::Environments;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.environment.id.bits()
    }
    fn serial(&self) -> u64 {
        self.environment.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.environment.serial = serial;
    }
    fn owner(&self) -> Owner {
        Owner::Project(self.environment.project.clone())
    }
    fn name(&self) -> Option<String> {
        let own = &self.environment;
        Some(environment_key(&own.project, &own.name))
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(
            environment::PROJECT,
            self.environment.project_id.to_string(),
        )]
    }
}
