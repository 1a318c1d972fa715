//! Triggers: those people made, and those on partitions whose firing differs from the parent's.

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::quote::ident;
use super::super::reader::{Reader, Row};
use super::relations::{Relation, Relations};
use crate::error::Result;

/// Adds the triggers of all tables and views that are saved.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let source = relations.source(|r| r.defined() && r.has_triggers);
    let mut inherited = Vec::new();
    for row in reader.rows(&query(reader, &source)).await? {
        if let Some(table) = relations.saved(row.oid("tgrelid")?) {
            let draft = trigger(reader, table, &row)?;
            let number = out.add(draft);
            inherited.push((number, row.oid("root")?));
        }
    }
    for (number, root) in inherited {
        let root = out.number_of(catalog::TRIGGER, root);
        if let (Some(root), Some(draft)) = (root, out.draft_mut(number)) {
            draft.needs.push(root);
        }
    }
    Ok(())
}

/// How a partition's trigger is known and its parent found has changed with the versions.
fn query(reader: &Reader<'_>, source: &str) -> String {
    let parents = if reader.since(13) {
        "SELECT oid, tgparentid AS parent FROM pg_catalog.pg_trigger WHERE tgparentid <> 0"
    } else {
        "SELECT objid AS oid, refobjid AS parent FROM pg_catalog.pg_depend \
         WHERE classid = 2620 AND refclassid = 2620"
    };
    let (inherited, joins, wanted) = if reader.since(15) {
        (
            "t.tgparentid <> 0",
            "LEFT JOIN pg_catalog.pg_trigger u ON u.oid = t.tgparentid",
            "(NOT t.tgisinternal AND t.tgparentid = 0) OR t.tgenabled <> u.tgenabled",
        )
    } else if reader.since(13) {
        (
            "t.tgisinternal",
            "LEFT JOIN pg_catalog.pg_trigger u ON u.oid = t.tgparentid",
            "NOT t.tgisinternal OR t.tgenabled <> u.tgenabled",
        )
    } else if reader.since(11) {
        (
            "t.tgisinternal",
            "LEFT JOIN pg_catalog.pg_depend d ON d.classid = 2620 AND d.refclassid = 2620 \
               AND d.objid = t.oid \
             LEFT JOIN pg_catalog.pg_trigger u ON u.oid = d.refobjid",
            "NOT t.tgisinternal OR t.tgenabled <> u.tgenabled",
        )
    } else {
        ("false", "", "NOT t.tgisinternal")
    };
    // What a partition inherited is made with the trigger of the topmost table, whatever the
    // tables between them have.
    format!(
        "WITH RECURSIVE parents AS ({parents}), up (oid, above) AS (SELECT oid, parent FROM parents \
         UNION ALL SELECT u.oid, p.parent FROM up u JOIN parents p ON p.oid = u.above) \
         SELECT t.oid, t.tgrelid, t.tgname, t.tgenabled, {inherited} AS inherited, \
         (SELECT a.above FROM up a WHERE a.oid = t.oid AND NOT EXISTS \
           (SELECT 1 FROM parents p WHERE p.oid = a.above)) AS root, \
         pg_catalog.pg_get_triggerdef(t.oid, false) AS definition \
         FROM {source} JOIN pg_catalog.pg_trigger t ON t.tgrelid = src.oid {joins} \
         WHERE {wanted} ORDER BY t.tgrelid, t.tgname"
    )
}

fn trigger(reader: &Reader<'_>, table: &Relation, row: &Row) -> Result<Draft> {
    let name = row.text("tgname")?;
    let quoted = ident(name);
    let full = table.qualified();
    let catalog_row = catalog::row(catalog::TRIGGER, row.oid("oid")?);
    let mut object = Object::new(ObjectKind::Trigger, Some(&table.schema), name);
    object.row = Some(catalog_row);
    object.of = Some(table.number);
    object.owner = Some(reader.role(table.owner));
    let state = match row.char("tgenabled")? {
        'D' => "DISABLE",
        'R' => "ENABLE REPLICA",
        'A' => "ENABLE ALWAYS",
        _ => "ENABLE",
    };
    let set_state = format!(
        "ALTER {}TABLE {full} {state} TRIGGER {quoted}",
        table.foreign_word()
    );
    if row.bool("inherited")? {
        // It is made with the parent's; only its state is its own.
        object.create = vec![set_state];
    } else {
        let identity = format!("{quoted} ON {full}");
        object.create = vec![row.string("definition")?];
        object
            .create
            .extend(reader.goes_with(catalog_row, "TRIGGER", &identity));
        if state != "ENABLE" {
            object.create.push(set_state);
        }
        object.drop = format!("DROP TRIGGER IF EXISTS {identity}");
    }
    let keyword = format!("TRIGGER {quoted} ON");
    reader.describe_part(&mut object, table.parts, &keyword, &full, catalog_row, 0);
    let mut draft = Draft::of(object);
    draft.needs.push(table.number);
    draft.sort_key = vec![table.name.clone()];
    Ok(draft)
}
