//! Writing past the page cache.
//!
//! A pack is written once and not read soon. Through the page cache its bytes would be copied, would
//! push out pages that a database on the same machine needs, and would be flushed all at once at the end.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Shorter bodies are not worth a second open file.
const LEAST_BYTES: usize = 1 << 20;
/// Addresses and lengths must be multiples of the device's logical block, which is at most this.
const ALIGNMENT: usize = 4096;
/// Bytes handed to the device at a time.
const STEP_BYTES: usize = 2 << 20;

thread_local! {
    static STEP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes `body` to the empty `file`, which lies at `path`; flushes nothing.
pub(super) fn write(file: &mut File, path: &Path, body: &[u8]) -> io::Result<()> {
    let mut done = 0;
    if body.len() >= LEAST_BYTES
        && let Ok(mut direct) = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
    {
        let whole = body.len() - body.len() % ALIGNMENT;
        // File systems that open a file this way and then refuse to write get everything below.
        done = match write_steps(&mut direct, &body[..whole]) {
            Ok(()) => whole,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => 0,
            Err(error) => return Err(error),
        };
    }
    file.seek(SeekFrom::Start(done as u64))?;
    file.write_all(&body[done..])
}

fn write_steps(file: &mut File, body: &[u8]) -> io::Result<()> {
    STEP.with_borrow_mut(|buffer| {
        buffer.resize(STEP_BYTES + ALIGNMENT, 0);
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        for step in body.chunks(STEP_BYTES) {
            let aligned = &mut buffer[start..start + step.len()];
            aligned.copy_from_slice(step);
            file.write_all(aligned)?;
        }
        Ok(())
    })
}
