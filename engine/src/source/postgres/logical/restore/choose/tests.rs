//! A chosen table comes with its parts and needs, and without what needs other rows.

use super::*;

fn object(number: u32, kind: ObjectKind, name: &str, of: Option<u32>, needs: &[u32]) -> Object {
    let mut object = Object::new(kind, Some("s"), name);
    object.number = number;
    object.of = of;
    object.depends_on = needs.to_vec();
    object
}

fn choice(text: &str) -> Choice {
    Choice::parse(text).unwrap()
}

#[test]
fn choices_are_read_with_quotes_and_new_names() {
    assert_eq!(choice("t").schema, "public");
    assert_eq!(choice("a.b=c").new, Some(("a".into(), "c".into())));
    assert_eq!(choice("a.b=x.c").new, Some(("x".into(), "c".into())));
    let odd = choice("\"a.b\".\"c=\"\"d\"");
    assert_eq!((odd.schema.as_str(), odd.name.as_str()), ("a.b", "c=\"d"));
    for wrong in ["", ".", "a.", "a.b.c", "a=b=c", "a="] {
        assert!(Choice::parse(wrong).is_err(), "{wrong} was accepted");
    }
}

#[test]
fn a_table_brings_parts_and_needs_and_leaves_foreign_keys_out() {
    let objects = [
        object(1, ObjectKind::Schema, "s", None, &[]),
        object(2, ObjectKind::Type, "mood", None, &[1]),
        object(3, ObjectKind::Table, "a", None, &[1, 2]),
        object(4, ObjectKind::Table, "b", None, &[1]),
        object(5, ObjectKind::Sequence, "a_id_seq", None, &[1]),
        object(6, ObjectKind::SequenceOwnedBy, "a_id_seq", Some(3), &[3, 5]),
        object(7, ObjectKind::SequenceValue, "a_id_seq", Some(5), &[5]),
        object(8, ObjectKind::Constraint, "a_pkey", Some(3), &[3]),
        object(9, ObjectKind::ForeignKey, "a_b", Some(3), &[3, 4]),
        object(10, ObjectKind::Index, "b_i", Some(4), &[4]),
    ];
    let chosen = choose(&objects, &[choice("s.a")]).unwrap();
    assert_eq!(chosen.tables, HashSet::from([3]));
    assert_eq!(chosen.objects, HashSet::from([1, 2, 3, 5, 6, 7, 8]));
    assert_eq!(chosen.needed, HashSet::from([1, 2]));
    assert_eq!(chosen.left_out, [9]);
    let both = choose(&objects, &[choice("s.a"), choice("s.b")]).unwrap();
    assert!(both.left_out.is_empty() && both.objects.contains(&9));
}

#[test]
fn a_partitioned_table_brings_its_partitions() {
    let objects = [
        object(1, ObjectKind::Table, "p", None, &[]),
        object(2, ObjectKind::Table, "p1", None, &[]),
        object(3, ObjectKind::Table, "p11", None, &[]),
        object(4, ObjectKind::TableAttach, "p1", Some(2), &[1, 2]),
        object(5, ObjectKind::TableAttach, "p11", Some(3), &[2, 3]),
    ];
    let chosen = choose(&objects, &[choice("s.p")]).unwrap();
    assert_eq!(chosen.tables, HashSet::from([1, 2, 3]));
    assert!(chosen.objects.contains(&4) && chosen.objects.contains(&5));
    let leaf = choose(&objects, &[choice("s.p11")]).unwrap();
    assert_eq!(leaf.left_out, [5], "alone it stays a plain table");
}

#[test]
fn an_unknown_table_is_named() {
    let error = choose(&[], &[choice("s.none")]).unwrap_err();
    assert_eq!(error.code(), Code::ObjectNotFound);
    assert!(error.message().contains("s.none"));
}
