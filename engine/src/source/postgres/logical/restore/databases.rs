//! Making, emptying, renaming and dropping whole databases.

use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::monitor::Loss;
use crate::source::postgres::logical::quote::{ident, literal};
use crate::source::postgres::session::Sql;
use crate::source::postgres::target::Target;

/// A role or a database may be read-only unless told otherwise.
pub const WRITABLE: &str = "SET default_transaction_read_only = off";

/// What the comment of a database begins with until its restore is finished.
pub const UNFINISHED: &str = "Backstay: unfinished restore";

/// How often a rename or drop is tried while sessions go away.
const TRIES_MAX: u32 = 20;
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(250);

/// A session for work on the whole server that is not in `database`, which may then be renamed.
pub async fn admin(target: &Target, database: &str) -> Result<Sql> {
    let mut last = None;
    for name in target.maintenance_databases() {
        if name == database {
            continue;
        }
        match target.sql(&name).await {
            Ok(sql) => {
                sql.run(WRITABLE).await?;
                return Ok(sql);
            }
            Err(error) if matches!(error.sqlstate(), Some("3D000" | "42501" | "55000")) => {
                last = last.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::internal("No database was tried")))
}

/// Drops a database with whoever uses it; none is no error.
pub async fn drop_database(admin: &Sql, name: &str) -> Result<()> {
    retried(
        admin,
        name,
        &format!("DROP DATABASE IF EXISTS {}", ident(name)),
    )
    .await
}

/// Renames a database after ending every session in it.
pub async fn rename(admin: &Sql, from: &str, to: &str) -> Result<()> {
    let statement = format!("ALTER DATABASE {} RENAME TO {}", ident(from), ident(to));
    retried(admin, from, &statement).await
}

/// Lets sessions in, or keeps them out.
pub async fn allow_connections(admin: &Sql, name: &str, allow: bool) -> Result<()> {
    let statement = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allow}", ident(name));
    admin.run(&statement).await.map(drop)
}

async fn retried(admin: &Sql, name: &str, statement: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        end_sessions(admin, name).await?;
        match admin.run(statement).await {
            Ok(_) => return Ok(()),
            // Somebody is still there, or came back.
            Err(error) if error.sqlstate() == Some("55006") && tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.context(format!("database \"{name}\""))),
        }
    }
}

/// Other sessions in a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// How many our role may end.
    pub ours_to_end: u64,
    /// How many it may not.
    pub out_of_reach: u64,
}

/// Whether our role may end the session `a` of the role `r`.
const MAY_END: &str = "(pg_catalog.pg_has_role(r.oid, 'MEMBER') AND (NOT r.rolsuper OR \
    (SELECT me.rolsuper FROM pg_catalog.pg_roles me WHERE me.rolname = CURRENT_USER)))";

fn other_sessions(name: &str) -> String {
    format!(
        "FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid \
         WHERE a.datname = {} AND a.pid <> pg_catalog.pg_backend_pid()",
        literal(name)
    )
}

/// Counts the other sessions in a database.
pub async fn sessions(admin: &Sql, name: &str) -> Result<Sessions> {
    let query = format!(
        "SELECT pg_catalog.count(*) FILTER (WHERE {MAY_END}) AS ours, \
         pg_catalog.count(*) FILTER (WHERE NOT {MAY_END}) AS others {}",
        other_sessions(name)
    );
    let row = admin.row(&query).await?;
    Ok(Sessions {
        ours_to_end: row.parse("ours")?,
        out_of_reach: row.parse("others")?,
    })
}

/// Ends every other session in a database, as far as our role may.
async fn end_sessions(admin: &Sql, name: &str) -> Result<()> {
    let others = other_sessions(name);
    admin
        .run(&format!(
            "SELECT pg_catalog.pg_terminate_backend(a.pid) {others} AND {MAY_END}"
        ))
        .await
        .map(drop)
}

