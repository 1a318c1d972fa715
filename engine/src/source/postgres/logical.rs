//! Logical backups of PostgreSQL databases: the schema as statements, the rows as `COPY` bytes.

pub mod contents;
pub mod draft;
pub mod large_objects;
pub mod object;
pub mod restore;
