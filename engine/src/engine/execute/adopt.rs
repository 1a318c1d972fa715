//! From a committed snapshot to the catalog's record of the backup: right after the commit, after a
//! crash between commit and catalog, and in a rebuild.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::catalog::records::{BackupRecord, RepositoryRecord, RunRecord, Work};
use crate::error::{Error, Result};
use crate::ids::{BackupId, ConnectionId, RepositoryId, RunId};
use crate::model::{
    Backup, BackupKind, BackupType, Loss, Run, RunStatus, ServerKind, Time, Trigger, VerifyLevel,
};
use crate::pipeline::backup::{BackupFacts, Outcome};
use crate::repository::format::digest::hex;
use crate::repository::{Repository, Snapshot, snapshot_key};
use crate::runs::BackupDone;

/// What a snapshot says of the run that made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunFacts {
    pub(super) run_id: RunId,
    pub(super) trigger: Trigger,
    pub(super) connection_id: ConnectionId,
    pub(super) connection: String,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) note: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) backup_type: Option<BackupType>,
    #[serde(default)]
    pub(super) base: Option<BackupId>,
    pub(super) created_at: Time,
}

/// What the catalog keeps of a committed backup.
pub(super) async fn done(
    repository: &Repository,
    snapshot: &Snapshot,
    facts: &BackupFacts,
) -> BackupDone {
    let object = repository
        .storage()
        .get(&snapshot_key(snapshot.id), None)
        .await;
    BackupDone {
        point_at: facts.snapshot_at.parse().ok(),
        source_bytes: snapshot.tally.read_bytes,
        new_bytes: snapshot.tally.new_bytes,
        stored_bytes: snapshot.tally.stored_bytes,
        objects: facts.objects,
        tables: facts.tables,
        rows: facts.rows,
        server_version: Some(facts.server_version.clone()),
        checksum: object
            .ok()
            .map(|bytes| hex(digest(&SHA256, &bytes).as_ref())),
    }
}

fn status(facts: &BackupFacts) -> RunStatus {
    match facts.outcome {
        Outcome::Success => RunStatus::Success,
        Outcome::Partial => RunStatus::Partial,
    }
}

fn read_facts(snapshot: &Snapshot) -> Result<BackupFacts> {
    serde_json::from_value(snapshot.facts.clone()).map_err(|error| {
        Error::invalid(format!(
            "Backup {} is of a kind not known here",
            snapshot.id
        ))
        .because(error)
    })
}

/// The backup that a snapshot is, from what it says itself.
pub(super) async fn backup_of_snapshot(
    repository: &Repository,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
) -> Result<Backup> {
    let facts = read_facts(snapshot)?;
    let run: Option<RunFacts> = serde_json::from_value(facts.run.clone()).ok();
    let took = snapshot.committed_at - snapshot.started_at;
    let mut backup = Backup {
        id: snapshot.id,
        serial: 0,
        connection_id: run
            .as_ref()
            .map_or(ConnectionId::from_bits(0), |run| run.connection_id),
        connection: run
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |run| run.connection.clone()),
        engine: ServerKind::Postgres,
        database: facts.database.clone(),
        kind: BackupKind::Logical,
        backup_type: run
            .as_ref()
            .and_then(|run| run.backup_type)
            .unwrap_or(BackupType::Full),
        base_backup_id: run.as_ref().and_then(|run| run.base),
        status: status(&facts),
        repository_id: record.repository.id,
        repository: record.repository.name.clone(),
        run_id: run.as_ref().map(|run| run.run_id),
        job_id: None,
        selection: Some(facts.selection.clone()).filter(|s| !s.is_everything()),
        label: run.as_ref().and_then(|run| run.label.clone()),
        note: run.as_ref().and_then(|run| run.note.clone()),
        pinned_until: None,
        created_at: run
            .as_ref()
            .map_or_else(|| snapshot.id.created_at(), |run| run.created_at),
        started_at: Some(snapshot.started_at),
        finished_at: Some(snapshot.committed_at),
        point_at: None,
        duration_ms: Some(took.num_milliseconds().max(0).unsigned_abs()),
        source_bytes: 0,
        new_bytes: 0,
        stored_bytes: 0,
        objects: 0,
        tables: 0,
        rows: 0,
        server_version: None,
        checksum: None,
        verify_level: VerifyLevel::None,
        verified: Vec::new(),
        failed_rung: None,
        losses: facts.losses.clone(),
        error: None,
    };
    done(repository, snapshot, &facts).await.apply(&mut backup);
    Ok(backup)
}

