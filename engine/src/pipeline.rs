//! Joins sources and the repository: a backup, a restore and a verification from end to end.
//!
//! Nothing here knows a protocol or a storage format; nothing below knows of both sides. Each
//! pipeline is given a [`crate::monitor::Task`] and stops within a second when it is cancelled.

pub mod archive;
pub mod backup;
pub mod export;
mod gathering;
pub mod plan;
pub mod preview;
pub mod restore;
pub mod scratch;
pub mod verify;
