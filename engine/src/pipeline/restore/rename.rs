//! Bringing a table back under another name.
//!
//! No statement is edited as text. The chosen tables are made, without rows, in a scratch database
//! of the target server, renamed there by the server itself, and their definitions are read back:
//! what the restore then makes is PostgreSQL's own spelling of the renamed table.

use std::collections::{HashMap, HashSet};

use super::undo::Made;
use super::{Job, databases, destination};
use crate::error::Result;
use crate::monitor::Loss;
use crate::pipeline::archive::ArchivedTable;
use crate::pipeline::gathering::Gathering;
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber, Section};
use crate::source::postgres::logical::quote::{ident, idents, literal, qualified};
use crate::source::postgres::logical::restore::choose::{Choice, choose};
use crate::source::postgres::logical::restore::maker::Maker;
use crate::source::postgres::logical::restore::renaming::{cut, follow};
use crate::source::postgres::logical::schema::Schema;
use crate::source::postgres::logical::selection::Selection;
use crate::source::postgres::logical::snapshot::{Leader, LeaderOptions};
use crate::source::postgres::session::Sql;

/// What goes under another name.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    /// Definitions under the new names, in restore order.
    pub(super) objects: Vec<Object>,
    /// Objects of the backup that these stand for.
    replaced: HashSet<ObjectNumber>,
    /// Old `(schema, name)` to new.
    names: HashMap<(String, String), (String, String)>,
    /// Encoding of the rows.
    encoding: String,
    /// What could not be made in the scratch database.
    pub(super) losses: Vec<Loss>,
}

impl Renamed {
    /// Whether an object of the backup is made in another form.
    pub(super) fn replaces(&self, number: ObjectNumber) -> bool {
        self.replaced.contains(&number)
    }

    /// How a renamed table's rows are loaded.
    pub(super) fn load_statement(&self, table: &ArchivedTable) -> Option<String> {
        let (schema, name) = self.new_name(table)?;
        let columns = column_list(&table.entry.columns);
        let options = options(&self.encoding);
        Some(format!(
            "COPY {}{columns} FROM STDIN{options}",
            qualified(schema, name)
        ))
    }

    /// How a renamed table's rows are read back.
    pub(super) fn read_statement(&self, table: &ArchivedTable) -> Option<String> {
        let (schema, name) = self.new_name(table)?;
        Some(read_whole(
            schema,
            name,
            &table.entry.columns,
            &self.encoding,
        ))
    }

    fn new_name(&self, table: &ArchivedTable) -> Option<&(String, String)> {
        self.names.get(&(table.schema.clone(), table.name.clone()))
    }
}

fn column_list(columns: &[String]) -> String {
    if columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", idents(columns.iter().map(String::as_str)))
    }
}

/// Reads a table with all its partitions.
pub(super) fn read_whole(schema: &str, name: &str, columns: &[String], encoding: &str) -> String {
    let columns = idents(columns.iter().map(String::as_str));
    let options = options(encoding);
    format!(
        "COPY (SELECT {columns} FROM {}) TO STDOUT{options}",
        qualified(schema, name)
    )
}

/// Rows are in the source's own encoding, whatever the session speaks.
fn options(encoding: &str) -> String {
    if encoding == "UTF8" {
        String::new()
    } else {
        format!(" (ENCODING {})", literal(encoding))
    }
}

/// Works out the renamed definitions; nothing to do when no choice has a new name.
pub(super) async fn prepare(job: &Job<'_>, made: &mut Made) -> Result<Renamed> {
    let choices: Vec<Choice> = job
        .plan
        .options
        .objects
        .iter()
        .filter(|choice| choice.new.is_some())
        .cloned()
        .collect();
    if choices.is_empty() {
        return Ok(Renamed::default());
    }
    let chosen = choose(&job.archive.objects, &choices)?;
    let scratch = scratch_name(&job.plan.database);
    destination::create(job, &scratch, made).await?;
    let mut renamed = Renamed {
        replaced: chosen.objects.difference(&chosen.needed).copied().collect(),
        encoding: job.archive.database.encoding.clone(),
        ..Renamed::default()
    };
    let mut maker = Maker::open(job.target, &scratch, job.maker_options()).await?;
    let wanted: Vec<&Object> = job
        .archive
        .objects
        .iter()
        .filter(|object| chosen.objects.contains(&object.number) && job.plan.wants(object))
        .collect();
    make_all(job, &mut maker, &wanted, &mut renamed.losses).await?;
    let tables: Vec<&Object> = job
        .archive
        .objects
        .iter()
        .filter(|object| chosen.tables.contains(&object.number))
        .collect();
    rename_all(maker.sql(), &choices, &tables, &mut renamed.names).await?;
    let selection = Selection {
        tables: renamed
            .names
            .values()
            .map(|(schema, name)| pattern(schema, name))
            .collect(),
        ..Selection::default()
    };
    let schema = read_back(job, &scratch, &selection, &mut renamed.losses).await?;
    let base = job
        .archive
        .objects
        .iter()
        .map(|object| object.number)
        .max()
        .unwrap_or_default();
    // What a table only needs (its schema, types, functions) is made as the backup has it.
    renamed.objects = schema
        .objects
        .into_iter()
        .filter(|object| object.kind >= ObjectKind::Table)
        .map(|object| shifted(object, base))
        .collect();
    drop(maker);
    let admin = databases::admin(job.target, &scratch).await?;
    databases::drop_database(&admin, &scratch).await?;
    made.databases.retain(|name| *name != scratch);
    Ok(renamed)
}

