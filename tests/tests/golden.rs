//! Repositories that earlier versions wrote, kept under `assets/golden`: every later version opens them,
//! finds them whole and gives every row back.
//!
//! `tests/src/golden.rs` says what such a folder holds and writes a new one.

use std::path::Path;
use std::process::Command;

use backstay_tests::engine::Home;
use backstay_tests::golden::{TABLES, copy, folder as golden, rows};
use backstay_tests::places::{self, Scratch};
use backstay_tests::postgres::Server;

#[test]
fn golden_repositories_open_and_give_every_row_back() {
    let server = Server::start(18);
    let mut opened = 0;
    for entry in std::fs::read_dir(golden()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let scratch = Scratch::new("golden");
        let repository = scratch.path().join("repository");
        copy(&folder.join("repository"), &repository);
        let expected = std::fs::read_to_string(folder.join("rows")).unwrap();
        let home = Home::serving();
        rebuild(&home, &folder, &repository);
        home.ok(&["connection", "add", "here", &server.url("postgres")]);
        home.ok(&["repository", "check", "golden", "--read-data", "100%"]);
        let listed = home.json(&["backup", "list"]);
        let kept: Vec<_> = listed["items"].as_array().unwrap().iter().collect();
        assert_eq!(
            kept.len(),
            1,
            "of two backups one is in the trash: {listed}"
        );
        assert_eq!(kept[0]["label"], "kept");
        let id = kept[0]["id"].as_str().unwrap();
        home.ok(&["backup", "verify", id, "--level", "decoded"]);
        let database = format!("golden{opened}");
        home.ok(&[
            "restore",
            "run",
            id,
            "--to",
            "here",
            "--database",
            &database,
            "--no-owner",
        ]);
        assert_eq!(rows(&server, &database), expected);
        let object = server.sql(&database, "SELECT convert_from(lo_get(424242), 'UTF8')");
        assert_eq!(object, "a large object");
        read_by_a_stranger(&folder, &repository, id, &expected);
        opened += 1;
    }
    assert!(opened > 0, "there is no golden repository");
}

fn rebuild(home: &Home, folder: &Path, repository: &Path) {
    let code = folder.join("recovery-code");
    home.ok(&[
        "repository",
        "rebuild",
        repository.to_str().unwrap(),
        "--name",
        "golden",
        "--recovery-code-file",
        code.to_str().unwrap(),
    ]);
}

/// The Python reader, which shares no code with Backstay.
fn read_by_a_stranger(folder: &Path, repository: &Path, backup: &str, expected: &str) {
    let code = std::fs::read_to_string(folder.join("recovery-code")).unwrap();
    let mut text = String::new();
    for (schema, table) in TABLES {
        let answer = Command::new("python3")
            .env("PYTHONPATH", places::cache().join("python"))
            .arg(places::checkout().join("tests/reader.py"))
            .arg(repository)
            .arg(format!("code:{}", code.trim()))
            .args(["restore", backup, schema, table])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{said}");
        text.push_str(&format!("== {schema}.{table}\n"));
        text.push_str(&String::from_utf8(answer.stdout).unwrap());
    }
    assert_eq!(text, expected);
}
