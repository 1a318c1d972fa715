//! Reads server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use backstay_engine::{Code, Error, Result};
use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;

/// An event larger than this is refused.
const EVENT_MAX_BYTES: usize = 16 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// What `Last-Event-ID` takes.
    pub(crate) id: Option<String>,
    /// Its JSON document.
    pub(crate) data: String,
}

/// Turns bytes into events.
#[derive(Debug, Default)]
struct Parser {
    buffer: BytesMut,
    event: ServerEvent,
    lines: usize,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + self.event.data.len() + bytes.len() > EVENT_MAX_BYTES {
            return Err(Error::internal(
                "The engine sent an event that is too large",
            ));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self) -> Option<ServerEvent> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end);
            self.buffer.advance(1);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.lines) > 0 {
                    return Some(event);
                }
                continue;
            }
            self.line(&String::from_utf8_lossy(line));
        }
        None
    }

    fn line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.lines > 0 {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.lines += 1;
            }
            "id" => self.event.id = Some(value.to_owned()),
            // Comments keep the connection alive; the kind is in the document too.
            _ => {}
        }
    }
}

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    /// Reads the events of an answer.
    pub(crate) fn of(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            parser: Parser::default(),
        }
    }

    /// The next event; `None` at the stream's end.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>> {
        loop {
            if let Some(event) = self.parser.take() {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.parser.feed(data)?;
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::new(
                        Code::EngineUnreachable,
                        "The engine's events broke off",
                    )
                    .because(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
