//! Several writers and two collectors on one repository, in orders that a seed decides, and a few
//! actors in every order there is.
//!
//! The invariant: after every single storage operation that removes something, and at the end,
//! every committed backup that nobody deleted reads back whole. That the simulation would notice a
//! breach is shown by leaving out one step of the protocol at a time.

#[path = "repository_simulation/every_order.rs"]
mod every_order;
#[path = "repository_simulation/world.rs"]
mod world;

use std::collections::HashSet;
use std::time::Duration;

use backstay_engine::clock::Clock as _;
use backstay_engine::ids::BackupId;
use backstay_engine::repository::{CheckOptions, PruneOptions};
use backstay_tests::flawed::Flaw;
use backstay_tests::stepped::{Operation, Seeded};

use world::{Actor, Failure, Totals, World, collect, write};

const WRITERS: usize = 3;
const COLLECTORS: usize = 2;
/// Different blocks there are; few, so that backups share them.
const BLOCKS: usize = 20;
/// Committed backups that stay.
const KEPT: usize = 6;

type Work = tokio::task::JoinHandle<backstay_engine::Result<()>>;

/// A world in which a seed decides.
struct Simulation {
    seeded: Seeded,
    world: World,
    flaw: Option<Flaw>,
    actors: Vec<Actor>,
    /// Those who take long for everything in this episode.
    slow: HashSet<usize>,
    /// What happened, for people who look for the cause of a failure.
    happened: Vec<String>,
}

impl Simulation {
    async fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut world = World::new().await;
        let mut actors = Vec::new();
        for _ in 0..WRITERS + COLLECTORS {
            actors.push(world.start(flaw).await);
        }
        Self {
            seeded: Seeded::new(seed),
            world,
            flaw,
            actors,
            slow: HashSet::new(),
            happened: Vec::new(),
        }
    }

    /// Most do one thing, side by side.
    async fn episode(&mut self) -> Result<(), Failure> {
        let mut works: Vec<(usize, Work)> = Vec::new();
        let numbers = self.actors.iter().map(|actor| actor.number);
        self.slow = numbers.filter(|_| self.seeded.below(3) == 0).collect();
        let mut idle: Vec<usize> = (0..WRITERS + COLLECTORS).collect();
        idle.retain(|_| self.seeded.below(4) > 0);
        while !idle.is_empty() || works.iter().any(|(_, work)| !work.is_finished()) {
            // Not all at once: a writer needs far fewer operations than a collector.
            if !idle.is_empty() && self.seeded.below(25) == 0 {
                let place = idle.swap_remove(self.seeded.below(idle.len()));
                works.push((place, self.begin(place)));
            }
            self.step().await?;
            self.something_else(&mut works).await;
        }
        let mut trouble = None;
        for (place, work) in works {
            match work.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => trouble = Some(format!("actor {place}: {}", error.report())),
                Err(lost) if lost.is_cancelled() => {}
                Err(lost) => trouble = Some(format!("actor {place}: {lost}")),
            }
        }
        // A dropped writer stores what it has in the background.
        for _ in 0..40 {
            self.step().await?;
        }
        // A loss says more than the error of whoever stumbled over it.
        self.world.prove("at an episode's end").await?;
        trouble.map_or(Ok(()), |trouble| Err(Failure::Unexpected(trouble)))
    }

    /// One storage operation.
    async fn step(&mut self) -> Result<(), Failure> {
        let next = self.world.gate.step(&mut self.seeded, &self.slow).await;
        let Some(operation) = next else {
            return Ok(());
        };
        if matches!(operation.verb, "create" | "delete" | "list") {
            let at = self.world.place.clock.now().format("%d %H:%M:%S");
            let Operation { actor, verb, key } = &operation;
            self.happened
                .push(format!("{at} actor {actor} {verb} {key}"));
        }
        self.world.prove_after(&operation).await
    }

    fn begin(&mut self, place: usize) -> Work {
        let repository = self.actors[place].repository.clone();
        let ledger = self.world.ledger.clone();
        if place < WRITERS {
            let count = 1 + self.seeded.below(6);
            let blocks = (0..count).map(|_| self.seeded.below(BLOCKS) as u16);
            let blocks = blocks.collect();
            let id = BackupId::generate(self.world.place.clock.now());
            tokio::spawn(write(repository, id, blocks, ledger))
        } else {
            let mut options = PruneOptions::new(format!("collector {place}"));
            options.merge_segments = 3;
            tokio::spawn(collect(
                repository,
                options,
                self.world.place.task(),
                ledger,
            ))
        }
    }

    /// Between two operations: time passes, a backup is deleted, somebody gives up or crashes.
    async fn something_else(&mut self, works: &mut [(usize, Work)]) {
        match self.seeded.below(400) {
            // No single operation takes longer than collectors allow for.
            0 | 1 if !self.commits() => {
                self.world.place.wait_hours(26);
            }
            2..60 => self.world.place.clock.advance(Duration::from_secs(30)),
            60..66 => self.delete_one().await,
            66..68 if !works.is_empty() => works[self.seeded.below(works.len())].1.abort(),
            68..70 if !works.is_empty() => {
                let (place, work) = &works[self.seeded.below(works.len())];
                if !work.is_finished() {
                    work.abort();
                    self.world.gate.crash(self.actors[*place].number);
                    self.actors[*place] = self.world.start(self.flaw).await;
                    self.world.ledger.totals.lock().crashed += 1;
                }
            }
            _ => {}
        }
    }

    /// Whether a snapshot or a tombstone is on its way.
    fn commits(&self) -> bool {
        let waiting = self.world.gate.waiting();
        waiting.iter().any(|operation| {
            let kind = operation.key.split('/').next();
            operation.verb == "create" && matches!(kind, Some("snapshots" | "index"))
        })
    }

    async fn delete_one(&mut self) {
        let ids: Vec<BackupId> = self.world.ledger.committed.lock().keys().copied().collect();
        let surplus = ids.len().saturating_sub(KEPT);
        for _ in 0..surplus.min(3) {
            let id = ids[self.seeded.below(ids.len())];
            if self.world.ledger.committed.lock().contains_key(&id) {
                self.world.delete(id).await;
            }
        }
    }
}

