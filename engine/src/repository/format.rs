//! Format 1, byte by byte. Nothing here does IO; every decoder is bounded and total.
//!
//! All integers are little-endian. `assets/docs/FORMAT.md` says the same in words.

pub mod derive;
pub mod digest;
pub mod extents;
pub mod frame;
pub mod header;
pub mod log;
pub mod pack;
pub mod records;
pub mod sealed;
pub mod segment;
pub mod session;
pub mod slot;
pub mod wire;

#[cfg(test)]
mod tests;

/// The format this code reads and writes.
pub const FORMAT: u32 = 1;
/// Longest chunk, in bytes before compression.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;
/// A pack is closed once its frames reach this many bytes.
pub const PACK_BYTES: usize = 16 << 20;
/// Longest pack a reader accepts.
pub const PACK_BYTES_MAX: u64 = 256 << 20;

/// How a chunk's bytes are stored inside its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Raw = 0,
    /// One LZ4 block without frame. Number 2 is kept for zstd.
    Lz4 = 1,
}

impl Codec {
    /// The codec of a stored number.
    pub fn from_number(number: u8) -> Result<Self, wire::Malformed> {
        match number {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Lz4),
            _ => Err(wire::Malformed("a codec this version does not know")),
        }
    }
}
