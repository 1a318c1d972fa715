//! tokio-postgres on our own streams: startup, the task that moves bytes, cancel requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{Config, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage};

use super::super::connect::{self, Attempt, Stream};
use super::super::failure::ServerError;
use super::super::target::Target;
use super::{NOTICES_MAX, Notice, Row};
use crate::error::{Code, Error, Result};

/// How long a cancel request that nobody awaits may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Started {
    pub(super) client: Client,
    pub(super) notices: Arc<Mutex<VecDeque<Notice>>>,
}

/// Logs in on an open stream and starts the task that moves its bytes.
pub(super) async fn start(target: &Target, database: &str, stream: Stream) -> Result<Started> {
    let config = config(target, database, stream.encrypted);
    let (client, connection) = config
        .connect_raw(stream, Ours)
        .await
        .map_err(|error| refused(target, database, &error))?;
    let notices = Arc::new(Mutex::new(VecDeque::new()));
    tokio::spawn(drive(connection, Arc::clone(&notices)));
    Ok(Started { client, notices })
}

fn config(target: &Target, database: &str, encrypted: bool) -> Config {
    let mut config = Config::new();
    config
        .user(&target.user)
        .dbname(database)
        .application_name(&target.application_name)
        // Direct negotiation hands the stream, which is in TLS already, straight to `Ours`.
        .ssl_negotiation(SslNegotiation::Direct)
        .ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
    if let Some(options) = &target.options {
        config.options(options);
    }
    // An empty password lets the server say that it is wrong, in its own words.
    config.password(
        target
            .password
            .as_ref()
            .map_or("", |password| password.expose()),
    );
    config
}

async fn drive(mut connection: Connection<Stream, Stream>, notices: Arc<Mutex<VecDeque<Notice>>>) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let mut kept = notices.lock();
                if kept.len() == NOTICES_MAX {
                    kept.pop_front();
                }
                kept.push_back(Notice {
                    severity: notice.severity().to_owned(),
                    sqlstate: notice.code().code().to_owned(),
                    message: notice.message().to_owned(),
                });
            }
            Ok(_) => {}
            // Whoever waits for an answer gets the same error.
            Err(_) => return,
        }
    }
}

/// The rows among the messages of an answer.
pub(super) fn rows(messages: Vec<SimpleQueryMessage>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut columns: Arc<[String]> = Arc::new([]);
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                columns = described.iter().map(|c| c.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => rows.push(Row::new(
                Arc::clone(&columns),
                (0..row.len())
                    .map(|at| Ok(row.try_get(at)?.map(Box::from)))
                    .collect::<Result<_, tokio_postgres::Error>>()
                    .map_err(|error| {
                        Error::new(Code::SourceProtocol, "An answer is not valid UTF-8")
                            .because(error_chain(&error))
                    })?,
            )),
            _ => {}
        }
    }
    Ok(rows)
}

/// The error for a login that failed.
fn refused(target: &Target, database: &str, error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return ServerError::from(db)
            .into_error()
            .context(format!("{} database {database:?}", target.place()));
    }
    let text = error_chain(error);
    let (code, hint) = if text.contains("authentication") || text.contains("password") {
        (
            Code::ConnectionAuth,
            "Check the role's name, its password and the server's pg_hba.conf",
        )
    } else {
        (
            Code::ConnectionUnreachable,
            "Check that a PostgreSQL server listens there, and its log",
        )
    };
    Error::new(code, format!("Cannot log in at {}", target.place()))
        .hint(hint)
        .because(text)
}

/// The error for a statement that failed.
pub(super) fn convert(error: &tokio_postgres::Error, statement: &str) -> Error {
    if let Some(db) = error.as_db_error() {
        return ServerError::from(db).of_statement(statement).into_error();
    }
    let text = error_chain(error);
    if error.is_closed() || text.contains("communicating with the server") {
        return Error::new(Code::ConnectionLost, "The connection to the server broke")
            .hint("See the server's log, then run it again")
            .because(text);
    }
    Error::new(Code::SourceProtocol, "The server's answer cannot be read").because(text)
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Stops whatever a session does at the moment.
#[derive(Clone)]
pub struct CancelToken {
    target: Arc<Target>,
    encrypted: bool,
    inner: tokio_postgres::CancelToken,
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelToken({})", self.target.place())
    }
}

impl CancelToken {
    pub(super) fn new(target: Target, encrypted: bool, inner: tokio_postgres::CancelToken) -> Self {
        Self {
            target: Arc::new(target),
            encrypted,
            inner,
        }
    }

    /// Asks the server to stop the running statement; it may have ended already.
    pub async fn cancel(&self) -> Result<()> {
        let attempt = if self.encrypted {
            Attempt::Encrypted
        } else {
            Attempt::Plain
        };
        let stream = connect::open(&self.target, attempt).await?;
        self.inner
            .cancel_query_raw(stream, Ours)
            .await
            .map_err(|error| {
                Error::new(
                    Code::ConnectionLost,
                    format!("The cancel request did not reach {}", self.target.place()),
                )
                .because(error_chain(&error))
            })
    }

    /// The same without waiting for it, for destructors.
    pub(crate) fn cancel_in_background(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let token = self.clone();
        runtime.spawn(async move {
            // Nobody is left to hear of a failure; the server notices the closed socket as well.
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel()).await;
        });
    }
}

/// Hands tokio-postgres a stream that needs no further handshake.
struct Ours;

impl TlsConnect<Stream> for Ours {
    type Stream = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn connect(self, stream: Stream) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.channel_binding {
            Some(data) => ChannelBinding::tls_server_end_point(data.clone()),
            None => ChannelBinding::none(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
