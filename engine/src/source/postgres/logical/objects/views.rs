//! Views and materialized views: their queries, and when a materialized view is filled.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::super::catalog;
use super::super::draft::{Collected, Draft, Part};
use super::super::object::{Object, ObjectKind, ObjectNumber};
use super::super::quote::{ident, storage_parameters};
use super::super::reader::Reader;
use super::relations::{Relation, Relations};
use super::tables;
use crate::error::{Code, Error, Result};

/// The query of a view and the rule that holds it.
#[derive(Debug)]
pub(super) struct Query {
    rule: u32,
    text: String,
}

/// Reads the queries of all views and materialized views that are saved.
pub(super) async fn queries(
    reader: &Reader<'_>,
    relations: &Relations,
) -> Result<HashMap<u32, Query>> {
    let sql = format!(
        "SELECT src.oid, r.oid AS rule, pg_catalog.pg_get_viewdef(src.oid) AS query FROM {} \
         JOIN pg_catalog.pg_rewrite r ON r.ev_class = src.oid AND r.ev_type = '1' AND r.is_instead",
        relations.source(|r| r.defined() && matches!(r.kind, 'v' | 'm'))
    );
    let mut queries = HashMap::new();
    for row in reader.rows(&sql).await? {
        let text = row.text("query")?;
        let query = Query {
            rule: row.oid("rule")?,
            text: text.strip_suffix(';').unwrap_or(text).to_owned(),
        };
        queries.insert(row.oid("oid")?, query);
    }
    Ok(queries)
}

/// Adds a view. Its query is a part of it: when other objects need the view and the query needs
/// them, an empty view with the same columns comes first and the query replaces it later.
pub(super) fn add(
    reader: &Reader<'_>,
    out: &mut Collected,
    view: &Relation,
    queries: &mut HashMap<u32, Query>,
) -> Result<ObjectNumber> {
    let mut object = tables::object(reader, view)?;
    if !view.defined() {
        return Ok(tables::add(reader, out, view, object));
    }
    let query = queries
        .remove(&view.oid)
        .filter(|q| !q.text.is_empty())
        .ok_or_else(|| {
            Error::new(
                Code::SourceObject,
                format!(
                    "The query of {} {} cannot be read",
                    object.kind.sql_name(),
                    view.qualified()
                ),
            )
        })?;
    let materialized = view.kind == 'm';
    let mut rule = Object::new(ObjectKind::Rule, Some(&view.schema), "_RETURN");
    rule.row = Some(catalog::row(catalog::REWRITE, query.rule));
    rule.owner.clone_from(&object.owner);
    let full = if materialized {
        object.tablespace = Some(view.tablespace.clone());
        object.access_method.clone_from(&view.access_method);
        object.create = tables::describe(view, &[], Some(&query.text))?.write(&|_| false);
        String::new()
    } else {
        definition(view, &query.text)?
    };
    if !full.is_empty() {
        rule.create = vec![format!("CREATE OR REPLACE {full}")];
    }
    let number = tables::add(reader, out, view, object);
    rule.of = Some(number);
    let mut draft = Draft::of(rule);
    draft.part = Part::Inside(number);
    draft.sort_key = vec![view.name.clone()];
    let part = out.add(draft);
    if let Some(draft) = out.draft_mut(number).filter(|_| !materialized) {
        let stand_in = stand_in(view);
        draft.assemble = Some(Box::new(move |object, is_separate| {
            object.create = if is_separate(part) {
                vec![stand_in]
            } else {
                vec![format!("CREATE {full}")]
            };
        }));
    }
    Ok(number)
}

/// What follows `CREATE` or `CREATE OR REPLACE`.
fn definition(view: &Relation, query: &str) -> Result<String> {
    let mut text = format!("VIEW {}", view.qualified());
    let options = storage_parameters(view.options.as_deref(), "")?;
    if !options.is_empty() {
        let _ = write!(text, " WITH ({options})");
    }
    let _ = write!(text, " AS\n{query}");
    if let Some(check) = &view.check_option {
        let _ = write!(text, "\n  WITH {check} CHECK OPTION");
    }
    Ok(text)
}

