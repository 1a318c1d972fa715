//! Packs: frames back to back, random padding, an encrypted directory at the end.
//!
//! ```text
//!  0  8  "BKSTPAK1"          16 16  repository id          76  4  CRC-32C of bytes 0..76
//!  8  2  version: 1          32 32  salt                   80     frames, padding
//! 10  6  zero                64 12  zero
//! …      directory, sealed   (its plaintext padded with zeros to a multiple of 4096)
//! -16 4  directory length    -12 4  CRC-32C of directory and length    -8 8  "BKSTEND1"
//! ```
//! directory key = HKDF-SHA256(salt, index role key, "backstay/1 pack directory"), nonce zero,
//! AAD = the 80 header bytes. The pack's name is the SHA-256 of all its bytes.

use ring::aead::{Aad, Nonce};

use super::Codec;
use super::derive::{aes, hkdf32};
use super::digest::Digest;
use super::session::{WRAPPED_BYTES_MAX, Wrapped};
use super::wire::{Cursor, Malformed};
use super::{CHUNK_BYTES_MAX, PACK_BYTES_MAX, frame};
use crate::ids::SessionId;
use crate::secret::{SecretKey, random_bytes};

/// Length of the header.
pub const HEADER_BYTES: usize = 80;
/// Length of the trailer.
pub const TRAILER_BYTES: usize = 16;
/// Length of one directory entry.
pub const ENTRY_BYTES: usize = 48;
const MAGIC: &[u8; 8] = b"BKSTPAK1";
const END_MAGIC: &[u8; 8] = b"BKSTEND1";
const VERSION: u16 = 1;
const DIRECTORY_ALIGN: usize = 4096;
const TAG_BYTES: usize = 16;
const LABEL: &[u8] = b"backstay/1 pack directory";

/// Where a chunk lies in its pack and how to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The chunk.
    pub id: Digest,
    /// Where its frame begins, from the pack's first byte.
    pub offset: u32,
    /// Length of the frame.
    pub stored_bytes: u32,
    /// Length of the chunk.
    pub raw_bytes: u32,
    /// How it is stored.
    pub codec: Codec,
    /// Which session of the table sealed it.
    pub session: u16,
}

impl Entry {
    /// `id[32] ‖ offset u32 ‖ stored u32 ‖ raw u24 ‖ codec u8 ‖ session u16 ‖ 0 u16`
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.stored_bytes.to_le_bytes());
        let raw = self.raw_bytes.to_le_bytes();
        out.extend_from_slice(&[raw[0], raw[1], raw[2], self.codec as u8]);
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>, sessions: usize) -> Result<Self, Malformed> {
        let id = Digest(cursor.array()?);
        let offset = cursor.u32()?;
        let stored_bytes = cursor.u32()?;
        let [a, b, c, codec] = cursor.array()?;
        let raw_bytes = u32::from_le_bytes([a, b, c, 0]);
        let session = cursor.u16()?;
        let end = u64::from(offset) + u64::from(stored_bytes);
        let sound = cursor.u16()? == 0
            && (session as usize) < sessions
            && raw_bytes as usize <= CHUNK_BYTES_MAX
            && stored_bytes as usize >= frame::OVERHEAD_BYTES
            && stored_bytes as usize <= CHUNK_BYTES_MAX + frame::OVERHEAD_BYTES
            && offset as usize >= HEADER_BYTES
            && end <= PACK_BYTES_MAX;
        cursor.require(sound)?;
        Ok(Self {
            id,
            offset,
            stored_bytes,
            raw_bytes,
            codec: Codec::from_number(codec)?,
            session,
        })
    }
}

/// What a pack holds; enough to rebuild the index from packs alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The sessions its frames were sealed in, with their wrapped keys.
    pub sessions: Vec<(SessionId, Wrapped)>,
    /// The frames in the order they lie.
    pub entries: Vec<Entry>,
}

pub(super) fn encode_sessions(sessions: &[(SessionId, Wrapped)], out: &mut Vec<u8>) {
    out.extend_from_slice(&(sessions.len() as u32).to_le_bytes());
    for (id, wrapped) in sessions {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&(wrapped.as_bytes().len() as u16).to_le_bytes());
        out.extend_from_slice(wrapped.as_bytes());
    }
}

pub(super) fn decode_sessions(
    cursor: &mut Cursor<'_>,
) -> Result<Vec<(SessionId, Wrapped)>, Malformed> {
    let count = cursor.count(18)?;
    cursor.require(count <= usize::from(u16::MAX) + 1)?;
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        let id = SessionId::from_bytes(cursor.array()?);
        let length = usize::from(cursor.u16()?);
        cursor.require(length <= WRAPPED_BYTES_MAX)?;
        sessions.push((id, Wrapped::from_bytes(cursor.take(length)?)?));
    }
    Ok(sessions)
}

impl Directory {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(DIRECTORY_ALIGN + self.entries.len() * ENTRY_BYTES);
        encode_sessions(&self.sessions, &mut out);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            entry.encode(&mut out);
        }
        out.resize(out.len().next_multiple_of(DIRECTORY_ALIGN), 0);
        out
    }

    pub(super) fn decode(plain: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(plain, "a pack's directory is malformed");
        let sessions = decode_sessions(&mut cursor)?;
        let count = cursor.count(ENTRY_BYTES)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(Entry::decode(&mut cursor, sessions.len())?);
        }
        cursor.require(
            cursor.rest().len() < DIRECTORY_ALIGN && cursor.rest().iter().all(|b| *b == 0),
        )?;
        Ok(Self { sessions, entries })
    }
}

