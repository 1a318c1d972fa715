//! Verification of one backup, rung by rung, without a database server.
//!
//! `checked` reads every stream: each chunk is decrypted and its id compared. `decoded` also
//! parses what was read: rows are counted and hashed, large objects cut into pieces, and all of it
//! compared with what was recorded. A rung that was skipped never counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use xxhash_rust::xxh3::{Xxh3, Xxh3Builder};

use super::archive::Archive;
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::monitor::{Level, Loss, Task};
use crate::repository::{Repository, StreamRef};
use crate::source::postgres::logical::contents::{LargeObjectsEntry, RowTally};
use crate::source::postgres::logical::large_objects::PieceDecoder;
use crate::source::postgres::wire::{RowCounter, RowSecret};

/// How far to climb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The backup's tree and schema can be read, and every pack it needs is there.
    Present,
    /// Every chunk decrypts and is what its id says.
    Checked,
    /// Every stream parses and holds what was recorded.
    Decoded,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The highest rung that was reached; `None` when even the lowest was not. Those below it were
    /// climbed on the way.
    pub reached: Option<Rung>,
    /// The lowest rung that failed.
    #[serde(default)]
    pub failed: Option<Rung>,
    /// Streams read.
    pub streams: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Rows counted.
    pub rows: u64,
    /// What is damaged or differs.
    pub losses: Vec<Loss>,
    /// What the backup was made without: no rung is about that.
    #[serde(default)]
    pub lacks: Vec<Loss>,
}

/// What one stream should hold.
enum Expected {
    Rows(RowTally),
    LargeObjects(LargeObjectsEntry),
}

struct Item {
    name: String,
    stream: StreamRef,
    expected: Expected,
}

struct Verifying {
    repository: Repository,
    rung: Rung,
    secret_bytes: [u8; 192],
    secret: RowSecret,
    items: Vec<Item>,
    next: AtomicUsize,
    report: Mutex<VerifyReport>,
    task: Task,
}

