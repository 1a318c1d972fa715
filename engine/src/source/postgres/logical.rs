//! Logical backups of PostgreSQL databases: the schema as statements, the rows as `COPY` bytes.

pub mod acl;
pub mod catalog;
mod comments;
pub mod contents;
pub mod copy;
pub mod database;
pub mod defined;
pub mod draft;
pub mod foreign_text;
pub mod globals;
pub mod large_objects;
mod needed;
pub mod object;
pub mod objects;
pub mod order;
pub mod quote;
pub mod ranges;
pub mod reader;
pub mod restore;
pub mod schema;
pub mod selection;
pub mod snapshot;
pub mod values;
