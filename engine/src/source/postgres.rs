//! PostgreSQL, versions 10 to 18.

mod connect;
pub mod facts;
pub mod failure;
pub mod logical;
pub mod session;
pub mod target;
pub mod wire;

pub use failure::ServerError;
pub use session::{Row, Sql};
pub use target::Target;
