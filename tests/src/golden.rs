//! Repositories that earlier versions wrote, kept under `assets/golden`.
//!
//! A folder there holds `repository/`, the `recovery-code` and `rows`, which are the rows of its tables
//! as `COPY` gave them. One is added when the format gains something; none is ever changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Home;
use crate::places;
use crate::postgres::Server;

/// The tables in it: schema and name.
pub const TABLES: [(&str, &str); 3] = [
    ("shop", "customers"),
    ("shop", "orders"),
    ("odd \"names\"", "päivä"),
];

const SCHEMA: &str = r#"
    CREATE SCHEMA shop;
    CREATE TYPE shop.state AS ENUM ('open', 'paid');
    CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, extra jsonb);
    INSERT INTO shop.customers
        SELECT n, 'customer ' || n, jsonb_build_object('n', n) FROM generate_series(1, 500) n;
    CREATE TABLE shop.orders (
        id int PRIMARY KEY, customer int REFERENCES shop.customers, state shop.state, paid numeric);
    INSERT INTO shop.orders
        SELECT n, 1 + n % 500, CASE n % 2 WHEN 0 THEN 'open' ELSE 'paid' END::shop.state, n / 3.0
        FROM generate_series(1, 2000) n;
    CREATE SCHEMA "odd ""names""";
    CREATE TABLE "odd ""names"""."päivä" (id int, text text, bytes bytea);
    INSERT INTO "odd ""names"""."päivä"
        SELECT n, md5(n::text) || E'\t\\\n', sha256(n::text::bytea) FROM generate_series(1, 300) n;
    SELECT lo_from_bytea(424242, 'a large object');
"#;

/// Where they lie.
pub fn folder() -> PathBuf {
    places::checkout().join("assets/golden")
}

/// Copies a folder.
///
/// # Panics
/// When that fails.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The rows of all tables as text, each after a line with its name.
///
/// # Panics
/// When the server does not give them.
pub fn rows(server: &Server, database: &str) -> String {
    let mut text = String::new();
    for (schema, table) in TABLES {
        let statement = format!("COPY {}.{} TO STDOUT", quoted(schema), quoted(table));
        let copied = server
            .tool("psql", database)
            .args(["-XAtqc", &statement])
            .run();
        text.push_str(&format!("== {schema}.{table}\n"));
        text.push_str(&String::from_utf8(copied).unwrap());
    }
    text
}

/// Writes a new one: two backups of one database, of which the first is in the trash and the second is
/// pinned and has a label.
///
/// # Panics
/// When a step fails.
pub fn write(name: &str) {
    let folder = folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", SCHEMA);
    let mut home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let first = home.json(&["backup", "run", "main/shop"]);
    server.sql("shop", "UPDATE shop.orders SET paid = 0 WHERE id % 100 = 0");
    let second = home.json(&["backup", "run", "main/shop"]);
    let id = |backup: &serde_json::Value| backup["id"].as_str().unwrap().to_owned();
    home.ok(&["backup", "annotate", &id(&second), "--label", "kept"]);
    home.ok(&["backup", "pin", &id(&second)]);
    home.ok(&["backup", "delete", &id(&first), "--yes"]);
    let kit = home.recovery_kit();
    std::fs::write(folder.join("recovery-code"), kit.recovery_code.expose()).unwrap();
    std::fs::write(folder.join("rows"), rows(&server, "shop")).unwrap();
    home.terminate();
    copy(Path::new(&kit.location), &folder.join("repository"));
}
