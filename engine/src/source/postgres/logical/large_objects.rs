//! How the bytes of large objects are framed in a backup's stream.
//!
//! A stream is a row of pieces: OID (4 bytes, big-endian), length (4 bytes, big-endian), that many
//! bytes. The pieces of one object follow one another and are its contents in order; a piece of
//! length 0 ends the object. So an empty object is one such piece, and no object, however large,
//! needs more memory than one piece ([`PIECE_BYTES_MAX`]).
//!
//! Who may read them is asked before any row moves: [`unreadable`].

use std::collections::BTreeSet;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::source::postgres::session::Sql;

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

/// The large objects of the session's database that its role may not read.
///
/// Before version 18 no function says so. Reading is then a matter of what was granted to the role,
/// to roles it has the rights of, or to all: `pg_read_all_data` gives nothing here.
pub async fn unreadable(sql: &Sql) -> Result<BTreeSet<u32>> {
    let granted = if sql.version() >= 180_000 {
        "pg_catalog.has_largeobject_privilege(l.oid, 'SELECT')"
    } else {
        "(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) \
         OR EXISTS (SELECT 1 FROM pg_catalog.aclexplode(COALESCE(l.lomacl, \
           pg_catalog.acldefault('L', l.lomowner))) a WHERE a.privilege_type = 'SELECT' \
           AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))"
    };
    let query = format!(
        "SELECT l.oid FROM pg_catalog.pg_largeobject_metadata l \
         WHERE pg_catalog.current_setting('lo_compat_privileges') = 'off' AND NOT ({granted}) \
         ORDER BY 1"
    );
    let rows = sql.rows(&query).await?;
    rows.iter().map(|row| row.oid("oid")).collect()
}

/// Some of many large objects by name.
pub fn named(oids: &BTreeSet<u32>) -> String {
    const NAMED_MAX: usize = 20;
    let first: Vec<String> = oids.iter().take(NAMED_MAX).map(u32::to_string).collect();
    match oids.len().saturating_sub(NAMED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
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
