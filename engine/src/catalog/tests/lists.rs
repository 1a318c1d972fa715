//! What lists cost: rows read, counted over a catalog of 100,000 backups and their runs.

use super::*;
use crate::catalog::records::{RunRecord, Work, kind_and_type, run, tally};
use crate::model::{Run, RunKind, Trigger};

const BACKUPS: u64 = 100_000;
/// Rows that a page of 50 may cost: entry and record of each, and the entry that shows there are more.
const PAGE_ROWS: u64 = 101;

fn backup(fixture: &Fixture, n: u64) -> BackupRecord {
    let status = match n % 100 {
        7 => RunStatus::Failed,
        8 => RunStatus::Partial,
        _ => RunStatus::Success,
    };
    let connection = ConnectionId::from_bits(u128::from(n % 10) + 1);
    let mut record = fixture.backup(connection, &format!("db{}", n / 10 % 4), status);
    let own = &mut record.0;
    own.repository_id = RepositoryId::from_bits(u128::from(n / 7 % 3) + 1);
    own.label = n.is_multiple_of(50).then(|| "nightly".to_owned());
    own.job_id = n.is_multiple_of(3).then(|| format!("job_{}", n % 4));
    if n % 20 == 4 {
        own.kind = BackupKind::Physical;
        own.backup_type =
            [BackupType::Full, BackupType::Diff, BackupType::Incr][(n / 20 % 3) as usize];
    }
    own.source_bytes = n;
    own.stored_bytes = n % 1000;
    record
}

fn run_of(backup: &Backup, n: u64) -> RunRecord {
    let kind = if n % 1000 == 5 {
        RunKind::Verify
    } else {
        RunKind::Backup
    };
    RunRecord {
        run: Run {
            status: backup.status,
            job_id: backup.job_id.clone(),
            connection_id: Some(backup.connection_id),
            connection: Some(backup.connection.clone()),
            database: Some(backup.database.clone()),
            repository_id: Some(backup.repository_id),
            backup_id: Some(backup.id),
            ..Run::pending(
                RunId::from_bits(backup.id.bits()),
                kind,
                Trigger::Socket,
                "a run",
                backup.created_at,
            )
        },
        work: Work::Check {
            read_data_percent: 1,
        },
        job: None,
    }
}

