//! The login: trust, cleartext, md5, SCRAM-SHA-256, bound to the TLS channel where both sides can.

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;

use super::super::target::Target;
use super::message::{Authentication, Message};
use super::{Connection, violation};
use crate::error::{Code, Error, Result};
use crate::secret::SecretText;

/// Sends the startup message and answers until the server waits for a statement.
pub(super) async fn log_in(
    connection: &mut Connection,
    target: &Target,
    parameters: &[(&str, &str)],
    channel_binding: Option<Vec<u8>>,
) -> Result<()> {
    frontend::startup_message(parameters.iter().copied(), &mut connection.outbox)
        .map_err(|e| Error::invalid("The connection's parameters cannot be sent").because(e))?;
    connection.flush().await?;
    let mut login = Login {
        target,
        channel_binding,
        scram: None,
        proved: true,
        admitted: false,
    };
    loop {
        match connection.message().await? {
            Message::Authentication(step) => login.answer(connection, step).await?,
            Message::CancelKey { process, key } => connection.remember_key(process, key),
            Message::Ready(_) if login.admitted => return Ok(()),
            Message::Error(error) => {
                return Err(error.into_error().context(format!(
                    "{} database {:?}",
                    target.place(),
                    connection.database
                )));
            }
            Message::Other => {}
            _ => return Err(violation("a message that does not belong to the login")),
        }
    }
}

struct Login<'a> {
    target: &'a Target,
    channel_binding: Option<Vec<u8>>,
    scram: Option<ScramSha256>,
    /// False between our SCRAM proof and the server's.
    proved: bool,
    admitted: bool,
}

impl Login<'_> {
    async fn answer(&mut self, connection: &mut Connection, step: Authentication) -> Result<()> {
        let outbox = &mut connection.outbox;
        match step {
            Authentication::Done if self.proved => {
                self.admitted = true;
                return Ok(());
            }
            Authentication::Done => {
                return Err(
                    self.refuse("the server let us in without proving that it knows the password")
                );
            }
            Authentication::Cleartext => {
                let password = self.password()?;
                frontend::password_message(password.as_bytes(), outbox)
            }
            Authentication::Md5(salt) => {
                let password = self.password()?;
                let hash = md5_hash(self.target.user.as_bytes(), password.as_bytes(), salt);
                frontend::password_message(hash.as_bytes(), outbox)
            }
            Authentication::Sasl(mechanisms) => {
                let (mechanism, binding) = self.mechanism(&mechanisms)?;
                let scram = ScramSha256::new(self.password()?.as_bytes(), binding);
                let sent = frontend::sasl_initial_response(mechanism, scram.message(), outbox);
                self.scram = Some(scram);
                self.proved = false;
                sent
            }
            Authentication::SaslContinue(challenge) => {
                let scram = self.scram.as_mut().ok_or_else(out_of_turn)?;
                scram
                    .update(&challenge)
                    .map_err(|e| failed(self.target, e))?;
                frontend::sasl_response(scram.message(), outbox)
            }
            Authentication::SaslFinal(proof) => {
                let scram = self.scram.as_mut().ok_or_else(out_of_turn)?;
                scram.finish(&proof).map_err(|e| failed(self.target, e))?;
                self.proved = true;
                return Ok(());
            }
            Authentication::Unsupported(number) => {
                return Err(self
                    .refuse(&format!("it wants authentication method {number}"))
                    .hint("Allow scram-sha-256, md5, password, cert or trust in pg_hba.conf"));
            }
        }
        .map_err(|e| self.refuse("the answer cannot be written").because(e))?;
        connection.flush().await
    }

    fn password(&self) -> Result<&str> {
        self.target
            .password
            .as_ref()
            .map(SecretText::expose)
            .ok_or_else(|| {
                self.refuse("it wants a password and the connection has none")
                    .hint("Give the connection a password")
            })
    }

    fn mechanism(&mut self, offered: &[String]) -> Result<(&'static str, ChannelBinding)> {
        let offers = |name: &str| offered.iter().any(|mechanism| mechanism == name);
        match self.channel_binding.take() {
            Some(data) if offers(SCRAM_SHA_256_PLUS) => Ok((
                SCRAM_SHA_256_PLUS,
                ChannelBinding::tls_server_end_point(data),
            )),
            Some(_) if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
            None if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
            _ => Err(self.refuse("it offers no known SASL mechanism")),
        }
    }

    fn refuse(&self, why: &str) -> Error {
        Error::new(
            Code::ConnectionAuth,
            format!("Cannot log in at {}: {why}", self.target.place()),
        )
    }
}

fn failed(target: &Target, cause: std::io::Error) -> Error {
    Error::new(
        Code::ConnectionAuth,
        format!("The password exchange with {} failed", target.place()),
    )
    .hint("Check the password, and that nothing sits between Backstay and the server")
    .because(cause)
}

fn out_of_turn() -> Error {
    violation("an authentication step out of turn")
}
