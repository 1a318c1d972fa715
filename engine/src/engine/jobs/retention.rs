//! Which of a job's backups stay: shown before, and carried out after each backup that succeeded.

use std::collections::HashMap;

use super::super::Engine;
use super::super::alerts::Draft;
use super::super::backups::source_of;
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, backup};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RepositoryId};
use crate::model::{
    AlertKind, Backup, BackupFate, Job, Level, Policy, RetentionPreview, RetentionRequest,
    RetentionRun, Run, RunStatus, Severity,
};
use crate::notify::Facts;
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
        self.fates(&job, policy, None)
    }

    /// What a policy makes of a job's backups, or of those of one database in one repository.
    pub(in super::super) fn fates(
        &self,
        job: &Job,
        mut policy: Policy,
        only: Option<(&str, RepositoryId)>,
    ) -> Result<RetentionPreview> {
        let most = self.settings().retention.max_delete_percent;
        policy.max_delete_percent.get_or_insert(most);
        let query = Query::newest(usize::MAX)
            .only(backup::JOB, Some(job.id))
            .only(backup::DATABASE, only.map(|(database, _)| database))
            .only(backup::REPOSITORY, only.map(|(_, repository)| repository))
            .any_of(backup::STATUS, [RunStatus::Success, RunStatus::Partial]);
        let found = self.0.catalog.list::<BackupRecord>(&query)?.records;
        let mut names: HashMap<String, String> = HashMap::new();
        let mut backups: HashMap<BackupId, Backup> = HashMap::new();
        let mut candidates = Vec::with_capacity(found.len());
        for BackupRecord(backup) in found {
            let group = group_of(&backup);
            // The newest comes first: it knows what everything is called now.
            names
                .entry(group.clone())
                .or_insert_with(|| name_of_group(&backup));
            candidates.push(Candidate {
                id: backup.id,
                source: group,
                kind: backup.kind,
                backup_type: backup.backup_type,
                at: backup.created_at,
                complete: backup.is_good(),
                pinned_until: backup.pinned_until,
                needs: None,
            });
            backups.insert(backup.id, backup);
        }
        let outcome = policy.apply(&candidates, self.now())?;
        let about = |id| {
            let backup = backups.get(&id)?;
            Some((group_of(backup), backup.created_at))
        };
        Ok(RetentionPreview::new(policy, outcome, about, |group| {
            names.get(group).cloned().unwrap_or_default()
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
        let mut fates = self.fates(&job, job.work.retention.clone(), None)?;
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
        fates.confirm();
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
        let database = run.database.as_deref().unwrap_or_default();
        let only = Some((database, repository));
        let fates = self.fates(job, job.work.retention.clone(), only)?;
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
        self.alert_of_refusal(job, run, repository, &fates).await?;
        for fate in fates.backups.iter().filter(|fate| fate.goes_by_itself()) {
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

    /// Opens or closes the alert of a database in one repository of which more would go than may.
    async fn alert_of_refusal(
        &self,
        job: &Job,
        run: &Run,
        repository: RepositoryId,
        fates: &RetentionPreview,
    ) -> Result<()> {
        let database = run.database.as_deref().unwrap_or_default();
        let subject = format!("{}/{database}/{repository}", job.id);
        let kind = AlertKind::RetentionRefused;
        let Some((source, percent)) = fates.over_limit.first_key_value() else {
            return self.close_alert(kind, &subject).await;
        };
        let name = &job.name;
        let draft = Draft {
            kind,
            severity: Severity::Warning,
            subject,
            title: format!("The retention of job {name} deleted nothing of {source}"),
            message: format!(
                "{percent} % of its backups would go, which is more than max_delete_percent. See \
                 `backstay job preview {name} --retention`; if that is meant, `backstay job retain {name} \
                 --confirm {name}`"
            ),
            facts: Facts {
                repository_id: Some(repository),
                ..self.facts_of(run)?
            },
        };
        self.raise_alert(draft).await.map(|_| ())
    }
}

/// What backups of compete with each other. Names change, and ids stay.
fn group_of(backup: &Backup) -> String {
    let (connection, repository) = (backup.connection_id, backup.repository_id);
    let chosen = !backup.is_of_the_database();
    format!("{connection} {repository} {chosen} {}", backup.database)
}

/// The same for people.
fn name_of_group(backup: &Backup) -> String {
    let chosen = if backup.is_of_the_database() {
        ""
    } else {
        " (chosen parts)"
    };
    format!("{} in {}{chosen}", source_of(backup), backup.repository)
}
