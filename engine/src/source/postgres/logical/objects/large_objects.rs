//! Large objects without their bytes: that they exist, whose they are, who may use them.
//!
//! A database may hold millions. They are read a page at a time, and those of a page that share
//! owner and privileges become one object, whose statements name the OIDs once.

use std::collections::BTreeMap;

use super::super::acl::{self, Grants};
use super::super::catalog;
use super::super::draft::{Collected, Draft};
use super::super::object::{Object, ObjectKind};
use super::super::quote::{dollar, ident, literal};
use super::super::reader::{Parts, Reader};
use crate::error::Result;

/// How many large objects are read, and at most grouped, at a time.
const PAGE: usize = 10_000;

/// Stands for the OID in a statement that is made once for many.
const PLACEHOLDER: &str = "\u{1}";

/// Adds all large objects of the database.
pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    if !reader.whole {
        return Ok(());
    }
    let mut last = 0;
    loop {
        let query = format!(
            "SELECT oid, lomowner, lomacl, pg_catalog.acldefault('L', lomowner) AS acl_default \
             FROM pg_catalog.pg_largeobject_metadata WHERE oid > {last} ORDER BY oid LIMIT {PAGE}"
        );
        let mut groups: BTreeMap<(u32, Option<String>), (String, Vec<u32>)> = BTreeMap::new();
        let rows = reader.rows(&query).await?;
        for row in &rows {
            last = row.oid("oid")?;
            let key = (row.oid("lomowner")?, row.opt_string("lomacl")?);
            let default = row.text("acl_default")?;
            let group = groups
                .entry(key)
                .or_insert_with(|| (default.to_owned(), Vec::new()));
            group.1.push(last);
        }
        for ((owner, acl), (default, oids)) in groups {
            let object = group(reader, owner, acl.as_deref(), &default, &oids)?;
            out.add(Draft::of(object));
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

fn group(
    reader: &Reader<'_>,
    owner: u32,
    acl: Option<&str>,
    default: &str,
    oids: &[u32],
) -> Result<Object> {
    let (first, last) = match oids {
        [only] => (*only, *only),
        [first, .., last] => (*first, *last),
        [] => (0, 0),
    };
    let name = if first == last {
        first.to_string()
    } else {
        format!("{first}..{last}")
    };
    let row = catalog::row(catalog::LARGE_OBJECT, first);
    let mut object = reader.object(ObjectKind::LargeObject, row, None, &name, Some(owner))?;
    object.row = None;
    let texts: Vec<String> = oids.iter().map(u32::to_string).collect();
    let array = format!("'{{{}}}'::pg_catalog.oid[]", texts.join(","));
    object.create = vec![format!(
        "SELECT pg_catalog.lo_create(l.oid) FROM pg_catalog.unnest({array}) AS l(oid)"
    )];
    if let Some(role) = &object.owner {
        let alter = format!("ALTER LARGE OBJECT {PLACEHOLDER} OWNER TO {}", ident(role));
        object.attachments.owner = vec![for_each(&alter, oids, &array)];
    }
    let grants = acl::privileges(&Grants {
        keyword: "LARGE OBJECT",
        name: PLACEHOLDER,
        owner: object.owner.as_deref().unwrap_or_default(),
        acl,
        default,
        ..Grants::default()
    })?;
    let grants = grants.iter().map(|grant| for_each(grant, oids, &array));
    object.attachments.privileges = grants.collect();
    for &oid in oids {
        let row = catalog::row(catalog::LARGE_OBJECT, oid);
        let name = oid.to_string();
        reader.describe_part(&mut object, Parts::ALL, "LARGE OBJECT", &name, row, 0);
    }
    Ok(object)
}

/// A statement for one large object, or a block that runs it for many.
fn for_each(statement: &str, oids: &[u32], array: &str) -> String {
    match (statement.split_once(PLACEHOLDER), oids) {
        (Some((before, after)), [only]) => format!("{before}{only}{after}"),
        (Some((before, after)), _) => {
            let body = format!(
                "DECLARE l pg_catalog.oid; BEGIN FOREACH l IN ARRAY {array} LOOP \
                 EXECUTE {} || l || {}; END LOOP; END",
                literal(before),
                literal(after)
            );
            format!("DO {}", dollar(&body))
        }
        (None, _) => statement.to_owned(),
    }
}
