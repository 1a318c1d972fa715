//! Several writers and two collectors on one repository, in orders that a seed decides.
//!
//! The invariant: after every single storage operation that removes something, and at the end,
//! every committed backup that nobody deleted reads back whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_engine::clock::{Clock, ManualClock, SharedClock};
use backstay_engine::ids::BackupId;
use backstay_engine::monitor::Task;
use backstay_engine::repository::{
    CheckOptions, Content, Credential, NewSlots, OpenOptions, PruneOptions, Repository,
    SnapshotDraft, StreamRef, TreeEntry, TreeWriter,
};
use backstay_engine::secret::SecretKey;
use backstay_engine::storage::Storage;
use backstay_engine::storage::memory::MemoryStorage;
use backstay_engine::{Code, Result};
use backstay_tests::stepped::{Gate, Seeded};
use bytes::Bytes;
use chrono::DateTime;
use parking_lot::Mutex;

const WRITERS: usize = 3;
const COLLECTORS: usize = 2;
const BLOCK_BYTES: usize = 64 << 10;

/// What committed backups must read back as: the blocks they were made of.
type Committed = Arc<Mutex<BTreeMap<BackupId, (StreamRef, Vec<u8>)>>>;

struct World {
    seed: u64,
    seeded: Seeded,
    clock: Arc<ManualClock>,
    gate: Gate,
    actors: Vec<Repository>,
    observer: Repository,
    committed: Committed,
    _folder: tempfile::TempDir,
}

fn block(number: u8) -> Bytes {
    Bytes::from(vec![number; BLOCK_BYTES])
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(
            DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        ));
        let shared: SharedClock = clock.clone();
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new("simulation", shared.clone()));
        let folder = tempfile::tempdir().unwrap();
        let options = |name: &str| OpenOptions {
            cache_dir: folder.path().join(name),
            clock: shared.clone(),
            cpu_workers: 0,
            verify_writes: false,
        };
        let slots = NewSlots {
            key_file: true,
            ..NewSlots::default()
        };
        let created = Repository::create(Arc::clone(&storage), &slots, options("observer"))
            .await
            .unwrap();
        let key: SecretKey = created.key.unwrap();
        let gate = Gate::default();
        let mut actors = Vec::new();
        for actor in 0..WRITERS + COLLECTORS {
            // Opening reads the storage too; it is let through at once.
            let stepped = gate.storage(Arc::clone(&storage), actor);
            let credential = Credential::KeyFile(key.clone());
            let cache = options(&format!("actor-{actor}"));
            let opening = tokio::spawn(async move {
                Repository::open(stepped, &credential, cache).await.unwrap()
            });
            let mut any = Seeded::new(0);
            while !opening.is_finished() {
                gate.step(&mut any).await;
            }
            actors.push(opening.await.unwrap());
        }
        let observer = created.repository;
        let seeded = Seeded::new(seed);
        let committed = Committed::default();
        Self {
            seed,
            seeded,
            clock,
            gate,
            actors,
            observer,
            committed,
            _folder: folder,
        }
    }

    /// Everybody does one thing, side by side.
    async fn episode(&mut self) {
        let mut tasks = Vec::new();
        for actor in 0..WRITERS + COLLECTORS {
            if self.seeded.below(4) == 0 {
                continue;
            }
            let repository = self.actors[actor].clone();
            let work = if actor < WRITERS {
                let blocks: Vec<u8> = (0..=self.seeded.below(5))
                    .map(|_| self.seeded.below(9) as u8)
                    .collect();
                let id = BackupId::generate(self.clock.now());
                tokio::spawn(write(repository, id, blocks, self.committed.clone()))
            } else {
                tokio::spawn(collect(repository, actor, self.clock.clone()))
            };
            tasks.push((actor, work));
        }
        if self.seeded.below(2) == 0 {
            self.delete_one().await;
        }
        while tasks.iter().any(|(_, task)| !task.is_finished()) {
            if let Some(operation) = self.gate.step(&mut self.seeded).await
                && operation.verb == "delete"
                && operation.key.starts_with("packs/")
            {
                self.prove(&format!("{operation:?}")).await;
            }
            match self.seeded.below(400) {
                0 => self.clock.advance(Duration::from_hours(26)),
                1..60 => self.clock.advance(Duration::from_mins(2)),
                60..64 => {
                    let (actor, victim) = &tasks[self.seeded.below(tasks.len())];
                    victim.abort();
                    self.gate.forget(*actor);
                }
                _ => {}
            }
        }
        for (actor, task) in tasks {
            match task.await {
                Ok(Ok(())) => {}
                // It lived longer than a session may, and said so.
                Ok(Err(error)) if error.code() == Code::RepositorySession => {}
                Ok(Err(error)) => panic!("seed {}: actor {actor}: {}", self.seed, error.report()),
                Err(lost) => assert!(lost.is_cancelled(), "seed {}: {lost}", self.seed),
            }
            // A dropped writer stores what it has in the background.
            for _ in 0..40 {
                self.gate.step(&mut self.seeded).await;
            }
        }
        self.prove("the episode's end").await;
    }

    async fn delete_one(&mut self) {
        let ids: Vec<BackupId> = self.committed.lock().keys().copied().collect();
        if ids.len() > 3 {
            let id = ids[self.seeded.below(ids.len())];
            self.committed.lock().remove(&id);
            self.observer
                .delete_backup(id, "simulation", "chosen", Duration::ZERO)
                .await
                .unwrap();
        }
    }

    async fn prove(&self, moment: &str) {
        let committed = self.committed.lock().clone();
        for (id, (stream, blocks)) in committed {
            let snapshot = self.observer.snapshot(id).await;
            assert!(
                snapshot.is_ok(),
                "seed {}: {id} is gone after {moment}",
                self.seed
            );
            let read = self.observer.read(&stream).read_all(1 << 30).await;
            let want: Vec<u8> = blocks.iter().flat_map(|number| block(*number)).collect();
            match read {
                Ok(bytes) => assert!(bytes == want, "seed {}: {id} differs", self.seed),
                Err(error) => {
                    panic!(
                        "seed {}: {id} after {moment}: {}",
                        self.seed,
                        error.report()
                    )
                }
            }
        }
    }
}