/// Gives `new` the name of `old`, which is kept as `kept`. Where the second step fails the first
/// is undone, so that `old` is where it was.
pub async fn swap(admin: &Sql, old: &str, new: &str, kept: &str) -> Result<()> {
    let allowed = admin
        .row(&format!(
            "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = {}",
            literal(old)
        ))
        .await?
        .bool("datallowconn")?;
    // Nobody may slip in between the two renames.
    allow_connections(admin, old, false).await?;
    if let Err(error) = rename(admin, old, kept).await {
        allow_connections(admin, old, allowed).await?;
        return Err(error);
    }
    if let Err(error) = rename(admin, new, old).await {
        let undone = match rename(admin, kept, old).await {
            Ok(()) => allow_connections(admin, old, allowed).await,
            Err(undo) => Err(undo),
        };
        return Err(match undone {
            Ok(()) => error,
            Err(undo) => Error::new(
                Code::Conflict,
                format!(
                    "Database \"{old}\" is now called \"{kept}\" and could not be named back: {}",
                    undo.report()
                ),
            )
            .hint(format!(
                "ALTER DATABASE {} RENAME TO {}",
                ident(kept),
                ident(old)
            ))
            .because(error),
        });
    }
    allow_connections(admin, kept, allowed).await
}

/// Drops everything a user made in the database that `sql` is in.
pub async fn empty(sql: &Sql, losses: &mut Vec<Loss>) -> Result<()> {
    sql.run(WRITABLE).await?;
    for query in [
        "SELECT pg_catalog.format('DROP EVENT TRIGGER %I', evtname) AS drop FROM pg_catalog.pg_event_trigger",
        "SELECT pg_catalog.format('DROP PUBLICATION %I', pubname) AS drop FROM pg_catalog.pg_publication",
        "SELECT pg_catalog.format('DROP EXTENSION %I CASCADE', extname) AS drop \
         FROM pg_catalog.pg_extension WHERE oid >= 16384",
        "SELECT pg_catalog.format('DROP SCHEMA %I CASCADE', nspname) AS drop \
         FROM pg_catalog.pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_(temp|toast)'",
        // `public` itself stays: it came with the database and so did its first privileges.
        "SELECT pg_catalog.format('DROP %s IF EXISTS %s CASCADE', \
           CASE i.type WHEN 'composite type' THEN 'type' WHEN 'statistics object' THEN 'statistics' \
             ELSE i.type END, i.identity) AS drop \
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid, \
           LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i \
         WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'n' \
           AND n.nspname = 'public' AND d.objsubid = 0 AND d.objid >= 16384 \
           AND i.type <> 'default acl'",
        "SELECT pg_catalog.format('DROP FOREIGN DATA WRAPPER %I CASCADE', fdwname) AS drop \
         FROM pg_catalog.pg_foreign_data_wrapper WHERE oid >= 16384",
        "SELECT pg_catalog.format('DROP CAST (%s AS %s)', pg_catalog.format_type(castsource, NULL), \
           pg_catalog.format_type(casttarget, NULL)) AS drop FROM pg_catalog.pg_cast WHERE oid >= 16384",
        "SELECT pg_catalog.format('DROP LANGUAGE %I CASCADE', lanname) AS drop \
         FROM pg_catalog.pg_language WHERE oid >= 16384",
        "SELECT pg_catalog.format('DROP ACCESS METHOD %I CASCADE', amname) AS drop \
         FROM pg_catalog.pg_am WHERE oid >= 16384",
        "SELECT pg_catalog.format('SELECT pg_catalog.lo_unlink(%s)', oid) AS drop \
         FROM pg_catalog.pg_largeobject_metadata",
    ] {
        for row in sql.rows(query).await? {
            let statement = row.string("drop")?;
            match sql.run(&statement).await {
                Ok(_) => {}
                // CASCADE took it along.
                Err(error)
                    if matches!(
                        error.sqlstate(),
                        Some("42704" | "42883" | "42P01" | "3F000")
                    ) => {}
                Err(error) => super::maker::lose(&format!("emptying: {statement}"), error, losses)?,
            }
        }
    }
    Ok(())
}
