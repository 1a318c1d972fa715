//! Lists, names, serials, groups of writes, damaged files, old records.

mod damage;
mod layouts;
mod lists;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeZone as _;

use super::records::{BackupRecord, DatabaseRecord, backup};
use super::*;
use crate::clock::ManualClock;
use crate::ids::{BackupId, ConnectionId, DatabaseId, RepositoryId, RunId};
use crate::model::{
    Backup, BackupKind, BackupType, Level, RunStatus, ServerKind, Time, VerifyLevel,
};
use crate::secret::SecretKey;

fn start() -> Time {
    chrono::Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap()
}

struct Fixture {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    key: SecretKey,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(start())),
            key: SecretKey::random(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("catalog.redb")
    }

    async fn open(&self) -> Result<Catalog> {
        let clock: SharedClock = self.clock.clone();
        Catalog::open(&self.path(), Vault::new(&self.key)?, &clock).await
    }

    fn backup(&self, connection: ConnectionId, database: &str, status: RunStatus) -> BackupRecord {
        self.clock.advance(Duration::from_secs(1));
        let at = crate::clock::Clock::now(&*self.clock);
        BackupRecord(Backup {
            id: BackupId::generate(at),
            serial: 0,
            connection_id: connection,
            connection: "shop".to_owned(),
            engine: ServerKind::Postgres,
            database: database.to_owned(),
            kind: BackupKind::Logical,
            backup_type: BackupType::Full,
            base_backup_id: None,
            status,
            repository_id: RepositoryId::from_bits(1),
            repository: "local".to_owned(),
            run_id: None,
            job_id: None,
            label: None,
            note: None,
            selection: None,
            pinned_until: None,
            created_at: at,
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
        })
    }
}

