//! Which tables have rows to copy, and what copying them needs to know.

use std::collections::{BTreeMap, HashSet};

use super::super::super::catalog;
use super::super::super::draft::{Collected, TableFacts};
use super::super::super::reader::Reader;
use super::super::relations::{Relation, Relations};
use super::super::sequences;
use crate::error::Result;

/// Lists the tables whose rows belong to the backup. Foreign tables have their rows elsewhere,
/// partitioned ones in their partitions; unlogged tables are copied like others.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let scattered = scattered(reader, relations).await?;
    for table in &relations.list {
        if table.kind != 'r' || !table.defined() || !reader.wants_rows(table.oid) {
            continue;
        }
        let mut facts = facts(table);
        facts.load_through =
            root(relations, table, &scattered).map(|root| (root.schema.clone(), root.name.clone()));
        out.tables.push(facts);
    }
    if reader.whole {
        configuration(reader, out, relations).await?;
    }
    Ok(())
}

fn facts(table: &Relation) -> TableFacts {
    let copied = |c: &&super::super::relations::Column| !c.dropped && c.generated == '\0';
    TableFacts {
        number: table.number,
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .filter(copied)
            .map(|c| c.name.clone())
            .collect(),
        pages: table.pages[1],
        heap_pages: table.pages[0],
        rows: table.tuples,
        access_method: table
            .access_method
            .clone()
            .unwrap_or_else(|| "heap".to_owned()),
        filter: String::new(),
        extension: false,
        load_through: None,
        after: Vec::new(),
    }
}

/// Partitioned tables whose rows may belong into another partition after a restore: enum values
/// hash by their OIDs, which differ.
async fn scattered(reader: &Reader<'_>, relations: &Relations) -> Result<HashSet<u32>> {
    if !reader.since(11) || !relations.list.iter().any(|r| r.kind == 'p') {
        return Ok(HashSet::new());
    }
    let query = "SELECT partrelid FROM pg_catalog.pg_partitioned_table WHERE \
         (SELECT c.oid FROM pg_catalog.pg_opclass c \
            JOIN pg_catalog.pg_am a ON a.oid = c.opcmethod \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace \
           WHERE c.opcname = 'enum_ops' AND n.nspname = 'pg_catalog' AND a.amname = 'hash') \
         = ANY (partclass)";
    let mut found = HashSet::new();
    for row in reader.rows(query).await? {
        found.insert(row.oid("partrelid")?);
    }
    Ok(found)
}

/// The topmost table above a partition, if rows must be loaded through it.
fn root<'r>(
    relations: &'r Relations,
    table: &Relation,
    scattered: &HashSet<u32>,
) -> Option<&'r Relation> {
    let mut through = false;
    let mut top = None;
    let mut parent = table.parents.first().filter(|_| table.partition);
    while let Some(relation) = parent.and_then(|oid| relations.get(*oid)) {
        through |= scattered.contains(&relation.oid);
        top = Some(relation);
        parent = relation.parents.first().filter(|_| relation.partition);
    }
    top.filter(|_| through)
}

/// Tables that extensions keep a user's rows in.
async fn configuration(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let query = "SELECT e.oid, t.oid AS relation, t.filter FROM pg_catalog.pg_extension e, \
         ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) \
         AS t(oid, filter) \
         WHERE e.extconfig IS NOT NULL ORDER BY e.oid, t.oid";
    let mut places = BTreeMap::new();
    let mut sequence_oids = Vec::new();
    for row in reader.rows(query).await? {
        let (extension, oid) = (row.oid("oid")?, row.oid("relation")?);
        let number = out.number_of(catalog::EXTENSION, extension);
        let (Some(relation), Some(number)) = (relations.get(oid), number) else {
            continue;
        };
        if !reader.wants_rows(oid) || reader.excluded_tables.contains(&oid) {
            continue;
        }
        match relation.kind {
            'S' => sequence_oids.push((oid, number)),
            'r' => {
                let mut facts = facts(relation);
                facts.number = number;
                facts.extension = true;
                facts.columns = column_names(reader, oid).await?;
                facts.filter = row.opt_string("filter")?.unwrap_or_default();
                places.insert(oid, out.tables.len());
                out.tables.push(facts);
            }
            _ => {}
        }
    }
    sequences::configuration(reader, out, relations, &sequence_oids).await?;
    let query = "SELECT DISTINCT conrelid, confrelid FROM pg_catalog.pg_constraint \
         WHERE contype = 'f' AND conrelid <> confrelid ORDER BY 1, 2";
    if places.is_empty() {
        return Ok(());
    }
    for row in reader.rows(query).await? {
        let (from, to) = (row.oid("conrelid")?, row.oid("confrelid")?);
        if let (Some(&at), true) = (places.get(&from), places.contains_key(&to)) {
            out.tables[at].after.push(to);
        }
    }
    Ok(())
}

async fn column_names(reader: &Reader<'_>, oid: u32) -> Result<Vec<String>> {
    let query = format!(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = {oid} AND attnum > 0 \
         AND NOT attisdropped{} ORDER BY attnum",
        reader.if_since(12, " AND attgenerated = ''", "")
    );
    let rows = reader.rows(&query).await?;
    rows.iter().map(|row| row.string("attname")).collect()
}
