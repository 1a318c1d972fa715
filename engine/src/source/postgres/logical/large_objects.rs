//! How the bytes of large objects are framed in a backup's stream.
//!
//! A stream is a row of pieces: OID (4 bytes, big-endian), length (4 bytes, big-endian), that many
//! bytes. The pieces of one object follow one another and are its contents in order; a piece of
//! length 0 ends the object. So an empty object is one such piece, and no object, however large,
//! needs more memory than one piece ([`PIECE_BYTES_MAX`]).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::error::{Code, Error, Result};

/// No piece holds more than this; a reader refuses longer ones.
pub const PIECE_BYTES_MAX: usize = 1 << 20;

const HEADER_BYTES: usize = 8;

/// One piece of a large object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose it is.
    pub oid: u32,
    /// The bytes; empty ends the object.
    pub bytes: Bytes,
}

/// Appends a piece to `out`. `bytes` holds at most [`PIECE_BYTES_MAX`].
pub fn put_piece(out: &mut BytesMut, oid: u32, bytes: &[u8]) {
    out.reserve(HEADER_BYTES + bytes.len());
    out.put_u32(oid);
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Cuts a stream, fed in any portions, back into pieces.
#[derive(Debug, Default)]
pub struct PieceDecoder {
    pending: BytesMut,
}

impl PieceDecoder {
    /// Takes the stream's next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole piece, if it has arrived.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(header) = self.pending.get(..HEADER_BYTES) else {
            return Ok(None);
        };
        let mut header = header;
        let oid = header.get_u32();
        let length = header.get_u32() as usize;
        if length > PIECE_BYTES_MAX {
            return Err(damaged(&format!(
                "a piece of large object {oid} claims {length} bytes"
            )));
        }
        if self.pending.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        self.pending.advance(HEADER_BYTES);
        let bytes = self.pending.split_to(length).freeze();
        Ok(Some(Piece { oid, bytes }))
    }

    /// An error when the stream ended within a piece.
    pub fn finish(self) -> Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(damaged("the stream ends within a piece"))
        }
    }
}

fn damaged(what: &str) -> Error {
    Error::new(
        Code::RepositoryCorrupt,
        format!("The stream of large objects does not parse: {what}"),
    )
}

#[cfg(test)]
mod tests;
