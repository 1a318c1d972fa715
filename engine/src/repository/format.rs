//! Format 1, byte by byte. Nothing here does IO; every decoder is bounded and total.

pub mod digest;
