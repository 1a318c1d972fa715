//! Harness for tests with real servers: databases in private folders on free ports, the databases'
//! own tools as oracles, and the `backstay` binary itself.
//!
//! Nothing here mocks. Everything that is started ends with the value that started it, by process
//! id, also when the test panics or is killed.

pub mod api;
pub mod backups;
pub mod certificates;
pub mod compare;
pub mod engine;
pub mod facade;
pub mod flawed;
pub mod generate;
pub mod golden;
pub mod identity;
pub mod mail;
pub mod memory;
pub mod places;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod stepped;
