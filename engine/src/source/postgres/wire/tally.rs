//! Counting and hashing rows as they pass, so that a restored table can be proved equal.
//!
//! Each line of `COPY` text is hashed without its newline by XXH3-128 under a secret, and the hashes
//! are added modulo 2^128. Addition does not care about order, so ranges can be read in any order and
//! a restored table may return its rows in another one. Inside a line PostgreSQL writes a newline as
//! `\n`, hence a newline byte always ends a row.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_secret};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The length of a [`RowSecret`] in bytes.
pub const ROW_SECRET_BYTES: usize = 192;

/// What row hashes are keyed with; it never leaves the engine.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RowSecret([u8; ROW_SECRET_BYTES]);

impl RowSecret {
    /// Takes over the bytes, which must be random.
    pub fn new(bytes: [u8; ROW_SECRET_BYTES]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for RowSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowSecret(…)")
    }
}

/// How many rows there were and what they were, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTally {
    /// Rows.
    pub rows: u64,
    /// The sum of the rows' hashes modulo 2^128, written as 32 hex digits.
    #[serde(with = "hex_u128")]
    pub row_hash: u128,
    /// Bytes of `COPY` text, newlines included.
    pub data_bytes: u64,
}

impl RowTally {
    /// The tally of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            row_hash: self.row_hash.wrapping_add(other.row_hash),
            data_bytes: self.data_bytes + other.data_bytes,
        }
    }

    /// The hash as it is written everywhere: 32 hex digits.
    pub fn hash_text(&self) -> String {
        format!("{:032x}", self.row_hash)
    }
}

mod hex_u128 {
    //! A 128-bit number as 32 hex digits.

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(D::Error::custom("a row hash has 32 hex digits"));
        }
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// Tallies `COPY` text that arrives in pieces cut anywhere.
pub struct RowCounter {
    secret: RowSecret,
    tally: RowTally,
    /// The beginning of a line whose end has not arrived.
    partial: Box<Xxh3>,
    open: bool,
}

impl std::fmt::Debug for RowCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowCounter")
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl RowCounter {
    /// Nothing counted yet.
    pub fn new(secret: &RowSecret) -> Self {
        Self {
            secret: secret.clone(),
            tally: RowTally::default(),
            partial: Box::new(Xxh3::with_secret(secret.0)),
            open: false,
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.tally.data_bytes += piece.len() as u64;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            let line = piece.get(start..end).unwrap_or_default();
            start = end + 1;
            let hash = if self.open {
                self.partial.update(line);
                let hash = self.partial.digest128();
                self.partial.reset();
                self.open = false;
                hash
            } else {
                xxh3_128_with_secret(line, &self.secret.0)
            };
            self.tally.rows += 1;
            self.tally.row_hash = self.tally.row_hash.wrapping_add(hash);
        }
        if let Some(rest) = piece.get(start..).filter(|rest| !rest.is_empty()) {
            self.partial.update(rest);
            self.open = true;
        }
    }

    /// The tally so far, of whole rows; `None` when the last line has not ended.
    pub fn tally(&self) -> Option<RowTally> {
        (!self.open).then_some(self.tally)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(seed: u8) -> RowSecret {
        RowSecret::new(std::array::from_fn(|i| {
            (i as u8 + seed).wrapping_mul(31 + 2 * seed)
        }))
    }

    fn tally_of(pieces: &[&[u8]]) -> Option<RowTally> {
        let mut counter = RowCounter::new(&secret(7));
        for piece in pieces {
            counter.update(piece);
        }
        counter.tally()
    }

    proptest! {
        #[test]
        fn neither_cuts_nor_order_matter(
            mut lines in proptest::collection::vec("[a-z\\\\\t]{0,400}", 0..20),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            turn in 0usize..20,
        ) {
            let text = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
            let whole = tally_of(&[text.as_bytes()]).unwrap();
            prop_assert_eq!(whole.rows as usize, lines.len());
            prop_assert_eq!(whole.data_bytes as usize, text.len());

            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(tally_of(&pieces), Some(whole));

            if !lines.is_empty() {
                let turn = turn % lines.len();
                lines.rotate_left(turn);
            }
            let turned = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
            prop_assert_eq!(tally_of(&[turned.as_bytes()]), Some(whole));
        }

        #[test]
        fn a_changed_row_changes_the_tally(line in "[a-z]{1,300}", other in "[a-z]{1,300}") {
            prop_assume!(line != other);
            let tally = |line: &str| tally_of(&[format!("{line}\n").as_bytes()]);
            prop_assert_ne!(tally(&line), tally(&other));
        }
    }

    #[test]
    fn the_secret_and_repetition_matter() {
        let mut one = RowCounter::new(&secret(1));
        let mut two = RowCounter::new(&secret(2));
        one.update(b"a\n");
        two.update(b"a\n");
        assert_ne!(one.tally(), two.tally());
        // A sum, not a XOR: a doubled row does not vanish.
        one.update(b"a\n");
        assert_ne!(one.tally().unwrap().row_hash, 0);
    }

    #[test]
    fn an_unfinished_row_is_no_tally() {
        assert_eq!(tally_of(&[b"a\nb"]), None);
        assert_eq!(tally_of(&[]).map(|t| t.rows), Some(0));
        assert_eq!(tally_of(&[b"\n\n"]).map(|t| t.rows), Some(2));
    }

    #[test]
    fn tallies_are_written_as_hex() {
        let tally = RowTally {
            rows: 1,
            row_hash: 0xab,
            data_bytes: 2,
        };
        let text = serde_json::to_string(&tally).unwrap();
        let hex = "000000000000000000000000000000ab";
        assert!(text.contains(hex), "{text}");
        assert_eq!(tally.hash_text(), hex);
        assert_eq!(serde_json::from_str::<RowTally>(&text).unwrap(), tally);
        assert!(serde_json::from_str::<RowTally>(&text.replace("000ab", "0+0ab")).is_err());
    }
}
