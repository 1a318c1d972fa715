//! Logical backups of PostgreSQL databases: the schema as statements, the rows as `COPY` bytes.

pub mod draft;
pub mod object;
