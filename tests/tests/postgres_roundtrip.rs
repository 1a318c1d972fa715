//! A PostgreSQL database into a repository and back, on real servers. The oracle is `pg_dump`: the
//! dumps of source and restored database are equal, schema text exactly, rows after sorting.

use std::sync::Arc;
use std::time::Duration;

use backstay_engine::error::Code;
use backstay_engine::pipeline::archive::Archive;
use backstay_engine::pipeline::backup::Outcome;
use backstay_engine::pipeline::export::{ExportFormat, ExportOptions, export};
use backstay_engine::pipeline::plan::RestoreOptions;
use backstay_engine::pipeline::verify::{self, Rung};
use backstay_engine::source::postgres::logical::restore::choose::Choice;
use backstay_engine::source::postgres::logical::selection::Selection;
use backstay_tests::backups::{Backups, into};
use backstay_tests::places::{Scratch, checkout};
use backstay_tests::postgres::{Server, versions};
use backstay_tests::process::{Program, wait_for};
use tokio_util::sync::CancellationToken;

const SHOP: &str = r#"
CREATE SCHEMA shop;
CREATE SCHEMA "Odd ""schema""";
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, mood shop.mood, tags text[], doc jsonb, upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE shop.orders (
    id serial PRIMARY KEY, customer bigint NOT NULL REFERENCES shop.customers ON DELETE CASCADE,
    total numeric(12,2) CHECK (total >= 0), placed timestamptz DEFAULT now());
