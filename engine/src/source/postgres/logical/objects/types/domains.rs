//! Domains. Their CHECK constraints lie in `CREATE DOMAIN` unless one of them needs something
//! that needs the domain.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::prelude::*;
use crate::source::postgres::logical::object::ObjectNumber;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = format!(
        "SELECT t.oid, t.typname, t.typnamespace, t.typowner, t.typacl, t.typarray, \
        pg_catalog.acldefault('T', t.typowner) AS acldefault, t.typnotnull, t.typdefault, \
        pg_catalog.format_type(t.typbasetype, t.typtypmod) AS base, \
        pg_catalog.pg_get_expr(t.typdefaultbin, 1247) AS typdefaultbin, \
        CASE WHEN t.typcollation <> u.typcollation THEN {} END AS collation \
        FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type u ON u.oid = t.typbasetype \
        LEFT JOIN pg_catalog.pg_init_privs i \
        ON i.classoid = 1247 AND i.objoid = t.oid AND i.objsubid = 0 \
        WHERE t.typtype = 'd' \
        AND (t.oid >= {FIRST_NORMAL_OID} OR t.typacl IS DISTINCT FROM i.initprivs) \
        ORDER BY t.oid",
        collation_name("t.typcollation")
    );
    let domains = reader.rows(&query).await?;
    let query = format!(
        "SELECT oid, contypid, conname, contype, convalidated, \
        pg_catalog.pg_get_constraintdef(oid) AS definition FROM pg_catalog.pg_constraint \
        WHERE contypid >= {FIRST_NORMAL_OID} ORDER BY contypid, conname"
    );
    let mut constraints: HashMap<u32, Vec<Row>> = HashMap::new();
    for row in reader.rows(&query).await? {
        constraints
            .entry(row.oid("contypid")?)
            .or_default()
            .push(row);
    }
    for row in domains {
        let of_domain = constraints.remove(&row.oid("oid")?).unwrap_or_default();
        domain(reader, out, &row, &of_domain)?;
    }
    Ok(())
}

fn domain(r: &Reader<'_>, out: &mut Collected, row: &Row, constraints: &[Row]) -> Result<()> {
    let schema = row.oid("typnamespace")?;
    let name = qualified(r.schema(schema)?, row.text("typname")?);
    let not_null = constraints
        .iter()
        .find(|c| c.char("contype").is_ok_and(|kind| kind == 'n'));
    let head = head(&name, row, not_null)?;
    let added = super::finish(r, out, row, "DOMAIN", |_, draft| {
        draft.object.create.push(head.clone());
        if let Some(constraint) = not_null {
            let place = catalog::row(catalog::CONSTRAINT, constraint.oid("oid")?);
            let words = format!(
                "CONSTRAINT {} ON DOMAIN",
                ident(constraint.text("conname")?)
            );
            r.describe_part(&mut draft.object, Parts::ALL, &words, &name, place, 0);
        }
        Ok(())
    })?;
    let Some(number) = added else { return Ok(()) };
    let place = catalog::row(catalog::TYPE, row.oid("oid")?);
    if !r.parts_in(place, schema).definition {
        return Ok(());
    }
    let mut inside = Vec::new();
    for constraint in constraints {
        let place = catalog::row(catalog::CONSTRAINT, constraint.oid("oid")?);
        if constraint.char("contype")? == 'n' {
            out.also(place, number);
            continue;
        }
        let constraint_name = constraint.text("conname")?;
        let text = format!(
            "CONSTRAINT {} {}",
            ident(constraint_name),
            constraint.text("definition")?
        );
        let mut object = r.object(
            ObjectKind::CheckConstraint,
            place,
            Some(schema),
            constraint_name,
            None,
        )?;
        object.of = Some(number);
        object
            .create
            .push(format!("ALTER DOMAIN {name} ADD {text}"));
        let constraint_name = ident(constraint_name);
        object.drop =
            format!("ALTER DOMAIN IF EXISTS {name} DROP CONSTRAINT IF EXISTS {constraint_name}");
        let words = format!("CONSTRAINT {constraint_name} ON DOMAIN");
        r.describe_part(&mut object, Parts::ALL, &words, &name, place, 0);
        let mut draft = Draft::of(object);
        draft.sort_key.push(row.text("typname")?.to_owned());
        draft.needs.push(number);
        // One that was never checked against the rows cannot be written in CREATE DOMAIN.
        if constraint.bool("convalidated")? {
            draft.part = Part::Inside(number);
            inside.push((out.add(draft), text));
        } else {
            out.add(draft);
        }
    }
    if let Some(draft) = out.draft_mut(number) {
        draft.assemble = Some(Box::new(move |object, is_separate| {
            let kept = |(check, _): &&(ObjectNumber, String)| !is_separate(*check);
            let texts = inside
                .iter()
                .filter(kept)
                .map(|(_, text)| format!("\n    {text}"));
            object.create = vec![head + &texts.collect::<String>()];
        }));
    }
    Ok(())
}

/// `CREATE DOMAIN …` up to the CHECK constraints. NOT NULL has a name of its own from 17 on.
fn head(name: &str, row: &Row, not_null: Option<&Row>) -> Result<String> {
    let mut head = format!("CREATE DOMAIN {name} AS {}", row.text("base")?);
    if let Some(collation) = row.opt("collation")? {
        let _ = write!(head, " COLLATE {collation}");
    }
    if row.bool("typnotnull")? {
        if let Some(constraint) = not_null {
            let _ = write!(head, " CONSTRAINT {}", ident(constraint.text("conname")?));
        }
        head.push_str(" NOT NULL");
    }
    match (row.opt("typdefaultbin")?, row.opt("typdefault")?) {
        (Some(expression), _) => {
            let _ = write!(head, " DEFAULT {expression}");
        }
        (None, Some(text)) => {
            let _ = write!(head, " DEFAULT {}", literal(text));
        }
        (None, None) => {}
    }
    Ok(head)
}
