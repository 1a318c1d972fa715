//! Wrong use, wrong places, wrong rights: every failure is one sentence that names the object and says
//! what to do, with the exit code that scripts know.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use backstay_tests::engine::{Answer, Home};
use backstay_tests::postgres::Server;

/// Asserts how a command failed: its exit code, that it says `says`, in one sentence and a hint.
#[track_caller]
fn refused(home: &Home, words: &[&str], code: i32, says: &str) -> Answer {
    let answer = home.run(words);
    assert_eq!(
        answer.code,
        Some(code),
        "{words:?}: {}\n{}",
        answer.out,
        answer.err
    );
    assert!(answer.err.contains(says), "{words:?} says: {}", answer.err);
    for bad in ["panicked", "RUST_BACKTRACE", "\u{1b}["] {
        assert!(!answer.err.contains(bad), "{words:?} says: {}", answer.err);
    }
    let errors = answer
        .err
        .lines()
        .filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{words:?} says: {}", answer.err);
    answer
}

#[test]
fn what_is_not_there_is_named() {
    let home = Home::serving();
    refused(
        &home,
        &["backup", "show", "bck_zzz"],
        3,
        "There is no backup \"bck_zzz\"\n",
    );
    refused(
        &home,
        &["backup", "show", "nobody"],
        3,
        "There is no backup \"nobody\"\n",
    );
    refused(
        &home,
        &["backup", "show", "x@latest"],
        3,
        "There is no connection \"x\"",
    );
    let add = [
        "connection",
        "add",
        "x",
        "postgres://u@127.0.0.1:1/d",
        "--no-test",
    ];
    home.ok(&add);
    refused(
        &home,
        &["backup", "show", "x/d@latest"],
        3,
        "There is no backup of x/d that can be",
    );
    let time = "x/d@2020-01-01T00:00:00Z";
    refused(
        &home,
        &["backup", "show", time],
        3,
        "from 2020-01-01T00:00:00Z or before",
    );
    refused(
        &home,
        &["backup", "list", "--repository", "y"],
        3,
        "There is no repository \"y\"",
    );
    refused(&home, &["backup", "list", "--kind", "odd"], 2, "--kind");
    refused(
        &home,
        &["repository", "trash", "local", "--undo", "bck_zzz"],
        3,
        "\"bck_zzz\"",
    );
    refused(&home, &["connection", "edit", "x"], 2, "--url");
    let none = home.run(&["connection", "list", "--environment", "other"]);
    assert!(none.err.contains("no such connections"), "{}", none.err);
}

#[test]
fn places_that_cannot_hold_a_repository_are_named() {
    let home = Home::serving();
    let add = |place: &str, code, says: &str| {
        refused(&home, &["repository", "add", "x", place], code, says)
    };
    let nowhere = add(
        "/proc/nowhere",
        1,
        "Repository \"x\": Cannot open /proc/nowhere",
    );
    assert!(nowhere.err.contains("hint: "), "{}", nowhere.err);
    let file = home.folder().join("file");
    std::fs::write(&file, "x").unwrap();
    add(file.to_str().unwrap(), 1, "Cannot open");
    add(home.folder().to_str().unwrap(), 1, "is not empty");
    add("", 2, "\"\" cannot hold a repository");
    add("s3://bucket/x", 2, "local folders only");
}

