//! Names and values as SQL text, and the array text of the catalogs back as values.

use std::fmt::Write as _;

use crate::error::{Code, Error, Result};

/// Keywords that need quotes as a name in some place or other, of all servers up to 18, sorted.
/// Quoting one that a server does not know yet does no harm.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// A name, in double quotes unless it reads back as itself without them.
pub fn ident(name: &str) -> String {
    let mut bytes = name.bytes();
    let plain = bytes
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A name in its schema.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// Names, quoted and joined by `, `.
pub fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(ident).collect();
    quoted.join(", ")
}

/// A string constant that means the same whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A string constant between dollar quotes that do not occur in it; for function bodies.
pub fn dollar(text: &str) -> String {
    let mut tag = String::from("$");
    // A text that ends in `$` would merge with the closing quote.
    while text.contains(&format!("{tag}$")) || text.ends_with(&tag) {
        tag.push_str(if tag.len() == 1 { "_" } else { "X" });
    }
    format!("{tag}${text}{tag}$")
}

/// The elements of a one-dimensional array in PostgreSQL's text form; `None` is NULL.
pub fn array(text: &str) -> Result<Vec<Option<String>>> {
    let broken = || {
        Error::new(
            Code::Internal,
            format!("The server sent a malformed array: {text}"),
        )
    };
    // Bounds such as `[0:2]=` come with arrays that do not start at 1.
    let body = match text.find('{') {
        Some(at) if at == 0 || text[..at].ends_with('=') => &text[at..],
        _ => return Err(broken()),
    };
    let inner = body
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(broken)?;
    let mut elements = Vec::new();
    if inner.is_empty() {
        return Ok(elements);
    }
    let mut chars = inner.chars().peekable();
    loop {
        let mut element = String::new();
        let quoted = chars.peek() == Some(&'"');
        if quoted {
            chars.next();
            loop {
                match chars.next().ok_or_else(broken)? {
                    '"' => break,
                    '\\' => element.push(chars.next().ok_or_else(broken)?),
                    other => element.push(other),
                }
            }
        } else {
            while let Some(next) = chars.next_if(|c| *c != ',') {
                element.push(if next == '\\' {
                    chars.next().ok_or_else(broken)?
                } else {
                    next
                });
            }
        }
        elements.push((quoted || element != "NULL").then_some(element));
        match chars.next() {
            None => return Ok(elements),
            Some(',') => {}
            Some(_) => return Err(broken()),
        }
    }
}

/// The elements of an array that holds no NULL; an absent array is empty.
pub fn texts(text: Option<&str>) -> Result<Vec<String>> {
    let elements = text.map_or_else(|| Ok(Vec::new()), array)?;
    Ok(elements.into_iter().flatten().collect())
}

/// Storage parameters (`{fillfactor=70,…}`) as they stand between the parentheses of `WITH (…)`.
pub fn storage_parameters(text: Option<&str>, prefix: &str) -> Result<String> {
    let mut list = String::new();
    for option in texts(text)? {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        if !list.is_empty() {
            list.push_str(", ");
        }
        // Values that read as a plain name need no quotes, numbers are taken quoted as well.
        let value = if ident(value) == value {
            value.to_owned()
        } else {
            literal(value)
        };
        let _ = write!(list, "{prefix}{}={value}", ident(name));
    }
    Ok(list)
}

/// Options of foreign objects (`{name=value,…}`) as they stand between the parentheses of
/// `OPTIONS (…)`.
pub fn foreign_options(text: Option<&str>) -> Result<String> {
    let mut list = Vec::new();
    for option in texts(text)? {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        list.push(format!("{} {}", ident(name), literal(value)));
    }
    Ok(list.join(",\n    "))
}

/// The value of a configuration parameter as it stands after `SET name TO`. Parameters that hold a
/// list of names keep it as text with double quotes, whose rules are not those of SQL.
pub fn setting(name: &str, value: &str) -> String {
    const LISTS: &[&str] = &[
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ];
    if !LISTS.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        return literal(value);
    }
    let quoted: Vec<String> = list_elements(value)
        .iter()
        .map(|name| literal(name))
        .collect();
    if quoted.is_empty() {
        literal("")
    } else {
        quoted.join(", ")
    }
}

/// The names in a list such as `"$user", public`.
fn list_elements(value: &str) -> Vec<String> {
    let mut elements = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let mut element = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            while let Some((before, after)) = quoted.split_once('"') {
                element.push_str(before);
                quoted = after;
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        element.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            rest = quoted.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        } else {
            let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
            name.trim_end().clone_into(&mut element);
            rest = after.trim_start();
        }
        elements.push(element);
    }
    elements
}

#[cfg(test)]
mod tests;
