//! What belongs to the whole server, for `psql`: roles and tablespaces are made where they are missing, and
//! what the backup knows of their settings and memberships is set in any case.

use std::fmt::Write as _;

use super::Source;
use crate::source::postgres::logical::globals::Global;
use crate::source::postgres::logical::quote::literal;

/// The statements, if the export was to begin with them.
pub(super) fn script(source: &Source<'_>) -> String {
    let mut text = String::new();
    if !source.options.globals {
        return text;
    }
    for global in &source.archive.globals {
        put(&mut text, global);
    }
    text
}

fn put(text: &mut String, global: &Global) {
    let Global { kind, name, create } = global;
    let _ = write!(text, "--\n-- {kind} {}\n--\n\n", super::sql::one_line(name));
    let catalog = match kind.as_str() {
        "role" => Some(("pg_roles", "rolname")),
        "tablespace" => Some(("pg_tablespace", "spcname")),
        _ => None,
    };
    if let Some((catalog, column)) = catalog {
        let _ = write!(
            text,
            "SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.{catalog} WHERE {column} = {}) \
             AS backstay_missing \\gset\n\\if :backstay_missing\n",
            literal(name)
        );
    }
    for statement in create {
        text.push_str(statement);
        text.push_str(";\n");
    }
    text.push_str(if catalog.is_some() {
        "\\endif\n\n"
    } else {
        "\n"
    });
}
