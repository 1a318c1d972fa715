//! Loads, once, what all kinds of objects ask for.

use std::collections::{HashMap, HashSet};

use super::{ExtensionFacts, Parts, Reader, SchemaFacts, Sql};
use crate::error::{Code, Error, Result};
use crate::monitor::{Level, Task};
use crate::source::postgres::logical::catalog::{self, FIRST_NORMAL_OID};
use crate::source::postgres::logical::object::CatalogRow;
use crate::source::postgres::logical::selection::{Pattern, Patterns, Selection};
use crate::source::postgres::logical::snapshot::LeaderOptions;

pub(super) async fn open<'a>(
    sql: &'a Sql,
    selection: &Selection,
    task: &'a Task,
) -> Result<Reader<'a>> {
    let mut reader = Reader {
        sql,
        version: sql.version(),
        task,
        lock_timeout: LeaderOptions::default().lock_timeout,
        whole: selection.is_whole(),
        roles: HashMap::new(),
        schemas: HashMap::new(),
        extensions: HashMap::new(),
        members: HashMap::new(),
        go_with: HashMap::new(),
        comments: HashMap::new(),
        labels: HashMap::new(),
        initial: HashMap::new(),
        chosen_tables: None,
        excluded_tables: HashSet::new(),
        excluded_rows: HashSet::new(),
    };
    let patterns = selection.compile()?;
    roles(&mut reader).await?;
    extensions(&mut reader).await?;
    schemas(&mut reader, &patterns).await?;
    tables(&mut reader, &patterns).await?;
    texts(&mut reader).await?;
    Ok(reader)
}

async fn roles(reader: &mut Reader<'_>) -> Result<()> {
    for row in reader
        .rows("SELECT oid, rolname FROM pg_catalog.pg_roles")
        .await?
    {
        reader
            .roles
            .insert(row.oid("oid")?, row.text("rolname")?.to_owned());
    }
    Ok(())
}

async fn extensions(reader: &mut Reader<'_>) -> Result<()> {
    for row in reader
        .rows("SELECT oid, extname FROM pg_catalog.pg_extension")
        .await?
    {
        let oid = row.oid("oid")?;
        let contents = if reader.whole || oid < FIRST_NORMAL_OID {
            Parts::PRIVILEGES
        } else {
            Parts::NONE
        };
        let name = row.text("extname")?.to_owned();
        reader
            .extensions
            .insert(oid, ExtensionFacts { name, contents });
    }
    let query = "SELECT classid, objid, refobjid, deptype FROM pg_catalog.pg_depend \
        WHERE refclassid = 3079 AND deptype IN ('e', 'x') ORDER BY 1, 2, 3";
    for row in reader.rows(query).await? {
        let member = catalog::row(row.oid("classid")?, row.oid("objid")?);
        let extension = row.oid("refobjid")?;
        if row.text("deptype")? == "e" {
            reader.members.insert(member, extension);
        } else {
            reader.go_with.entry(member).or_default().push(extension);
        }
    }
    Ok(())
}

async fn schemas(reader: &mut Reader<'_>, patterns: &Patterns) -> Result<()> {
    let rows = reader
        .rows("SELECT oid, nspname, nspowner FROM pg_catalog.pg_namespace")
        .await?;
    let mut unused: Vec<&Pattern> = patterns.schemas.iter().collect();
    let mut idle: Vec<&Pattern> = patterns.exclude_schemas.iter().collect();
    for row in rows {
        let oid = row.oid("oid")?;
        let name = row.text("nspname")?.to_owned();
        unused.retain(|pattern| !pattern.matches_schema(&name));
        idle.retain(|pattern| !pattern.matches_schema(&name));
        let meant = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches_schema(&name));
        let system = name.starts_with("pg_") || name == "information_schema";
        let mut chosen = if !patterns.tables.is_empty() {
            Parts::NONE
        } else if !patterns.schemas.is_empty() {
            if meant(&patterns.schemas) {
                Parts::ALL
            } else {
                Parts::NONE
            }
        } else if name == "pg_catalog" {
            Parts::PRIVILEGES
        } else if system {
            Parts::NONE
        } else {
            Parts::ALL
        };
        if meant(&patterns.exclude_schemas) {
            chosen = Parts::NONE;
        }
        let contents = if reader.whole || system {
            chosen
        } else {
            Parts::ALL
        };
        let member = reader.member_parts(catalog::row(catalog::NAMESPACE, oid));
        let parts = member.unwrap_or(contents);
        reader.schemas.insert(
            oid,
            SchemaFacts {
                name,
                parts,
                contents,
                chosen,
            },
        );
    }
    for pattern in idle {
        leaves_nothing_out(reader, "schema", pattern);
    }
    match unused.first() {
        Some(pattern) => Err(nothing("schema", pattern)),
        None => Ok(()),
    }
}

