//! Sealed objects: everything but packs. AES-256-GCM in records (the STREAM construction).
//!
//! ```text
//!  0  8  "BKSTOBJ1"          16 16  repository id          72  4  zero
//!  8  1  kind                32 32  salt                   76  4  CRC-32C of bytes 0..76
//!  9  1  key source: 0       64  8  plaintext length       80     records
//! 10  2  version of the kind
//! 12  4  plaintext bytes in a record
//! ```
//! key = HKDF-SHA256(salt, role key, "backstay/1 object" ‖ kind); record n has the nonce
//! le64(n) ‖ 0 0 0 ‖ (1 if last), the AAD header ‖ bound name. The bound name is the object's key,
//! of index segments without `-` and the hash.

use ring::aead::{Aad, LessSafeKey, Nonce};

use super::derive::{Role, aes, hkdf32};
use super::wire::{Cursor, Malformed};
use crate::secret::{SecretKey, random_bytes};

/// Length of the header.
pub const HEADER_BYTES: usize = 80;
const MAGIC: &[u8; 8] = b"BKSTOBJ1";
const TAG_BYTES: usize = 16;
/// What this writer uses.
const RECORD_BYTES: u32 = 1 << 20;
const RECORD_BYTES_MAX: u32 = 4 << 20;
const LABEL: &[u8] = b"backstay/1 object";

/// The kinds of sealed objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `sessions/<id>/<n>`.
    Session = 1,
    /// `index/<id>-<sha256>`.
    Segment = 2,
    /// `snapshots/<id>`.
    Snapshot = 3,
    /// `logs/<stream>/<timeline>/<start>-<end>`.
    Log = 4,
    /// `notes/<id>`.
    Note = 5,
    /// `trash/<id>`.
    Trash = 6,
    /// `gc/<id>`.
    Mark = 7,
    /// `exports/<id>`.
    Export = 8,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Session,
        Self::Segment,
        Self::Snapshot,
        Self::Log,
        Self::Note,
        Self::Trash,
        Self::Mark,
        Self::Export,
    ];

    /// Whose key seals it.
    pub fn role(self) -> Role {
        match self {
            Self::Session => Role::Session,
            Self::Segment | Self::Mark => Role::Index,
            Self::Snapshot | Self::Note | Self::Trash => Role::Meta,
            Self::Log => Role::Log,
            Self::Export => Role::Export,
        }
    }

    /// Where such objects live, with the final `/`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Session => "sessions/",
            Self::Segment => "index/",
            Self::Snapshot => "snapshots/",
            Self::Log => "logs/",
            Self::Note => "notes/",
            Self::Trash => "trash/",
            Self::Mark => "gc/",
            Self::Export => "exports/",
        }
    }
}

fn nonce(record: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&record.to_le_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

fn object_key(role_key: &SecretKey, salt: &[u8], kind: Kind) -> LessSafeKey {
    aes(hkdf32(salt, role_key.expose(), &[LABEL, &[kind as u8]]).expose())
}

fn associated(header: &[u8], bound_name: &str) -> Vec<u8> {
    [header, bound_name.as_bytes()].concat()
}

/// Seals `plain` as the object bound to `bound_name`.
pub fn seal(
    kind: Kind,
    version: u16,
    uid: &[u8; 16],
    role_key: &SecretKey,
    bound_name: &str,
    plain: &[u8],
) -> Vec<u8> {
    seal_with(
        kind,
        version,
        uid,
        role_key,
        bound_name,
        plain,
        random_bytes(),
    )
}

/// [`seal`] with a given salt, for golden vectors.
pub(super) fn seal_with(
    kind: Kind,
    version: u16,
    uid: &[u8; 16],
    role_key: &SecretKey,
    bound_name: &str,
    plain: &[u8],
    salt: [u8; 32],
) -> Vec<u8> {
    let record_bytes = RECORD_BYTES as usize;
    let records = plain.len().div_ceil(record_bytes).max(1);
    let mut out = Vec::with_capacity(HEADER_BYTES + plain.len() + records * TAG_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[kind as u8, 0]);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&RECORD_BYTES.to_le_bytes());
    out.extend_from_slice(uid);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());

    let key = object_key(role_key, &salt, kind);
    let aad = associated(&out, bound_name);
    for record in 0..records {
        let start = out.len();
        let from = record * record_bytes;
        out.extend_from_slice(&plain[from..plain.len().min(from + record_bytes)]);
        let nonce = nonce(record as u64, record + 1 == records);
        // Sealing fails only beyond GCM's 64 GiB.
        if let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from(&aad), &mut out[start..]) {
            out.extend_from_slice(tag.as_ref());
        }
    }
    out
}

