//! What a PostgreSQL server says when it refuses, and which stable code that becomes.

use std::fmt;

use crate::error::{Code, Error};

/// An `ErrorResponse`: the fields that people and decisions need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, never translated where the server says so.
    pub severity: String,
    /// Five characters, `42P01`.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What the server suggests.
    pub hint: Option<String>,
    /// The call stack inside the server, if any.
    pub context: Option<String>,
    /// The schema of the object it is about.
    pub schema: Option<String>,
    /// The table it is about.
    pub table: Option<String>,
    /// The column it is about.
    pub column: Option<String>,
    /// The constraint it is about.
    pub constraint: Option<String>,
    /// The beginning of the statement that was refused.
    pub statement: Option<String>,
}

/// How much of a refused statement is kept for messages, in bytes.
const STATEMENT_LENGTH_MAX: usize = 400;

impl ServerError {
    /// Remembers which statement was refused.
    #[must_use]
    pub fn of_statement(mut self, statement: &str) -> Self {
        let end = (0..=STATEMENT_LENGTH_MAX.min(statement.len()))
            .rev()
            .find(|at| statement.is_char_boundary(*at))
            .unwrap_or_default();
        let text = statement.get(..end).unwrap_or_default().trim();
        if !text.is_empty() {
            let ellipsis = if end < statement.len() { "…" } else { "" };
            self.statement = Some(format!("{text}{ellipsis}"));
        }
        self
    }

    /// The stable code for this SQLSTATE.
    pub fn code(&self) -> Code {
        match self.sqlstate.as_str() {
            "28000" | "28P01" => Code::ConnectionAuth,
            "3D000" => Code::DatabaseNotFound,
            "42501" => Code::SourceRights,
            "55P03" | "40P01" => Code::SourceLocked,
            // Too many connections; starting up or shutting down.
            "53300" | "57P03" => Code::ConnectionUnreachable,
            // Terminated by an administrator, a crash or a dropped database.
            "57P01" | "57P02" | "57P04" | "57P05" => Code::ConnectionLost,
            "53100" => Code::NoSpace,
            state if state.starts_with("08") => Code::ConnectionLost,
            _ => Code::SourceStatement,
        }
    }

    /// The error that leaves the engine.
    pub fn into_error(self) -> Error {
        let mut message = self.message.trim_end_matches('.').to_owned();
        if let Some(first) = message.get(..1).map(str::to_uppercase) {
            message.replace_range(..1, &first);
        }
        let mut error = Error::new(
            self.code(),
            format!("{message} (SQLSTATE {})", self.sqlstate),
        );
        if let Some(hint) = self.hint.clone().or_else(|| self.own_hint()) {
            error = error.hint(hint);
        }
        error.because(self)
    }

    fn own_hint(&self) -> Option<String> {
        let hint = match self.sqlstate.as_str() {
            "28P01" => "Check the role's name and password",
            "28000" => "Check the role and the server's pg_hba.conf",
            "3D000" => "`backstay connection databases CONNECTION` lists what is there",
            "53300" => "Raise the server's max_connections or lower the number of workers",
            "57P03" => "Wait until the server has started, then try again",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// What the sentence of [`ServerError::into_error`] does not say already; often nothing.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (label, text) in [
            ("detail", &self.detail),
            ("context", &self.context),
            ("statement", &self.statement),
        ] {
            if let Some(text) = text {
                write!(f, "{separator}{label}: {text}")?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            severity: error.severity().to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            context: owned(error.where_()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
            statement: None,
        }
    }
}

impl Error {
    /// What the database server said, when it is the cause.
    pub fn server_error(&self) -> Option<&ServerError> {
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref::<ServerError>() {
                return Some(found);
            }
            next = cause.source();
        }
        None
    }

    /// The SQLSTATE of the server's answer, when it is the cause.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server_error().map(|error| error.sqlstate.as_str())
    }
}
