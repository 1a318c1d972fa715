//! Steps that tests of the façade share: what lies in catalog and repository, and runs that are waited for.

use super::*;
use crate::catalog::records::{BackupRecord, OfJob, RunRecord, Work};
use crate::ids::{BackupId, RunId};
use crate::repository::{Content, SnapshotDraft};

/// A backup of shop/orders that is committed in a repository, and of which the catalog thinks so.
pub(super) async fn committed(engine: &Engine, repository: &str, run: Option<&Run>) -> BackupId {
    let own = run.and_then(|run| {
        let all = run.destinations.iter();
        let own = all.filter(|own| own.repository == repository);
        own.map(|own| own.backup_id).next().or(run.backup_id)
    });
    let id = own.unwrap_or_else(|| BackupId::generate(engine.now()));
    let record = engine.find_repository(repository).unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let writer = repository.begin("a test").await.unwrap();
    let tree = writer.stream(Content::Metadata).finish().await.unwrap();
    let facts = serde_json::json!({
        "source": "postgresql", "kind": "logical", "database": "orders", "server_version": "15.1",
        "server_version_num": 150_001, "snapshot_at": "2026-01-01T00:00:00Z", "snapshot_age_ms": 1,
        "selection": {}, "objects": 1, "tables": 1, "rows": 42, "data_bytes": 1, "large_objects": 0,
        "database_bytes": 1, "outcome": "success",
    });
    let draft = SnapshotDraft {
        id,
        tree,
        base: None,
        facts,
    };
    writer.commit(draft).await.unwrap();
    id
}

pub(super) async fn known(
    engine: &Engine,
    id: BackupId,
    repository: &str,
    status: RunStatus,
) -> Backup {
    let repository = engine.repository(repository).await.unwrap();
    let shop = engine.connection("shop").await.unwrap();
    let mut backup = crate::engine::backups::blank_backup(id, &shop, "orders", &repository);
    backup.status = status;
    let saved = engine.0.catalog.put(BackupRecord(backup)).await;
    saved.unwrap().0
}

pub(super) async fn good(engine: &Engine, repository: &str) -> BackupId {
    let id = committed(engine, repository, None).await;
    known(engine, id, repository, RunStatus::Success).await;
    id
}

/// A backup run to those repositories, which works or has ended, as far as the catalog knows.
pub(super) async fn run_to(
    engine: &Engine,
    places: &[&str],
    status: RunStatus,
    job: Option<&Job>,
) -> Run {
    let now = engine.now();
    let shop = engine.connection("shop").await.unwrap();
    let mut run = Run::pending(
        RunId::generate(now),
        RunKind::Backup,
        Trigger::Schedule,
        "run",
        now,
    );
    run.status = status;
    run.started_at = Some(now);
    run.connection_id = Some(shop.id);
    run.database = Some("orders".to_owned());
    run.job_id = job.map(|job| job.id.to_string());
    for place in places {
        let repository = engine.repository(place).await.unwrap();
        run.destinations.push(Destination {
            repository_id: repository.id,
            repository: repository.name,
            backup_id: BackupId::generate(now),
            status,
            error: None,
        });
    }
    run.backup_id = run.destinations.first().map(|own| own.backup_id);
    run.repository_id = run.destinations.first().map(|own| own.repository_id);
    for own in &run.destinations {
        let mut backup = known(engine, own.backup_id, &own.repository, status).await;
        backup.run_id = Some(run.id);
        engine.0.catalog.put(BackupRecord(backup)).await.unwrap();
    }
    if let [_] = places {
        run.destinations.clear();
    }
    let job = job.map(|job| OfJob {
        id: job.id,
        attempt: 1,
        max_runtime_seconds: None,
    });
    let record = RunRecord {
        run,
        work: Work::Backup(BackupCreate::default()),
        job,
    };
    engine.0.catalog.put(record).await.unwrap().run
}

pub(super) fn backup_of(engine: &Engine, id: BackupId) -> Option<Backup> {
    let found = engine.0.catalog.get::<BackupRecord>(id.bits());
    found.unwrap().map(|record| record.0)
}

pub(super) async fn shop(home: &std::path::Path) -> Engine {
    let engine = opened(home).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    add_second(&engine, home).await;
    engine
}

pub(super) async fn finished(engine: &Engine, started: Started) -> Run {
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    let mut last = None;
    while let Some(run) = watch.next().await {
        last = Some(run);
    }
    last.unwrap()
}

pub(super) async fn checked(engine: &Engine) -> Run {
    let request = CheckRequest {
        read_data_percent: Some(0),
    };
    let started = engine.check_repository("local", &request, Trigger::Api);
    let started = started.await.unwrap();
    finished(engine, started).await
}

/// A repository `second` beside the first.
pub(super) async fn add_second(engine: &Engine, home: &std::path::Path) {
    let second = create("second", &home.join("second"));
    engine.add_repository(second).await.unwrap();
}
