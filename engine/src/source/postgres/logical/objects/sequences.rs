//! Sequences: their definitions, who owns them, and where they stand.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::draft::{Collected, Draft};
use super::super::object::{Newer, Object, ObjectKind, ObjectNumber};
use super::super::quote::{ident, literal};
use super::super::reader::{Reader, Row};
use super::relations::{self, Column, Relation, Relations};
use super::tables;
use crate::error::Result;

/// How many sequences one query asks for their state.
const STATES_PER_QUERY: usize = 200;

/// The definition of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    data_type: String,
    start: i64,
    increment: i64,
    minimum: i64,
    maximum: i64,
    cache: i64,
    cycle: bool,
}

/// Adds sequences, `OWNED BY` for those of serial columns, and their values.
pub(super) async fn read(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &mut Relations,
) -> Result<()> {
    let options = options(reader).await?;
    for at in 0..relations.list.len() {
        let sequence = &relations.list[at];
        if sequence.kind != 'S' {
            continue;
        }
        let number = add(reader, out, relations, sequence, options.get(&sequence.oid))?;
        relations.list[at].number = number;
        if number != 0 {
            relations::alias(out, &relations.list[at]);
            owned_by(reader, out, relations, &relations.list[at]);
        }
    }
    let valued: Vec<(u32, ObjectNumber)> = relations
        .list
        .iter()
        .filter(|r| r.kind == 'S' && r.defined() && reader.wants_rows(r.oid))
        .map(|r| (r.oid, r.number))
        .collect();
    values(reader, out, relations, &valued).await
}

/// Adds the values of sequences in which extensions keep a user's state.
pub(super) async fn configuration(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    sequences: &[(u32, ObjectNumber)],
) -> Result<()> {
    values(reader, out, relations, sequences).await
}

async fn options(reader: &Reader<'_>) -> Result<HashMap<u32, Options>> {
    let query = "SELECT seqrelid, pg_catalog.format_type(seqtypid, NULL) AS data_type, seqstart, \
         seqincrement, seqmin, seqmax, seqcache, seqcycle FROM pg_catalog.pg_sequence";
    let read = |row: &Row| -> Result<(u32, Options)> {
        Ok((
            row.oid("seqrelid")?,
            Options {
                data_type: row.string("data_type")?,
                start: row.int("seqstart")?,
                increment: row.int("seqincrement")?,
                minimum: row.int("seqmin")?,
                maximum: row.int("seqmax")?,
                cache: row.int("seqcache")?,
                cycle: row.bool("seqcycle")?,
            },
        ))
    };
    reader.rows(query).await?.iter().map(read).collect()
}

fn add(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    sequence: &Relation,
    options: Option<&Options>,
) -> Result<ObjectNumber> {
    let mut object = tables::object(reader, sequence)?;
    if !sequence.defined() {
        return Ok(tables::add(reader, out, sequence, object));
    }
    let Some(options) = options else {
        reader.lost(
            object.kind,
            &sequence.qualified(),
            "its definition could not be read",
        );
        return Ok(0);
    };
    let owner = sequence
        .owned_by
        .and_then(|(table, _)| relations.get(table));
    if sequence.identity {
        let column = sequence
            .owned_by
            .and_then(|(_, number)| owner?.column(number));
        let (Some(table), Some(column)) = (owner, column) else {
            reader.lost(
                object.kind,
                &sequence.qualified(),
                "its identity column does not exist",
            );
            return Ok(0);
        };
        object.of = Some(table.number);
        let own = own_persistence(sequence, table).filter(|_| reader.since(15));
        object.create = vec![identity(sequence, table, column, own, options)];
        if own.is_none()
            && let Some(own) = own_persistence(sequence, table)
        {
            // Before 15 every sequence was logged.
            object.newer.push(Newer {
                since: 15,
                statement: format!("ALTER SEQUENCE {} SET {own}", sequence.qualified()),
            });
        }
        // It comes and goes, and changes hands, with its column.
        object.drop.clear();
        object.attachments.owner.clear();
    } else {
        object.create = vec![plain(sequence, options)];
    }
    Ok(tables::add(reader, out, sequence, object))
}

fn plain(sequence: &Relation, options: &Options) -> String {
    let unlogged = if sequence.persistence == 'u' {
        "UNLOGGED "
    } else {
        ""
    };
    let mut text = format!("CREATE {unlogged}SEQUENCE {}\n", sequence.qualified());
    if options.data_type != "bigint" {
        let _ = writeln!(text, "    AS {}", options.data_type);
    }
    text + &clauses(options)
}