impl Engine {
    /// A crash may come between a backup's commit and the catalog: such a backup is whole. And what a
    /// collection that was cut off had announced, the next one may go on with at once.
    pub(in super::super) async fn adopt_committed(&self, cut_off: &[RunRecord]) {
        for record in cut_off {
            let adopted = match record.work {
                Work::Backup(_) => self.adopt(record).await,
                Work::Prune { dry_run: false } => self.release(record).await,
                _ => continue,
            };
            if let Err(error) = adopted {
                tracing::warn!(run = %record.run.id, error = error.report(), "not looked after");
            }
        }
    }

    /// As in [`Self::adopt`], whoever collected for this catalog before is dead.
    async fn release(&self, cut_off: &RunRecord) -> Result<()> {
        let record = self.repository_of(&cut_off.run)?;
        let repository = self.open_repository(&record).await?;
        let dead = [self.writer_name(&cut_off.run)];
        repository.end_sessions_of(&dead).await?;
        repository.release_marks_of(&dead).await?;
        Ok(())
    }

    async fn adopt(&self, cut_off: &RunRecord) -> Result<()> {
        let mut adopted = Vec::new();
        for (repository, id) in cut_off.run.makes() {
            match self.committed(&cut_off.run, repository, id).await {
                Ok(None) => {}
                Ok(Some(found)) => adopted.push((id, found)),
                Err(error) => tracing::warn!(
                    backup = %id, error = error.report(), "a repository was not looked into"
                ),
            }
        }
        if adopted.is_empty() {
            return Ok(());
        }
        let run = cut_off.run.id.bits();
        self.0
            .catalog
            .write(move |tx| {
                for (id, found) in &adopted {
                    tx.change::<BackupRecord>(id.bits(), |record| {
                        record.0.status = found.status;
                        record.0.error = None;
                        record.0.losses.clone_from(&found.losses);
                        record.0.finished_at = Some(found.finished_at);
                        found.done.apply(&mut record.0);
                        Ok(())
                    })?;
                }
                tx.change::<RunRecord>(run, |record| {
                    take_in(&mut record.run, &adopted);
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// The backup that a run which was cut off has committed in a repository, if it did.
    async fn committed(
        &self,
        run: &Run,
        repository: RepositoryId,
        id: BackupId,
    ) -> Result<Option<Committed>> {
        let record = self.find_repository(&repository.to_string())?;
        let repository = self.open_repository(&record).await?;
        // Only one engine at a time has this catalog, so whoever wrote for it before is dead.
        repository.end_sessions_of(&[self.writer_name(run)]).await?;
        if !repository.snapshots().await?.contains(&id) {
            return Ok(None);
        }
        let snapshot = repository.snapshot(id).await?;
        let facts = read_facts(&snapshot)?;
        Ok(Some(Committed {
            done: done(&repository, &snapshot, &facts).await,
            status: status(&facts),
            finished_at: snapshot.committed_at,
            losses: facts.losses,
        }))
    }
}

/// A backup that was found in its repository after a crash.
struct Committed {
    done: BackupDone,
    status: RunStatus,
    finished_at: Time,
    losses: Vec<Loss>,
}

/// The run has made those backups. Without one in every repository it is partial, and says so.
fn take_in(run: &mut Run, adopted: &[(BackupId, Committed)]) {
    for own in &mut run.destinations {
        if let Some((_, found)) = adopted.iter().find(|(id, _)| *id == own.backup_id) {
            own.status = found.status;
            own.error = None;
        }
    }
    let complete = adopted.len() == run.makes().len();
    let whole = adopted
        .iter()
        .all(|(_, found)| found.status == RunStatus::Success);
    if complete {
        run.error = None;
    }
    run.status = if complete && whole {
        RunStatus::Success
    } else {
        RunStatus::Partial
    };
    if let Some((_, found)) = adopted.first() {
        run.losses.clone_from(&found.losses);
        run.finished_at = Some(found.finished_at);
    }
}