/// A catalog with that many backups, and runs for the last tenth of them.
async fn large(fixture: &Fixture) -> (Catalog, Vec<Backup>) {
    let catalog = fixture.open().await.unwrap();
    let all: Vec<BackupRecord> = (0..BACKUPS).map(|n| backup(fixture, n)).collect();
    for (part, backups) in all.chunks(10_000).enumerate() {
        let backups = backups.to_vec();
        catalog
            .write(move |tx| {
                for (n, record) in backups.iter().enumerate() {
                    tx.put(&mut record.clone())?;
                    if part == 9 {
                        tx.put(&mut run_of(&record.0, n as u64))?;
                    }
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    (catalog, all.into_iter().map(|record| record.0).collect())
}

/// Follows a list page by page to its end or through `pages` of them, and counts.
fn walk<R: Record>(catalog: &Catalog, query: &Query, pages: usize, extra: u64) -> Vec<u128> {
    let mut found = Vec::new();
    let mut query = query.clone();
    for _ in 0..pages {
        let before = catalog.rows_read();
        let slice = catalog.list::<R>(&query).unwrap();
        let cost = catalog.rows_read() - before;
        assert!(cost <= PAGE_ROWS + extra, "{query:?} read {cost} rows");
        assert!(
            cost <= 2 * slice.records.len() as u64 + 1 + extra,
            "{query:?} read {cost} rows"
        );
        found.extend(slice.records.iter().map(Record::id));
        let Some(cursor) = slice.next_cursor else {
            break;
        };
        query = query.before(u128::from_str_radix(&cursor, 16).unwrap());
    }
    found
}

type Filter = (&'static str, fn(Query) -> Query, fn(&Backup) -> bool, u64);

/// Each filter of the API's list: how it asks, what it means, how many alternatives it merges.
fn filters() -> Vec<Filter> {
    vec![
        (
            "connection",
            |query| query.only(backup::CONNECTION, Some(ConnectionId::from_bits(8))),
            |own| own.connection_id == ConnectionId::from_bits(8),
            1,
        ),
        (
            "database",
            |query| query.only(backup::DATABASE, Some("db2")),
            |own| own.database == "db2",
            1,
        ),
        (
            "kind and type",
            |query| {
                let wanted = kind_and_type(BackupKind::Physical, BackupType::Diff);
                query.only(backup::TYPE, Some(wanted))
            },
            |own| own.backup_type == BackupType::Diff,
            1,
        ),
        (
            "kind alone",
            |query| {
                let types = BackupType::ALL.iter();
                query.any_of(
                    backup::TYPE,
                    types.map(|own| kind_and_type(BackupKind::Physical, *own)),
                )
            },
            |own| own.kind == BackupKind::Physical,
            3,
        ),
        (
            "status",
            |query| query.only(backup::STATUS, Some(RunStatus::Failed)),
            |own| own.status == RunStatus::Failed,
            1,
        ),
        (
            "repository",
            |query| query.only(backup::REPOSITORY, Some(RepositoryId::from_bits(2))),
            |own| own.repository_id == RepositoryId::from_bits(2),
            1,
        ),
        (
            "job",
            |query| query.only(backup::JOB, Some("job_3")),
            |own| own.job_id.as_deref() == Some("job_3"),
            1,
        ),
        (
            "label",
            |query| query.only(backup::LABEL, Some("nightly")),
            |own| own.label.as_deref() == Some("nightly"),
            1,
        ),
        (
            "project: its connections",
            |query| query.any_of(backup::CONNECTION, [2, 5, 9].map(ConnectionId::from_bits)),
            |own| {
                [2, 5, 9]
                    .map(ConnectionId::from_bits)
                    .contains(&own.connection_id)
            },
            3,
        ),
    ]
}

#[tokio::test]
async fn fifty_of_a_hundred_thousand_cost_fifty() {
    let fixture = Fixture::new();
    let (catalog, all) = large(&fixture).await;
    let (from, to) = (all[30_000].created_at, all[70_000].created_at);
    let filters = filters();
    // Alone, with each other one, and each of these within a stretch of time.
    for (number, first) in filters.iter().enumerate() {
        for second in &filters[number..] {
            for bounded in [false, true] {
                let mut query = second.1(first.1(Query::newest(50)));
                if bounded {
                    query = query.within(Some(from), Some(to));
                }
                let found = walk::<BackupRecord>(&catalog, &query, 3, first.3 * second.3);
                let expected: Vec<u128> = all
                    .iter()
                    .rev()
                    .filter(|own| first.2(own) && second.2(own))
                    .filter(|own| !bounded || (from..to).contains(&own.created_at))
                    .take(150)
                    .map(|own| own.id.bits())
                    .collect();
                assert_eq!(found, expected, "{} and {}, {bounded}", first.0, second.0);
            }
        }
    }
    let unfiltered = walk::<BackupRecord>(&catalog, &Query::newest(50), 3, 1);
    let newest: Vec<u128> = all
        .iter()
        .rev()
        .take(150)
        .map(|own| own.id.bits())
        .collect();
    assert_eq!(unfiltered, newest);
    let none = Query::newest(50).any_of(backup::CONNECTION, Vec::<String>::new());
    assert!(walk::<BackupRecord>(&catalog, &none, 1, 0).is_empty());

    runs_cost_what_they_answer(&catalog, &all);
    numbers_are_kept_and_not_counted(&catalog, &all).await;
}

/// How a list of runs asks, and what it means for the run's number and its backup.
type Wanted = (fn(Query) -> Query, fn(usize, &Backup) -> bool);

fn runs_cost_what_they_answer(catalog: &Catalog, all: &[Backup]) {
    let newest = &all[90_000..];
    let wanted: [Wanted; 6] = [
        (|query| query, |_, _| true),
        (
            |query| query.only(run::KIND, Some(RunKind::Verify)),
            |n, _| n % 1000 == 5,
        ),
        (
            |query| query.only(run::STATUS, Some(RunStatus::Partial)),
            |_, own| own.status == RunStatus::Partial,
        ),
        (
            |query| query.only(run::JOB, Some("job_1")),
            |_, own| own.job_id.as_deref() == Some("job_1"),
        ),
        (
            |query| query.only(run::CONNECTION, Some(ConnectionId::from_bits(4))),
            |_, own| own.connection_id == ConnectionId::from_bits(4),
        ),
        (
            |query| {
                query
                    .only(run::DATABASE, Some("db2"))
                    .only(run::STATUS, Some(RunStatus::Failed))
            },
            |_, own| own.database == "db2" && own.status == RunStatus::Failed,
        ),
    ];
    for (asked, meant) in wanted {
        let found = walk::<RunRecord>(catalog, &asked(Query::newest(50)), 3, 1);
        let expected: Vec<u128> = newest
            .iter()
            .enumerate()
            .rev()
            .filter(|(n, own)| meant(*n, own))
            .take(150)
            .map(|(_, own)| own.id.bits())
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected);
    }
}

async fn numbers_are_kept_and_not_counted(catalog: &Catalog, all: &[Backup]) {
    let check = |all: &[Backup]| {
        let good: Vec<&Backup> = all
            .iter()
            .filter(|own| own.status.is_restorable())
            .collect();
        let place = RepositoryId::from_bits(3);
        let there = || good.iter().filter(|own| own.repository_id == place);
        let before = catalog.rows_read();
        let kept = [
            tally::BACKUPS.to_owned(),
            tally::PARTIAL.to_owned(),
            tally::SOURCE_BYTES.to_owned(),
            tally::verified(VerifyLevel::None),
            tally::within(place, tally::BACKUPS),
            tally::within(place, tally::SOURCE_BYTES),
        ]
        .map(|name| catalog.tally::<BackupRecord>(&name).unwrap());
        assert_eq!(catalog.rows_read() - before, 6);
        let partial = good.iter().filter(|own| own.status == RunStatus::Partial);
        let counted = [
            good.len() as u64,
            partial.count() as u64,
            good.iter().map(|own| own.source_bytes).sum(),
            good.len() as u64,
            there().count() as u64,
            there().map(|own| own.source_bytes).sum(),
        ];
        assert_eq!(kept, counted);
    };
    check(all);
    // A change, a failure and a removal each take their share along.
    let mut rest = all.to_vec();
    let removed = rest.pop().unwrap().id.bits();
    let (grown, failed) = (rest[10].id.bits(), rest[11].id.bits());
    rest[10].source_bytes += 5;
    rest[11].status = RunStatus::Failed;
    catalog
        .write(move |tx| {
            tx.remove::<BackupRecord>(removed)?;
            tx.change::<BackupRecord>(grown, |own| {
                own.0.source_bytes += 5;
                Ok(())
            })?;
            tx.change::<BackupRecord>(failed, |own| {
                own.0.status = RunStatus::Failed;
                Ok(())
            })
        })
        .await
        .unwrap();
    check(&rest);
    let oldest = Query::oldest(1).any_of(backup::STATUS, [RunStatus::Success, RunStatus::Partial]);
    let before = catalog.rows_read();
    let found = catalog.list::<BackupRecord>(&oldest).unwrap();
    assert_eq!(found.records[0].0.id, all[0].id);
    assert!(catalog.rows_read() - before <= 5);
}

#[tokio::test]
async fn documents_are_what_records_say_whoever_wrote_them() {
    let fixture = Fixture::new();
    let catalog = fixture.open().await.unwrap();
    let records: Vec<_> = (0..60).map(|n| backup(&fixture, n)).collect();
    let put = records.clone();
    let written = catalog.write(move |tx| {
        let mut put = put.clone();
        put.iter_mut()
            .try_for_each(|record| tx.put(record).map(drop))
    });
    written.await.unwrap();
    for query in [
        Query::newest(50),
        Query::newest(7).only(backup::JOB, Some("job_2")),
        Query::newest(50)
            .only(backup::LABEL, Some("nightly"))
            .only(backup::DATABASE, Some("db0")),
    ] {
        let listed = catalog.list::<BackupRecord>(&query).unwrap();
        let found = catalog.documents::<BackupRecord>(&query).unwrap();
        assert!(!found.records.is_empty());
        assert_eq!(found.next_cursor, listed.next_cursor);
        let expected = listed
            .records
            .iter()
            .map(|record| serde_json::to_vec(&record.0).unwrap());
        assert_eq!(found.records, expected.collect::<Vec<_>>());
    }
    // What an older version has written lacks what came later.
    let mut old = serde_json::to_value(&records[0]).unwrap();
    old.as_object_mut().unwrap().remove("failed_rung");
    let bytes = [vec![1], serde_json::to_vec(&old).unwrap()].concat();
    let document = crate::catalog::record::document::<BackupRecord>(&bytes).unwrap();
    assert_eq!(document, serde_json::to_vec(&records[0]).unwrap());
}
