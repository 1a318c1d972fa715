//! Which parts of which backups need something that is missing or damaged.

use std::collections::HashSet;

use super::super::format::digest::Digest;
use super::super::references::{Visitor, Walk};
use super::super::{Repository, TreeReader};
use super::AffectedBackup;
use crate::error::{Error, Result};
use crate::monitor::Task;

/// Parts named for each backup; one more line says that there are others.
const PARTS_MAX: usize = 1000;

/// Notices whether anything of a stream is missing.
struct Touches<'a> {
    missing: &'a HashSet<Digest>,
    hit: bool,
}

impl Visitor for Touches<'_> {
    fn uses(&mut self, id: Digest) -> Result<()> {
        self.hit |= self.missing.contains(&id);
        Ok(())
    }

    fn broken(&mut self, _: Error) -> Result<()> {
        self.hit = true;
        Ok(())
    }
}

pub(super) async fn find(
    repository: &Repository,
    missing: &HashSet<Digest>,
    task: &Task,
) -> Result<Vec<AffectedBackup>> {
    let mut affected = Vec::new();
    for id in repository.snapshots().await? {
        task.check()?;
        let mut parts = Vec::new();
        match repository.snapshot(id).await {
            Ok(snapshot) => {
                let work = examine(repository, &snapshot.tree, missing, &mut parts);
                task.or_cancelled(work).await?;
            }
            Err(_) => parts.push("everything: its snapshot is damaged".to_owned()),
        }
        if !parts.is_empty() {
            affected.push(AffectedBackup { backup: id, parts });
        }
    }
    Ok(affected)
}

pub(super) async fn examine(
    repository: &Repository,
    tree: &super::super::StreamRef,
    missing: &HashSet<Digest>,
    parts: &mut Vec<String>,
) -> Result<()> {
    if touches(repository, tree, missing).await? {
        parts.push("its tree".to_owned());
    }
    let mut entries = TreeReader::new(repository, tree);
    // What lies behind a damaged stretch of the tree cannot be named.
    while let Ok(Some(entry)) = entries.next().await {
        let Some(stream) = &entry.stream else {
            continue;
        };
        if touches(repository, stream, missing).await? {
            if parts.len() >= PARTS_MAX {
                parts.push("and more".to_owned());
                return Ok(());
            }
            parts.push(entry.path.join("/"));
        }
    }
    Ok(())
}

/// A walk of its own for each stream: what another one visited must be looked at again.
async fn touches(
    repository: &Repository,
    stream: &super::super::StreamRef,
    missing: &HashSet<Digest>,
) -> Result<bool> {
    let mut touches = Touches {
        missing,
        hit: false,
    };
    Walk::new(repository).stream(stream, &mut touches).await?;
    Ok(touches.hit)
}
