//! Which objects of a backup a restore makes when only some were asked for.
//!
//! A chosen table brings what belongs to it (defaults, indexes, constraints, triggers, policies,
//! partitions, its sequences) and whatever must exist before it (schemas, types, functions,
//! extensions, the definition of a parent table). What would need another table's rows, a foreign
//! key to a table that was not chosen, stays out and is named.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber, Section};

/// A table (view, sequence) asked for by name: `SCHEMA.TABLE[=NEW]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// Where it goes instead, `(schema, name)`; the schema must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<(String, String)>,
}

impl Choice {
    /// Reads `SCHEMA.TABLE`, `SCHEMA.TABLE=NEW` or `SCHEMA.TABLE=SCHEMA.NEW`; a part in double quotes
    /// may hold dots and equals signs. A name without a schema lies in `public`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut sides = split(text, '=').into_iter();
        let bad = || {
            Error::invalid(format!("\"{text}\" does not name an object")).hint(
                "Write SCHEMA.TABLE or SCHEMA.TABLE=NEW; put names with dots in double quotes",
            )
        };
        let (schema, name) = qualified(&sides.next().ok_or_else(bad)?, "public").ok_or_else(bad)?;
        let new = match sides.next() {
            None => None,
            Some(side) => Some(qualified(&side, &schema).ok_or_else(bad)?),
        };
        if sides.next().is_some() {
            return Err(bad());
        }
        Ok(Self { schema, name, new })
    }
}

fn qualified(text: &str, schema: &str) -> Option<(String, String)> {
    let parts: Vec<String> = split(text, '.').iter().map(|part| unquote(part)).collect();
    if parts.iter().any(String::is_empty) {
        return None;
    }
    match <[String; 2]>::try_from(parts) {
        Ok([schema, name]) => Some((schema, name)),
        Err(parts) => {
            let [name] = <[String; 1]>::try_from(parts).ok()?;
            Some((schema.to_owned(), name))
        }
    }
}

/// Splits at `separator` outside double quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        if letter == '"' {
            quoted = !quoted;
        }
        if letter == separator && !quoted {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts
}

fn unquote(part: &str) -> String {
    match part
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => part.to_owned(),
    }
}

/// The objects a restore makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Relations asked for, with their partitions.
    pub tables: HashSet<ObjectNumber>,
    /// They, their parts and all that these need.
    pub objects: HashSet<ObjectNumber>,
    /// Among `objects`, what was not asked for but is needed: kept as it is where it exists.
    pub needed: HashSet<ObjectNumber>,
    /// Parts that stay out because they need a table that was not chosen.
    pub left_out: Vec<ObjectNumber>,
}

/// Finds what `choices` mean among the backup's `objects`.
pub fn choose(objects: &[Object], choices: &[Choice]) -> Result<Chosen> {
    let by_number: HashMap<ObjectNumber, &Object> = objects
        .iter()
        .map(|object| (object.number, object))
        .collect();
    let mut chosen = Chosen {
        tables: named(objects, choices)?,
        ..Chosen::default()
    };
    add_partitions(objects, &by_number, &mut chosen.tables);
    let mut asked = chosen.tables.clone();
    add_parts(objects, &by_number, &mut chosen, &mut asked);
    let reached = add_needed(objects, &by_number, &asked);
    chosen.needed = reached.difference(&asked).copied().collect();
    chosen.objects = reached;
    Ok(chosen)
}

/// What was asked for and all that it needs, whole.
fn add_needed(
    objects: &[Object],
    by_number: &HashMap<ObjectNumber, &Object>,
    asked: &HashSet<ObjectNumber>,
) -> HashSet<ObjectNumber> {
    let mut reached = asked.clone();
    let mut open: Vec<ObjectNumber> = asked.iter().copied().collect();
    while let Some(number) = open.pop() {
        if let Some(object) = by_number.get(&number) {
            for needed in object.depends_on.iter().chain(&object.of) {
                let other = by_number.get(needed);
                if other.is_some_and(|other| other.kind.section() != Section::Data)
                    && reached.insert(*needed)
                {
                    open.push(*needed);
                }
            }
        }
        if open.is_empty() {
            // A needed table stays without checks that stand apart; types and the like must be whole.
            let is_table = |number| {
                let owner = by_number.get(&number);
                owner.is_some_and(|owner| owner.kind == ObjectKind::Table)
            };
            let completing = objects.iter().filter(|object| {
                let owner = object.completes();
                owner.is_some_and(|owner| reached.contains(&owner) && !is_table(owner))
            });
            let more: Vec<_> = completing.map(|object| object.number).collect();
            open.extend(more.into_iter().filter(|number| reached.insert(*number)));
        }
    }
    reached
}

