//! Access privileges: the `aclitem[]` of a catalog row as `GRANT` and `REVOKE` statements.
//!
//! The statements lead from what the object has right after it was made (the built-in default, or
//! what its extension's script granted) to what it has in the source, in the order of the source,
//! so that a grant stands before those that its grant option made possible.

use super::quote::{array, ident};
use crate::error::{Code, Error, Result};

/// Whose privileges, in which words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grants<'a> {
    /// Before each statement: `ALTER DEFAULT PRIVILEGES … ` or nothing.
    pub prefix: &'a str,
    /// The kind as `GRANT` names it: `TABLE`, `FUNCTION`, `FOREIGN SERVER`, `TABLES`.
    pub keyword: &'a str,
    /// The object, quoted and qualified; empty for default privileges.
    pub name: &'a str,
    /// The column, quoted, when these are a column's privileges.
    pub column: Option<&'a str>,
    /// The owner, unquoted; empty when there is none.
    pub owner: &'a str,
    /// The catalog's `…acl`; `None` is the built-in default.
    pub acl: Option<&'a str>,
    /// `acldefault(…)` of the kind and owner; `{}` for a column.
    pub default: &'a str,
    /// `pg_init_privs.initprivs`, for members of extensions and system objects.
    pub initial: Option<&'a str>,
}

struct Item {
    grantee: String,
    grantor: String,
    plain: String,
    grantable: String,
}

/// The statements that lead from an object's first privileges to those of the source.
pub fn privileges(grants: &Grants<'_>) -> Result<Vec<String>> {
    let (acl, base) = match (grants.acl, grants.initial) {
        (Some(acl), initial) => (acl, initial.unwrap_or(grants.default)),
        (None, Some(initial)) => (grants.default, initial),
        (None, None) => return Ok(Vec::new()),
    };
    let acl = array(acl)?;
    let base = array(base)?;
    let mut first = Vec::new();
    let mut second = Vec::new();
    for text in base.iter().filter(|item| !acl.contains(item)).flatten() {
        let item = parse(text, grants, false)?;
        if !item.plain.is_empty() {
            first.push(statement(
                grants,
                "REVOKE",
                &item.plain,
                "FROM",
                &item.grantee,
                "",
            ));
        }
    }
    for text in acl.iter().filter(|item| !base.contains(item)).flatten() {
        let item = parse(text, grants, true)?;
        let own = item.grantee == grants.owner && item.grantor == grants.owner;
        // The owner's own privileges come first: others may have been granted out of them.
        let list = if own && !grants.owner.is_empty() {
            &mut first
        } else {
            &mut second
        };
        grant(grants, &item, list);
    }
    first.append(&mut second);
    Ok(first)
}

fn grant(grants: &Grants<'_>, item: &Item, list: &mut Vec<String>) {
    if item.plain.is_empty() && item.grantable.is_empty() {
        return;
    }
    let foreign = !item.grantor.is_empty() && item.grantor != grants.owner;
    if foreign {
        list.push(format!(
            "SET SESSION AUTHORIZATION {}",
            ident(&item.grantor)
        ));
    }
    if !item.plain.is_empty() {
        list.push(statement(
            grants,
            "GRANT",
            &item.plain,
            "TO",
            &item.grantee,
            "",
        ));
    }
    if !item.grantable.is_empty() {
        let option = " WITH GRANT OPTION";
        list.push(statement(
            grants,
            "GRANT",
            &item.grantable,
            "TO",
            &item.grantee,
            option,
        ));
    }
    if foreign {
        list.push("RESET SESSION AUTHORIZATION".to_owned());
    }
}

fn statement(
    grants: &Grants<'_>,
    verb: &str,
    list: &str,
    preposition: &str,
    grantee: &str,
    option: &str,
) -> String {
    let Grants {
        prefix,
        keyword,
        name,
        ..
    } = grants;
    let object = if name.is_empty() {
        (*keyword).to_owned()
    } else {
        format!("{keyword} {name}")
    };
    let grantee = if grantee.is_empty() {
        "PUBLIC".to_owned()
    } else {
        ident(grantee)
    };
    format!("{prefix}{verb} {list} ON {object} {preposition} {grantee}{option}")
}

