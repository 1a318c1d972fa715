//! The order in which tables may be loaded.

use super::*;
use crate::source::postgres::logical::contents::TableEntry;
use crate::source::postgres::wire::RowTally;

fn table(oid: u32, after: &[u32]) -> ArchivedTable {
    ArchivedTable {
        schema: "s".into(),
        name: format!("t{oid}"),
        entry: TableEntry {
            number: oid,
            oid,
            after: after.to_vec(),
            columns: Vec::new(),
            statement: String::new(),
            load: String::new(),
            through: None,
            sum: RowTally::default(),
            lost: None,
        },
        ranges: Vec::new(),
    }
}

#[test]
fn tables_wait_for_those_they_refer_to_and_loops_end() {
    let tables = [
        table(1, &[2]),
        table(2, &[3, 9]),
        table(3, &[]),
        table(4, &[5]),
        table(5, &[4]),
    ];
    let found: Vec<Vec<u32>> = waves(&tables.iter().collect::<Vec<_>>())
        .iter()
        .map(|wave| wave.iter().map(|table| table.entry.oid).collect())
        .collect();
    assert_eq!(found, [vec![3], vec![2], vec![1], vec![4, 5]]);
}
