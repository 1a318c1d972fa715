//! Pieces that screens are put together from.

pub(crate) mod field;
pub(crate) mod list;
pub(crate) mod meter;
