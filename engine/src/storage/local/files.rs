//! The file operations under [`super::LocalStorage`]; all of them block.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, RenameFlags};

use super::direct;
use crate::secret::random_bytes;
use crate::storage::ObjectInfo;

/// Keys never start with a dot, so no object can be taken for a temporary file.
const TEMPORARY_PREFIX: &str = ".tmp-";

/// Creates `folder` and missing parents; returns the folders that gained an entry.
pub(super) fn create_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    let mut next = folder;
    while !next.is_dir() {
        missing.push(next);
        match next.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => next = parent,
            _ => break,
        }
    }
    let mut touched = Vec::new();
    for path in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            done => done?,
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        touched.push(parent.unwrap_or(Path::new(".")).to_owned());
    }
    Ok(touched)
}

/// Writes `body` beside `path`, flushes it and renames it there unless something is there already.
pub(super) fn create_object(folder: &Path, path: &Path, body: &[u8]) -> io::Result<()> {
    let name = format!(
        "{TEMPORARY_PREFIX}{:032x}",
        u128::from_le_bytes(random_bytes())
    );
    let temporary = folder.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(io::Error::from)
        .or_else(|error| match error.kind() {
            // Some network file systems have no locks; their leftovers are then never swept.
            ErrorKind::Unsupported => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| direct::write(&mut file, &temporary, body))
        .and_then(|()| file.sync_data())
        .and_then(|()| rename_new(&temporary, path));
    if written.is_err() {
        // The failure itself is what the caller must hear of.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Renames without replacing; falls back to hard links where the file system cannot do it.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads all of a file or `range` of it; the inner error is the real size when that is too short.
pub(super) fn read_object(
    path: &Path,
    range: Option<Range<u64>>,
) -> io::Result<Result<Bytes, u64>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let range = range.unwrap_or(0..size);
    if range.start > range.end || range.end > size {
        return Ok(Err(size));
    }
    if let Some(body) = direct::read(&file, path, &range)? {
        return Ok(Ok(body));
    }
    let mut body = vec![0; (range.end - range.start) as usize];
    match file.read_exact_at(&mut body, range.start) {
        Ok(()) => Ok(Ok(body.into())),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Err(file.metadata()?.len())),
        Err(error) => Err(error),
    }
}

/// Appends every object under `folder`, whose keys start with `prefix`.
pub(super) fn walk(folder: &Path, prefix: &str, found: &mut Vec<ObjectInfo>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let key = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{key}/"), found)?;
        } else if kind.is_file() {
            let facts = match entry.metadata() {
                // Deleted while we were looking.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                facts => facts?,
            };
            found.push(ObjectInfo {
                key,
                size_bytes: facts.len(),
                modified_at: facts.modified().map(DateTime::<Utc>::from)?,
            });
        }
    }
    Ok(())
}

/// Makes a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes temporary files whose writers are gone.
pub(super) fn sweep_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sweep_leftovers(&entry.path())?;
        } else if entry
            .file_name()
            .to_string_lossy()
            .starts_with(TEMPORARY_PREFIX)
        {
            let Ok(file) = File::open(entry.path()) else {
                continue;
            };
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                // Losing this race to another sweep is fine.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}
