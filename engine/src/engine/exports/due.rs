//! Which repositories lack the newest state of the catalog. That some do is remembered in a file, so
//! that the next start goes on where this engine could not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::repository::Exported;

/// Name of the file in the data folder that stands as long as an export is due.
const FILE: &str = "export-due";

/// What is due.
#[derive(Debug)]
pub(in crate::engine) struct Due {
    file: PathBuf,
    state: Mutex<State>,
    exported: Mutex<HashMap<[u8; 16], Place>>,
}

/// What this engine has exported into one repository, once that is known. Whoever exports holds the lock.
pub(super) type Place = Arc<tokio::sync::Mutex<Option<Exported>>>;

#[derive(Debug)]
struct State {
    /// How often the catalog has changed.
    changes: u64,
    /// The change that each repository has.
    written: HashMap<u128, u64>,
    is_marked: bool,
}

impl Due {
    /// What the engine before has left to do.
    pub(in crate::engine) fn new(data: &Path) -> Self {
        let file = data.join(FILE);
        let is_marked = file.exists();
        Self {
            state: Mutex::new(State {
                changes: u64::from(is_marked),
                written: HashMap::new(),
                is_marked,
            }),
            file,
            exported: Mutex::default(),
        }
    }

    /// The place of the repository with that uid.
    pub(super) fn exported(&self, repository: [u8; 16]) -> Place {
        Arc::clone(self.exported.lock().entry(repository).or_default())
    }

    /// The catalog has changed: every repository lacks that.
    pub(in crate::engine) fn changed(&self) {
        let mut state = self.state.lock();
        state.changes += 1;
        if !state.is_marked {
            state.is_marked = true;
            if let Err(error) = std::fs::write(&self.file, []) {
                tracing::warn!(%error, "a crash now would leave the exports as they are");
            }
        }
    }

    /// Whether anything was to be done at the start, or is now.
    pub(in crate::engine) fn is_any(&self) -> bool {
        self.state.lock().is_marked
    }

    /// The change that an export made now contains.
    pub(super) fn newest(&self) -> u64 {
        self.state.lock().changes
    }

    /// Whether a repository lacks something.
    pub(super) fn is_due(&self, repository: u128) -> bool {
        let state = self.state.lock();
        state.written.get(&repository).copied().unwrap_or(0) < state.changes
    }

    /// A repository has everything up to that change.
    pub(super) fn wrote(&self, repository: u128, change: u64) {
        self.state.lock().written.insert(repository, change);
    }

    /// All of these repositories were tried; the mark goes when none of them lacks anything.
    pub(super) fn tried(&self, repositories: &[u128]) {
        let mut state = self.state.lock();
        let changes = state.changes;
        state.written.retain(|id, _| repositories.contains(id));
        let has_all = |id: &u128| state.written.get(id).copied().unwrap_or(0) >= changes;
        if state.is_marked && repositories.iter().all(has_all) {
            state.is_marked = false;
            if let Err(error) = std::fs::remove_file(&self.file) {
                tracing::debug!(%error, "the next start exports once more");
            }
        }
    }
}
