//! Sessions for catalog questions and statements: small answers, as text.
//!
//! Everything goes by the simple protocol, so values arrive exactly as PostgreSQL prints them and
//! several statements can travel together. Rows in bulk go by [`super::wire`] instead.

mod driver;
mod row;

pub use driver::CancelToken;
pub use row::Row;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_postgres::SimpleQueryMessage;

use super::connect::{self, Unhurried};
use super::failure::ServerError;
use super::target::Target;
use crate::error::{Code, Error, Result};

/// The server versions that Backstay knows, as majors.
pub const KNOWN_MAJORS: std::ops::RangeInclusive<u32> = 10..=18;

/// A notice or warning that the server sent along with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `WARNING`, `NOTICE`, ….
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// The text.
    pub message: String,
}

/// The SQLSTATE of statements that follow a refused one in its transaction.
const IGNORED: &str = "25P02";

/// Notices beyond this are dropped, oldest first.
const NOTICES_MAX: usize = 256;

/// A session in one database. Dropping it ends it; a statement that is dropped half-way is
/// cancelled at the server, and the session then refuses further work.
pub struct Sql {
    client: tokio_postgres::Client,
    cancel: CancelToken,
    notices: Arc<Mutex<VecDeque<Notice>>>,
    database: String,
    version: u32,
    encrypted: bool,
    abandoned: AtomicBool,
    /// What the server said first against the transaction that is open.
    refusal: Mutex<Option<ServerError>>,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sql")
            .field("database", &self.database)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Opens a session in `database` with an empty search path, so that nothing a user put into a
    /// schema can stand in for what the catalogs name.
    pub async fn sql(&self, database: &str) -> Result<Sql> {
        let mut last = None;
        for attempt in connect::attempts(self) {
            match self.sql_by(database, *attempt).await {
                Ok(sql) => return Ok(sql),
                Err(error) if connect::worth_another_attempt(&error) => last = last.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::internal("No way to connect was tried")))
    }

    /// Opens a session for questions about the whole server, in the first database that lets us in.
    pub async fn maintenance(&self) -> Result<Sql> {
        let mut last = None;
        for database in self.maintenance_databases() {
            match self.sql(&database).await {
                Ok(sql) => return Ok(sql),
                // Missing, without CONNECT right, or not allowing connections.
                Err(error) if matches!(error.sqlstate(), Some("3D000" | "42501" | "55000")) => {
                    last = last.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::internal("No database was tried")))
    }

    async fn sql_by(&self, database: &str, attempt: connect::Attempt) -> Result<Sql> {
        let stream = connect::open(self, attempt).await?;
        let encrypted = stream.encrypted;
        let started = driver::start(self, database, stream);
        let started = tokio::time::timeout(self.connect_timeout, started)
            .await
            .map_err(|_| connect::too_slow(self))??;
        let mut sql = Sql {
            cancel: CancelToken::new(self.clone(), encrypted, started.client.cancel_token()),
            client: started.client,
            notices: started.notices,
            database: database.to_owned(),
            version: 0,
            encrypted,
            abandoned: AtomicBool::new(false),
            refusal: Mutex::default(),
        };
        let mut unhurried = Unhurried::default();
        while unhurried.again(sql.run(Unhurried::STATEMENT).await)? {}
        let row = sql
            .row(
                "SET lock_timeout = 0; \
                 SELECT pg_catalog.set_config('search_path', '', false), \
                 pg_catalog.current_setting('server_version_num') AS version",
            )
            .await?;
        sql.version = row.parse("version")?;
        if sql.version >= 110_000 {
            // Compiling catalog queries takes longer than running them.
            sql.run("SET jit = off").await?;
        }
        Ok(sql)
    }
}

impl Sql {
    /// The server's version as a number: 150018 is 15.18, 90624 is 9.6.24.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The server's major version: 15; 9 for all of 9.x.
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// The database of this session.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether TLS protects the session.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Stops what the session does, from anywhere.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// The rows of a query, all of them; for answers whose size the schema bounds.
    pub async fn rows(&self, query: &str) -> Result<Vec<Row>> {
        driver::rows(self.send(query).await?)
    }

    /// The only row of a query that always has exactly one.
    pub async fn row(&self, query: &str) -> Result<Row> {
        let mut rows = self.rows(query).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            (last, _) => Err(Error::new(
                Code::SourceProtocol,
                format!(
                    "A question that has one answer got {}",
                    rows.len() + usize::from(last.is_some())
                ),
            )
            .because(ServerError::default().of_statement(query))),
        }
    }

    /// The first row of a query, if it has any.
    pub async fn maybe_row(&self, query: &str) -> Result<Option<Row>> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Runs one or more statements and returns how many rows the last one affected.
    pub async fn run(&self, statement: &str) -> Result<u64> {
        let messages = self.send(statement).await?;
        Ok(messages
            .iter()
            .rev()
            .find_map(|message| match message {
                SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                _ => None,
            })
            .unwrap_or_default())
    }

    /// The notices since the last call, oldest first.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.lock().drain(..).collect()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.abandoned.load(Ordering::Acquire)
    }

    async fn send(&self, text: &str) -> Result<Vec<SimpleQueryMessage>> {
        if self.abandoned.load(Ordering::Acquire) {
            return Err(Error::internal(
                "A session was used after one of its statements was dropped",
            ));
        }
        let mut guard = InFlight {
            sql: self,
            finished: false,
        };
        let answer = self.client.simple_query(text).await;
        guard.finished = true;
        match answer {
            Ok(messages) => {
                self.refusal.lock().take();
                Ok(messages)
            }
            Err(error) => Err(self.first_cause(driver::convert(&error, text))),
        }
    }

    /// Of statements that follow one that was refused in its transaction, the server says only that
    /// they are ignored. The first refusal is what matters.
    fn first_cause(&self, error: Error) -> Error {
        let Some(refusal) = error.server_error() else {
            return error;
        };
        let mut first = self.refusal.lock();
        if refusal.sqlstate != IGNORED {
            *first = Some(refusal.clone());
            return error;
        }
        match &*first {
            Some(first) => first.clone().into_error(),
            None => error,
        }
    }
}

/// Cancels a statement whose future is dropped before it ended.
struct InFlight<'a> {
    sql: &'a Sql,
    finished: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.sql.abandoned.store(true, Ordering::Release);
            self.sql.cancel.cancel_in_background();
        }
    }
}
