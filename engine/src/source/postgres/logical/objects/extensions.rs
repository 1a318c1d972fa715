//! Extensions. No version is named: the target gets the one its server offers.

use crate::error::Result;
use crate::source::postgres::logical::catalog::{self, FIRST_NORMAL_OID};
use crate::source::postgres::logical::draft::{Collected, Draft};
use crate::source::postgres::logical::object::ObjectKind;
use crate::source::postgres::logical::quote::ident;
use crate::source::postgres::logical::reader::{Parts, Reader};

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT x.oid, x.extname, n.nspname FROM pg_catalog.pg_extension x \
        JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace ORDER BY x.extname";
    for row in reader.rows(query).await? {
        let oid = row.oid("oid")?;
        if oid < FIRST_NORMAL_OID {
            continue;
        }
        let name = row.text("extname")?;
        let quoted = ident(name);
        let place = catalog::row(catalog::EXTENSION, oid);
        let mut object = reader.object(ObjectKind::Extension, place, None, name, None)?;
        let schema = ident(row.text("nspname")?);
        object.create.push(format!(
            "CREATE EXTENSION IF NOT EXISTS {quoted} WITH SCHEMA {schema}"
        ));
        object.drop = format!("DROP EXTENSION IF EXISTS {quoted}");
        reader.describe(&mut object, Parts::ALL, "EXTENSION", &quoted);
        let number = out.add(Draft::of(object));
        let members = reader
            .members
            .iter()
            .filter(|(_, extension)| **extension == oid);
        for (member, _) in members {
            out.member(*member, number);
        }
    }
    Ok(())
}
