//! What belongs to the whole server: roles, their memberships, settings and privileges on
//! parameters, tablespaces. What a database has of its own is read with that database.

mod memberships;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::acl::{self, Grants};
use super::quote::{self, ident, literal, storage_parameters};
use crate::error::Result;
use crate::monitor::{Level, Task};
use crate::source::postgres::{Row, Sql};

/// One thing that belongs to the whole server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// `role`, `tablespace`, `setting`, `membership` or `parameter`.
    pub kind: String,
    /// Its name as a person would look for it, unquoted.
    pub name: String,
    /// Statements that make it, to be run one by one outside a transaction. When the first says
    /// that it exists already, the others are not meant to change it.
    pub create: Vec<String>,
}

impl Global {
    fn new(kind: &str, name: &str, create: Vec<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            create,
        }
    }
}

/// Reads everything global, in an order in which it can be made. The session may be in any
/// database. Without the right to read passwords they are left out, and the task is told.
pub async fn read(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    let mut globals = roles(sql, task).await?;
    globals.extend(tablespaces(sql, task).await?);
    globals.extend(settings(sql, task).await?);
    globals.extend(memberships::read(sql, task).await?);
    if sql.version() >= 150_000 {
        globals.extend(parameters(sql, task).await?);
    }
    Ok(globals)
}

async fn rows(sql: &Sql, task: &Task, query: &str) -> Result<Vec<Row>> {
    task.or_cancelled(sql.rows(query)).await
}

async fn roles(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    let may = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may";
    let may = rows(sql, task, may).await?;
    let with_passwords = may
        .first()
        .is_some_and(|row| row.bool("may").unwrap_or(false));
    let (source, password) = if with_passwords {
        ("pg_authid", "r.rolpassword")
    } else {
        ("pg_roles", "NULL")
    };
    if !with_passwords {
        let text = "The backup role may not read the passwords of roles; they are not in this \
            backup. Back up as a superuser to save them.";
        task.monitor.note(Level::Warning, text);
    }
    let query = format!(
        "SELECT r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, \
        r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil, \
        {password} AS password, pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment \
        FROM pg_catalog.{source} r WHERE r.rolname !~ '^pg_' ORDER BY r.rolname"
    );
    let mut roles = Vec::new();
    for row in rows(sql, task, &query).await? {
        let name = row.text("rolname")?;
        let mut create = role(&row)?;
        create.extend(labels(sql, task, 1260, &row, "ROLE", name).await?);
        roles.push(Global::new("role", name, create));
    }
    Ok(roles)
}

fn role(row: &Row) -> Result<Vec<String>> {
    let quoted = ident(row.text("rolname")?);
    let mut alter = format!("ALTER ROLE {quoted} WITH");
    for (column, word) in [
        ("rolsuper", "SUPERUSER"),
        ("rolinherit", "INHERIT"),
        ("rolcreaterole", "CREATEROLE"),
        ("rolcreatedb", "CREATEDB"),
        ("rolcanlogin", "LOGIN"),
        ("rolreplication", "REPLICATION"),
        ("rolbypassrls", "BYPASSRLS"),
    ] {
        let _ = write!(
            alter,
            " {}{word}",
            if row.bool(column)? { "" } else { "NO" }
        );
    }
    if row.text("rolconnlimit")? != "-1" {
        let _ = write!(alter, " CONNECTION LIMIT {}", row.text("rolconnlimit")?);
    }
    if let Some(password) = row.opt("password")? {
        let _ = write!(alter, " PASSWORD {}", literal(password));
    }
    if let Some(until) = row.opt("rolvaliduntil")? {
        let _ = write!(alter, " VALID UNTIL {}", literal(until));
    }
    let mut create = vec![format!("CREATE ROLE {quoted}"), alter];
    if let Some(comment) = row.opt("comment")? {
        create.push(format!("COMMENT ON ROLE {quoted} IS {}", literal(comment)));
    }
    Ok(create)
}

