//! The columns of tables: what each is, and what of it a table inherits instead of saying it.

use std::collections::HashMap;

use super::super::catalog;
use super::super::reader::{Reader, Row};
use super::relations::{Check, Column, Expression, NotNull, Relation, Relations};
use crate::error::{Code, Error, Result};

/// Reads columns, defaults and CHECK constraints of all tables that are saved and, as far as
/// inheritance needs them, of their parents.
pub(super) async fn read(reader: &Reader<'_>, relations: &mut Relations) -> Result<()> {
    let parents: Vec<u32> = relations
        .list
        .iter()
        .filter(|r| r.defined())
        .flat_map(|r| r.parents.iter().copied())
        .collect();
    let source = relations
        .source(|r| r.kind != 'S' && (r.defined() || r.parts.comments || parents.contains(&r.oid)));
    for row in reader.rows(&query(reader, &source)).await? {
        if let Some(at) = relations.place(row.oid("attrelid")?) {
            let column = column(reader, &relations.list[at], &row)?;
            relations.list[at].columns.push(column);
        }
    }
    defaults(reader, relations, &source).await?;
    checks(reader, relations, &source).await?;
    let inherited: Vec<(usize, Vec<Inherited>)> = relations
        .list
        .iter()
        .enumerate()
        .filter(|(_, r)| r.defined() && !r.parents.is_empty() && matches!(r.kind, 'r' | 'p' | 'f'))
        .map(|(at, r)| (at, inherit(reader.since(18), relations, r)))
        .collect();
    for (at, columns) in inherited {
        for (column, inherited) in relations.list[at].columns.iter_mut().zip(columns) {
            inherited.apply(column);
        }
    }
    let apart: Vec<bool> = relations
        .list
        .iter()
        .map(|r| is_apart(relations, r))
        .collect();
    for (relation, apart) in relations.list.iter_mut().zip(apart) {
        relation.apart = apart;
    }
    // A default for a column that the table does not list needs a statement of its own.
    for relation in &mut relations.list {
        let unlisted: Vec<bool> = relation
            .columns
            .iter()
            .map(|c| !relation.lists(c))
            .collect();
        let view = relation.kind == 'v';
        for (column, unlisted) in relation.columns.iter_mut().zip(unlisted) {
            if let Some(default) = &mut column.default {
                default.separate = column.generated == '\0' && (view || unlisted);
            }
        }
    }
    Ok(())
}

fn query(reader: &Reader<'_>, source: &str) -> String {
    let not_null = if reader.since(18) {
        "co.conname AS not_null, co.convalidated IS FALSE AS not_null_invalid, \
         co.connoinherit AS not_null_no_inherit, co.conislocal AS not_null_local, \
         CASE WHEN co.convalidated THEN pt.description END AS not_null_comment"
    } else {
        "CASE WHEN a.attnotnull THEN '' END AS not_null, false AS not_null_invalid, \
         false AS not_null_no_inherit, true AS not_null_local, NULL AS not_null_comment"
    };
    let not_null_joins = if reader.since(18) {
        "LEFT JOIN pg_catalog.pg_constraint co ON co.conrelid = a.attrelid \
           AND co.contype = 'n' AND co.conkey = ARRAY[a.attnum] \
         LEFT JOIN pg_catalog.pg_description pt ON pt.classoid = co.tableoid AND pt.objoid = co.oid"
    } else {
        ""
    };
    format!(
        "SELECT a.attrelid, a.attnum, a.attname, a.attstattarget, a.attisdropped, a.attislocal, \
         a.attidentity, {generated} AS attgenerated, {compression} AS attcompression, \
         CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END AS storage, \
         pg_catalog.format_type(t.oid, a.atttypmod) AS type_name, \
         pg_catalog.array_to_string(a.attoptions, ', ') AS options, a.attfdwoptions, \
         CASE WHEN a.attcollation <> t.typcollation THEN \
           pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(cl.collname) \
         END AS collation, {not_null} \
         FROM {source} JOIN pg_catalog.pg_attribute a ON a.attrelid = src.oid \
         LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_collation cl ON cl.oid = a.attcollation \
         LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = cl.collnamespace {not_null_joins} \
         WHERE a.attnum > 0 ORDER BY a.attrelid, a.attnum",
        generated = reader.if_since(12, "a.attgenerated", "''"),
        compression = reader.if_since(14, "a.attcompression", "''"),
    )
}

fn column(reader: &Reader<'_>, table: &Relation, row: &Row) -> Result<Column> {
    let name = row.string("attname")?;
    let number = row.int("attnum")?;
    if usize::try_from(number) != Ok(table.columns.len() + 1) {
        return Err(Error::new(
            Code::SourceObject,
            format!(
                "The columns of table {} are not numbered in order",
                table.qualified()
            ),
        )
        .hint("The system catalogs may be damaged."));
    }
    let invalid = row.bool("not_null_invalid")?;
    let not_null = match row.opt("not_null")? {
        Some(constraint) if !invalid => {
            let comment = row.opt_string("not_null_comment")?;
            let usual = format!("{}_{name}_not_null", table.name);
            let named = reader.since(18) && (constraint != usual || comment.is_some());
            Some(NotNull {
                name: named.then(|| constraint.to_owned()),
                local: row.bool("not_null_local")?,
                no_inherit: row.bool("not_null_no_inherit")?,
                comment,
            })
        }
        _ => None,
    };
    Ok(Column {
        number,
        name,
        type_name: row.opt_string("type_name")?.unwrap_or_default(),
        dropped: row.bool("attisdropped")?,
        local: row.bool("attislocal")?,
        not_null,
        default: None,
        identity: row.char("attidentity")?,
        generated: row.char("attgenerated")?,
        storage: row.opt("storage")?.and_then(|s| s.chars().next()),
        compression: row.char("attcompression")?,
        statistics: row.opt_int("attstattarget")?.filter(|&target| target >= 0),
        options: row.opt_string("options")?.unwrap_or_default(),
        foreign_options: row.opt_string("attfdwoptions")?,
        collation: row.opt_string("collation")?,
    })
}

