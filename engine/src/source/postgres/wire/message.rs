//! Messages of the server, decoded. Pure: bytes in, a value or the reason why not out.

use std::sync::Arc;

use super::super::failure::ServerError;

/// A message of the server outside of bulk data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The names of the columns to come.
    Columns(Arc<[String]>),
    /// One row, NULLs as `None`.
    Row(Vec<Option<Box<str>>>),
    /// A statement ended; its tag, `COPY 12`.
    Complete(String),
    /// The server sends rows in bulk; whether they are in a binary format.
    CopyOut { binary: bool },
    /// The server takes rows in bulk; whether in a binary format.
    CopyIn { binary: bool },
    /// The bulk rows have ended.
    CopyDone,
    /// The server waits for the next statement; `I`, `T` or `E` for its transaction.
    Ready(u8),
    /// The statement or the session failed.
    Error(Box<ServerError>),
    /// Something to tell the user.
    Notice(Box<ServerError>),
    /// A setting of the session and its value.
    Parameter(String, String),
    /// What a cancel request must carry.
    CancelKey { process: i32, key: i32 },
    /// A step of the authentication.
    Authentication(Authentication),
    /// Known, and of no interest here.
    Other,
}

/// What the server asks for before it lets anyone in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    /// Nothing, or nothing more.
    Done,
    /// The password as it is.
    Cleartext,
    /// The password hashed with this salt.
    Md5([u8; 4]),
    /// One of these SASL mechanisms.
    Sasl(Vec<String>),
    /// A SASL challenge.
    SaslContinue(Vec<u8>),
    /// The server's own proof.
    SaslFinal(Vec<u8>),
    /// A method that is not supported, by its number.
    Unsupported(i32),
}

type Decoded<T> = Result<T, &'static str>;

/// Decodes one whole frame.
pub(super) fn decode(tag: u8, payload: &[u8]) -> Decoded<Message> {
    let mut body = Body(payload);
    let message = match tag {
        b'T' => Message::Columns(columns(&mut body)?),
        b'D' => Message::Row(row(&mut body)?),
        b'C' => Message::Complete(body.text()?.to_owned()),
        b'H' | b'G' => {
            let binary = body.byte()? != 0;
            if tag == b'H' {
                Message::CopyOut { binary }
            } else {
                Message::CopyIn { binary }
            }
        }
        b'c' => Message::CopyDone,
        b'Z' => Message::Ready(body.byte()?),
        b'E' => Message::Error(Box::new(fields(&mut body)?)),
        b'N' => Message::Notice(Box::new(fields(&mut body)?)),
        b'S' => Message::Parameter(body.text()?.to_owned(), body.text()?.to_owned()),
        b'K' => Message::CancelKey {
            process: body.i32()?,
            key: body.i32()?,
        },
        b'R' => Message::Authentication(authentication(&mut body)?),
        // EmptyQueryResponse, NotificationResponse, NegotiateProtocolVersion.
        b'I' | b'A' | b'v' => Message::Other,
        _ => return Err("a message of an unknown kind"),
    };
    Ok(message)
}

fn columns(body: &mut Body<'_>) -> Decoded<Arc<[String]>> {
    let count = body.count()?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(body.text()?.to_owned());
        // Table, column, type, width, modifier, format: 18 bytes that text answers do not need.
        body.take(18)?;
    }
    Ok(names.into())
}

fn row(body: &mut Body<'_>) -> Decoded<Vec<Option<Box<str>>>> {
    let count = body.count()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = body.i32()?;
        values.push(match usize::try_from(length) {
            Err(_) if length == -1 => None,
            Err(_) => return Err("a value with an impossible length"),
            Ok(length) => {
                let bytes = body.take(length)?;
                let text = std::str::from_utf8(bytes).map_err(|_| "a value that is not UTF-8")?;
                Some(text.into())
            }
        });
    }
    Ok(values)
}

fn fields(body: &mut Body<'_>) -> Decoded<ServerError> {
    let mut error = ServerError::default();
    loop {
        let field = body.byte()?;
        if field == 0 {
            return Ok(error);
        }
        // Before the login is through, a server may speak its own encoding.
        let text = String::from_utf8_lossy(body.bytes()?).into_owned();
        match field {
            b'S' if error.severity.is_empty() => error.severity = text,
            b'V' => error.severity = text,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'W' => error.context = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            b'n' => error.constraint = Some(text),
            _ => {}
        }
    }
}

fn authentication(body: &mut Body<'_>) -> Decoded<Authentication> {
    Ok(match body.i32()? {
        0 => Authentication::Done,
        3 => Authentication::Cleartext,
        5 => {
            let salt = body.take(4)?;
            Authentication::Md5(salt.try_into().map_err(|_| "a short salt")?)
        }
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                let name = body.text()?;
                if name.is_empty() {
                    break;
                }
                mechanisms.push(name.to_owned());
            }
            Authentication::Sasl(mechanisms)
        }
        11 => Authentication::SaslContinue(body.0.to_vec()),
        12 => Authentication::SaslFinal(body.0.to_vec()),
        other => Authentication::Unsupported(other),
    })
}

/// What is left of a payload.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("a message that is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Decoded<u8> {
        let (first, rest) = self.0.split_first().ok_or("a message that is cut short")?;
        self.0 = rest;
        Ok(*first)
    }

    fn i32(&mut self) -> Decoded<i32> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or("a message that is cut short")?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*first))
    }

    fn count(&mut self) -> Decoded<u16> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or("a message that is cut short")?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*first))
    }

    /// Bytes up to a NUL, which is consumed as well.
    fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let end = memchr::memchr(0, self.0).ok_or("a text without an end")?;
        let (text, rest) = self
            .0
            .split_at_checked(end)
            .ok_or("a text without an end")?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    fn text(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text that is not UTF-8")
    }
}
