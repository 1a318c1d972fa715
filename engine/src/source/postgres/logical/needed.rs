//! What a partial backup holds besides what was chosen: the schemas, types, functions, extensions
//! that the chosen tables cannot be made without, so that it restores into an empty database.

use std::collections::{HashMap, HashSet};

use super::object::{Object, ObjectKind, ObjectNumber};

/// Keeps what was chosen and what that needs; the order stays. Tables and what belongs to them
/// are only among the objects when they were chosen.
pub(super) fn keep(objects: Vec<Object>, is_chosen_schema: impl Fn(&str) -> bool) -> Vec<Object> {
    let by_number: HashMap<ObjectNumber, &Object> = objects
        .iter()
        .map(|object| (object.number, object))
        .collect();
    let chosen = |object: &Object| match object.kind {
        ObjectKind::Schema => is_chosen_schema(&object.name),
        kind => is_of_table(kind) || object.schema.as_deref().is_some_and(&is_chosen_schema),
    };
    let mut kept: HashSet<ObjectNumber> = HashSet::new();
    let mut open: Vec<ObjectNumber> = objects
        .iter()
        .filter(|object| chosen(object))
        .map(|object| object.number)
        .collect();
    while let Some(number) = open.pop() {
        if kept.insert(number)
            && let Some(object) = by_number.get(&number)
        {
            open.extend(&object.depends_on);
        }
        if open.is_empty() {
            let of_kept = |object: &&Object| {
                object
                    .completes()
                    .is_some_and(|owner| kept.contains(&owner))
                    && !kept.contains(&object.number)
            };
            open.extend(objects.iter().filter(of_kept).map(|object| object.number));
        }
    }
    objects
        .into_iter()
        .filter(|object| kept.contains(&object.number))
        .collect()
}

/// Whether objects of that kind are tables or lie in one.
fn is_of_table(kind: ObjectKind) -> bool {
    use ObjectKind as K;
    matches!(
        kind,
        K::Table
            | K::ForeignTable
            | K::View
            | K::MaterializedView
            | K::Sequence
            | K::SequenceOwnedBy
            | K::TableAttach
            | K::Default
            | K::TableData
            | K::SequenceValue
            | K::Constraint
            | K::Index
            | K::IndexAttach
            | K::Statistics
            | K::Rule
            | K::Trigger
            | K::ForeignKey
            | K::Policy
            | K::RefreshMaterializedView
    )
}

#[cfg(test)]
mod tests {
    use super::super::object::{Object, ObjectKind};
    use super::keep;

    fn object(number: u32, kind: ObjectKind, schema: &str, name: &str, needs: &[u32]) -> Object {
        let mut object = Object::new(kind, (!schema.is_empty()).then_some(schema), name);
        object.number = number;
        object.depends_on = needs.to_vec();
        object
    }

    #[test]
    fn what_the_chosen_need_comes_along() {
        let mut check = object(7, ObjectKind::CheckConstraint, "lib", "c", &[6, 8]);
        check.of = Some(6);
        let objects = vec![
            object(1, ObjectKind::Schema, "", "shop", &[]),
            object(2, ObjectKind::Schema, "", "lib", &[]),
            object(3, ObjectKind::Schema, "", "idle", &[]),
            object(4, ObjectKind::Function, "lib", "unused()", &[2]),
            object(5, ObjectKind::Extension, "", "hstore", &[2]),
            object(6, ObjectKind::Type, "lib", "t", &[2, 5]),
            check,
            object(8, ObjectKind::Function, "lib", "of_check()", &[2]),
            object(9, ObjectKind::Table, "shop", "orders", &[1, 6]),
            object(10, ObjectKind::Function, "shop", "f()", &[1]),
        ];
        let numbers = |schema: &'static str| -> Vec<u32> {
            keep(objects.clone(), |name| name == schema)
                .iter()
                .map(|o| o.number)
                .collect()
        };
        assert_eq!(numbers("none"), [1, 2, 5, 6, 7, 8, 9]);
        assert_eq!(numbers("shop"), [1, 2, 5, 6, 7, 8, 9, 10]);
    }
}
