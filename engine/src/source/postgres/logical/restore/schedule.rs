//! The order in which several sessions make what comes after the rows.
//!
//! An item waits for what it depends on, and for every running item that would fight with it over
//! a table's lock: two sessions that add constraints to tables of one another would deadlock.
//! `CREATE INDEX` only shares its table, so indexes of one table are built side by side. Among the
//! ready, the heaviest table goes first, so that the last session to finish does so early.

use std::collections::{HashMap, HashSet};

use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};

#[derive(Debug)]
struct Item {
    number: ObjectNumber,
    waits_for: usize,
    dependents: Vec<usize>,
    exclusive: HashSet<ObjectNumber>,
    shared: HashSet<ObjectNumber>,
}

impl Item {
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
    items: Vec<Item>,
    /// Ready items, heaviest first.
    ready: Vec<usize>,
    running: Vec<usize>,
    weights: Vec<u64>,
    left: usize,
}

impl Schedule {
    /// Plans `items` (objects of the post section, in restore order). `all` are the backup's objects;
    /// `weight` tells a table's size, in any unit.
    pub fn new(
        items: &[&Object],
        all: &HashMap<ObjectNumber, &Object>,
        weight: impl Fn(ObjectNumber) -> u64,
    ) -> Self {
        let places: HashMap<ObjectNumber, usize> = items
            .iter()
            .enumerate()
            .map(|(place, object)| (object.number, place))
            .collect();
        let mut planned: Vec<Item> = items.iter().map(|object| item(object, all)).collect();
        let mut weights = Vec::with_capacity(items.len());
        for (place, object) in items.iter().enumerate() {
            let before: HashSet<usize> = object
                .depends_on
                .iter()
                .filter_map(|number| places.get(number).copied())
                // The order is already free of loops: only what stands before can be waited for.
                .filter(|other| *other < place)
                .collect();
            planned[place].waits_for = before.len();
            for other in before {
                planned[other].dependents.push(place);
            }
            weights.push(object.of.map_or(0, &weight));
        }
        let mut schedule = Self {
            ready: Vec::new(),
            running: Vec::new(),
            left: planned.len(),
            items: planned,
            weights,
        };
        for place in 0..schedule.items.len() {
            if schedule.items[place].waits_for == 0 {
                schedule.ready.push(place);
            }
        }
        schedule.sort();
        schedule
    }

    /// The next object to make, if one can start beside those that run.
    pub fn take(&mut self) -> Option<ObjectNumber> {
        let found = self.ready.iter().position(|candidate| {
            self.running
                .iter()
                .all(|running| !self.items[*candidate].fights(&self.items[*running]))
        })?;
        let place = self.ready.remove(found);
        self.running.push(place);
        Some(self.items[place].number)
    }

    /// Marks a taken object as done, made or not: what waits for it is tried all the same, so that
    /// every error is found in one restore.
    pub fn finish(&mut self, number: ObjectNumber) {
        let Some(found) = self
            .running
            .iter()
            .position(|place| self.items[*place].number == number)
        else {
            return;
        };
        let place = self.running.remove(found);
        self.left -= 1;
        let mut freed = false;
        for dependent in std::mem::take(&mut self.items[place].dependents) {
            let item = &mut self.items[dependent];
            item.waits_for -= 1;
            if item.waits_for == 0 {
                self.ready.push(dependent);
                freed = true;
            }
        }
        if freed {
            self.sort();
        }
    }

    /// Whether everything is done.
    pub fn is_finished(&self) -> bool {
        self.left == 0
    }

    fn sort(&mut self) {
        let weights = &self.weights;
        self.ready
            .sort_by_key(|place| (std::cmp::Reverse(weights[*place]), *place));
    }
}

fn item(object: &Object, all: &HashMap<ObjectNumber, &Object>) -> Item {
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
    let touched: HashSet<ObjectNumber> = object
        .of
        .into_iter()
        .chain(object.depends_on.iter().copied().filter(is_relation))
        .collect();
    let is_read_only = matches!(object.kind, ObjectKind::Index | ObjectKind::Statistics);
    let (exclusive, shared) = if is_read_only {
        (HashSet::new(), touched)
    } else {
        (touched, HashSet::new())
    };
    Item {
        number: object.number,
        waits_for: 0,
        dependents: Vec::new(),
        exclusive,
        shared,
    }
}

#[cfg(test)]
mod tests;
