//! The order of objects, loops included.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{Edge, Ordered, sort};
use crate::source::postgres::logical::draft::{Collected, Draft, Part};
use crate::source::postgres::logical::object::{
    CatalogRow, Object, ObjectKind, ObjectNumber, Section,
};

/// Builds a schema object by object; rows are of catalog 1, their OIDs the numbers.
#[derive(Default)]
struct Builder {
    collected: Collected,
    edges: Vec<Edge>,
}

impl Builder {
    fn add(&mut self, kind: ObjectKind, name: &str) -> ObjectNumber {
        self.add_draft(kind, name, Part::Whole)
    }

    fn part(&mut self, kind: ObjectKind, name: &str, owner: ObjectNumber) -> ObjectNumber {
        let part = self.add_draft(kind, name, Part::Inside(owner));
        // As pg_depend says of every rule, default and constraint.
        self.needs(part, owner);
        part
    }

    fn add_draft(&mut self, kind: ObjectKind, name: &str, part: Part) -> ObjectNumber {
        let mut object = Object::new(kind, Some("s"), name);
        object.create = vec![format!("CREATE {name}")];
        object.attachments.comments = vec![format!("COMMENT ON {name}")];
        let oid = u32::try_from(self.collected.drafts.len() + 1).unwrap();
        object.row = Some(CatalogRow { class: 1, oid });
        let mut draft = Draft::of(object);
        draft.part = part;
        self.collected.add(draft)
    }

    fn needs(&mut self, from: ObjectNumber, to: ObjectNumber) {
        let row = |oid| CatalogRow { class: 1, oid };
        self.edges.push(Edge {
            from: row(from),
            to: row(to),
        });
    }

    fn sort(self) -> Ordered {
        sort(self.collected, &self.edges).unwrap()
    }
}

fn names(ordered: &Ordered) -> Vec<&str> {
    ordered.objects.iter().map(|o| o.name.as_str()).collect()
}

fn object<'o>(ordered: &'o Ordered, name: &str) -> &'o Object {
    let found = ordered.objects.iter().find(|o| o.name == name);
    found.unwrap_or_else(|| panic!("{name} is missing"))
}

#[test]
fn objects_keep_kind_and_name_order_where_nothing_depends() {
    let mut b = Builder::default();
    b.add(ObjectKind::Trigger, "trigger");
    b.add(ObjectKind::Table, "b");
    b.add(ObjectKind::Table, "a");
    b.add(ObjectKind::Schema, "schema");
    b.add(ObjectKind::SequenceValue, "value");
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["schema", "a", "b", "value", "trigger"]);
}

#[test]
fn a_part_stays_inside_when_nothing_else_is_in_the_loop() {
    let mut b = Builder::default();
    let table = b.add(ObjectKind::Table, "table");
    let check = b.part(ObjectKind::CheckConstraint, "check", table);
    let function = b.add(ObjectKind::Function, "function");
    b.needs(check, function);
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["function", "table"]);
    let table = object(&ordered, "table");
    assert_eq!(table.depends_on, [function], "seen through the part");
    assert_eq!(
        table.attachments.comments,
        ["COMMENT ON table", "COMMENT ON check"]
    );
}

#[test]
fn a_check_that_needs_the_table_through_a_function_comes_after_the_rows() {
    let mut b = Builder::default();
    let table = b.add(ObjectKind::Table, "table");
    let check = b.part(ObjectKind::CheckConstraint, "check", table);
    let function = b.add(ObjectKind::Function, "function");
    b.needs(check, function);
    b.needs(function, table);
    let rows = b.add(ObjectKind::SequenceValue, "rows");
    b.needs(rows, table);
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["table", "function", "rows", "check"]);
    assert!(ordered.broken_loops.is_empty());
}

#[test]
fn a_serial_column_gets_its_default_after_its_sequence() {
    let mut b = Builder::default();
    let table = b.add(ObjectKind::Table, "table");
    let default = b.part(ObjectKind::Default, "default", table);
    let sequence = b.add(ObjectKind::Sequence, "sequence");
    b.needs(sequence, table);
    b.needs(default, sequence);
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["table", "sequence", "default"]);
    assert_eq!(
        object(&ordered, "default").depends_on,
        [table, sequence],
        "a default that stands alone waits for both"
    );
}

