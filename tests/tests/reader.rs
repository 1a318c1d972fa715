//! A reader in another language, written from the format's page alone, gets the rows back.

use std::process::Command;

use backstay_tests::engine::Home;
use backstay_tests::places;
use backstay_tests::postgres::Server;

#[test]
fn a_stranger_restores_a_table_with_the_format_page_and_the_kit() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        r#"CREATE SCHEMA "odd ""names""";
           CREATE TABLE "odd ""names"""."päivä" (id int, text text, bytes bytea);
           INSERT INTO "odd ""names"""."päivä"
               SELECT n, repeat(md5(n::text), 1 + n % 9) || E'\t\\\n', sha256(n::text::bytea)
               FROM generate_series(1, 40000) n;"#,
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let backup = home.json(&["backup", "run", "main/shop"]);
    let backup = backup["id"].as_str().unwrap();
    let kit = home.recovery_kit();

    let read = |words: &[&str]| {
        let answer = Command::new("python3")
            .env("PYTHONPATH", places::cache().join("python"))
            .arg(places::checkout().join("tests/reader.py"))
            .arg(&kit.location)
            .arg(format!("code:{}", kit.recovery_code.expose()))
            .args(words)
            .output()
            .unwrap();
        assert!(
            answer.status.success(),
            "{}",
            String::from_utf8_lossy(&answer.stderr)
        );
        answer.stdout
    };
    let rows = read(&["restore", backup, "odd \"names\"", "päivä"]);
    let copied = server
        .tool("psql", "shop")
        .args(["-XAtqc", r#"COPY "odd ""names"""."päivä" TO STDOUT"#])
        .run();
    assert!(
        rows == copied,
        "{} bytes were read, the server gave {}",
        rows.len(),
        copied.len()
    );
    let listed = String::from_utf8(read(&["list"])).unwrap();
    assert!(listed.contains(backup), "{listed}");
}