/// Whether it is a table, a view or a sequence: what has a name among relations.
pub fn is_relation(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Table
            | ObjectKind::ForeignTable
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
    )
}

fn named(objects: &[Object], choices: &[Choice]) -> Result<HashSet<ObjectNumber>> {
    let relations: HashMap<(&str, &str), ObjectNumber> = objects
        .iter()
        .filter(|object| is_relation(object.kind))
        .map(|object| {
            let schema = object.schema.as_deref().unwrap_or_default();
            ((schema, object.name.as_str()), object.number)
        })
        .collect();
    choices
        .iter()
        .map(|choice| {
            relations
                .get(&(choice.schema.as_str(), choice.name.as_str()))
                .copied()
                .ok_or_else(|| {
                    Error::new(
                        Code::ObjectNotFound,
                        format!(
                            "The backup holds no table {}.{}",
                            choice.schema, choice.name
                        ),
                    )
                    .hint("`backstay backup objects BACKUP` lists what it holds")
                })
        })
        .collect()
}

fn add_partitions(
    objects: &[Object],
    by_number: &HashMap<ObjectNumber, &Object>,
    tables: &mut HashSet<ObjectNumber>,
) {
    // A TABLE ATTACH names the partition in `of` and the parent among its dependencies.
    loop {
        let more: Vec<ObjectNumber> = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::TableAttach)
            .filter(|attach| {
                attach
                    .depends_on
                    .iter()
                    .any(|parent| Some(*parent) != attach.of && tables.contains(parent))
            })
            .filter_map(|attach| attach.of)
            .filter(|child| by_number.contains_key(child) && !tables.contains(child))
            .collect();
        if more.is_empty() {
            return;
        }
        tables.extend(more);
    }
}

/// Adds what belongs to the tables, and what belongs to that (a sequence's value).
fn add_parts(
    objects: &[Object],
    by_number: &HashMap<ObjectNumber, &Object>,
    chosen: &mut Chosen,
    asked: &mut HashSet<ObjectNumber>,
) {
    // A sequence owned by a chosen table belongs to it.
    for object in objects {
        if object.kind == ObjectKind::SequenceOwnedBy
            && object
                .of
                .is_some_and(|table| chosen.tables.contains(&table))
        {
            asked.extend(object.depends_on.iter().copied().filter(|number| {
                by_number
                    .get(number)
                    .is_some_and(|other| other.kind == ObjectKind::Sequence)
            }));
        }
    }
    loop {
        let before = asked.len();
        for object in objects {
            if asked.contains(&object.number)
                || !object.of.is_some_and(|owner| asked.contains(&owner))
            {
                continue;
            }
            if needs_another_table(object, by_number, asked) {
                if !chosen.left_out.contains(&object.number) {
                    chosen.left_out.push(object.number);
                }
            } else {
                asked.insert(object.number);
            }
        }
        if asked.len() == before {
            return;
        }
    }
}

fn needs_another_table(
    object: &Object,
    by_number: &HashMap<ObjectNumber, &Object>,
    asked: &HashSet<ObjectNumber>,
) -> bool {
    let attaches = object.kind == ObjectKind::TableAttach;
    (object.section() == Section::Post || attaches)
        && object.kind != ObjectKind::RefreshMaterializedView
        && object.depends_on.iter().any(|number| {
            !asked.contains(number)
                && by_number.get(number).is_some_and(|other| {
                    matches!(other.kind, ObjectKind::Table | ObjectKind::ForeignTable)
                })
        })
}

#[cfg(test)]
mod tests;
