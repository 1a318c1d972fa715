//! Partitions: each is made as a table of its own, so that its columns keep their order, and then
//! joins its parent.

use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::reader::Reader;
use super::relations::Relations;
use crate::error::Result;

/// Adds `ATTACH PARTITION` for every partition that is saved.
pub(super) async fn add(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    if !relations.list.iter().any(|r| r.defined() && r.partition) {
        return Ok(());
    }
    let query = format!(
        "SELECT c.oid, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound \
         FROM {} JOIN pg_catalog.pg_class c ON c.oid = src.oid ORDER BY c.oid",
        relations.source(|r| r.defined() && r.partition)
    );
    for row in reader.rows(&query).await? {
        let Some(child) = relations.saved(row.oid("oid")?) else {
            continue;
        };
        let parent = child.parents.first().and_then(|oid| relations.get(*oid));
        let (Some(parent), Some(bound)) = (parent, row.opt("bound")?) else {
            reader.lost(
                ObjectKind::TableAttach,
                &child.qualified(),
                "the catalogs do not say of which table it is a partition",
            );
            continue;
        };
        if parent.number == 0 {
            // Only the partition was chosen; it is restored as a table of its own.
            continue;
        }
        let mut object = Object::new(ObjectKind::TableAttach, Some(&child.schema), &child.name);
        object.of = Some(child.number);
        object.owner = Some(reader.role(child.owner));
        object.create = vec![format!(
            "ALTER TABLE ONLY {} ATTACH PARTITION {} {bound}",
            parent.qualified(),
            child.qualified()
        )];
        let mut draft = Draft::of(object);
        draft.needs = vec![child.number, parent.number];
        out.add(draft);
    }
    Ok(())
}