/// The privileges a kind of object has: letter and keyword.
fn known(keyword: &str, column: bool) -> &'static [(char, &'static str)] {
    match keyword {
        "TABLE" | "TABLES" if column => &[
            ('r', "SELECT"),
            ('a', "INSERT"),
            ('x', "REFERENCES"),
            ('w', "UPDATE"),
        ],
        "TABLE" | "TABLES" | "FOREIGN TABLE" => &[
            ('r', "SELECT"),
            ('a', "INSERT"),
            ('x', "REFERENCES"),
            ('d', "DELETE"),
            ('t', "TRIGGER"),
            ('D', "TRUNCATE"),
            ('m', "MAINTAIN"),
            ('w', "UPDATE"),
        ],
        "SEQUENCE" | "SEQUENCES" => &[('r', "SELECT"), ('U', "USAGE"), ('w', "UPDATE")],
        "FUNCTION" | "FUNCTIONS" | "PROCEDURE" | "PROCEDURES" | "ROUTINE" | "ROUTINES" => {
            &[('X', "EXECUTE")]
        }
        "SCHEMA" | "SCHEMAS" => &[('C', "CREATE"), ('U', "USAGE")],
        "DATABASE" => &[('C', "CREATE"), ('c', "CONNECT"), ('T', "TEMPORARY")],
        "TABLESPACE" => &[('C', "CREATE")],
        "PARAMETER" => &[('s', "SET"), ('A', "ALTER SYSTEM")],
        "LARGE OBJECT" | "LARGE OBJECTS" => &[('r', "SELECT"), ('w', "UPDATE")],
        // LANGUAGE, TYPE, DOMAIN, FOREIGN DATA WRAPPER, FOREIGN SERVER
        _ => &[('U', "USAGE")],
    }
}

/// Reads `grantee=letters/grantor`. Where every privilege of the kind is there it becomes `ALL`; of
/// a server that did not know one of them each is named, so that the owner keeps what is new there
/// and nobody else gets it.
fn parse(text: &str, grants: &Grants<'_>, split: bool) -> Result<Item> {
    let broken = || {
        Error::new(
            Code::Internal,
            format!("The server sent a malformed privilege: {text}"),
        )
    };
    let (grantee, rest) = role(text).ok_or_else(broken)?;
    let rest = rest.strip_prefix('=').ok_or_else(broken)?;
    let (letters, grantor) = rest.split_once('/').ok_or_else(broken)?;
    let (grantor, rest) = role(grantor).ok_or_else(broken)?;
    if !rest.is_empty() {
        return Err(broken());
    }
    let known = known(grants.keyword, grants.column.is_some());
    let mut plain = Vec::new();
    let mut grantable = Vec::new();
    for (letter, keyword) in known {
        if let Some(at) = letters.find(*letter) {
            let starred = letters[at + 1..].starts_with('*');
            if starred && split {
                &mut grantable
            } else {
                &mut plain
            }
            .push(*keyword);
        }
    }
    let words = |list: &[&str]| -> String {
        let all: &[&str] = if list.len() == known.len() {
            &["ALL"]
        } else {
            list
        };
        let of_column = grants.column.map(|c| format!("({c})")).unwrap_or_default();
        all.iter()
            .map(|word| format!("{word}{of_column}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    Ok(Item {
        plain: words(&plain),
        grantable: words(&grantable),
        grantee,
        grantor,
    })
}

/// Takes a role name, quoted as `aclitem` does it, off the front.
fn role(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next().filter(|c| *c != '=') {
        rest = &rest[next.len_utf8()..];
        if next != '"' {
            name.push(next);
            continue;
        }
        loop {
            let inner = rest.chars().next()?;
            rest = &rest[inner.len_utf8()..];
            if inner == '"' {
                match rest.strip_prefix('"') {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            name.push(inner);
        }
    }
    Some((name, rest))
}

#[cfg(test)]
mod tests;
