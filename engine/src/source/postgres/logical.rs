//! Logical backups of PostgreSQL databases: the schema as statements, the rows as `COPY` bytes.

pub mod contents;
pub mod acl;
pub mod catalog;
mod comments;
pub mod draft;
pub mod large_objects;
pub mod object;
pub mod restore;
pub mod objects;
pub mod quote;
pub mod reader;
pub mod selection;
