//! The redb file under [`super::ChunkIndex`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};

use super::{Location, Pack, PackNumber, Session};
use crate::caught::caught;
use crate::error::{Code, Error, Result};
use crate::ids::{NoteId, SessionId};
use crate::repository::format::Codec;
use crate::repository::format::digest::{Digest, hex};
use crate::repository::format::session::Wrapped;
use crate::secret::random_bytes;

/// `chunk id ‖ pack number`, big-endian so that equal ids lie together.
pub(super) type Key = [u8; 36];
/// `offset ‖ stored ‖ raw u24 ‖ codec ‖ session`, little-endian.
pub(super) type Value = [u8; 16];

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Name → the ids of the segments that it repeats, one after the other.
const SEGMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("segments");
const PACKS: TableDefinition<'_, u32, (&[u8; 32], u64)> = TableDefinition::new("packs");
const SESSIONS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("sessions");
const TOMBSTONES: TableDefinition<'_, &[u8; 32], ()> = TableDefinition::new("tombstones");
const CHUNKS: TableDefinition<'_, &Key, &Value> = TableDefinition::new("chunks");

/// Bump when the tables change; an older file is thrown away.
const VERSION: &[u8] = b"2";
const CACHE_BYTES: usize = 24 << 20;

/// Rows to write in one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) segments: Vec<(String, Vec<NoteId>)>,
    pub(super) packs: Vec<(PackNumber, Digest, u64)>,
    pub(super) sessions: Vec<(u32, SessionId, Wrapped)>,
    pub(super) tombstones: Vec<Digest>,
    /// In order of key.
    pub(super) chunks: Vec<(Key, Value)>,
}

/// What the file remembers besides chunks.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) segments: Vec<(String, Vec<NoteId>)>,
    pub(super) packs: Vec<Pack>,
    pub(super) sessions: Vec<Session>,
    pub(super) tombstones: Vec<Digest>,
}

pub(super) struct Cache {
    database: Database,
    /// The chunk table as of the last commit.
    chunks: RwLock<Arc<ReadOnlyTable<&'static Key, &'static Value>>>,
    /// A file of this process alone, removed with it.
    private: Option<PathBuf>,
}

pub(super) fn row(id: &Digest, location: &Location) -> (Key, Value) {
    let mut key = [0; 36];
    key[..32].copy_from_slice(&id.0);
    key[32..].copy_from_slice(&location.pack.to_be_bytes());
    let mut value = [0; 16];
    value[..4].copy_from_slice(&location.offset.to_le_bytes());
    value[4..8].copy_from_slice(&location.stored_bytes.to_le_bytes());
    value[8..12].copy_from_slice(&location.raw_bytes.to_le_bytes());
    value[11] = location.codec as u8;
    value[12..].copy_from_slice(&location.session.to_le_bytes());
    (key, value)
}

