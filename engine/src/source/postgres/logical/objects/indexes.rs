//! Indexes, those behind constraints included, and how the indexes of partitions join those of
//! their parents.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind, ObjectNumber};
use super::super::quote::{ident, qualified, storage_parameters};
use super::super::reader::{Reader, Row};
use super::relations::{Relation, Relations};
use crate::error::Result;
use crate::monitor::Level;

/// What other readers ask about an index.
#[derive(Debug)]
pub(super) struct Index {
    /// Its object, or that of its constraint.
    pub(super) number: ObjectNumber,
    /// The objects that attach the indexes of partitions to it, at every level below.
    pub(super) attaches: Vec<ObjectNumber>,
}

/// Adds the indexes of all tables that are saved, and primary keys, unique and exclusion
/// constraints, which are indexes with a name of their own.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<HashMap<u32, Index>> {
    let source = relations.source(|r| r.defined() && r.has_index);
    let mut indexes: HashMap<u32, Index> = HashMap::new();
    let mut children = Vec::new();
    for row in reader.rows(&query(reader, &source)).await? {
        let oid = row.oid("oid")?;
        let Some(table) = relations.saved(row.oid("indrelid")?) else {
            continue;
        };
        if !row.bool("usable")? {
            reader.task.monitor.note(
                Level::Warning,
                &format!(
                    "Index {} is invalid (its CREATE INDEX CONCURRENTLY failed or still runs) and \
                     is not saved",
                    qualified(&table.schema, row.text("relname")?)
                ),
            );
            continue;
        }
        let number = match row.opt("contype")? {
            Some(kind) => constraint(reader, out, table, &row, kind)?,
            None => index(reader, out, table, &row)?,
        };
        out.also(catalog::row(catalog::CLASS, oid), number);
        let attaches = Vec::new();
        indexes.insert(oid, Index { number, attaches });
        let parent = row.oid("parent")?;
        if parent != 0 && table.partition {
            children.push((oid, parent, table.oid, row.string("relname")?));
        }
    }
    attach(reader, out, relations, &mut indexes, &children);
    Ok(indexes)
}

fn query(reader: &Reader<'_>, source: &str) -> String {
    let (parent, keys, join) = if reader.since(11) {
        (
            "inh.inhparent",
            "i.indnkeyatts",
            "LEFT JOIN pg_catalog.pg_inherits inh ON inh.inhrelid = i.indexrelid",
        )
    } else {
        ("0", "i.indnatts", "")
    };
    format!(
        "SELECT t.oid, i.indrelid, t.relname, i.indisclustered, i.indisreplident, t.reloptions, \
         (i.indisvalid OR t2.relkind = 'p') AND i.indisready AS usable, \
         pg_catalog.pg_get_indexdef(i.indexrelid) AS definition, i.indkey, {keys} AS keys, \
         {nulls} AS nulls_not_distinct, {period} AS period, {parent} AS parent, \
         c.oid AS constraint, c.conname, c.contype, c.condeferrable, c.condeferred, \
         CASE WHEN c.contype = 'x' THEN pg_catalog.pg_get_constraintdef(c.oid) END AS exclusion, \
         (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = t.reltablespace) \
           AS tablespace, \
         (SELECT pg_catalog.array_agg(a.attnum ORDER BY a.attnum) FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) AS statistics_columns, \
         (SELECT pg_catalog.array_agg(a.attstattarget ORDER BY a.attnum) \
           FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) AS statistics \
         FROM {source} JOIN pg_catalog.pg_index i ON i.indrelid = src.oid \
         JOIN pg_catalog.pg_class t ON t.oid = i.indexrelid \
         JOIN pg_catalog.pg_class t2 ON t2.oid = i.indrelid \
         LEFT JOIN pg_catalog.pg_constraint c ON c.conrelid = i.indrelid \
           AND c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x') {join} \
         ORDER BY i.indrelid, t.relname",
        nulls = reader.if_since(15, "i.indnullsnotdistinct", "false"),
        period = reader.if_since(18, "c.conperiod", "false"),
    )
}

