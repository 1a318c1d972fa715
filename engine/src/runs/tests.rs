//! The queue at work: order, limits, cancelling, stalls, losses, panics, crashes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::catalog::records::{BackupRecord, OwedRecord};
use crate::clock::{Clock as _, SystemClock};
use crate::ids::{BackupId, ConnectionId, RepositoryId, RunId};
use crate::model::{Backup, BackupKind, BackupType, RunKind, ServerKind, Trigger, VerifyLevel};
use crate::monitor::Loss;
use crate::secret::SecretKey;
use crate::vault::Vault;

/// Does what the run's label says.
#[derive(Debug, Default)]
struct Actor {
    working: AtomicUsize,
    most: AtomicUsize,
    order: Mutex<Vec<String>>,
    gate: Notify,
    /// What runs that break off have committed all the same.
    committed: Mutex<Vec<BackupDone>>,
}

#[async_trait]
impl Executor for Actor {
    async fn execute(
        &self,
        record: RunRecord,
        _: Option<Credentials>,
        task: Task,
    ) -> Result<Finish> {
        let Work::Backup(work) = &record.work else {
            return Ok(Finish::default());
        };
        let working = self.working.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(working, Ordering::SeqCst);
        self.order
            .lock()
            .push(record.run.database.clone().unwrap_or_default());
        let done = self
            .act(
                work.label.as_deref().unwrap_or_default(),
                &record.run,
                &task,
            )
            .await;
        self.working.fetch_sub(1, Ordering::SeqCst);
        done
    }

    async fn found(&self, run: &Run, outcome: Result<Finish>) -> Result<Finish> {
        match (outcome, run.backup_id, self.committed.lock().pop()) {
            (Err(_), Some(backup), Some(done)) => Ok(Finish {
                backups: vec![BackupEnd {
                    backup,
                    status: RunStatus::Success,
                    done: Some(done),
                    error: None,
                }],
                ..Finish::default()
            }),
            (outcome, ..) => outcome,
        }
    }

    async fn ended(&self, _: &Run) {}
}

impl Actor {
    async fn act(&self, what: &str, run: &Run, task: &Task) -> Result<Finish> {
        task.monitor.stage("acting");
        match what {
            "wait" => task
                .or_cancelled(async {
                    self.gate.notified().await;
                    Ok(())
                })
                .await
                .map(|()| Finish::default()),
            "deaf" => std::future::pending().await,
            "panic" => panic!("as asked"),
            "fail" => Err(Error::new(Code::ConnectionLost, "The server went away")),
            "lose" => {
                task.monitor.lost(Loss {
                    object: "TABLE \"a\"".to_owned(),
                    reason: "unreadable".to_owned(),
                });
                Ok(Finish::default())
            }
            _ => {
                task.monitor.advance(1, 100, 10);
                Ok(Finish {
                    backups: vec![BackupEnd {
                        backup: run.backup_id.unwrap(),
                        status: RunStatus::Success,
                        done: Some(BackupDone {
                            rows: 42,
                            ..BackupDone::default()
                        }),
                        error: None,
                    }],
                    ..Finish::default()
                })
            }
        }
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    key: SecretKey,
}

struct Engine {
    runs: Arc<Runs>,
    actor: Arc<Actor>,
    catalog: Catalog,
    stop: CancellationToken,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            key: SecretKey::random(),
        }
    }

    async fn engine(&self, change: impl FnOnce(&mut Config)) -> Engine {
        let mut config = Config::in_home(self.folder.path());
        config.parallel_runs = 2;
        change(&mut config);
        let clock: SharedClock = Arc::new(SystemClock);
        let path = self.folder.path().join("catalog.redb");
        let catalog = loop {
            let vault = Vault::new(&self.key).unwrap();
            match Catalog::open(&path, vault, &clock).await {
                Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
                other => break other.unwrap(),
            }
        };
        let stop = CancellationToken::new();
        let events = EventBus::new(Arc::clone(&clock));
        let runs = Runs::new(
            catalog.clone(),
            events,
            clock,
            &config,
            tokio::runtime::Handle::current(),
            stop.clone(),
        );
        Engine {
            runs,
            actor: Arc::default(),
            catalog,
            stop,
        }
    }
}

impl Engine {
    fn start(&self) {
        tokio::spawn(Arc::clone(&self.runs).dispatch(self.actor.clone()));
    }

    async fn submit(&self, database: &str, label: &str) -> Result<Run> {
        let mut runs = self.runs.submit(vec![backup_run(database, label)]).await?;
        Ok(runs.remove(0))
    }

