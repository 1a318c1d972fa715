//! The first rows of a table as a backup holds them, for people to look at: no more of the repository is read
//! than these rows take.

use super::archive::{Archive, ArchivedTable};
use crate::error::{Code, Error, Result};
use crate::repository::Repository;
use crate::source::postgres::logical::defined::{self, Column, Definition};
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};
use crate::source::postgres::logical::restore::choose::is_relation;
use crate::source::postgres::logical::values::{Letters, RowReader, Value};

/// Bytes kept of one value, and of all rows together.
const VALUE_BYTES_MAX: usize = 4 << 10;
const ROWS_BYTES_MAX: usize = 1 << 20;
/// Bytes read for them: a value may be far longer than what is kept of it.
const READ_BYTES_MAX: u64 = 64 << 20;
/// Names offered for one that is not there.
const NEAR_MAX: usize = 5;
/// Partitions that are named.
const PARTITIONS_NAMED: usize = 5;

/// A relation of a backup that somebody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its definition; an extension's own table has none.
    pub object: Option<&'a Object>,
    /// Its rows.
    pub table: Option<&'a ArchivedTable>,
}

/// The first rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstRows {
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// Whether it stopped in a row that is longer than what is read.
    pub stopped_in_row: bool,
}

/// The relation of that name; an error with names like it where there is none.
pub fn find<'a>(archive: &'a Archive, schema: &str, name: &str) -> Result<Found<'a>> {
    let own = |object: &&Object| {
        is_relation(object.kind) && object.name == name && object.schema.as_deref() == Some(schema)
    };
    let found = Found {
        object: archive.objects.iter().find(own),
        table: archive
            .tables
            .iter()
            .find(|table| table.schema == schema && table.name == name),
    };
    if found.object.is_some() || found.table.is_some() {
        return Ok(found);
    }
    let near = near(archive, schema, name);
    let hint = if near.is_empty() {
        "`backstay backup objects BACKUP` lists what it holds".to_owned()
    } else {
        format!("Did you mean {}?", near.join(", "))
    };
    Err(Error::new(
        Code::ObjectNotFound,
        format!("The backup holds no table {schema}.{name}"),
    )
    .hint(hint))
}

