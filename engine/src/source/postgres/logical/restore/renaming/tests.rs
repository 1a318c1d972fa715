//! Names follow their table, stay names, and are given once.

use super::*;
use crate::source::postgres::logical::object::ObjectKind;

fn choices(texts: &[&str]) -> Vec<Choice> {
    texts
        .iter()
        .map(|text| Choice::parse(text).unwrap())
        .collect()
}

#[test]
fn parts_follow_their_table() {
    assert_eq!(follow("t", "new", "t_pkey"), "new_pkey");
    assert_eq!(follow("t", "new", "by_date"), "new_by_date");
    assert_eq!(follow("t", &"x".repeat(70), "t_pkey").len(), NAME_BYTES_MAX);
}

#[test]
fn choices_that_meet_are_refused() {
    let long = format!("a={}", "x".repeat(64));
    for (wrong, says) in [
        (vec!["a=b", "a=c"], "public.a is chosen twice"),
        (vec!["a", "public.a=c"], "public.a is chosen twice"),
        (
            vec!["a=c", "b=c"],
            "public.a and public.b would both become public.c",
        ),
        (
            vec!["b", "a=b"],
            "public.b and public.a would both become public.b",
        ),
        (
            vec!["a=b", "b=a"],
            "public.a cannot become public.b, which is chosen itself",
        ),
        (vec![long.as_str()], "is too long a name"),
    ] {
        let error = check(&choices(&wrong)).unwrap_err();
        assert!(error.message().contains(says), "{wrong:?}: {error}");
    }
    check(&choices(&["a=b", "c=x.b", "d", "e=e"])).unwrap();
}

#[test]
fn partitions_and_sequences_go_along() {
    let object = |number, kind, name: &str, of, needs: &[u32]| {
        let mut object = Object::new(kind, Some("s"), name);
        (object.number, object.of) = (number, of);
        object.depends_on = needs.to_vec();
        object
    };
    let objects = [
        object(1, ObjectKind::Table, "t", None, &[]),
        object(2, ObjectKind::Table, "t_1", None, &[]),
        object(3, ObjectKind::TableAttach, "t_1", Some(2), &[1, 2]),
        object(4, ObjectKind::Sequence, "t_id_seq", None, &[]),
        object(5, ObjectKind::SequenceOwnedBy, "t_id_seq", Some(1), &[1, 4]),
        object(6, ObjectKind::Table, "other", None, &[]),
    ];
    let choices = choices(&["s.t=x.new", "s.other"]);
    let chosen = choose(&objects, &choices).unwrap();
    let places = places(&objects, &choices, &chosen).unwrap();
    let mut labels: Vec<_> = places.values().map(label).collect();
    labels.sort();
    assert_eq!(labels, ["s.other", "x.new", "x.new_1", "x.new_id_seq"]);
}
