//! Row security: the policies, and the switch that puts them in force.

use std::fmt::Write as _;

use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::quote::ident;
use super::super::reader::{Reader, Row};
use super::relations::{Relation, Relations};
use crate::error::Result;

/// Adds the policies of all tables that are saved, and turns row security on where it is.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let tables = |r: &Relation| r.defined() && matches!(r.kind, 'r' | 'p');
    for table in relations
        .list
        .iter()
        .filter(|r| tables(r) && r.row_security)
    {
        let mut object = Object::new(ObjectKind::Policy, Some(&table.schema), &table.name);
        object.of = Some(table.number);
        object.owner = Some(reader.role(table.owner));
        object.create = vec![format!(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY",
            table.qualified()
        )];
        let mut draft = Draft::of(object);
        draft.needs.push(table.number);
        out.add(draft);
    }
    let query = format!(
        "SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive, \
         CASE WHEN p.polroles <> '{{0}}' THEN pg_catalog.array_to_string(ARRAY( \
           SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles r \
           WHERE r.oid = ANY (p.polroles) ORDER BY r.rolname), ', ') END AS roles, \
         pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS qualification, \
         pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS with_check \
         FROM {} JOIN pg_catalog.pg_policy p ON p.polrelid = src.oid \
         ORDER BY p.polrelid, p.polname",
        relations.source(tables)
    );
    for row in reader.rows(&query).await? {
        if let Some(table) = relations.saved(row.oid("polrelid")?) {
            let draft = policy(reader, table, &row)?;
            out.add(draft);
        }
    }
    Ok(())
}

fn policy(reader: &Reader<'_>, table: &Relation, row: &Row) -> Result<Draft> {
    let name = row.text("polname")?;
    let quoted = ident(name);
    let full = table.qualified();
    let catalog_row = catalog::row(catalog::POLICY, row.oid("oid")?);
    let mut object = Object::new(ObjectKind::Policy, Some(&table.schema), name);
    object.row = Some(catalog_row);
    object.of = Some(table.number);
    object.owner = Some(reader.role(table.owner));
    let permissive = if row.bool("polpermissive")? {
        ""
    } else {
        " AS RESTRICTIVE"
    };
    let command = match row.char("polcmd")? {
        'r' => " FOR SELECT",
        'a' => " FOR INSERT",
        'w' => " FOR UPDATE",
        'd' => " FOR DELETE",
        _ => "",
    };
    let mut text = format!("CREATE POLICY {quoted} ON {full}{permissive}{command}");
    if let Some(roles) = row.opt("roles")? {
        if roles.is_empty() {
            reader.lost(
                ObjectKind::Policy,
                &format!("{quoted} on {full}"),
                "the roles it is for no longer exist",
            );
        } else {
            let _ = write!(text, " TO {roles}");
        }
    }
    if let Some(qualification) = row.opt("qualification")? {
        let _ = write!(text, " USING ({qualification})");
    }
    if let Some(check) = row.opt("with_check")? {
        let _ = write!(text, " WITH CHECK ({check})");
    }
    object.create = vec![text];
    object.drop = format!("DROP POLICY IF EXISTS {quoted} ON {full}");
    let keyword = format!("POLICY {quoted} ON");
    reader.describe_part(&mut object, table.parts, &keyword, &full, catalog_row, 0);
    let mut draft = Draft::of(object);
    draft.needs.push(table.number);
    draft.sort_key = vec![table.name.clone()];
    Ok(draft)
}
