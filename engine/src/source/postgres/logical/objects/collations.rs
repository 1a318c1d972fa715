//! Collations. Their version is left out: the target computes the one of its own library.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let locale = match reader.version / 10_000 {
        17.. => "c.colllocale",
        15 | 16 => "c.colliculocale",
        _ => "NULL",
    };
    let deterministic = reader.if_since(12, "c.collisdeterministic", "true");
    let rules = reader.if_since(16, "c.collicurules", "NULL");
    let query = format!(
        "SELECT c.oid, c.collname, c.collnamespace, c.collowner, c.collprovider, \
        {deterministic} AS deterministic, {locale} AS locale, {rules} AS rules, \
        nullif(c.collcollate::text, '') AS collate, nullif(c.collctype::text, '') AS ctype \
        FROM pg_catalog.pg_collation c WHERE c.oid >= {FIRST_NORMAL_OID} ORDER BY c.oid"
    );
    for row in reader.rows(&query).await? {
        collation(reader, out, &row)?;
    }
    Ok(())
}

fn collation(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::COLLATION, row.oid("oid")?);
    let schema = row.oid("collnamespace")?;
    let parts = reader.parts_in(place, schema);
    if !parts.definition {
        return Ok(());
    }
    let name = row.text("collname")?;
    let owner = Some(row.oid("collowner")?);
    let mut object = reader.object(ObjectKind::Collation, place, Some(schema), name, owner)?;
    let full = qualified(reader.schema(schema)?, name);
    let provider = match row.char("collprovider")? {
        'c' => "libc",
        'i' => "icu",
        'b' => "builtin",
        other => {
            let reason = format!("its provider {other:?} is not known; use a newer Backstay");
            reader.lost(ObjectKind::Collation, &full, reason);
            return Ok(());
        }
    };
    let mut options = vec![format!("provider = {provider}")];
    if !row.bool("deterministic")? {
        options.push("deterministic = false".to_owned());
    }
    let (locale, collate, ctype) = (row.opt("locale")?, row.opt("collate")?, row.opt("ctype")?);
    match (locale, collate, ctype) {
        (Some(locale), _, _) => options.push(format!("locale = {}", literal(locale))),
        (None, Some(collate), Some(ctype)) if collate != ctype => {
            options.push(format!("lc_collate = {}", literal(collate)));
            options.push(format!("lc_ctype = {}", literal(ctype)));
        }
        (None, collate, _) => {
            options.push(format!("locale = {}", literal(collate.unwrap_or_default())));
        }
    }
    if let Some(rules) = row.opt("rules")? {
        options.push(format!("rules = {}", literal(rules)));
    }
    object
        .create
        .push(format!("CREATE COLLATION {full} ({})", options.join(", ")));
    object.drop = format!("DROP COLLATION IF EXISTS {full}");
    reader.describe(&mut object, parts, "COLLATION", &full);
    reader.add(out, Draft::of(object));
    Ok(())
}
