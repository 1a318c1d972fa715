//! Copying the bytes of large objects, many small ones at a time, large ones piece by piece.
//!
//! `lo_get` works for every role that may read an object; reading `pg_largeobject` would need a
//! superuser. The bytes travel as hexadecimal text of a `COPY`, so that no answer is ever larger
//! than a few pieces.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::BytesMut;
use xxhash_rust::xxh3::{Xxh3, Xxh3Builder};

use super::lanes::{Lanes, Streams};
use crate::error::{Code, Error, Result};
use crate::monitor::{Level, Loss, Task};
use crate::repository::{Content, StreamRef};
use crate::source::postgres::Sql;
use crate::source::postgres::logical::contents::LargeObjectsEntry;
use crate::source::postgres::logical::large_objects::{self, PIECE_BYTES_MAX, put_piece};
use crate::source::postgres::logical::quote::ident;
use crate::source::postgres::logical::snapshot::Leader;
use crate::source::postgres::wire::Connection;

/// Objects asked for in one statement.
const BATCH_OBJECTS: usize = 500;
/// Objects up to this size travel in one row.
const SMALL_BYTES_MAX: usize = 256 << 10;
/// Bytes of pieces gathered before they are handed to the stream.
const BLOCK_BYTES: usize = 1 << 20;

/// What came of the large objects.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// As the first lane hashes them.
    first: LargeObjectsEntry,
    /// The sums of hashes of the other lanes.
    hashes: Vec<u128>,
    /// None when there are no large objects, and in lanes that failed.
    streams: Vec<Option<StreamRef>>,
    pub(super) losses: Vec<Loss>,
}

impl Copied {
    /// How one lane keeps them.
    pub(super) fn entry(&self, lane: usize) -> LargeObjectsEntry {
        let mut entry = self.first.clone();
        if let Some(hash) = lane.checked_sub(1).and_then(|other| self.hashes.get(other)) {
            entry.hash = *hash;
        }
        entry
    }

    /// Their bytes there.
    pub(super) fn stream(&self, lane: usize) -> Option<&StreamRef> {
        self.streams.get(lane).and_then(Option::as_ref)
    }
}

/// The large objects that the role may not read. Says so, before any row moves.
pub(super) async fn unreadable(sql: &Sql, role: &str, task: &Task) -> Result<BTreeSet<u32>> {
    let oids = large_objects::unreadable(sql).await?;
    if !oids.is_empty() {
        task.monitor.note(
            Level::Warning,
            &format!(
                "The role {role} may not read {} of the large objects, so this backup will be \
                 partial: {}. GRANT SELECT ON LARGE OBJECT … TO {} lets it read them, and so does \
                 backing up as a superuser",
                oids.len(),
                large_objects::named(&oids),
                ident(role)
            ),
        );
    }
    Ok(oids)
}

/// Copies every large object of the database but those that may not be read.
pub(super) async fn copy(lanes: &Lanes, source: &super::Source, task: &Task) -> Result<Copied> {
    let leader = &source.leader;
    let mut copying = Copying {
        leader,
        task,
        session: None,
        stream: None,
        lanes,
        block: BytesMut::new(),
        done: HashSet::new(),
        copied: Copied {
            hashes: vec![0; lanes.all().len() - 1],
            ..Copied::default()
        },
    };
    let mut after: Option<u32> = None;
    loop {
        let bound = after.map_or(String::new(), |oid| format!("WHERE oid > {oid} "));
        let rows = leader
            .sql()
            .rows(&format!(
                "SELECT oid FROM pg_catalog.pg_largeobject_metadata {bound}ORDER BY oid LIMIT {BATCH_OBJECTS}"
            ))
            .await?;
        let oids = rows
            .iter()
            .map(|row| row.oid("oid"))
            .collect::<Result<Vec<u32>>>()?;
        let Some(last) = oids.last() else {
            break;
        };
        after = Some(*last);
        task.check()?;
        let (refused, oids): (Vec<u32>, Vec<u32>) =
            oids.iter().partition(|oid| source.unreadable.contains(oid));
        for oid in refused {
            copying.lose(oid, "The role may not read it".to_owned());
        }
        if !oids.is_empty() {
            copying.batch(&oids).await?;
        }
    }
    copying.finish().await
}

