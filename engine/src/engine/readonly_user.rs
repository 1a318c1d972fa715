//! A least-privilege role for backups, made on the server.

use std::collections::BTreeSet;

use postgres_protocol::password::scram_sha_256;

use super::Engine;
use crate::error::{Code, Error, Result};
use crate::model::{ConnectionEdit, ReadonlyUser, ReadonlyUserCreate};
use crate::repository::format::digest::hex;
use crate::secret::{SecretText, random_bytes};
use crate::source::postgres::logical::large_objects::named;
use crate::source::postgres::logical::quote::{ident, literal};
use crate::source::postgres::{Sql, Target};

const DEFAULT_NAME: &str = "backstay";
/// PostgreSQL cuts names there.
const MAX_ROLE_BYTES: usize = 63;
/// Large objects in one statement.
const GRANTED_AT_ONCE: usize = 1000;
const MASK: &str = "'••••••'";

impl Engine {
    /// Makes a least-privilege backup role on the server: it may read everything and change nothing.
    pub async fn create_readonly_user(
        &self,
        key: &str,
        create: ReadonlyUserCreate,
    ) -> Result<ReadonlyUser> {
        let record = self.find_connection(key)?;
        let name = create.name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
        if name.is_empty() || name.len() > MAX_ROLE_BYTES || name.contains('\0') {
            return Err(
                Error::invalid(format!("\"{name}\" cannot be the name of a role"))
                    .field("name", "must be 1 to 63 bytes"),
            );
        }
        let target = self.target(&record)?;
        let password = SecretText::new(hex(&random_bytes::<16>()));
        let made = make_role(&target, &name, &password).await?;
        let switch = create.switch.unwrap_or(true);
        if switch {
            let mut switched = target.clone();
            switched.user.clone_from(&name);
            let edit = ConnectionEdit {
                url: Some(switched.with_password(None).to_url()),
                password: Some(password.clone()),
                ..ConnectionEdit::default()
            };
            self.edit_connection(&record.connection.id.to_string(), edit)
                .await?;
        }
        let id = record.connection.id;
        let what = serde_json::json!({
            "role": name, "statements": made.statements, "switched": switch,
        });
        self.audit("connection.readonly_user", id, None::<&()>, Some(&what))
            .await?;
        Ok(ReadonlyUser {
            name,
            password: password.expose().to_owned(),
            switched: switch,
            statements: made.statements,
            limits: made.limits,
        })
    }
}

/// What was done on the server, and what the role cannot do nevertheless.
#[derive(Default)]
struct Made {
    statements: Vec<String>,
    limits: Vec<String>,
}

impl Made {
    async fn run(&mut self, sql: &Sql, statement: String) -> Result<()> {
        sql.run(&statement).await?;
        self.statements.push(statement);
        Ok(())
    }
}

async fn make_role(target: &Target, name: &str, password: &SecretText) -> Result<Made> {
    let sql = target.maintenance().await?;
    let role = ident(name);
    let mut made = Made::default();
    let facts = sql
        .row("SELECT rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user")
        .await?;
    // Only a superuser may hand out BYPASSRLS before version 16, and few others may after it.
    let bypass = if facts.bool("super")? {
        " BYPASSRLS"
    } else {
        ""
    };
    // A verifier, as the server would store it: the password itself is in no statement or log. Every
    // server that is served knows it.
    let secret = literal(&scram_sha_256(password.expose().as_bytes()));
    let create = format!("CREATE ROLE {role} LOGIN{bypass} PASSWORD ");
    sql.run(&format!("{create}{secret}"))
        .await
        .map_err(|error| refused(error, target, name))?;
    made.statements.push(format!("{create}{MASK}"));
    if bypass.is_empty() {
        made.limits.push(
            "Tables with row security: only a superuser can let a role bypass it, until then a \
             backup of them is refused"
                .to_owned(),
        );
    }
    if let Err(error) = grants(target, &sql, &role, &mut made).await {
        // A half-made role would be in the way of the next try. Its grants have to go with it, which
        // the server only allows database by database, so this is an attempt.
        let undone = sql
            .run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
            .await;
        return Err(match undone {
            Ok(_) => error,
            Err(_) => error.hint(format!("The role {name} was left on the server; drop it")),
        });
    }
    Ok(made)
}

