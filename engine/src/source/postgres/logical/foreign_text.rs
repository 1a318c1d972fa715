//! Names and definitions that are not UTF-8, as databases with the encoding SQL_ASCII can hold them.
//!
//! Everything a backup says about objects is UTF-8, so such a text stops it before any row moves.
//! The server only tells the bytes; a person needs the object.

use super::quote::literal;
use crate::error::{Code, Error, Result};
use crate::source::postgres::target::Target;

/// Objects that the error names.
const NAMED_MAX: usize = 5;

/// Where texts of the catalogs are: what they are, of which object, the text.
const TEXTS: &[(&str, &str, &str)] = &[
    ("name of", "2615, oid, 0, nspname", "pg_namespace"),
    (
        "name of",
        "1259, oid, 0, relname",
        "pg_class WHERE relkind <> 't'",
    ),
    (
        "name of",
        "1259, attrelid, attnum::pg_catalog.int4, attname",
        "pg_attribute WHERE attnum > 0 AND NOT attisdropped",
    ),
    (
        "name of",
        "1247, oid, 0, typname",
        "pg_type WHERE typrelid = 0 AND typelem = 0",
    ),
    ("label of", "1247, enumtypid, 0, enumlabel", "pg_enum"),
    ("name of", "1255, oid, 0, proname", "pg_proc"),
    ("body of", "1255, oid, 0, prosrc", "pg_proc"),
    ("name of", "2606, oid, 0, conname", "pg_constraint"),
    (
        "definition of",
        "2606, oid, 0, pg_catalog.pg_get_constraintdef(oid)",
        "pg_constraint WHERE contype = 'c'",
    ),
    ("name of", "2620, oid, 0, tgname", "pg_trigger"),
    (
        "definition of",
        "1259, oid, 0, pg_catalog.pg_get_viewdef(oid)",
        "pg_class WHERE relkind IN ('v', 'm')",
    ),
    (
        "default of",
        "1259, adrelid, adnum::pg_catalog.int4, pg_catalog.pg_get_expr(adbin, adrelid)",
        "pg_attrdef",
    ),
    (
        "comment on",
        "classoid, objoid, objsubid, description",
        "pg_description",
    ),
    ("name of", "1260, oid, 0, rolname", "pg_roles"),
    (
        "comment on",
        "classoid, objoid, 0, description",
        "pg_shdescription",
    ),
];

/// Says in our words what the server says when a text does not fit UTF-8, and whose text it is;
/// any other error as it is.
pub async fn explained(error: Error, target: &Target, database: &str) -> Error {
    if !matches!(error.sqlstate(), Some("22021" | "22P05")) {
        return error;
    }
    let unsaved = |what: &str| {
        Error::new(
            Code::SourceObject,
            format!("Database \"{database}\" holds what is not UTF-8 and cannot be saved: {what}"),
        )
        .hint(
            "Databases with the encoding SQL_ASCII can hold such texts: rename or redefine what \
             is named here. Rows may hold any bytes",
        )
    };
    match find(target, database).await {
        Ok(found) if !found.is_empty() => {
            let mut text = found[..found.len().min(NAMED_MAX)].join(", ");
            let more = found.len().saturating_sub(NAMED_MAX);
            if more > 0 {
                text.push_str(&format!(" and {more} more"));
            }
            unsaved(&text)
        }
        // Where even this cannot be asked the sentence is true without the names.
        _ => unsaved("a name, comment or definition").because(error),
    }
}

async fn find(target: &Target, database: &str) -> Result<Vec<String>> {
    let sql = target.sql(database).await?;
    let mut found = Vec::new();
    for (what, columns, from) in TEXTS {
        // As hexadecimal digits everything passes. A text of bytes below 128 is UTF-8.
        let query = format!(
            "SELECT pg_catalog.encode(pg_catalog.convert_to(pg_catalog.pg_describe_object(\
               t.class::pg_catalog.oid, t.object, t.part), 'SQL_ASCII'), 'hex') AS object, \
             pg_catalog.encode(pg_catalog.convert_to(t.text, 'SQL_ASCII'), 'hex') AS text \
             FROM (SELECT s.class, s.object, s.part, s.text::pg_catalog.text \
               FROM (SELECT {columns} FROM pg_catalog.{from}) AS s(class, object, part, text)) AS t \
             WHERE t.text OPERATOR(pg_catalog.~) {} ORDER BY 1",
            literal("[^\\x01-\\x7f]")
        );
        for row in sql.rows(&query).await? {
            if std::str::from_utf8(&unhex(row.text("text")?)).is_err() {
                found.push(format!("{what} {}", shown(&unhex(row.text("object")?))));
            }
        }
    }
    Ok(found)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

/// What is UTF-8 as it is, other bytes as `\xE9`.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_by_their_numbers() {
        assert_eq!(shown(&unhex("636166e9")), "caf\\xE9");
        assert_eq!(shown("größe".as_bytes()), "größe");
    }
}