struct Copying<'a> {
    leader: &'a Arc<Leader>,
    task: &'a Task,
    session: Option<Connection>,
    stream: Option<Streams>,
    lanes: &'a Lanes,
    block: BytesMut,
    /// Objects of the current batch that are in the stream.
    done: HashSet<u32>,
    copied: Copied,
}

impl Copying<'_> {
    async fn batch(&mut self, oids: &[u32]) -> Result<()> {
        self.done.clear();
        let Err(error) = self.try_batch(oids).await else {
            return Ok(());
        };
        self.reset(&error)?;
        // One of them stands in the way: alone, each shows whether it is the one.
        for oid in oids {
            if self.done.contains(oid) {
                continue;
            }
            if let Err(error) = self.try_batch(&[*oid]).await {
                self.reset(&error)?;
                self.lose(*oid, error.report());
            }
        }
        Ok(())
    }

    /// Gives up the session after an object's own error; hands on any other error.
    fn reset(&mut self, error: &Error) -> Result<()> {
        self.session = None;
        if super::rows::is_the_objects_own(error) {
            return Ok(());
        }
        Err(Error::new(
            error.code(),
            format!("Large objects: {}", error.report()),
        ))
    }

    fn lose(&mut self, oid: u32, reason: String) {
        let loss = Loss {
            object: format!("large object {oid}"),
            reason,
        };
        self.task.monitor.lost(loss.clone());
        self.copied.first.lost.push(oid);
        self.copied.losses.push(loss);
    }

    async fn try_batch(&mut self, oids: &[u32]) -> Result<()> {
        let list: Vec<String> = oids.iter().map(u32::to_string).collect();
        let statement = format!(
            "COPY (SELECT o.oid, pg_catalog.octet_length(pg_catalog.lo_get(o.oid, {SMALL_BYTES_MAX}, 1)), \
             pg_catalog.encode(pg_catalog.lo_get(o.oid, 0, {SMALL_BYTES_MAX}), 'hex') \
             FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS o(oid)) TO STDOUT",
            list.join(",")
        );
        let mut session = self.take_session().await?;
        let mut large = Vec::new();
        let mut lines = Lines::default();
        let mut out = session.copy_out(&statement, None).await?;
        while let Some(block) = out.next().await? {
            lines.pending.extend_from_slice(&block);
            while let Some(line) = lines.next_line() {
                let (oid, more, bytes) = parse(&line)?;
                if more {
                    large.push(oid);
                    continue;
                }
                let mut hashes = self.hashers(oid);
                update(&mut hashes, &bytes);
                self.piece(oid, &bytes).await?;
                self.end(oid, &hashes).await?;
            }
        }
        drop(out);
        for oid in large {
            self.copy_large(&mut session, oid).await?;
        }
        self.session = Some(session);
        Ok(())
    }

    async fn copy_large(&mut self, session: &mut Connection, oid: u32) -> Result<()> {
        let mut hashes = self.hashers(oid);
        let mut offset: u64 = 0;
        loop {
            self.task.check()?;
            let statement = format!(
                "COPY (SELECT {oid}, 0, pg_catalog.encode(\
                 pg_catalog.lo_get({oid}, {offset}, {PIECE_BYTES_MAX}), 'hex')) TO STDOUT"
            );
            let bytes = match one_line(session, &statement).await {
                Ok(line) => parse(&line)?.2,
                Err(error) => {
                    if offset > 0 {
                        // What was copied stays, closed, so that the stream parses.
                        self.done.insert(oid);
                        put_piece(&mut self.block, oid, &[]);
                        self.session = None;
                        if super::rows::is_the_objects_own(&error) {
                            self.lose(oid, error.report());
                        }
                    }
                    return Err(error);
                }
            };
            if bytes.is_empty() {
                return self.end(oid, &hashes).await;
            }
            update(&mut hashes, &bytes);
            offset += bytes.len() as u64;
            self.piece(oid, &bytes).await?;
        }
    }

    async fn take_session(&mut self) -> Result<Connection> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.leader.worker().await,
        }
    }

    /// One for each lane.
    fn hashers(&self, oid: u32) -> Vec<Xxh3> {
        let lanes = self.lanes.all().iter();
        lanes
            .map(|lane| {
                let mut hash = Xxh3Builder::new().with_secret(lane.secret_bytes).build();
                hash.update(&oid.to_be_bytes());
                hash
            })
            .collect()
    }

    async fn piece(&mut self, oid: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        put_piece(&mut self.block, oid, bytes);
        self.copied.first.data_bytes += bytes.len() as u64;
        self.task.monitor.advance(0, bytes.len() as u64, 0);
        if self.block.len() >= BLOCK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn end(&mut self, oid: u32, hashes: &[Xxh3]) -> Result<()> {
        put_piece(&mut self.block, oid, &[]);
        self.done.insert(oid);
        self.copied.first.objects += 1;
        let copied = &mut self.copied;
        let sums = std::iter::once(&mut copied.first.hash).chain(&mut copied.hashes);
        for (sum, hash) in sums.zip(hashes) {
            *sum = sum.wrapping_add(hash.digest128());
        }
        if self.block.len() >= BLOCK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let lanes = self.lanes;
        self.stream
            .get_or_insert_with(|| lanes.stream(Content::File))
            .write(self.block.split().freeze())
            .await
    }

    async fn finish(mut self) -> Result<Copied> {
        if !self.block.is_empty() {
            self.flush().await?;
        }
        if self.stream.is_none() && !self.copied.first.lost.is_empty() {
            // Nothing could be read, and every restore has to say so: that needs an entry.
            self.stream = Some(self.lanes.stream(Content::File));
        }
        if let Some(stream) = self.stream {
            self.copied.streams = stream.finish().await?;
        }
        Ok(self.copied)
    }
}