fn unrow(key: &Key, value: &Value) -> Option<(Digest, Location)> {
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&value[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let (id, pack) = key.split_first_chunk::<32>()?;
    let location = Location {
        pack: u32::from_be_bytes(pack.try_into().ok()?),
        offset: word(0),
        stored_bytes: word(4),
        raw_bytes: word(8) & 0x00FF_FFFF,
        codec: Codec::from_number(value[11]).ok()?,
        session: word(12),
    };
    Some((Digest(*id), location))
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::new(Code::CatalogFailed, "The chunk index cache cannot be used")
        .hint("It holds nothing that is not in the repository; delete the cache folder")
        .because(error.into())
}

impl Cache {
    pub(super) fn open(folder: &Path, uid: &[u8; 16]) -> Result<(Self, Known)> {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::new(
                Code::CatalogFailed,
                format!("Cannot create the cache folder {}", folder.display()),
            )
            .because(error)
        })?;
        let path = folder.join(format!("{}.redb", hex(uid)));
        match caught(|| Self::try_open(&path, uid, None)) {
            Some(Ok(opened)) => return Ok(opened),
            Some(Err(redb::Error::DatabaseAlreadyOpen)) => {}
            Some(Err(_)) | None => {
                // Missing rights show again below; damage is cured by starting over.
                let _ = std::fs::remove_file(&path);
                match Self::try_open(&path, uid, None) {
                    Ok(opened) => return Ok(opened),
                    Err(redb::Error::DatabaseAlreadyOpen) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        // Another process, or another handle of this one, has the file.
        let name = format!("{}-{}.redb", hex(uid), hex(&random_bytes::<8>()));
        let private = folder.join(name);
        Self::try_open(&private, uid, Some(private.clone())).map_err(failed)
    }

    fn try_open(
        path: &Path,
        uid: &[u8; 16],
        private: Option<PathBuf>,
    ) -> Result<(Self, Known), redb::Error> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)?;
        let known = if let Ok(Some(known)) = Self::known(&database, uid) {
            known
        } else {
            reset(&database, uid)?;
            Known::default()
        };
        let chunks = database.begin_read()?.open_table(CHUNKS)?;
        let cache = Self {
            database,
            chunks: RwLock::new(Arc::new(chunks)),
            private,
        };
        Ok((cache, known))
    }

    /// What the file remembers; `None` when it is new or made for something else.
    fn known(database: &Database, uid: &[u8; 16]) -> Result<Option<Known>, redb::Error> {
        let read = database.begin_read()?;
        let meta = match read.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            meta => meta?,
        };
        let is = |name: &str, value: &[u8]| -> Result<bool, redb::Error> {
            Ok(meta
                .get(name)?
                .is_some_and(|stored| stored.value() == value))
        };
        if !is("version", VERSION)? || !is("uid", uid)? {
            return Ok(None);
        }
        let mut known = Known::default();
        for row in read.open_table(SEGMENTS)?.iter()? {
            let (name, repeats) = row?;
            let repeats = repeats.value().as_chunks::<16>().0.iter();
            let repeats = repeats.map(|id| NoteId::from_bytes(*id)).collect();
            known.segments.push((name.value().to_owned(), repeats));
        }
        for (expected, row) in read.open_table(PACKS)?.iter()?.enumerate() {
            let (number, value) = row?;
            if number.value() as usize != expected {
                return Ok(None);
            }
            let (name, size_bytes) = value.value();
            known.packs.push(Pack {
                name: Digest(*name),
                size_bytes,
                dead: false,
            });
        }
        for (expected, row) in read.open_table(SESSIONS)?.iter()?.enumerate() {
            let (number, value) = row?;
            let value = value.value();
            let parts = value
                .split_first_chunk::<16>()
                .and_then(|(id, wrapped)| Some((id, Wrapped::from_bytes(wrapped).ok()?)));
            match parts {
                Some((id, wrapped)) if number.value() as usize == expected => {
                    known.sessions.push(Session {
                        id: SessionId::from_bytes(*id),
                        wrapped,
                    });
                }
                _ => return Ok(None),
            }
        }
        for row in read.open_table(TOMBSTONES)?.iter()? {
            known.tombstones.push(Digest(*row?.0.value()));
        }
        Ok(Some(known))
    }

    pub(super) fn clear(&self) -> Result<()> {
        let uid = (|| {
            let read = self.database.begin_read()?;
            let meta = read.open_table(META)?;
            let uid = meta.get("uid")?.map(|stored| stored.value().to_vec());
            Ok::<_, redb::Error>(uid.unwrap_or_default())
        })()
        .map_err(failed)?;
        reset(&self.database, &uid).map_err(failed)?;
        self.reload().map_err(failed)
    }

    /// Takes these names out of the segments that were read.
    pub(super) fn forget(&self, names: &[String]) -> Result<()> {
        (|| {
            let mut write = self.database.begin_write()?;
            write.set_durability(Durability::None)?;
            {
                let mut segments = write.open_table(SEGMENTS)?;
                for name in names {
                    segments.remove(name.as_str())?;
                }
            }
            Ok::<_, redb::Error>(write.commit()?)
        })()
        .map_err(failed)
    }

    pub(super) fn write(&self, batch: &Batch) -> Result<()> {
        self.try_write(batch).map_err(failed)
    }

    fn try_write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        // A cache: what a crash takes away is read again from the repository.
        write.set_durability(Durability::None)?;
        {
            let mut packs = write.open_table(PACKS)?;
            for (number, name, size_bytes) in &batch.packs {
                packs.insert(number, (&name.0, *size_bytes))?;
            }
            let mut sessions = write.open_table(SESSIONS)?;
            for (number, id, wrapped) in &batch.sessions {
                let value = [id.to_bytes().as_slice(), wrapped.as_bytes()].concat();
                sessions.insert(number, value.as_slice())?;
            }
            let mut tombstones = write.open_table(TOMBSTONES)?;
            for name in &batch.tombstones {
                tombstones.insert(&name.0, ())?;
            }
            let mut chunks = write.open_table(CHUNKS)?;
            for (key, value) in &batch.chunks {
                chunks.insert(key, value)?;
            }
            let mut segments = write.open_table(SEGMENTS)?;
            for (name, repeats) in &batch.segments {
                let repeats: Vec<u8> = repeats.iter().flat_map(|id| id.to_bytes()).collect();
                segments.insert(name.as_str(), repeats.as_slice())?;
            }
        }
        write.commit()?;
        self.reload()
    }

    fn reload(&self) -> Result<(), redb::Error> {
        let chunks = self.database.begin_read()?.open_table(CHUNKS)?;
        *self.chunks.write() = Arc::new(chunks);
        Ok(())
    }

    /// Makes everything written so far survive a crash.
    pub(super) fn settle(&self) -> Result<()> {
        (|| Ok::<_, redb::Error>(self.database.begin_write()?.commit()?))().map_err(failed)
    }

    pub(super) fn each(&self, id: &Digest, mut visit: impl FnMut(Location) -> bool) -> Result<()> {
        let table = Arc::clone(&self.chunks.read());
        (|| {
            let (mut from, mut to) = ([0; 36], [0xFF; 36]);
            from[..32].copy_from_slice(&id.0);
            to[..32].copy_from_slice(&id.0);
            for row in table.range::<&Key>(&from..=&to)? {
                let (key, value) = row?;
                if let Some((_, location)) = unrow(key.value(), value.value())
                    && !visit(location)
                {
                    break;
                }
            }
            Ok::<_, redb::Error>(())
        })()
        .map_err(failed)
    }

    pub(super) fn visit(&self, mut visit: impl FnMut(Digest, Location) -> bool) -> Result<()> {
        let table = Arc::clone(&self.chunks.read());
        (|| {
            for row in table.iter()? {
                let (key, value) = row?;
                if let Some((id, location)) = unrow(key.value(), value.value())
                    && !visit(id, location)
                {
                    break;
                }
            }
            Ok::<_, redb::Error>(())
        })()
        .map_err(failed)
    }
}

fn reset(database: &Database, uid: &[u8]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.delete_table(CHUNKS)?;
    write.delete_table(PACKS)?;
    write.delete_table(SESSIONS)?;
    write.delete_table(TOMBSTONES)?;
    write.delete_table(SEGMENTS)?;
    {
        write.open_table(CHUNKS)?;
        write.open_table(PACKS)?;
        write.open_table(SESSIONS)?;
        write.open_table(TOMBSTONES)?;
        write.open_table(SEGMENTS)?;
        let mut meta = write.open_table(META)?;
        meta.insert("version", VERSION)?;
        meta.insert("uid", uid)?;
    }
    write.commit()?;
    Ok(())
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Some(path) = &self.private {
            // Best effort: it is a cache.
            let _ = std::fs::remove_file(path);
        }
    }
}
