//! A backup as a plain file.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::super::Engine;
use crate::error::{Error, Result};
use crate::model::{ExportFormat, ExportRequest};
use crate::pipeline::export;

/// Size of the blocks, and how many may wait for the reader.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCKS: usize = 4;

/// An export on its way; a [`futures_util::Stream`] of blocks. Dropping it stops the export.
#[derive(Debug)]
pub struct Export {
    /// A name for the file.
    pub file_name: String,
    /// Its media type.
    pub content_type: &'static str,
    blocks: mpsc::Receiver<Result<Bytes>>,
    _stop: DropGuard,
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
    /// Streams a backup as a plain file.
    pub async fn export_backup(&self, spelling: &str, request: &ExportRequest) -> Result<Export> {
        let backup = self.restorable_backup(spelling)?;
        let (repository, archive) = self.archive(&backup).await?;
        let (format, ending, content_type) = match request.format.unwrap_or(ExportFormat::Sql) {
            ExportFormat::Sql => (export::ExportFormat::Sql, "sql", "application/sql"),
            ExportFormat::Tar => (export::ExportFormat::Tar, "tar", "application/x-tar"),
        };
        let options = export::ExportOptions {
            no_owner: request.no_owner,
            no_privileges: request.no_privileges,
            globals: request.globals,
        };
        self.audit("backup.export", backup.id, None::<&()>, Some(request))
            .await?;
        let task = self.quiet_task();
        let stop = task.cancel.clone().drop_guard();
        let (sender, blocks) = mpsc::channel(BLOCKS);
        let (mut write, read) = tokio::io::duplex(BLOCK_BYTES);
        tokio::spawn(async move {
            let exporting = async move {
                export::export(&repository, &archive, format, options, &mut write, &task).await
            };
            let (done, ()) = tokio::join!(exporting, pump(read, &sender));
            if let Err(error) = done {
                // Nobody may be left to hear it.
                let _ = sender.send(Err(error)).await;
            }
        });
        let database: String = backup
            .database
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Ok(Export {
            file_name: format!(
                "{}-{database}-{}.{ending}",
                backup.connection,
                backup.id.ulid()
            ),
            content_type,
            blocks,
            _stop: stop,
        })
    }
}

/// Hands on what is written until the writer is done or nobody reads any more.
async fn pump(mut read: DuplexStream, sender: &mpsc::Sender<Result<Bytes>>) {
    loop {
        let mut block = BytesMut::with_capacity(BLOCK_BYTES);
        let answer = match read.read_buf(&mut block).await {
            Ok(0) => return,
            Ok(_) => Ok(block.freeze()),
            Err(error) => Err(Error::internal("The export broke off").because(error)),
        };
        if sender.send(answer).await.is_err() {
            return;
        }
    }
}