/// The names most like that one: the same in other schemas first, then those that differ least.
fn near(archive: &Archive, schema: &str, name: &str) -> Vec<String> {
    let relations = archive.objects.iter().filter(|own| is_relation(own.kind));
    let relations = relations.map(|own| (own.schema.as_deref().unwrap_or_default(), &*own.name));
    let tables = archive.tables.iter();
    let tables = tables.map(|own| (&*own.schema, &*own.name));
    let wanted = name.to_lowercase();
    let distance = |(other_schema, other): (&str, &str)| {
        let other = other.to_lowercase();
        let apart = if other.contains(&wanted) || wanted.contains(&other) {
            1
        } else {
            difference(&wanted, &other)
        };
        (2 * apart <= wanted.chars().count().max(2)).then_some((apart, other_schema != schema))
    };
    let ranked = relations.chain(tables).filter_map(|own| {
        let is_usable = !own.1.is_empty() && !name.is_empty();
        let rank = distance(own).filter(|_| is_usable)?;
        Some((rank, format!("{}.{}", own.0, own.1)))
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort();
    ranked.dedup();
    let names = ranked.into_iter().map(|(_, name)| name);
    names.take(NEAR_MAX).collect()
}

/// How many letters one word must lose, gain or change to be the other. Names have at most 63 bytes.
fn difference(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut before = row[0];
        row[0] = place + 1;
        for (column, own) in other.iter().enumerate() {
            let changed = before + usize::from(*own != letter);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// What the backup says of a relation's columns, those that it inherits or has of a type among them.
pub fn definition(archive: &Archive, found: Found<'_>) -> Definition {
    let Some(object) = found.object else {
        return Definition::default();
    };
    let mut all = own_definition(object);
    let mut seen = vec![object.number];
    let mut open: Vec<ObjectNumber> = object.depends_on.clone();
    while let Some(number) = open.pop() {
        if seen.contains(&number) {
            continue;
        }
        seen.push(number);
        let of_columns = |own: &&Object| matches!(own.kind, ObjectKind::Table | ObjectKind::Type);
        let Some(parent) = archive.object(number).filter(of_columns) else {
            continue;
        };
        for column in own_definition(parent).columns {
            let known = all.columns.iter_mut().find(|own| own.name == column.name);
            match known {
                Some(known) if known.type_name.is_empty() => known.type_name = column.type_name,
                Some(_) => {}
                None => all.columns.push(column),
            }
        }
        if parent.kind == ObjectKind::Table {
            open.extend(&parent.depends_on);
        }
    }
    all
}

fn own_definition(object: &Object) -> Definition {
    let create = object.create.first();
    create.map_or_else(Definition::default, |create| defined::read(create))
}

/// The type of a column, where the definition says it.
pub fn type_of(definition: &Definition, column: &str) -> Option<String> {
    let known = definition.columns.iter().find(|own| own.name == column);
    let text = known.map(|own: &Column| own.type_name.clone());
    text.filter(|text| !text.is_empty())
}

/// Why a relation of the backup has no rows in it.
pub fn why_no_rows(archive: &Archive, object: &Object, definition: &Definition) -> String {
    let schema = object.schema.as_deref().unwrap_or_default();
    let label = format!("{schema}.{}", object.name);
    match object.kind {
        ObjectKind::Table => {}
        ObjectKind::MaterializedView => {
            return format!("{label} is a materialized view: a restore fills it again");
        }
        ObjectKind::ForeignTable => {
            return format!("{label} is a foreign table: its rows lie on another server");
        }
        kind => {
            let what = kind.sql_name().to_lowercase();
            return format!("{label} is a {what}: it has no rows of its own");
        }
    }
    if definition.is_partitioned {
        return of_partitions(archive, object, &label);
    }
    let lost = format!("rows of {label}");
    let lost = archive.facts.losses.iter().find(|own| own.object == lost);
    if let Some(loss) = lost {
        return format!("The rows of {label} could not be saved: {}", loss.reason);
    }
    format!(
        "The backup holds the definition of {label}, and none of its rows: they were not chosen"
    )
}

fn of_partitions(archive: &Archive, root: &Object, label: &str) -> String {
    let joins = |own: &&Object| {
        own.kind == ObjectKind::TableAttach
            && own.of != Some(root.number)
            && own.depends_on.contains(&root.number)
    };
    let names = archive.objects.iter().filter(joins);
    let mut names: Vec<String> = names
        .map(|own| format!("{}.{}", own.schema.as_deref().unwrap_or_default(), own.name))
        .collect();
    if names.is_empty() {
        return format!("{label} is partitioned, and the backup holds no partition of it");
    }
    let more = names.len().saturating_sub(PARTITIONS_NAMED);
    names.truncate(PARTITIONS_NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    format!(
        "{label} is partitioned: its rows lie in its partitions, {}",
        names.join(", ")
    )
}

/// Reads the first `limit` rows of a table, fewer where they are long.
pub async fn rows(
    repository: &Repository,
    archive: &Archive,
    table: &ArchivedTable,
    limit: usize,
) -> Result<FirstRows> {
    let columns = table.entry.columns.len();
    let each = (ROWS_BYTES_MAX / columns.max(1)).min(VALUE_BYTES_MAX);
    let letters = Letters::of(&archive.database.encoding);
    let mut reader = RowReader::new(columns, letters, each);
    let (mut first, mut read, mut kept) = (FirstRows::default(), 0_u64, 0);
    let damaged = |error: Error| error.context(format!("Rows of {}", table.label()));
    for range in table.ranges.iter().filter(|own| own.entry.sum.rows > 0) {
        let mut stream = repository.read_sparingly(&range.stream);
        while let Some(block) = stream.next().await.map_err(damaged)? {
            read += block.len() as u64;
            let mut left: &[u8] = &block;
            while let Some(row) = reader.next(&mut left).map_err(damaged)? {
                kept += row.iter().map(size).sum::<usize>();
                if kept > ROWS_BYTES_MAX && !first.rows.is_empty() {
                    return Ok(first);
                }
                first.rows.push(row);
                if first.rows.len() == limit {
                    return Ok(first);
                }
            }
            if read >= READ_BYTES_MAX {
                first.stopped_in_row = !reader.is_between_rows();
                return Ok(first);
            }
        }
        if !reader.is_between_rows() {
            let error = Error::new(Code::RepositoryCorrupt, "The last row does not end");
            return Err(damaged(error));
        }
    }
    Ok(first)
}

fn size(value: &Value) -> usize {
    value.text.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_by_the_letters_to_change() {
        for (one, other, apart) in [
            ("orders", "orders", 0),
            ("oders", "orders", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("žluť", "zlut", 2),
        ] {
            assert_eq!(difference(one, other), apart, "{one} {other}");
            assert_eq!(difference(other, one), apart, "{other} {one}");
        }
    }
}