/// Runs one world to its end.
fn simulate(seed: u64, episodes: usize, flaw: Option<Flaw>) -> Result<Totals, Failure> {
    on_one_thread(async {
        let mut simulation = Simulation::new(seed, flaw).await;
        for _ in 0..episodes {
            if let Err(failure) = simulation.episode().await {
                if flaw.is_none() {
                    eprintln!("{}", simulation.happened.join("\n"));
                }
                return Err(failure);
            }
        }
        let world = &simulation.world;
        let options = CheckOptions {
            read_percent: 100.0,
        };
        let report = world.observer.check(&options, &world.place.task()).await;
        let report = report.map_err(|error| Failure::Unexpected(error.report()))?;
        if !report.is_clean() {
            return Err(Failure::Unexpected(format!("{:?}", report.problems)));
        }
        Ok(std::mem::take(&mut *world.ledger.totals.lock()))
    })
}

/// Between two storage operations everything is deterministic on one thread.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(work)
}

fn is_all() -> bool {
    std::env::var_os("BACKSTAY_TEST_ALL").is_some()
}

#[test]
fn no_order_of_writers_and_collectors_loses_a_committed_backup() {
    let one = std::env::var("BACKSTAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let worlds = if is_all() { 2000 } else { 60 };
    let seeds = one.map_or(0..worlds, |seed| seed..seed + 1);
    let count = seeds.end - seeds.start;
    let mut sum = Totals::default();
    for seed in seeds {
        match simulate(seed, 50, None) {
            Err(failure) => panic!("seed {seed}: {failure:?}"),
            Ok(totals) => {
                sum.committed += totals.committed;
                sum.expired += totals.expired;
                sum.crashed += totals.crashed;
                sum.prunes += totals.prunes;
                sum.collected.deleted_packs += totals.collected.deleted_packs;
                sum.collected.copied_bytes += totals.collected.copied_bytes;
                sum.collected.kept_packs += totals.collected.kept_packs;
                sum.collected.waiting_packs += totals.collected.waiting_packs;
            }
        }
    }
    println!("{sum:?}");
    // A simulation in which nothing is collected, kept, waited for or cut short shows nothing.
    let collected = &sum.collected;
    assert!(sum.committed > 20 * count, "{sum:?}");
    assert!(sum.prunes > 20 * count, "{sum:?}");
    assert!(collected.deleted_packs > 10 * count, "{sum:?}");
    assert!(collected.copied_bytes > 10_000 * count, "{sum:?}");
    assert!(collected.waiting_packs > count, "{sum:?}");
    assert!(sum.crashed > count, "{sum:?}");
    if count >= 20 {
        assert!(sum.expired > 0 && collected.kept_packs > 0, "{sum:?}");
    }
}

#[test]
fn a_protocol_with_any_step_left_out_is_caught() {
    /// Worlds until a flaw must have shown; most show in the first.
    const WORLDS: u64 = 150;
    for flaw in Flaw::ALL {
        let lost = (0..WORLDS).find_map(|seed| match simulate(seed, 25, Some(flaw)) {
            Err(Failure::Lost(how)) => Some((seed, how)),
            // Whoever meets what was lost fails too; that alone is not counted.
            Ok(_) => None,
            Err(Failure::Unexpected(how)) => {
                println!("{flaw:?}, seed {seed}: {how}");
                None
            }
        });
        let (seed, how) = lost.unwrap_or_else(|| panic!("{flaw:?} was not caught"));
        println!("{flaw:?} is caught by seed {seed}: {how}");
    }
}
