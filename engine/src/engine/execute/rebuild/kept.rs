//! What a rebuild takes in besides connections and what was done with them: jobs, people, settings.

use super::{Engine, Put};
use crate::catalog::Record as _;
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, GroupRecord, JobRecord, SettingsRecord, UserRecord,
};
use crate::engine::exports::{CatalogExport, Portable};
use crate::error::Result;
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
        self.take_in_jobs(export, report, task).await
    }

    async fn take_in_jobs(
        &self,
        export: &CatalogExport,
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

    fn has_people(&self) -> Result<bool> {
        let catalog = &self.0.catalog;
        Ok(!catalog.all::<UserRecord>()?.is_empty() || !catalog.all::<ApiKeyRecord>()?.is_empty())
    }
}
