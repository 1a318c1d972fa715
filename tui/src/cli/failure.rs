//! How a command can end other than well.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use backstay_engine::{Code, Error};

/// Why a command stops early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed; main prints the sentence and the hint.
    Error(Error),
    /// Everything was said already; only the exit code is left.
    Exit(u8),
    /// Whoever read the output has seen enough.
    PipeClosed,
}

/// What commands return.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// From writing to standard output.
    pub(crate) fn writing(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        Self::Error(Error::new(Code::OutputFailed, "The output cannot be written").because(error))
    }
}

/// A file that cannot be written.
pub(crate) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Code::OutputFailed,
        format!("Cannot write {}", path.display()),
    )
    .hint("Name another file with -o FILE")
    .because(error)
}

/// Makes a file that only its owner can read; one that is there is left alone.
pub(crate) fn create_private(path: &Path) -> Result<std::fs::File, Error> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                Error::new(Code::Conflict, format!("{} exists already", path.display()))
                    .hint("Choose another file with -o")
            } else {
                unwritable(path, error)
            }
        })
}
