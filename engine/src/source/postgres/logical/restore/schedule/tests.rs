//! Dependencies hold, lock fights never run side by side, and nothing is forgotten.

use super::*;

fn object(kind: ObjectKind, of: Option<u32>, depends_on: &[u32]) -> Object {
    let mut object = Object::new(kind, Some("s"), "o");
    object.of = of;
    object.depends_on = depends_on.to_vec();
    object
}

fn step(object: &Object, cost: u64, after: &[usize]) -> Step {
    let tables = [1, 2].map(|number| {
        let mut table = Object::new(ObjectKind::Table, Some("s"), "t");
        table.number = number;
        table
    });
    let all = tables.iter().map(|table| (table.number, table)).collect();
    let touched = touched(object, &all);
    let (exclusive, shared) = if shares(object) {
        (HashSet::new(), touched)
    } else {
        (touched, HashSet::new())
    };
    Step {
        after: after.to_vec(),
        exclusive,
        shared,
        cost,
        is_join: false,
    }
}

#[test]
fn indexes_of_a_table_run_together_and_its_constraints_alone() {
    let steps = vec![
        step(&object(ObjectKind::Index, Some(1), &[1]), 30, &[]),
        step(&object(ObjectKind::Index, Some(1), &[1]), 20, &[]),
        step(&object(ObjectKind::Constraint, Some(1), &[1]), 15, &[]),
        step(&object(ObjectKind::Constraint, Some(2), &[2]), 1, &[]),
        step(
            &object(ObjectKind::ForeignKey, Some(1), &[1, 2, 6]),
            1,
            &[3],
        ),
    ];
    let mut schedule = Schedule::new(steps);
    assert_eq!(schedule.take(), Some(0));
    assert_eq!(schedule.take(), Some(1));
    assert_eq!(
        schedule.take(),
        Some(3),
        "table 1 is shared, table 2 is free"
    );
    assert_eq!(schedule.take(), None);
    schedule.finish(0);
    assert_eq!(schedule.take(), None, "an index of table 1 is still built");
    schedule.finish(1);
    assert_eq!(schedule.take(), Some(2));
    schedule.finish(3);
    assert_eq!(schedule.take(), None, "both want table 1");
    schedule.finish(2);
    assert_eq!(schedule.take(), Some(4));
    assert!(!schedule.is_finished());
    schedule.finish(4);
    assert!(schedule.is_finished());
}

#[test]
fn joins_pass_by_themselves_and_the_longest_way_goes_first() {
    let work = |cost, after: &[usize]| Step {
        cost,
        after: after.to_vec(),
        ..Step::default()
    };
    let join = |after: &[usize]| Step {
        is_join: true,
        ..work(0, after)
    };
    let steps = vec![
        join(&[]),
        work(10, &[0]),
        work(5, &[0]),
        join(&[2]),
        work(20, &[3]),
        work(1, &[1, 3]),
    ];
    let mut schedule = Schedule::new(steps);
    assert_eq!(schedule.take(), Some(2), "5 and then 20 is longer than 10");
    assert_eq!(schedule.take(), Some(1));
    assert_eq!(schedule.take(), None);
    schedule.finish(2);
    assert_eq!(schedule.take(), Some(4));
    schedule.finish(1);
    assert_eq!(schedule.take(), Some(5));
    schedule.finish(5);
    schedule.finish(4);
    assert!(schedule.is_finished());
}

#[test]
fn an_empty_schedule_is_finished() {
    assert!(Schedule::new(Vec::new()).is_finished());
    let join = Step {
        is_join: true,
        ..Step::default()
    };
    assert!(Schedule::new(vec![join]).is_finished());
}
