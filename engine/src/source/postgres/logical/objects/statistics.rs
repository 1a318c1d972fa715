//! Extended statistics.

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::ObjectKind;
use super::super::quote::qualified;
use super::super::reader::Reader;
use super::relations::Relations;
use crate::error::Result;

/// Adds the statistics objects on tables that are saved.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let query = format!(
        "SELECT s.oid, s.stxname, s.stxnamespace, s.stxowner, s.stxrelid, {} AS target, \
         pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition \
         FROM {} JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = src.oid ORDER BY s.oid",
        reader.if_since(13, "s.stxstattarget", "-1"),
        relations.source(|r| r.defined() && r.kind != 'S')
    );
    for row in reader.rows(&query).await? {
        let Some(table) = relations.saved(row.oid("stxrelid")?) else {
            continue;
        };
        let kind = ObjectKind::Statistics;
        let name = row.text("stxname")?;
        let schema = row.oid("stxnamespace")?;
        let catalog_row = catalog::row(catalog::STATISTICS, row.oid("oid")?);
        if reader.is_member(catalog_row) {
            continue;
        }
        let owner = Some(row.oid("stxowner")?);
        let mut object = reader.object(kind, catalog_row, Some(schema), name, owner)?;
        let full = qualified(reader.schema(schema)?, name);
        object.of = Some(table.number);
        object.create = vec![row.string("definition")?];
        let target = row.opt_int("target")?.filter(|&target| target >= 0);
        if let Some(target) = target {
            let alter = format!("ALTER STATISTICS {full} SET STATISTICS {target}");
            object.create.push(alter);
        }
        object.drop = format!("DROP STATISTICS IF EXISTS {full}");
        reader.describe(&mut object, table.parts, "STATISTICS", &full);
        let mut draft = Draft::of(object);
        draft.needs.push(table.number);
        out.add(draft);
    }
    Ok(())
}
