//! What happens to each object.

use std::collections::{BTreeSet, HashMap};

use super::{Action, Destination, Plan, PlanItem, Surroundings};
use crate::pipeline::archive::Archive;
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};
use crate::source::postgres::logical::restore::choose::{Chosen, is_relation};
use crate::source::postgres::logical::restore::renaming::{Place, label};

/// Fills in the plan's items, its sums, and whether it destroys anything.
pub(super) fn list(plan: &mut Plan, archive: &Archive, around: &Surroundings) {
    let sums = Sums::of(archive);
    let replaces = plan.destination == Destination::Cleaned;
    let mut named = BTreeSet::new();
    let mut items = Vec::new();
    for object in &archive.objects {
        let wanted = plan.wants(object);
        let is_left_out = |chosen: &Chosen| chosen.left_out.contains(&object.number);
        if !wanted && !plan.chosen.as_ref().is_none_or(is_left_out) {
            continue;
        }
        let place = around.place(object);
        let own = around.state.relations.get(&place);
        let there = own.filter(|_| is_relation(object.kind)).copied();
        let sums = sums.get(object).filter(|_| !plan.needs_only(object));
        if wanted && object.kind != ObjectKind::TableData {
            plan.rows += sums.map_or(0, |sums| sums.0);
            plan.data_bytes += sums.map_or(0, |sums| sums.1);
        }
        let (action, reason) = action(plan, object, wanted, there.is_some(), &place);
        if is_relation(object.kind) {
            named.insert(place.clone());
        }
        items.push(PlanItem {
            action,
            kind: object.kind.sql_name().to_owned(),
            schema: object.schema.as_ref().map(|_| place.0),
            name: place.1,
            rows: sums.map(|sums| sums.0),
            data_bytes: sums.map(|sums| sums.1),
            there,
            reason,
        });
    }
    if replaces {
        items.extend(dropped(plan, around, &named));
    }
    let loses = |item: &PlanItem| matches!(item.action, Action::Drop | Action::Overwrite);
    plan.destroys = match (&plan.destination, &plan.chosen) {
        (Destination::Swap { .. }, _) => true,
        (_, None) => replaces && !around.state.is_empty,
        (_, Some(_)) => items.iter().any(loses),
    };
    plan.items = items;
}

/// What happens to one object of the backup, and why.
fn action(
    plan: &Plan,
    object: &Object,
    wanted: bool,
    exists: bool,
    place: &Place,
) -> (Action, Option<String>) {
    if !wanted {
        let excluded = plan.options.no_extensions && object.kind == ObjectKind::Extension;
        let reason = if excluded {
            "--no-extensions"
        } else {
            "it needs a table that was not chosen"
        };
        return (Action::Skip, Some(reason.to_owned()));
    }
    let needed = plan.needs_only(object);
    if needed && exists {
        let reason = "it is there already and stays as it is".to_owned();
        return (Action::Skip, Some(reason));
    }
    if needed && !plan.creates_database() {
        return (Action::Create, Some("where it is missing".to_owned()));
    }
    let own = (
        object.schema.clone().unwrap_or_default(),
        object.name.clone(),
    );
    let reason = (own != *place).then(|| format!("restored from {}", label(&own)));
    let replaces = plan.destination == Destination::Cleaned;
    if exists && replaces {
        (Action::Overwrite, reason)
    } else {
        (Action::Create, reason)
    }
}

/// What the target has and loses, and the backup does not bring.
fn dropped(plan: &Plan, around: &Surroundings, named: &BTreeSet<Place>) -> Vec<PlanItem> {
    let sizes = &around.state.relations;
    let item = |kind: &str, place: &Place, reason: &str| PlanItem {
        action: Action::Drop,
        kind: kind.to_owned(),
        schema: Some(place.0.clone()),
        name: place.1.clone(),
        rows: None,
        data_bytes: None,
        there: Some(sizes.get(place).copied().unwrap_or_default()),
        reason: Some(reason.to_owned()),
    };
    if plan.chosen.is_some() {
        let gone = around.doomed.relations.iter();
        return gone
            .filter(|(_, place)| !named.contains(place))
            .map(|(kind, place)| item(kind, place, "it goes with what is replaced"))
            .collect();
    }
    let reason = "the backup does not hold it, and the database is emptied";
    let gone = sizes.keys().filter(|place| !named.contains(*place));
    gone.map(|place| item("RELATION", place, reason)).collect()
}

/// Rows and bytes by table.
struct Sums(HashMap<ObjectNumber, (u64, u64)>);

impl Sums {
    fn of(archive: &Archive) -> Self {
        let mut sums: HashMap<ObjectNumber, (u64, u64)> = HashMap::new();
        for table in &archive.tables {
            let known = sums.entry(table.entry.number).or_default();
            known.0 += table.entry.sum.rows;
            known.1 += table.entry.sum.data_bytes;
        }
        Self(sums)
    }

    fn get(&self, object: &Object) -> Option<&(u64, u64)> {
        if is_relation(object.kind) {
            self.0.get(&object.number)
        } else {
            None
        }
    }
}
