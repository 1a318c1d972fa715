//! Makes objects in one session, one after the other, and says which could not be made.

use std::collections::BTreeSet;

use super::session;
use crate::error::{Code, Error, Result};
use crate::monitor::Loss;
use crate::source::postgres::logical::object::Object;
use crate::source::postgres::logical::quote::{ident, literal};
use crate::source::postgres::session::Sql;
use crate::source::postgres::target::Target;

/// What to leave out.
#[derive(Clone, Debug, Default)]
pub struct MakerOptions {
    /// Owners.
    pub no_owner: bool,
    /// Tablespaces that exist; others are left out.
    pub tablespaces: BTreeSet<String>,
}

/// A session that makes objects.
#[derive(Debug)]
pub struct Maker {
    sql: Sql,
    options: MakerOptions,
    tablespace: String,
    access_method: Option<String>,
}

impl Maker {
    /// Opens the session in `database`.
    pub async fn open(target: &Target, database: &str, options: MakerOptions) -> Result<Self> {
        let sql = target.sql(database).await?;
        sql.run(&session::settings(sql.version())).await?;
        sql.run(session::INDEX_MEMORY).await?;
        Ok(Self {
            sql,
            options,
            tablespace: String::new(),
            access_method: None,
        })
    }

    /// The session itself.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Makes an object, then its owner, comments and labels. The object is made as a whole or not
    /// at all; what is lost is returned. An error means that the session is of no more use.
    pub async fn make(&mut self, object: &Object, losses: &mut Vec<Loss>) -> Result<()> {
        let label = label(object);
        if let Err(error) = self.place(object).await {
            return lose(&label, error, losses);
        }
        let create = object.create_on(self.sql.major());
        if !create.is_empty()
            && let Err(error) = self.sql.run(&batch(&create)).await
        {
            return lose(&label, error, losses);
        }
        let attachments = &object.attachments;
        let no_statements = Vec::new();
        let owner = if self.options.no_owner {
            &no_statements
        } else {
            &attachments.owner
        };
        for (what, statements) in [
            ("owner of", owner),
            ("comments on", &attachments.comments),
            ("security labels of", &attachments.security_labels),
        ] {
            self.each(&format!("{what} {label}"), statements, losses)
                .await?;
        }
        Ok(())
    }

    /// Gives an object its privileges.
    pub async fn grant(&self, object: &Object, losses: &mut Vec<Loss>) -> Result<()> {
        let what = format!("privileges on {}", label(object));
        self.each(&what, &object.attachments.privileges, losses)
            .await
    }

    /// Runs statements of which each stands for itself.
    pub async fn each(
        &self,
        what: &str,
        statements: &[String],
        losses: &mut Vec<Loss>,
    ) -> Result<()> {
        if statements.len() > 1 && self.sql.run(&batch(statements)).await.is_ok() {
            return Ok(());
        }
        for statement in statements {
            if let Err(error) = self.sql.run(statement).await {
                lose(what, error, losses)?;
            }
        }
        Ok(())
    }

    /// Sets tablespace and access method for the next object.
    async fn place(&mut self, object: &Object) -> Result<()> {
        if let Some(wanted) = &object.tablespace {
            let known = wanted.is_empty() || self.options.tablespaces.contains(wanted);
            let wanted = if known { wanted.as_str() } else { "" };
            if wanted != self.tablespace {
                let value = literal(wanted);
                self.sql
                    .run(&format!("SET default_tablespace = {value}"))
                    .await?;
                wanted.clone_into(&mut self.tablespace);
            }
        }
        if let Some(wanted) = &object.access_method
            && self.sql.version() >= 120_000
            && self.access_method.as_ref() != Some(wanted)
        {
            let value = ident(wanted);
            self.sql
                .run(&format!("SET default_table_access_method = {value}"))
                .await?;
            self.access_method = Some(wanted.clone());
        }
        Ok(())
    }
}

/// Several statements as one: all of them happen, or none.
fn batch(statements: &[String]) -> String {
    // A newline before each semicolon: a statement may end in a line comment.
    statements.join("\n;\n")
}

/// How messages name an object: `TABLE shop.orders`.
pub fn label(object: &Object) -> String {
    let kind = object.kind.sql_name();
    match &object.schema {
        Some(schema) => format!("{kind} {schema}.{}", object.name),
        None => format!("{kind} {}", object.name),
    }
}

/// Turns a refused statement into a loss; hands on what ends the session.
pub fn lose(what: &str, error: Error, losses: &mut Vec<Loss>) -> Result<()> {
    if ends_the_session(&error) {
        return Err(error.context(what));
    }
    losses.push(Loss {
        object: what.to_owned(),
        reason: reason(&error),
    });
    Ok(())
}

fn reason(error: &Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{}. {hint}", error.report()),
        None => error.report(),
    }
}

/// Whether an error is about more than the statement that met it.
pub fn ends_the_session(error: &Error) -> bool {
    match error.sqlstate() {
        // Resources, intervention, system: the next statement would fare no better.
        Some(state) => {
            ["53", "57", "58", "08", "XX"]
                .iter()
                .any(|class| state.starts_with(class))
                && !matches!(state, "57014" | "XX000")
        }
        None => !matches!(
            error.code(),
            Code::SourceStatement | Code::SourceRights | Code::SourceObject
        ),
    }
}
