//! One chunk to one frame and back, with buffers that are used again and again.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use super::format::Codec;
use super::format::digest::Digest;
use super::format::frame::{NONCE_BYTES, SessionKey, unpack};
use super::format::wire::Malformed;

/// What one worker needs at hand.
pub(crate) struct Scratch {
    /// The frame being made.
    pub(crate) frame: Vec<u8>,
    /// A copy of a frame that is opened in place.
    opened: Vec<u8>,
    /// A chunk whose pieces had to be joined, or that was opened to be compared.
    pub(crate) joined: Vec<u8>,
    compared: Vec<u8>,
    small: CompressTable,
    large: CompressTable,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            frame: Vec::new(),
            opened: Vec::new(),
            joined: Vec::new(),
            compared: Vec::new(),
            small: CompressTable::small(),
            large: CompressTable::large(),
        }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Scratch {
    /// Seals `raw` into `self.frame`; with `verify`, opens it again and compares.
    pub(crate) fn seal(
        &mut self,
        key: &SessionKey,
        id: &Digest,
        raw: &[u8],
        verify: bool,
    ) -> Result<Codec, Malformed> {
        let codec = self.pack(raw);
        key.seal(id, codec, raw.len() as u32, &mut self.frame);
        if verify {
            self.compared.resize(raw.len(), 0);
            open_frame(
                &mut self.opened,
                key,
                (id, codec),
                &self.frame,
                &mut self.compared,
            )?;
            if self.compared != raw {
                return Err(Malformed("a chunk did not read back as it was written"));
            }
        }
        Ok(codec)
    }

    /// Fills `self.frame` with room for the nonce and the payload.
    fn pack(&mut self, raw: &[u8]) -> Codec {
        let frame = &mut self.frame;
        let room = NONCE_BYTES + get_maximum_output_size(raw.len());
        if frame.len() < room {
            frame.resize(room, 0);
        }
        let table = if raw.len() < usize::from(u16::MAX) {
            &mut self.small
        } else {
            &mut self.large
        };
        // Saving under 3 % is not worth the work of decompressing.
        let worthwhile = raw.len() - raw.len() / 32;
        match compress_into_with_table(raw, &mut frame[NONCE_BYTES..], table) {
            Ok(length) if length < worthwhile => {
                frame.truncate(NONCE_BYTES + length);
                Codec::Lz4
            }
            _ => {
                frame.truncate(NONCE_BYTES);
                frame.extend_from_slice(raw);
                Codec::Raw
            }
        }
    }

    /// Opens `frame` into `out`, which has the chunk's length.
    pub(crate) fn open(
        &mut self,
        key: &SessionKey,
        chunk: (&Digest, Codec),
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<(), Malformed> {
        open_frame(&mut self.opened, key, chunk, frame, out)
    }
}

fn open_frame(
    opened: &mut Vec<u8>,
    key: &SessionKey,
    (id, codec): (&Digest, Codec),
    frame: &[u8],
    out: &mut [u8],
) -> Result<(), Malformed> {
    opened.clear();
    opened.extend_from_slice(frame);
    let payload = key.open(id, codec, out.len() as u32, opened)?;
    unpack(codec, payload, out)
}
