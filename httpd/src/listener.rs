//! The Unix socket: bound without a moment in which others could connect, removed when it is closed.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use backstay_engine::{Code, Error, Result};
use rustix::fs::{Gid, chown};
use tokio::net::UnixListener;

/// `sockaddr_un.sun_path` without its final NUL, <https://man7.org/linux/man-pages/man7/unix.7.html>.
const PATH_MAX_BYTES: usize = 107;

/// Where and for whom.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    /// The socket's file.
    pub(crate) path: PathBuf,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// The group it is given to: a name of `/etc/group` or a number.
    pub(crate) group: Option<String>,
}

/// A bound socket; the file goes away with it if it was made here.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    /// One that somebody else bound and keeps.
    pub(crate) fn inherited(listener: UnixListener) -> Self {
        let address = listener.local_addr().ok();
        let path = address.and_then(|address| address.as_pathname().map(Path::to_path_buf));
        Self {
            listener,
            path: path.unwrap_or_default(),
            identity: None,
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What accepts connections.
    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another engine may have taken the name meanwhile.
        if self.identity.is_some() && file_identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds the socket, or says who is in the way.
///
/// The socket is bound under a temporary name, given its mode and group there, and renamed into
/// place, so nobody can connect before its permissions are right.
pub(crate) fn bind_unix(options: &SocketOptions) -> Result<UnixSocket> {
    let path = &options.path;
    let temporary = temporary_name(path);
    if temporary.as_os_str().len() > PATH_MAX_BYTES {
        return Err(Error::new(
            Code::ConfigInvalid,
            format!("The socket path {} is too long", path.display()),
        )
        .hint("Choose a path of at most 95 bytes with --socket or BACKSTAY_SOCKET"));
    }
    refuse_answering(path)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| failed(path, "create the folder of", error))?;
    }
    let gid = options.group.as_deref().map(group_id).transpose()?;
    let _ = std::fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary).map_err(|error| failed(path, "bind", error))?;
    let placed = place(&temporary, path, options.mode, gid);
    if placed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    let identity = placed?;
    Ok(UnixSocket {
        listener,
        path: path.clone(),
        identity: Some(identity),
    })
}

fn place(temporary: &Path, path: &Path, mode: u32, gid: Option<Gid>) -> Result<(u64, u64)> {
    if let Some(gid) = gid {
        chown(temporary, None, Some(gid))
            .map_err(|error| failed(path, "change the group of", error.into()))?;
    }
    std::fs::set_permissions(temporary, std::fs::Permissions::from_mode(mode & 0o777))
        .map_err(|error| failed(path, "set the mode of", error))?;
    std::fs::rename(temporary, path).map_err(|error| failed(path, "create", error))?;
    file_identity(path).ok_or_else(|| Error::internal("The socket vanished while it was created"))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    PathBuf::from(name)
}

fn refuse_answering(path: &Path) -> Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "look at", error)),
    };
    if !kind.is_socket() {
        return Err(Error::new(
            Code::Conflict,
            format!("{} exists and is not a socket", path.display()),
        )
        .hint("Remove it, or choose another path with --socket"));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            Code::EngineRunning,
            format!("Another engine answers at {}", path.display()),
        )
        .hint("Use it, or end it with `backstay stop`")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(failed(path, "try", error)),
    }
}

fn group_id(name: &str) -> Result<Gid> {
    let number = name.parse::<u32>().ok().or_else(|| {
        let groups = std::fs::read_to_string("/etc/group").ok()?;
        groups.lines().find_map(|line| {
            let mut parts = line.split(':');
            (parts.next() == Some(name)).then(|| parts.nth(1)?.parse().ok())?
        })
    });
    number.map(Gid::from_raw).ok_or_else(|| {
        Error::new(
            Code::ConfigInvalid,
            format!("There is no group \"{name}\" for the socket"),
        )
        .hint("Set socket_group to a group of /etc/group or to its number")
    })
}

fn file_identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn failed(path: &Path, verb: &str, error: std::io::Error) -> Error {
    Error::new(
        Code::Conflict,
        format!("Could not {verb} the socket {}", path.display()),
    )
    .because(error)
}

#[cfg(test)]
mod tests;
