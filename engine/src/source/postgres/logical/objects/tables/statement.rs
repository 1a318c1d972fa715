//! The statements that make a table, a foreign table or a materialized view.

use std::fmt::Write as _;

use super::super::super::draft::IsSeparate;
use super::super::super::quote::{foreign_options, ident, storage_parameters};
use super::super::relations::{Column, Relation};
use crate::error::Result;

/// A table's statements, written once it is known which defaults and constraints stand alone.
#[derive(Debug)]
pub(in super::super) struct TableText {
    items: Vec<Item>,
    head: String,
    typed: bool,
    tail: String,
    after: Vec<String>,
}

/// One line between the parentheses of CREATE TABLE.
#[derive(Debug)]
enum Item {
    Column {
        start: String,
        default: Option<(u32, String)>,
        end: String,
        /// A typed table mentions the column only for a default or NOT NULL.
        only_with_default: bool,
    },
    Check {
        number: u32,
        text: String,
    },
    Text(String),
}

/// Describes how to make a table; `parents` are names as SQL, `query` the query of a
/// materialized view.
pub(in super::super) fn describe(
    table: &Relation,
    parents: &[String],
    query: Option<&str>,
) -> Result<TableText> {
    // 18 has no unlogged partitioned tables and treats older ones as logged.
    let unlogged = table.persistence == 'u' && table.kind != 'p';
    let mut head = format!(
        "CREATE {}{} {}",
        if unlogged { "UNLOGGED " } else { "" },
        table.object_kind().sql_name(),
        table.qualified()
    );
    if let Some(of) = &table.of_type {
        let _ = write!(head, " OF {of}");
    }
    Ok(TableText {
        items: if query.is_some() {
            Vec::new()
        } else {
            items(table)
        },
        head,
        typed: table.of_type.is_some() || query.is_some(),
        tail: tail(table, parents, query)?,
        after: alterations(table, parents)?,
    })
}

impl TableText {
    /// The statements, without those parts that stand alone.
    pub(in super::super) fn write(self, is_separate: IsSeparate<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for item in self.items {
            match item {
                Item::Text(text) => lines.push(text),
                Item::Check { number, text } => {
                    if !is_separate(number) {
                        lines.push(text);
                    }
                }
                Item::Column {
                    start,
                    default,
                    end,
                    only_with_default,
                } => {
                    let default = default.filter(|(number, _)| !is_separate(*number));
                    if default.is_some() || !only_with_default {
                        let text = default.map(|(_, text)| text).unwrap_or_default();
                        lines.push(format!("{start}{text}{end}"));
                    }
                }
            }
        }
        let mut create = self.head;
        if !lines.is_empty() {
            let _ = write!(create, " (\n    {}\n)", lines.join(",\n    "));
        } else if !self.typed {
            create.push_str(" (\n)");
        }
        create.push_str(&self.tail);
        let mut statements = vec![create];
        statements.extend(self.after);
        statements
    }
}

fn items(table: &Relation) -> Vec<Item> {
    let mut items = Vec::new();
    for column in &table.columns {
        if table.lists(column) {
            items.extend(column_item(table, column));
        } else if let Some(not_null) = column.not_null.as_ref().filter(|n| n.local)
            && !column.dropped
        {
            let name = not_null
                .name
                .as_ref()
                .map(|n| format!("CONSTRAINT {} ", ident(n)));
            items.push(Item::Text(format!(
                "{}NOT NULL {}{}",
                name.unwrap_or_default(),
                ident(&column.name),
                if not_null.no_inherit {
                    " NO INHERIT"
                } else {
                    ""
                }
            )));
        }
    }
    // A partition is made apart from its parent, which expects its constraints to be there.
    for check in table
        .checks
        .iter()
        .filter(|c| c.valid && (c.local || table.alone()))
    {
        items.push(Item::Check {
            number: check.number,
            text: format!("CONSTRAINT {} {}", ident(&check.name), check.definition),
        });
    }
    items
}

