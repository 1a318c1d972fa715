//! Which backup a spelling means, what it holds and lacks, and that it is said wherever it matters.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use serde_json::{Value, json};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn warnings(plan: &Value) -> String {
    let all = plan["warnings"].as_array().unwrap();
    all.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_latest_is_of_the_database_and_chosen_tables_are_passed_over_aloud() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE chosen (id int); CREATE TABLE other (id int);",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let run = |words: &[&str]| home.json(&[&["backup", "run", "main/shop"], words].concat());
    let some = run(&["--table", "chosen"]);
    assert_eq!(some["selection"], json!({"tables": ["chosen"]}));
    let alone = home.json(&["restore", "plan", "main/shop@latest"]);
    assert_eq!(alone["backup_id"], some["id"]);
    assert!(warnings(&alone).contains("there is no complete one of main/shop"));
    assert!(warnings(&alone).contains("only what was chosen of \"shop\": table chosen"));

    let whole = run(&[]);
    assert_eq!(whole["selection"], Value::Null);
    let newer = run(&["--schema", "public"]);
    let latest = home.json(&["backup", "show", "main/shop@latest"]);
    assert_eq!(latest["id"], whole["id"]);
    let plan = home.json(&["restore", "plan", "main/shop@latest"]);
    assert_eq!(plan["backup_id"], whole["id"]);
    assert!(
        warnings(&plan).contains(text(&newer["id"])),
        "{}",
        warnings(&plan)
    );
    let restore = ["restore", "run", "main/shop@latest", "--database", "again"];
    let restored = home.run(&restore);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    assert!(
        restored.err.contains(text(&newer["id"])),
        "{}",
        restored.err
    );
    assert_eq!(server.sql("again", "SELECT count(*) FROM other"), "0");

    // What was left out on purpose does not make it another kind of backup.
    let without = run(&["--exclude-table", "other"]);
    let plan = home.json(&["restore", "plan", "main/shop@latest"]);
    assert_eq!(plan["backup_id"], without["id"]);
    assert!(warnings(&plan).contains("without table other"));
    assert!(warnings(&plan).contains(text(&whole["id"])));
    home.ok(&["backup", "delete", text(&without["id"]), "--yes"]);
    let last = home.run(&["backup", "delete", text(&whole["id"]), "--yes"]);
    assert_eq!(last.code, Some(6), "{}{}", last.out, last.err);

    let list = home.ok(&["backup", "list"]);
    for holds in ["HOLDS", "everything", "table chosen", "schema public"] {
        assert!(list.contains(holds), "{list}");
    }
    let shown = home.ok(&["backup", "show", text(&newer["id"])]);
    assert!(shown.contains("schema public"), "{shown}");
}

#[test]
fn a_connection_alone_names_a_backup_only_where_it_has_one_database() {
    let server = Server::start(15);
    for name in ["a", "b", "c", "d", "e", "f"] {
        server.create_database(name);
    }
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/a"]);
    let only = home.json(&["backup", "show", "main@latest"]);
    assert_eq!(only["database"], "a");
    home.ok(&["backup", "run", "main"]);
    for point in ["latest", "2099-01-01T00:00:00Z"] {
        let spelling = format!("main@{point}");
        let refused = home.run(&["restore", "plan", &spelling]);
        assert_eq!(refused.code, Some(2), "{}{}", refused.out, refused.err);
        for name in ["a", "f", "postgres"] {
            let known = format!("main/{name}@{point}");
            assert!(refused.err.contains(&known), "{}", refused.err);
        }
    }
    let list = home.json(&["backup", "list"]);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 8);
    let ids: Vec<_> = items.iter().map(|item| text(&item["id"])).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let names: Vec<_> = items.iter().map(|item| text(&item["database"])).collect();
    assert_eq!(names, ["postgres", "f", "e", "d", "c", "b", "a", "a"]);
}