CREATE INDEX ON shop.orders (placed); CREATE INDEX orders_by_total ON shop.orders (total) WHERE total > 100;
CREATE TABLE shop.events (at date NOT NULL, what text, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2025 PARTITION OF shop.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT;
CREATE TABLE "Odd ""schema"""." Odd
table" ("a.b" int, "c d" text, "é" float8);
CREATE VIEW shop.totals AS SELECT customer, sum(total) FROM shop.orders GROUP BY customer;
CREATE MATERIALIZED VIEW shop.best AS SELECT * FROM shop.totals ORDER BY 2 DESC LIMIT 10;
CREATE UNIQUE INDEX ON shop.best (customer);
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.placed := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
INSERT INTO shop.customers (name, mood, tags, doc)
  SELECT 'n' || g, (ARRAY['sad','ok','happy'])[1 + g % 3]::shop.mood, ARRAY['a\b', NULL, 'c"d', 't' || chr(9)], jsonb_build_object('g', g)
  FROM generate_series(1, 5000) g;
INSERT INTO shop.orders (customer, total) SELECT 1 + g % 5000, g % 977 FROM generate_series(1, 20000) g;
INSERT INTO shop.events SELECT '2024-06-01'::date + g % 700, repeat(chr(92) || 'x', g % 5), g FROM generate_series(1, 8000) g;
INSERT INTO "Odd ""schema"""." Odd
table" VALUES (1, E'line\nbreak\\', 'NaN'), (NULL, '', '-Infinity'), (3, '\.', 0.1);
REFRESH MATERIALIZED VIEW shop.best;
COMMENT ON TABLE shop.orders IS 'what was bought; it''s all here';
SELECT lo_from_bytea(100001, 'small');
SELECT lo_create(100002);
SELECT lo_from_bytea(100003, string_agg(sha256(g::text::bytea), '' ORDER BY g)) FROM generate_series(1, 100000) g;
COMMENT ON LARGE OBJECT 100001 IS 'a small one';
"#;

/// A database with the shop in it.
fn shop(server: &Server, database: &str) {
    server.create_database(database);
    server.sql(database, SHOP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_comes_back_equal_on_every_version() {
    for version in versions() {
        let server = Server::shared(*version);
        shop(&server, "rt_source");
        let backups = Backups::new().await;
        let backup = backups.back_up(&server, "rt_source").await;
        let outcome = backups
            .restore(backup.snapshot.id, &server, &into("rt_target"))
            .await;
        assert_eq!(outcome.status, Outcome::Success);
        assert_eq!(outcome.proved_tables, outcome.tables.len() as u64);
        assert_eq!(outcome.rows, backup.facts.rows);
        server
            .dump("rt_source", &[])
            .assert_same(&server.dump("rt_target", &[]));
        let report = verify::run(
            &backups.repository,
            backup.snapshot.id,
            Rung::Decoded,
            2,
            &backups.task,
        )
        .await
        .unwrap();
        assert_eq!(report.losses, []);
        assert_eq!(report.reached, Some(Rung::Decoded));
        assert_eq!(report.rows, backup.facts.rows);
    }
}

/// Every kind of object and its traps, one database for each file of fixtures.
#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_back_equal() {
    let backups = Backups::new().await;
    let mut failures = Vec::new();
    for version in versions() {
        let server = Server::start(*version);
        server.sql_file("postgres", &checkout().join("tests/fixtures/roles.sql"));
        for (name, script) in fixtures(*version) {
            let source = format!("fx_{name}");
            server.create_database(&source);
            server.sql_file(&source, &script);
            let request = backups.request(&server, &source);
            let backup = backups.try_back_up(&request).await.unwrap();
            failures.extend(
                backup
                    .losses
                    .iter()
                    .map(|loss| format!("{name} on {version}: {loss:?}")),
            );
            let target = format!("fx_{name}_restored");
            let id = backup.snapshot.id;
            let outcome = backups
                .try_restore(id, &server, &into(&target))
                .await
                .unwrap();
            failures.extend(
                outcome
                    .losses
                    .iter()
                    .map(|loss| format!("{name} on {version}: {loss:?}")),
            );
            // A column that a parent got later moves to another place in the child, as it does when
            // pg_dump restores; `COPY` then lists the columns in another order. The proof read its rows.
            let options: &[&str] = if name == "inheritance" {
                &["--schema-only"]
            } else {
                &[]
            };
            let (before, after) = (server.dump(&source, options), server.dump(&target, options));
            let compare = std::panic::AssertUnwindSafe(|| before.assert_same(&after));
            if let Err(panic) = std::panic::catch_unwind(compare) {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failures.push(format!("{name} on {version}: {text}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The scripts under `tests/fixtures/schema` that a server of that version understands: `newer.sql`
/// and the like say in their first line `-- since N`.
fn fixtures(version: u32) -> Vec<(String, std::path::PathBuf)> {
    let folder = checkout().join("tests/fixtures/schema");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let since = text
                .lines()
                .find_map(|line| line.strip_prefix("-- since "))
                .and_then(|since| since.trim().parse::<u32>().ok());
            since.is_none_or(|since| version >= since)
        })
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                path,
            )
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "there are no fixtures");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_an_old_version_restores_into_a_newer_one() {
    let (old, new) = (versions()[0], versions()[versions().len() - 1]);
    let (source, target) = (Server::shared(old), Server::shared(new));
    shop(&source, "up_source");
    let backups = Backups::new().await;
    let backup = backups.back_up(&source, "up_source").await;
    backups
        .restore(backup.snapshot.id, &target, &into("up_target"))
        .await;
    let (before, after) = (
        source.dump("up_source", &["--data-only"]),
        target.dump("up_target", &["--data-only"]),
    );
    before.assert_same(&after);
    let count = "SELECT count(*) FROM pg_catalog.pg_indexes WHERE schemaname = 'shop'";
    assert_eq!(
        source.sql("up_source", count),
        target.sql("up_target", count)
    );

    let backward = backups.back_up(&target, "up_target").await;
    let error = backups
        .try_restore(backward.snapshot.id, &source, &into("down"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::SourceVersion);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_of_the_same_database_stores_almost_nothing() {
    let server = Server::shared(15);
    shop(&server, "twice");
    server.sql(
        "twice",
        "CREATE TABLE big AS SELECT g, md5(g::text) FROM generate_series(1, 400000) g",
    );
    let backups = Backups::new().await;
    let first = backups.back_up(&server, "twice").await;
    let second = backups.back_up(&server, "twice").await;
    assert_eq!(first.facts.rows, second.facts.rows);
    let limit = first.facts.data_bytes / 1000;
    assert!(
        second.tally.stored_bytes < limit,
        "the second backup stored {} bytes, more than {limit}",
        second.tally.stored_bytes
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_backup_is_one_moment() {
    let server = Server::shared(15);
    server.create_database("bench");
    server
        .tool("pgbench", "bench")
        .args(["-i", "-q", "-s", "2"])
        .run();
    let backups = Backups::new().await;
    let url = server.url("bench");
    for round in 0..3 {
        let load = {
            let server = Arc::clone(&server);
            tokio::task::spawn_blocking(move || {
                server
                    .tool("pgbench", "bench")
                    .args(["-n", "-c", "4", "-T", "3"])
                    .run();
            })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        let backup = backups.back_up(&server, "bench").await;
        load.await.unwrap();
        let target = format!("bench_{round}");
        backups
            .restore(backup.snapshot.id, &server, &into(&target))
            .await;
        let sums = server.sql(
            &target,
            "SELECT count(DISTINCT total) FROM (SELECT sum(abalance) AS total FROM pgbench_accounts \
             UNION ALL SELECT sum(bbalance) FROM pgbench_branches \
             UNION ALL SELECT sum(tbalance) FROM pgbench_tellers \
             UNION ALL SELECT coalesce(sum(delta), 0) FROM pgbench_history) sums",
        );
        assert_eq!(sums.trim(), "1", "the sums differ in {url}");
        assert_ne!(
            server
                .sql(&target, "SELECT count(*) FROM pgbench_history")
                .trim(),
            "0"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_comes_back_alone_or_under_another_name() {
    let server = Server::shared(15);
    shop(&server, "some_source");
    let backups = Backups::new().await;
    let backup = backups.back_up(&server, "some_source").await;
    let id = backup.snapshot.id;

    // Beside, into a database of its own: the foreign key stays out.
    let options = RestoreOptions {
        objects: vec![Choice::parse("shop.orders").unwrap()],
        ..into("some_alone")
    };
    backups.restore(id, &server, &options).await;
    assert_eq!(
        server
            .sql("some_alone", "SELECT count(*) FROM shop.orders")
            .trim(),
        "20000"
    );
    let next = server.sql("some_alone", "SELECT nextval('shop.orders_id_seq')");
    assert_eq!(next.trim(), "20001");

    // Into the database it came from, under another name, beside the original.
    let options = RestoreOptions {
        objects: vec![
            Choice::parse("shop.orders=old_orders").unwrap(),
            Choice::parse("shop.events=public.old_events").unwrap(),
        ],
        ..into("some_source")
    };
    backups.restore(id, &server, &options).await;
    let equal = server.sql(
        "some_source",
        "SELECT count(*) FROM (TABLE shop.orders EXCEPT ALL TABLE shop.old_orders) a; \
         SELECT count(*) FROM (TABLE shop.events EXCEPT ALL TABLE public.old_events) a; \
         SELECT count(*) FROM pg_index WHERE indrelid = 'shop.old_orders'::regclass",
    );
    assert_eq!(
        equal.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "3"]
    );
    assert!(
        !server
            .sql("some_source", "SELECT datname FROM pg_database")
            .contains("backstay_"),
        "the scratch database is gone"
    );

    // The original is in the way, until it is said to be replaced.
    let mut options = RestoreOptions {
        objects: vec![Choice::parse("shop.events").unwrap()],
        ..into("some_source")
    };
    let error = backups
        .try_restore(id, &server, &options)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::DatabaseNotEmpty);
    server.sql("some_source", "DELETE FROM shop.events WHERE n > 10");
    options.clean = true;
    backups.restore(id, &server, &options).await;
    assert_eq!(
        server
            .sql("some_source", "SELECT count(*) FROM shop.events")
            .trim(),
        "8000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_tables_and_schemas_are_backed_up_alone() {
    let server = Server::shared(15);
    shop(&server, "part_source");
    let backups = Backups::new().await;
    let mut request = backups.request(&server, "part_source");
    request.selection = Selection {
        schemas: vec!["shop".to_owned()],
        exclude_tables: vec!["shop.events*".to_owned()],
        ..Selection::default()
    };
    let backup = backups.try_back_up(&request).await.unwrap();
    backups
        .restore(backup.snapshot.id, &server, &into("part_target"))
        .await;
    let options = ["--schema=shop", "--exclude-table=shop.events*"];
    server
        .dump("part_source", &options)
        .assert_same(&server.dump("part_target", &options));
    assert_eq!(
        server
            .sql("part_target", "SELECT to_regclass('shop.events') IS NULL")
            .trim(),
        "t"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_database_is_only_filled_when_empty_or_to_be_emptied() {
    let server = Server::shared(15);
    shop(&server, "full_source");
    let backups = Backups::new().await;
    let id = backups.back_up(&server, "full_source").await.snapshot.id;
    server.create_database("full_target");
    server.sql(
        "full_target",
        "CREATE TABLE mine (a int); CREATE SCHEMA other; CREATE VIEW other.v AS TABLE mine; \
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lo_create(100001); \
         CREATE AGGREGATE agg (int) (SFUNC = int4pl, STYPE = int); CREATE DOMAIN d AS int; CREATE EXTENSION hstore",
    );
    let error = backups
        .try_restore(id, &server, &into("full_target"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::DatabaseNotEmpty);
    let options = RestoreOptions {
        clean: true,
        ..into("full_target")
    };
    let plan = backups.plan(id, &server, &options).await.unwrap();
    assert!(plan.destroys);
    backups.restore(id, &server, &options).await;
    server
        .dump("full_source", &[])
        .assert_same(&server.dump("full_target", &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_swaps_and_keeps_the_old_database() {
    let server = Server::shared(15);
    shop(&server, "swap");
    let backups = Backups::new().await;
    let before = server.dump("swap", &[]);
    let id = backups.back_up(&server, "swap").await.snapshot.id;
    server.sql("swap", "DROP TABLE shop.orders CASCADE");
    let options = RestoreOptions {
        in_place: true,
        ..RestoreOptions::default()
    };
    let outcome = backups.restore(id, &server, &options).await;
    before.assert_same(&server.dump("swap", &[]));
    let kept = outcome.kept_database.expect("the old one is kept");
    assert_eq!(
        server
            .sql(&kept, "SELECT to_regclass('shop.orders') IS NULL")
            .trim(),
        "t"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_makes_the_backup_partial_and_is_named() {
    let server = Server::start(15);
    shop(&server, "hurt");
    // A value of an enum whose label is gone cannot be written any more.
    server.sql(
        "hurt",
        "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE broken (v e); INSERT INTO broken VALUES ('a'), ('b'); \
         DELETE FROM pg_enum WHERE enumlabel = 'b' AND enumtypid = 'e'::regtype",
    );
    let backups = Backups::new().await;
    let request = backups.request(&server, "hurt");
    let outcome = backups.try_back_up(&request).await.unwrap();
    assert_eq!(outcome.status, Outcome::Partial);
    assert_eq!(outcome.losses.len(), 1);
    assert_eq!(outcome.losses[0].object, "rows of public.broken");
    assert!(
        outcome.losses[0].reason.contains("enum"),
        "{}",
        outcome.losses[0].reason
    );
    assert_eq!(*backups.monitor.losses.lock(), outcome.losses);

    let restored = backups
        .try_restore(outcome.snapshot.id, &server, &into("healed"))
        .await
        .unwrap();
    assert_eq!(restored.status, Outcome::Partial);
    assert_eq!(restored.losses[0].object, "rows of public.broken");
    assert_eq!(restored.losses.len(), 1);
    let options = ["--exclude-table-data=public.broken"];
    server
        .dump("hurt", &options)
        .assert_same(&server.dump("healed", &options));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_makes_the_restore_partial_and_in_place_keeps_what_was() {
    let server = Server::start(15);
    server.create_database("owned");
    server.sql(
        "owned",
        "CREATE ROLE ghost; CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO ghost; \
         GRANT SELECT ON t TO ghost",
    );
    let backups = Backups::new().await;
    let id = backups.back_up(&server, "owned").await.snapshot.id;
    server.sql(
        "owned",
        "DELETE FROM t; ALTER TABLE t OWNER TO postgres; DROP OWNED BY ghost; DROP ROLE ghost",
    );
    let plan = backups.plan(id, &server, &into("beside")).await.unwrap();
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.contains("\"ghost\"")),
        "{:?}",
        plan.warnings
    );
    let outcome = backups
        .try_restore(id, &server, &into("beside"))
        .await
        .unwrap();
    assert_eq!(outcome.status, Outcome::Partial);
    assert!(
        outcome
            .losses
            .iter()
            .any(|loss| loss.object == "owner of TABLE public.t"),
        "{:?}",
        outcome.losses
    );
    assert_eq!(server.sql("beside", "SELECT count(*) FROM t").trim(), "1");

    let in_place = RestoreOptions {
        in_place: true,
        ..RestoreOptions::default()
    };
    let error = backups
        .try_restore(id, &server, &in_place)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Partial);
    assert_eq!(server.sql("owned", "SELECT count(*) FROM t").trim(), "0");
    let names = server.sql("postgres", "SELECT datname FROM pg_database ORDER BY 1");
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>(),
        ["beside", "owned", "postgres", "template0", "template1"]
    );

    let without = RestoreOptions {
        no_owner: true,
        no_privileges: true,
        ..into("without")
    };
    backups.restore(id, &server, &without).await;
    let with_roles = RestoreOptions {
        globals: true,
        ..into("with_roles")
    };
    backups.restore(id, &server, &with_roles).await;
    assert_eq!(
        server
            .sql(
                "with_roles",
                "SELECT tableowner FROM pg_tables WHERE tablename = 't'"
            )
            .trim(),
        "ghost"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_leaves_nothing() {
    let server = Server::start(15);
    server.create_database("slow");
    server.sql(
        "slow",
        "CREATE TABLE big AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 600000) g",
    );
    let mut backups = Backups::new().await;
    let id = backups.back_up(&server, "slow").await.snapshot.id;

    let request = backups.request(&server, "slow");
    let error = cancelled(&backups, backups.try_back_up(&request)).await;
    assert_eq!(error.code(), Code::Cancelled);
    assert_eq!(backups.repository.snapshots().await.unwrap(), [id]);

    backups.task.cancel = CancellationToken::new();
    let options = into("never");
    let error = cancelled(&backups, backups.try_restore(id, &server, &options)).await;
    assert_eq!(error.code(), Code::Cancelled);
    let left = server.sql(
        "postgres",
        "SELECT count(*) FROM pg_database WHERE datname = 'never'",
    );
    assert_eq!(left.trim(), "0", "the half-restored database is gone");

    backups.task.cancel = CancellationToken::new();
    backups.back_up(&server, "slow").await;
    // The server ends a session a moment after its client has gone.
    wait_for("no session is left behind", Duration::from_mins(1), || {
        let sessions = server.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'slow'",
        );
        (sessions.trim() == "0").then_some(())
    });
}

/// Cancels `work` a moment after it began; how it ended.
async fn cancelled<T: std::fmt::Debug>(
    backups: &Backups,
    work: impl Future<Output = Result<T, backstay_engine::Error>>,
) -> backstay_engine::Error {
    let cancel = backups.task.cancel.clone();
    let canceller = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        cancel.cancel();
    });
    let error = work.await.unwrap_err();
    canceller.await.unwrap();
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_fails_the_backup_and_the_next_one_succeeds() {
    let builder = Server::build(15).durable();
    let mut server = builder.clone().start();
    server.create_database("mortal");
    server.sql("mortal", "CREATE TABLE big AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 600000) g; CHECKPOINT");
    let backups = Backups::new().await;
    let request = backups.request(&server, "mortal");
    let postmaster = server.process_id();
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Program::new("kill")
            .args(["-QUIT", &postmaster.to_string()])
            .run();
    });
    let error = backups.try_back_up(&request).await.unwrap_err();
    killer.await.unwrap();
    assert!(
        matches!(
            error.code(),
            Code::ConnectionLost | Code::ConnectionUnreachable
        ),
        "{}: {}",
        error.code().name(),
        error.report()
    );
    assert!(backups.repository.snapshots().await.unwrap().is_empty());
    server.crash_and_restart(&builder);
    let backup = backups.back_up(&server, "mortal").await;
    backups
        .restore(backup.snapshot.id, &server, &into("immortal"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_loaded_by_psql() {
    let server = Server::shared(15);
    shop(&server, "exp_source");
    let backups = Backups::new().await;
    let backup = backups.back_up(&server, "exp_source").await;
    let archive = Archive::open(&backups.repository, backup.snapshot.id)
        .await
        .unwrap();
    let source = server.dump("exp_source", &[]);
    for (format, target) in [
        (ExportFormat::Sql, "exp_sql"),
        (ExportFormat::Tar, "exp_tar"),
    ] {
        let scratch = Scratch::new("export-");
        let path = scratch.path().join("export");
        let mut file = tokio::fs::File::create(&path).await.unwrap();
        let options = ExportOptions::default();
        let written = export(
            &backups.repository,
            &archive,
            format,
            options,
            &mut file,
            &backups.task,
        )
        .await
        .unwrap();
        assert_eq!(written, std::fs::metadata(&path).unwrap().len());
        server.create_database(target);
        let script = match format {
            ExportFormat::Sql => path,
            ExportFormat::Tar => {
                Program::new("tar")
                    .args(["-C".as_ref(), scratch.path().as_os_str()])
                    .args(["-xf".as_ref(), path.as_os_str()])
                    .run();
                scratch.path().join("restore.sql")
            }
        };
        let psql = server
            .tool("psql", target)
            .args(["-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"])
            .arg(script);
        let status = psql.command().current_dir(scratch.path()).status().unwrap();
        assert!(status.success(), "{}", psql.line());
        source.assert_same(&server.dump(target, &[]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_names_its_database_by_itself() {
    let server = Server::shared(15);
    shop(&server, "named");
    let backups = Backups::new().await;
    let backup = backups.back_up(&server, "named").await;
    let outcome = backups
        .restore(backup.snapshot.id, &server, &RestoreOptions::default())
        .await;
    assert!(
        outcome.database.starts_with("named_restored_2"),
        "{}",
        outcome.database
    );
    assert_eq!(
        server
            .sql(&outcome.database, "SELECT count(*) FROM shop.orders")
            .trim(),
        "20000"
    );
}
