//! A backup as a plain file, whole or a part of it.
//!
//! What is exported depends on the backup, the request and the version alone, byte for byte. That is why
//! a download that broke off can go on: the file is made anew and what was sent already is left out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::super::Engine;
use super::super::Ticket;
use super::gzip::Gzip;
use crate::error::{Error, Result};
use crate::ids::BackupId;
use crate::model::{ExportFormat, ExportRequest};
use crate::monitor::Task;
use crate::pipeline::archive::Archive;
use crate::pipeline::export;
use crate::repository::Repository;

/// Size of the blocks, and how many may wait for the reader.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCKS: usize = 4;

/// An export that can be begun, once or again.
#[derive(Debug)]
pub struct Prepared {
    /// A name for the file.
    pub file_name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Exports with the same tag have the same bytes.
    pub tag: String,
    /// The backup.
    pub backup_id: BackupId,
    repository: Repository,
    archive: Arc<Archive>,
    plan: Plan,
    engine: Engine,
    ticket: Option<Ticket>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    format: export::ExportFormat,
    options: export::ExportOptions,
    gzip: bool,
}

/// An export on its way; a [`futures_util::Stream`] of blocks. Dropping it stops the export.
#[derive(Debug)]
pub struct Export {
    blocks: mpsc::Receiver<Result<Bytes>>,
    /// Bytes still to be left out, and still to be sent.
    skip: u64,
    left: u64,
    /// Whether what is left is known to be all; the last block is then held back until nothing follows.
    to_end: bool,
    held: Option<Bytes>,
    has_failed: bool,
    has_ended: bool,
    ticket: Option<Ticket>,
    _stop: DropGuard,
}

impl Export {
    /// The next block; an error ends the stream, and what came before it is not a whole export.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        std::future::poll_fn(|context| self.poll_block(context)).await
    }

    /// The ticket that it can spend, once everything was taken out of it; whoever took it knows whether it
    /// arrived.
    pub fn ticket(&mut self) -> Option<Ticket> {
        // Whoever knows the length does not ask for the end.
        let is_out = self.left == 0 && self.held.is_none();
        let is_whole = self.has_ended || (is_out && !self.has_failed);
        self.ticket.take_if(|ticket| is_whole && !ticket.is_kept())
    }

    fn poll_block(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if self.left == 0 && self.held.is_none() {
                self.has_ended = !self.has_failed;
                return Poll::Ready(None);
            }
            let block = match std::task::ready!(self.blocks.poll_recv(context)) {
                Some(Ok(block)) => block,
                Some(Err(error)) => return self.fail(error),
                None if self.held.is_some() => return Poll::Ready(self.held.take().map(Ok)),
                None => {
                    self.has_ended = !self.has_failed;
                    return Poll::Ready(None);
                }
            };
            if self.to_end && block.len() as u64 > self.skip.saturating_add(self.left) {
                return self.fail(Error::internal("The export is longer than was measured"));
            }
            match self.wanted(block) {
                Some(part) if self.to_end && self.left == 0 => self.held = Some(part),
                Some(part) => return Poll::Ready(Some(Ok(part))),
                None => {}
            }
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes>>> {
        self.has_failed = true;
        self.held = None;
        Poll::Ready(Some(Err(error)))
    }

    fn wanted(&mut self, mut block: Bytes) -> Option<Bytes> {
        let skipped = self.skip.min(block.len() as u64);
        self.skip -= skipped;
        let mut part = block.split_off(skipped as usize);
        part.truncate(self.left.min(part.len() as u64) as usize);
        self.left -= part.len() as u64;
        (!part.is_empty()).then_some(part)
    }
}

impl futures_util::Stream for Export {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_block(context)
    }
}

impl Engine {
    /// Prepares to stream a backup as a plain file.
    pub async fn export_backup(&self, spelling: &str, request: &ExportRequest) -> Result<Prepared> {
        let prepared = self.prepare_export(spelling, request).await?;
        self.audit(
            "backup.export",
            prepared.backup_id,
            None::<&()>,
            Some(request),
        )
        .await?;
        Ok(prepared)
    }

