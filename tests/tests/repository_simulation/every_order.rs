//! Few actors with little to do, in every order of their storage operations that can matter.
//!
//! A depth-first search over who goes next, by running the scenario again from its beginning. Two
//! operations that do not touch the same object give the same in either order, so of all orders
//! that differ only in such pairs one is run: dynamic partial-order reduction (Flanagan and
//! Godefroid, 2005) with sleep sets. Nothing is sampled: when the search ends, no order is left.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use backstay_engine::clock::Clock as _;
use backstay_engine::ids::BackupId;
use backstay_engine::repository::PruneOptions;
use backstay_engine::storage::Storage as _;
use backstay_tests::flawed::Flaw;
use backstay_tests::stepped::Operation;

use super::world::{Actor, Failure, World, collect, write};
use super::{Work, on_one_thread};

/// A small world: what is there, and who does what.
type Scenario = fn(Option<Flaw>) -> Scene;
type Scene = std::pin::Pin<Box<dyn Future<Output = (World, Vec<(usize, Work)>)>>>;

/// One point of an order: who could go, who went, and who needs no turn here.
#[derive(Debug, Default)]
struct Point {
    waiting: BTreeMap<usize, Operation>,
    chosen: usize,
    /// Who must be tried here because it races with something later.
    to_try: BTreeSet<usize>,
    tried: BTreeSet<usize>,
    /// Whose turn here was seen in an equal order already.
    asleep: BTreeSet<usize>,
    /// What each actor knew of the others when this happened: the last point that could matter to it.
    knows: HashMap<usize, usize>,
}

impl Point {
    fn operation(&self) -> &Operation {
        &self.waiting[&self.chosen]
    }
}

/// Whether the order of two operations can matter.
fn conflict(one: &Operation, other: &Operation) -> bool {
    let changes = |operation: &Operation| matches!(operation.verb, "create" | "delete");
    let touches = |change: &Operation, operation: &Operation| match operation.verb {
        "list" => change.key.starts_with(&operation.key),
        _ => change.key == operation.key,
    };
    changes(one) && touches(one, other) || changes(other) && touches(other, one)
}

/// What a search found.
#[derive(Debug)]
struct Found {
    orders: u64,
    deleted_packs: u64,
    kept_packs: u64,
    failure: Option<Failure>,
}

/// Runs every order of a scenario, or until something is lost.
fn search(scenario: Scenario, flaw: Option<Flaw>) -> Found {
    let mut order: Vec<Point> = Vec::new();
    let mut found = Found {
        orders: 0,
        deleted_packs: 0,
        kept_packs: 0,
        failure: None,
    };
    loop {
        let ran = on_one_thread(async {
            let (mut world, works) = scenario(flaw).await;
            let outcome = run(&mut world, works, &mut order).await;
            let totals = world.ledger.totals.lock();
            found.deleted_packs += totals.collected.deleted_packs;
            found.kept_packs += totals.collected.kept_packs;
            outcome
        });
        found.orders += 1;
        if let Err(failure) = ran {
            found.failure = Some(failure);
            return found;
        }
        if !next(&mut order) {
            return found;
        }
    }
}

/// Moves to the next order; `false` when there is none left.
fn next(order: &mut Vec<Point>) -> bool {
    while let Some(point) = order.last_mut() {
        point.tried.insert(point.chosen);
        let untried = point
            .to_try
            .iter()
            .find(|actor| !point.tried.contains(actor) && !point.asleep.contains(actor));
        if let Some(actor) = untried {
            point.chosen = *actor;
            return true;
        }
        order.pop();
    }
    false
}

