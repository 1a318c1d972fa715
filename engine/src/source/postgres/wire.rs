//! Our own connection for bulk data: the startup, simple queries and `COPY` both ways.
//!
//! One task owns a connection and moves its bytes itself; there is no background task and no queue,
//! so back-pressure is the socket's own. A connection is idle, or in the middle of one answer;
//! [`CopyOut`] and [`CopyIn`] borrow it while rows flow. One that is dropped in the middle asks
//! the server to stop, and takes no further work.

mod copy_in;
mod copy_out;
mod inbox;
mod message;
mod startup;
mod tally;

#[cfg(test)]
mod tests;

pub use copy_in::CopyIn;
pub use copy_out::{BLOCK_BYTES, CopyOut};
pub use tally::{ROW_SECRET_BYTES, RowCounter, RowSecret, RowTally};

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt as _;

use super::connect::{self, Attempt, Stream, Unhurried};
use super::failure::ServerError;
use super::session::{Notice, Row};
use super::target::Target;
use crate::error::{Code, Error, Result};
use crate::transport::Io;
use inbox::{HEADER_BYTES, Inbox, parse_header};
use message::Message;

/// The longest message outside of bulk data: longer ones are refused before memory is reserved.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest message before the login is through.
const LOGIN_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// What the rows of one answer may take in all.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Notices beyond this are dropped, oldest first.
const NOTICES_MAX: usize = 256;

/// How long a cancel request that nobody awaits may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Logging in.
    Login,
    /// The server waits for a statement.
    Idle,
    /// An answer is on its way.
    Busy,
    /// The stream broke or made no sense; nothing more can be done with it.
    Broken,
}

/// A connection for bulk data.
pub struct Connection {
    io: Box<dyn Io>,
    inbox: Inbox,
    outbox: BytesMut,
    state: State,
    database: String,
    notices: VecDeque<Notice>,
    canceller: Canceller,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("database", &self.database)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Opens a connection for bulk data in `database`.
    pub async fn wire(&self, database: &str) -> Result<Connection> {
        let mut last = None;
        for attempt in connect::attempts(self) {
            let opened = async {
                let stream = connect::open(self, *attempt).await?;
                Connection::start(self, database, stream).await
            };
            match opened.await {
                Ok(connection) => return Ok(connection),
                Err(error) if connect::worth_another_attempt(&error) => last = last.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::internal("No way to connect was tried")))
    }
}

impl Connection {
    async fn start(target: &Target, database: &str, stream: Stream) -> Result<Self> {
        let mut connection = Self {
            io: stream.io,
            inbox: Inbox::new(),
            outbox: BytesMut::new(),
            state: State::Login,
            database: database.to_owned(),
            notices: VecDeque::new(),
            canceller: Canceller {
                target: Arc::new(target.clone()),
                encrypted: stream.encrypted,
                key: None,
            },
        };
        let mut parameters = vec![
            ("user", target.user.as_str()),
            ("database", database),
            ("client_encoding", "UTF8"),
            ("application_name", target.application_name.as_str()),
        ];
        parameters.extend(
            target
                .options
                .as_deref()
                .map(|options| ("options", options)),
        );
        let login = startup::log_in(&mut connection, target, &parameters, stream.channel_binding);
        tokio::time::timeout(target.connect_timeout, login)
            .await
            .map_err(|_| connect::too_slow(target))??;
        connection.state = State::Idle;
        let mut unhurried = Unhurried::default();
        while unhurried.again(connection.run(Unhurried::STATEMENT).await)? {}
        // Compiling a query takes longer than most of ours run; version 10 has no such setting.
        connection
            .run(
                "SELECT pg_catalog.set_config('search_path', '', false); \
                 SELECT pg_catalog.set_config(name, 'off', false) \
                 FROM pg_catalog.pg_settings WHERE name = 'jit'",
            )
            .await?;
        Ok(connection)
    }