fn index(
    reader: &Reader<'_>,
    out: &mut Collected,
    table: &Relation,
    row: &Row,
) -> Result<ObjectNumber> {
    let name = row.text("relname")?;
    let full = qualified(&table.schema, name);
    let catalog_row = catalog::row(catalog::CLASS, row.oid("oid")?);
    let mut object = Object::new(ObjectKind::Index, Some(&table.schema), name);
    object.row = Some(catalog_row);
    object.of = Some(table.number);
    object.owner = Some(reader.role(table.owner));
    object.tablespace = Some(row.opt_string("tablespace")?.unwrap_or_default());
    object.create = vec![row.string("definition")?];
    if row.oid("parent")? == 0 {
        object.drop = format!("DROP INDEX IF EXISTS {full}");
    }
    let columns = row.list("statistics_columns")?;
    let targets = row.list("statistics")?;
    for (column, target) in columns.iter().zip(&targets) {
        let alter = format!("ALTER INDEX {full} ALTER COLUMN {column} SET STATISTICS {target}");
        object.create.push(alter);
    }
    table_settings(&mut object, table, row)?;
    object
        .create
        .extend(reader.goes_with(catalog_row, "INDEX", &full));
    reader.describe_part(&mut object, table.parts, "INDEX", &full, catalog_row, 0);
    Ok(out.add(Draft::of(object)))
}

/// What a table keeps of one of its indexes and only ALTER TABLE can say.
fn table_settings(object: &mut Object, table: &Relation, row: &Row) -> Result<()> {
    let index = ident(row.text("relname")?);
    let table = table.qualified();
    if row.bool("indisclustered")? {
        object
            .create
            .push(format!("ALTER TABLE {table} CLUSTER ON {index}"));
    }
    if row.bool("indisreplident")? {
        let identity = "REPLICA IDENTITY USING INDEX";
        object
            .create
            .push(format!("ALTER TABLE ONLY {table} {identity} {index}"));
    }
    Ok(())
}

fn constraint(
    reader: &Reader<'_>,
    out: &mut Collected,
    table: &Relation,
    row: &Row,
    kind: &str,
) -> Result<ObjectNumber> {
    let name = row.text("conname")?;
    let catalog_row = catalog::row(catalog::CONSTRAINT, row.oid("constraint")?);
    let full = table.qualified();
    let alter = format!("ALTER {}TABLE ONLY {full}", table.foreign_word());
    let definition = match row.opt("exclusion")? {
        Some(exclusion) => exclusion.to_owned(),
        None => keys(reader, table, row, kind)?,
    };
    let mut object = Object::new(ObjectKind::Constraint, Some(&table.schema), name);
    object.row = Some(catalog_row);
    object.of = Some(table.number);
    object.owner = Some(reader.role(table.owner));
    object.tablespace = Some(row.opt_string("tablespace")?.unwrap_or_default());
    object.create = vec![format!(
        "{alter}\n    ADD CONSTRAINT {} {definition}",
        ident(name)
    )];
    object.drop = format!("{alter} DROP CONSTRAINT IF EXISTS {}", ident(name));
    table_settings(&mut object, table, row)?;
    let index_row = catalog::row(catalog::CLASS, row.oid("oid")?);
    let index = qualified(&table.schema, row.text("relname")?);
    object
        .create
        .extend(reader.goes_with(index_row, "INDEX", &index));
    let keyword = format!("CONSTRAINT {} ON", ident(name));
    reader.describe_part(&mut object, table.parts, &keyword, &full, catalog_row, 0);
    reader.describe_part(&mut object, table.parts, "INDEX", &index, index_row, 0);
    let mut draft = Draft::of(object);
    draft.sort_key = vec![table.name.clone()];
    Ok(out.add(draft))
}

