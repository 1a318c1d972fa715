//! PostgreSQL, versions 10 to 18.

pub mod logical;
