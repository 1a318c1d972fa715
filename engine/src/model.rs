//! The documents that cross the API: what every façade method takes and answers.
//!
//! These types are the JSON of the native API, field for field. Requests refuse unknown fields;
//! sizes end in `_bytes`, durations in `_ms`, times are RFC 3339 in UTC.

mod choices;

pub mod access;
pub mod alert;
pub mod backup;
pub mod connection;
pub mod database;
pub mod doctor;
pub mod drill;
pub mod edit;
pub mod event;
pub mod figures;
pub mod job;
pub mod log;
pub mod notification;
pub mod object;
pub mod overview;
pub mod page;
pub mod plan;
pub mod points;
pub mod project;
pub mod report;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod rows;
pub mod run;
pub mod schedule;
pub mod secret_field;
pub mod settings;
pub mod status;
mod stored;
pub mod task;
pub mod transfer;
pub mod trends;

pub use access::*;
pub use alert::*;
pub use backup::*;
pub use connection::*;
pub use database::*;
pub use doctor::*;
pub use drill::*;
pub use edit::*;
pub use event::*;
pub use figures::*;
pub use job::*;
pub use log::*;
pub use notification::*;
pub use object::*;
pub use overview::*;
pub use page::*;
pub use plan::*;
pub use points::*;
pub use project::*;
pub use report::*;
pub use repository::*;
pub use restore::*;
pub use retention::*;
pub use rows::*;
pub use run::*;
pub use schedule::*;
pub use settings::*;
pub use status::*;
pub use stored::*;
pub use task::*;
pub use transfer::*;
pub use trends::*;

/// A moment, in UTC.
pub type Time = chrono::DateTime<chrono::Utc>;
