//! Key slots: each opens the repository on its own.
//!
//! ```text
//!  0  8  "BKSTKEY1"       12 16  repository id      44 32  salt
//!  8  1  kind             28 16  slot id            76  4  memory in KiB (passphrase), else 0
//!  9  1  zero                                       80  4  passes (passphrase), else 0
//! 10  2  version: 1                                 84  4  lanes (passphrase), else 0
//! 88     u16 length ‖ label in UTF-8
//!        nonce[12] ‖ u16 length ‖ AES-256-GCM(bundle) ‖ tag[16], AAD = all bytes before the nonce
//!        SHA-256 of all bytes before
//! ```
//! The slot key is HKDF-SHA256(salt, secret, "backstay/1 slot" ‖ kind); the secret is the 32 bytes
//! of a key file, the 20 bytes of a recovery code, or Argon2id's 32 bytes for a passphrase (same
//! salt). The bundle is a list of `tag u16 ‖ length u16 ‖ bytes`: 1 the domain secret, 2 the
//! repository secret. Unknown tags are skipped, so that slots with fewer rights fit.

use ring::aead::{Aad, NONCE_LEN, Nonce};

use super::derive::{aes, hkdf32};
use super::wire::{Cursor, Malformed};
use crate::ids::SlotId;
use crate::secret::{SecretKey, SecretText, random_bytes};

const MAGIC: &[u8; 8] = b"BKSTKEY1";
const VERSION: u16 = 1;
const LABEL: &[u8] = b"backstay/1 slot";
const TAG_DOMAIN: u16 = 1;
const TAG_REPOSITORY: u16 = 2;
const LABEL_BYTES_MAX: usize = 256;
/// Longest slot a reader looks at.
pub const BYTES_MAX: u64 = 64 << 10;
/// Where key slots live.
pub const PREFIX: &str = "keys/";

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotKind {
    /// The 32 bytes of a key file.
    KeyFile = 1,
    /// A passphrase. Number 4 is kept for public recipients.
    Passphrase = 2,
    /// The code of a recovery kit.
    RecoveryCode = 3,
}

/// What Argon2id is to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// What new slots use: 64 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: Self = Self {
        memory_kib: 64 << 10,
        passes: 3,
        lanes: 4,
    };
    const ZERO: Self = Self {
        memory_kib: 0,
        passes: 0,
        lanes: 0,
    };

    /// A hostile slot must not make a reader spend more than this.
    fn is_bearable(self) -> bool {
        self.memory_kib <= 2 << 20
            && (1..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
    }
}

/// The secrets a slot protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Decides chunk ids and cut points.
    pub domain: SecretKey,
    /// Decides everything that encrypts.
    pub repository: SecretKey,
}

/// A slot's open part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// What opens it.
    pub kind: SlotKind,
    /// Its id, as in the object's key.
    pub id: SlotId,
    /// The repository.
    pub uid: [u8; 16],
    /// For people.
    pub label: String,
    salt: [u8; 32],
    cost: Cost,
}

/// The key of a slot's object.
pub fn key(id: SlotId) -> String {
    format!("{PREFIX}{}", id.ulid())
}

/// The secret bytes that open a slot, before the slot's own derivation.
#[derive(Clone, Debug)]
pub enum SlotSecret<'a> {
    /// Of a key file.
    KeyFile(&'a SecretKey),
    /// As it was typed.
    Passphrase(&'a SecretText),
    /// Decoded.
    RecoveryCode([u8; 20]),
}

impl SlotSecret<'_> {
    /// The kind of slot it opens.
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::RecoveryCode(_) => SlotKind::RecoveryCode,
        }
    }

    fn slot_key(&self, salt: &[u8; 32], cost: Cost) -> Result<SecretKey, Malformed> {
        let info: [&[u8]; 2] = [LABEL, &[self.kind() as u8]];
        Ok(match self {
            Self::KeyFile(key) => hkdf32(salt, key.expose(), &info),
            Self::RecoveryCode(code) => hkdf32(salt, code, &info),
            Self::Passphrase(text) => hkdf32(salt, stretch(text, salt, cost)?.expose(), &info),
        })
    }
}

