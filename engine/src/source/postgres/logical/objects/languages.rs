//! Procedural languages that no extension made.

use std::fmt::Write as _;

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT l.oid, l.lanname, l.lanowner, l.lanpltrusted, l.lanacl, \
        pg_catalog.acldefault('l', l.lanowner) AS acldefault, l.lanplcallfoid AS handler_oid, \
        CASE WHEN l.lanplcallfoid <> 0 THEN l.lanplcallfoid::pg_catalog.regproc END AS handler, \
        CASE WHEN l.laninline <> 0 THEN l.laninline::pg_catalog.regproc END AS inline, \
        CASE WHEN l.lanvalidator <> 0 THEN l.lanvalidator::pg_catalog.regproc END AS validator, \
        p.pronamespace FROM pg_catalog.pg_language l \
        LEFT JOIN pg_catalog.pg_proc p ON p.oid = l.lanplcallfoid \
        WHERE l.lanispl OR l.lanacl IS NOT NULL ORDER BY l.oid";
    for row in reader.rows(query).await? {
        language(reader, out, &row)?;
    }
    Ok(())
}

fn language(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::LANGUAGE, row.oid("oid")?);
    let mut parts = reader.parts_outside(place);
    if parts.is_none() {
        return Ok(());
    }
    let name = row.text("lanname")?;
    let owner = Some(row.oid("lanowner")?);
    let mut object = reader.object(ObjectKind::Language, place, None, name, owner)?;
    let quoted = ident(name);
    if parts.definition {
        object.create.push(definition(reader, &quoted, row)?);
        object.drop = format!("DROP LANGUAGE IF EXISTS {quoted}");
    }
    reader.describe(&mut object, parts, "LANGUAGE", &quoted);
    // Only trusted languages have privileges to speak of.
    parts.privileges &= row.bool("lanpltrusted")?;
    let grants = Grants {
        keyword: "LANGUAGE",
        name: &quoted,
        acl: row.opt("lanacl")?,
        default: row.text("acldefault")?,
        ..Grants::default()
    };
    reader.grant(&mut object, parts, grants)?;
    reader.add(out, Draft::of(object));
    Ok(())
}

fn definition(reader: &Reader<'_>, name: &str, row: &Row) -> Result<String> {
    let oid = row.oid("handler_oid")?;
    let handler = catalog::row(catalog::PROC, oid);
    let there = oid < FIRST_NORMAL_OID
        || reader.is_member(handler)
        || reader
            .parts_in(handler, row.oid("pronamespace")?)
            .definition;
    match row.opt("handler")?.filter(|_| there) {
        Some(handler) => {
            let trusted = if row.bool("lanpltrusted")? {
                "TRUSTED "
            } else {
                ""
            };
            let mut text = format!("CREATE {trusted}PROCEDURAL LANGUAGE {name} HANDLER {handler}");
            for (word, column) in [("INLINE", "inline"), ("VALIDATOR", "validator")] {
                if let Some(function) = row.opt(column)? {
                    let _ = write!(text, " {word} {function}");
                }
            }
            Ok(text)
        }
        // Its functions are not part of the backup: the server must bring the language itself.
        None => Ok(format!("CREATE OR REPLACE PROCEDURAL LANGUAGE {name}")),
    }
}