/// `PRIMARY KEY (…)` or `UNIQUE (…)` with all that `pg_get_constraintdef` leaves out.
fn keys(reader: &Reader<'_>, table: &Relation, row: &Row, kind: &str) -> Result<String> {
    let mut text = if kind == "p" { "PRIMARY KEY" } else { "UNIQUE" }.to_owned();
    if kind != "p" && row.bool("nulls_not_distinct")? {
        text.push_str(" NULLS NOT DISTINCT");
    }
    let mut names = Vec::new();
    for number in row.list("indkey")? {
        match number.parse().ok().and_then(|n| table.column(n)) {
            Some(column) => names.push(ident(&column.name)),
            None if number == "-2" => names.push("oid".to_owned()),
            None => reader.lost(
                ObjectKind::Constraint,
                &format!("{} on {}", row.text("conname")?, table.qualified()),
                format!("one of its columns, number {number}, is not known"),
            ),
        }
    }
    let count = usize::try_from(row.int("keys")?).unwrap_or(names.len());
    let included = names.split_off(count.min(names.len()));
    let period = if row.bool("period")? {
        " WITHOUT OVERLAPS"
    } else {
        ""
    };
    let _ = write!(text, " ({}{period})", names.join(", "));
    if !included.is_empty() {
        let _ = write!(text, " INCLUDE ({})", included.join(", "));
    }
    let options = storage_parameters(row.opt("reloptions")?, "")?;
    if !options.is_empty() {
        let _ = write!(text, " WITH ({options})");
    }
    if row.bool("condeferrable")? {
        text.push_str(" DEFERRABLE");
        if row.bool("condeferred")? {
            text.push_str(" INITIALLY DEFERRED");
        }
    }
    Ok(text)
}

/// Adds `ATTACH PARTITION` for the indexes of partitions.
fn attach(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    indexes: &mut HashMap<u32, Index>,
    children: &[(u32, u32, u32, String)],
) {
    let mut parent_of = HashMap::new();
    let mut attaches = Vec::new();
    for (index, parent, table, name) in children {
        let (Some(own), Some(above)) = (indexes.get(index), indexes.get(parent)) else {
            continue;
        };
        let Some(table) = relations.get(*table) else {
            continue;
        };
        let Some(above_table) = table.parents.first().and_then(|oid| relations.get(*oid)) else {
            continue;
        };
        let above_name = out
            .drafts
            .get(above.number as usize - 1)
            .map(|d| d.object.name.clone());
        let kind = ObjectKind::IndexAttach;
        let mut object = Object::new(kind, Some(&table.schema), name);
        object.of = Some(table.number);
        object.owner = Some(reader.role(above_table.owner));
        object.create = vec![format!(
            "ALTER INDEX {} ATTACH PARTITION {}",
            qualified(&above_table.schema, &above_name.unwrap_or_default()),
            qualified(&table.schema, name)
        )];
        let mut draft = Draft::of(object);
        draft.needs = vec![own.number, above.number, table.number, above_table.number];
        if let Some(child) = out.draft_mut(own.number) {
            child.parent_index = Some(above.number);
        }
        attaches.push((*index, out.add(draft)));
        parent_of.insert(*index, *parent);
    }
    for (index, number) in &attaches {
        let mut at = parent_of.get(index);
        while let Some(above) = at {
            if let Some(above) = indexes.get_mut(above) {
                above.attaches.push(*number);
            }
            at = parent_of.get(above);
        }
    }
    // From the leaves up: of two sessions that complete levels of one tree at once, neither sees what the other
    // has not committed, and the server would take the root for incomplete for good.
    for (index, number) in attaches {
        let below = indexes.get(&index).map(|own| own.attaches.clone());
        if let Some(draft) = out.draft_mut(number) {
            draft.needs.extend(below.unwrap_or_default());
        }
    }
}
