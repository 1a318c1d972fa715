//! COPY text as values for people to look at: a bounded part of each, whatever its size.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "Text Format". Servers write only the escapes
//! below and `\N` for NULL, never octal or hexadecimal ones.

use std::fmt::Write as _;

use crate::error::{Code, Error, Result};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its text, or the beginning of it; nothing for NULL.
    pub text: Option<String>,
    /// Bytes of all of it.
    pub bytes: u64,
    /// Whether `text` is only its beginning.
    pub is_cut: bool,
}

/// Whose letters the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// UTF-8, or bytes of which nothing is known.
    Utf8,
    /// ISO 8859-1: every byte is the letter of its number.
    Latin1,
}

impl Letters {
    /// Of a database with that encoding.
    pub fn of(encoding: &str) -> Self {
        if encoding.eq_ignore_ascii_case("LATIN1") {
            Self::Latin1
        } else {
            Self::Utf8
        }
    }

    /// Bytes as text; those that are none as `\x` and two digits.
    fn read(self, bytes: &[u8]) -> String {
        if self == Self::Latin1 {
            return bytes.iter().copied().map(char::from).collect();
        }
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    }

    /// As many of the bytes as begin no letter that is not among them.
    fn whole(self, bytes: &[u8]) -> &[u8] {
        if self == Self::Latin1 {
            return bytes;
        }
        match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
            _ => bytes,
        }
    }
}

/// Takes COPY text in pieces and makes rows of it.
#[derive(Debug)]
pub struct RowReader {
    columns: usize,
    letters: Letters,
    kept_bytes_max: usize,
    row: Vec<Value>,
    kept: Vec<u8>,
    bytes: u64,
    is_null: bool,
    is_escape: bool,
    has_begun: bool,
}

impl RowReader {
    /// For rows of so many columns; of each value at most `kept_bytes_max` are kept.
    pub fn new(columns: usize, letters: Letters, kept_bytes_max: usize) -> Self {
        Self {
            columns,
            letters,
            kept_bytes_max,
            row: Vec::with_capacity(columns),
            kept: Vec::new(),
            bytes: 0,
            is_null: false,
            is_escape: false,
            has_begun: false,
        }
    }

    /// Takes bytes up to the end of a row, which it then answers; what is left of them stays in `bytes`.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<Value>>> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.has_begun = true;
            if std::mem::take(&mut self.is_escape) {
                self.escaped(byte);
                continue;
            }
            match byte {
                b'\\' => self.is_escape = true,
                b'\t' => self.end_value(),
                b'\n' => return self.end_row().map(Some),
                other => self.push(other),
            }
        }
        Ok(None)
    }

    /// Whether it is between two rows.
    pub fn is_between_rows(&self) -> bool {
        !self.has_begun
    }

    fn escaped(&mut self, byte: u8) {
        match byte {
            b'N' if self.bytes == 0 => self.is_null = true,
            b'b' => self.push(8),
            b't' => self.push(b'\t'),
            b'n' => self.push(b'\n'),
            b'v' => self.push(11),
            b'f' => self.push(12),
            b'r' => self.push(b'\r'),
            other => self.push(other),
        }
    }

    fn push(&mut self, byte: u8) {
        if self.kept.len() < self.kept_bytes_max {
            self.kept.push(byte);
        }
        self.bytes += 1;
    }

    fn end_value(&mut self) {
        let is_cut = self.bytes > self.kept.len() as u64;
        let kept = if is_cut {
            self.letters.whole(&self.kept)
        } else {
            &self.kept
        };
        let is_null = std::mem::take(&mut self.is_null) && self.bytes == 0;
        let text = (!is_null).then(|| {
            let mut text = self.letters.read(kept);
            if is_cut {
                text.push('…');
            }
            text
        });
        self.row.push(Value {
            text,
            bytes: std::mem::take(&mut self.bytes),
            is_cut,
        });
        self.kept.clear();
    }

    fn end_row(&mut self) -> Result<Vec<Value>> {
        self.end_value();
        self.has_begun = false;
        let mut row = std::mem::replace(&mut self.row, Vec::with_capacity(self.columns));
        // A row without columns is an empty line.
        if self.columns == 0 && row.len() == 1 && row[0].bytes == 0 {
            row.clear();
        }
        if row.len() == self.columns {
            return Ok(row);
        }
        Err(Error::new(
            Code::RepositoryCorrupt,
            format!(
                "A row has {} values where the table has {} columns",
                row.len(),
                self.columns
            ),
        ))
    }
}

#[cfg(test)]
mod tests;