async fn read_back(
    job: &Job<'_>,
    scratch: &str,
    selection: &Selection,
    losses: &mut Vec<Loss>,
) -> Result<Schema> {
    let leader = Leader::open(job.target, scratch, &LeaderOptions::default()).await?;
    let gathering = Gathering::of(job.task);
    let schema = Schema::read(leader.sql(), selection, &gathering.task).await?;
    losses.extend(gathering.losses());
    Ok(schema)
}

fn scratch_name(database: &str) -> String {
    let random = u64::from_be_bytes(crate::secret::random_bytes::<8>());
    cut(&format!("backstay_{random:016x}_{database}"))
}

async fn make_all(
    job: &Job<'_>,
    maker: &mut Maker,
    wanted: &[&Object],
    losses: &mut Vec<Loss>,
) -> Result<()> {
    for section in [Section::Pre, Section::Data, Section::Post] {
        for object in wanted.iter().filter(|object| object.section() == section) {
            maker.make(object, losses).await?;
        }
    }
    if !job.plan.options.no_privileges {
        for object in wanted {
            maker.grant(object, losses).await?;
        }
    }
    Ok(())
}

/// Renames the chosen tables, their partitions, indexes, sequences and statistics.
async fn rename_all(
    sql: &Sql,
    choices: &[Choice],
    tables: &[&Object],
    names: &mut HashMap<(String, String), (String, String)>,
) -> Result<()> {
    for choice in choices {
        let Some((new_schema, new_name)) = &choice.new else {
            continue;
        };
        if new_schema != &choice.schema {
            sql.run(&format!(
                "CREATE SCHEMA IF NOT EXISTS {}",
                ident(new_schema)
            ))
            .await?;
        }
        for (schema, name) in relatives(sql, choice).await? {
            let new = if (&schema, &name) == (&choice.schema, &choice.name) {
                new_name.clone()
            } else {
                follow(&choice.name, new_name, &name)
            };
            rename_parts(sql, &schema, &name, &choice.name, new_name).await?;
            let old = qualified(&schema, &name);
            if new != name {
                sql.run(&format!("ALTER TABLE {old} RENAME TO {}", ident(&new)))
                    .await?;
            }
            if *new_schema != schema {
                let moved = qualified(&schema, &new);
                sql.run(&format!(
                    "ALTER TABLE {moved} SET SCHEMA {}",
                    ident(new_schema)
                ))
                .await?;
            }
            if tables
                .iter()
                .any(|table| table.schema.as_deref() == Some(&schema) && table.name == name)
            {
                names.insert((schema, name), (new_schema.clone(), new));
            }
        }
    }
    Ok(())
}

/// The table and its partitions at all levels, as they are called before.
async fn relatives(sql: &Sql, choice: &Choice) -> Result<Vec<(String, String)>> {
    let rows = sql
        .rows(&format!(
            "WITH RECURSIVE family(oid) AS (SELECT {}::pg_catalog.regclass::pg_catalog.oid \
               UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
               JOIN family f ON f.oid = i.inhparent \
               JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid AND p.relispartition) \
             SELECT n.nspname, c.relname FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
            literal(&qualified(&choice.schema, &choice.name))
        ))
        .await?;
    rows.iter()
        .map(|row| Ok((row.string("nspname")?, row.string("relname")?)))
        .collect()
}

/// Renames what has a name of its own in the schema: it would collide with the original's.
async fn rename_parts(sql: &Sql, schema: &str, name: &str, old: &str, new: &str) -> Result<()> {
    let table = literal(&qualified(schema, name));
    let mut parts = Vec::new();
    for (command, query) in [
        (
            "ALTER INDEX",
            format!(
                "SELECT c.relname AS name FROM pg_catalog.pg_index i \
                 JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                 WHERE i.indrelid = {table}::pg_catalog.regclass"
            ),
        ),
        (
            "ALTER SEQUENCE",
            format!(
                "SELECT c.relname AS name FROM pg_catalog.pg_depend d \
                 JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') \
                 AND d.refobjid = {table}::pg_catalog.regclass AND d.refobjsubid > 0"
            ),
        ),
        (
            "ALTER STATISTICS",
            format!(
                "SELECT stxname AS name FROM pg_catalog.pg_statistic_ext \
                 WHERE stxrelid = {table}::pg_catalog.regclass"
            ),
        ),
    ] {
        for row in sql.rows(&query).await? {
            parts.push((command, row.string("name")?));
        }
    }
    for (command, part) in parts {
        let to = follow(old, new, &part);
        sql.run(&format!(
            "{command} {} RENAME TO {}",
            qualified(schema, &part),
            ident(&to)
        ))
        .await?;
    }
    Ok(())
}

fn pattern(schema: &str, name: &str) -> String {
    let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    format!("{}.{}", quoted(schema), quoted(name))
}

/// The object with numbers above those of the backup.
fn shifted(mut object: Object, base: ObjectNumber) -> Object {
    object.number += base;
    object.of = object.of.map(|number| number + base);
    for number in &mut object.depends_on {
        *number += base;
    }
    object
}

#[cfg(test)]
mod tests {
    //! Patterns name one table each.

    use super::pattern;

    #[test]
    fn a_pattern_holds_odd_names() {
        assert_eq!(pattern("a.b", "c\"d"), "\"a.b\".\"c\"\"d\"");
    }
}
