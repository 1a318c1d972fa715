//! Rewrite rules, except those that are a view's query.

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::quote::ident;
use super::super::reader::Reader;
use super::relations::Relations;
use crate::error::Result;

/// Adds the rules of all tables and views that are saved.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let query = format!(
        "SELECT r.oid, r.ev_class, r.rulename, r.ev_enabled, \
         pg_catalog.pg_get_ruledef(r.oid) AS definition \
         FROM {} JOIN pg_catalog.pg_rewrite r ON r.ev_class = src.oid \
         JOIN pg_catalog.pg_class c ON c.oid = src.oid \
         WHERE NOT (r.ev_type = '1' AND r.is_instead AND c.relkind IN ('v', 'm')) \
         ORDER BY r.ev_class, r.rulename",
        relations.source(|r| r.defined() && r.kind != 'S')
    );
    for row in reader.rows(&query).await? {
        let Some(table) = relations.saved(row.oid("ev_class")?) else {
            continue;
        };
        let name = row.text("rulename")?;
        let quoted = ident(name);
        let full = table.qualified();
        let catalog_row = catalog::row(catalog::REWRITE, row.oid("oid")?);
        let mut object = Object::new(ObjectKind::Rule, Some(&table.schema), name);
        object.row = Some(catalog_row);
        object.of = Some(table.number);
        object.owner = Some(reader.role(table.owner));
        let definition = row.text("definition")?;
        object.create = vec![
            definition
                .strip_suffix(';')
                .unwrap_or(definition)
                .to_owned(),
        ];
        let state = match row.char("ev_enabled")? {
            'A' => Some("ENABLE ALWAYS"),
            'R' => Some("ENABLE REPLICA"),
            'D' => Some("DISABLE"),
            _ => None,
        };
        if let Some(state) = state {
            object
                .create
                .push(format!("ALTER TABLE {full} {state} RULE {quoted}"));
        }
        object.drop = format!("DROP RULE IF EXISTS {quoted} ON {full}");
        let keyword = format!("RULE {quoted} ON");
        reader.describe_part(&mut object, table.parts, &keyword, &full, catalog_row, 0);
        let mut draft = Draft::of(object);
        draft.needs.push(table.number);
        draft.sort_key = vec![table.name.clone()];
        out.add(draft);
    }
    Ok(())
}