#[test]
fn circular_views_begin_as_stand_ins() {
    let mut b = Builder::default();
    let one = b.add(ObjectKind::View, "one");
    let one_rule = b.part(ObjectKind::Rule, "rule of one", one);
    let two = b.add(ObjectKind::View, "two");
    let two_rule = b.part(ObjectKind::Rule, "rule of two", two);
    b.needs(one_rule, two);
    b.needs(two_rule, one);
    let separate = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    for (view, rule) in [(one, one_rule), (two, two_rule)] {
        let separate = separate.clone();
        b.collected.draft_mut(view).unwrap().assemble = Some(Box::new(move |_, is_separate| {
            separate.lock().push(is_separate(rule));
        }));
    }
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["one", "two", "rule of one"]);
    assert_eq!(*separate.lock(), [true, false]);
}

#[test]
fn of_views_that_read_each_other_only_the_one_that_needs_a_key_is_split() {
    let mut b = Builder::default();
    let table = b.add(ObjectKind::Table, "table");
    let key = b.add(ObjectKind::Constraint, "key");
    b.needs(key, table);
    let big = b.add(ObjectKind::View, "big");
    let big_rule = b.part(ObjectKind::Rule, "rule of big", big);
    let total = b.add(ObjectKind::View, "total");
    let total_rule = b.part(ObjectKind::Rule, "rule of total", total);
    b.needs(total_rule, key);
    b.needs(big_rule, total);
    let rows = b.add(ObjectKind::SequenceValue, "rows");
    b.needs(rows, table);
    let ordered = b.sort();
    assert!(names(&ordered).contains(&"rule of total"));
    assert!(!names(&ordered).contains(&"rule of big"));
    assert!(ordered.broken_loops.is_empty());
}

#[test]
fn a_materialized_view_that_needs_a_key_moves_behind_the_rows_with_what_needs_it() {
    let mut b = Builder::default();
    let table = b.add(ObjectKind::Table, "table");
    let key = b.add(ObjectKind::Constraint, "key");
    b.needs(key, table);
    let first = b.add(ObjectKind::MaterializedView, "first");
    let first_rule = b.part(ObjectKind::Rule, "rule of first", first);
    b.needs(first_rule, key);
    let second = b.add(ObjectKind::MaterializedView, "second");
    let second_rule = b.part(ObjectKind::Rule, "rule of second", second);
    b.needs(second_rule, first);
    let function = b.add(ObjectKind::Function, "function");
    b.needs(function, second);
    let rows = b.add(ObjectKind::SequenceValue, "rows");
    b.needs(rows, table);
    let ordered = b.sort();
    assert_eq!(
        names(&ordered),
        ["table", "rows", "key", "first", "second", "function"]
    );
    for name in ["first", "second", "function"] {
        assert_eq!(object(&ordered, name).section(), Section::Post, "{name}");
    }
    assert!(ordered.broken_loops.is_empty());
}

#[test]
fn a_shell_stands_in_for_a_type_only_when_functions_need_it() {
    let mut b = Builder::default();
    for name in ["base", "plain"] {
        let kind = b.add(ObjectKind::Type, name);
        let shell = b.add(ObjectKind::ShellType, &format!("shell of {name}"));
        b.collected.draft_mut(kind).unwrap().shell = Some(shell);
        let function = b.add(ObjectKind::Function, &format!("function of {name}"));
        b.needs(kind, function);
        if name == "base" {
            b.needs(function, kind);
        }
    }
    assert_eq!(
        names(&b.sort()),
        [
            "shell of base",
            "function of base",
            "base",
            "function of plain",
            "plain"
        ]
    );
}

#[test]
fn a_loop_without_remedy_names_its_members_and_loses_none() {
    let mut b = Builder::default();
    let one = b.add(ObjectKind::Operator, "one");
    let two = b.add(ObjectKind::Cast, "two");
    b.needs(one, two);
    b.needs(two, one);
    let ordered = b.sort();
    assert_eq!(ordered.objects.len(), 2);
    let [told] = ordered.broken_loops.as_slice() else {
        panic!("{:?}", ordered.broken_loops);
    };
    assert!(
        told.contains("OPERATOR s.one") && told.contains("CAST s.two"),
        "{told}"
    );
}

#[test]
fn members_of_an_extension_bring_the_extension_but_not_their_own_needs() {
    let mut b = Builder::default();
    let extension = b.add(ObjectKind::Extension, "extension");
    let table = b.add(ObjectKind::Table, "a");
    let member = CatalogRow { class: 7, oid: 1 };
    let table_row = CatalogRow {
        class: 1,
        oid: table,
    };
    b.collected.member(member, extension);
    b.edges.push(Edge {
        from: table_row,
        to: member,
    });
    b.edges.push(Edge {
        from: member,
        to: table_row,
    });
    let ordered = b.sort();
    assert_eq!(names(&ordered), ["extension", "a"]);
    assert_eq!(object(&ordered, "a").depends_on, [extension]);
}

