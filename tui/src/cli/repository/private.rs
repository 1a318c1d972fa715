//! Answers that are given once, into a file that only its owner can read.

use std::io::Write as _;
use std::path::Path;

use backstay_engine::Result;

use crate::cli::failure::{Done, create_private, unwritable};

/// Asks, and writes what of the answer belongs into the file. The file is made first: what is answered
/// once would be lost if it could not be made then. No file stays where there is no answer.
pub(super) async fn answered_into<T>(
    file: &Path,
    asked: impl Future<Output = Result<T>>,
    bytes: impl FnOnce(&T) -> Vec<u8>,
) -> Done<T> {
    let mut made = create_private(file)?;
    let answer = match asked.await {
        Ok(answer) => answer,
        Err(error) => {
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
    };
    made.write_all(&bytes(&answer))
        .and_then(|()| made.sync_all())
        .map_err(|error| unwritable(file, error))?;
    Ok(answer)
}