async fn write(
    repository: Repository,
    id: BackupId,
    blocks: Vec<u8>,
    committed: Committed,
) -> Result<()> {
    let writer = repository.begin("simulated writer").await?;
    let mut stream = writer.stream(Content::File);
    for number in &blocks {
        stream.write(block(*number)).await?;
    }
    let stream = stream.finish().await?;
    let mut tree = TreeWriter::new(&writer);
    tree.add(&TreeEntry {
        path: vec!["rows".to_owned()],
        kind: "range".to_owned(),
        facts: serde_json::Value::Null,
        stream: Some(stream.clone()),
    })
    .await?;
    let tree = tree.finish().await?;
    let facts = serde_json::json!({});
    writer
        .commit(SnapshotDraft {
            id,
            tree,
            base: None,
            facts,
        })
        .await?;
    committed.lock().insert(id, (stream, blocks));
    Ok(())
}

async fn collect(repository: Repository, actor: usize, clock: Arc<ManualClock>) -> Result<()> {
    let options = PruneOptions::new(format!("collector {actor}"));
    repository
        .prune(&options, &Task::unwatched(clock))
        .await
        .map(|_| ())
}

/// How many worlds, and how many episodes in each.
fn size() -> (u64, usize) {
    if std::env::var_os("BACKSTAY_TEST_ALL").is_some() {
        (2000, 50)
    } else {
        (60, 50)
    }
}

#[test]
fn no_order_of_writers_and_collectors_loses_a_committed_backup() {
    let (worlds, episodes) = size();
    let one = std::env::var("BACKSTAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for seed in one.map_or(0..worlds, |seed| seed..seed + 1) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(seed).await;
            for _ in 0..episodes {
                world.episode().await;
            }
            let task = Task::unwatched(world.clock.clone());
            let options = CheckOptions {
                read_percent: 100.0,
            };
            let report = world.observer.check(&options, &task).await.unwrap();
            assert!(report.is_clean(), "seed {seed}: {:?}", report.problems);
        });
    }
}
