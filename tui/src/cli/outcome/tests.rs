//! Words that need no knowledge of how a repository is built.

use super::*;

#[test]
fn a_check_says_what_was_read_and_what_is_damaged() {
    let mut report = CheckReport {
        ok: true,
        backups: 2,
        packs: 3,
        chunks: 1500,
        ..CheckReport::default()
    };
    assert_eq!(
        check(&report),
        "backups followed         2\n\
         files of data (packs)    3\n\
         pieces of data (chunks)  1,500\n\
         read and compared        nothing; --read-data 100% reads all data, 5% a part each time\n\
         damage                   none"
    );
    report.ok = false;
    report.damages_total = 1;
    report.read_data_percent = 5;
    report.damages = vec![Damage {
        object: "packs/ab/abcd".to_owned(),
        kind: backstay_engine::model::DamageKind::Missing,
        message: "It is missing".to_owned(),
        backups: Vec::new(),
    }];
    let text = check(&report);
    assert!(text.contains("0 B, 5 % of the data"), "{text}");
    assert!(
        text.ends_with("damaged or missing       1\n  packs/ab/abcd: It is missing"),
        "{text}"
    );
}

#[test]
fn a_dry_prune_says_would() {
    let mut report = PruneReport {
        dry_run: true,
        purged_backups: 1,
        keep_packs: 4,
        keep_bytes: 60_000_000,
        repack_packs: 2,
        delete_packs: 1,
        repack_bytes: 5_000_000,
        freed_bytes: 21_000_000,
        ..PruneReport::default()
    };
    assert_eq!(
        prune(&report),
        "would be freed             21 MB\n\
         would be deleted           1 file of data (pack)\n\
         would be copied            5.0 MB out of 2 files of data (packs) that are little used\n\
         kept                       4 files of data (packs), 60 MB\n\
         out of the trash for good  1 backup"
    );
    report.dry_run = false;
    assert!(prune(&report).starts_with("freed"));
}
