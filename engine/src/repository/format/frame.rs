//! Frames: one sealed chunk inside a pack, `nonce[12] ‖ ciphertext ‖ tag[16]`.
//!
//! chunk key = HKDF-Expand(PRK = session key, "backstay/1 chunk" ‖ id[32] ‖ codec u8 ‖ le32 length);
//! AES-256-GCM with a random nonce and no AAD: the key is bound to everything already. A frame
//! depends on nothing of its pack, so a collector moves it verbatim.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::hkdf::{HKDF_SHA256, Prk};

use super::Codec;
use super::derive::{aes, expand32};
use super::digest::Digest;
use super::wire::Malformed;
use crate::secret::{SecretKey, random_bytes};

/// Bytes a frame adds to its payload.
pub const OVERHEAD_BYTES: usize = NONCE_LEN + TAG_BYTES;
/// Bytes before the payload.
pub const NONCE_BYTES: usize = NONCE_LEN;
const TAG_BYTES: usize = 16;
const LABEL: &[u8] = b"backstay/1 chunk";

/// A session's key, ready to give chunk keys.
pub struct SessionKey {
    prk: Prk,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionKey {
    /// From the unwrapped key.
    pub fn new(key: &SecretKey) -> Self {
        Self {
            prk: Prk::new_less_safe(HKDF_SHA256, key.expose()),
        }
    }

    fn chunk_key(&self, id: &Digest, codec: Codec, raw_bytes: u32) -> LessSafeKey {
        let info: [&[u8]; 4] = [LABEL, &id.0, &[codec as u8], &raw_bytes.to_le_bytes()];
        aes(expand32(&self.prk, &info).expose())
    }

    /// Turns `room for the nonce ‖ payload ‖ room for the tag` into a frame in place.
    pub fn seal(&self, id: &Digest, codec: Codec, raw_bytes: u32, frame: &mut [u8]) {
        self.seal_with(id, codec, raw_bytes, frame, random_bytes());
    }

    /// [`Self::seal`] with a given nonce, for golden vectors.
    pub(super) fn seal_with(
        &self,
        id: &Digest,
        codec: Codec,
        raw_bytes: u32,
        frame: &mut [u8],
        nonce: [u8; NONCE_LEN],
    ) {
        debug_assert!(frame.len() >= OVERHEAD_BYTES);
        let end = frame.len() - TAG_BYTES;
        frame[..NONCE_BYTES].copy_from_slice(&nonce);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let key = self.chunk_key(id, codec, raw_bytes);
        // Sealing fails only beyond GCM's 64 GiB.
        if let Ok(tag) =
            key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut frame[NONCE_BYTES..end])
        {
            frame[end..].copy_from_slice(tag.as_ref());
        }
    }

    /// Opens a frame in place; answers the payload.
    pub fn open<'a>(
        &self,
        id: &Digest,
        codec: Codec,
        raw_bytes: u32,
        frame: &'a mut [u8],
    ) -> Result<&'a mut [u8], Malformed> {
        let (nonce, sealed) = frame
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(Malformed("a frame is too short"))?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.chunk_key(id, codec, raw_bytes)
            .open_in_place(nonce, Aad::empty(), sealed)
            .map_err(|_| Malformed("a chunk does not authenticate"))
    }
}

/// Turns an opened payload into the chunk's bytes, which must fill `out` exactly.
pub fn unpack(codec: Codec, payload: &[u8], out: &mut [u8]) -> Result<(), Malformed> {
    let written = match codec {
        Codec::Raw if payload.len() == out.len() => {
            out.copy_from_slice(payload);
            out.len()
        }
        Codec::Raw => 0,
        Codec::Lz4 => lz4_flex::block::decompress_into(payload, out)
            .map_err(|_| Malformed("a chunk does not decompress"))?,
    };
    if written == out.len() {
        Ok(())
    } else {
        Err(Malformed("a chunk does not have the length it says"))
    }
}
