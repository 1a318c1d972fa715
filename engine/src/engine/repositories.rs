//! Repositories: create, check, prune, repair, rebuild, recovery kit.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{
    CheckRequest, Deletion, KeySlot, Page, PageRequest, PruneReport, PruneRequest, RebuildRequest,
    RecoveryKit, Repository, RepositoryCreate, RepositoryCreated, RepositoryEdit, RepositoryFile,
    RepositoryStats, RepositoryTest, Started, Trigger,
};

impl Engine {
    /// Repositories, newest first.
    pub async fn repositories(&self, page: &PageRequest) -> Result<Page<Repository>> {
        let _ = page;
        not_yet()
    }

    /// One repository, by id or name.
    pub async fn repository(&self, key: &str) -> Result<Repository> {
        let _ = key;
        not_yet()
    }

    /// Creates a repository, or adds the one that is at the place already.
    pub async fn add_repository(&self, create: RepositoryCreate) -> Result<RepositoryCreated> {
        let _ = create;
        not_yet()
    }

    /// Changes a repository's name.
    pub async fn edit_repository(&self, key: &str, edit: RepositoryEdit) -> Result<Repository> {
        let _ = (key, edit);
        not_yet()
    }

    /// Forgets a repository; its objects stay where they are. Refused for the default one.
    pub async fn remove_repository(&self, key: &str) -> Result<()> {
        let _ = key;
        not_yet()
    }

    /// Makes it the one backups go to when nothing else is said.
    pub async fn set_default_repository(&self, key: &str) -> Result<Repository> {
        let _ = key;
        not_yet()
    }

    /// Writes, reads and deletes an object there.
    pub async fn test_repository(&self, key: &str) -> Result<RepositoryTest> {
        let _ = key;
        not_yet()
    }

    /// Looks at a place before it is added.
    pub async fn test_new_repository(&self, create: RepositoryCreate) -> Result<RepositoryTest> {
        let _ = create;
        not_yet()
    }

    /// Numbers about it.
    pub async fn repository_stats(&self, key: &str) -> Result<RepositoryStats> {
        let _ = key;
        not_yet()
    }

    /// Its stored objects, in key order.
    pub async fn repository_files(
        &self,
        key: &str,
        page: &PageRequest,
    ) -> Result<Page<RepositoryFile>> {
        let _ = (key, page);
        not_yet()
    }

    /// The ways into it.
    pub async fn repository_keys(&self, key: &str) -> Result<Page<KeySlot>> {
        let _ = key;
        not_yet()
    }

    /// Starts a check.
    pub async fn check_repository(
        &self,
        key: &str,
        request: &CheckRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let _ = (key, request, trigger);
        not_yet()
    }

    /// What a prune would do.
    pub async fn plan_prune(&self, key: &str) -> Result<PruneReport> {
        let _ = key;
        not_yet()
    }

    /// Starts a prune; with `dry_run` the run only reports.
    pub async fn prune_repository(
        &self,
        key: &str,
        request: &PruneRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let _ = (key, request, trigger);
        not_yet()
    }

    /// Starts a repair of the index.
    pub async fn repair_repository(&self, key: &str, trigger: Trigger) -> Result<Started> {
        let _ = (key, trigger);
        not_yet()
    }

    /// Starts to recreate the catalog from a repository: backups, runs, connections with secrets.
    pub async fn rebuild_repository(
        &self,
        request: RebuildRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let _ = (request, trigger);
        not_yet()
    }

    /// A ZIP with everything needed to open the repository elsewhere. Makes a new recovery code,
    /// because codes are not kept.
    pub async fn recovery_kit(&self, key: &str) -> Result<RecoveryKit> {
        let _ = key;
        not_yet()
    }

    /// Deleted backups that can be undone.
    pub async fn repository_trash(&self, key: &str) -> Result<Page<Deletion>> {
        let _ = key;
        not_yet()
    }

    /// Brings a deleted backup back.
    pub async fn undo_delete(&self, key: &str, backup: &str) -> Result<crate::model::Backup> {
        let _ = (key, backup);
        not_yet()
    }
}
