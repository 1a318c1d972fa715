//! Breaks dependency loops the way each kind of loop allows.

use std::collections::{BTreeSet, HashMap};

use super::super::draft::{Draft, Part};
use super::super::object::{ObjectKind, ObjectNumber, Section};
use super::graph::Graph;
use super::section;
use crate::error::{Error, Result};

/// The graph with its two section boundaries, and what repairs decided so far.
#[derive(Debug)]
pub(super) struct Repair {
    /// Objects by their place in name order, then the two boundaries.
    pub(super) graph: Graph,
    /// Of a part: the object whose statement holds it.
    pub(super) owner: Vec<Option<usize>>,
    /// Parts that were taken out of their owner's statement.
    pub(super) separate: BTreeSet<usize>,
    /// Sentences about loops that no rule repairs.
    pub(super) broken: Vec<String>,
    shells: BTreeSet<usize>,
    used_shells: BTreeSet<usize>,
    before_data: usize,
    /// The boundary between the rows and what comes behind them.
    pub(super) after_data: usize,
}

impl Repair {
    /// A graph without edges for drafts in name order.
    pub(super) fn new(drafts: &[Draft], place: &HashMap<ObjectNumber, usize>) -> Self {
        let count = drafts.len();
        let owner = drafts
            .iter()
            .map(|draft| match draft.part {
                Part::Inside(owner) => place.get(&owner).copied(),
                Part::Whole => None,
            })
            .collect();
        let shells = drafts
            .iter()
            .filter_map(|draft| place.get(&draft.shell?).copied())
            .collect();
        Self {
            graph: Graph::new(count + 2),
            owner,
            separate: BTreeSet::new(),
            broken: Vec::new(),
            shells,
            used_shells: BTreeSet::new(),
            before_data: count,
            after_data: count + 1,
        }
    }

    /// Whether the node is a part that stays in its owner's statement.
    pub(super) fn is_inside(&self, node: usize) -> bool {
        self.owner[node].is_some() && !self.separate.contains(&node)
    }

    /// Whether the node is a shell type that no function asks for.
    pub(super) fn unused_shell(&self, node: usize) -> bool {
        self.shells.contains(&node) && !self.used_shells.contains(&node)
    }

    /// Adds the edges that hold in every schema and breaks the loops of two that every part, every
    /// base type and every partitioned index has.
    pub(super) fn prepare(&mut self, drafts: &[Draft], place: &HashMap<ObjectNumber, usize>) {
        for (node, draft) in drafts.iter().enumerate() {
            if let Some(owner) = self.owner[node] {
                self.graph.need(owner, node);
                self.graph.forget(node, owner);
            }
            if let Some(&parent) = draft.parent_index.as_ref().and_then(|p| place.get(p)) {
                self.graph.forget(parent, node);
            }
            if draft.object.kind == ObjectKind::Table {
                // Its rows are copied before what comes behind them.
                self.graph.need(self.after_data, node);
            }
            match section(draft) {
                Some(Section::Pre) => self.graph.need(self.before_data, node),
                Some(Section::Data) => {
                    self.graph.need(node, self.before_data);
                    self.graph.need(self.after_data, node);
                }
                Some(Section::Post) => self.graph.need(node, self.after_data),
                None => {}
            }
        }
        self.graph.need(self.after_data, self.before_data);
        self.break_type_loops(drafts, place);
    }

    /// A type and the functions that read and write it need each other: the functions need only
    /// its shell.
    fn break_type_loops(&mut self, drafts: &[Draft], place: &HashMap<ObjectNumber, usize>) {
        for (node, draft) in drafts.iter().enumerate() {
            let Some(&shell) = draft.shell.as_ref().and_then(|s| place.get(s)) else {
                continue;
            };
            let functions: Vec<usize> = self.graph.needs_of(node).collect();
            for function in functions {
                let is_function = drafts
                    .get(function)
                    .is_some_and(|d| d.object.kind == ObjectKind::Function);
                if is_function && self.graph.forget(function, node) {
                    self.graph.need(function, shell);
                    self.used_shells.insert(shell);
                }
            }
            if self.used_shells.contains(&shell) {
                self.graph.need(node, shell);
            }
        }
    }

    /// An order without loops.
    pub(super) fn order(&mut self, drafts: &[Draft]) -> Result<Vec<usize>> {
        // Each repair takes an edge away for good or puts a part outside, so this bound is never
        // reached unless a repair undoes another.
        let mut rounds_left = 10 * (drafts.len() + 10);
        loop {
            let stuck = match self.graph.order() {
                Ok(order) => return Ok(order),
                Err(stuck) => stuck,
            };
            rounds_left -= 1;
            if rounds_left == 0 {
                let members = names(drafts, &stuck[..stuck.len().min(20)]);
                return Err(Error::internal(format!(
                    "The dependencies among these objects cannot be put in order: {members}"
                )));
            }
            for members in self.graph.loops(&stuck, self.before_data) {
                self.repair(drafts, &members);
            }
        }
    }