/// Runs one order: as given to its end, then as it comes.
async fn run(
    world: &mut World,
    works: Vec<(usize, Work)>,
    order: &mut Vec<Point>,
) -> Result<(), Failure> {
    let mut depth = 0;
    loop {
        world.gate.settle().await;
        let mut waiting = BTreeMap::new();
        for operation in world.gate.waiting() {
            waiting.entry(operation.actor).or_insert(operation);
        }
        if waiting.is_empty() {
            break;
        }
        find_races(order, depth, &waiting);
        if depth == order.len() {
            let asleep = asleep_after(order.last());
            let Some(chosen) = waiting.keys().find(|actor| !asleep.contains(actor)) else {
                // An equal order was run already. The actors are dropped with the runtime.
                return Ok(());
            };
            order.push(Point {
                chosen: *chosen,
                to_try: [*chosen].into(),
                asleep,
                ..Point::default()
            });
        }
        let chosen = order[depth].chosen;
        assert!(
            waiting.contains_key(&chosen),
            "actor {chosen} is not where it was before: {waiting:?}"
        );
        order[depth].waiting = waiting;
        order[depth].knows = knowledge(order, depth);
        // So that ids made in turn are in order.
        world.place.clock.advance(Duration::from_millis(1));
        if let Some(operation) = world.gate.let_through(chosen) {
            world.prove_after(&operation).await?;
        }
        depth += 1;
    }
    let mut trouble = None;
    for (actor, work) in works {
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => trouble = Some(format!("actor {actor}: {}", error.report())),
            Err(lost) => trouble = Some(format!("actor {actor}: {lost}")),
        }
    }
    world.prove("at the end").await?;
    trouble.map_or(Ok(()), |trouble| Err(Failure::Unexpected(trouble)))
}

/// Who of those asleep, or tried already, before a point stays asleep after it.
fn asleep_after(point: Option<&Point>) -> BTreeSet<usize> {
    let Some(point) = point else {
        return BTreeSet::new();
    };
    let went = point.operation();
    point
        .asleep
        .union(&point.tried)
        .filter(|actor| {
            point
                .waiting
                .get(actor)
                .is_some_and(|operation| !conflict(operation, went))
        })
        .copied()
        .collect()
}

/// The last point of each actor that could matter to whoever goes at `depth`.
fn knowledge(order: &[Point], depth: usize) -> HashMap<usize, usize> {
    let point = &order[depth];
    let mut knows = HashMap::from([(point.chosen, depth)]);
    for (place, earlier) in order[..depth].iter().enumerate() {
        if earlier.chosen == point.chosen || conflict(earlier.operation(), point.operation()) {
            for (actor, last) in &earlier.knows {
                let known = knows.entry(*actor).or_insert(*last);
                *known = (*known).max(*last);
            }
            debug_assert!(earlier.knows[&earlier.chosen] == place);
        }
    }
    knows
}

/// For everybody who waits now: the last point it races with must be tried with it going first.
fn find_races(order: &mut [Point], depth: usize, waiting: &BTreeMap<usize, Operation>) {
    for (actor, operation) in waiting {
        let own = order[..depth].iter().rposition(|p| p.chosen == *actor);
        let knows = own.map(|place| order[place].knows.clone());
        let known = |other: usize| knows.as_ref().and_then(|knows| knows.get(&other)).copied();
        let race = (0..depth).rev().find(|place| {
            let earlier = &order[*place];
            earlier.chosen != *actor
                && conflict(earlier.operation(), operation)
                && known(earlier.chosen).is_none_or(|last| last < *place)
        });
        if let Some(place) = race {
            let point = &mut order[place];
            if point.waiting.contains_key(actor) {
                point.to_try.insert(*actor);
            } else {
                point.to_try.extend(point.waiting.keys());
            }
        }
    }
}

fn writes(world: &World, actor: &Actor, blocks: &[u16]) -> (usize, Work) {
    let id = BackupId::generate(world.place.clock.now());
    let ledger = world.ledger.clone();
    let work = write(actor.repository.clone(), id, blocks.to_vec(), ledger);
    (actor.number, tokio::spawn(work))
}

fn collects(world: &World, actor: &Actor, repack_below: f64) -> (usize, Work) {
    let options = PruneOptions {
        repack_below,
        ..PruneOptions::new(format!("collector {}", actor.number))
    };
    let (task, ledger) = (world.place.task(), world.ledger.clone());
    let work = collect(actor.repository.clone(), options, task, ledger);
    (actor.number, tokio::spawn(work))
}

/// Takes the snapshot of a backup away, as the end of its time in the trash does.
async fn purge(world: &World, id: BackupId) {
    world.ledger.committed.lock().remove(&id);
    let key = format!("snapshots/{}", id.ulid());
    world.place.storage.delete(&key).await.unwrap();
}

