//! A damaged file: one sentence, no panic, nothing written over.

use proptest::prelude::*;

use super::*;

/// A catalog of some kilobytes of records, closed; its bytes.
async fn small(fixture: &Fixture) -> Vec<u8> {
    let catalog = fixture.open().await.unwrap();
    for n in 0..40 {
        catalog.put(database(&format!("db{n}"))).await.unwrap();
        let connection = ConnectionId::from_bits(n + 1);
        let record = fixture.backup(connection, "orders", RunStatus::Success);
        catalog.put(record).await.unwrap();
    }
    drop(catalog);
    closed(fixture).await
}

/// The bytes of the file once nobody holds it any more.
async fn closed(fixture: &Fixture) -> Vec<u8> {
    drop(reopened(fixture).await.unwrap());
    loop {
        let place = fixture.path();
        let held = redb::Database::open(&place);
        match held {
            Ok(database) => {
                drop(database);
                return std::fs::read(place).unwrap();
            }
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Puts the bytes there as a new file: a catalog opened before may hold the old one a moment longer.
fn lay(place: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(place);
    std::fs::write(place, bytes).unwrap();
}

/// Opens the damaged file and reads all of it; every failure must be the one sentence.
async fn try_all(fixture: &Fixture, place: &Path) -> Result<()> {
    let clock: SharedClock = fixture.clock.clone();
    let vault = Vault::new(&fixture.key).unwrap();
    let outcome = async {
        let catalog = Catalog::open(place, vault, &clock).await?;
        let databases = catalog.all::<DatabaseRecord>()?;
        for record in &databases {
            catalog.by_name::<DatabaseRecord>(&record.name().unwrap_or_default())?;
        }
        for status in RunStatus::ALL {
            let query = Query::newest(50).only(backup::STATUS, Some(status));
            catalog.list::<BackupRecord>(&query)?;
        }
        catalog.by_serial::<BackupRecord>(3)?;
        catalog.log_lines(1, 0, 10)?;
        catalog.meta("layout")?;
        catalog.put(database("one more")).await?;
        Ok::<_, Error>(())
    }
    .await;
    if let Err(error) = &outcome {
        let text = error.report();
        let known = [Code::CatalogDamaged, Code::CatalogFailed];
        assert!(known.contains(&error.code()), "{text}");
        assert_eq!(error.code().exit(), 1);
        assert!(error.hint_text().is_some(), "{text}");
        if error.code() == Code::CatalogDamaged {
            assert!(text.contains(&place.display().to_string()), "{text}");
        }
    }
    outcome
}

#[tokio::test]
async fn a_file_cut_short_anywhere_is_named_and_left_alone() {
    let fixture = Fixture::new();
    let whole = small(&fixture).await;
    let place = fixture.folder.path().join("cut.redb");
    let cuts = [0, 1, 8, 9, 64, 320, 511, 512, 4095, 4096, 4097, 5000];
    let cuts = cuts
        .into_iter()
        .chain((1..16).map(|n| whole.len() * n / 16));
    for length in cuts.chain([whole.len() - 1]) {
        lay(&place, &whole[..length]);
        let error = try_all(&fixture, &place).await.expect_err("cut short");
        assert_eq!(error.code(), Code::CatalogDamaged, "{}", error.report());
        let left = std::fs::read(&place).unwrap();
        assert!(
            left == whole[..length],
            "written over after a cut at {length}"
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_catalog_are_left_alone() {
    let fixture = Fixture::new();
    let whole = small(&fixture).await;
    let place = fixture.folder.path().join("foreign.redb");
    for damage in [
        b"not a database at all".to_vec(),
        vec![0; whole.len()],
        [&[0xAA; 4096], &whole[4096..]].concat(),
    ] {
        lay(&place, &damage);
        let error = try_all(&fixture, &place).await.expect_err("foreign bytes");
        assert_eq!(error.code(), Code::CatalogDamaged, "{}", error.report());
        assert!(std::fs::read(&place).unwrap() == damage, "written over");
    }
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_no_panic() {
    let fixture = Fixture::new();
    let whole = small(&fixture).await;
    let place = fixture.folder.path().join("flipped.redb");
    // Every byte of the header, and bytes all over what is in use.
    let used: Vec<usize> = (512..whole.len()).filter(|at| whole[*at] != 0).collect();
    let places = (0..512).chain(used.iter().copied().step_by(used.len() / 600));
    let mut refused = 0;
    for at in places {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xFF;
        lay(&place, &damaged);
        refused += u32::from(try_all(&fixture, &place).await.is_err());
    }
    assert!(
        refused > 100,
        "only {refused} of these changes were noticed"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whole stretches of nonsense, as a disk leaves them.
    #[test]
    fn nonsense_in_the_middle_is_no_panic(start in 0..1000_usize, length in 1_usize..20_000, byte: u8) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            let mut bytes = small(&fixture).await;
            let start = bytes.len() * start / 1000;
            let end = bytes.len().min(start + length);
            bytes[start..end].fill(byte);
            let place = fixture.folder.path().join("nonsense.redb");
            lay(&place, &bytes);
            let _ = try_all(&fixture, &place).await;
        });
    }
}