    pub(in super::super) async fn prepare_export(
        &self,
        spelling: &str,
        request: &ExportRequest,
    ) -> Result<Prepared> {
        let backup = self.restorable_backup(spelling)?;
        let (repository, archive) = self.archive(&backup).await?;
        let wanted = request.format.unwrap_or(ExportFormat::Sql);
        let (format, gzip, content_type) = match wanted {
            ExportFormat::Sql => (export::ExportFormat::Sql, false, "application/sql"),
            ExportFormat::SqlGz => (export::ExportFormat::Sql, true, "application/gzip"),
            ExportFormat::Tar => (export::ExportFormat::Tar, false, "application/x-tar"),
            ExportFormat::TarGz => (export::ExportFormat::Tar, true, "application/gzip"),
        };
        let name = format!("{}-{}", backup.connection, backup.database);
        let name: String = name
            .chars()
            .map(|c| {
                let is_plain = c.is_ascii_alphanumeric() || "._-".contains(c);
                if is_plain { c } else { '_' }
            })
            .collect();
        let flags = [request.no_owner, request.no_privileges, request.globals];
        let flags: String = flags
            .map(|flag| if flag { '1' } else { '0' })
            .iter()
            .collect();
        Ok(Prepared {
            file_name: format!("{name}-{}.{wanted}", backup.id.ulid()),
            content_type,
            tag: format!(
                "{}-{wanted}-{flags}-{}",
                backup.id.ulid(),
                env!("CARGO_PKG_VERSION")
            ),
            backup_id: backup.id,
            repository,
            archive: Arc::new(archive),
            plan: Plan {
                format,
                options: export::ExportOptions {
                    no_owner: request.no_owner,
                    no_privileges: request.no_privileges,
                    globals: request.globals,
                },
                gzip,
            },
            engine: self.clone(),
            ticket: None,
        })
    }
}

impl Prepared {
    /// The same, spending that ticket when it was delivered to its end.
    #[must_use]
    pub(in super::super) fn with(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Whether its size is known without making it.
    pub fn is_easily_measured(&self) -> bool {
        !self.plan.gzip
    }

    /// Its size in bytes. What is compressed must be made for that, which takes as long as sending it.
    pub async fn size_bytes(&self) -> Result<u64> {
        let task = self.engine.quiet_task();
        if self.is_easily_measured() {
            let Plan {
                format, options, ..
            } = self.plan;
            return export::measure(&self.repository, &self.archive, format, options, &task).await;
        }
        let mut whole = self.stream();
        let mut size = 0;
        while let Some(block) = whole.next().await {
            size += block?.len() as u64;
        }
        Ok(size)
    }

    /// Begins to make it, of `size` bytes where that is known.
    pub fn whole(mut self, size: Option<u64>) -> Export {
        let ticket = self.ticket.take();
        let mut export = self.stream();
        if let Some(size) = size {
            export.left = size;
            export.to_end = true;
        }
        export.ticket = ticket;
        export
    }

    /// Begins to make it, to answer the bytes from `first` to `last`, of `size` in all. Only a part that
    /// reaches the end can spend a ticket.
    pub fn part(mut self, first: u64, last: u64, size: u64) -> Export {
        let ticket = self.ticket.take();
        let mut export = self.stream();
        export.skip = first;
        export.left = last + 1 - first;
        export.to_end = last + 1 == size;
        if export.to_end {
            export.ticket = ticket;
        } else if let Some(ticket) = ticket {
            export.ticket = Some(ticket.kept());
        }
        export
    }

    fn stream(&self) -> Export {
        let task = self.engine.quiet_task();
        let stop = task.cancel.clone().drop_guard();
        let (sender, blocks) = mpsc::channel(BLOCKS);
        let (repository, archive) = (self.repository.clone(), Arc::clone(&self.archive));
        let work = make(repository, archive, self.plan, task, sender);
        self.engine.0.workers.spawn(work);
        Export {
            blocks,
            skip: 0,
            left: u64::MAX,
            to_end: false,
            held: None,
            has_failed: false,
            has_ended: false,
            ticket: None,
            _stop: stop,
        }
    }
}

async fn make(
    repository: Repository,
    archive: Arc<Archive>,
    plan: Plan,
    task: Task,
    sender: mpsc::Sender<Result<Bytes>>,
) {
    let (mut write, read) = tokio::io::duplex(BLOCK_BYTES);
    let exporting = async move {
        let Plan {
            format, options, ..
        } = plan;
        export::export(&repository, &archive, format, options, &mut write, &task).await
    };
    let mut gzip = plan.gzip.then(Gzip::default);
    let (done, pumped) = tokio::join!(exporting, pump(read, &sender, gzip.as_mut()));
    // The end of a compressed file is written only behind a whole one.
    let end = match (done, pumped, gzip) {
        (Err(error), ..) | (_, Err(error), _) => Err(error),
        (Ok(_), Ok(()), Some(gzip)) => gzip.finish(),
        (Ok(_), Ok(()), None) => return,
    };
    // Nobody may be left to hear it.
    let _ = sender.send(end).await;
}

/// Hands on what is written until the writer is done or nobody reads any more.
async fn pump(
    mut read: DuplexStream,
    sender: &mpsc::Sender<Result<Bytes>>,
    mut gzip: Option<&mut Gzip>,
) -> Result<()> {
    loop {
        let mut block = BytesMut::with_capacity(BLOCK_BYTES);
        let count = read.read_buf(&mut block).await;
        let count =
            count.map_err(|error| Error::internal("The export broke off").because(error))?;
        if count == 0 {
            return Ok(());
        }
        let block = match &mut gzip {
            None => block.freeze(),
            Some(gzip) => gzip.take(&block)?,
        };
        if !block.is_empty() && sender.send(Ok(block)).await.is_err() {
            return Ok(());
        }
    }
}
