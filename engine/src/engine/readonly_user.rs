//! A least-privilege role for backups, made on the server.

use super::Engine;
use crate::error::{Error, Result};
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
    let secret = literal(password.expose());
    let create = format!("CREATE ROLE {role} LOGIN{bypass} PASSWORD ");
    sql.run(&format!("{create}{secret}")).await?;
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
