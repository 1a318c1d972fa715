//! Dependencies hold, lock fights never run side by side, and nothing is forgotten.

use super::*;
use crate::source::postgres::logical::object::Section;

fn object(number: ObjectNumber, kind: ObjectKind, of: Option<u32>, depends_on: &[u32]) -> Object {
    let mut object = Object::new(kind, Some("s"), format!("o{number}"));
    object.number = number;
    object.of = of;
    object.depends_on = depends_on.to_vec();
    object
}

fn schedule(objects: &[Object], weight: impl Fn(u32) -> u64) -> Schedule {
    let all = objects
        .iter()
        .map(|object| (object.number, object))
        .collect();
    let post: Vec<&Object> = objects
        .iter()
        .filter(|object| object.section() == Section::Post)
        .collect();
    Schedule::new(&post, &all, weight)
}

#[test]
fn indexes_of_a_table_run_together_and_its_constraints_alone() {
    let objects = [
        object(1, ObjectKind::Table, None, &[]),
        object(2, ObjectKind::Table, None, &[]),
        object(3, ObjectKind::Index, Some(1), &[1]),
        object(4, ObjectKind::Index, Some(1), &[1]),
        object(5, ObjectKind::Constraint, Some(1), &[1]),
        object(6, ObjectKind::Constraint, Some(2), &[2]),
        object(7, ObjectKind::ForeignKey, Some(1), &[1, 2, 6]),
    ];
    let mut schedule = schedule(&objects, |table| if table == 1 { 10 } else { 1 });
    assert_eq!(schedule.take(), Some(3));
    assert_eq!(schedule.take(), Some(4));
    assert_eq!(
        schedule.take(),
        Some(6),
        "table 1 is shared, table 2 is free"
    );
    assert_eq!(schedule.take(), None);
    schedule.finish(3);
    assert_eq!(schedule.take(), None, "an index of table 1 is still built");
    schedule.finish(4);
    assert_eq!(schedule.take(), Some(5));
    schedule.finish(6);
    assert_eq!(schedule.take(), None, "both want table 1");
    schedule.finish(5);
    assert_eq!(schedule.take(), Some(7));
    assert!(!schedule.is_finished());
    schedule.finish(7);
    assert!(schedule.is_finished());
}

#[test]
fn a_dependency_that_stands_later_does_not_block_for_ever() {
    let objects = [
        object(1, ObjectKind::Table, None, &[]),
        object(2, ObjectKind::Index, Some(1), &[3]),
        object(3, ObjectKind::Index, Some(1), &[2]),
    ];
    let mut schedule = schedule(&objects, |_| 0);
    let mut done = Vec::new();
    while let Some(number) = schedule.take() {
        schedule.finish(number);
        done.push(number);
    }
    assert_eq!(done, [2, 3]);
    assert!(schedule.is_finished());
}