async fn defaults(reader: &Reader<'_>, relations: &mut Relations, source: &str) -> Result<()> {
    let query = format!(
        "SELECT d.oid, d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS text \
         FROM {source} JOIN pg_catalog.pg_attrdef d ON d.adrelid = src.oid \
         ORDER BY d.adrelid, d.adnum"
    );
    for row in reader.rows(&query).await? {
        let Some(at) = relations.place(row.oid("adrelid")?) else {
            continue;
        };
        let number = usize::try_from(row.int("adnum")? - 1).unwrap_or(usize::MAX);
        if let Some(column) = relations.list[at].columns.get_mut(number)
            && !column.dropped
        {
            column.default = Some(Expression {
                oid: row.oid("oid")?,
                text: row.string("text")?,
                separate: false,
                implied: false,
                number: 0,
            });
        }
    }
    Ok(())
}

async fn checks(reader: &Reader<'_>, relations: &mut Relations, source: &str) -> Result<()> {
    let query = format!(
        "SELECT c.oid, c.conrelid, c.conname, c.conislocal, c.convalidated, \
         pg_catalog.pg_get_constraintdef(c.oid) AS definition \
         FROM {source} JOIN pg_catalog.pg_constraint c ON c.conrelid = src.oid \
         WHERE c.contype = 'c' ORDER BY c.conrelid, c.conname"
    );
    for row in reader.rows(&query).await? {
        if let Some(at) = relations.place(row.oid("conrelid")?) {
            relations.list[at].checks.push(Check {
                oid: row.oid("oid")?,
                name: row.string("conname")?,
                definition: row.string("definition")?,
                local: row.bool("conislocal")?,
                valid: row.bool("convalidated")?,
                number: 0,
            });
        }
    }
    Ok(())
}

/// What a column gets from the table's parents.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not depend on each other"
)]
struct Inherited {
    /// Some parent has it NOT NULL, so the child need not say so (before 18).
    not_null: bool,
    /// No parent's NOT NULL is valid, so the child must say so (from 18).
    not_null_anyway: bool,
    /// A parent has a default that the child has not.
    default: bool,
    /// The parents generate it by the same expression.
    generated: bool,
}

impl Inherited {
    fn apply(self, column: &mut Column) {
        if let Some(not_null) = &mut column.not_null {
            not_null.local = (not_null.local && !self.not_null) || self.not_null_anyway;
        }
        if self.generated
            && let Some(default) = &mut column.default
        {
            default.implied = true;
        }
        if self.default && column.default.is_none() {
            column.default = Some(Expression {
                oid: 0,
                text: "NULL".to_owned(),
                separate: false,
                implied: false,
                number: 0,
            });
        }
    }
}

fn inherit(since_18: bool, relations: &Relations, table: &Relation) -> Vec<Inherited> {
    let parents: Vec<HashMap<&str, &Column>> = table
        .parents
        .iter()
        .filter_map(|oid| relations.get(*oid))
        .map(|parent| {
            let live = parent.columns.iter().filter(|c| !c.dropped);
            live.map(|c| (c.name.as_str(), c)).collect()
        })
        .collect();
    let inherited = |column: &Column| {
        if column.dropped {
            return Inherited::default();
        }
        let mut result = Inherited {
            not_null_anyway: since_18,
            ..Inherited::default()
        };
        let (mut same, mut different) = (false, false);
        for parent in parents.iter().filter_map(|p| p.get(column.name.as_str())) {
            if parent.not_null.is_some() {
                result.not_null |= !since_18;
                result.not_null_anyway = false;
            }
            if parent.generated == '\0' {
                let text = parent.default.as_ref().map(|d| d.text.as_str());
                result.default |= text.is_some_and(|t| t != "NULL");
            } else {
                let own = column.default.as_ref().map(|d| &d.text);
                let same_text = own.is_some() && own == parent.default.as_ref().map(|d| &d.text);
                same |= same_text;
                different |= !same_text;
            }
        }
        result.generated = same && !different && !table.partition;
        result
    };
    table.columns.iter().map(inherited).collect()
}

/// Whether `INHERITS` would put the columns in another order than they have. Only tables that
/// define all they inherit themselves can be made without their parents and join them afterwards;
/// others would gain definitions of their own.
fn is_apart(relations: &Relations, table: &Relation) -> bool {
    let own_all = table.columns.iter().all(|c| c.dropped || c.local)
        && table.checks.iter().all(|c| c.local || !c.valid);
    if table.partition || table.parents.is_empty() || !table.defined() || !own_all {
        return false;
    }
    let names = |r: &Relation| -> Vec<String> {
        let live = r.columns.iter().filter(|c| !c.dropped);
        live.map(|c| c.name.clone()).collect()
    };
    let mut usual: Vec<String> = Vec::new();
    let parents = table.parents.iter().filter_map(|oid| relations.get(*oid));
    for name in parents.flat_map(names).chain(names(table)) {
        if !usual.contains(&name) {
            usual.push(name);
        }
    }
    usual != names(table)
}

/// What a column's comment and privileges are found by.
pub(super) fn row_of(table: &Relation) -> super::super::object::CatalogRow {
    catalog::row(catalog::CLASS, table.oid)
}
