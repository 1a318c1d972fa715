//! One module for each family of database objects: what it reads, and as which statements it
//! gives it back.

use super::draft::Collected;
use super::reader::Reader;
use crate::error::Result;

mod access_methods;
mod aggregates;
mod casts;
mod collations;
mod columns;
mod constraints;
mod conversions;
mod default_acls;
mod event_triggers;
mod extensions;
mod foreign;
mod functions;
mod indexes;
mod languages;
mod large_objects;
mod operators;
mod partitions;
mod policies;
mod publications;
mod relations;
mod rules;
mod schemas;
mod sequences;
mod statistics;
mod subscriptions;
mod tables;
mod text_search;
mod triggers;
mod types;
mod views;

/// What every family uses.
mod prelude {
    pub(super) use crate::error::Result;
    pub(super) use crate::source::postgres::logical::acl::Grants;
    pub(super) use crate::source::postgres::logical::catalog::{self, FIRST_NORMAL_OID};
    pub(super) use crate::source::postgres::logical::draft::{Collected, Draft, Part};
    pub(super) use crate::source::postgres::logical::object::{
        Newer, Object, ObjectKind, ObjectNumber,
    };
    pub(super) use crate::source::postgres::logical::quote::{self, ident, literal, qualified};
    pub(super) use crate::source::postgres::logical::reader::{Parts, Reader, Row};

    /// SQL for the quoted, qualified name of a collation, given an expression for its OID.
    pub(super) fn collation_name(oid: &str) -> String {
        format!(
            "(SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(k.collname) \
            FROM pg_catalog.pg_collation k JOIN pg_catalog.pg_namespace n ON n.oid = k.collnamespace \
            WHERE k.oid = {oid})"
        )
    }
}

/// Reads every object that belongs to the backup.
pub async fn read_all(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    extensions::read(reader, out).await?;
    schemas::read(reader, out).await?;
    types::read(reader, out).await?;
    functions::read(reader, out).await?;
    aggregates::read(reader, out).await?;
    operators::read(reader, out).await?;
    casts::read(reader, out).await?;
    languages::read(reader, out).await?;
    collations::read(reader, out).await?;
    conversions::read(reader, out).await?;
    text_search::read(reader, out).await?;
    access_methods::read(reader, out).await?;
    foreign::read(reader, out).await?;
    tables::read(reader, out).await?;
    default_acls::read(reader, out).await?;
    event_triggers::read(reader, out).await?;
    publications::read(reader, out).await?;
    subscriptions::read(reader, out).await?;
    Ok(())
}
