//! Downloads without a key: an address that works once, for a while.
//!
//! It is spent when the file has arrived, as far as the connection tells. Until then whoever lost the
//! connection may go on, within the same time from the break on; never two at once, and never a day later.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::Engine;
use super::backups::Prepared;
use crate::access::{Actor, scope, token};
use crate::catalog::records::{BackupRecord, DownloadRecord, Maker, download};
use crate::catalog::{Query, Record as _};
use crate::error::{Code, Error, Result};
use crate::ids::DownloadId;
use crate::model::{DownloadMade, ExportRequest, Time};

/// How long an address may be used to begin, or to go on after a break.
const LIFE: TimeDelta = TimeDelta::minutes(5);
/// How long a download may be taken up again at all.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// What a token begins with.
const PREFIX: &str = "bsd_";

/// The downloads on their way.
pub(super) type Busy = Arc<Mutex<HashSet<DownloadId>>>;

/// The right to one download at a time; given back when it is dropped, unless that was delivered.
#[derive(Debug)]
pub struct Ticket {
    id: DownloadId,
    engine: Engine,
    /// Whether it was found good: only then a break gives more time.
    is_good: bool,
    is_kept: bool,
    is_back: bool,
}

impl Ticket {
    /// The same, not spent by what it is used for.
    pub(super) fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// What it was used for has arrived: it is spent.
    pub fn delivered(mut self) {
        self.give_back(!self.is_kept);
    }

    fn give_back(&mut self, is_spent: bool) {
        if std::mem::replace(&mut self.is_back, true) {
            return;
        }
        let (engine, id) = (self.engine.clone(), self.id);
        if !self.is_good {
            engine.0.downloads.lock().remove(&id);
            return;
        }
        // Off the runtime only where it has ended, and then nothing is left to write.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = engine.write_back(id, is_spent).await {
                tracing::error!(download = %id, error = error.report(), "not written down");
            }
            engine.0.downloads.lock().remove(&id);
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_back(false);
    }
}

fn maker_of(actor: &Actor, now: Time) -> Option<Maker> {
    match actor {
        Actor::Key { id, .. } => Some(Maker::Key(*id, now)),
        Actor::User { id, .. } => Some(Maker::User(*id)),
        Actor::Process { .. } | Actor::Engine | Actor::Nobody => None,
    }
}

impl Engine {
    /// Promises a download; the token is told once.
    pub async fn promise_download(
        &self,
        backup: &str,
        request: ExportRequest,
    ) -> Result<DownloadMade> {
        // Whether it can be made is found out now, not by somebody with a browser.
        let prepared = self.prepare_export(backup, &request).await?;
        let now = self.now();
        let secret = token::generate(PREFIX);
        let record = DownloadRecord {
            id: DownloadId::generate(now),
            serial: 0,
            hash: token::hash(secret.expose()),
            backup_id: prepared.backup_id,
            request,
            made_by: scope::current().actor.label(),
            maker: maker_of(&scope::current().actor, now),
            created_at: now,
            expires_at: now + LIFE,
        };
        let note =
            serde_json::json!({"file_name": prepared.file_name, "expires_at": record.expires_at});
        let promised = self.audited(move |tx, scribe| {
            let (mut record, backup) = (record.clone(), record.backup_id);
            tx.put(&mut record)?;
            scribe.note(tx, "download.promise", backup, None::<&()>, Some(&note))?;
            Ok(record)
        });
        let record = promised.await?;
        Ok(DownloadMade {
            token: secret.expose().to_owned(),
            file_name: prepared.file_name,
            expires_at: record.expires_at,
        })
    }

    /// The download that a token stands for, to nobody else until it is dropped.
    pub async fn take_download(&self, secret: &str) -> Result<Prepared> {
        let hash = token::hash(secret);
        let query = Query::newest(1).only(download::HASH, Some(&hash));
        let found = self.0.catalog.list::<DownloadRecord>(&query)?.records.pop();
        let unknown = || {
            Error::new(
                Code::DownloadNotFound,
                "This download is spent, has expired, or never was",
            )
            .hint("Ask for another address with POST /api/v1/backups/{id}/download-url")
        };
        let record = found.filter(|record| record.hash == hash);
        let record = record.ok_or_else(unknown)?;
        if !self.0.downloads.lock().insert(record.id) {
            return Err(
                Error::new(Code::Conflict, "This download is being made already")
                    .hint("Wait until it has ended, or ask for another address"),
            );
        }
        let mut ticket = Ticket {
            id: record.id,
            engine: self.clone(),
            is_good: false,
            is_kept: false,
            is_back: false,
        };
        // Once it is ours: the one before may just have spent it, or got more time.
        let record = self.0.catalog.get::<DownloadRecord>(record.id.bits())?;
        let now = self.now();
        let record = record.filter(|record| now < record.expires_at);
        let record = record.ok_or_else(unknown)?;
        if !self.may_still_download(&record, now)? {
            return Err(unknown());
        }
        let backup = record.backup_id.to_string();
        let prepared = self.prepare_export(&backup, &record.request).await?;
        let note = serde_json::json!({"promised_to": record.made_by, "download": record.id});
        self.audit("download.begin", record.backup_id, None::<&()>, Some(&note))
            .await?;
        ticket.is_good = true;
        Ok(prepared.with(ticket))
    }

    /// Whether who promised a download could still make it.
    fn may_still_download(&self, record: &DownloadRecord, now: Time) -> Result<bool> {
        let Some(maker) = &record.maker else {
            return Ok(true);
        };
        let Some(caller) = self.maker_now(maker, now)? else {
            return Ok(false);
        };
        let Ok(caller) = caller.doing("backups:download") else {
            return Ok(false);
        };
        let backup = self
            .0
            .catalog
            .get::<BackupRecord>(record.backup_id.bits())?;
        match backup {
            Some(backup) => self.is_seen_by(&caller, &backup.owner()),
            None => Ok(false),
        }
    }

    async fn write_back(&self, id: DownloadId, is_spent: bool) -> Result<()> {
        let now = self.now();
        self.0
            .catalog
            .write(move |tx| {
                if is_spent {
                    return tx.remove::<DownloadRecord>(id.bits()).map(|_| ());
                }
                tx.change::<DownloadRecord>(id.bits(), |record| {
                    if now < record.created_at + LONGEST {
                        record.expires_at = record.expires_at.max(now + LIFE);
                    }
                    Ok(())
                })
                .map(|_| ())
            })
            .await
    }
}
