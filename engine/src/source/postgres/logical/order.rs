//! The order in which a schema's objects are made.
//!
//! Objects are sorted by kind, schema and name, then moved as little as possible so that each
//! follows what it depends on by `pg_depend` and by the rules of the three sections. Databases
//! legally hold loops; [`repair`] breaks them by taking a part out of its owner's statement. The
//! result depends on nothing but names and dependencies, so two backups of an unchanged database
//! list its objects alike.

mod graph;
mod repair;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use super::draft::{Collected, Draft, Part, TableFacts};
use super::object::{CatalogRow, Object, ObjectKind, ObjectNumber, Section};
use crate::error::{Error, Result};
use repair::Repair;

/// One row of `pg_depend`: `from` needs `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What depends.
    pub from: CatalogRow,
    /// What it depends on.
    pub to: CatalogRow,
}

/// A schema in the order in which a restore makes it.
#[derive(Debug, Default)]
pub struct Ordered {
    /// The objects, each after all it depends on.
    pub objects: Vec<Object>,
    /// What data to copy, sorted by schema and name.
    pub tables: Vec<TableFacts>,
    /// Dependency loops that no rule repairs, each as one sentence naming its members. They were
    /// broken at an arbitrary place, so one of the members may fail to be restored.
    pub broken_loops: Vec<String>,
}

/// Reads what `pg_depend` says about objects that are not the server's own.
pub const DEPENDENCIES: &str = "\
SELECT classid, objid, refclassid, refobjid FROM pg_catalog.pg_depend
 WHERE deptype NOT IN ('p', 'e') AND objid >= 16384
UNION ALL
SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, o.amopfamily,
       d.refclassid, d.refobjid
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_amop o ON o.oid = d.objid
 WHERE d.classid = 'pg_catalog.pg_amop'::pg_catalog.regclass AND d.deptype NOT IN ('p', 'e', 'i')
   AND NOT (d.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass
            AND o.amopfamily = d.refobjid)
UNION ALL
SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, p.amprocfamily,
       d.refclassid, d.refobjid
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_amproc p ON p.oid = d.objid
 WHERE d.classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass AND d.deptype NOT IN ('p', 'e', 'i')
   AND NOT (d.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass
            AND p.amprocfamily = d.refobjid)
ORDER BY 1, 2, 3, 4";

/// Puts everything that was read in order and writes the statements that depend on it.
pub fn sort(collected: Collected, edges: &[Edge]) -> Result<Ordered> {
    let Collected {
        drafts,
        rows,
        members,
        mut tables,
    } = collected;
    let count = drafts.len();
    let (drafts, place) = by_name(drafts);
    let mut repair = Repair::new(&drafts, &place);
    for edge in edges {
        let Some(&from) = rows.get(&edge.from) else {
            continue;
        };
        let to = rows.get(&edge.to).or_else(|| members.get(&edge.to));
        if let Some(&to) = to {
            repair.graph.need(node(&place, from)?, node(&place, to)?);
        }
    }
    for (at, draft) in drafts.iter().enumerate() {
        for &other in &draft.needs {
            repair.graph.need(at, node(&place, other)?);
        }
    }
    repair.prepare(&drafts, &place);
    let order = repair.order(&drafts)?;
    let objects = finish(drafts, &repair, order, count);
    tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Ok(Ordered {
        objects,
        tables,
        broken_loops: repair.broken,
    })
}

/// Which node an object number is.
fn node(place: &HashMap<ObjectNumber, usize>, number: ObjectNumber) -> Result<usize> {
    place
        .get(&number)
        .copied()
        .ok_or_else(|| Error::internal(format!("Object number {number} was never collected")))
}

/// The drafts by kind, schema and name, and where each number went.
fn by_name(mut drafts: Vec<Draft>) -> (Vec<Draft>, HashMap<ObjectNumber, usize>) {
    drafts.sort_by(compare);
    let place = drafts
        .iter()
        .enumerate()
        .map(|(at, draft)| (draft.object.number, at))
        .collect();
    (drafts, place)
}

