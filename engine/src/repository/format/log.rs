//! Log segments: a stretch of WAL or binlog, sealed and self-contained.
//!
//! ```text
//! u32 length ‖ JSON header
//! blocks: codec u8 ‖ raw length u24 ‖ stored length u32 ‖ bytes
//! ```

use serde::{Deserialize, Serialize};

use super::Codec;
use super::frame::unpack;
use super::sealed::Kind;
use super::wire::{Cursor, Malformed};

/// The plaintext's version.
pub const VERSION: u16 = 1;
/// Bytes in a block before compression.
pub const BLOCK_BYTES: usize = 1 << 20;
/// Longest segment, before compression.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;
const HEADER_BYTES_MAX: usize = 1 << 20;

/// What a log segment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeader {
    /// The archive it belongs to.
    pub stream: String,
    /// PostgreSQL's timeline, or the server's identity.
    pub timeline: String,
    /// The position of its first byte, as the source writes it.
    pub start: String,
    /// The position after its last byte.
    pub end: String,
    /// Whether a longer segment with the same start is still to come.
    pub partial: bool,
    /// Its length, in bytes.
    pub length_bytes: u64,
    /// Whatever the source wants to keep.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub facts: serde_json::Value,
}

/// The key of a log segment's object.
pub fn key(header: &LogHeader) -> String {
    format!(
        "{}{}/{}/{}-{}",
        Kind::Log.prefix(),
        header.stream,
        header.timeline,
        header.start,
        header.end
    )
}

/// The plaintext.
pub fn encode(header: &LogHeader, body: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(header).unwrap_or_default();
    let mut out = Vec::with_capacity(json.len() + body.len() / 2);
    out.extend_from_slice(&(json.len() as u32).to_le_bytes());
    out.extend_from_slice(&json);
    for block in body.chunks(BLOCK_BYTES) {
        let packed = lz4_flex::block::compress(block);
        let (codec, stored) = if packed.len() < block.len() {
            (Codec::Lz4, packed.as_slice())
        } else {
            (Codec::Raw, block)
        };
        let raw = (block.len() as u32).to_le_bytes();
        out.extend_from_slice(&[codec as u8, raw[0], raw[1], raw[2]]);
        out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        out.extend_from_slice(stored);
    }
    out
}

/// Reads the plaintext of that version.
pub fn decode(version: u16, plain: &[u8]) -> Result<(LogHeader, Vec<u8>), Malformed> {
    if version != VERSION {
        return Err(Malformed("a log segment has a version not known here"));
    }
    let mut cursor = Cursor::new(plain, "a log segment is malformed");
    let length = cursor.count(1)?;
    cursor.require(length <= HEADER_BYTES_MAX)?;
    let header: LogHeader = serde_json::from_slice(cursor.take(length)?)
        .map_err(|_| Malformed("a log segment's header is not its JSON"))?;
    cursor.require(header.length_bytes <= SEGMENT_BYTES_MAX)?;
    let mut body = Vec::new();
    while !cursor.rest().is_empty() {
        let [codec, a, b, c] = cursor.array()?;
        let raw_bytes = u32::from_le_bytes([a, b, c, 0]) as usize;
        let stored_bytes = cursor.u32()? as usize;
        let stored = cursor.take(stored_bytes)?;
        let start = body.len();
        let end = start + raw_bytes;
        cursor.require(raw_bytes <= BLOCK_BYTES && end as u64 <= header.length_bytes)?;
        body.resize(end, 0);
        unpack(Codec::from_number(codec)?, stored, &mut body[start..])?;
    }
    cursor.require(body.len() as u64 == header.length_bytes)?;
    Ok((header, body))
}
