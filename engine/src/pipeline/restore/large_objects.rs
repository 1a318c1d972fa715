//! Loading the bytes of large objects, in pieces, many to a statement.

use std::fmt::Write as _;

use super::Job;
use crate::error::Result;
use crate::monitor::Loss;
use crate::source::postgres::logical::large_objects::PieceDecoder;
use crate::source::postgres::logical::restore::maker::lose;
use crate::source::postgres::logical::restore::session;
use crate::source::postgres::session::Sql;

/// Hexadecimal text gathered before it is sent.
const BATCH_BYTES: usize = 2 << 20;

/// Fills the large objects, which exist already and are empty.
pub(super) async fn load(job: &Job<'_>, losses: &mut Vec<Loss>) -> Result<()> {
    if job.archive.large_objects.is_empty() {
        return Ok(());
    }
    job.task.monitor.stage("loading large objects");
    let sql = job.target.sql(job.plan.working_database()).await?;
    sql.run(&session::settings(sql.version())).await?;
    for part in &job.archive.large_objects {
        for oid in &part.entry.lost {
            losses.push(Loss {
                object: format!("large object {oid}"),
                reason: "The backup lacks some of its bytes".to_owned(),
            });
        }
        let mut reader = job.repository.read(&part.stream);
        let mut decoder = PieceDecoder::default();
        let mut batch = Batch::default();
        let mut at: (u32, u64) = (0, 0);
        while let Some(block) = reader.next().await? {
            decoder.feed(&block);
            while let Some(piece) = decoder.next_piece()? {
                if piece.bytes.is_empty() {
                    at = (0, 0);
                    continue;
                }
                if at.0 != piece.oid {
                    at = (piece.oid, 0);
                }
                batch.put(piece.oid, at.1, &piece.bytes);
                at.1 += piece.bytes.len() as u64;
                job.task.monitor.advance(0, piece.bytes.len() as u64, 0);
                if batch.text.len() >= BATCH_BYTES {
                    batch.send(&sql, losses).await?;
                }
            }
        }
        decoder.finish()?;
        batch.send(&sql, losses).await?;
    }
    Ok(())
}

/// Statements on their way.
#[derive(Default)]
struct Batch {
    text: String,
    statements: Vec<(u32, std::ops::Range<usize>)>,
}

impl Batch {
    fn put(&mut self, oid: u32, offset: u64, bytes: &[u8]) {
        let start = self.text.len();
        // Writing to a String cannot fail.
        let _ = write!(self.text, "SELECT pg_catalog.lo_put({oid}, {offset}, '\\x");
        push_hex(&mut self.text, bytes);
        self.text.push_str("');\n");
        self.statements.push((oid, start..self.text.len()));
    }

    async fn send(&mut self, sql: &Sql, losses: &mut Vec<Loss>) -> Result<()> {
        if self.statements.is_empty() {
            return Ok(());
        }
        if sql.run(&self.text).await.is_err() {
            // All of it was undone: one by one shows which object it is.
            for (oid, place) in &self.statements {
                let statement = self.text.get(place.clone()).unwrap_or_default();
                if let Err(error) = sql.run(statement).await {
                    lose(&format!("large object {oid}"), error, losses)?;
                }
            }
        }
        self.text.clear();
        self.statements.clear();
        Ok(())
    }
}

/// Appends `bytes` as hexadecimal digits.
pub(in crate::pipeline) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
