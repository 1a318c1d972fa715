//! Checks, prunes, repairs, rebuilds: work on a repository that goes on as runs; and its trash.

use super::super::Engine;
use crate::catalog::records::{RepositoryRecord, RunRecord, TrashRecord, Work, trash};
use crate::catalog::{Query, Record as _};
use crate::error::{Code, Error, Result};
use crate::model::{
    Backup, CheckRequest, Deletion, Page, PageRequest, PruneReport, PruneRequest, RebuildRequest,
    RunKind, Started, Trigger,
};
use crate::runs::{Credentials, NewRun};

impl Engine {
    /// Starts a check.
    pub async fn check_repository(
        &self,
        key: &str,
        request: &CheckRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let percent = request.read_data_percent.unwrap_or(0);
        if percent > 100 {
            return Err(Error::invalid("A check cannot read more than everything")
                .field("read_data_percent", "must be 0 to 100"));
        }
        let work = Work::Check {
            read_data_percent: percent,
        };
        let record = self.find_repository(key)?;
        self.maintain(&record, RunKind::Check, "Check", work, trigger)
            .await
    }

    /// What a prune would do.
    pub async fn plan_prune(&self, key: &str) -> Result<PruneReport> {
        let record = self.find_repository(key)?;
        let repository = self.open_repository(&record).await?;
        let task = crate::monitor::Task::unwatched(std::sync::Arc::clone(&self.0.clock));
        self.prune_plan_of(&repository, &task).await
    }

    /// Starts a prune; with `dry_run` the run only reports.
    pub async fn prune_repository(
        &self,
        key: &str,
        request: &PruneRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let work = Work::Prune {
            dry_run: request.dry_run,
        };
        let record = self.find_repository(key)?;
        self.maintain(&record, RunKind::Prune, "Prune", work, trigger)
            .await
    }

    /// Starts a repair of the index.
    pub async fn repair_repository(&self, key: &str, trigger: Trigger) -> Result<Started> {
        let record = self.find_repository(key)?;
        self.maintain(&record, RunKind::Repair, "Repair", Work::Repair, trigger)
            .await
    }

    /// Starts to recreate the catalog from a repository: backups, runs, connections with secrets.
    pub async fn rebuild_repository(
        &self,
        request: RebuildRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let keys = [&request.recovery_code, &request.passphrase, &request.key];
        if keys.iter().filter(|key| key.is_some()).count() != 1 {
            return Err(Error::invalid("A rebuild needs one key")
                .hint("Give the recovery code of the kit, the passphrase or the key file")
                .field("recovery_code", "or passphrase or key must be given"));
        }
        let place = super::local_path(&request.location)?.display().to_string();
        let title = format!("Rebuild from {place}");
        let run = self.new_run(RunKind::Rebuild, title, trigger);
        let credentials = Credentials {
            recovery_code: request.recovery_code,
            passphrase: request.passphrase,
            key: request.key,
            place: Some((request.name, place)),
        };
        self.start(vec![NewRun {
            record: RunRecord {
                run,
                work: Work::Rebuild,
                job: None,
            },
            backups: Vec::new(),
            restore: None,
            credentials: Some(credentials),
        }])
        .await
    }

    /// Deleted backups that can be undone, newest deletion first.
    pub async fn repository_trash(&self, key: &str, page: &PageRequest) -> Result<Page<Deletion>> {
        let id = self.find_repository(key)?.repository.id;
        let query = Query::newest(usize::MAX).only(trash::REPOSITORY, Some(id));
        let found = self.0.catalog.list::<TrashRecord>(&query)?.records;
        let mut items: Vec<Deletion> = Vec::new();
        for record in found {
            if self.may_see(&record.owner())? {
                items.push(record.deletion);
            }
        }
        items.sort_by_key(|deletion| std::cmp::Reverse(deletion.deleted_at));
        Page::cut(items, page, |deletion| deletion.backup_id)
    }

    /// Brings a deleted backup back.
    pub async fn undo_delete(&self, key: &str, backup: &str) -> Result<Backup> {
        let record = self.find_repository(key)?;
        let trashed = self.find_trashed(backup)?;
        if trashed.backup.repository_id != record.repository.id {
            return Err(Error::new(
                Code::BackupNotFound,
                format!(
                    "\"{backup}\" is not in the trash of \"{}\"",
                    record.repository.name
                ),
            ));
        }
        self.take_back(&record, trashed).await
    }

    async fn maintain(
        &self,
        record: &RepositoryRecord,
        kind: RunKind,
        verb: &str,
        work: Work,
        trigger: Trigger,
    ) -> Result<Started> {
        let run = self.new_maintenance(record, kind, verb, work, trigger);
        self.start(vec![run]).await
    }

    pub(in super::super) fn new_maintenance(
        &self,
        record: &RepositoryRecord,
        kind: RunKind,
        verb: &str,
        work: Work,
        trigger: Trigger,
    ) -> NewRun {
        let title = format!("{verb} of repository {}", record.repository.name);
        let mut run = self.new_run(kind, title, trigger);
        run.repository_id = Some(record.repository.id);
        run.repository = Some(record.repository.name.clone());
        NewRun::of(run, work)
    }
}
