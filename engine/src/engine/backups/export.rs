//! A backup as a plain file.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::Engine;
use crate::error::{Error, Result};
use crate::model::ExportRequest;

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

#[allow(clippy::unused_async)]
impl Engine {
    /// Streams a backup as a plain file.
    pub async fn export_backup(&self, spelling: &str, _: &ExportRequest) -> Result<Export> {
        self.restorable_backup(spelling)?;
        Err(Error::internal("This operation is not built yet"))
    }
}
