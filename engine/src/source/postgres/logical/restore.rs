//! The parts of a logical restore that know PostgreSQL: what runs when, in which session.

pub mod choose;
pub mod databases;
pub mod doomed;
pub mod inspect;
pub mod maker;
pub mod renaming;
pub mod schedule;
pub mod session;
