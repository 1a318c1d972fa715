//! Damage and interruptions as a user meets them: what is said, the exit code, what goes on afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;

const MINUTE: Duration = Duration::from_mins(1);

/// A home with one connection, and a database whose rows do not compress.
fn shop(database: &str) -> (Home, Server) {
    let server = Server::start(15);
    server.create_database(database);
    server.sql(
        database,
        "CREATE TABLE items AS SELECT n, md5(n::text) || md5((-n)::text) AS text
             FROM generate_series(1, 30000) n",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "shop", &server.url(database)]);
    (home, server)
}

fn packs(home: &Home) -> Vec<(u64, PathBuf)> {
    let mut packs = Vec::new();
    let folders = std::fs::read_dir(home.folder().join("data/repository/packs"));
    for folder in folders.unwrap().flatten() {
        for pack in std::fs::read_dir(folder.path()).unwrap().flatten() {
            packs.push((pack.metadata().unwrap().len(), pack.path()));
        }
    }
    packs.sort();
    packs
}

/// Changes a byte in the middle of the largest pack.
fn damage(home: &Home) -> PathBuf {
    let (size, path) = packs(home).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[size as usize / 2] ^= 16;
    // As a file of its own: whoever reads the pack at this moment keeps the old one.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn damage_is_named_and_the_next_backup_heals_it() {
    let (home, _server) = shop("orders");
    home.ok(&["backup", "run", "shop/orders"]);
    let backup = home.json(&["backup", "show", "shop/orders@latest"])["id"].clone();
    let backup = backup.as_str().unwrap();
    damage(&home);

    let out = home.folder().join("out");
    std::fs::create_dir(&out).unwrap();
    let file = out.join("orders.sql");
    for format in ["sql", "tar"] {
        let export = ["backup", "export", backup, "--format", format, "-o"];
        let answer = home.run(&[&export[..], &[file.to_str().unwrap()]].concat());
        assert_eq!(answer.code, Some(1), "{}", answer.err);
        let said = "The export ends in the middle: Rows of public.items: Chunk ";
        assert!(answer.err.contains(said), "{}", answer.err);
        assert!(answer.err.contains("backup verify"), "{}", answer.err);
        assert_eq!(names(&out), Vec::<String>::new());
    }

    let check = ["repository", "check", "local", "--read-data", "100%"];
    assert_eq!(home.run(&check).code, Some(1));
    let second = home.ok(&["backup", "run", "shop/orders"]);
    home.ok(&["backup", "export", backup, "-o", file.to_str().unwrap()]);
    assert!(
        std::fs::metadata(&file).unwrap().len() > 1_000_000,
        "{second}"
    );
    home.ok(&["backup", "verify", backup]);
    // The damaged pack itself goes with a repair.
    home.ok(&["repository", "repair", "local"]);
    home.ok(&check);
    home.ok(&["backup", "verify", backup]);
}

#[test]
fn a_missing_pack_is_noticed_by_the_lowest_level() {
    let (home, _server) = shop("orders");
    home.ok(&["backup", "run", "shop/orders"]);
    let verify = [
        "backup",
        "verify",
        "shop/orders@latest",
        "--level",
        "present",
    ];
    home.ok(&verify);
    let (_, path) = packs(&home).pop().unwrap();
    std::fs::remove_file(path).unwrap();
    let answer = home.run(&verify);
    assert_eq!(answer.code, Some(1), "{}{}", answer.out, answer.err);
    assert!(answer.err.contains("is damaged in"), "{}", answer.err);
    home.ok(&["backup", "run", "shop/orders"]);
    home.ok(&verify);
}

/// A backup that waits for a lock until the session that holds it is dropped.
fn held_up(home: &Home, server: &Server) -> (tokio::runtime::Runtime, tokio_postgres::Client) {
    let url = server.url("orders");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let holder = runtime.block_on(async {
        let connecting = tokio_postgres::connect(&url, tokio_postgres::NoTls);
        let (client, connection) = connecting.await.unwrap();
        tokio::spawn(connection);
        let lock = "BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE";
        client.batch_execute(lock).await.unwrap();
        client
    });
    home.ok(&["backup", "run", "shop/orders", "--detach"]);
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    wait_for("the backup to ask for its locks", MINUTE, || {
        (server.sql("orders", waiting).trim() != "0").then_some(())
    });
    (runtime, holder)
}

#[test]
fn a_disk_that_is_full_for_a_while_stops_no_work_for_good() {
    let (mut home, server) = shop("orders");
    home.terminate();
    home.serve_on_a_small_disk();
    let (_runtime, holder) = held_up(&home, &server);
    home.fill_disk(true);
    let url = server.url("orders");
    let add = ["connection", "add", "second", &url];
    for _ in 0..3 {
        assert_eq!(home.run(&add).code, Some(1));
    }
    drop(holder);
    // The backup reads to its end; whether the repository and the catalog can be told is a matter of moments.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backstay'";
    wait_for("the backup to end", MINUTE, || {
        (server.sql("orders", sessions).trim() == "0").then_some(())
    });
    home.fill_disk(false);
    wait_for("the end of the run", MINUTE, || {
        let runs = home.run(&["run", "list", "--json"]);
        let is_over = ["\"failed\"", "\"success\""];
        is_over
            .iter()
            .any(|end| runs.out.contains(end))
            .then_some(())
    });
    home.ok(&add);
    home.ok(&["backup", "run", "shop/orders"]);
    // Nothing of it was lost on the way.
    home.terminate();
    home.serve();
    home.ok(&["connection", "show", "second"]);
    home.ok(&["backup", "verify", "shop/orders@latest"]);
}

#[test]
fn an_engine_stopped_at_once_leaves_its_runs_interrupted() {
    let (mut home, server) = shop("orders");
    let (_runtime, holder) = held_up(&home, &server);
    home.ok(&["stop", "--now"]);
    home.terminate();
    drop(holder);
    home.serve();
    let run = &home.json(&["run", "list"])["items"][0];
    assert_eq!(run["status"], "interrupted");
    assert_eq!(run["cancel_requested"], false);
    assert_eq!(run["error"]["code"], "engine.stopping");
    let id = run["backup_id"].as_str().unwrap();
    let backup = home.json(&["backup", "show", id]);
    assert_eq!(backup["status"], "interrupted");
    home.ok(&["backup", "run", "shop/orders"]);
}