/// Security labels of a shared object, the row's `oid` in catalog `class`.
async fn labels(
    sql: &Sql,
    task: &Task,
    class: u32,
    row: &Row,
    keyword: &str,
    name: &str,
) -> Result<Vec<String>> {
    let query = format!(
        "SELECT provider, label FROM pg_catalog.pg_shseclabel \
        WHERE classoid = {class} AND objoid = {} ORDER BY 1",
        row.oid("oid")?
    );
    let mut labels = Vec::new();
    for label in rows(sql, task, &query).await? {
        labels.push(format!(
            "SECURITY LABEL FOR {} ON {keyword} {} IS {}",
            ident(label.text("provider")?),
            ident(name),
            literal(label.text("label")?)
        ));
    }
    Ok(labels)
}

async fn tablespaces(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    let query = "SELECT t.oid, t.spcname, pg_catalog.pg_get_userbyid(t.spcowner) AS owner, \
        pg_catalog.pg_tablespace_location(t.oid) AS location, t.spcacl, t.spcoptions, \
        pg_catalog.acldefault('t', t.spcowner) AS acldefault, \
        pg_catalog.shobj_description(t.oid, 'pg_tablespace') AS comment \
        FROM pg_catalog.pg_tablespace t WHERE t.spcname !~ '^pg_' ORDER BY t.spcname";
    let mut tablespaces = Vec::new();
    for row in rows(sql, task, query).await? {
        let name = row.text("spcname")?;
        let (quoted, owner) = (ident(name), row.text("owner")?);
        // A relative place is one inside the data folder, which is asked for by an empty text.
        let location = row.text("location")?;
        let location = if location.starts_with('/') {
            location
        } else {
            ""
        };
        let mut create = vec![format!(
            "CREATE TABLESPACE {quoted} OWNER {} LOCATION {}",
            ident(owner),
            literal(location)
        )];
        let options = storage_parameters(row.opt("spcoptions")?, "")?;
        if !options.is_empty() {
            create.push(format!("ALTER TABLESPACE {quoted} SET ({options})"));
        }
        create.extend(acl::privileges(&Grants {
            keyword: "TABLESPACE",
            name: &quoted,
            owner,
            acl: row.opt("spcacl")?,
            default: row.text("acldefault")?,
            ..Grants::default()
        })?);
        if let Some(comment) = row.opt("comment")? {
            create.push(format!(
                "COMMENT ON TABLESPACE {quoted} IS {}",
                literal(comment)
            ));
        }
        create.extend(labels(sql, task, 1213, &row, "TABLESPACE", name).await?);
        tablespaces.push(Global::new("tablespace", name, create));
    }
    Ok(tablespaces)
}

/// Settings of roles in all databases; they may mention other roles, so they come after all.
async fn settings(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    let query = "SELECT r.rolname, s.setting, s.place FROM pg_catalog.pg_db_role_setting d \
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = d.setrole \
        CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) WITH ORDINALITY s (setting, place) \
        WHERE d.setdatabase = 0 AND (d.setrole = 0 OR r.rolname !~ '^pg_') ORDER BY 1, 3";
    let mut settings: Vec<Global> = Vec::new();
    for row in rows(sql, task, query).await? {
        let role = row.opt("rolname")?;
        let (quoted, shown) = role.map_or(("ALL".to_owned(), "ALL"), |role| (ident(role), role));
        let Some((name, value)) = row.text("setting")?.split_once('=') else {
            continue;
        };
        let value = quote::setting(name, value);
        let statement = format!("ALTER ROLE {quoted} SET {} TO {value}", ident(name));
        match settings.last_mut().filter(|last| last.name == shown) {
            Some(last) => last.create.push(statement),
            None => settings.push(Global::new("setting", shown, vec![statement])),
        }
    }
    Ok(settings)
}

async fn parameters(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    let query = "SELECT parname, paracl, pg_catalog.pg_get_userbyid(10) AS owner, \
        pg_catalog.acldefault('p', 10) AS acldefault \
        FROM pg_catalog.pg_parameter_acl ORDER BY parname";
    let mut parameters = Vec::new();
    for row in rows(sql, task, query).await? {
        let name = row.text("parname")?;
        let create = acl::privileges(&Grants {
            keyword: "PARAMETER",
            name: &ident(name),
            owner: row.text("owner")?,
            acl: row.opt("paracl")?,
            default: row.text("acldefault")?,
            ..Grants::default()
        })?;
        parameters.push(Global::new("parameter", name, create));
    }
    Ok(parameters)
}
