//! Taking bytes apart without ever running past their end.

use crate::error::{Code, Error};

/// Stored bytes that are not what they should be; the caller adds which object they are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(
            Code::RepositoryCorrupt,
            format!("Stored bytes are damaged: {malformed}"),
        )
    }
}

/// A cursor over stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Over all of `bytes`; `what` is the complaint when they are too short.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Malformed(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses bytes left over.
    pub fn end(self) -> Result<(), Malformed> {
        self.require(self.rest.is_empty())
    }

    /// Takes exactly these bytes.
    pub fn literal(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let found = self.take(bytes.len())?;
        self.require(found == bytes)
    }

    /// Refuses a broken condition.
    pub fn require(&self, holds: bool) -> Result<(), Malformed> {
        if holds {
            Ok(())
        } else {
            Err(Malformed(self.what))
        }
    }

    /// A count of items of `item_bytes` each, refused when the rest cannot hold them.
    pub fn count(&mut self, item_bytes: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        self.require(
            count
                .checked_mul(item_bytes)
                .is_some_and(|n| n <= self.rest.len()),
        )?;
        Ok(count)
    }
}
