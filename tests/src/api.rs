//! Requests to a running engine, byte for byte: what a client library would smooth over can be sent and seen.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// An engine's API over its Unix socket.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case; of several of one name, the last.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Api {
    /// The API of the engine that listens on `socket`.
    pub fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Sends a request, with `body` as JSON unless it is empty, and reads the whole answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut headers = headers.to_vec();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        self.ask_as(method, path, &headers, body.as_bytes())
    }

    /// Sends a request as it is given.
    ///
    /// # Panics
    /// When the engine does not answer in HTTP.
    pub fn ask_as(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answered {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: backstay\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parsed(&answer)
            .unwrap_or_else(|| panic!("{method} {path}: {}", String::from_utf8_lossy(&answer)))
    }

    /// `GET`, without anything else.
    pub fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, &[], "")
    }
}

fn parsed(answer: &[u8]) -> Option<Answered> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = answer[end + 4..].to_vec();
    if headers
        .get("transfer-encoding")
        .is_some_and(|it| it == "chunked")
    {
        body = joined(&body)?;
    }
    Some(Answered {
        status,
        headers,
        body,
    })
}

/// The content of a chunked body.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        let start = end + 2;
        whole.extend(rest.get(start..start + length)?);
        rest = rest.get(start + length + 2..)?;
    }
}
