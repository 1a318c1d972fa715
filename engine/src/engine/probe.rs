//! Trying a server: can we get in, what is it, may we read everything.

use std::time::Duration;

use chrono::TimeDelta;

use crate::error::{Code, Error, Result};
use crate::model::{ConnectionTest, Fact};
use crate::source::postgres::logical::large_objects;
use crate::source::postgres::logical::quote::literal;
use crate::source::postgres::{Sql, Target};
use crate::units;

/// Versions that are known, as `server_version_num`.
const OLDEST: u32 = 100_000;
const NEWEST: u32 = 189_999;

/// What was found on a server that let us in.
pub(super) struct Probe {
    /// What to answer.
    pub(super) test: ConnectionTest,
    /// Databases, for a first discovery.
    pub(super) databases: Vec<Found>,
    /// How far the server's clock is ahead of ours.
    pub(super) skew: TimeDelta,
}

/// A database as the server lists it.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) owner: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) size_bytes: Option<u64>,
}

/// Goes in and looks around.
pub(super) async fn probe(target: &Target, clock: &crate::clock::SharedClock) -> Result<Probe> {
    let begun = clock.boot();
    let sql = target.maintenance().await?;
    let latency = clock.boot().saturating_sub(begun);
    check_version(&sql).await?;
    named_database_exists(target, &sql).await?;
    let databases = databases(&sql).await?;
    let test = look_around(&sql, latency, &databases).await?;
    let skew = skew(&sql, clock).await?;
    Ok(Probe {
        test,
        databases,
        skew,
    })
}

/// How far the server's clock is ahead of ours; asking takes a moment, of which half is taken off.
async fn skew(sql: &Sql, clock: &crate::clock::SharedClock) -> Result<TimeDelta> {
    let (asked, begun) = (clock.now(), clock.boot());
    let query = "SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) AS now";
    let row = sql.row(query).await?;
    let half = clock.boot().saturating_sub(begun).as_secs_f64() / 2.0;
    let theirs: f64 = row.text("now")?.parse().unwrap_or_default();
    let ours = asked.timestamp_micros() as f64 / 1e6 + half;
    Ok(TimeDelta::milliseconds(((theirs - ours) * 1000.0) as i64))
}

/// A database that the URL names must be there, though another one may have let us in.
async fn named_database_exists(target: &Target, sql: &Sql) -> Result<()> {
    let named = target.database.as_deref();
    let Some(name) = named.filter(|name| *name != sql.database()) else {
        return Ok(());
    };
    let query = format!(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}",
        literal(name)
    );
    if sql.maybe_row(&query).await?.is_some() {
        return Ok(());
    }
    Err(Error::new(
        Code::DatabaseNotFound,
        format!("There is no database \"{name}\" at {}", target.place()),
    )
    .hint("Name another one in the URL, or leave the name out to reach the whole server"))
}

/// What a failed try answers where that is no error.
pub(super) fn failed_test(error: &Error) -> ConnectionTest {
    ConnectionTest {
        ok: false,
        message: error.report(),
        hint: error.hint_text().map(ToOwned::to_owned),
        code: Some(error.code().name().to_owned()),
        latency_ms: None,
        server_version: None,
        server_version_num: None,
        tls: None,
        facts: Vec::new(),
        warnings: Vec::new(),
    }
}

async fn check_version(sql: &Sql) -> Result<()> {
    if (OLDEST..=NEWEST).contains(&sql.version()) {
        return Ok(());
    }
    let row = sql
        .row("SELECT pg_catalog.current_setting('server_version') AS version")
        .await?;
    Err(Error::new(
        Code::SourceVersion,
        format!("The server runs PostgreSQL {}", row.text("version")?),
    )
    .hint("This version of Backstay knows 10 to 18"))
}

/// The databases that allow connections, with sizes where we may know them.
pub(super) async fn databases(sql: &Sql) -> Result<Vec<Found>> {
    let rows = sql
        .rows(
            "SELECT d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner, \
             pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, \
             CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') \
                  THEN pg_catalog.pg_database_size(d.oid) END AS size \
             FROM pg_catalog.pg_database d \
             WHERE d.datallowconn AND NOT d.datistemplate ORDER BY 1",
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Found {
                name: row.text("name")?.to_owned(),
                owner: row.opt("owner")?.map(ToOwned::to_owned),
                encoding: row.opt("encoding")?.map(ToOwned::to_owned),
                size_bytes: row.opt("size")?.and_then(|size| size.parse().ok()),
            })
        })
        .collect()
}

async fn look_around(sql: &Sql, latency: Duration, databases: &[Found]) -> Result<ConnectionTest> {
    let reads_all = if sql.version() >= 140_000 {
        "pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')"
    } else {
        "false"
    };
    let row = sql
        .row(&format!(
            "SELECT pg_catalog.current_setting('server_version') AS version, current_user AS role, \
             r.rolsuper AS super, r.rolbypassrls AS bypass, r.rolcreatedb AS createdb, \
             {reads_all} AS reads_all, pg_catalog.pg_is_in_recovery() AS standby, \
             pg_catalog.current_setting('max_connections') AS connections \
             FROM pg_catalog.pg_roles r WHERE r.rolname = current_user"
        ))
        .await?;
    let version = row.text("version")?.to_owned();
    let (superuser, reads_all) = (row.bool("super")?, row.bool("reads_all")?);
    let total: u64 = databases.iter().filter_map(|found| found.size_bytes).sum();
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let facts = [
        ("server", format!("PostgreSQL {version}")),
        ("role", row.text("role")?.to_owned()),
        ("superuser", yes(superuser)),
        ("encrypted", yes(sql.encrypted())),
        ("standby", yes(row.bool("standby")?)),
        ("max_connections", row.text("connections")?.to_owned()),
        ("databases", databases.len().to_string()),
        ("size", units::format_bytes(total)),
    ];
    let mut warnings = Vec::new();
    if !superuser && !reads_all {
        warnings.push(
            "The role may not read every table; a backup needs SELECT on all it takes".to_owned(),
        );
    }
    if !superuser && !row.bool("bypass")? {
        warnings.push(
            "The role does not bypass row security; tables with policies are refused".to_owned(),
        );
    }
    let unreadable = large_objects::unreadable(sql).await?;
    if !unreadable.is_empty() {
        warnings.push(format!(
            "The role may not read these large objects of database {}: {}; a backup of it would be \
             partial",
            sql.database(),
            large_objects::named(&unreadable)
        ));
    }
    if !superuser && !row.bool("createdb")? {
        warnings.push("The role may not create databases, which a restore needs".to_owned());
    }
    Ok(ConnectionTest {
        ok: true,
        message: format!("PostgreSQL {version} let us in"),
        hint: None,
        code: None,
        latency_ms: Some(latency.as_millis() as u64),
        server_version: Some(version),
        server_version_num: Some(sql.version()),
        tls: Some(sql.encrypted()),
        facts: facts
            .into_iter()
            .map(|(name, value)| Fact {
                name: name.to_owned(),
                value,
            })
            .collect(),
        warnings,
    })
}
