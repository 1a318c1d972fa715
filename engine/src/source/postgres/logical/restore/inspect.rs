//! What the target of a restore is and has: asked before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use super::databases::UNFINISHED;
use super::maker::ends_the_session;
use crate::error::Result;
use crate::source::postgres::logical::quote::literal;
use crate::source::postgres::session::Sql;
use crate::source::postgres::target::Target;

/// The first OID that is not the server's own.
const FIRST_NORMAL_OID: u32 = 16_384;

/// A server as a restore sees it.
#[derive(Clone, Debug, Default)]
pub struct ServerState {
    /// `server_version_num`.
    pub version: u32,
    /// `server_version`.
    pub version_text: String,
    /// Databases, templates included.
    pub databases: BTreeSet<String>,
    /// Databases that a restore has begun and not finished.
    pub unfinished: BTreeSet<String>,
    /// Roles.
    pub roles: BTreeSet<String>,
    /// Tablespaces.
    pub tablespaces: BTreeSet<String>,
    /// Extensions that can be created; `None` where the server cannot say.
    pub extensions: Option<BTreeSet<String>>,
    /// Whether our role may create databases.
    pub may_create_databases: bool,
    /// Whether our role is a superuser.
    pub is_superuser: bool,
    /// The role we are.
    pub role: String,
}

/// Asks the server about itself.
pub async fn server(sql: &Sql) -> Result<ServerState> {
    let me = sql
        .row(
            "SELECT r.rolname, r.rolsuper, r.rolcreatedb, \
             pg_catalog.current_setting('server_version') AS server_version \
             FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER",
        )
        .await?;
    let mut state = ServerState {
        version: sql.version(),
        version_text: me.string("server_version")?,
        is_superuser: me.bool("rolsuper")?,
        may_create_databases: me.bool("rolsuper")? || me.bool("rolcreatedb")?,
        role: me.string("rolname")?,
        ..ServerState::default()
    };
    state.databases = names(sql, "SELECT datname AS name FROM pg_catalog.pg_database").await?;
    let marked = format!(
        "SELECT datname AS name FROM pg_catalog.pg_database \
         WHERE pg_catalog.shobj_description(oid, 'pg_database') LIKE {}",
        literal(&format!("{UNFINISHED}%"))
    );
    state.unfinished = names(sql, &marked).await?;
    state.roles = names(sql, "SELECT rolname AS name FROM pg_catalog.pg_roles").await?;
    state.tablespaces = names(sql, "SELECT spcname AS name FROM pg_catalog.pg_tablespace").await?;
    state.extensions = extensions(sql).await?;
    Ok(state)
}

/// The extensions that a server offers; `None` where one of its files is broken, which makes the
/// server refuse to list any.
async fn extensions(sql: &Sql) -> Result<Option<BTreeSet<String>>> {
    match names(sql, "SELECT name FROM pg_catalog.pg_available_extensions").await {
        Ok(names) => Ok(Some(names)),
        Err(error) if ends_the_session(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

async fn names(sql: &Sql, query: &str) -> Result<BTreeSet<String>> {
    sql.rows(query)
        .await?
        .iter()
        .map(|row| row.string("name"))
        .collect()
}

/// How large a relation is, as far as the server counted it last; see `pg_class`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationSize {
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes, without indexes and long values.
    pub bytes: Option<u64>,
}

/// A database as a restore into it sees it.
#[derive(Clone, Debug, Default)]
pub struct DatabaseState {
    /// Relations that no extension owns, `(schema, name)`.
    pub relations: BTreeMap<(String, String), RelationSize>,
    /// Schemas that are not the server's own.
    pub schemas: BTreeSet<String>,
    /// Whether it holds anything a user made.
    pub is_empty: bool,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Name of its encoding.
    pub encoding: String,
}

/// Asks a database what it holds.
pub async fn database(target: &Target, name: &str) -> Result<DatabaseState> {
    let sql = target.sql(name).await?;
    let own = |class: &str, oid: &str| {
        format!(
            "{oid} >= {FIRST_NORMAL_OID} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
             WHERE e.classid = 'pg_catalog.{class}'::pg_catalog.regclass AND e.objid = {oid} \
             AND e.deptype = 'e')"
        )
    };
    let spaces = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    let relations = sql
        .rows(&format!(
            "SELECT n.nspname, c.relname, \
               CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint END AS rows, \
               CASE WHEN c.relpages > 0 THEN c.relpages::bigint \
                 * pg_catalog.current_setting('block_size')::bigint END AS bytes \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {spaces} AND {}",
            own("pg_class", "c.oid")
        ))
        .await?;
    let mut state = DatabaseState::default();
    for row in &relations {
        let size = RelationSize {
            rows: row.opt_parse("rows")?,
            bytes: row.opt_parse("bytes")?,
        };
        let place = (row.string("nspname")?, row.string("relname")?);
        state.relations.insert(place, size);
    }
    let schemas = format!("SELECT n.nspname AS name FROM pg_catalog.pg_namespace n WHERE {spaces}");
    state.schemas = names(&sql, &schemas).await?;
    let mut others = Vec::new();
    for (class, space) in [
        ("pg_proc", "pronamespace"),
        ("pg_type", "typnamespace"),
        ("pg_operator", "oprnamespace"),
        ("pg_collation", "collnamespace"),
        ("pg_ts_config", "cfgnamespace"),
    ] {
        others.push(format!(
            "EXISTS (SELECT FROM pg_catalog.{class} o JOIN pg_catalog.pg_namespace n \
             ON n.oid = o.{space} WHERE {spaces} AND {})",
            own(class, "o.oid")
        ));
    }
    others.push(format!(
        "EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE {spaces} AND {})",
        own("pg_namespace", "n.oid")
    ));
    others.push(format!(
        "EXISTS (SELECT FROM pg_catalog.pg_extension WHERE oid >= {FIRST_NORMAL_OID})"
    ));
    others.push("EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)".to_owned());
    let row = sql
        .row(&format!(
            "SELECT {} AS holds, pg_catalog.pg_database_size({}) AS size_bytes, \
             pg_catalog.getdatabaseencoding() AS encoding",
            others.join(" OR "),
            literal(name)
        ))
        .await?;
    state.is_empty = state.relations.is_empty() && !row.bool("holds")?;
    state.size_bytes = row.parse("size_bytes")?;
    state.encoding = row.string("encoding")?;
    Ok(state)
}