/// Many backups: ten connections, four databases each, every hundredth failed, some labelled.
async fn filled(fixture: &Fixture, count: usize) -> (Catalog, Vec<BackupRecord>) {
    let catalog = fixture.open().await.unwrap();
    let mut all = Vec::new();
    for n in 0..count {
        let status = if n % 100 == 7 {
            RunStatus::Failed
        } else {
            RunStatus::Success
        };
        let connection = ConnectionId::from_bits(n as u128 % 10);
        let mut record = fixture.backup(connection, &format!("db{}", n / 10 % 4), status);
        if n % 50 == 0 {
            record.0.label = Some("nightly".to_owned());
        }
        all.push(record);
    }
    for part in all.chunks(1000) {
        let part = part.to_vec();
        catalog
            .write(move |tx| {
                for record in &part {
                    tx.put(&mut record.clone())?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    (catalog, all)
}

/// Every filter and combination, beside what a full walk answers; and what it cost.
#[tokio::test]
async fn a_list_reads_only_what_it_answers() {
    let fixture = Fixture::new();
    let (catalog, all) = filled(&fixture, 5000).await;
    let connection = ConnectionId::from_bits(7).to_string();
    let (from, to) = (all[1000].0.created_at, all[4000].0.created_at);
    for filters in 0_u32..32 {
        let on = |bit: u32| filters & (1 << bit) != 0;
        let query = Query::newest(50)
            .only(backup::CONNECTION, on(0).then_some(&connection))
            .only(backup::DATABASE, on(1).then_some("db2"))
            .only(backup::STATUS, on(2).then_some(RunStatus::Failed))
            .only(backup::LABEL, on(3).then_some("nightly"))
            .within(on(4).then_some(from), on(4).then_some(to));
        let expected: Vec<u128> = all
            .iter()
            .rev()
            .map(|record| &record.0)
            .filter(|b| !on(0) || b.connection_id.to_string() == connection)
            .filter(|b| !on(1) || b.database == "db2")
            .filter(|b| !on(2) || b.status == RunStatus::Failed)
            .filter(|b| !on(3) || b.label.as_deref() == Some("nightly"))
            .filter(|b| !on(4) || (from..to).contains(&b.created_at))
            .take(50)
            .map(|b| b.id.bits())
            .collect();
        let before = catalog.rows_read();
        let slice = catalog.list::<BackupRecord>(&query).unwrap();
        let cost = catalog.rows_read() - before;
        let found: Vec<u128> = slice.records.iter().map(Record::id).collect();
        assert_eq!(found, expected, "filters {filters:b}");
        assert!(cost <= 102, "filters {filters:b} read {cost} rows");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let fixture = Fixture::new();
    let (catalog, all) = filled(&fixture, 230).await;
    let mut cursor: Option<String> = None;
    let mut seen = Vec::new();
    loop {
        let query = Query::page(Some(50), cursor.as_deref()).unwrap();
        let slice = catalog.list::<BackupRecord>(&query).unwrap();
        seen.extend(slice.records.iter().map(Record::id));
        match slice.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let expected: Vec<u128> = all.iter().rev().map(Record::id).collect();
    assert_eq!(seen, expected);
    assert!(Query::page(Some(0), None).is_err());
    assert!(Query::page(None, Some("nonsense")).is_err());
}

#[tokio::test]
async fn a_changed_record_moves_between_lists() {
    let fixture = Fixture::new();
    let catalog = fixture.open().await.unwrap();
    let connection = ConnectionId::from_bits(3);
    let record = catalog
        .put(fixture.backup(connection, "orders", RunStatus::Running))
        .await
        .unwrap();
    assert_eq!(record.serial(), 1);
    let id = record.id();
    catalog
        .write(move |tx| {
            tx.change::<BackupRecord>(id, |backup| {
                backup.0.status = RunStatus::Success;
                backup.0.label = Some("x".to_owned());
                Ok(())
            })
        })
        .await
        .unwrap();
    let listed = |number, value: &str| {
        let query = Query::newest(10).only(number, Some(value));
        catalog.list::<BackupRecord>(&query).unwrap().records.len()
    };
    assert_eq!(listed(backup::STATUS, "running"), 0);
    assert_eq!(listed(backup::STATUS, "success"), 1);
    assert_eq!(listed(backup::LABEL, "x"), 1);
    assert_eq!(
        catalog.by_serial::<BackupRecord>(1).unwrap().unwrap().id(),
        id
    );
    catalog
        .write(move |tx| tx.remove::<BackupRecord>(id))
        .await
        .unwrap();
    assert_eq!(listed(backup::STATUS, "success"), 0);
    assert!(catalog.get::<BackupRecord>(id).unwrap().is_none());
}

fn database(name: &str) -> DatabaseRecord {
    DatabaseRecord(crate::model::Database {
        id: DatabaseId::generate(start()),
        serial: 0,
        connection_id: ConnectionId::from_bits(1),
        name: name.to_owned(),
        selected: true,
        owner: None,
        encoding: None,
        size_bytes: None,
        present: true,
        discovered_at: start(),
        seen_at: start(),
    })
}

#[tokio::test]
async fn a_failing_write_fails_alone() {
    let fixture = Fixture::new();
    let catalog = fixture.open().await.unwrap();
    catalog.put(database("taken")).await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..40 {
        let catalog = catalog.clone();
        let name = if n % 10 == 3 {
            "taken".to_owned()
        } else {
            format!("db{n}")
        };
        waiting.push(tokio::spawn(
            async move { catalog.put(database(&name)).await },
        ));
    }
    let mut refused = 0;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), Code::Conflict);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 4);
    assert_eq!(catalog.all::<DatabaseRecord>().unwrap().len(), 37);
}

#[tokio::test]
async fn a_second_engine_is_told_so() {
    let fixture = Fixture::new();
    let first = fixture.open().await.unwrap();
    assert_eq!(
        fixture.open().await.unwrap_err().code(),
        Code::EngineRunning
    );
    drop(first);
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let mut fixture = Fixture::new();
    let first = fixture.open().await.unwrap();
    first.put(database("a")).await.unwrap();
    drop(first);
    fixture.key = SecretKey::random();
    let error = reopened(&fixture).await.unwrap_err();
    assert!(error.message().contains("master key"), "{}", error.report());
}

/// The writer thread lets go of the file a moment after the last handle.
async fn reopened(fixture: &Fixture) -> Result<Catalog> {
    loop {
        match fixture.open().await {
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

#[tokio::test]
async fn log_lines_arrive_in_order_and_are_bounded() {
    let fixture = Fixture::new();
    let catalog = fixture.open().await.unwrap();
    let run = RunId::from_bits(5);
    let sink = LogSink::new(catalog.clone(), run, 0, fixture.clock.clone());
    for n in 0..2500 {
        sink.line(Level::Info, Some("copying rows"), &format!("line {n}"));
        if n % 500 == 0 {
            sink.flush().await;
        }
    }
    sink.line(Level::Error, None, &"ä".repeat(10_000));
    sink.flush().await;
    let lines = catalog.log_lines(5, 2499, 10).unwrap();
    assert_eq!(lines[0].number, 2500);
    assert_eq!(lines[0].text, "line 2499");
    assert_eq!(lines[1].text.len(), 8 * 1024);
    assert_eq!(catalog.log_lines(5, 0, 1000).unwrap().len(), 1000);
    assert!(catalog.log_lines(6, 0, 10).unwrap().is_empty());
}

#[tokio::test]
async fn old_logs_are_removed_and_the_others_stay() {
    let fixture = Fixture::new();
    let catalog = fixture.open().await.unwrap();
    let line = |number| crate::model::LogLine {
        number,
        at: start(),
        level: Level::Info,
        stage: None,
        text: "a line".to_owned(),
    };
    // More lines than one transaction removes.
    let lines: Vec<_> = (1..=4000).map(line).collect();
    for run in 1..=5 {
        let lines = lines.clone();
        catalog
            .write(move |tx| tx.add_lines(run, &lines))
            .await
            .unwrap();
    }
    assert_eq!(catalog.remove_logs(1, &[]).await.unwrap(), 0);
    assert_eq!(catalog.remove_logs(5, &[2]).await.unwrap(), 12_000);
    let kept: Vec<usize> = (1..=5)
        .map(|run| catalog.log_lines(run, 0, 9999).unwrap().len())
        .collect();
    assert_eq!(kept, [0, 4000, 0, 0, 4000]);
}

/// A record as version 1 wrote it: it must load for ever.
#[test]
fn records_of_version_one_are_read() {
    let text = br#"{"id":"dbs_01K0000000000000000000000A","serial":4,"connection_id":"con_01K0000000000000000000000B",
        "name":"orders","selected":true,"owner":"shop","encoding":"UTF8","size_bytes":8192,"present":true,
        "discovered_at":"2026-01-01T00:00:00Z","seen_at":"2026-01-02T00:00:00Z"}"#;
    let bytes = [&[1_u8][..], text].concat();
    let record: DatabaseRecord = record::decode(&bytes).unwrap();
    assert_eq!(record.0.name, "orders");
    assert_eq!(record.0.serial, 4);
    let newer = [&[200_u8][..], text].concat();
    let error = record::decode::<DatabaseRecord>(&newer).unwrap_err();
    assert!(error.message().contains("newer version"));
    assert_eq!(
        record::decode::<DatabaseRecord>(b"\x01{")
            .unwrap_err()
            .code(),
        Code::CatalogDamaged
    );
}