#[test]
fn what_a_backup_lacks_is_repeated_by_all_that_is_made_of_it() {
    let server = Server::start(15);
    server.create_database("shop");
    // A value of an enum whose label is gone cannot be written any more.
    server.sql(
        "shop",
        "CREATE TABLE kept (id int); CREATE TYPE e AS ENUM ('a', 'b'); \
         CREATE TABLE broken (v e); INSERT INTO broken VALUES ('a'), ('b');",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let complete = home.json(&["backup", "run", "main/shop"])["id"].clone();
    server.sql("shop", "DELETE FROM pg_enum WHERE enumlabel = 'b'");
    assert_eq!(home.run(&["backup", "run", "main/shop"]).code, Some(5));
    let lost = "rows of public.broken";

    let verified = home.run(&["backup", "verify", "main/shop@latest"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    assert!(verified.out.contains(lost), "{}", verified.out);
    assert!(verified.err.contains(lost), "{}", verified.err);
    let verified = home.json(&["backup", "verify", "main/shop@latest"]);
    assert_eq!(verified["result"]["lacks"][0]["object"], lost);

    let plan = home.json(&["restore", "plan", "main/shop@latest"]);
    assert_eq!(plan["losses"][0]["object"], lost);
    assert!(warnings(&plan).contains(lost), "{}", warnings(&plan));
    assert!(
        warnings(&plan).contains(text(&complete)),
        "{}",
        warnings(&plan)
    );
    let swap = home.run(&["restore", "plan", "main/shop@latest", "--in-place"]);
    assert_eq!(swap.code, Some(6), "{}", swap.out);
    assert!(swap.out.contains("The backup is partial"), "{}", swap.out);

    let file = home.folder().join("shop.sql");
    let export = [
        "backup",
        "export",
        "main/shop@latest",
        "-o",
        file.to_str().unwrap(),
    ];
    let exported = home.run(&export);
    assert_eq!(exported.code, Some(5), "{}{}", exported.out, exported.err);
    assert!(exported.err.contains(lost), "{}", exported.err);
    let script = std::fs::read_to_string(&file).unwrap();
    let comment = format!("-- The backup lacks {lost}");
    assert!(script.contains(&comment) && script.ends_with("-- End of the backup\n"));
}

#[test]
fn a_database_is_put_aside_only_after_its_name_was_given() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS id",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop"]);
    server.sql("shop", "DELETE FROM t");
    let log = home.folder().join("psql.log");
    let somebody = server
        .tool("psql", "shop")
        .args(["-Xc", "SELECT pg_sleep(600)"])
        .start(&log);
    let there = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
    backstay_tests::process::wait_for("the session", std::time::Duration::from_mins(1), || {
        (server.sql("postgres", there) == "1").then_some(())
    });
    let in_place = ["restore", "run", "main/shop@latest", "--in-place"];
    let plan = home.json(&["restore", "plan", "main/shop@latest", "--in-place"]);
    assert!(plan["sessions"].as_u64() >= Some(1), "{plan}");
    assert_eq!(plan["destroys"], true);
    for answer in [
        home.run(&in_place),
        home.run(&[&in_place[..], &["--yes"]].concat()),
        home.run(&[&in_place[..], &["--confirm", "shop2"]].concat()),
    ] {
        assert_eq!(answer.code, Some(6), "{}{}", answer.out, answer.err);
        assert!(answer.err.contains("in the place of main/shop"));
    }
    let body = r#"{"in_place":true}"#;
    let path = "/api/v1/backups/main%2Fshop@latest/restore";
    let api = home.run(&["api", "POST", path, "--data", body]);
    assert_eq!(api.code, Some(6), "{}{}", api.out, api.err);
    assert!(api.out.contains("--confirm shop"), "{}", api.out);
    assert_eq!(on_a_terminal(&home, &in_place, "no"), Some(6));
    assert_eq!(server.sql("shop", "SELECT count(*) FROM t"), "0");
    assert_eq!(server.sql("postgres", there), "1");

    assert_eq!(on_a_terminal(&home, &in_place, "shop"), Some(0));
    assert_eq!(server.sql("shop", "SELECT count(*) FROM t"), "10");
    assert_eq!(server.sql("postgres", there), "0");
    home.ok(&[&in_place[..], &["--confirm", "shop"]].concat());
    drop(somebody);
}