/// Why the role was not made, without the statement: it holds the verifier.
fn refused(error: Error, target: &Target, name: &str) -> Error {
    let Some(server) = error.server_error() else {
        return error;
    };
    match server.sqlstate.as_str() {
        "42501" => Error::new(
            Code::SourceRights,
            format!("The role \"{}\" may not create roles", target.user),
        )
        .hint("Use a superuser, or a role with CREATEROLE, for this once"),
        "42710" => Error::new(
            Code::Conflict,
            format!("There is a role \"{name}\" on the server already"),
        )
        .hint("Choose another name with --user, or drop that role"),
        _ => {
            let mut said = server.clone();
            said.statement = None;
            said.into_error()
        }
    }
}

async fn grants(target: &Target, sql: &Sql, role: &str, made: &mut Made) -> Result<()> {
    if sql.version() >= 140_000 {
        made.run(sql, format!("GRANT pg_read_all_data TO {role}"))
            .await?;
    } else {
        made.limits.push(format!(
            "Tables and sequences that roles other than {} make from now on: grant it SELECT on them",
            ident(&target.user)
        ));
    }
    let databases = sql
        .rows(
            "SELECT datname AS name FROM pg_catalog.pg_database \
             WHERE datallowconn AND NOT datistemplate ORDER BY 1",
        )
        .await?;
    let mut later = false;
    for database in &databases {
        let name = database.text("name")?;
        let connect = format!("GRANT CONNECT ON DATABASE {} TO {role}", ident(name));
        made.run(sql, connect).await?;
        let inside = match target.sql(name).await {
            Ok(inside) => inside,
            // Enough for tables where one role reads them all; we only cannot look for large objects.
            Err(error) if sql.version() >= 140_000 => {
                let limit = format!("Large objects of database {name}: {}", error.report());
                made.limits.push(limit);
                continue;
            }
            Err(error) => return Err(error),
        };
        if inside.version() < 140_000 {
            every_schema(&inside, role, made).await?;
        }
        later |= large_objects(&inside, role, made).await?;
    }
    if later {
        made.limits.push(
            "Large objects made from now on: the server has no right to read all of them, so \
             grant it SELECT ON LARGE OBJECT on each"
                .to_owned(),
        );
    }
    Ok(())
}

/// Lets the role read the large objects there are, and from version 18 on those that their owners
/// make later; answers whether there can be others. `lo_compat_privileges` would let it read them
/// all, and write them too.
async fn large_objects(sql: &Sql, role: &str, made: &mut Made) -> Result<bool> {
    let rows = sql
        .rows(
            "SELECT l.oid, pg_catalog.pg_get_userbyid(l.lomowner) AS owner, \
             pg_catalog.pg_has_role(l.lomowner, 'USAGE') AS may \
             FROM pg_catalog.pg_largeobject_metadata l ORDER BY 1",
        )
        .await?;
    let (mut mine, mut others) = (Vec::new(), BTreeSet::new());
    let mut owners = BTreeSet::new();
    for row in &rows {
        if row.bool("may")? {
            mine.push(row.text("oid")?);
            owners.insert(row.text("owner")?);
        } else {
            others.insert(row.oid("oid")?);
        }
    }
    let database = sql.database();
    for oids in mine.chunks(GRANTED_AT_ONCE) {
        let grant = |oids: &str| format!("GRANT SELECT ON LARGE OBJECT {oids} TO {role}");
        sql.run(&grant(&oids.join(", "))).await?;
        // A statement of a thousand numbers says no more than its first.
        let shown = match oids {
            [first, .., last] if oids.len() > 3 => format!("{first}, …, {last}"),
            _ => oids.join(", "),
        };
        made.statements.push(grant(&shown));
    }
    if !others.is_empty() {
        made.limits.push(format!(
            "Large objects of others in database {database}: {}",
            named(&others)
        ));
    }
    if sql.version() >= 180_000 {
        for owner in owners {
            let statement = format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON LARGE OBJECTS TO {role}",
                ident(owner)
            );
            made.run(sql, statement).await?;
        }
        return Ok(!others.is_empty());
    }
    Ok(!rows.is_empty())
}

/// Before version 14 there is no role that may read everything: schema by schema, and for tables to come.
async fn every_schema(sql: &Sql, role: &str, made: &mut Made) -> Result<()> {
    let schemas = sql
        .rows(
            "SELECT nspname AS name FROM pg_catalog.pg_namespace \
             WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1",
        )
        .await?;
    for schema in &schemas {
        let schema = ident(schema.text("name")?);
        for statement in [
            format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"),
            format!("GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
            format!("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}"),
            format!(
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON SEQUENCES TO {role}"
            ),
        ] {
            made.run(sql, statement).await?;
        }
    }
    Ok(())
}
