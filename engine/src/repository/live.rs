//! The set of chunks that committed backups use, of any size in bounded memory: gathered in a
//! buffer, spilled as sorted runs to the cache folder, read back in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::format::digest::Digest;
use crate::error::{Code, Error, Result};

/// Ids held in memory before they are spilled: 16 MiB.
const BUFFERED_MAX: usize = 1 << 19;
/// Bytes read ahead per run.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// Gathers chunk ids in any order.
#[derive(Debug)]
pub(crate) struct LiveSet {
    folder: PathBuf,
    buffer: Vec<Digest>,
    buffered_max: usize,
    runs: Vec<File>,
}

impl LiveSet {
    /// An empty set that spills into `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            buffer: Vec::new(),
            buffered_max: BUFFERED_MAX,
            runs: Vec::new(),
        }
    }

    /// Adds an id; adding it again changes nothing.
    pub(crate) fn add(&mut self, id: Digest) -> Result<()> {
        self.buffer.push(id);
        if self.buffer.len() >= self.buffered_max {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.buffer.sort_unstable();
        self.buffer.dedup();
        // Duplicates are frequent: spill only when the buffer is really full of different ids.
        if self.buffer.len() < self.buffered_max / 2 {
            return Ok(());
        }
        let run = self.write_run().map_err(|error| self.failed(error))?;
        self.runs.push(run);
        self.buffer.clear();
        Ok(())
    }

    fn write_run(&self) -> std::io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!(
            "live-{}",
            super::format::digest::hex(&crate::secret::random_bytes::<8>())
        ));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        // Without a name the space comes back however the process ends.
        std::fs::remove_file(&path)?;
        let mut out = BufWriter::with_capacity(READ_AHEAD_BYTES, &file);
        for id in &self.buffer {
            out.write_all(id.as_bytes())?;
        }
        out.flush()?;
        drop(out);
        Ok(file)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::new(
            Code::StorageFailed,
            format!("Cannot keep a working file in {}", self.folder.display()),
        )
        .because(error)
    }

    /// The ids in order, each once.
    pub(crate) fn sorted(mut self) -> Result<SortedIds> {
        self.buffer.sort_unstable();
        self.buffer.dedup();
        let mut sources = vec![Source::Memory(std::mem::take(&mut self.buffer).into_iter())];
        for mut run in std::mem::take(&mut self.runs) {
            run.seek(SeekFrom::Start(0))
                .map_err(|error| self.failed(error))?;
            sources.push(Source::Run(BufReader::with_capacity(READ_AHEAD_BYTES, run)));
        }
        let mut heap = BinaryHeap::with_capacity(sources.len());
        for (number, source) in sources.iter_mut().enumerate() {
            if let Some(id) = source.next().map_err(|error| self.failed(error))? {
                heap.push(Reverse((id, number)));
            }
        }
        Ok(SortedIds {
            sources,
            heap,
            folder: self.folder,
            last: None,
        })
    }
}

#[derive(Debug)]
enum Source {
    Memory(std::vec::IntoIter<Digest>),
    Run(BufReader<File>),
}

impl Source {
    fn next(&mut self) -> std::io::Result<Option<Digest>> {
        match self {
            Self::Memory(ids) => Ok(ids.next()),
            Self::Run(reader) => {
                let mut id = [0; Digest::LEN];
                match reader.read_exact(&mut id) {
                    Ok(()) => Ok(Some(Digest(id))),
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Ids in order, each once; meant to be merged with something else in id order.
#[derive(Debug)]
pub(crate) struct SortedIds {
    sources: Vec<Source>,
    heap: BinaryHeap<Reverse<(Digest, usize)>>,
    folder: PathBuf,
    last: Option<Digest>,
}

impl SortedIds {
    /// The next id.
    pub(crate) fn next(&mut self) -> Result<Option<Digest>> {
        while let Some(Reverse((id, number))) = self.heap.pop() {
            let follower = self.sources[number].next().map_err(|error| {
                Error::new(
                    Code::StorageFailed,
                    format!("Cannot read a working file in {}", self.folder.display()),
                )
                .because(error)
            })?;
            if let Some(next) = follower {
                self.heap.push(Reverse((next, number)));
            }
            if self.last != Some(id) {
                self.last = Some(id);
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_added_comes_back_once_and_in_order(
            picks in proptest::collection::vec(0u16..400, 0..600),
            buffered_max in 2usize..50,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut set = LiveSet::new(folder.path());
            set.buffered_max = buffered_max;
            let mut want = BTreeSet::new();
            for pick in picks {
                let mut id = [0; 32];
                id[7..9].copy_from_slice(&pick.to_be_bytes());
                want.insert(Digest(id));
                set.add(Digest(id)).unwrap();
            }
            let mut ids = set.sorted().unwrap();
            let mut got = Vec::new();
            while let Some(id) = ids.next().unwrap() {
                got.push(id);
            }
            prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
        }
    }
}
