//! The harness itself: servers start, are reached in every way, are compared, and vanish.

use backstay_tests::postgres::{Server, versions};

const SAMPLE: &str = "
    CREATE TABLE fruit (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO fruit VALUES (1, 'apple'), (2, E'two\\nlines'), (3, '\\.');";

#[test]
fn every_version_starts_and_vanishes() {
    for version in versions() {
        let server = Server::start(*version);
        let said = server.sql(
            "postgres",
            "SELECT current_setting('server_version_num')::int / 10000",
        );
        assert_eq!(said, version.to_string());
        let (process, folder) = (server.process_id(), server.socket_folder().to_owned());
        assert!(folder.join(format!(".s.PGSQL.{}", server.port())).exists());
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
        assert!(!folder.exists());
    }
}

#[test]
fn a_copy_made_by_the_own_tools_is_equal_and_a_changed_one_is_not() {
    let server = Server::shared(15);
    for name in ["one", "two"] {
        server.create_database(name);
        server.sql(name, SAMPLE);
    }
    let one = server.dump("one", &[]);
    assert_eq!(one.rows(), 3);
    // The same rows in another order are the same table.
    server.sql(
        "two",
        "DELETE FROM fruit WHERE id = 1; INSERT INTO fruit VALUES (1, 'apple')",
    );
    one.assert_same(&server.dump("two", &[]));

    server.sql("two", "UPDATE fruit SET name = 'pear' WHERE id = 1");
    assert_ne!(one, server.dump("two", &[]));
    server.sql("one", "COMMENT ON TABLE fruit IS 'x'");
    assert!(one.differing_lines(&server.dump("one", &[])) > 0);
}

#[test]
fn odd_database_names_are_reached() {
    let server = Server::shared(18);
    let name = r#"it's "odd" \ äß 50%"#;
    server.create_database(name);
    assert_eq!(server.sql(name, "SELECT current_database()"), name);
}
