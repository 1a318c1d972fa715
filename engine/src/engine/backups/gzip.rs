//! Compression for other programs: gzip, the same bytes for the same contents. RFC 1952.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};

use crate::error::{Error, Result};

/// The encoder is fed in portions of this size, however they come, so that its output depends on the
/// contents alone; each takes about a millisecond.
const PORTION_BYTES: usize = 64 << 10;
/// A file is compressed while somebody waits for it, so speed counts more than the last percent.
const LEVEL: u32 = 4;

/// Compresses what it is given, piece by piece.
#[derive(Debug)]
pub(super) struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    portion: Vec<u8>,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            // Without a time in the header, which would differ.
            encoder: GzBuilder::new().write(Vec::new(), Compression::new(LEVEL)),
            portion: Vec::with_capacity(PORTION_BYTES),
        }
    }
}

impl Gzip {
    /// Takes bytes; answers what is ready to be sent, perhaps nothing.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Bytes> {
        while !bytes.is_empty() {
            let room = PORTION_BYTES - self.portion.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.portion.extend_from_slice(now);
            bytes = later;
            if self.portion.len() == PORTION_BYTES {
                self.encoder.write_all(&self.portion).map_err(failed)?;
                self.portion.clear();
            }
        }
        Ok(Bytes::from(std::mem::take(self.encoder.get_mut())))
    }

    /// What is left, and the end of the file.
    pub(super) fn finish(mut self) -> Result<Bytes> {
        self.encoder.write_all(&self.portion).map_err(failed)?;
        self.encoder.finish().map(Bytes::from).map_err(failed)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("The export could not be compressed").because(error)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn compressed(contents: &[u8], piece: usize) -> Vec<u8> {
        let mut gzip = Gzip::default();
        let mut out = Vec::new();
        for piece in contents.chunks(piece) {
            out.extend(gzip.take(piece).unwrap());
        }
        out.extend(gzip.finish().unwrap());
        out
    }

    #[test]
    fn the_same_contents_give_the_same_bytes_however_they_come() {
        let contents: Vec<u8> = (0..300_000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes())
            .collect();
        let whole = compressed(&contents, contents.len());
        for piece in [1000, 65_536, 70_001] {
            assert!(whole == compressed(&contents, piece), "{piece}");
        }
        let mut back = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&whole[..]);
        decoder.read_to_end(&mut back).unwrap();
        assert!(back == contents);
        assert!(whole.len() < contents.len());
    }
}
