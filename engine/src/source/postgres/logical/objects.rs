//! One module for each family of database objects: what it reads, and as which statements it
//! gives it back.

use super::draft::Collected;
use super::reader::Reader;
use crate::error::Result;

mod extensions;
mod schemas;

/// Reads every object that belongs to the backup.
pub async fn read_all(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    extensions::read(reader, out).await?;
    schemas::read(reader, out).await?;
    Ok(())
}
