//! Which part of a database is backed up: all of it, or the schemas and tables somebody chose.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// What to back up, as patterns. Without schemas and tables it is the whole database; with them,
/// what the chosen cannot be made without comes along.
///
/// A pattern is a name, compared letter for letter, in which `*` stands for any text and `?` for
/// one character; a part in double quotes stands for itself. A table's pattern may begin with a
/// schema's pattern and a dot; without one it looks into every schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Selection {
    /// Schemas with everything in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Tables, views, sequences; a partitioned table brings its partitions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Schemas to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_schemas: Vec<String>,
    /// Tables, views, sequences to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_tables: Vec<String>,
    /// Tables whose rows to leave out; their definition is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_rows: Vec<String>,
}

impl Selection {
    /// Whether nothing was chosen, so that objects outside any schema belong to it too.
    pub fn is_whole(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty()
    }

    /// Whether everything in the database belongs to it.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The patterns, ready to match; an error names the one that is malformed.
    pub fn compile(&self) -> Result<Patterns> {
        let schemas = |list: &[String]| -> Result<Vec<Pattern>> {
            list.iter().map(|text| Pattern::schema(text)).collect()
        };
        let tables = |list: &[String]| -> Result<Vec<Pattern>> {
            list.iter().map(|text| Pattern::table(text)).collect()
        };
        Ok(Patterns {
            schemas: schemas(&self.schemas)?,
            tables: tables(&self.tables)?,
            exclude_schemas: schemas(&self.exclude_schemas)?,
            exclude_tables: tables(&self.exclude_tables)?,
            exclude_rows: tables(&self.exclude_rows)?,
        })
    }
}

/// For people: `schema shop, without table shop.log_*`.
impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (what, list) in [
            ("schema", &self.schemas),
            ("table", &self.tables),
            ("without schema", &self.exclude_schemas),
            ("without table", &self.exclude_tables),
            ("without the rows of", &self.exclude_rows),
        ] {
            if !list.is_empty() {
                write!(f, "{separator}{what} {}", list.join(", "))?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            f.write_str("everything")?;
        }
        Ok(())
    }
}

/// A [`Selection`] ready to match.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// See [`Selection::schemas`].
    pub schemas: Vec<Pattern>,
    /// See [`Selection::tables`].
    pub tables: Vec<Pattern>,
    /// See [`Selection::exclude_schemas`].
    pub exclude_schemas: Vec<Pattern>,
    /// See [`Selection::exclude_tables`].
    pub exclude_tables: Vec<Pattern>,
    /// See [`Selection::exclude_rows`].
    pub exclude_rows: Vec<Pattern>,
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    schema: Option<Vec<Piece>>,
    name: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Letter(char),
    One,
    Any,
}

impl Pattern {
    /// A pattern for schemas; an error when malformed.
    pub fn schema(text: &str) -> Result<Self> {
        match parts(text)?.as_slice() {
            [name] => Ok(Self {
                text: text.to_owned(),
                schema: None,
                name: name.clone(),
            }),
            _ => Err(malformed(
                text,
                "a schema has no dot in its name unless it is quoted",
            )),
        }
    }

    /// A pattern for tables, `table` or `schema.table`; an error when malformed.
    pub fn table(text: &str) -> Result<Self> {
        match parts(text)?.as_slice() {
            [name] => Ok(Self {
                text: text.to_owned(),
                schema: None,
                name: name.clone(),
            }),
            [schema, name] => Ok(Self {
                text: text.to_owned(),
                schema: Some(schema.clone()),
                name: name.clone(),
            }),
            _ => Err(malformed(
                text,
                "write it as `schema.table`, with quotes around odd names",
            )),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a schema of that name is meant.
    pub fn matches_schema(&self, name: &str) -> bool {
        matches(&self.name, name)
    }

    /// Whether a table of that name in that schema is meant.
    pub fn matches_table(&self, schema: &str, name: &str) -> bool {
        self.schema
            .as_ref()
            .is_none_or(|pattern| matches(pattern, schema))
            && matches(&self.name, name)
    }
}

fn malformed(text: &str, why: &str) -> Error {
    Error::invalid(format!("The pattern {text} cannot be read: {why}"))
}

fn parts(text: &str) -> Result<Vec<Vec<Piece>>> {
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        if next == '.' && !quoted {
            parts.push(Vec::new());
            continue;
        }
        let piece = match next {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => Piece::Letter('"'),
            '"' => {
                quoted = !quoted;
                continue;
            }
            '*' if !quoted => Piece::Any,
            '?' if !quoted => Piece::One,
            other => Piece::Letter(other),
        };
        if let Some(last) = parts.last_mut() {
            last.push(piece);
        }
    }
    if quoted {
        return Err(malformed(text, "a double quote is not closed"));
    }
    if parts.iter().any(Vec::is_empty) {
        return Err(malformed(text, "a name is empty"));
    }
    Ok(parts)
}

/// Greedy match with one point to fall back to, so that many stars stay cheap.
fn matches(pattern: &[Piece], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut fallback: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                fallback = Some((p + 1, n));
                p += 1;
            }
            Some(Piece::One) => (p, n) = (p + 1, n + 1),
            Some(Piece::Letter(letter)) if *letter == name[n] => (p, n) = (p + 1, n + 1),
            _ => match fallback {
                Some((after, from)) => {
                    fallback = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests;