/// A backup was deleted; while its packs are collected, another one finds its blocks useful again.
fn a_writer_meets_a_collector(flaw: Option<Flaw>) -> Scene {
    Box::pin(async move {
        let mut world = World::new().await;
        let gone = world.back_up(&[1, 2]).await;
        purge(&world, gone).await;
        world.place.clock.advance(Duration::from_hours(1));
        let writer = world.start(flaw).await;
        let collector = world.start(flaw).await;
        let works = vec![
            writes(&world, &writer, &[1]),
            collects(&world, &collector, 0.7),
        ];
        (world, works)
    })
}

/// The same while a pack with little left in it is rewritten.
fn a_writer_meets_a_repacking_collector(flaw: Option<Flaw>) -> Scene {
    Box::pin(async move {
        let mut world = World::new().await;
        let gone = world.back_up(&[1, 2, 3, 4, 5, 6]).await;
        world.back_up(&[1]).await;
        purge(&world, gone).await;
        world.place.clock.advance(Duration::from_hours(1));
        let writer = world.start(flaw).await;
        let collector = world.start(flaw).await;
        let works = vec![
            writes(&world, &writer, &[1, 2]),
            collects(&world, &collector, 0.7),
        ];
        (world, works)
    })
}

/// A block lies in two packs that hold nothing else of use, and each collector has chosen another
/// one to go.
fn two_collectors_see_different_copies(flaw: Option<Flaw>) -> Scene {
    Box::pin(async move {
        let mut world = World::new().await;
        // One writer is held at its index segment while another one stores the same block. So whoever
        // looks in between knows the packs in another order than whoever looks afterwards.
        let slow = world.start(None).await;
        let (number, work) = writes(&world, &slow, &[1]);
        loop {
            world.gate.settle().await;
            let waiting = world.gate.waiting();
            if waiting
                .iter()
                .any(|w| w.verb == "create" && w.key.starts_with("index/"))
            {
                break;
            }
            world.place.clock.advance(Duration::from_millis(1));
            world.gate.let_through(number);
        }
        let mut gone = vec![world.back_up(&[1]).await];
        let early = world.start(flaw).await;
        while !work.is_finished() {
            world.gate.settle().await;
            world.gate.let_through(number);
        }
        world.back_up(&[1]).await;
        gone.extend(world.ledger.committed.lock().keys().copied());
        // All but the last, which stored nothing but its tree.
        gone.sort_unstable();
        gone.dedup();
        gone.pop();
        for id in gone {
            purge(&world, id).await;
        }
        world.place.clock.advance(Duration::from_hours(1));
        let late = world.start(flaw).await;
        let works = vec![collects(&world, &early, 0.0), collects(&world, &late, 0.0)];
        (world, works)
    })
}

#[track_caller]
fn nothing_is_lost(scenario: Scenario) -> Found {
    let found = search(scenario, None);
    println!("{found:?}");
    assert!(found.failure.is_none(), "{found:?}");
    assert!(found.orders > 10 && found.deleted_packs > 0, "{found:?}");
    found
}

#[track_caller]
fn is_lost(scenario: Scenario, flaw: Flaw) {
    let found = search(scenario, Some(flaw));
    println!("{flaw:?}: {found:?}");
    assert!(
        matches!(found.failure, Some(Failure::Lost(_))),
        "{flaw:?}: {found:?}"
    );
}

#[test]
fn a_writer_and_a_collector_in_every_order() {
    let found = nothing_is_lost(a_writer_meets_a_collector);
    // In some orders the collector finds that a backup uses the pack after all.
    assert!(found.kept_packs > 0, "{found:?}");
    for flaw in [
        Flaw::CollectorsDoNotWait,
        Flaw::CollectorsJudgeOnce,
        Flaw::CollectorsBuryNothing,
        Flaw::WritersIgnoreMarks,
        Flaw::WritersShowThemselvesLate,
    ] {
        is_lost(a_writer_meets_a_collector, flaw);
    }
}

#[test]
fn a_writer_and_a_repacking_collector_in_every_order() {
    nothing_is_lost(a_writer_meets_a_repacking_collector);
}

#[test]
fn two_collectors_in_every_order() {
    let found = nothing_is_lost(two_collectors_see_different_copies);
    assert!(found.kept_packs > 0, "{found:?}");
    is_lost(
        two_collectors_see_different_copies,
        Flaw::CollectorsCountOnMarkedCopies,
    );
}
