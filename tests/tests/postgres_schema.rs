//! Schemas there and back: every fixture is read by the engine, made again in an empty database from
//! the statements alone, and must look the same to `pg_dump`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstay_engine::clock::SystemClock;
use backstay_engine::monitor::{Remembering, Task};
use backstay_engine::source::postgres::logical::object::{Object, ObjectKind};
use backstay_engine::source::postgres::logical::schema::Schema;
use backstay_engine::source::postgres::logical::selection::Selection;
use backstay_engine::source::postgres::{Sql, Target};
use backstay_tests::places::fixture;
use backstay_tests::postgres::{Server, old_versions, versions};
use tokio_util::sync::CancellationToken;

/// Reads a database's schema; what could not be saved comes back as text.
async fn read(server: &Server, database: &str, part: &Selection) -> (Schema, Vec<String>) {
    let watcher = Arc::new(Remembering::default());
    let task = Task {
        monitor: watcher.clone(),
        cancel: CancellationToken::new(),
        clock: Arc::new(SystemClock),
    };
    let sql = session(server, database).await;
    sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .unwrap();
    let schema = Schema::read(&sql, part, &task).await;
    let losses = watcher.losses.lock();
    let losses = losses
        .iter()
        .map(|loss| format!("{}: {}", loss.object, loss.reason));
    let schema = schema.unwrap_or_else(|e| panic!("{database}: {}", e.report()));
    (schema, losses.collect())
}

async fn session(server: &Server, database: &str) -> Sql {
    let target = Target::from_url(&server.url(database)).unwrap();
    target.sql(database).await.unwrap()
}

/// Makes the objects, in their order, as a restore does; returns what failed.
async fn apply(server: &Server, database: &str, objects: &[Object]) -> Vec<String> {
    let sql = session(server, database).await;
    sql.run(
        "SET check_function_bodies = off; SET client_min_messages = error; SET xmloption = content",
    )
    .await
    .unwrap();
    let mut failures = Vec::new();
    let late = [
        ObjectKind::EventTrigger,
        ObjectKind::RefreshMaterializedView,
    ];
    let (late, early): (Vec<_>, Vec<_>) = objects.iter().partition(|o| late.contains(&o.kind));
    for object in &early {
        make(&sql, object, &mut failures).await;
    }
    for object in objects {
        run(&sql, object, &object.attachments.privileges, &mut failures).await;
    }
    for object in &late {
        make(&sql, object, &mut failures).await;
    }
    failures
}

async fn make(sql: &Sql, object: &Object, failures: &mut Vec<String>) {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    if let Some(tablespace) = &object.tablespace {
        let name = if tablespace.is_empty() {
            "''".to_owned()
        } else {
            quoted(tablespace)
        };
        sql.run(&format!("SET default_tablespace = {name}"))
            .await
            .unwrap();
    }
    if let Some(method) = object
        .access_method
        .as_ref()
        .filter(|_| sql.version() >= 120_000)
    {
        sql.run(&format!(
            "SET default_table_access_method = {}",
            quoted(method)
        ))
        .await
        .unwrap();
    }
    let parts = &object.attachments;
    for statements in [
        &object.create,
        &parts.owner,
        &parts.comments,
        &parts.security_labels,
    ] {
        run(sql, object, statements, failures).await;
    }
}

async fn run(sql: &Sql, object: &Object, statements: &[String], failures: &mut Vec<String>) {
    if statements.is_empty() {
        return;
    }
    if let Err(error) = sql.run(&statements.join(";\n")).await {
        failures.push(format!(
            "{} {}: {}\n{}",
            object.kind.sql_name(),
            object.name,
            error.report(),
            statements.join(";\n")
        ));
    }
}

/// Reads `source`, makes it again as `target`, and holds both to be equal.
async fn round_trip(server: &Server, source: &str, target: &str) {
    let (schema, losses) = read(server, source, &Selection::default()).await;
    assert!(
        losses.is_empty(),
        "something was lost: {}",
        losses.join("\n")
    );
    server.create_database(target);
    let failures = apply(server, target, &schema.objects).await;
    assert!(failures.is_empty(), "{source}: {}", failures.join("\n\n"));
    let options = ["--schema-only"];
    server
        .dump(source, &options)
        .assert_same(&server.dump(target, &options));
    let (again, _) = read(server, target, &Selection::default()).await;
    assert_eq!(
        names(&schema.objects),
        names(&again.objects),
        "the order of objects changed"
    );
    assert_eq!(schema.tables.len(), again.tables.len());
}

