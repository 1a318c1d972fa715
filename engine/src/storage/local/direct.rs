//! Writing and reading past the page cache.
//!
//! A pack is written once and not read soon. Through the page cache its bytes would be copied, would
//! push out pages that a database on the same machine needs, and would be flushed all at once at the end.
//! Long ranges are read the same way unless they happen to be in the cache.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::{ReadWriteFlags, preadv2};

/// Shorter bodies are not worth a second open file.
const LEAST_BYTES: usize = 1 << 20;
/// Neither are shorter ranges.
const LEAST_BYTES_READ: usize = 128 << 10;
/// Addresses and lengths must be multiples of the device's logical block, which is at most this.
const ALIGNMENT: usize = 4096;
/// Bytes handed to the device at a time.
const STEP_BYTES: usize = 2 << 20;

/// Buffers that are kept for the next reads: what a restore has under way at a time.
const BUFFERS_KEPT: usize = 8;
/// Larger buffers are given back at once.
const BUFFER_BYTES_MAX: usize = 4 << 20;

static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

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

/// Reads `range` of `file`, which lies at `path`; `None` when the usual way has to do it.
pub(super) fn read(file: &File, path: &Path, range: &Range<u64>) -> io::Result<Option<Bytes>> {
    let length = (range.end - range.start) as usize;
    if length < LEAST_BYTES_READ {
        return Ok(None);
    }
    let first = range.start - range.start % ALIGNMENT as u64;
    let ahead = (range.start - first) as usize;
    let span = (ahead + length).next_multiple_of(ALIGNMENT);
    let mut buffer = Buffer::taken(span + ALIGNMENT);
    let start = buffer.0.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let used = start + ahead..start + ahead + length;
    if !cached(file, &mut buffer.0[used.clone()], range.start) {
        let Ok(direct) = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
        else {
            return Ok(None);
        };
        match read_span(&direct, &mut buffer.0[start..start + span], first) {
            Ok(read) if read >= ahead + length => {}
            // Refused, or cut short under our hands: the usual way tells which.
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Bytes::from_owner(buffer).slice(used)))
}

/// Fills `out` if all of it is in the page cache.
fn cached(file: &File, out: &mut [u8], offset: u64) -> bool {
    let length = out.len();
    let read = preadv2(
        file,
        &mut [IoSliceMut::new(out)],
        offset,
        ReadWriteFlags::NOWAIT,
    );
    read.is_ok_and(|read| read == length)
}

/// Fills `out` as far as the file goes.
fn read_span(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < out.len() {
        match file.read_at(&mut out[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Past an odd length there is only the end of the file.
        if !done.is_multiple_of(ALIGNMENT) {
            break;
        }
    }
    Ok(done)
}

/// A buffer that goes back to the others when nobody looks at it any more.
struct Buffer(Vec<u8>);

impl Buffer {
    /// One of at least `length` bytes, with whatever is in it.
    fn taken(length: usize) -> Self {
        if length > BUFFER_BYTES_MAX {
            return Self(vec![0; length]);
        }
        let mut buffer = BUFFERS.lock().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        Self(buffer)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = BUFFERS.lock();
        if kept.len() < BUFFERS_KEPT && self.0.len() <= BUFFER_BYTES_MAX {
            kept.push(std::mem::take(&mut self.0));
        }
    }
}
