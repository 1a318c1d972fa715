//! Passwords and keys: read from files, the environment or a terminal without echo; never printed.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// A larger file holds no secret.
const SECRET_MAX_BYTES: u64 = 64 << 10;

/// The first line of a file, `-` being standard input.
pub(crate) fn first_line(file: &Path, what: &str) -> Result<SecretText> {
    let whole = whole(file, what)?;
    let line = whole.expose().lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Error::invalid(format!("{} holds no {what}", shown(file)))
            .hint("Put it on the first line"));
    }
    Ok(SecretText::new(line))
}

/// All of a file, `-` being standard input.
pub(crate) fn whole(file: &Path, what: &str) -> Result<SecretText> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("The {what} could not be read from {}", shown(file))).because(error)
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(SECRET_MAX_BYTES + 1)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .map_err(failed)?
            .take(SECRET_MAX_BYTES + 1)
            .read_to_string(&mut text)
    };
    let text = SecretText::new(text);
    match read.map_err(failed)? as u64 {
        0..=SECRET_MAX_BYTES => Ok(text),
        _ => Err(Error::invalid(format!(
            "{} is too large to be a {what}",
            shown(file)
        ))),
    }
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// Asks on the terminal without showing what is typed; `None` when there is no terminal.
pub(crate) fn ask(question: &str) -> Result<Option<SecretText>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let failed = |error: std::io::Error| {
        Error::new(Code::Conflict, "The terminal could not be read").because(error)
    };
    let before = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    // Without ISIG an interrupt is read as a byte, so that the terminal is never left silent.
    silent
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    let _ = write!(std::io::stderr().lock(), "{question}");
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let typed = read_typed(stdin.lock().bytes());
    let restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
    let _ = writeln!(std::io::stderr().lock());
    restored.map_err(|error| failed(error.into()))?;
    typed
        .map_err(failed)?
        .map(Some)
        .ok_or_else(|| Error::new(Code::Cancelled, "Nothing was done"))
}

/// A line byte by byte; `None` when it was interrupted.
fn read_typed(
    bytes: impl Iterator<Item = std::io::Result<u8>>,
) -> std::io::Result<Option<SecretText>> {
    const INTERRUPT: u8 = 3;
    const END_OF_TEXT: u8 = 4;
    const LINE_KILL: u8 = 0x15;
    let mut line: Vec<u8> = Vec::with_capacity(1024);
    for byte in bytes {
        match byte? {
            b'\n' | b'\r' | END_OF_TEXT => break,
            INTERRUPT => {
                zeroize(&mut line);
                return Ok(None);
            }
            LINE_KILL => zeroize(&mut line),
            0x08 | 0x7f => {
                // A character's continuation bytes go with its first one.
                while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
            }
            _ if line.len() == line.capacity() => {}
            byte => line.push(byte),
        }
    }
    let text = std::str::from_utf8(&line).map(SecretText::new);
    let answer = text.map_err(|_| std::io::Error::other("it is not UTF-8"));
    zeroize(&mut line);
    answer.map(Some)
}

fn zeroize(line: &mut Vec<u8>) {
    line.fill(0);
    line.clear();
}

#[cfg(test)]
mod tests;
