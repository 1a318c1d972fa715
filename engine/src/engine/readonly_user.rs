//! A least-privilege role for backups, made on the server.

use postgres_protocol::password::scram_sha_256;

use super::Engine;
use crate::error::{Code, Error, Result};
use crate::model::{ConnectionEdit, ReadonlyUser, ReadonlyUserCreate};
use crate::repository::format::digest::hex;
use crate::secret::{SecretText, random_bytes};
use crate::source::postgres::logical::quote::{ident, literal};
use crate::source::postgres::{Sql, Target};

const DEFAULT_NAME: &str = "backstay";
/// PostgreSQL cuts names there.
const MAX_ROLE_BYTES: usize = 63;
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
        let statements = make_role(&target, &name, &password).await?;
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
        Ok(ReadonlyUser {
            name,
            password: password.expose().to_owned(),
            switched: switch,
            statements,
        })
    }
}

async fn make_role(target: &Target, name: &str, password: &SecretText) -> Result<Vec<String>> {
    let sql = target.maintenance().await?;
    let role = ident(name);
    let mut done = Vec::new();
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
    done.push(format!("{create}{MASK}"));
    if let Err(error) = grants(target, &sql, &role, &mut done).await {
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
    Ok(done)
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

async fn grants(target: &Target, sql: &Sql, role: &str, done: &mut Vec<String>) -> Result<()> {
    if sql.version() >= 140_000 {
        run(sql, format!("GRANT pg_read_all_data TO {role}"), done).await?;
    }
    let databases = sql
        .rows(
            "SELECT datname AS name FROM pg_catalog.pg_database \
             WHERE datallowconn AND NOT datistemplate ORDER BY 1",
        )
        .await?;
    for database in &databases {
        let name = database.text("name")?;
        run(
            sql,
            format!("GRANT CONNECT ON DATABASE {} TO {role}", ident(name)),
            done,
        )
        .await?;
        if sql.version() < 140_000 {
            every_schema(&target.sql(name).await?, role, done).await?;
        }
    }
    Ok(())
}

/// Before version 14 there is no role that may read everything: schema by schema, and for tables to come.
async fn every_schema(sql: &Sql, role: &str, done: &mut Vec<String>) -> Result<()> {
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
            run(sql, statement, done).await?;
        }
    }
    Ok(())
}

async fn run(sql: &Sql, statement: String, done: &mut Vec<String>) -> Result<()> {
    sql.run(&statement).await?;
    done.push(statement);
    Ok(())
}
