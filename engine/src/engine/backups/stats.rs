//! Numbers over all backups, from sums that are kept up: nothing is walked for them.

use std::collections::BTreeMap;

use super::super::Engine;
use super::RESTORABLE;
use crate::catalog::records::{BackupRecord, backup, tally};
use crate::catalog::{Look, Query};
use crate::error::{Error, Result};
use crate::ids::ConnectionId;
use crate::model::{BackupStats, VerifyLevel};

impl Engine {
    /// Numbers over all backups that the caller may see.
    pub async fn backup_stats(&self) -> Result<BackupStats> {
        let seen = self.seen_connections()?;
        self.0.catalog.look(|look| stats(look, seen.as_deref()))
    }
}

/// The numbers over all backups of these connections; of every one where none are named.
fn stats(look: &Look<'_>, seen: Option<&[ConnectionId]>) -> Result<BackupStats> {
    let sum = |name: &str| match seen {
        None => look.tally::<BackupRecord>(name),
        Some(seen) => seen.iter().try_fold(0_u64, |sum, id| {
            let own = look.tally::<BackupRecord>(&tally::within(id, name))?;
            Ok(sum.saturating_add(own))
        }),
    };
    let made_at = |query: Query| {
        let mut query = query.any_of(backup::STATUS, RESTORABLE);
        if let Some(seen) = seen {
            query = query.any_of(backup::CONNECTION, seen);
        }
        let found = look.list::<BackupRecord>(&query)?.records.pop();
        Ok::<_, Error>(found.map(|BackupRecord(backup)| backup.created_at))
    };
    let (source_bytes, stored_bytes) = (sum(tally::SOURCE_BYTES)?, sum(tally::STORED_BYTES)?);
    let mut verified = BTreeMap::new();
    for level in VerifyLevel::ALL {
        let count = sum(&tally::verified(*level))?;
        if count > 0 {
            verified.insert(level.to_string(), count);
        }
    }
    Ok(BackupStats {
        backups: sum(tally::BACKUPS)?,
        partial: sum(tally::PARTIAL)?,
        source_bytes,
        stored_bytes,
        ratio: ratio(source_bytes, stored_bytes),
        oldest_at: made_at(Query::oldest(1))?,
        newest_at: made_at(Query::newest(1))?,
        verified,
    })
}

/// How often the one is in the other, to two decimal places.
fn ratio(source_bytes: u64, stored_bytes: u64) -> Option<f64> {
    let exact = source_bytes as f64 / stored_bytes as f64;
    (stored_bytes > 0).then(|| (exact * 100.0).round() / 100.0)
}
