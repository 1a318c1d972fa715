//! Catalogs of older versions open, with everything in them and all of the newer indexes.

use super::*;
use crate::catalog::records::{RunRecord, TrashRecord, kind_and_type, tally, trash};

/// Written by the version before layout 2, with a master key of sevens; lz4.
const LAYOUT_1: &[u8] = include_bytes!("../../../../tests/fixtures/catalog-layout-1.redb.lz4");

#[tokio::test]
async fn a_catalog_of_layout_one_gets_the_newer_indexes() {
    let mut fixture = Fixture::new();
    fixture.key = SecretKey::new([7; 32]);
    let bytes = lz4_flex::decompress_size_prepended(LAYOUT_1).unwrap();
    std::fs::write(fixture.path(), bytes).unwrap();
    // Once with the migration, once as any other start.
    for _ in 0..2 {
        let catalog = reopened(&fixture).await.unwrap();
        check(&catalog);
        assert_eq!(catalog.meta("layout").unwrap().as_deref(), Some("4"));
    }
}

fn check(catalog: &Catalog) {
    let listed = |query: Query| {
        let slice = catalog.list::<BackupRecord>(&query).unwrap();
        slice
            .records
            .into_iter()
            .map(|record| record.0.source_bytes - 1000)
            .collect::<Vec<_>>()
    };
    let all = || Query::newest(50);
    assert_eq!(listed(all()), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let second = RepositoryId::from_bits(2);
    assert_eq!(
        listed(all().only(backup::REPOSITORY, Some(second))),
        [11, 10, 9, 8, 7, 6]
    );
    assert_eq!(
        listed(
            all()
                .only(backup::REPOSITORY, Some(second))
                .only(backup::STATUS, Some("failed"))
        ),
        [9]
    );
    let kind = kind_and_type(BackupKind::Logical, BackupType::Full);
    assert_eq!(listed(all().only(backup::TYPE, Some(kind))).len(), 11);
    assert_eq!(
        listed(all().only(backup::TYPE, Some("full"))),
        [0; 0],
        "the old entries are gone"
    );
    assert_eq!(listed(all().only(backup::LABEL, Some("nightly"))), [10, 5]);
    let sum = |name: &str| catalog.tally::<BackupRecord>(name).unwrap();
    // 1, 5 and 9 failed; 0 was deleted.
    assert_eq!(sum(tally::BACKUPS), 8);
    assert_eq!(sum(tally::PARTIAL), 3);
    assert_eq!(
        sum(tally::SOURCE_BYTES),
        8000 + 2 + 3 + 4 + 6 + 7 + 8 + 10 + 11
    );
    assert_eq!(sum(&tally::verified(VerifyLevel::Checked)), 1);
    assert_eq!(sum(&tally::within(second, tally::BACKUPS)), 5);

    let first = RepositoryId::from_bits(1);
    let deleted = Query::newest(50).only(trash::REPOSITORY, Some(first));
    assert_eq!(
        catalog.list::<TrashRecord>(&deleted).unwrap().records.len(),
        1
    );
    let runs = catalog
        .list::<RunRecord>(&Query::newest(50))
        .unwrap()
        .records;
    assert_eq!(runs.len(), 3);
    for run in &runs {
        assert_eq!(
            catalog.log_lines(run.id(), 0, 10).unwrap()[0].text,
            "a line"
        );
    }
    assert!(
        catalog
            .by_name::<DatabaseRecord>(&database("orders").name().unwrap())
            .unwrap()
            .is_some()
    );
}
