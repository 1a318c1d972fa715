//! Backups: make, find, look into, prove, compare, annotate, delete, export.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{
    Backup, BackupCreate, BackupDelete, BackupDiff, BackupEdit, BackupList, BackupObject,
    BackupStats, Deletion, ExportRequest, LogLine, LogQuery, ObjectList, Page, Started, Trigger,
    VerifyRequest,
};

/// An export on its way; a [`futures_util::Stream`] of blocks. Dropping it stops the export.
#[derive(Debug)]
pub struct Export {
    /// A name for the file.
    pub file_name: String,
    /// Its media type.
    pub content_type: &'static str,
    blocks: mpsc::Receiver<Result<Bytes>>,
}

impl Export {
    /// The next block; an error ends the stream, and what came before it is not a whole export.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        self.blocks.recv().await
    }
}

impl futures_util::Stream for Export {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.blocks.poll_recv(context)
    }
}

impl Engine {
    /// Backups, newest first.
    pub async fn backups(&self, list: &BackupList) -> Result<Page<Backup>> {
        let _ = list;
        not_yet()
    }

    /// One backup: an id, a unique prefix of one, `CONNECTION[/DATABASE]@latest` or `…@TIME`.
    pub async fn backup(&self, spelling: &str) -> Result<Backup> {
        let _ = spelling;
        not_yet()
    }

    /// Queues backups: of one database, or of every selected one of a server.
    pub async fn run_backup(&self, create: BackupCreate, trigger: Trigger) -> Result<Started> {
        let _ = (create, trigger);
        not_yet()
    }

    /// Changes label, note and pin; the repository keeps them too.
    pub async fn edit_backup(&self, spelling: &str, edit: &BackupEdit) -> Result<Backup> {
        let _ = (spelling, edit);
        not_yet()
    }

    /// Puts a backup into the trash, from which it can be taken back for some days. A pinned one
    /// and the last good one of its database need `force`.
    pub async fn delete_backup(&self, spelling: &str, delete: &BackupDelete) -> Result<Deletion> {
        let _ = (spelling, delete);
        not_yet()
    }

    /// What is inside, in the order a restore makes it.
    pub async fn backup_objects(
        &self,
        spelling: &str,
        list: &ObjectList,
    ) -> Result<Page<BackupObject>> {
        let _ = (spelling, list);
        not_yet()
    }

    /// The log of the run that made it.
    pub async fn backup_log(&self, spelling: &str, query: &LogQuery) -> Result<Page<LogLine>> {
        let _ = (spelling, query);
        not_yet()
    }

    /// Starts a proof.
    pub async fn verify_backup(
        &self,
        spelling: &str,
        request: &VerifyRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let _ = (spelling, request, trigger);
        not_yet()
    }

    /// How `spelling` differs from the older `against`; the one before it when left out.
    pub async fn diff_backups(&self, spelling: &str, against: Option<&str>) -> Result<BackupDiff> {
        let _ = (spelling, against);
        not_yet()
    }

    /// Streams a backup as a plain file.
    pub async fn export_backup(&self, spelling: &str, request: &ExportRequest) -> Result<Export> {
        let _ = (spelling, request);
        not_yet()
    }

    /// Numbers over all backups.
    pub async fn backup_stats(&self) -> Result<BackupStats> {
        not_yet()
    }
}
