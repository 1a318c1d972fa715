//! What a backup lacks is said again by whatever is made from it, and a part never passes for the whole.

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;

#[test]
fn large_objects_that_could_not_be_read_make_the_restore_partial_too() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);
         SELECT lo_from_bytea(424242, 'hello');
         CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("shop")]);
    let limited = server.url_as("reader", "shop");
    home.ok(&["connection", "add", "limited", &limited]);

    let backup = home.run(&["backup", "run", "limited/shop"]);
    assert_eq!(backup.code, Some(5), "{}{}", backup.out, backup.err);
    assert!(backup.err.contains("424242"), "{}", backup.err);
    let words = ["restore", "run", "limited/shop@latest", "--to", "main"];
    let restored = home.run(&[&words[..], &["--database", "again"]].concat());
    assert_eq!(restored.code, Some(5), "{}{}", restored.out, restored.err);
    assert!(restored.err.contains("424242"), "{}", restored.err);
    assert_eq!(server.sql("again", "SELECT count(*) FROM kept"), "1");
}

#[test]
fn a_backup_of_some_tables_never_takes_the_place_of_the_database() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE chosen (id int); CREATE TABLE other (id int);",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop", "--table", "chosen"]);
    let refused = home.run(&["restore", "run", "main/shop@latest", "--in-place"]);
    assert_eq!(refused.code, Some(6), "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains("only what was chosen"),
        "{}",
        refused.err
    );
    assert_eq!(server.sql("shop", "SELECT count(*) FROM other"), "0");
}
