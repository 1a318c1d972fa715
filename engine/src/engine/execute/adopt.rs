//! From a committed snapshot to the catalog's record of the backup: right after the commit, after a run
//! broke off or a crash came between commit and catalog, and in a rebuild.

use std::time::Duration;

use futures_util::future::join_all;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Engine;
use super::work::finish_of;
use crate::catalog::records::{RepositoryRecord, RunRecord, Work};
use crate::error::{Error, Result};
use crate::ids::{BackupId, ConnectionId, RepositoryId, RunId};
use crate::model::{
    Backup, BackupKind, BackupType, Loss, Run, ServerKind, Time, Trigger, VerifyLevel,
};
use crate::pipeline::backup::BackupFacts;
use crate::repository::format::digest::hex;
use crate::repository::{Repository, Snapshot, snapshot_key};
use crate::runs::{BackupDone, BackupEnd, Finish};

/// How long a repository is given to say what it has of a run that broke off, whose end waits for it.
const LOOK: Duration = Duration::from_secs(10);
/// And after a crash, in the background.
const LONG_LOOK: Duration = Duration::from_mins(10);

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
        status: BackupEnd::made(snapshot.id, facts.outcome, BackupDone::default()).status,
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
        let id = cut_off.run.id.bits();
        let Some(RunRecord { run, .. }) = self.0.catalog.get(id)? else {
            return Ok(());
        };
        let ids = run.makes();
        let found = self.look_for(&run, &ids, Looking::ForTheDead).await;
        let Some(at) = found.iter().map(|found| found.finished_at).max() else {
            return Ok(());
        };
        let losses = found[0].losses.clone();
        let lacking = ids.into_iter().map(|(_, backup)| BackupEnd {
            backup,
            status: run.status,
            done: None,
            error: run.error.clone(),
        });
        let finish = finish_of(&run, with(lacking.collect(), found));
        self.0.runs.amend(run.id, at, losses, finish).await
    }

    /// What a backup run that broke off, or lacks a repository, has committed all the same.
    pub(in super::super) async fn found_of(
        &self,
        run: &Run,
        outcome: Result<Finish>,
    ) -> Result<Finish> {
        let ends = match &outcome {
            Ok(finish) => finish.backups.clone(),
            Err(error) => {
                let makes = run.makes().into_iter();
                makes.map(|(_, id)| BackupEnd::failed(id, error)).collect()
            }
        };
        let lacks = |id: BackupId| {
            let mut ends = ends.iter();
            ends.any(|end| end.backup == id && !end.status.is_restorable())
        };
        let mut ids = run.makes();
        ids.retain(|(_, id)| lacks(*id));
        let found = self.look_for(run, &ids, Looking::ForTheLiving).await;
        if found.is_empty() {
            return outcome;
        }
        Ok(finish_of(run, with(ends, found)))
    }

    /// Looks into all those repositories at once, and into none of them for ever.
    async fn look_for(
        &self,
        run: &Run,
        ids: &[(RepositoryId, BackupId)],
        looking: Looking,
    ) -> Vec<Committed> {
        let looks = ids.iter().map(async |(repository, id)| {
            let look = self.committed(run, *repository, *id, looking);
            let error = match tokio::time::timeout(looking.limit(), look).await {
                Ok(Ok(found)) => return found,
                Ok(Err(error)) => error.report(),
                Err(_) => "it did not answer in time".to_owned(),
            };
            tracing::warn!(backup = %id, error, "a repository was not looked into");
            None
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    /// The backup that a run has committed in a repository, if it did.
    async fn committed(
        &self,
        run: &Run,
        repository: RepositoryId,
        id: BackupId,
        looking: Looking,
    ) -> Result<Option<Committed>> {
        let record = self.find_repository(&repository.to_string())?;
        let repository = self.open_repository(&record).await?;
        let dead = [self.writer_name(run)];
        if looking == Looking::ForTheDead {
            // Only one engine at a time has this catalog, so whoever wrote for it before is dead.
            repository.end_sessions_of(&dead).await?;
        }
        if !repository.snapshots().await?.contains(&id) {
            return Ok(None);
        }
        // What is committed needs no session any more; a commit still on its way does.
        repository.end_sessions_of(&dead).await?;
        committed_as(&repository, id).await.map(Some)
    }
}

/// What the snapshot of that id says of its backup.
pub(super) async fn committed_as(repository: &Repository, id: BackupId) -> Result<Committed> {
    let snapshot = repository.snapshot(id).await?;
    let facts = read_facts(&snapshot)?;
    let done = done(repository, &snapshot, &facts).await;
    Ok(Committed {
        end: BackupEnd::made(id, facts.outcome, done),
        finished_at: snapshot.committed_at,
        losses: facts.losses,
    })
}

/// Whose backups are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looking {
    /// A run of an engine that has ended.
    ForTheDead,
    /// A run of this one.
    ForTheLiving,
}

impl Looking {
    fn limit(self) -> Duration {
        match self {
            Self::ForTheDead => LONG_LOOK,
            Self::ForTheLiving => LOOK,
        }
    }
}

/// A backup that was found in its repository although nobody heard of its commit.
pub(super) struct Committed {
    pub(super) end: BackupEnd,
    pub(super) finished_at: Time,
    pub(super) losses: Vec<Loss>,
}

/// The same, with what was found in place of what was thought.
fn with(mut ends: Vec<BackupEnd>, found: Vec<Committed>) -> Vec<BackupEnd> {
    for Committed { end, .. } in found {
        if let Some(own) = ends.iter_mut().find(|own| own.backup == end.backup) {
            *own = end;
        }
    }
    ends
}