/// What is to be said where a sequence is not as its table is.
fn own_persistence(sequence: &Relation, table: &Relation) -> Option<&'static str> {
    match (sequence.persistence, table.persistence) {
        (own, of_table) if own == of_table => None,
        ('u', _) => Some("UNLOGGED"),
        _ => Some("LOGGED"),
    }
}

fn identity(
    sequence: &Relation,
    table: &Relation,
    column: &Column,
    persistence: Option<&str>,
    options: &Options,
) -> String {
    let when = if column.identity == 'a' {
        "ALWAYS"
    } else {
        "BY DEFAULT"
    };
    let persistence = persistence.map_or(String::new(), |word| format!("    {word}\n"));
    format!(
        "ALTER {}TABLE {} ALTER COLUMN {} ADD GENERATED {when} AS IDENTITY (\n    \
         SEQUENCE NAME {}\n{persistence}{}\n)",
        table.foreign_word(),
        table.qualified(),
        ident(&column.name),
        sequence.qualified(),
        clauses(options)
    )
}

/// The clauses that CREATE SEQUENCE and identity columns share; limits only where they are not
/// those of the data type.
fn clauses(options: &Options) -> String {
    let (smallest, largest) = match options.data_type.as_str() {
        "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let ascending = options.increment >= 0;
    let (usual_minimum, usual_maximum) = if ascending {
        (1, largest)
    } else {
        (smallest, -1)
    };
    let limit = |word: &str, value: i64, usual: i64| {
        if value == usual {
            format!("NO {word}")
        } else {
            format!("{word} {value}")
        }
    };
    format!(
        "    START WITH {}\n    INCREMENT BY {}\n    {}\n    {}\n    CACHE {}{}",
        options.start,
        options.increment,
        limit("MINVALUE", options.minimum, usual_minimum),
        limit("MAXVALUE", options.maximum, usual_maximum),
        options.cache,
        if options.cycle { "\n    CYCLE" } else { "" }
    )
}

fn owned_by(reader: &Reader<'_>, out: &mut Collected, relations: &Relations, sequence: &Relation) {
    let Some((table, column)) = sequence.owned_by.filter(|_| !sequence.identity) else {
        return;
    };
    let Some(table) = relations.saved(table).filter(|t| t.defined()) else {
        return;
    };
    let Some(column) = table.column(column).filter(|_| sequence.defined()) else {
        return;
    };
    let kind = ObjectKind::SequenceOwnedBy;
    let mut object = Object::new(kind, Some(&sequence.schema), &sequence.name);
    object.of = Some(table.number);
    object.owner = Some(reader.role(sequence.owner));
    object.create = vec![format!(
        "ALTER SEQUENCE {} OWNED BY {}.{}",
        sequence.qualified(),
        table.qualified(),
        ident(&column.name)
    )];
    let mut draft = Draft::of(object);
    draft.needs = vec![sequence.number, table.number];
    out.add(draft);
}

/// Reads where sequences stand and adds the statements that bring them there.
async fn values(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    sequences: &[(u32, ObjectNumber)],
) -> Result<()> {
    for chunk in sequences.chunks(STATES_PER_QUERY) {
        let asked: Vec<String> = chunk
            .iter()
            .filter_map(|(oid, _)| relations.get(*oid))
            .map(|sequence| {
                let name = sequence.qualified();
                format!(
                    "SELECT {} AS oid, last_value, is_called FROM {name}",
                    sequence.oid
                )
            })
            .collect();
        let rows = reader.rows(&asked.join(" UNION ALL ")).await?;
        let numbers: HashMap<u32, ObjectNumber> = chunk.iter().copied().collect();
        for row in rows {
            let oid = row.oid("oid")?;
            let (Some(sequence), Some(&number)) = (relations.get(oid), numbers.get(&oid)) else {
                continue;
            };
            let kind = ObjectKind::SequenceValue;
            let mut object = Object::new(kind, Some(&sequence.schema), &sequence.name);
            object.of = Some(number);
            object.create = vec![format!(
                "SELECT pg_catalog.setval({}, {}, {})",
                literal(&sequence.qualified()),
                row.int("last_value")?,
                row.bool("is_called")?
            )];
            let mut draft = Draft::of(object);
            draft.needs = vec![number];
            out.add(draft);
        }
    }
    Ok(())
}
