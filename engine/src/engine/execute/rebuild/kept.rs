//! What a rebuild takes in besides connections and what was done with them: jobs, drills, people,
//! settings, notification targets.

use std::collections::HashMap;

use super::{Engine, Put};
use crate::catalog::Record as _;
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, DrillRecord, EnvironmentRecord, GroupRecord, JobRecord,
    ProjectRecord, RepositoryRecord, SettingsRecord, TargetRecord, UserRecord, environment_key,
};
use crate::engine::access::FIRST_ADMINISTRATOR;
use crate::engine::exports::{CatalogExport, Portable};
use crate::error::Result;
use crate::ids::EnvironmentId;
use crate::model::{Level, RebuildReport};
use crate::monitor::Task;

impl Engine {
    /// Takes in what the catalog lacks; answers how many records were left out.
    pub(super) async fn take_in_kept(
        &self,
        export: &CatalogExport,
        report: &mut RebuildReport,
        task: &Task,
    ) -> Result<u64> {
        if self.has_people()? {
            // Whoever may do something elsewhere does not get in here because a repository is shared.
            let text = "Users, groups and API keys of the exported catalog were not taken in: this \
                        engine has its own";
            task.monitor.note(Level::Info, text);
        } else {
            for group in self.kept::<GroupRecord>(export)? {
                // Those that every engine has are there already.
                let name = group.name().unwrap_or_default();
                if self.0.catalog.by_name::<GroupRecord>(&name)?.is_none() {
                    self.put_if_new(group, task).await?;
                }
            }
            for user in self.kept::<UserRecord>(export)? {
                report.users += u64::from(self.put_if_new(user, task).await? == Put::New);
            }
            for key in self.kept::<ApiKeyRecord>(export)? {
                report.api_keys += u64::from(self.put_if_new(key, task).await? == Put::New);
            }
        }
        for settings in self.kept::<SettingsRecord>(export)? {
            if self.put_if_new(settings, task).await? == Put::New {
                self.reread_settings()?;
            }
        }
        let environments = self.take_in_environments(export, task).await?;
        let mut left_out = 0;
        // Before the jobs, whose hooks name them.
        for target in self.kept::<TargetRecord>(export)? {
            left_out += u64::from(self.put_if_new(target, task).await? == Put::LeftOut);
        }
        left_out += self
            .take_in_jobs(export, &environments, report, task)
            .await?;
        Ok(left_out + self.take_in_drills(export, task).await?)
    }

    /// Answers which environment here each of the exported catalog is.
    async fn take_in_environments(
        &self,
        export: &CatalogExport,
        task: &Task,
    ) -> Result<HashMap<EnvironmentId, EnvironmentId>> {
        let catalog = &self.0.catalog;
        for ProjectRecord(project) in self.kept::<ProjectRecord>(export)? {
            if catalog.by_name::<ProjectRecord>(&project.name)?.is_none() {
                self.put_if_new(ProjectRecord(project), task).await?;
            }
        }
        let mut here = HashMap::new();
        for mut record in self.kept::<EnvironmentRecord>(export)? {
            let exported = record.environment.id;
            let project = catalog.by_name::<ProjectRecord>(&record.environment.project)?;
            let Some(ProjectRecord(project)) = project else {
                continue;
            };
            record.environment.project_id = project.id;
            let mut known = Vec::new();
            for id in record.repository_ids {
                if catalog.get::<RepositoryRecord>(id.bits())?.is_some() {
                    known.push(id);
                }
            }
            record.repository_ids = known;
            // Its jobs come back paused, and stay so.
            if let Some(schedule) = &mut record.schedule {
                schedule.enabled = false;
            }
            let name = environment_key(&project.name, &record.environment.name);
            let own = if let Some(mut own) = catalog.by_name::<EnvironmentRecord>(&name)? {
                if own.schedule.is_none() && record.schedule.is_some() {
                    own.schedule = record.schedule;
                    own.repository_ids = record.repository_ids;
                    own = catalog.put(own).await?;
                }
                own.environment.id
            } else {
                self.put_if_new(record, task).await?;
                exported
            };
            here.insert(exported, own);
        }
        Ok(here)
    }

    /// Drills come back paused, as jobs do.
    async fn take_in_drills(&self, export: &CatalogExport, task: &Task) -> Result<u64> {
        let mut left_out = 0;
        for mut record in self.kept::<DrillRecord>(export)? {
            let drill = &mut record.drill;
            drill.enabled = false;
            let mut known = true;
            for id in [drill.connection_id, drill.scratch_connection_id] {
                known &= self.0.catalog.get::<ConnectionRecord>(id.bits())?.is_some();
            }
            let put = if known {
                self.put_if_new(record, task).await?
            } else {
                Put::LeftOut
            };
            left_out += u64::from(put == Put::LeftOut);
        }
        Ok(left_out)
    }

    async fn take_in_jobs(
        &self,
        export: &CatalogExport,
        environments: &HashMap<EnvironmentId, EnvironmentId>,
        report: &mut RebuildReport,
        task: &Task,
    ) -> Result<u64> {
        let (mut left_out, mut new) = (0, 0);
        for mut job in self.kept::<JobRecord>(export)? {
            let connection = job.job.connection_id.bits();
            if self
                .0
                .catalog
                .get::<ConnectionRecord>(connection)?
                .is_none()
            {
                left_out += 1;
                continue;
            }
            // The engine it comes from may be alive and do the same work.
            job.job.enabled = false;
            job.retries.clear();
            job.job.environment_id = job
                .job
                .environment_id
                .and_then(|id| environments.get(&id).copied());
            match self.put_if_new(job, task).await? {
                Put::New => new += 1,
                Put::LeftOut => left_out += 1,
                Put::Known => {}
            }
        }
        if new > 0 {
            report.jobs += new;
            let text = format!(
                "{new} jobs came back paused, in case their engine still runs; `backstay job resume` starts them"
            );
            task.monitor.note(Level::Warning, &text);
        }
        Ok(left_out)
    }

    fn kept<R: Portable>(&self, export: &CatalogExport) -> Result<Vec<R>> {
        let vault = self.0.catalog.vault();
        let records = export.kept.iter().map(|kept| kept.record::<R>(vault));
        records.filter_map(Result::transpose).collect()
    }

    /// Whether anybody but the administrator that a start with a listener makes may do something here.
    fn has_people(&self) -> Result<bool> {
        let catalog = &self.0.catalog;
        let made = catalog.meta(FIRST_ADMINISTRATOR)?;
        let mut users = catalog.all::<UserRecord>()?.into_iter();
        let by_people = users.any(|record| Some(record.user.id.to_string()) != made);
        Ok(by_people || !catalog.all::<ApiKeyRecord>()?.is_empty())
    }
}