/// No error: of several databases one may have no such table, and a job outlives the tables it
/// leaves out. Nothing is missing from the backup either.
fn leaves_nothing_out(reader: &Reader<'_>, kind: &str, pattern: &Pattern) {
    let text = format!(
        "No {kind} of database \"{}\" is named {}, so it leaves nothing out",
        reader.sql.database(),
        pattern.text()
    );
    reader.task.monitor.note(Level::Warning, &text);
}

fn nothing(kind: &str, pattern: &Pattern) -> Error {
    Error::new(
        Code::ObjectNotFound,
        format!("No {kind} is named {}", pattern.text()),
    )
    .hint("Names are compared letter for letter; * and ? stand for other letters.")
}

async fn tables(reader: &mut Reader<'_>, patterns: &Patterns) -> Result<()> {
    let Patterns {
        tables,
        exclude_tables,
        exclude_rows,
        ..
    } = patterns;
    if tables.is_empty() && exclude_tables.is_empty() && exclude_rows.is_empty() {
        return Ok(());
    }
    let query = "SELECT c.oid, n.nspname, c.relname \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND n.nspname !~ '^pg_' \
        AND n.nspname <> 'information_schema' ORDER BY 1";
    let mut chosen = HashSet::new();
    let mut unused: Vec<&Pattern> = tables.iter().collect();
    let mut idle: Vec<&Pattern> = exclude_tables.iter().chain(exclude_rows).collect();
    for row in reader.rows(query).await? {
        let oid = row.oid("oid")?;
        let (schema, name) = (row.text("nspname")?, row.text("relname")?);
        let meant = |list: &[Pattern]| list.iter().any(|p| p.matches_table(schema, name));
        unused.retain(|pattern| !pattern.matches_table(schema, name));
        idle.retain(|pattern| !pattern.matches_table(schema, name));
        if meant(tables) {
            chosen.insert(oid);
        }
        if meant(exclude_tables) {
            reader.excluded_tables.insert(oid);
        }
        if meant(exclude_rows) {
            reader.excluded_rows.insert(oid);
        }
    }
    if let Some(pattern) = unused.first() {
        return Err(nothing("table", pattern));
    }
    for pattern in idle {
        leaves_nothing_out(reader, "table", pattern);
    }
    partitions(reader, &mut chosen).await?;
    if !tables.is_empty() {
        reader.chosen_tables = Some(chosen);
    }
    Ok(())
}

/// What was said of a partitioned table holds for its partitions.
async fn partitions(reader: &mut Reader<'_>, chosen: &mut HashSet<u32>) -> Result<()> {
    let query = "SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i \
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relispartition ORDER BY 1";
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in reader.rows(query).await? {
        children
            .entry(row.oid("inhparent")?)
            .or_default()
            .push(row.oid("inhrelid")?);
    }
    for set in [
        chosen,
        &mut reader.excluded_tables,
        &mut reader.excluded_rows,
    ] {
        let mut open: Vec<u32> = set.iter().copied().collect();
        while let Some(parent) = open.pop() {
            let found = children.get(&parent).into_iter().flatten();
            open.extend(found.filter(|child| set.insert(**child)));
        }
    }
    Ok(())
}

/// Comments, labels and first privileges.
async fn texts(reader: &mut Reader<'_>) -> Result<()> {
    let sub = |row: &super::Row| -> Result<(CatalogRow, i32)> {
        let sub = i32::try_from(row.int("objsubid")?).unwrap_or_default();
        Ok((catalog::row(row.oid("classoid")?, row.oid("objoid")?), sub))
    };
    let query = format!(
        "SELECT classoid, objoid, objsubid, description FROM pg_catalog.pg_description \
        WHERE objoid >= {FIRST_NORMAL_OID} OR classoid IN ({}, {}) ORDER BY 1, 2, 3",
        catalog::NAMESPACE,
        // People choose their OIDs.
        catalog::LARGE_OBJECT
    );
    for row in reader.rows(&query).await? {
        reader
            .comments
            .insert(sub(&row)?, row.text("description")?.to_owned());
    }
    let query = "SELECT classoid, objoid, objsubid, provider, label \
        FROM pg_catalog.pg_seclabel ORDER BY 1, 2, 3, 4";
    for row in reader.rows(query).await? {
        let label = (
            row.text("provider")?.to_owned(),
            row.text("label")?.to_owned(),
        );
        reader.labels.entry(sub(&row)?).or_default().push(label);
    }
    let query = "SELECT classoid, objoid, objsubid, initprivs \
        FROM pg_catalog.pg_init_privs ORDER BY 1, 2, 3";
    for row in reader.rows(query).await? {
        reader
            .initial
            .insert(sub(&row)?, row.text("initprivs")?.to_owned());
    }
    Ok(())
}
