//! Pieces that screens are put together from.

pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod list;
pub(crate) mod meter;
pub(crate) mod sheet;
