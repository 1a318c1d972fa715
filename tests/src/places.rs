//! Where servers, tools and scratch folders are.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The folder that `tests/servers` fills; the same rule as in that script.
pub fn cache() -> PathBuf {
    if let Some(chosen) = std::env::var_os("BACKSTAY_TEST_CACHE") {
        return chosen.into();
    }
    if is_root() {
        return "/var/cache/backstay-tests".into();
    }
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(
            || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
            PathBuf::from,
        )
        .join("backstay-tests")
}

/// The folder with the programs of a PostgreSQL server.
///
/// # Panics
/// When the server is missing: a missing server is a failure, not a skip.
pub fn server_programs(version: u32) -> PathBuf {
    let debian = cache().join(format!("postgres/debian/lib/postgresql/{version}/bin"));
    let fetched = cache().join(format!("postgres/{version}/bin"));
    [debian, fetched]
        .into_iter()
        .find(|folder| folder.join("postgres").exists())
        .unwrap_or_else(|| panic!("PostgreSQL {version} is missing: run `tests/servers {version}`"))
}

/// The folder with the client tools of PostgreSQL 18, which read all servers from 10 on.
///
/// # Panics
/// When the tools are missing.
pub fn client_programs() -> PathBuf {
    let folder = cache().join("tools/18/bin");
    assert!(
        folder.join("pg_dump").exists(),
        "the client tools are missing: run `tests/servers`"
    );
    folder
}

/// The top of the checkout that is tested. Cargo says at run time where it is; what it said when this was
/// compiled may be another checkout's, for a target folder can serve several.
pub fn checkout() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package)
        .parent()
        .expect("the package lies in the workspace")
        .to_owned()
}

/// A file or folder under `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    checkout().join("tests/fixtures").join(name)
}

/// Whether this process is root, which database servers refuse to be.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A private folder that is removed with this value. Its path is short enough for Unix sockets, and
/// the user that servers run as owns it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder; `kind` is part of its name, so that a leftover says where it came from.
    pub fn new(kind: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = scratch_base();
        remove_leftovers(&base);
        let path = base.join(format!("backstay-{own}-{kind}{number}"));
        std::fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((user, group)) = server_user() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("BACKSTAY_TEST_KEEP").is_some() {
            eprintln!("kept {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Not `TMPDIR`: a socket's path may have 107 bytes, and a server's user has to reach it.
fn scratch_base() -> PathBuf {
    std::env::var_os("BACKSTAY_TEST_TMP").map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// Folders of test processes that were killed before they could tidy up.
fn remove_leftovers(base: &Path) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("BACKSTAY_TEST_KEEP").is_some() {
            return;
        }
        for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix("backstay-")?.split_once('-'))
                .and_then(|(owner, _)| owner.parse::<u32>().ok());
            if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    });
}

/// The user and group that servers run as when this process is root.
fn server_user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("the user `postgres` exists: run `tests/servers`");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}
