//! Backups and restores through the engine's pipelines, with a repository of their own.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backstay_engine::clock::{SharedClock, SystemClock};
use backstay_engine::error::Result;
use backstay_engine::ids::BackupId;
use backstay_engine::monitor::{Remembering, Task};
use backstay_engine::pipeline::archive::Archive;
use backstay_engine::pipeline::backup::{self, BackupOutcome, BackupRequest, Place};
use backstay_engine::pipeline::plan::{self, Plan, RestoreOptions};
use backstay_engine::pipeline::restore::{self, RestoreOutcome};
use backstay_engine::repository::{NewSlots, OpenOptions, Repository};
use backstay_engine::source::postgres::Target;
use backstay_engine::source::postgres::logical::ranges::RANGE_BLOCKS;
use backstay_engine::source::postgres::logical::selection::Selection;
use backstay_engine::storage::local::LocalStorage;
use tokio_util::sync::CancellationToken;

use crate::places::Scratch;
use crate::postgres::Server;

/// A repository in a private folder, and the pipelines around it.
#[derive(Debug)]
pub struct Backups {
    /// The repository.
    pub repository: Repository,
    /// Hears everything that the pipelines report.
    pub monitor: Arc<Remembering>,
    /// What long work is given.
    pub task: Task,
    scratch: Scratch,
}

impl Backups {
    /// A new repository on local disk.
    pub async fn new() -> Self {
        let scratch = Scratch::new("repository-");
        let clock: SharedClock = Arc::new(SystemClock);
        let storage = LocalStorage::open(scratch.path().join("store"))
            .await
            .unwrap();
        let slots = NewSlots {
            key_file: true,
            ..NewSlots::default()
        };
        let options = OpenOptions {
            cache_dir: scratch.path().join("cache"),
            clock: Arc::clone(&clock),
            cpu_workers: 2,
            verify_writes: true,
        };
        let created = Repository::create(Arc::new(storage), &slots, options)
            .await
            .unwrap();
        let monitor = Arc::new(Remembering::default());
        let task = Task {
            monitor: Arc::clone(&monitor) as Arc<dyn backstay_engine::monitor::Monitor>,
            cancel: CancellationToken::new(),
            clock,
        };
        Self {
            repository: created.repository,
            monitor,
            task,
            scratch,
        }
    }

    /// The folder of the repository, for tests that look at its size or damage it.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// What a backup of a whole database asks for.
    pub fn request(&self, server: &Server, database: &str) -> BackupRequest {
        request(server, database)
    }

    /// Backs a whole database up; nothing may be lost.
    pub async fn back_up(&self, server: &Server, database: &str) -> BackupOutcome {
        let outcome = self
            .try_back_up(&self.request(server, database))
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "backup of {database}: {} ({:?})",
                    error.report(),
                    error.hint_text()
                )
            });
        assert_eq!(outcome.losses, [], "losses of the backup of {database}");
        outcome
    }

    /// Backs up what a request says.
    pub async fn try_back_up(&self, request: &BackupRequest) -> Result<BackupOutcome> {
        let place = Place {
            repository: self.repository.clone(),
            name: "test".to_owned(),
            id: BackupId::generate(self.task.clock.now()),
            writer_name: "test".to_owned(),
            base: None,
            run_facts: serde_json::Value::Null,
        };
        backup::run(place, request, &self.task).await
    }

    /// What restoring would do.
    pub async fn plan(
        &self,
        id: BackupId,
        server: &Server,
        options: &RestoreOptions,
    ) -> Result<Plan> {
        let archive = Archive::open(&self.repository, id).await?;
        plan::plan(&archive, &target(server), options, self.task.clock.now()).await
    }

    /// Restores a backup.
    pub async fn try_restore(
        &self,
        id: BackupId,
        server: &Server,
        options: &RestoreOptions,
    ) -> Result<RestoreOutcome> {
        restored(&self.repository, id, server, options, &self.task).await
    }

    /// Restores a backup; nothing may be lost and every table must be proved.
    pub async fn restore(
        &self,
        id: BackupId,
        server: &Server,
        options: &RestoreOptions,
    ) -> RestoreOutcome {
        let outcome = self
            .try_restore(id, server, options)
            .await
            .unwrap_or_else(|error| {
                panic!("restore: {} ({:?})", error.report(), error.hint_text())
            });
        assert_eq!(outcome.losses, [], "losses of the restore");
        outcome
    }
}

/// What a backup of a whole database asks for.
pub fn request(server: &Server, database: &str) -> BackupRequest {
    BackupRequest {
        target: target(server),
        database: database.to_owned(),
        selection: Selection::default(),
        workers: NonZeroUsize::new(2).unwrap(),
        range_blocks: RANGE_BLOCKS,
        lock_timeout: Duration::from_secs(10),
        snapshot_age_max: None,
    }
}

/// Restores a backup of any repository.
pub async fn restored(
    repository: &Repository,
    id: BackupId,
    server: &Server,
    options: &RestoreOptions,
    task: &Task,
) -> Result<RestoreOutcome> {
    let archive = Archive::open(repository, id).await?;
    let target = target(server);
    let plan = plan::plan(&archive, &target, options, task.clock.now()).await?;
    let workers = NonZeroUsize::new(2).unwrap();
    restore::run(repository, &archive, &plan, &target, workers, task).await
}

/// The server as the engine reaches it.
pub fn target(server: &Server) -> Target {
    Target::from_url(&server.url("postgres")).unwrap()
}

/// A restore into a database of that name.
pub fn into(database: &str) -> RestoreOptions {
    RestoreOptions {
        database: Some(database.to_owned()),
        ..RestoreOptions::default()
    }
}