    /// Breaks one loop; every member needs the next, the last needs the first.
    fn repair(&mut self, drafts: &[Draft], members: &[usize]) {
        let kind = |node: usize| drafts.get(node).map(|d| d.object.kind);
        if let Some(part) = self.part_in(drafts, members, ObjectKind::View) {
            return self.take_out(drafts, part);
        }
        for moved in [
            &[ObjectKind::MaterializedView][..],
            &[ObjectKind::Function, ObjectKind::Aggregate],
        ] {
            let movable = |&node: &usize| kind(node).is_some_and(|k| moved.contains(&k));
            let boundary = members.iter().position(|&n| n == self.before_data);
            if let (true, Some(at)) = (members.iter().any(movable), boundary) {
                let next = members[(at + 1) % members.len()];
                self.graph.forget(self.before_data, next);
                return;
            }
        }
        for owner in [
            ObjectKind::Table,
            ObjectKind::ForeignTable,
            ObjectKind::Type,
        ] {
            if let Some(part) = self.part_in(drafts, members, owner) {
                return self.take_out(drafts, part);
            }
        }
        if let Some((body, other)) = self.body_in(drafts, members) {
            // The function needs only its signature now; its body is made when the other is there.
            self.graph
                .forget(members[other], members[(other + 1) % members.len()]);
            self.graph.need(body, members[(other + 1) % members.len()]);
            self.graph.need(self.before_data, body);
            return self.take_out(drafts, body);
        }
        self.broken.push(format!(
            "These objects depend on each other in a circle that cannot be restored as it is: {}",
            names(drafts, members)
        ));
        self.graph.forget(members[0], members[1 % members.len()]);
    }

    /// A part among the members whose owner, of that kind, is a member too; CHECKs before
    /// defaults, and of several views the one that needs something else than a view: those that
    /// only read it can then be made as they are.
    fn part_in(&self, drafts: &[Draft], members: &[usize], kind: ObjectKind) -> Option<usize> {
        let leaves_the_views = |at: usize| {
            let next = drafts.get(members[(at + 1) % members.len()]);
            kind == ObjectKind::View && next.is_none_or(|next| next.object.kind != kind)
        };
        members
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, node)| {
                node < drafts.len()
                    && self.is_inside(node)
                    && !drafts[node].object.create.is_empty()
                    && self.owner[node].is_some_and(|owner| {
                        drafts[owner].object.kind == kind && members.contains(&owner)
                    })
            })
            .max_by_key(|&(at, node)| {
                let kind = drafts[node].object.kind;
                (leaves_the_views(at), kind, std::cmp::Reverse(node))
            })
            .map(|(_, node)| node)
    }

    /// The body of a function among the members that calls the next member, and the function's
    /// place among them.
    fn body_in(&self, drafts: &[Draft], members: &[usize]) -> Option<(usize, usize)> {
        let is_function = |node: usize| {
            let draft = drafts.get(node);
            draft.is_some_and(|draft| draft.object.kind == ObjectKind::Function)
        };
        members.iter().enumerate().find_map(|(at, &function)| {
            if !is_function(function) || !is_function(members[(at + 1) % members.len()]) {
                return None;
            }
            let body = (0..drafts.len()).find(|&part| {
                is_function(part) && self.owner[part] == Some(function) && self.is_inside(part)
            })?;
            Some((body, at))
        })
    }

    /// Gives a part statements of its own, after its owner.
    fn take_out(&mut self, drafts: &[Draft], part: usize) {
        if let Some(owner) = self.owner[part] {
            self.separate.insert(part);
            self.graph.forget(owner, part);
            self.graph.need(part, owner);
            if drafts[part].object.kind.section() == Section::Post {
                self.graph.need(part, self.after_data);
            }
        }
    }
}

fn names(drafts: &[Draft], members: &[usize]) -> String {
    let names: Vec<String> = members
        .iter()
        .filter_map(|&node| drafts.get(node))
        .map(|draft| {
            let object = &draft.object;
            let schema = object.schema.as_deref().map(|s| format!("{s}."));
            format!(
                "{} {}{}",
                object.kind.sql_name(),
                schema.unwrap_or_default(),
                object.name
            )
        })
        .collect();
    names.join(", ")
}
