//! Which of a job's backups stay: shown before, and carried out after each backup that succeeded.

use std::collections::HashMap;

use super::super::Engine;
use super::runs::group_of;
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, backup};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RepositoryId};
use crate::model::{
    Backup, BackupFate, Job, Level, Policy, RetentionPreview, RetentionRequest, RetentionRun, Run,
    RunStatus,
};
use crate::retention::Candidate;

impl Engine {
    /// What the job's retention, or another one, makes of its backups at this moment.
    pub async fn preview_retention(
        &self,
        key: &str,
        request: RetentionRequest,
    ) -> Result<RetentionPreview> {
        let job = self.find_job(key)?.job;
        let policy = request.retention.unwrap_or(job.work.retention.clone());
        self.fates(&job, policy, |_| true)
    }

    pub(in super::super) fn fates(
        &self,
        job: &Job,
        mut policy: Policy,
        wanted: impl Fn(&Backup) -> bool,
    ) -> Result<RetentionPreview> {
        let most = self.settings().retention.max_delete_percent;
        policy.max_delete_percent.get_or_insert(most);
        let query = Query::newest(usize::MAX)
            .only(backup::JOB, Some(job.id))
            .any_of(backup::STATUS, [RunStatus::Success, RunStatus::Partial]);
        let found = self.0.catalog.list::<BackupRecord>(&query)?.records;
        let backups: HashMap<BackupId, Backup> = found
            .into_iter()
            .map(|record| (record.0.id, record.0))
            .filter(|(_, backup)| wanted(backup))
            .collect();
        let candidates: Vec<Candidate> = backups
            .values()
            .map(|backup| Candidate {
                id: backup.id,
                source: group_of(backup),
                kind: backup.kind,
                backup_type: backup.backup_type,
                at: backup.created_at,
                complete: backup.is_good(),
                pinned_until: backup.pinned_until,
                needs: None,
            })
            .collect();
        let outcome = policy.apply(&candidates, self.now())?;
        Ok(RetentionPreview::new(policy, outcome, |id| {
            let backup = backups.get(&id)?;
            Some((group_of(backup), backup.created_at))
        }))
    }

    /// Carries the job's retention out now, on all its backups. Where more would go than the policy
    /// allows, a person has to confirm it with the job's name.
    pub async fn apply_retention(
        &self,
        key: &str,
        request: RetentionRun,
    ) -> Result<RetentionPreview> {
        let job = self.find_job(key)?.job;
        let fates = self.fates(&job, job.work.retention.clone(), |_| true)?;
        if let Some((source, percent)) = fates.over_limit.first_key_value()
            && request.confirm.as_deref() != Some(job.name.as_str())
        {
            return Err(Error::new(
                Code::Unconfirmed,
                format!("The retention would delete {percent} % of the backups of {source}"),
            )
            .hint(format!("Confirm it with --confirm {}", job.name))
            .field("confirm", "must be the name of the job"));
        }
        for fate in fates.backups.iter().filter(|fate| !fate.keep) {
            self.delete_fated(&job, fate).await?;
        }
        self.audit("job.retain", job.id, None::<&()>, Some(&fates))
            .await?;
        Ok(fates)
    }

    /// Deletes a backup as its fate says; whether it was there.
    async fn delete_fated(&self, job: &Job, fate: &BackupFate) -> Result<bool> {
        let remark = format!("retention of job {}: {}", job.name, fate.reasons.join(", "));
        let deleted = match self.resolve_backup(&fate.backup_id.to_string()) {
            Ok(backup) => self.delete_one(backup, false, &remark).await.map(|_| true),
            Err(error) => Err(error),
        };
        match deleted {
            Err(error) if error.code() == Code::BackupNotFound => Ok(false),
            other => other,
        }
    }

    /// Deletes what the retention says, of the database that the run backed up, in that repository.
    pub(super) async fn retain(
        &self,
        job: &Job,
        run: &Run,
        repository: RepositoryId,
    ) -> Result<()> {
        let fates = self.fates(job, job.work.retention.clone(), |backup| {
            Some(&backup.database) == run.database.as_ref() && backup.repository_id == repository
        })?;
        let mut lines = Vec::new();
        for (source, percent) in &fates.over_limit {
            let text = format!(
                "Retention deleted nothing of {source}: {percent} % of its backups would go. See \
                 `backstay job preview {name} --retention`; if that is meant, `backstay job retain {name} \
                 --confirm {name}` does it once, and a higher max_delete_percent always",
                name = job.name
            );
            tracing::warn!(job = job.name, "{text}");
            lines.push((Level::Warning, text));
            let refused = serde_json::json!({
                "job": job.name, "source": source, "percent": percent,
            });
            self.publish("job.retention_refused", job.id, &refused);
        }
        for fate in fates.backups.iter().filter(|fate| !fate.keep) {
            if fates.over_limit.contains_key(&fate.source) {
                continue;
            }
            let (id, why) = (fate.backup_id, fate.reasons.join(", "));
            match self.delete_fated(job, fate).await {
                Ok(true) => lines.push((
                    Level::Info,
                    format!("Retention deleted backup {id} of {}: {why}", fate.source),
                )),
                Ok(false) => {}
                Err(error) => lines.push((
                    Level::Warning,
                    format!("Retention could not delete backup {id}: {}", error.report()),
                )),
            }
        }
        for fate in fates.backups.iter().filter(|fate| fate.keep) {
            let text = format!(
                "Retention keeps backup {}: {}",
                fate.backup_id,
                fate.reasons.join(", ")
            );
            lines.push((Level::Info, text));
        }
        self.add_to_log(run, &lines).await
    }
}