/// Kind, schema (objects without one last), name, further keys; the catalog's order at last.
fn compare(a: &Draft, b: &Draft) -> Ordering {
    let key = |d: &Draft| (rank(d.object.kind), d.object.schema.is_none());
    key(a)
        .cmp(&key(b))
        .then_with(|| a.object.schema.cmp(&b.object.schema))
        .then_with(|| a.object.name.cmp(&b.object.name))
        .then_with(|| a.object.kind.cmp(&b.object.kind))
        .then_with(|| a.sort_key.cmp(&b.sort_key))
        .then_with(|| a.object.number.cmp(&b.object.number))
}

/// Kinds that are made side by side share a rank.
fn rank(kind: ObjectKind) -> ObjectKind {
    match kind {
        ObjectKind::ShellType => ObjectKind::Type,
        ObjectKind::CheckConstraint => ObjectKind::Constraint,
        ObjectKind::OperatorClass => ObjectKind::OperatorFamily,
        other => other,
    }
}

/// Writes final statements and dependencies; parts that stay inside their owner vanish into it.
fn finish(drafts: Vec<Draft>, repair: &Repair, order: Vec<usize>, count: usize) -> Vec<Object> {
    let mut when = vec![0_usize; count + 2];
    for (at, &node) in order.iter().enumerate() {
        when[node] = at;
    }
    let numbers: Vec<ObjectNumber> = drafts.iter().map(|d| d.object.number).collect();
    let place: HashMap<ObjectNumber, usize> =
        numbers.iter().enumerate().map(|(at, &n)| (n, at)).collect();
    let is_separate = |number: ObjectNumber| {
        place
            .get(&number)
            .is_some_and(|&at| repair.separate.contains(&at))
    };
    let mut slots: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let inside: Vec<usize> = (0..count).filter(|&n| repair.is_inside(n)).collect();
    for &part in &inside {
        let comments = slots[part]
            .as_mut()
            .map(|draft| std::mem::take(&mut draft.object.attachments.comments));
        let owner = repair.owner[part].and_then(|owner| slots[owner].as_mut());
        if let (Some(comments), Some(owner)) = (comments, owner) {
            owner.object.attachments.comments.extend(comments);
        }
    }
    let mut objects = Vec::with_capacity(count - inside.len());
    for node in order {
        if node >= count || repair.is_inside(node) || repair.unused_shell(node) {
            continue;
        }
        let Some(mut draft) = slots[node].take() else {
            continue;
        };
        if let Some(assemble) = draft.assemble.take() {
            assemble(&mut draft.object, &is_separate);
        }
        draft.object.postponed =
            draft.object.kind.section() == Section::Pre && when[node] > when[repair.after_data];
        draft.object.depends_on = emitted_needs(node, repair, &when, count)
            .into_iter()
            .map(|other| numbers[other])
            .collect();
        objects.push(draft.object);
    }
    objects
}

/// What an object must wait for, seen through parts that have no object of their own.
fn emitted_needs(node: usize, repair: &Repair, when: &[usize], count: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([node]);
    let mut open: Vec<usize> = repair.graph.needs_of(node).collect();
    while let Some(other) = open.pop() {
        if other >= count || !seen.insert(other) {
            continue;
        }
        if repair.is_inside(other) {
            open.extend(repair.graph.needs_of(other));
            if let Some(owner) = repair.owner[other]
                && when[owner] < when[node]
            {
                open.push(owner);
            }
        } else if !repair.unused_shell(other) {
            found.insert(other);
        }
    }
    found
}

/// Which side of the rows a draft's object falls on, if it is made at all.
fn section(draft: &Draft) -> Option<Section> {
    match (draft.part, draft.object.kind) {
        // A default is always made before the rows; other parts have no place while inside.
        (Part::Inside(_), kind) if kind != ObjectKind::Default => None,
        (_, kind) => Some(kind.section()),
    }
}
