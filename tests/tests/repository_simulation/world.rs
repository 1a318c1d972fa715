//! A repository with several actors, each behind the gate, and what must hold of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_engine::clock::{Clock as _, SharedClock};
use backstay_engine::ids::BackupId;
use backstay_engine::repository::{PruneOptions, PruneReport, Repository};
use backstay_engine::storage::Storage;
use backstay_engine::{Code, Result};
use backstay_tests::flawed::Flaw;
use backstay_tests::memory::{Known, Place, back_up, read_back};
use backstay_tests::stepped::{Gate, Operation};
use parking_lot::Mutex;

/// Why a simulation ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A committed backup that nobody deleted does not read back.
    Lost(String),
    /// Anything else that should not happen.
    Unexpected(String),
}

/// What was done, to show that there was something to get wrong.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) committed: u64,
    pub(crate) expired: u64,
    pub(crate) crashed: u64,
    pub(crate) prunes: u64,
    pub(crate) collected: PruneReport,
}

/// What actors leave behind for the world to see.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    /// What must read back.
    pub(crate) committed: Arc<Mutex<BTreeMap<BackupId, Known>>>,
    pub(crate) totals: Arc<Mutex<Totals>>,
}

pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) gate: Gate,
    pub(crate) ledger: Ledger,
    /// Sees everything at once, and is nobody's process.
    pub(crate) observer: Repository,
    next_actor: usize,
}

/// One process that works on the repository.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// Its number at the gate.
    pub(crate) number: usize,
    pub(crate) repository: Repository,
}

impl World {
    pub(crate) async fn new() -> Self {
        let place = Place::new().await;
        let observer = place.open().await.unwrap();
        Self {
            place,
            gate: Gate::default(),
            ledger: Ledger::default(),
            observer,
            next_actor: 0,
        }
    }

    /// Starts a process; its operations wait at the gate from now on.
    pub(crate) async fn start(&mut self, flaw: Option<Flaw>) -> Actor {
        let number = self.next_actor;
        self.next_actor += 1;
        let storage = Arc::clone(&self.place.storage) as Arc<dyn Storage>;
        let mut storage = self.gate.storage(storage, number);
        let mut clock: SharedClock = self.place.clock.clone();
        if let Some(flaw) = flaw {
            storage = flaw.storage(storage);
            clock = flaw.clock(clock);
        }
        self.gate.set_free(number, true);
        let options = self.place.options(clock);
        let repository = Repository::open(storage, &self.place.key, options).await;
        self.gate.set_free(number, false);
        Actor {
            number,
            repository: repository.unwrap(),
        }
    }

    /// Backs up at once, past the gate.
    pub(crate) async fn back_up(&self, blocks: &[u16]) -> BackupId {
        self.place.clock.advance(std::time::Duration::from_secs(1));
        let id = BackupId::generate(self.place.clock.now());
        let known = back_up(&self.observer, id, blocks).await.unwrap();
        self.ledger.committed.lock().insert(id, known);
        id
    }

    /// Deletes a backup at once; the next collection purges it.
    pub(crate) async fn delete(&self, id: BackupId) {
        self.ledger.committed.lock().remove(&id);
        let undo = std::time::Duration::ZERO;
        let deleted = self
            .observer
            .delete_backup(id, "simulation", "", undo)
            .await;
        deleted.unwrap();
    }

    /// Every committed backup reads back.
    pub(crate) async fn prove(&self, moment: &str) -> Result<(), Failure> {
        let committed = self.ledger.committed.lock().clone();
        for known in committed.values() {
            read_back(&self.observer, known)
                .await
                .map_err(|why| Failure::Lost(format!("{moment}: {why}")))?;
        }
        Ok(())
    }

    /// [`Self::prove`] when an operation may have taken something away.
    pub(crate) async fn prove_after(&self, operation: &Operation) -> Result<(), Failure> {
        if operation.verb == "delete" && operation.key.starts_with("packs/") {
            self.gate.settle().await;
            self.prove(&format!("after {operation:?}")).await
        } else {
            Ok(())
        }
    }
}

/// What a writer does.
pub(crate) async fn write(
    repository: Repository,
    id: BackupId,
    blocks: Vec<u16>,
    ledger: Ledger,
) -> Result<()> {
    match back_up(&repository, id, &blocks).await {
        Ok(known) => {
            ledger.committed.lock().insert(id, known);
            ledger.totals.lock().committed += 1;
            Ok(())
        }
        // It lived longer than a session may, and said so.
        Err(error) if error.code() == Code::RepositorySession => {
            ledger.totals.lock().expired += 1;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What a collector does.
pub(crate) async fn collect(
    repository: Repository,
    options: PruneOptions,
    task: backstay_engine::monitor::Task,
    ledger: Ledger,
) -> Result<()> {
    let report = match repository.prune(&options, &task).await {
        // It lived longer than a mark may be acted on, or its copying session did, and said so.
        Err(error) if error.code() == Code::RepositorySession => {
            ledger.totals.lock().expired += 1;
            return Ok(());
        }
        report => report?,
    };
    let mut totals = ledger.totals.lock();
    totals.prunes += 1;
    let sum = &mut totals.collected;
    sum.purged_backups.extend(report.purged_backups);
    sum.deleted_packs += report.deleted_packs;
    sum.freed_bytes += report.freed_bytes;
    sum.copied_bytes += report.copied_bytes;
    sum.kept_packs += report.kept_packs;
    sum.waiting_packs += report.waiting_packs;
    Ok(())
}
