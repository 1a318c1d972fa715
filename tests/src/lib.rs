//! Harness for tests with real servers: databases in private folders on free ports, the databases'
//! own tools as oracles, and the `backstay` binary itself.
//!
//! Nothing here mocks. Everything that is started ends with the value that started it, by process
//! id, also when the test panics or is killed.

#![allow(
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a harness fails loudly, polls by sleeping, and says what it ran"
)]

pub mod compare;
pub mod engine;
pub mod places;
pub mod postgres;
pub mod process;
