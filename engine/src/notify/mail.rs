//! Mail: one message, one connection to the server that the target names.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use url::Host;

use super::message::logged;
use super::{Courier, Notice};
use crate::error::{Code, Error, Result};
use crate::ids::DeliveryId;
use crate::model::{GotAnswer, Mail, MailSecurity, SentRequest};
use crate::outbound::{Guard, connect, refuse_literal, tls_config};

/// Receivers of one target.
const RECEIVERS: usize = 50;
/// What is read of a mail server's answers.
const ANSWER_BYTES: usize = 256 * 1024;

/// Refuses what no mail could be sent with.
pub(crate) fn check(guard: Guard, mail: &Mail) -> Result<()> {
    let wrong = |field: &str, why: &str| {
        Err(Error::invalid(format!("The mail's {field} {why}")).field(format!("mail.{field}"), why))
    };
    let Ok(host) = Host::parse(&mail.host) else {
        return wrong("host", "is no host name");
    };
    refuse_literal(guard, &host).map_err(|error| {
        Error::invalid(error.message())
            .field("mail.host", error.message())
            .hint(error.hint_text().unwrap_or_default())
    })?;
    let texts = mail.to.iter().chain(&mail.user).chain([&mail.from]);
    if texts.flat_map(|text| text.chars()).any(char::is_control) {
        return wrong("addresses", "hold control characters");
    }
    if mail.from.parse::<Mailbox>().is_err() {
        return wrong("from", "is no address");
    }
    if mail.to.is_empty() || mail.to.len() > RECEIVERS {
        return wrong("to", "must hold 1 to 50 addresses");
    }
    if mail.to.iter().any(|to| to.parse::<Mailbox>().is_err()) {
        return wrong("to", "holds what is no address");
    }
    if mail.user.is_some() && mail.security == MailSecurity::None {
        return wrong("user", "cannot log in without tls or starttls");
    }
    Ok(())
}

fn port(mail: &Mail) -> u16 {
    mail.port.unwrap_or(match mail.security {
        MailSecurity::Tls => 465,
        MailSecurity::StartTls => 587,
        MailSecurity::None => 25,
    })
}

/// Sends one message within `limit`. Answers what was sent, and what came of it.
pub(crate) async fn send(
    courier: &Courier,
    id: DeliveryId,
    notice: &Notice,
    limit: Duration,
) -> (SentRequest, Result<GotAnswer>) {
    let Some(mail) = &courier.target.mail else {
        let error = Error::invalid("The target does not say how mail is sent");
        return (SentRequest::default(), Err(error));
    };
    let (subject, text) = (courier.title(notice), courier.body(notice));
    let sent = SentRequest {
        method: "SMTP".to_owned(),
        url: format!("smtp://{}:{}", mail.host, port(mail)),
        headers: [
            ("From".to_owned(), mail.from.clone()),
            ("To".to_owned(), logged(&mail.to.join(", "))),
            ("Subject".to_owned(), logged(&subject)),
        ]
        .into(),
        body: logged(&text),
    };
    let exchange = async {
        let message = written(mail, id, &subject, text)?;
        exchange(courier, mail, &message).await
    };
    let answer = tokio::time::timeout(limit, exchange).await;
    let answer = answer.unwrap_or_else(|_| {
        Err(Error::new(
            Code::OutboundFailed,
            format!(
                "The mail server took longer than {} seconds",
                limit.as_secs()
            ),
        ))
    });
    let answer = answer.map(|response| answered(&response));
    (sent, answer)
}

/// What the log keeps of a server's answer.
fn answered(response: &Response) -> GotAnswer {
    let lines: Vec<_> = response.message().collect();
    GotAnswer {
        status: response.code().into(),
        body: logged(&lines.join("\n")),
    }
}

fn written(mail: &Mail, id: DeliveryId, subject: &str, text: String) -> Result<Message> {
    let wrong = |what: &str| Error::invalid(format!("The mail's {what} is no address"));
    let from: Mailbox = mail.from.parse().map_err(|_| wrong("sender"))?;
    let place = from.email.domain().to_owned();
    let mut builder = Message::builder()
        .from(from)
        .subject(subject)
        // The same for each attempt, so that a mailbox shows one message.
        .message_id(Some(format!("<{id}@{place}>")))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        builder = builder.to(to.parse().map_err(|_| wrong("receiver"))?);
    }
    builder
        .body(text)
        .map_err(|error| Error::invalid("The mail could not be written").because(error))
}

async fn exchange(courier: &Courier, mail: &Mail, message: &Message) -> Result<Response> {
    let host =
        Host::parse(&mail.host).map_err(|_| Error::invalid("The mail server has no name"))?;
    let tcp = connect(courier.guard, &host, port(mail)).await?;
    let peer = tcp.peer_addr().map_err(broken)?;
    let stream: Box<dyn AsyncTokioStream> = if mail.security == MailSecurity::Tls {
        let name = ServerName::try_from(mail.host.clone())
            .map_err(|error| Error::invalid("The host is no name for TLS").because(error))?;
        let connector = TlsConnector::from(Arc::new(tls_config().await?));
        Box::new(Bounded::new(
            connector.connect(name, tcp).await.map_err(untrusted)?,
            peer,
        ))
    } else {
        Box::new(Bounded::new(tcp, peer))
    };
    let own = ClientId::Domain("backstay".to_owned());
    let mut smtp = AsyncSmtpConnection::connect_with_transport(stream, &own)
        .await
        .map_err(broken)?;
    if mail.security == MailSecurity::StartTls {
        let host = mail.host.clone();
        // Reads the system's roots, which are files.
        let parameters = tokio::task::spawn_blocking(move || TlsParameters::new_rustls(host))
            .await
            .map_err(|error| Error::internal("Reading roots was interrupted").because(error))?
            .map_err(untrusted)?;
        smtp.starttls(parameters, &own).await.map_err(untrusted)?;
    }
    if let Some(user) = &mail.user {
        let password = courier.secret.as_ref().map_or("", |secret| secret.expose());
        let credentials = Credentials::new(user.clone(), password.to_owned());
        let known = [Mechanism::Plain, Mechanism::Login];
        smtp.auth(&known, &credentials).await.map_err(|error| {
            Error::new(
                Code::OutboundFailed,
                format!("The mail server did not let \"{user}\" in"),
            )
            .hint("Check the user and the target's secret")
            .because(error)
        })?;
    }
    let taken = smtp
        .send(message.envelope(), &message.formatted())
        .await
        .map_err(|error| {
            Error::new(
                Code::OutboundFailed,
                "The mail server did not take the message",
            )
            .because(error)
        })?;
    // It has the message; how the connection ends changes nothing.
    smtp.abort().await;
    Ok(taken)
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        Code::OutboundFailed,
        "The mail server broke the exchange off",
    )
    .because(error)
}

fn untrusted(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        Code::OutboundFailed,
        "No trusted TLS connection to the mail server",
    )
    .hint("Its certificate must name that host and lead to a root that this machine trusts")
    .because(error)
}

/// A stream that ends after [`ANSWER_BYTES`], since SMTP's answers are read line by line whatever their
/// length.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    left: usize,
}

impl<S> Bounded<S> {
    fn new(stream: S, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer,
            left: ANSWER_BYTES,
        }
    }
}

impl<S> AsyncTokioStream for Bounded<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        if read > self.left {
            return Poll::Ready(Err(io::Error::other("the server says far too much")));
        }
        self.left -= read;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
