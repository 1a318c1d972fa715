//! Foreign keys, and NOT NULL constraints that the rows need not satisfy yet.

use std::collections::HashMap;

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::quote::ident;
use super::super::reader::{Reader, Row};
use super::indexes::Index;
use super::relations::{Relation, Relations};
use crate::error::Result;

/// Adds the foreign keys of all tables that are saved. Those of partitions that come with their
/// parent's are left to it.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    indexes: &HashMap<u32, Index>,
) -> Result<()> {
    let source = relations.source(|r| r.defined() && matches!(r.kind, 'r' | 'p' | 'f'));
    let query = format!(
        "SELECT c.oid, c.conrelid, c.conname, c.contype, c.confrelid, c.conindid, c.conislocal, \
         pg_catalog.pg_get_constraintdef(c.oid) AS definition \
         FROM {source} JOIN pg_catalog.pg_constraint c ON c.conrelid = src.oid \
         WHERE (c.contype = 'f'{}) OR (c.contype = 'n' AND NOT c.convalidated) \
         ORDER BY c.conrelid, c.conname",
        reader.if_since(11, " AND c.conparentid = 0", "")
    );
    for row in reader.rows(&query).await? {
        let Some(table) = relations.saved(row.oid("conrelid")?) else {
            continue;
        };
        let draft = if row.text("contype")? == "f" {
            foreign_key(reader, relations, indexes, table, &row)?
        } else if row.bool("conislocal")? {
            not_null(reader, table, &row)?
        } else {
            continue;
        };
        out.add(draft);
    }
    Ok(())
}

fn foreign_key(
    reader: &Reader<'_>,
    relations: &Relations,
    indexes: &HashMap<u32, Index>,
    table: &Relation,
    row: &Row,
) -> Result<Draft> {
    // On a partitioned table it is for the partitions as well; elsewhere for this table only.
    let only = if table.kind == 'p' { "" } else { "ONLY " };
    let mut draft = added(reader, ObjectKind::ForeignKey, table, only, row)?;
    let target = relations.get(row.oid("confrelid")?);
    draft
        .needs
        .extend(target.map(|t| t.number).filter(|&n| n != 0));
    if let Some(index) = indexes.get(&row.oid("conindid")?) {
        draft.needs.push(index.number);
        // The index of a partitioned table is only good once those of all partitions joined it.
        draft.needs.extend(&index.attaches);
    }
    Ok(draft)
}

fn not_null(reader: &Reader<'_>, table: &Relation, row: &Row) -> Result<Draft> {
    added(reader, ObjectKind::Constraint, table, "", row)
}

/// `ALTER TABLE … ADD CONSTRAINT …` as the server words it.
fn added(
    reader: &Reader<'_>,
    kind: ObjectKind,
    table: &Relation,
    only: &str,
    row: &Row,
) -> Result<Draft> {
    let name = row.text("conname")?;
    let quoted = ident(name);
    let full = table.qualified();
    let catalog_row = catalog::row(catalog::CONSTRAINT, row.oid("oid")?);
    let alter = format!("ALTER {}TABLE {only}{full}", table.foreign_word());
    let mut object = Object::new(kind, Some(&table.schema), name);
    object.row = Some(catalog_row);
    object.of = Some(table.number);
    object.owner = Some(reader.role(table.owner));
    object.create = vec![format!(
        "{alter}\n    ADD CONSTRAINT {quoted} {}",
        row.text("definition")?
    )];
    object.drop = format!("{alter} DROP CONSTRAINT IF EXISTS {quoted}");
    let keyword = format!("CONSTRAINT {quoted} ON");
    reader.describe_part(&mut object, table.parts, &keyword, &full, catalog_row, 0);
    let mut draft = Draft::of(object);
    draft.needs.push(table.number);
    draft.sort_key = vec![table.name.clone()];
    Ok(draft)
}
