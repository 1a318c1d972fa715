//! Casts and transforms.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    casts(reader, out).await?;
    transforms(reader, out).await
}

async fn casts(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    // The cast of a range to its multirange comes with the range.
    let own = reader.if_since(
        14,
        "AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_range r \
        WHERE r.rngtypid = c.castsource AND r.rngmultitypid = c.casttarget)",
        "",
    );
    let query = format!(
        "SELECT c.oid, pg_catalog.format_type(c.castsource, NULL) AS source, \
        pg_catalog.format_type(c.casttarget, NULL) AS target, c.castcontext, c.castmethod, \
        CASE WHEN c.castfunc <> 0 THEN c.castfunc::pg_catalog.regprocedure END AS function \
        FROM pg_catalog.pg_cast c WHERE c.oid >= {FIRST_NORMAL_OID} {own} ORDER BY c.oid"
    );
    for row in reader.rows(&query).await? {
        let place = catalog::row(catalog::CAST, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if !parts.definition {
            continue;
        }
        let name = format!("({} AS {})", row.text("source")?, row.text("target")?);
        let mut object = reader.object(ObjectKind::Cast, place, None, &name, None)?;
        let how = match (row.char("castmethod")?, row.opt("function")?) {
            ('f', Some(function)) => format!("WITH FUNCTION {function}"),
            ('i', _) => "WITH INOUT".to_owned(),
            ('b', _) => "WITHOUT FUNCTION".to_owned(),
            (method, _) => {
                let reason =
                    format!("casts of method {method:?} are not known; use a newer Backstay");
                reader.lost(ObjectKind::Cast, &name, reason);
                continue;
            }
        };
        let context = match row.char("castcontext")? {
            'a' => " AS ASSIGNMENT",
            'i' => " AS IMPLICIT",
            _ => "",
        };
        object
            .create
            .push(format!("CREATE CAST {name} {how}{context}"));
        object.drop = format!("DROP CAST IF EXISTS {name}");
        reader.describe(&mut object, parts, "CAST", &name);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}

async fn transforms(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT t.oid, pg_catalog.format_type(t.trftype, NULL) AS type, l.lanname, \
        CASE WHEN t.trffromsql <> 0 THEN t.trffromsql::pg_catalog.regprocedure END AS from_sql, \
        CASE WHEN t.trftosql <> 0 THEN t.trftosql::pg_catalog.regprocedure END AS to_sql \
        FROM pg_catalog.pg_transform t JOIN pg_catalog.pg_language l ON l.oid = t.trflang \
        ORDER BY t.oid";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::TRANSFORM, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if !parts.definition {
            continue;
        }
        let name = format!(
            "FOR {} LANGUAGE {}",
            row.text("type")?,
            ident(row.text("lanname")?)
        );
        let mut object = reader.object(ObjectKind::Transform, place, None, &name, None)?;
        let mut list = Vec::new();
        for (words, column) in [("FROM SQL", "from_sql"), ("TO SQL", "to_sql")] {
            if let Some(function) = row.opt(column)? {
                list.push(format!("{words} WITH FUNCTION {function}"));
            }
        }
        object
            .create
            .push(format!("CREATE TRANSFORM {name} ({})", list.join(", ")));
        object.drop = format!("DROP TRANSFORM IF EXISTS {name}");
        reader.describe(&mut object, parts, "TRANSFORM", &name);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}
