//! The open file, which is opened anew when its file system failed for a while.
//!
//! redb refuses everything after an error of the file system, for as long as the file stays open: what it
//! holds in memory may not be what the file holds. Opening the file again is as sound as a restart.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use redb::Database;

use super::file::{self, guarded};
use crate::error::{Code, Error, Result};

/// How long after one opening the next one is tried: it reads the whole file.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an opening waits for reads that go on.
const WAIT: Duration = Duration::from_secs(5);

/// The file; whoever uses it holds it open for as long as that takes.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    open: RwLock<Open>,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Open {
    database: Option<Database>,
    opened_at: Option<Instant>,
}

impl Store {
    pub(super) fn new(path: &Path, database: Database) -> Self {
        Self {
            path: path.to_path_buf(),
            open: RwLock::new(Open {
                database: Some(database),
                opened_at: None,
            }),
            failed: AtomicBool::new(false),
        }
    }

    /// Carries out `work` on the file. After an error of the file system the file is opened anew for those
    /// who come next.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            self.open_again();
        }
        let done = {
            let open = self.open.read();
            guarded(&self.path, || match &open.database {
                Some(database) => work(database),
                None => Err(closed()),
            })
        };
        if done.as_ref().is_err_and(is_of_the_file_system) {
            self.failed.store(true, Ordering::Release);
            self.open_again();
        }
        done
    }

    fn open_again(&self) {
        let Some(mut open) = self.open.try_write_for(WAIT) else {
            return;
        };
        let early = open.opened_at.is_some_and(|at| at.elapsed() < AGAIN);
        if early || !self.failed.load(Ordering::Acquire) {
            return;
        }
        open.opened_at = Some(Instant::now());
        // It is locked for as long as it is open.
        open.database = None;
        match guarded(&self.path, || file::opened(&self.path)) {
            Ok(database) => {
                open.database = Some(database);
                self.failed.store(false, Ordering::Release);
                tracing::warn!(
                    "the catalog was opened again after it could not be read or written"
                );
            }
            Err(error) => {
                tracing::error!(
                    error = error.report(),
                    "the catalog cannot be opened again yet"
                );
            }
        }
    }
}

fn closed() -> Error {
    Error::new(
        Code::CatalogFailed,
        "The catalog cannot be read or written since its file system failed",
    )
    .hint("See to the disk that it is on; it is opened again by itself")
}

/// Whether the file system failed, and redb is of no use any more.
pub(super) fn is_of_the_file_system(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    error.code() == Code::CatalogFailed
        && matches!(cause, Some(redb::Error::Io(_) | redb::Error::PreviousIo))
}