    async fn finished(&self, id: RunId) -> Run {
        loop {
            let run = self
                .catalog
                .get::<RunRecord>(id.bits())
                .unwrap()
                .unwrap()
                .run;
            if run.status.is_final() && self.runs.live(id).is_none() {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn working(&self, id: RunId) -> Arc<Live> {
        loop {
            if let Some(live) = self.runs.live(id)
                && live.snapshot().progress.stage.is_some()
            {
                return live;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn backup(&self, run: &Run) -> Backup {
        let id = run.backup_id.unwrap().bits();
        self.catalog.get::<BackupRecord>(id).unwrap().unwrap().0
    }
}

fn backup_run(database: &str, label: &str) -> NewRun {
    let now = SystemClock.now();
    let connection_id = ConnectionId::from_bits(1);
    let (run_id, backup_id) = (RunId::generate(now), BackupId::generate(now));
    let title = format!("Backup of shop/{database}");
    let run = Run {
        connection_id: Some(connection_id),
        connection: Some("shop".to_owned()),
        database: Some(database.to_owned()),
        repository_id: Some(RepositoryId::from_bits(1)),
        backup_id: Some(backup_id),
        ..Run::pending(run_id, RunKind::Backup, Trigger::Socket, title, now)
    };
    let backup = Backup {
        id: backup_id,
        serial: 0,
        connection_id,
        connection: "shop".to_owned(),
        engine: ServerKind::Postgres,
        database: database.to_owned(),
        kind: BackupKind::Logical,
        backup_type: BackupType::Full,
        base_backup_id: None,
        status: RunStatus::Pending,
        repository_id: RepositoryId::from_bits(1),
        repository: "local".to_owned(),
        run_id: Some(run_id),
        job_id: None,
        label: Some(label.to_owned()),
        note: None,
        selection: None,
        pinned_until: None,
        created_at: now,
        started_at: None,
        finished_at: None,
        point_at: None,
        duration_ms: None,
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
        losses: Vec::new(),
        error: None,
    };
    NewRun {
        record: RunRecord {
            run,
            work: Work::Backup(crate::model::BackupCreate {
                label: Some(label.to_owned()),
                ..Default::default()
            }),
            job: None,
        },
        backups: vec![BackupRecord(backup)],
        restore: None,
        credentials: None,
    }
}

#[tokio::test]
async fn every_outcome_is_written_with_its_backup() {
    let engine = Fixture::new();
    let engine = engine.engine(|_| {}).await;
    engine.start();
    for (label, status, code) in [
        ("", RunStatus::Success, None),
        ("fail", RunStatus::Failed, Some("connection.lost")),
        ("lose", RunStatus::Partial, None),
        ("panic", RunStatus::Failed, Some("internal")),
    ] {
        let run = engine.submit("orders", label).await.unwrap();
        let run = engine.finished(run.id).await;
        assert_eq!(run.status, status, "{label}");
        assert_eq!(run.error.as_ref().map(|error| error.code.as_str()), code);
        let backup = engine.backup(&run);
        assert_eq!(backup.status, status);
        assert_eq!(backup.losses, run.losses);
        assert_eq!(backup.rows, if label.is_empty() { 42 } else { 0 });
        let log = engine.catalog.log_lines(run.id.bits(), 0, 100).unwrap();
        assert!(log.len() >= 3, "{log:?}");
        assert_eq!(log[0].text, "Backup of shop/orders");
    }
}

#[tokio::test]
async fn never_two_on_one_database_and_never_more_than_the_limit() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    let mut ids = Vec::new();
    for database in ["a", "b", "c", "d"] {
        ids.push(engine.submit(database, "wait").await.unwrap().id);
    }
    let error = engine.submit("a", "").await.unwrap_err();
    assert_eq!(error.code(), Code::RunBusy);
    engine.start();
    engine.working(ids[0]).await;
    // `a` works now, so one more may wait for it.
    ids.push(engine.submit("a", "").await.unwrap().id);
    for id in ids {
        loop {
            engine.actor.gate.notify_waiters();
            let run = engine
                .catalog
                .get::<RunRecord>(id.bits())
                .unwrap()
                .unwrap()
                .run;
            if run.status.is_final() {
                assert_eq!(run.status, RunStatus::Success);
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(engine.actor.most.load(Ordering::SeqCst), 2);
    assert_eq!(engine.actor.order.lock().first().unwrap(), "a");
}

#[tokio::test]
async fn a_cancelled_run_ends_even_when_it_is_deaf() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    engine.start();
    for label in ["wait", "deaf"] {
        let run = engine.submit("orders", label).await.unwrap();
        let live = engine.working(run.id).await;
        let mut follower = live.follow();
        assert!(engine.runs.cancel(run.id).await.unwrap().cancel_requested);
        follower
            .wait_for(|run| run.status.is_final())
            .await
            .unwrap();
        let run = engine.finished(run.id).await;
        assert_eq!(run.status, RunStatus::Cancelled, "{label}");
        assert_eq!(engine.backup(&run).status, RunStatus::Cancelled);
    }
}

#[tokio::test]
async fn a_waiting_run_can_be_cancelled() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    let run = engine.submit("orders", "").await.unwrap();
    let run = engine.runs.cancel(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Cancelled);
    assert_eq!(engine.backup(&run).status, RunStatus::Cancelled);
    engine.start();
    let next = engine.submit("orders", "").await.unwrap();
    engine.finished(next.id).await;
    assert_eq!(engine.actor.order.lock().len(), 1);
}

#[tokio::test]
async fn a_run_without_progress_stalls() {
    let fixture = Fixture::new();
    let engine = fixture
        .engine(|config| config.stall_timeout = Duration::from_millis(300))
        .await;
    engine.start();
    let run = engine.submit("orders", "wait").await.unwrap();
    let run = engine.finished(run.id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "run.stalled");
}

#[tokio::test]
async fn what_a_crash_cut_off_is_interrupted_and_what_waited_goes_on() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|config| config.parallel_runs = 1).await;
    let cut = engine.submit("a", "deaf").await.unwrap();
    let waiting = engine.submit("b", "").await.unwrap();
    let now = SystemClock.now();
    // A process that dies leaves the record as it was when the run began.
    let id = cut.id.bits();
    engine
        .catalog
        .write(move |tx| finish::begun(tx, id, now))
        .await
        .unwrap();
    drop(engine);

    let engine = fixture.engine(|_| {}).await;
    let found = engine.runs.recover().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].run.id, cut.id);
    engine.start();
    assert_eq!(engine.finished(waiting.id).await.status, RunStatus::Success);
    let run = engine.finished(cut.id).await;
    assert_eq!(run.status, RunStatus::Interrupted);
    assert_eq!(engine.backup(&run).status, RunStatus::Interrupted);
}

#[tokio::test]
async fn a_stopping_engine_ends_its_runs_and_takes_no_more() {
    let fixture = Fixture::new();
    let engine = fixture
        .engine(|config| config.drain_timeout = Duration::from_millis(100))
        .await;
    engine.start();
    let run = engine.submit("a", "wait").await.unwrap();
    engine.working(run.id).await;
    engine.stop.cancel();
    let refused = engine.submit("b", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::EngineStopping);
    engine.runs.drain(false).await;
    assert_eq!(engine.finished(run.id).await.status, RunStatus::Interrupted);
}

#[tokio::test]
async fn an_engine_that_stops_at_once_interrupts_its_runs() {
    for (label, begun) in [("wait", true), ("deaf", true), ("wait", false)] {
        let fixture = Fixture::new();
        let engine = fixture.engine(|_| {}).await;
        engine.start();
        let run = engine.submit("a", label).await.unwrap();
        if begun {
            engine.working(run.id).await;
        }
        engine.stop.cancel();
        engine.runs.drain(true).await;
        let record = engine.catalog.get::<RunRecord>(run.id.bits());
        let run = record.unwrap().unwrap().run;
        if !begun && run.status == RunStatus::Pending {
            // It had not left the queue and goes on at the next start.
            continue;
        }
        assert_eq!(run.status, RunStatus::Interrupted, "{label}");
        assert!(!run.cancel_requested, "nobody asked for it");
        assert_eq!(engine.backup(&run).status, RunStatus::Interrupted);
        assert_eq!(run.error.unwrap().code, "engine.stopping");
    }
}

#[tokio::test]
async fn what_was_committed_stays_made_however_its_run_ends() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    engine.start();
    for label in ["wait", "deaf", "fail", "panic"] {
        let done = BackupDone {
            rows: 42,
            ..BackupDone::default()
        };
        engine.actor.committed.lock().push(done);
        let run = engine.submit("orders", label).await.unwrap();
        if matches!(label, "wait" | "deaf") {
            engine.working(run.id).await;
            engine.runs.cancel(run.id).await.unwrap();
        }
        let run = engine.finished(run.id).await;
        assert_eq!(run.status, RunStatus::Success, "{label}");
        let backup = engine.backup(&run);
        assert_eq!((backup.status, backup.rows), (RunStatus::Success, 42));
    }
}

#[tokio::test]
async fn a_record_that_was_left_behind_does_not_keep_its_cancellation_waiting() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    let NewRun { mut record, .. } = backup_run("orders", "");
    record.run.status = RunStatus::Running;
    let id = record.run.id;
    engine.catalog.put(record).await.unwrap();
    let refused = engine.runs.cancel(id).await.unwrap_err();
    assert_eq!(refused.code(), Code::RunBusy);
    assert!(!engine.runs.is_known(id));
}

#[tokio::test]
async fn a_cancelled_run_leaves_no_credentials_behind() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    let mut new = backup_run("orders", "");
    new.credentials = Some(Credentials {
        passphrase: Some(SecretText::new("open sesame")),
        ..Credentials::default()
    });
    let id = engine.runs.submit(vec![new]).await.unwrap()[0].id;
    assert!(engine.runs.is_known(id));
    assert_eq!(engine.runs.state.lock().credentials.len(), 1);
    engine.runs.cancel(id).await.unwrap();
    assert!(engine.runs.state.lock().credentials.is_empty());
}

#[tokio::test]
async fn with_the_end_of_a_run_it_is_written_that_something_is_to_follow() {
    let fixture = Fixture::new();
    let engine = fixture.engine(|_| {}).await;
    engine.start();
    let run = engine.submit("a", "fail").await.unwrap();
    engine.finished(run.id).await;
    let owed = engine.catalog.get::<OwedRecord>(run.id.bits()).unwrap();
    assert_eq!(owed.map(|owed| owed.told), Some(false));
}
