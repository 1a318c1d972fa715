//! A backup as files that the database's own tools load: plain SQL for `psql`, or a tar of it.
//!
//! Everything streams: memory does not grow with the rows.

mod globals;
mod sql;
mod tar;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;

use super::archive::Archive;
use crate::error::{Code, Error, Result};
use crate::monitor::Task;
use crate::repository::Repository;

/// What to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One SQL script.
    #[default]
    Sql,
    /// A tar: `restore.sql` for `psql`, and one file of `COPY` text a table.
    Tar,
}

/// What to leave out, and what to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportOptions {
    /// Owners.
    pub no_owner: bool,
    /// Grants.
    pub no_privileges: bool,
    /// Added, before all else: roles, memberships, tablespaces.
    pub globals: bool,
}

/// Writes a backup to `out`; returns how many bytes that were.
pub async fn export(
    repository: &Repository,
    archive: &Archive,
    format: ExportFormat,
    options: ExportOptions,
    out: &mut (dyn AsyncWrite + Send + Unpin),
    task: &Task,
) -> Result<u64> {
    let bytes = archive
        .tables
        .iter()
        .map(|table| table.entry.sum.data_bytes)
        .sum();
    task.monitor.stage("exporting");
    task.monitor
        .foresee(Some(archive.tables.len() as u64), Some(bytes));
    let mut out = Out {
        out: Some(out),
        written: 0,
    };
    let source = Source {
        repository,
        archive,
        options,
        task,
    };
    write(&source, format, &mut out).await?;
    out.flush().await?;
    Ok(out.written)
}

/// How many bytes [`export`] would write; no row is read for it.
pub async fn measure(
    repository: &Repository,
    archive: &Archive,
    format: ExportFormat,
    options: ExportOptions,
    task: &Task,
) -> Result<u64> {
    let mut out = Out {
        out: None,
        written: 0,
    };
    let source = Source {
        repository,
        archive,
        options,
        task,
    };
    write(&source, format, &mut out).await?;
    Ok(out.written)
}

async fn write(source: &Source<'_>, format: ExportFormat, out: &mut Out<'_>) -> Result<()> {
    let task = source.task;
    match format {
        ExportFormat::Sql => task.or_cancelled(sql::write(source, out)).await,
        ExportFormat::Tar => task.or_cancelled(tar::write(source, out)).await,
    }
}

/// What is exported.
struct Source<'a> {
    repository: &'a Repository,
    archive: &'a Archive,
    options: ExportOptions,
    task: &'a Task,
}

/// Counts what is written, or what would be.
struct Out<'a> {
    out: Option<&'a mut (dyn AsyncWrite + Send + Unpin)>,
    written: u64,
}

impl Out<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        use tokio::io::AsyncWriteExt as _;
        if let Some(out) = &mut self.out {
            out.write_all(bytes).await.map_err(unwritable)?;
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        use tokio::io::AsyncWriteExt as _;
        match &mut self.out {
            Some(out) => out.flush().await.map_err(unwritable),
            None => Ok(()),
        }
    }
}

fn unwritable(error: std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull => Code::NoSpace,
        _ => Code::StorageFailed,
    };
    Error::new(code, "The export cannot be written").because(error)
}
