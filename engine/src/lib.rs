//! Backstay's engine: everything that happens, without HTTP and without a terminal.
//!
//! Rules, stated as absences: nothing here prints or exits; nothing reads the wall clock except
//! through [`clock::Clock`]; no object in a repository is changed in place; no secret type can be
//! printed or serialised by accident.

pub mod access;
pub mod catalog;
mod caught;
pub mod clock;
pub mod config;
pub mod engine;
pub mod error;
pub mod event;
pub mod ids;
pub mod model;
pub mod monitor;
pub mod notify;
mod outbound;
pub mod pipeline;
pub mod repository;
pub mod retention;
pub mod runs;
pub mod schedule;
pub mod secret;
pub mod source;
pub mod storage;
mod transport;
pub mod units;
pub mod vault;
pub mod workers;

pub use engine::{Engine, Export, FirstAdministrator, GivenAnswer, Prepared, RepeatKey, Ticket};
pub use error::{Code, Error, Result};
