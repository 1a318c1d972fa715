//! The order in which several sessions do the work of a restore.
//!
//! A step waits for the steps it needs, and for every running step that would fight with it over a
//! table's lock: two sessions that add constraints to tables of one another would deadlock.
//! `CREATE INDEX` only shares its table, so indexes of one table are built side by side. Among the
//! ready, the one with the longest way still before it goes first, so that no long step is left to
//! the end (Hu, "Parallel sequencing and assembly line problems", 1961).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};

/// One piece of work.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Places of the steps that come before; each is lower than this step's own place.
    pub after: Vec<usize>,
    /// Tables that no other step may use meanwhile.
    pub exclusive: HashSet<ObjectNumber>,
    /// Tables that other steps may share.
    pub shared: HashSet<ObjectNumber>,
    /// How long it may take, in any unit.
    pub cost: u64,
    /// It is no work, but stands for all that it comes after.
    pub is_join: bool,
}

impl Step {
    fn fights(&self, other: &Self) -> bool {
        let hits = |one: &Self, two: &Self| {
            one.exclusive
                .iter()
                .any(|table| two.exclusive.contains(table) || two.shared.contains(table))
        };
        hits(self, other) || hits(other, self)
    }
}

/// What is left to do, what may start now.
#[derive(Debug)]
pub struct Schedule {
    steps: Vec<Step>,
    /// How many steps each still waits for.
    waits_for: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// The cost of each step and of the longest way from it to the end.
    ways: Vec<u64>,
    /// Ready steps, the longest way first.
    ready: Vec<usize>,
    running: Vec<usize>,
    left: usize,
}

impl Schedule {
    /// Plans `steps`; from here on a step is known by its place among them.
    pub fn new(steps: Vec<Step>) -> Self {
        let count = steps.len();
        let mut dependents = vec![Vec::new(); count];
        for (place, step) in steps.iter().enumerate() {
            for other in &step.after {
                debug_assert!(*other < place);
                dependents[*other].push(place);
            }
        }
        let mut ways = vec![0_u64; count];
        for (place, step) in steps.iter().enumerate().rev() {
            let rest = dependents[place].iter().map(|other| ways[*other]).max();
            ways[place] = step.cost.saturating_add(rest.unwrap_or_default());
        }
        let mut schedule = Self {
            waits_for: steps.iter().map(|step| step.after.len()).collect(),
            dependents,
            ways,
            ready: Vec::new(),
            running: Vec::new(),
            left: count,
            steps,
        };
        let at_once: Vec<usize> = (0..count)
            .filter(|place| schedule.waits_for[*place] == 0)
            .collect();
        for place in at_once {
            schedule.free(place);
        }
        schedule
    }

    /// The next step to start beside those that run, if there is one.
    pub fn take(&mut self) -> Option<usize> {
        let found = self.ready.iter().position(|candidate| {
            self.running
                .iter()
                .all(|running| !self.steps[*candidate].fights(&self.steps[*running]))
        })?;
        let place = self.ready.remove(found);
        self.running.push(place);
        Some(place)
    }

    /// Marks a taken step as done, well or not: what waits for it is tried all the same, so that
    /// every error is found in one restore.
    pub fn finish(&mut self, place: usize) {
        let Some(found) = self.running.iter().position(|running| *running == place) else {
            return;
        };
        self.running.remove(found);
        self.pass(place);
    }

    /// Whether everything is done.
    pub fn is_finished(&self) -> bool {
        self.left == 0
    }

    /// A step that waits for nothing any more.
    fn free(&mut self, place: usize) {
        if self.steps[place].is_join {
            self.pass(place);
            return;
        }
        let key = |place: &usize| (Reverse(self.ways[*place]), *place);
        let spot = self.ready.partition_point(|other| key(other) < key(&place));
        self.ready.insert(spot, place);
    }

    fn pass(&mut self, place: usize) {
        self.left -= 1;
        for dependent in std::mem::take(&mut self.dependents[place]) {
            self.waits_for[dependent] -= 1;
            if self.waits_for[dependent] == 0 {
                self.free(dependent);
            }
        }
    }
}

/// The tables and other relations that making an object locks.
pub(crate) fn touched(
    object: &Object,
    all: &HashMap<ObjectNumber, &Object>,
) -> HashSet<ObjectNumber> {
    let is_relation = |number: &ObjectNumber| {
        all.get(number).is_some_and(|other| {
            matches!(
                other.kind,
                ObjectKind::Table
                    | ObjectKind::ForeignTable
                    | ObjectKind::View
                    | ObjectKind::MaterializedView
                    | ObjectKind::Sequence
            )
        })
    };
    object
        .of
        .into_iter()
        .chain(object.depends_on.iter().copied().filter(is_relation))
        .collect()
}

/// Whether an object is made without keeping others from reading its table.
pub fn shares(object: &Object) -> bool {
    matches!(object.kind, ObjectKind::Index | ObjectKind::Statistics)
}

#[cfg(test)]
mod tests;