/// What a sealed object says about itself before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// Its kind's number.
    pub kind: u8,
    /// The version of its plaintext.
    pub version: u16,
    /// The repository it belongs to.
    pub uid: [u8; 16],
    salt: [u8; 32],
    record_bytes: u32,
    plain_bytes: u64,
}

/// Reads the header and checks that the object has the length it promises.
pub fn preamble(bytes: &[u8]) -> Result<Preamble, Malformed> {
    let mut cursor = Cursor::new(bytes, "a sealed object's header is malformed");
    let header = cursor.take(HEADER_BYTES)?;
    let mut fields = Cursor::new(header, "a sealed object's header is malformed");
    fields.literal(MAGIC)?;
    let kind = fields.u8()?;
    fields.literal(&[0])?;
    let version = fields.u16()?;
    let record_bytes = fields.u32()?;
    let uid = fields.array()?;
    let salt = fields.array()?;
    let plain_bytes = fields.u64()?;
    fields.literal(&[0; 4])?;
    fields.literal(&crc32c::crc32c(&header[..HEADER_BYTES - 4]).to_le_bytes())?;
    fields.require((1..=RECORD_BYTES_MAX).contains(&record_bytes))?;
    let records = plain_bytes.div_ceil(u64::from(record_bytes)).max(1);
    let promised = records
        .checked_mul(TAG_BYTES as u64)
        .and_then(|tags| tags.checked_add(plain_bytes));
    if promised != Some(cursor.rest().len() as u64) {
        return Err(Malformed(
            "a sealed object does not have the length it says",
        ));
    }
    Ok(Preamble {
        kind,
        version,
        uid,
        salt,
        record_bytes,
        plain_bytes,
    })
}

/// Opens an object of `kind` that should be bound to `bound_name`; answers version and plaintext.
pub fn open(
    kind: Kind,
    uid: &[u8; 16],
    role_key: &SecretKey,
    bound_name: &str,
    bytes: &[u8],
) -> Result<(u16, Vec<u8>), Malformed> {
    let preamble = preamble(bytes)?;
    if preamble.kind != kind as u8 {
        return Err(Malformed(
            "a sealed object is of another kind than its place says",
        ));
    }
    if preamble.uid != *uid {
        return Err(Malformed("a sealed object belongs to another repository"));
    }
    let (header, sealed) = bytes.split_at(HEADER_BYTES);
    let key = object_key(role_key, &preamble.salt, kind);
    let aad = associated(header, bound_name);
    let record_bytes = preamble.record_bytes as usize;
    let records = (preamble.plain_bytes as usize)
        .div_ceil(record_bytes)
        .max(1);
    let mut plain = Vec::with_capacity(preamble.plain_bytes as usize);
    let mut work = Vec::with_capacity(record_bytes.min(sealed.len()) + TAG_BYTES);
    for (number, record) in sealed.chunks(record_bytes + TAG_BYTES).enumerate() {
        work.clear();
        work.extend_from_slice(record);
        let nonce = nonce(number as u64, number + 1 == records);
        let opened = key
            .open_in_place(nonce, Aad::from(&aad), &mut work)
            .map_err(|_| Malformed("a sealed object does not authenticate"))?;
        plain.extend_from_slice(opened);
    }
    Ok((preamble.version, plain))
}
