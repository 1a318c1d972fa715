//! What a plan changes, written at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::Engine;
use super::super::access::end_logins;
use super::plan::Seen;
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, DatabaseRecord, DrillRecord, EnvironmentRecord, GroupRecord,
    JobRecord, ProjectRecord, RepositoryRecord, SettingsRecord, TargetRecord, TaskRecord,
    UserRecord,
};
use crate::catalog::{Record, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{JobId, RepositoryId};
use crate::model::Settings;
use crate::repository::Repository;
use crate::secret::SecretKey;

/// Records that are made, and records that are changed.
pub(super) struct Written<R> {
    pub(super) made: Vec<R>,
    pub(super) changed: Vec<R>,
}

impl<R> Default for Written<R> {
    fn default() -> Self {
        Self {
            made: Vec::new(),
            changed: Vec::new(),
        }
    }
}

impl<R: Record> Written<R> {
    pub(super) fn push(&mut self, record: R, is_new: bool) {
        if is_new {
            self.made.push(record);
        } else {
            self.changed.push(record);
        }
    }

    /// Writes them where they are still to be made, and still to be changed.
    fn write(&self, tx: &Tx<'_>) -> Result<()> {
        for (record, is_new) in self
            .made
            .iter()
            .map(|own| (own, true))
            .chain(self.changed.iter().map(|own| (own, false)))
        {
            if tx.get::<R>(record.id())?.is_some() == is_new {
                return Err(moved());
            }
            tx.put(&mut record.clone())?;
        }
        Ok(())
    }
}

/// A repository that is new here, open.
pub(super) struct NewRepository {
    pub(super) record: RepositoryRecord,
    /// What goes into a file of its own.
    pub(super) key: Option<SecretKey>,
    pub(super) open: Repository,
}

/// What is to be written.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) settings: Option<Settings>,
    pub(super) tasks: Vec<TaskRecord>,
    pub(super) projects: Written<ProjectRecord>,
    pub(super) environments: Written<EnvironmentRecord>,
    pub(super) connections: Written<ConnectionRecord>,
    pub(super) databases: Written<DatabaseRecord>,
    pub(super) repositories: Vec<NewRepository>,
    pub(super) default_repository: Option<RepositoryId>,
    pub(super) targets: Written<TargetRecord>,
    pub(super) jobs: Written<JobRecord>,
    pub(super) drills: Written<DrillRecord>,
    pub(super) groups: Written<GroupRecord>,
    pub(super) users: Written<UserRecord>,
    pub(super) api_keys: Written<ApiKeyRecord>,
}

impl Changes {
    fn write(&self, tx: &Tx<'_>) -> Result<()> {
        if let Some(settings) = &self.settings {
            tx.put(&mut SettingsRecord(settings.clone()))?;
        }
        for task in &self.tasks {
            tx.change::<TaskRecord>(task.id(), |record| {
                record.enabled = task.enabled;
                record.cron.clone_from(&task.cron);
                record.time_zone.clone_from(&task.time_zone);
                record.handled = task.handled;
                Ok(())
            })?;
        }
        self.projects.write(tx)?;
        self.environments.write(tx)?;
        for new in &self.repositories {
            tx.put(&mut new.record.clone())?;
        }
        self.connections.write(tx)?;
        self.databases.write(tx)?;
        self.targets.write(tx)?;
        self.jobs.write(tx)?;
        self.drills.write(tx)?;
        self.groups.write(tx)?;
        self.users.write(tx)?;
        for own in &self.users.changed {
            end_logins(tx, own.user.id)?;
        }
        self.api_keys.write(tx)?;
        self.choose_default(tx)?;
        self.check_references(tx)
    }

    fn choose_default(&self, tx: &Tx<'_>) -> Result<()> {
        let Some(default) = self.default_repository else {
            return Ok(());
        };
        for mut record in tx.all::<RepositoryRecord>()? {
            let is_default = record.repository.id == default;
            if record.repository.is_default != is_default {
                record.repository.is_default = is_default;
                tx.put(&mut record)?;
            }
        }
        Ok(())
    }

    /// What was here while the plan was made may have been removed since.
    fn check_references(&self, tx: &Tx<'_>) -> Result<()> {
        let jobs = self.jobs.made.iter().chain(&self.jobs.changed);
        let drills = self.drills.made.iter().chain(&self.drills.changed);
        let (mut connections, mut repositories) = (Vec::new(), Vec::new());
        for JobRecord { job, .. } in jobs {
            connections.push(job.connection_id);
            repositories.extend(&job.repository_ids);
        }
        for DrillRecord { drill, .. } in drills {
            connections.extend([drill.connection_id, drill.scratch_connection_id]);
            repositories.extend(drill.repository_id);
        }
        for id in connections {
            tx.get::<ConnectionRecord>(id.bits())?.ok_or_else(moved)?;
        }
        for id in repositories {
            tx.get::<RepositoryRecord>(id.bits())?.ok_or_else(moved)?;
        }
        Ok(())
    }
}

fn moved() -> Error {
    Error::new(
        Code::Conflict,
        "The setup was changed while the import was planned, so nothing was imported",
    )
    .hint("Try again")
}

impl Engine {
    /// Writes everything at once; on failure nothing is left, key files included.
    pub(super) async fn write_import(
        &self,
        mut changes: Changes,
        before: Seen,
        after: Seen,
    ) -> Result<()> {
        let mut made = Vec::new();
        let written = match self.write_keys(&mut changes, &mut made) {
            Ok(()) => self.write_changes(changes, before, after).await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            for path in made {
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!(%error, path = %path.display(), "a key file stays behind");
                }
            }
        }
        written
    }

    fn write_keys(&self, changes: &mut Changes, made: &mut Vec<PathBuf>) -> Result<()> {
        for NewRepository { record, key, .. } in &mut changes.repositories {
            if let Some(key) = key {
                let path = self.write_key_file(record.repository.id, key)?;
                made.push(path.clone());
                record.key_file = Some(path);
            }
        }
        Ok(())
    }

    async fn write_changes(&self, changes: Changes, before: Seen, after: Seen) -> Result<()> {
        let _changing = self.0.settings.changing().await;
        let open = changes
            .repositories
            .iter()
            .map(|new| (new.record.repository.id.bits(), new.open.clone()));
        let open: Vec<_> = open.collect();
        self.audited(move |tx, scribe| {
            changes.write(tx)?;
            scribe.note(tx, "config.import", "", Some(&before), Some(&after))
        })
        .await?;
        self.reread_settings()?;
        for (id, repository) in open {
            self.0.pool.keep(id, repository);
        }
        Ok(())
    }

    /// What follows from a new setup. The setup stands: what fails here is made up for by the next start.
    pub(super) async fn after_import(&self, job_ids: BTreeMap<String, JobId>) {
        self.changed();
        self.0.schedule.notify_one();
        let followed = async {
            for record in self.0.catalog.all::<EnvironmentRecord>()? {
                self.follow_schedule_with(&record, &job_ids).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = followed.await {
            let error = error.report();
            tracing::error!(
                error,
                "jobs do not follow the schedules of environments yet"
            );
        }
    }
}