    /// The database of this connection.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Stops what the connection does, from anywhere.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The notices since the last call, oldest first.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    /// The rows of a query, as text.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.begin(sql).await?;
        let mut columns: Arc<[String]> = Arc::new([]);
        let mut rows = Vec::new();
        let mut answer_bytes = 0;
        let mut failure = None;
        loop {
            match self.message().await? {
                Message::Columns(names) => columns = names,
                Message::Row(values) => {
                    answer_bytes += values.iter().flatten().map(|v| v.len()).sum::<usize>() + 64;
                    if answer_bytes > ANSWER_BYTES_MAX {
                        return Err(self.broken(violation("an answer that is far too long")));
                    }
                    rows.push(Row::new(Arc::clone(&columns), values));
                }
                Message::Complete(_) | Message::Other => {}
                Message::Error(error) => failure = Some(error.of_statement(sql)),
                Message::Ready(_) => {
                    self.state = State::Idle;
                    return match failure {
                        Some(error) => Err(error.into_error()),
                        None => Ok(rows),
                    };
                }
                _ => return Err(self.broken(violation("a message that no query is answered with"))),
            }
        }
    }

    /// Runs one or more statements whose rows do not matter.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        self.query(sql).await.map(|_| ())
    }

    /// Ends the session in an orderly way.
    pub async fn close(mut self) -> Result<()> {
        if self.state == State::Idle {
            frontend::terminate(&mut self.outbox);
            self.flush().await?;
            // The server may have closed its side already.
            let _ = self.io.shutdown().await;
        }
        Ok(())
    }

    /// Sends a statement; the connection is busy until its answer has ended.
    async fn begin(&mut self, sql: &str) -> Result<()> {
        match self.state {
            State::Idle => {}
            State::Broken => return Err(lost("it broke earlier")),
            State::Login | State::Busy => {
                return Err(Error::internal(
                    "A connection was used while it was in the middle of an answer",
                ));
            }
        }
        frontend::query(sql, &mut self.outbox)
            .map_err(|e| Error::invalid("A statement contains a NUL byte").because(e))?;
        self.state = State::Busy;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        let sent = async {
            self.io.write_all_buf(&mut self.outbox).await?;
            self.io.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(lost(error))),
        }
    }

    /// The next message that means something to an answer; notices and settings are put aside.
    async fn message(&mut self) -> Result<Message> {
        loop {
            match self.arrived_message()? {
                Some(message) => return Ok(message),
                None => self.fill().await?,
            }
        }
    }

    /// [`Connection::message`] if it has arrived in full already.
    fn arrived_message(&mut self) -> Result<Option<Message>> {
        loop {
            let header = match parse_header(self.inbox.pending()) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(None),
                Err(why) => return Err(self.broken(violation(why))),
            };
            let limit = match self.state {
                State::Login => LOGIN_MESSAGE_BYTES_MAX,
                _ => MESSAGE_BYTES_MAX,
            };
            if header.payload_bytes > limit {
                return Err(self.broken(violation("a message that is far too long")));
            }
            let frame_bytes = HEADER_BYTES + header.payload_bytes;
            let Some(payload) = self.inbox.pending().get(HEADER_BYTES..frame_bytes) else {
                return Ok(None);
            };
            let decoded = message::decode(header.tag, payload);
            self.inbox.consume(frame_bytes);
            match decoded {
                Ok(Message::Notice(notice)) => self.keep(*notice),
                Ok(Message::Parameter(..)) => {}
                Ok(message) => return Ok(Some(message)),
                Err(why) => return Err(self.broken(violation(why))),
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        match self.inbox.fill(&mut self.io).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(lost(error))),
        }
    }

    fn keep(&mut self, notice: ServerError) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice {
            severity: notice.severity,
            sqlstate: notice.sqlstate,
            message: notice.message,
        });
    }

    fn remember_key(&mut self, process: i32, key: i32) {
        self.canceller.key = Some((process, key));
    }

    /// Marks the connection as unusable on the way out with an error.
    fn broken(&mut self, error: Error) -> Error {
        self.state = State::Broken;
        error
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server notices a closed socket only when it next writes; a lock wait never does.
        if self.state == State::Busy {
            self.canceller.cancel_in_background();
        }
    }
}

/// Stops whatever a [`Connection`] does at the moment.
#[derive(Clone)]
pub struct Canceller {
    target: Arc<Target>,
    encrypted: bool,
    key: Option<(i32, i32)>,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canceller({})", self.target.place())
    }
}

impl Canceller {
    /// Asks the server to stop the running statement; it may have ended already.
    pub async fn cancel(&self) -> Result<()> {
        let Some((process, key)) = self.key else {
            return Ok(());
        };
        let attempt = if self.encrypted {
            Attempt::Encrypted
        } else {
            Attempt::Plain
        };
        let mut stream = connect::open(&self.target, attempt).await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(process, key, &mut request);
        let sent = async {
            stream.io.write_all(&request).await?;
            stream.io.flush().await?;
            stream.io.shutdown().await
        };
        sent.await.map_err(lost)
    }

    fn cancel_in_background(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let canceller = self.clone();
        runtime.spawn(async move {
            // Nobody is left to hear of a failure.
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, canceller.cancel()).await;
        });
    }
}

/// The error for bytes that are not the protocol.
fn violation(what: &str) -> Error {
    Error::new(Code::SourceProtocol, format!("The server sent {what}")).hint(
        "Check that the address leads to a PostgreSQL server and nothing rewrites its traffic",
    )
}

/// The error for a stream that broke.
fn lost(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let cause = cause.into();
    let ended = cause
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof);
    let text = if ended {
        "The server closed the connection in the middle of work"
    } else {
        "The connection to the server broke"
    };
    Error::new(Code::ConnectionLost, text)
        .hint("See the server's log, then run it again")
        .because(cause)
}