#[test]
fn output_goes_to_devices_and_pipes_and_fails_with_one() {
    let server = Server::start(15);
    server.create_database("shop");
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop"]);
    let export = |to: &str, code, says: &str| {
        refused(
            &home,
            &["backup", "export", "main/shop@latest", "-o", to],
            code,
            says,
        )
    };
    let missing = home.folder().join("missing/file");
    let missing = missing.to_str().unwrap();
    export(missing, 1, &format!("Cannot write {missing}"));
    export(home.folder().to_str().unwrap(), 1, "Cannot write");
    // A device takes the bytes; it is not replaced by a file.
    export("/dev/full", 1, "Cannot write /dev/full: No space left");
    assert!(
        std::fs::metadata("/dev/full")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    home.ok(&["backup", "export", "main/shop@latest", "-o", "/dev/null"]);
    assert!(
        std::fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    refused(
        &home,
        &["repository", "recovery-kit", "local", "-o", missing],
        1,
        "Cannot write",
    );

    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = home
        .command(&["backup", "list"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("The output cannot be written"));
}

#[test]
fn a_server_says_a_thing_once() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("postgres", "CREATE ROLE known LOGIN PASSWORD 'right'");
    let home = Home::serving();
    let nodb = server.url("nodb");
    let said = refused(
        &home,
        &["connection", "add", "x", &nodb],
        3,
        "no database \"nodb\"",
    );
    assert_eq!(said.err.matches("nodb").count(), 1, "{}", said.err);
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let failed = home.run(&["backup", "run", "main/nodb"]);
    assert_eq!(failed.code, Some(3), "{}", failed.err);
    assert_eq!(
        failed.err.matches("does not exist").count(),
        1,
        "{}",
        failed.err
    );
    home.ok(&["backup", "run", "main/shop"]);
    let long = "x".repeat(64);
    let restore = ["restore", "run", "main/shop@latest", "--database", &long];
    refused(&home, &restore, 2, "63 bytes");
}

#[test]
fn prune_says_how_many_packs_stay() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop"]);
    let packs = walk(&home.folder().join("data/repository/packs"));
    assert!(packs > 0);
    for words in [
        &["repository", "prune", "local", "--dry-run"][..],
        &["repository", "prune", "local"],
    ] {
        assert_eq!(home.json(words)["result"]["keep_packs"], packs, "{words:?}");
    }
}

fn walk(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

#[test]
fn a_running_engine_at_another_socket_is_said_so() {
    let home = Home::serving();
    let other = home.folder().join("other.sock");
    let words = ["--socket", other.to_str().unwrap(), "repository", "list"];
    refused(&home, &words, 6, "Another engine has");
}

#[test]
fn a_damaged_catalog_is_one_sentence_and_stays_as_it_is() {
    let mut home = Home::serving();
    home.terminate();
    let catalog = home.folder().join("data/catalog.redb");
    let mut bytes = std::fs::read(&catalog).unwrap();
    // The end of the file can be free pages, which redb does without; the beginning is all in use.
    bytes.truncate(64 << 10);
    std::fs::write(&catalog, &bytes).unwrap();
    for words in [&["serve"][..], &["repository", "list"]] {
        let answer = home.run(words);
        assert!(
            matches!(answer.code, Some(1 | 7)),
            "{:?} {}",
            answer.code,
            answer.err
        );
        assert!(
            answer.err.contains("catalog.redb is damaged"),
            "{}",
            answer.err
        );
        assert!(
            answer
                .err
                .contains("hint: Stop the engine, move the file away"),
            "{}",
            answer.err
        );
        assert!(!answer.err.contains("panicked"), "{}", answer.err);
    }
    refused(&home, &["serve"], 1, "repository rebuild");
    assert!(std::fs::read(&catalog).unwrap() == bytes);
    std::fs::remove_file(&catalog).unwrap();
    home.serve();
    home.ok(&["repository", "list"]);
}

#[test]
fn folders_without_rights_and_settings_that_are_none_are_named() {
    let home = Home::new();
    let file = home.folder().join("c.toml");
    let config = file.to_str().unwrap();
    std::fs::write(&file, "colour = \"red\"\n").unwrap();
    refused(
        &home,
        &["--config", config, "repository", "list"],
        2,
        "line 1, colour",
    );
    std::fs::write(&file, "memory = \"lots\"\n").unwrap();
    refused(
        &home,
        &["--config", config, "serve"],
        2,
        "\"lots\" is not a size",
    );
    let key = home.folder().join("data/keys/master.key");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    std::fs::write(&key, "not a key\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    refused(&home, &["serve"], 2, "master.key");
}