/// Starts a pack: the header, to which frames are appended.
pub fn begin(uid: &[u8; 16], out: &mut Vec<u8>) {
    begin_with(uid, random_bytes(), out);
}

pub(super) fn begin_with(uid: &[u8; 16], salt: [u8; 32], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(uid);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&crc32c::crc32c(out).to_le_bytes());
}

/// Pads, seals the directory and ends the pack; answers its name.
pub fn end(index_key: &SecretKey, directory: &Directory, full: bool, out: &mut Vec<u8>) -> Digest {
    let plain = directory.encode();
    let base = out.len() + plain.len() + TAG_BYTES + TRAILER_BYTES;
    let padding = if full {
        usize::from(u16::from_le_bytes(random_bytes())) % DIRECTORY_ALIGN
    } else {
        padme(base) - base
    };
    let start = out.len();
    out.resize(start + padding, 0);
    crate::secret::fill_random(&mut out[start..]);
    finish(index_key, plain, out)
}

pub(super) fn finish(index_key: &SecretKey, mut plain: Vec<u8>, out: &mut Vec<u8>) -> Digest {
    let key = aes(hkdf32(&out[32..64], index_key.expose(), &[LABEL]).expose());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let aad = Aad::from(&out[..HEADER_BYTES]);
    // Sealing fails only beyond GCM's 64 GiB.
    if key
        .seal_in_place_append_tag(nonce, aad, &mut plain)
        .is_err()
    {
        plain.clear();
    }
    let start = out.len();
    out.extend_from_slice(&plain);
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out[start..]).to_le_bytes());
    out.extend_from_slice(END_MAGIC);
    name(out)
}

/// The name of a pack with these bytes.
pub fn name(bytes: &[u8]) -> Digest {
    let mut digest = Digest::ZERO;
    digest
        .0
        .copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

/// The next size of few: hides all but the magnitude (Padmé).
pub fn padme(size: usize) -> usize {
    let magnitude = size.max(2).ilog2();
    let kept = magnitude.max(1).ilog2() + 1;
    let loose = magnitude.saturating_sub(kept);
    size.next_multiple_of(1 << loose)
}

/// Where a pack of `size_bytes` with this trailer keeps its sealed directory: start, length.
pub fn locate_directory(size_bytes: u64, trailer: &[u8]) -> Result<(u64, u64), Malformed> {
    let mut cursor = Cursor::new(trailer, "a pack's end is malformed");
    let length = u64::from(cursor.u32()?);
    cursor.u32()?;
    cursor.literal(END_MAGIC)?;
    cursor.end()?;
    let used = HEADER_BYTES as u64 + length + TRAILER_BYTES as u64;
    if length < TAG_BYTES as u64 || used > size_bytes || size_bytes > PACK_BYTES_MAX {
        return Err(Malformed("a pack's directory length is impossible"));
    }
    Ok((size_bytes - TRAILER_BYTES as u64 - length, length))
}

/// Checks a pack's first bytes; answers the repository id.
pub fn check_header(bytes: &[u8]) -> Result<[u8; 16], Malformed> {
    let mut cursor = Cursor::new(bytes, "a pack's header is malformed");
    let header = cursor.take(HEADER_BYTES)?;
    let mut fields = Cursor::new(header, "a pack's header is malformed");
    fields.literal(MAGIC)?;
    fields.literal(&VERSION.to_le_bytes())?;
    fields.literal(&[0; 6])?;
    let uid = fields.array()?;
    fields.take(32)?;
    fields.literal(&[0; 12])?;
    fields.literal(&crc32c::crc32c(&header[..HEADER_BYTES - 4]).to_le_bytes())?;
    Ok(uid)
}

/// Opens the directory from a pack's header, its sealed directory and its trailer.
pub fn open_directory(
    uid: &[u8; 16],
    index_key: &SecretKey,
    header: &[u8],
    sealed: &[u8],
    trailer: &[u8],
) -> Result<Directory, Malformed> {
    if check_header(header)? != *uid {
        return Err(Malformed("a pack belongs to another repository"));
    }
    let mut cursor = Cursor::new(trailer, "a pack's end is malformed");
    let length = cursor.take(4)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(sealed), length);
    if cursor.u32()? != crc {
        return Err(Malformed("a pack's directory is damaged"));
    }
    let key = aes(hkdf32(&header[32..64], index_key.expose(), &[LABEL]).expose());
    let mut work = sealed.to_vec();
    let plain = key
        .open_in_place(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::from(&header[..HEADER_BYTES]),
            &mut work,
        )
        .map_err(|_| Malformed("a pack's directory does not authenticate"))?;
    Directory::decode(plain)
}

/// Opens the directory of a pack that is wholly at hand.
pub fn read_directory(
    uid: &[u8; 16],
    index_key: &SecretKey,
    bytes: &[u8],
) -> Result<Directory, Malformed> {
    let short = Malformed("a pack is too short");
    let (rest, trailer) = bytes
        .len()
        .checked_sub(TRAILER_BYTES)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(short)?;
    let (start, length) = locate_directory(bytes.len() as u64, trailer)?;
    let header = rest.get(..HEADER_BYTES).ok_or(short)?;
    let sealed = rest
        .get(start as usize..(start + length) as usize)
        .ok_or(short)?;
    open_directory(uid, index_key, header, sealed, trailer)
}