fn column_item(table: &Relation, column: &Column) -> Option<Item> {
    let default = column
        .default
        .as_ref()
        .filter(|d| !d.separate && (!d.implied || table.alone()))
        .map(|d| (d.number, default_clause(column.generated, &d.text)));
    let not_null = column
        .not_null
        .as_ref()
        .filter(|n| n.local || table.alone());
    let typed = table.of_type.is_some();
    if typed && default.is_none() && not_null.is_none() {
        return None;
    }
    let mut start = ident(&column.name);
    if !typed {
        let _ = write!(start, " {}", column.type_name);
    }
    let mut end = String::new();
    if let Some(not_null) = not_null {
        if let Some(name) = &not_null.name {
            let _ = write!(end, " CONSTRAINT {}", ident(name));
        }
        end.push_str(" NOT NULL");
        if not_null.no_inherit {
            end.push_str(" NO INHERIT");
        }
    }
    if let Some(collation) = &column.collation {
        let _ = write!(end, " COLLATE {collation}");
    }
    Some(Item::Column {
        start,
        default,
        end,
        only_with_default: typed && not_null.is_none(),
    })
}

fn default_clause(generated: char, expression: &str) -> String {
    match generated {
        's' => format!(" GENERATED ALWAYS AS ({expression}) STORED"),
        'v' => format!(" GENERATED ALWAYS AS ({expression})"),
        _ => format!(" DEFAULT {expression}"),
    }
}

/// What follows the columns in CREATE TABLE.
fn tail(table: &Relation, parents: &[String], query: Option<&str>) -> Result<String> {
    let mut tail = String::new();
    if !parents.is_empty() && !table.alone() {
        let _ = write!(tail, "\nINHERITS ({})", parents.join(", "));
    }
    if let Some(key) = &table.partition_key {
        let _ = write!(tail, "\nPARTITION BY {key}");
    }
    if let Some((server, _)) = &table.foreign {
        let _ = write!(tail, "\nSERVER {}", ident(server));
    }
    let mut options = storage_parameters(table.options.as_deref(), "")?;
    let toast = storage_parameters(table.toast_options.as_deref(), "toast.")?;
    if !options.is_empty() && !toast.is_empty() {
        options.push_str(", ");
    }
    options.push_str(&toast);
    if !options.is_empty() {
        let _ = write!(tail, "\nWITH ({options})");
    }
    if let Some((_, Some(options))) = &table.foreign {
        let options = foreign_options(Some(options))?;
        if !options.is_empty() {
            let _ = write!(tail, "\nOPTIONS (\n    {options}\n)");
        }
    }
    if let Some(query) = query {
        let _ = write!(tail, " AS\n{query}\n  WITH NO DATA");
    }
    Ok(tail)
}

/// Properties that only ALTER TABLE can set.
fn alterations(table: &Relation, parents: &[String]) -> Result<Vec<String>> {
    let mut list = Vec::new();
    let alter = format!(
        "ALTER {}TABLE ONLY {}",
        table.foreign_word(),
        table.qualified()
    );
    if table.apart {
        let inherit = |parent| format!("{alter} INHERIT {parent}");
        list.extend(parents.iter().map(inherit));
    }
    if let Some(method) = table.access_method.as_ref().filter(|_| table.kind == 'p') {
        list.push(format!("{alter} SET ACCESS METHOD {}", ident(method)));
    }
    for column in table.columns.iter().filter(|c| !c.dropped) {
        let of_column = format!("{alter} ALTER COLUMN {}", ident(&column.name));
        if let Some(target) = column.statistics {
            list.push(format!("{of_column} SET STATISTICS {target}"));
        }
        let storage = match column.storage {
            Some('p') => Some("PLAIN"),
            Some('e') => Some("EXTERNAL"),
            Some('x') => Some("EXTENDED"),
            Some('m') => Some("MAIN"),
            _ => None,
        };
        if let Some(storage) = storage {
            list.push(format!("{of_column} SET STORAGE {storage}"));
        }
        let compression = match column.compression {
            'p' => Some("pglz"),
            'l' => Some("lz4"),
            _ => None,
        };
        if let Some(method) = compression {
            list.push(format!("{of_column} SET COMPRESSION {method}"));
        }
        if !column.options.is_empty() {
            list.push(format!("{of_column} SET ({})", column.options));
        }
        if table.kind == 'f' && column.foreign_options.is_some() {
            let options = foreign_options(column.foreign_options.as_deref())?;
            if !options.is_empty() {
                list.push(format!("{of_column} OPTIONS (\n    {options}\n)"));
            }
        }
    }
    if matches!(table.kind, 'r' | 'p' | 'm') {
        match table.replica_identity {
            'n' => list.push(format!("{alter} REPLICA IDENTITY NOTHING")),
            'f' => list.push(format!("{alter} REPLICA IDENTITY FULL")),
            _ => {}
        }
    }
    if table.force_row_security {
        list.push(format!("{alter} FORCE ROW LEVEL SECURITY"));
    }
    Ok(list)
}