/// A view of the same columns that needs nothing but their types.
fn stand_in(view: &Relation) -> String {
    let columns: Vec<String> = view
        .columns
        .iter()
        .filter(|c| !c.dropped)
        .map(|c| {
            // The real query cannot change a collation later.
            let collation = c.collation.as_ref().map(|c| format!(" COLLATE {c}"));
            format!(
                "\n    NULL::{}{} AS {}",
                c.type_name,
                collation.unwrap_or_default(),
                ident(&c.name)
            )
        })
        .collect();
    format!(
        "CREATE VIEW {} AS\nSELECT{}",
        view.qualified(),
        columns.join(",")
    )
}

/// Adds `REFRESH` for every materialized view that has rows, after those it reads. One that reads
/// an empty one cannot be filled and stays empty too.
pub(super) async fn refreshes(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let views = |r: &&Relation| r.kind == 'm' && r.defined() && reader.wants_rows(r.oid);
    if relations.list.iter().filter(views).count() == 0 {
        return Ok(());
    }
    let reads = reads(reader, relations).await?;
    let mut numbers = HashMap::new();
    for view in relations.list.iter().filter(views) {
        let sources = reads.get(&view.oid);
        let sources: Vec<u32> = sources.into_iter().flatten().copied().collect();
        let empty = |oid: &u32| relations.get(*oid).is_some_and(|r| !r.populated);
        if !view.populated {
            continue;
        }
        if sources.iter().any(empty) {
            reader.lost(
                ObjectKind::RefreshMaterializedView,
                &view.qualified(),
                "it has rows but reads a materialized view that has none, so it cannot be \
                 refreshed after a restore",
            );
            continue;
        }
        let kind = ObjectKind::RefreshMaterializedView;
        let mut object = Object::new(kind, Some(&view.schema), &view.name);
        object.of = Some(view.number);
        object.owner = Some(reader.role(view.owner));
        object.create = vec![format!("REFRESH MATERIALIZED VIEW {}", view.qualified())];
        let mut draft = Draft::of(object);
        draft.needs = vec![view.number];
        numbers.insert(view.oid, (out.add(draft), sources));
    }
    let needs: Vec<(ObjectNumber, Vec<ObjectNumber>)> = numbers
        .values()
        .map(|(number, sources)| {
            let refreshed = sources.iter().filter_map(|oid| numbers.get(oid));
            (*number, refreshed.map(|(number, _)| *number).collect())
        })
        .collect();
    for (number, mut needs) in needs {
        if let Some(draft) = out.draft_mut(number) {
            draft.needs.append(&mut needs);
        }
    }
    Ok(())
}

/// Which materialized views each materialized view reads, directly or through views.
async fn reads(reader: &Reader<'_>, relations: &Relations) -> Result<HashMap<u32, HashSet<u32>>> {
    let query = "SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r \
         JOIN pg_catalog.pg_depend d ON d.classid = 2618 AND d.objid = r.oid \
           AND d.refclassid = 1259 AND d.refobjid <> r.ev_class \
         JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('v', 'm') \
         WHERE r.ev_class >= 16384 ORDER BY 1, 2";
    let mut direct: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in reader.rows(query).await? {
        let view = row.oid("ev_class")?;
        direct.entry(view).or_default().push(row.oid("refobjid")?);
    }
    let is_materialized = |oid: u32| relations.get(oid).is_some_and(|r| r.kind == 'm');
    let mut reads = HashMap::new();
    for view in relations.list.iter().filter(|r| r.kind == 'm') {
        let mut seen = HashSet::from([view.oid]);
        let mut open = vec![view.oid];
        while let Some(oid) = open.pop() {
            for &source in direct.get(&oid).into_iter().flatten() {
                if seen.insert(source) {
                    open.push(source);
                }
            }
        }
        seen.remove(&view.oid);
        seen.retain(|&oid| is_materialized(oid));
        reads.insert(view.oid, seen);
    }
    Ok(reads)
}
