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
        let mut sources = vec![Source::Memory {
            ids: std::mem::take(&mut self.buffer),
            at: 0,
        }];
        for run in std::mem::take(&mut self.runs) {
            sources.push(Source::Run(BufReader::with_capacity(READ_AHEAD_BYTES, run)));
        }
        let mut sorted = SortedIds {
            sources,
            heap: BinaryHeap::new(),
            folder: self.folder,
            last: None,
        };
        sorted.rewind()?;
        Ok(sorted)
    }
}

#[derive(Debug)]
enum Source {
    Memory { ids: Vec<Digest>, at: usize },
    Run(BufReader<File>),
}

impl Source {
    fn next(&mut self) -> std::io::Result<Option<Digest>> {
        match self {
            Self::Memory { ids, at } => {
                let id = ids.get(*at).copied();
                *at += 1;
                Ok(id)
            }
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

    fn rewind(&mut self) -> std::io::Result<()> {
        match self {
            Self::Memory { at, .. } => *at = 0,
            Self::Run(reader) => {
                reader.seek(SeekFrom::Start(0))?;
            }
        }
        Ok(())
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
    /// Begins again with the first id.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.heap.clear();
        self.last = None;
        for number in 0..self.sources.len() {
            let rewound = self.sources[number].rewind();
            rewound.map_err(|error| self.failed(error))?;
            self.advance(number)?;
        }
        Ok(())
    }

    fn advance(&mut self, number: usize) -> Result<()> {
        let follower = self.sources[number].next();
        if let Some(id) = follower.map_err(|error| self.failed(error))? {
            self.heap.push(Reverse((id, number)));
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::new(
            Code::StorageFailed,
            format!("Cannot read a working file in {}", self.folder.display()),
        )
        .because(error)
    }

    /// The next id.
    pub(crate) fn next(&mut self) -> Result<Option<Digest>> {
        while let Some(Reverse((id, number))) = self.heap.pop() {
            self.advance(number)?;
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
            for _ in 0..2 {
                let mut got = Vec::new();
                while let Some(id) = ids.next().unwrap() {
                    got.push(id);
                }
                prop_assert_eq!(&got, &want.iter().copied().collect::<Vec<_>>());
                ids.rewind().unwrap();
            }
        }
    }
}