/// Verifies a backup up to `rung`; what is damaged is in the report, not an error.
pub async fn run(
    repository: &Repository,
    id: BackupId,
    rung: Rung,
    workers: usize,
    task: &Task,
) -> Result<VerifyReport> {
    task.monitor.stage("reading the backup's tree");
    let mut report = VerifyReport {
        reached: None,
        failed: None,
        streams: 0,
        read_bytes: 0,
        rows: 0,
        losses: Vec::new(),
        lacks: Vec::new(),
    };
    let archive = match task.or_cancelled(Archive::open(repository, id)).await {
        Ok(archive) => archive,
        Err(error) if is_damage(&error) => {
            lost(&mut report, task, "tree of the backup", &error.report());
            report.failed = Some(Rung::Present);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    report.lacks.clone_from(&archive.facts.losses);
    for loss in &report.lacks {
        let text = format!("The backup lacks {}: {}", loss.object, loss.reason);
        task.monitor.note(Level::Warning, &text);
    }
    task.monitor.stage("looking whether all objects are there");
    let absent = repository.absent_parts(id, task).await?;
    report.failed = (!absent.is_empty()).then_some(Rung::Present);
    if rung == Rung::Present {
        report.climb(rung);
        for part in absent {
            lost(&mut report, task, &part, "A pack that it needs is missing");
        }
        return Ok(report);
    }
    let secret = repository.row_hash_secret();
    let items = items(&archive);
    task.monitor.stage("reading every chunk");
    task.monitor.foresee(
        Some(items.len() as u64),
        Some(items.iter().map(|item| item.stream.length_bytes).sum()),
    );
    let shared = Arc::new(Verifying {
        repository: repository.clone(),
        rung,
        secret_bytes: secret,
        secret: RowSecret::new(secret),
        items,
        next: AtomicUsize::new(0),
        report: Mutex::new(report),
        task: task.clone(),
    });
    let mut running = JoinSet::new();
    for _ in 0..workers.max(1).min(shared.items.len()) {
        running.spawn(worker(Arc::clone(&shared)));
    }
    let all = async {
        while let Some(ended) = running.join_next().await {
            ended.map_err(|error| Error::internal("A verifying worker died").because(error))??;
        }
        Ok(())
    };
    task.or_cancelled(all).await?;
    let mut report = shared.report.lock().clone();
    report.climb(rung);
    Ok(report)
}

impl VerifyReport {
    /// Every rung up to `wanted` was tried: those below the one that failed are reached.
    fn climb(&mut self, wanted: Rung) {
        let tried = [Rung::Present, Rung::Checked, Rung::Decoded];
        self.reached = tried
            .into_iter()
            .filter(|rung| *rung <= wanted && self.failed.is_none_or(|failed| *rung < failed))
            .max();
    }

    fn fails(&mut self, rung: Rung) {
        self.failed = Some(self.failed.map_or(rung, |failed| failed.min(rung)));
    }
}

fn items(archive: &Archive) -> Vec<Item> {
    let rows = archive.tables.iter().flat_map(|table| {
        table.ranges.iter().map(|range| Item {
            name: format!("rows of {}", table.label()),
            stream: range.stream.clone(),
            expected: Expected::Rows(range.entry.sum),
        })
    });
    let large = archive.large_objects.iter().map(|part| Item {
        name: "large objects".to_owned(),
        stream: part.stream.clone(),
        expected: Expected::LargeObjects(part.entry.clone()),
    });
    rows.chain(large).collect()
}

async fn worker(shared: Arc<Verifying>) -> Result<()> {
    loop {
        let Some(item) = shared
            .items
            .get(shared.next.fetch_add(1, Ordering::Relaxed))
        else {
            return Ok(());
        };
        match read(&shared, item).await {
            Ok(rows) => {
                let mut report = shared.report.lock();
                report.streams += 1;
                report.rows += rows;
                report.read_bytes += item.stream.length_bytes;
            }
            Err((rung, error)) if is_damage(&error) => {
                let mut report = shared.report.lock();
                report.fails(rung);
                lost(&mut report, &shared.task, &item.name, &error.report());
            }
            Err((_, error)) => return Err(error.context(&item.name)),
        }
        shared.task.monitor.advance(1, 0, 0);
    }
}

/// Reads a stream to its end; an error comes with the rung that it breaks.
async fn read(shared: &Verifying, item: &Item) -> Result<u64, (Rung, Error)> {
    let mut reader = shared.repository.read(&item.stream);
    let mut decoding = Decoding::of(shared, &item.expected);
    let mut differs = None;
    while let Some(block) = reader
        .next()
        .await
        .map_err(|error| (Rung::Checked, error))?
    {
        // What does not parse is read on: the rung below is about every chunk.
        if differs.is_none() {
            differs = decoding.feed(&block).err();
        }
        shared.task.monitor.advance(0, block.len() as u64, 0);
    }
    match differs {
        Some(error) => Err((Rung::Decoded, error)),
        None => decoding.finish().map_err(|error| (Rung::Decoded, error)),
    }
}

/// What a stream is compared with while it is read.
enum Decoding {
    Nothing,
    Rows(Box<RowCounter>, RowTally),
    LargeObjects(Box<LargeObjects>, LargeObjectsEntry),
}

impl Decoding {
    fn of(shared: &Verifying, expected: &Expected) -> Self {
        if shared.rung < Rung::Decoded {
            return Self::Nothing;
        }
        match expected {
            Expected::Rows(tally) => Self::Rows(Box::new(RowCounter::new(&shared.secret)), *tally),
            Expected::LargeObjects(entry) => Self::LargeObjects(
                Box::new(LargeObjects {
                    decoder: PieceDecoder::default(),
                    secret: shared.secret_bytes,
                    current: None,
                    sum: LargeObjectsEntry::default(),
                    lost: entry.lost.clone(),
                }),
                entry.clone(),
            ),
        }
    }

    fn feed(&mut self, block: &[u8]) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Rows(counter, _) => {
                counter.update(block);
                Ok(())
            }
            Self::LargeObjects(objects, _) => objects.feed(block),
        }
    }

    fn finish(self) -> Result<u64> {
        match self {
            Self::Nothing => Ok(0),
            Self::Rows(counter, recorded) => match counter.tally() {
                Some(found) if found == recorded => Ok(found.rows),
                Some(found) => Err(differs(&format!(
                    "{} rows with hash {} where {} with hash {} were recorded",
                    found.rows,
                    found.hash_text(),
                    recorded.rows,
                    recorded.hash_text()
                ))),
                None => Err(differs("the last row does not end")),
            },
            Self::LargeObjects(objects, recorded) => {
                let found = objects.finish()?;
                if found.objects == recorded.objects && found.hash == recorded.hash {
                    Ok(0)
                } else {
                    Err(differs(&format!(
                        "{} large objects where {} were recorded, or other bytes in them",
                        found.objects, recorded.objects
                    )))
                }
            }
        }
    }
}

/// Large objects, hashed as they were when they were copied.
struct LargeObjects {
    decoder: PieceDecoder,
    secret: [u8; 192],
    current: Option<(u32, Xxh3)>,
    sum: LargeObjectsEntry,
    /// Objects that do not count because they were not read to their end.
    lost: Vec<u32>,
}

impl LargeObjects {
    fn feed(&mut self, block: &[u8]) -> Result<()> {
        self.decoder.feed(block);
        while let Some(piece) = self.decoder.next_piece()? {
            let (oid, mut hash) = self.current.take().unwrap_or_else(|| {
                let mut hash = Xxh3Builder::new().with_secret(self.secret).build();
                hash.update(&piece.oid.to_be_bytes());
                (piece.oid, hash)
            });
            if oid != piece.oid {
                return Err(differs(&format!("large object {oid} does not end")));
            }
            if !piece.bytes.is_empty() {
                hash.update(&piece.bytes);
                self.current = Some((oid, hash));
            } else if !self.lost.contains(&oid) {
                self.sum.objects += 1;
                self.sum.hash = self.sum.hash.wrapping_add(hash.digest128());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<LargeObjectsEntry> {
        self.decoder.finish()?;
        match self.current {
            None => Ok(self.sum),
            Some((oid, _)) => Err(differs(&format!("large object {oid} does not end"))),
        }
    }
}

fn differs(what: &str) -> Error {
    Error::new(
        Code::RepositoryCorrupt,
        format!("The stream is not what was recorded: {what}"),
    )
}

fn is_damage(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::RepositoryCorrupt | Code::RepositoryMissing
    )
}

fn lost(report: &mut VerifyReport, task: &Task, object: &str, reason: &str) {
    let loss = Loss {
        object: object.to_owned(),
        reason: reason.to_owned(),
    };
    task.monitor.lost(loss.clone());
    report.losses.push(loss);
}