/// Runs a command on a terminal, types one line, and answers how it ended.
fn on_a_terminal(home: &Home, words: &[&str], line: &str) -> Option<i32> {
    let inner = home.command(words);
    let quoted: Vec<_> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let variables = inner
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut child = Command::new("script")
        .env_clear()
        .envs(variables)
        .args(["-q", "-e", "-c", &quoted.join(" "), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Kept open until the end: the end of the input would be the end of the terminal.
    let mut typed = child.stdin.take().unwrap();
    writeln!(typed, "{line}").unwrap();
    let status = child.wait().unwrap();
    drop(typed);
    status.code()
}

const ODD: &str = r#"
    CREATE SCHEMA "Sh.op";
    CREATE TYPE "Sh.op"."st,ate" AS ENUM ('new', 'pa"id');
    CREATE TABLE "Sh.op"."odd ""t.able" (
        id bigint PRIMARY KEY,
        "na me" text DEFAULT 'a, (b',
        state "Sh.op"."st,ate",
        bytes bytea,
        price numeric(10,2) NOT NULL,
        total numeric GENERATED ALWAYS AS (price * 2) STORED
    );
    INSERT INTO "Sh.op"."odd ""t.able" VALUES
        (1, E'tab\there\nline\\N', 'pa"id', '\xde00', 1.5),
        (2, NULL, NULL, NULL, 2),
        (3, '', 'new', '\x', 3),
        (4, repeat('ž', 3000), 'new', NULL, 4);
    CREATE TABLE "Sh.op".empty ();
    INSERT INTO "Sh.op".empty DEFAULT VALUES;
    CREATE TABLE orders (id int, at date) PARTITION BY RANGE (at);
    CREATE TABLE orders_2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO orders VALUES (7, '2026-02-03');
    CREATE TABLE base (id int, note text);
    CREATE TABLE derived (more int) INHERITS (base);
    INSERT INTO derived VALUES (1, 'n', 2);
    CREATE VIEW seen AS SELECT 1 AS one;
    CREATE TABLE nothing (id int);
    CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((n + 1)::text) AS noise
        FROM generate_series(1, 150000) n"#;

#[test]
fn rows_are_shown_from_the_backup_with_odd_names_and_values() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", ODD);
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop"]);
    let latest = "main/shop@latest";
    let rows = |table: &str| home.json(&["backup", "rows", latest, table]);

    let odd = rows(r#""Sh.op"."odd ""t.able""#);
    assert_eq!(
        odd["columns"],
        json!([
            {"name": "id", "type": "bigint"},
            {"name": "na me", "type": "text"},
            {"name": "state", "type": "\"Sh.op\".\"st,ate\""},
            {"name": "bytes", "type": "bytea"},
            {"name": "price", "type": "numeric(10,2)"},
        ])
    );
    assert_eq!(odd["computed_columns"], json!(["total"]));
    let values = odd["rows"].as_array().unwrap();
    assert_eq!(
        values[..3],
        [
            json!(["1", "tab\there\nline\\N", "pa\"id", "\\xde00", "1.50"]),
            json!(["2", null, null, null, "2.00"]),
            json!(["3", "", "new", "\\x", "3.00"]),
        ]
    );
    assert_eq!(text(&values[3][1]), format!("{}…", "ž".repeat(2048)));
    assert_eq!(odd["cut"], json!([{"row": 3, "column": 1, "bytes": 6000}]));
    assert_eq!(
        (&odd["total_rows"], &odd["truncated"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(rows("\"Sh.op\".empty")["rows"], json!([[]]));

    let root = rows("orders");
    assert_eq!(
        (&root["rows"], &root["total_rows"]),
        (&json!([]), &Value::Null)
    );
    assert!(text(&root["note"]).contains("public.orders_2026"), "{root}");
    assert_eq!(
        rows("public.orders_2026")["rows"],
        json!([["7", "2026-02-03"]])
    );
    let derived = rows("derived");
    assert_eq!(
        derived["columns"][1],
        json!({"name": "note", "type": "text"})
    );
    assert_eq!(derived["rows"], json!([["1", "n", "2"]]));
    assert!(text(&rows("seen")["note"]).contains("is a view"));
    let nothing = rows("nothing");
    assert_eq!(
        (&nothing["rows"], &nothing["total_rows"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(nothing["note"], Value::Null);

    let shown = home.ok(&["backup", "rows", latest, "big", "--limit", "3"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert!(
        lines[0].contains("noise") && lines[3].starts_with(" 3"),
        "{shown}"
    );
    let big = home.json(&["backup", "rows", latest, "big", "--limit", "200"]);
    assert_eq!(big["rows"].as_array().unwrap().len(), 200);
    assert_eq!(
        (&big["total_rows"], &big["truncated"]),
        (&json!(150_000), &json!(true))
    );

    let missing = home.run(&["backup", "rows", latest, "shop.ordesr_2026"]);
    assert_eq!(missing.code, Some(3), "{}", missing.err);
    assert!(
        missing.err.contains("public.orders_2026"),
        "{}",
        missing.err
    );
    let several = home.run(&["backup", "rows", latest, "a.b.c"]);
    assert_eq!(several.code, Some(2), "{}", several.err);
    let entries = home.json(&["audit", "list"]);
    let entries = entries["items"].as_array().unwrap();
    let looked = entries.iter().find(|own| own["action"] == "backup.rows");
    assert_eq!(looked.unwrap()["after"]["object"], "big");
}

#[test]
fn damage_in_what_would_be_shown_is_named() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", ODD);
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop"]);
    let place = home.json(&["repository", "show", "local"]);
    let packs = Path::new(text(&place["location"])).join("packs");
    let mut files: Vec<_> = std::fs::read_dir(packs)
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    let largest = files.last().unwrap();
    let sound = std::fs::read(largest).unwrap();
    let rows = || home.run(&["backup", "rows", "main/shop@latest", "big", "--limit", "5"]);
    assert_eq!(rows().code, Some(0), "{}", rows().err);
    let mut bytes = sound;
    for byte in &mut bytes[64..] {
        *byte ^= 0x55;
    }
    std::fs::write(largest, bytes).unwrap();
    let refused = rows();
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    for word in ["Chunk ", "packs/", "damaged"] {
        assert!(refused.err.contains(word), "{word}: {}", refused.err);
    }
}