/// What must not change when a database is made again: OIDs and numbers do.
fn names(objects: &[Object]) -> Vec<String> {
    let name = |o: &Object| {
        format!(
            "{} {}.{}",
            o.kind.sql_name(),
            o.schema.as_deref().unwrap_or_default(),
            o.name
        )
    };
    // Large objects keep their OIDs as names, but are not part of the dumps compared here.
    objects
        .iter()
        .filter(|o| o.kind != ObjectKind::LargeObject)
        .map(name)
        .collect()
}

fn fixtures() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixture("schema"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// A fixture's first line may say `-- since 14`.
fn since(script: &Path) -> u32 {
    let text = std::fs::read_to_string(script).unwrap();
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("-- since ")
        .map_or(10, |version| version.trim().parse().unwrap())
}

/// Runs one fixture on one server; a panic says what was wrong.
async fn run_fixture(server: Arc<Server>, script: PathBuf) {
    let name = script.file_stem().unwrap().to_str().unwrap().to_owned();
    server.create_database(&name);
    server.sql_file(&name, &script);
    round_trip(&server, &name, &format!("{name} again")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_back_equal() {
    let mut failed = Vec::new();
    for &version in versions().iter().chain(old_versions()) {
        let server = Arc::new(Server::start(version));
        server.sql_file("postgres", &fixture("roles.sql"));
        for script in fixtures() {
            if since(&script) > version {
                continue;
            }
            let label = format!("PostgreSQL {version}, {}", script.display());
            println!("{label}");
            // In a task of its own, so that one failure does not hide the next.
            if tokio::spawn(run_fixture(Arc::clone(&server), script))
                .await
                .is_err()
            {
                failed.push(label);
            }
        }
    }
    assert!(failed.is_empty(), "these failed:\n{}", failed.join("\n"));
}

const LARGE_OBJECTS: &str = "
    SELECT lo_create(20000 + i) FROM generate_series(1, 12000) i;
    SELECT lo_create(7), lo_create(4294967290);
    ALTER LARGE OBJECT 7 OWNER TO fixture_owner;
    DO $$ BEGIN FOR i IN 25000 .. 25100 LOOP
        EXECUTE 'ALTER LARGE OBJECT ' || i || ' OWNER TO \"Fixture \"\"odd\"\" role\"';
        EXECUTE 'GRANT SELECT ON LARGE OBJECT ' || i || ' TO fixture_reader WITH GRANT OPTION';
    END LOOP; END $$;
    GRANT ALL ON LARGE OBJECT 7 TO PUBLIC;
    REVOKE UPDATE ON LARGE OBJECT 20001 FROM postgres;
    COMMENT ON LARGE OBJECT 20002 IS 'it''s large';
    COMMENT ON LARGE OBJECT 7 IS 'an OID that a person chose';";

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_keep_owner_privileges_and_comments() {
    let state = "SELECT l.oid, pg_get_userbyid(lomowner), lomacl, description
        FROM pg_largeobject_metadata l LEFT JOIN pg_description d ON d.objoid = l.oid
        AND d.classoid = 'pg_largeobject'::regclass ORDER BY 1";
    for &version in versions() {
        let server = Server::start(version);
        server.sql_file("postgres", &fixture("roles.sql"));
        server.create_database("large");
        server.sql("large", LARGE_OBJECTS);
        let (schema, losses) = read(&server, "large", &Selection::default()).await;
        assert!(losses.is_empty(), "{losses:?}");
        let count = schema
            .objects
            .iter()
            .filter(|o| o.kind == ObjectKind::LargeObject)
            .count();
        assert!(
            count < 12,
            "those with the same owner share an object, not {count}"
        );
        server.create_database("again");
        assert_eq!(apply(&server, "again", &schema.objects).await, [""; 0]);
        assert_eq!(server.sql("large", state), server.sql("again", state));
    }
}

const SHOP: &str = r#"
    CREATE SCHEMA lib; CREATE SCHEMA shop; CREATE SCHEMA "Odd.one"; CREATE SCHEMA idle;
    COMMENT ON SCHEMA lib IS 'needed';
    CREATE TYPE lib.state AS ENUM ('new', 'paid');
    CREATE FUNCTION lib.is_fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
    CREATE DOMAIN lib.amount AS int CHECK (lib.is_fine(VALUE));
    CREATE FUNCTION lib.unused() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION lib.on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE shop.orders (id serial PRIMARY KEY, state lib.state DEFAULT 'new', amount lib.amount);
    CREATE TRIGGER changed BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE PROCEDURE lib.on_change();
    CREATE INDEX ON shop.orders (state);
    CREATE TABLE shop.order_lines (id int PRIMARY KEY, of_order int REFERENCES shop.orders);
    CREATE VIEW shop.paid AS SELECT * FROM shop.orders WHERE state = 'paid';
    CREATE FUNCTION shop.own() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE "Odd.one"."a*b" (x int);
    CREATE TABLE "Odd.one"."aXb" (x int);
    CREATE TABLE idle.nothing (x int);
    CREATE TABLE idle.events (at date) PARTITION BY RANGE (at);
    CREATE TABLE idle.events_2020 PARTITION OF idle.events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
"#;

fn part(schemas: &[&str], tables: &[&str], exclude_tables: &[&str]) -> Selection {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Selection {
        schemas: texts(schemas),
        tables: texts(tables),
        exclude_tables: texts(exclude_tables),
        ..Selection::default()
    }
}

/// A part of a database is what `pg_dump` makes of the same choice, and can be made in an empty
/// database, which has none of what the chosen tables need.
#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_part_stands_alone() {
    let parts = [
        (
            "orders",
            part(&[], &["shop.orders"], &[]),
            vec!["--table=shop.orders"],
        ),
        (
            "shop",
            part(&["sh?p"], &[], &["shop.order_l*"]),
            vec!["--schema=shop", "--exclude-table=shop.order_lines"],
        ),
        (
            "odd",
            part(&[], &[r#""Odd.one"."a*b""#], &[]),
            vec![r#"--table="Odd.one"."a*b""#],
        ),
        (
            "events",
            part(&[], &["events"], &[]),
            vec!["--table-and-children=idle.events"],
        ),
    ];
    for &version in versions() {
        let server = Server::start(version);
        server.create_database("whole");
        server.sql("whole", SHOP);
        for (name, selection, options) in &parts {
            let (schema, losses) = read(&server, "whole", selection).await;
            assert!(losses.is_empty(), "{losses:?}");
            server.create_database(name);
            let failures = apply(&server, name, &schema.objects).await;
            assert!(failures.is_empty(), "{name}: {}", failures.join("\n\n"));
            let mut options = options.clone();
            options.push("--schema-only");
            let restored = server.dump(name, &options);
            server.dump("whole", &options).assert_same(&restored);
            let idle = schema
                .objects
                .iter()
                .any(|object| object.name.contains("unused"));
            assert!(!idle, "{name} holds what nothing needs");
        }
        let rows: Vec<String> = {
            let (schema, _) = read(&server, "whole", &part(&[], &["shop.*"], &["paid"])).await;
            schema
                .tables
                .iter()
                .map(|table| table.name.clone())
                .collect()
        };
        assert_eq!(rows, ["order_lines", "orders"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_of_nothing_is_refused() {
    let server = Server::shared(versions()[0]);
    server.create_database("choices");
    server.sql("choices", SHOP);
    let sql = session(&server, "choices").await;
    let task = Task::unwatched(Arc::new(SystemClock));
    for selection in [
        part(&["Shop"], &[], &[]),
        part(&[], &["shop.orders", "shop.order"], &[]),
    ] {
        let error = Schema::read(&sql, &selection, &task).await.unwrap_err();
        assert_eq!(error.code().name(), "object.not_found");
    }
    let error = Schema::read(&sql, &part(&[], &["a.b.c"], &[]), &task)
        .await
        .unwrap_err();
    assert_eq!(error.code().name(), "request.invalid");
}