fn update(hashes: &mut [Xxh3], bytes: &[u8]) {
    for hash in hashes {
        hash.update(bytes);
    }
}

async fn one_line(session: &mut Connection, statement: &str) -> Result<BytesMut> {
    let mut lines = Lines::default();
    let mut out = session.copy_out(statement, None).await?;
    while let Some(block) = out.next().await? {
        lines.pending.extend_from_slice(&block);
    }
    lines.next_line().ok_or_else(|| unexpected("no line"))
}

/// Cuts COPY text into lines.
#[derive(Default)]
struct Lines {
    pending: BytesMut,
}

impl Lines {
    fn next_line(&mut self) -> Option<BytesMut> {
        let end = memchr(&self.pending)?;
        let mut line = self.pending.split_to(end + 1);
        line.truncate(end);
        Some(line)
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// OID, whether there is more of it than the line holds, bytes.
fn parse(line: &[u8]) -> Result<(u32, bool, Vec<u8>)> {
    let mut fields = line.split(|byte| *byte == b'\t');
    let mut field = || fields.next().ok_or_else(|| unexpected("too few fields"));
    let number = |bytes: &[u8]| -> Result<u32> {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| unexpected("no number"))
    };
    let oid = number(field()?)?;
    let more = number(field()?)? > 0;
    Ok((oid, more, unhex(field()?)?))
}

fn unhex(text: &[u8]) -> Result<Vec<u8>> {
    let digit = |byte: u8| -> Result<u8> {
        match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(unexpected("no hexadecimal digit")),
        }
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(unexpected("half a byte"));
    }
    pairs
        .iter()
        .map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

fn unexpected(what: &str) -> Error {
    Error::new(
        Code::SourceProtocol,
        format!("The server's answer about large objects does not parse: {what}"),
    )
}