/// The key that Argon2id makes from a passphrase; slow on purpose.
pub(crate) fn stretch(
    text: &SecretText,
    salt: &[u8; 32],
    cost: Cost,
) -> Result<SecretKey, Malformed> {
    use argon2::{Algorithm, Argon2, Params, Version};
    let impossible = Malformed("a key slot asks for an impossible Argon2id cost");
    if !cost.is_bearable() {
        return Err(impossible);
    }
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| impossible)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.expose().as_bytes(), salt, &mut key)
        .map_err(|_| impossible)?;
    Ok(SecretKey::new(key))
}

/// Makes a slot; slow for passphrases.
pub fn seal(
    id: SlotId,
    uid: &[u8; 16],
    label: &str,
    secret: &SlotSecret<'_>,
    bundle: &Bundle,
) -> Result<Vec<u8>, Malformed> {
    let cost = match secret {
        SlotSecret::Passphrase(_) => Cost::DEFAULT,
        _ => Cost::ZERO,
    };
    seal_with(
        id,
        uid,
        label,
        secret,
        bundle,
        cost,
        (random_bytes(), random_bytes()),
    )
}

pub(super) fn seal_with(
    id: SlotId,
    uid: &[u8; 16],
    label: &str,
    secret: &SlotSecret<'_>,
    bundle: &Bundle,
    cost: Cost,
    (salt, nonce): ([u8; 32], [u8; NONCE_LEN]),
) -> Result<Vec<u8>, Malformed> {
    if label.len() > LABEL_BYTES_MAX {
        return Err(Malformed("a key slot's label is too long"));
    }
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[secret.kind() as u8, 0]);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(uid);
    out.extend_from_slice(&id.to_bytes());
    out.extend_from_slice(&salt);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(label.len() as u16).to_le_bytes());
    out.extend_from_slice(label.as_bytes());

    let mut sealed = zeroize::Zeroizing::new(Vec::with_capacity(128));
    for (tag, key) in [
        (TAG_DOMAIN, &bundle.domain),
        (TAG_REPOSITORY, &bundle.repository),
    ] {
        sealed.extend_from_slice(&tag.to_le_bytes());
        sealed.extend_from_slice(&32u16.to_le_bytes());
        sealed.extend_from_slice(key.expose());
    }
    let key = aes(secret.slot_key(&salt, cost)?.expose());
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(out.as_slice()),
        &mut *sealed,
    )
    .map_err(|_| Malformed("a key slot cannot be sealed"))?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&(sealed.len() as u16).to_le_bytes());
    out.extend_from_slice(&sealed);
    let sum = super::pack::name(&out);
    out.extend_from_slice(&sum.0);
    Ok(out)
}

struct Parsed<'a> {
    header: SlotHeader,
    aad: &'a [u8],
    nonce: [u8; NONCE_LEN],
    sealed: &'a [u8],
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Malformed> {
    let split = bytes.len().checked_sub(32);
    let (body, sum) = split
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(Malformed("a key slot is too short"))?;
    if super::pack::name(body).0 != sum {
        return Err(Malformed("a key slot is damaged"));
    }
    let mut cursor = Cursor::new(body, "a key slot is malformed");
    cursor.literal(MAGIC)?;
    let kind = match cursor.u8()? {
        1 => SlotKind::KeyFile,
        2 => SlotKind::Passphrase,
        3 => SlotKind::RecoveryCode,
        _ => return Err(Malformed("a key slot has a kind not known here")),
    };
    cursor.literal(&[0])?;
    cursor.literal(&VERSION.to_le_bytes())?;
    let uid = cursor.array()?;
    let id = SlotId::from_bytes(cursor.array()?);
    let salt = cursor.array()?;
    let cost = Cost {
        memory_kib: cursor.u32()?,
        passes: cursor.u32()?,
        lanes: cursor.u32()?,
    };
    let length = usize::from(cursor.u16()?);
    cursor.require(length <= LABEL_BYTES_MAX)?;
    let label = std::str::from_utf8(cursor.take(length)?)
        .map_err(|_| Malformed("a key slot's label is not UTF-8"))?
        .to_owned();
    let aad = &body[..body.len() - cursor.rest().len()];
    let nonce = cursor.array()?;
    let length = usize::from(cursor.u16()?);
    let sealed = cursor.take(length)?;
    cursor.end()?;
    Ok(Parsed {
        header: SlotHeader {
            kind,
            id,
            uid,
            label,
            salt,
            cost,
        },
        aad,
        nonce,
        sealed,
    })
}

