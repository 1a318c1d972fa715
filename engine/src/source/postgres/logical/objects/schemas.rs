//! Schemas. `public` is there in every new database, so only what was changed of it is kept.

use crate::error::Result;
use crate::source::postgres::logical::acl::Grants;
use crate::source::postgres::logical::catalog;
use crate::source::postgres::logical::draft::{Collected, Draft};
use crate::source::postgres::logical::object::ObjectKind;
use crate::source::postgres::logical::quote::{ident, literal};
use crate::source::postgres::logical::reader::{Reader, Row};

/// `pg_database_owner`, who owns `public` from 15 on.
const DATABASE_OWNER: u32 = 6171;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT oid, nspname, nspowner, nspacl, \
        pg_catalog.acldefault('n', nspowner) AS acldefault \
        FROM pg_catalog.pg_namespace ORDER BY nspname";
    for row in reader.rows(query).await? {
        schema(reader, out, &row)?;
    }
    Ok(())
}

fn schema(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let oid = row.oid("oid")?;
    let name = row.text("nspname")?;
    let owner = row.oid("nspowner")?;
    let Some(mut parts) = reader.schemas.get(&oid).map(|facts| facts.parts) else {
        return Ok(());
    };
    let place = catalog::row(catalog::NAMESPACE, oid);
    let public = name == "public";
    let quoted = ident(name);
    if public && owner == DATABASE_OWNER {
        parts.definition = false;
    }
    let mut object = reader.object(ObjectKind::Schema, place, None, name, Some(owner))?;
    let acl = row.opt("nspacl")?;
    let default = row.text("acldefault")?;
    let mut grants = Grants {
        keyword: "SCHEMA",
        name: &quoted,
        acl,
        default,
        ..Grants::default()
    };
    if !public {
        if parts.definition {
            object.create.push(format!("CREATE SCHEMA {quoted}"));
            object.drop = format!("DROP SCHEMA IF EXISTS {quoted}");
        }
        reader.describe(&mut object, parts, "SCHEMA", &quoted);
        reader.grant(&mut object, parts, grants)?;
        reader.add(out, Draft::of(object));
        return Ok(());
    }
    reader.describe(&mut object, parts, "SCHEMA", &quoted);
    // initdb's own comment needs no statement, its absence does.
    if parts.comments {
        match reader.comment_of(place, 0) {
            Some("standard public schema") => object.attachments.comments.clear(),
            None => {
                let statement = format!("COMMENT ON SCHEMA {quoted} IS {}", literal(""));
                object.attachments.comments.push(statement);
            }
            Some(_) => {}
        }
    }
    // A new database starts with what is standard since 15, by whomever the schema is owned.
    let role = aclitem_name(&reader.role(owner));
    let initial = format!(
        "{{{},{}}}",
        element(&format!("{role}=UC/{role}")),
        element(&format!("=U/{role}"))
    );
    grants.initial = Some(&initial);
    reader.grant(&mut object, parts, grants)?;
    reader.add(out, Draft::of(object));
    Ok(())
}

/// A role's name as it stands in an `aclitem`.
fn aclitem_name(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A text as an array's element.
fn element(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