const KINDS: [ObjectKind; 11] = [
    ObjectKind::Type,
    ObjectKind::Function,
    ObjectKind::Table,
    ObjectKind::View,
    ObjectKind::MaterializedView,
    ObjectKind::Sequence,
    ObjectKind::SequenceValue,
    ObjectKind::Constraint,
    ObjectKind::Index,
    ObjectKind::Trigger,
    ObjectKind::RefreshMaterializedView,
];

/// Objects by kind, dependencies by position; every table has a default and a CHECK, every view a
/// query, and a third of the dependencies are those of the parts.
fn build(kinds: &[usize], links: &[(usize, usize, bool)]) -> Builder {
    let mut b = Builder::default();
    let mut nodes = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let kind = KINDS[kind % KINDS.len()];
        let node = b.add(kind, &format!("{} {at}", kind.sql_name()));
        let part = match kind {
            ObjectKind::Table if at % 2 == 0 => Some(ObjectKind::Default),
            ObjectKind::Table => Some(ObjectKind::CheckConstraint),
            ObjectKind::View | ObjectKind::MaterializedView => Some(ObjectKind::Rule),
            _ => None,
        };
        let part = part.map(|kind| b.part(kind, &format!("part {at}"), node));
        nodes.push((node, part));
    }
    for &(from, to, of_part) in links {
        let (from, to) = (from % nodes.len(), to % nodes.len());
        let section = |at: usize| KINDS[kinds[at] % KINDS.len()].section();
        if section(from) == Section::Pre && section(to) == Section::Data {
            continue; // No catalog knows of rows.
        }
        let (node, part) = nodes[from];
        let (to, _) = nodes[to];
        b.needs(part.filter(|_| of_part).unwrap_or(node), to);
    }
    b
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever depends on whatever: nothing is lost, what an object waits for stands before it,
    /// sections do not mix, and the same input gives the same order.
    #[test]
    fn any_schema_can_be_put_in_order(
        kinds in prop::collection::vec(0_usize..11, 1..25),
        links in prop::collection::vec((0_usize..25, 0_usize..25, any::<bool>()), 0..50),
    ) {
        let ordered = build(&kinds, &links).sort();
        let again = build(&kinds, &links).sort();
        prop_assert_eq!(&ordered.objects, &again.objects);

        let place: HashMap<ObjectNumber, usize> =
            ordered.objects.iter().enumerate().map(|(at, o)| (o.number, at)).collect();
        prop_assert_eq!(place.len(), ordered.objects.len(), "an object came twice");
        let whole = ordered.objects.iter().filter(|o| !o.name.starts_with("part ")).count();
        prop_assert_eq!(whole, kinds.len());
        for (at, object) in ordered.objects.iter().enumerate() {
            for needed in &object.depends_on {
                prop_assert!(place.get(needed).is_some_and(|&before| before < at));
            }
        }
        // A loop that nothing repairs is broken anywhere, so only then may sections mix.
        if ordered.broken_loops.is_empty() {
            let sections: Vec<Section> = ordered.objects.iter().map(Object::section).collect();
            let is_sorted = sections.windows(2).all(|pair| pair[0] <= pair[1]);
            prop_assert!(is_sorted, "{:?}", sections);
        }
    }

    /// Where there is no loop, every single dependency is kept.
    #[test]
    fn dependencies_without_loops_are_all_kept(
        kinds in prop::collection::vec(0_usize..11, 2..25),
        links in prop::collection::vec((0_usize..25, 0_usize..25), 0..50),
    ) {
        // From later to earlier, and never from an earlier section to a later one.
        let section = |at: usize| KINDS[kinds[at] % KINDS.len()].section();
        let links: HashSet<(usize, usize, bool)> = links
            .into_iter()
            .map(|(a, b)| (a % kinds.len(), b % kinds.len()))
            .filter(|&(a, b)| (section(a), a) > (section(b), b))
            .map(|(a, b)| (a, b, false))
            .collect();
        let links: Vec<_> = links.into_iter().collect();
        let ordered = build(&kinds, &links).sort();
        prop_assert!(ordered.broken_loops.is_empty());
        let place: HashMap<&str, usize> =
            ordered.objects.iter().enumerate().map(|(at, o)| (o.name.as_str(), at)).collect();
        let name = |at: usize| format!("{} {at}", KINDS[kinds[at] % KINDS.len()].sql_name());
        for (from, to, _) in links {
            prop_assert!(place[name(from).as_str()] > place[name(to).as_str()]);
        }
    }
}