/// Reads a slot's open part.
pub fn header(bytes: &[u8]) -> Result<SlotHeader, Malformed> {
    parse(bytes).map(|parsed| parsed.header)
}

/// Tries to open a slot; `None` when the secret is not the one. Slow for passphrases.
pub fn open(bytes: &[u8], secret: &SlotSecret<'_>) -> Result<Option<Bundle>, Malformed> {
    let parsed = parse(bytes)?;
    let header = &parsed.header;
    if header.kind != secret.kind() {
        return Ok(None);
    }
    let key = aes(secret.slot_key(&header.salt, header.cost)?.expose());
    let mut work = zeroize::Zeroizing::new(parsed.sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(parsed.nonce);
    let Ok(plain) = key.open_in_place(nonce, Aad::from(parsed.aad), &mut work) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(plain, "a key slot's bundle is malformed");
    let (mut domain, mut repository) = (None, None);
    while !cursor.rest().is_empty() {
        let tag = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        let value = cursor.take(length)?;
        let into = match tag {
            TAG_DOMAIN => &mut domain,
            TAG_REPOSITORY => &mut repository,
            _ => continue,
        };
        let bytes: [u8; 32] = value
            .try_into()
            .map_err(|_| Malformed("a key slot's secret has a wrong length"))?;
        *into = Some(SecretKey::new(bytes));
    }
    match (domain, repository) {
        (Some(domain), Some(repository)) => Ok(Some(Bundle { domain, repository })),
        _ => Err(Malformed("a key slot lacks a secret this version needs")),
    }
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_DIGITS: usize = 35;

/// A recovery code as people write it: seven groups of five digits in Crockford's base 32.
///
/// 32 digits carry 160 random bits, three the first 15 bits of their SHA-256.
pub fn write_code(secret: &[u8; 20]) -> SecretText {
    let sum = super::pack::name(secret).0;
    let mut bits = zeroize::Zeroizing::new([0; 22]);
    bits[..20].copy_from_slice(secret);
    bits[20..].copy_from_slice(&sum[..2]);
    let mut text = String::with_capacity(CODE_DIGITS + 6);
    for digit in 0..CODE_DIGITS {
        if digit > 0 && digit % 5 == 0 {
            text.push('-');
        }
        let value = (0..5).fold(0, |value, bit| {
            let place = digit * 5 + bit;
            (value << 1) | ((bits[place / 8] >> (7 - place % 8)) & 1)
        });
        text.push(char::from(ALPHABET[usize::from(value)]));
    }
    SecretText::new(text)
}

/// Reads a recovery code, forgiving case, separators and the look-alikes of 0 and 1.
pub fn read_code(text: &str) -> Option<[u8; 20]> {
    let mut bits = zeroize::Zeroizing::new([0u8; 22]);
    let mut digits = 0;
    for character in text
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '\t' | '\r' | '\n'))
    {
        let value = match character.to_ascii_uppercase() {
            'I' | 'L' => 1,
            'O' => 0,
            upper => ALPHABET
                .iter()
                .position(|known| char::from(*known) == upper)?,
        };
        if digits == CODE_DIGITS {
            return None;
        }
        for bit in 0..5 {
            let place = digits * 5 + bit;
            bits[place / 8] |= ((value >> (4 - bit) & 1) as u8) << (7 - place % 8);
        }
        digits += 1;
    }
    let secret: [u8; 20] = bits[..20].try_into().ok()?;
    let sum = super::pack::name(&secret).0;
    let matches = bits[20] == sum[0] && bits[21] == sum[1] & 0xFE;
    (digits == CODE_DIGITS && matches).then_some(secret)
}
