//! Every key the format derives, with its label.
//!
//! Two secrets are stored in the key slots. The *domain secret* decides chunk ids and cut points
//! and may be shared by repositories; the *repository secret* decides everything that encrypts.

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{self, HKDF_SHA256};

use super::digest::Digest;
use crate::secret::SecretKey;

const CONTEXT_CHUNK_ID: &str = "backstay format 1 chunk id";
const CONTEXT_STREAM: &str = "backstay format 1 stream checksum";
const CONTEXT_GEAR: &str = "backstay format 1 gear table";
const CONTEXT_ROWS: &str = "backstay format 1 row hash";

/// What a repository-wide key is for; each use has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Authenticates `backstay.json`.
    Header,
    /// Index segments, pack directories, collectors' marks.
    Index,
    /// Snapshots, notes, trash.
    Meta,
    /// Session objects.
    Session,
    /// Wraps session keys.
    Wrap,
    /// Log segments.
    Log,
    /// Exports of the catalog.
    Export,
}

impl Role {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Header,
        Self::Index,
        Self::Meta,
        Self::Session,
        Self::Wrap,
        Self::Log,
        Self::Export,
    ];

    /// The HKDF label.
    pub fn label(self) -> &'static [u8] {
        match self {
            Self::Header => b"backstay/1 role header",
            Self::Index => b"backstay/1 role index",
            Self::Meta => b"backstay/1 role meta",
            Self::Session => b"backstay/1 role session",
            Self::Wrap => b"backstay/1 role wrap",
            Self::Log => b"backstay/1 role log",
            Self::Export => b"backstay/1 role export",
        }
    }
}

struct Bytes32;

impl hkdf::KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256 to 32 bytes.
pub fn hkdf32(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> SecretKey {
    let prk = hkdf::Salt::new(HKDF_SHA256, salt).extract(secret);
    expand32(&prk, info)
}

pub(super) fn expand32(prk: &hkdf::Prk, info: &[&[u8]]) -> SecretKey {
    let mut key = [0; 32];
    // `expand` fails only for outputs over 255 blocks and `fill` only for another length.
    #[allow(clippy::expect_used)]
    prk.expand(info, Bytes32)
        .and_then(|okm| okm.fill(&mut key))
        .expect("32 bytes are a valid HKDF-SHA256 output");
    SecretKey::new(key)
}

/// An AES-256-GCM key ready for use.
///
/// # Panics
/// Never: the length is right by its type.
pub fn aes(key: &[u8; 32]) -> LessSafeKey {
    // Fails only for keys of another length.
    #[allow(clippy::expect_used)]
    let unbound = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes");
    LessSafeKey::new(unbound)
}

/// The key for a role of the repository with that secret.
pub fn role_key(uid: &[u8; 16], repository_secret: &SecretKey, role: Role) -> SecretKey {
    hkdf32(uid, repository_secret.expose(), &[role.label()])
}

/// What the domain secret gives: chunk ids, stream checksums, cut points, row hashes.
#[derive(Clone)]
pub struct Domain {
    secret: SecretKey,
    id_key: SecretKey,
    stream_key: SecretKey,
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Domain(…)")
    }
}

impl Domain {
    /// The domain of that secret.
    pub fn new(secret: SecretKey) -> Self {
        let derive = |context| SecretKey::new(blake3::derive_key(context, secret.expose()));
        Self {
            id_key: derive(CONTEXT_CHUNK_ID),
            stream_key: derive(CONTEXT_STREAM),
            secret,
        }
    }

    /// The secret itself.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The id of a chunk.
    pub fn chunk_id(&self, bytes: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(self.id_key.expose(), bytes).as_bytes())
    }

    /// The id of a chunk that comes in pieces.
    pub fn chunk_id_of<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(self.id_key.expose());
        for piece in pieces {
            hasher.update(piece);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// A hasher for a stream's checksum.
    pub fn stream_hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(self.stream_key.expose())
    }

    /// The chunker's table: one number for each value of a byte.
    pub fn gear_table(&self) -> Box<[u64; 256]> {
        let mut bytes = [0; 2048];
        self.fill(CONTEXT_GEAR, &mut bytes);
        let mut table = Box::new([0; 256]);
        for (entry, bytes) in table.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *entry = u64::from_le_bytes(*bytes);
        }
        table
    }

    /// The secret of the row hash.
    pub fn row_hash_secret(&self) -> [u8; 192] {
        let mut bytes = [0; 192];
        self.fill(CONTEXT_ROWS, &mut bytes);
        bytes
    }

    fn fill(&self, context: &str, bytes: &mut [u8]) {
        blake3::Hasher::new_derive_key(context)
            .update(self.secret.expose())
            .finalize_xof()
            .fill(bytes);
    }
}
