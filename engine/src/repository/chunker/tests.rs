//! Golden cut points and properties of the chunker.
