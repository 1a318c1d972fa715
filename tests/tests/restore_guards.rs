//! What a restore of chosen tables would break, or cannot do, is found before anything is touched.

use backstay_engine::error::{Code, Error};
use backstay_engine::pipeline::plan::{Action, Plan, RestoreOptions};
use backstay_engine::source::postgres::logical::restore::choose::Choice;
use backstay_tests::backups::{Backups, into};
use backstay_tests::postgres::{Server, versions};

const SHOP: &str = "
    CREATE SCHEMA shop;
    CREATE TABLE shop.customers (id serial PRIMARY KEY, name text);
    CREATE TABLE shop.orders (id int PRIMARY KEY, customer int REFERENCES shop.customers);
    CREATE TABLE shop.parent (a int); CREATE TABLE shop.child (b int) INHERITS (shop.parent);
    CREATE TABLE shop.events (at date, n int) PARTITION BY RANGE (at);
    CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    INSERT INTO shop.customers (name) SELECT 'n' || g FROM generate_series(1, 50) g;
    INSERT INTO shop.orders SELECT g, 1 + g % 50 FROM generate_series(1, 200) g;
    INSERT INTO shop.events VALUES ('2025-05-05', 1);
    INSERT INTO shop.child VALUES (1, 2);";

fn choices(texts: &[&str]) -> RestoreOptions {
    RestoreOptions {
        objects: texts
            .iter()
            .map(|text| Choice::parse(text).unwrap())
            .collect(),
        ..into("guarded")
    }
}

fn cleaning(texts: &[&str]) -> RestoreOptions {
    RestoreOptions {
        clean: true,
        ..choices(texts)
    }
}

fn blockers(plan: &Plan) -> String {
    let all = plan.blockers.iter();
    all.map(|blocker| blocker.message.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the target would lose, as `action kind schema.name`.
fn lost(plan: &Plan) -> Vec<String> {
    let items = plan.items.iter().filter(|item| {
        matches!(item.action, Action::Drop | Action::Overwrite) && item.schema.is_some()
    });
    items
        .map(|item| {
            let schema = item.schema.as_deref().unwrap();
            format!("{:?} {} {schema}.{}", item.action, item.kind, item.name)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_need_is_not_dropped() {
    for version in versions() {
        let server = Server::start(*version);
        server.create_database("guarded");
        server.sql("guarded", SHOP);
        let backups = Backups::new().await;
        let id = backups.back_up(&server, "guarded").await.snapshot.id;
        server.sql(
            "guarded",
            "CREATE VIEW shop.names AS SELECT name FROM shop.customers; DELETE FROM shop.orders WHERE id > 5;",
        );
        let before = server.dump("guarded", &[]);

        let options = cleaning(&["shop.customers"]);
        let plan = backups.plan(id, &server, &options).await.unwrap();
        let said = blockers(&plan);
        for says in [
            "constraint orders_customer_fkey on table shop.orders needs it",
            "view shop.names needs it",
            "shop.customers in \"guarded\" cannot be replaced",
        ] {
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(plan.blockers.len(), 2, "{said}");
        let error = backups.try_restore(id, &server, &options).await;
        assert_eq!(error.unwrap_err().code(), Code::Conflict);
        before.assert_same(&server.dump("guarded", &[]));

        // What needs it is chosen as well, and a foreign key that came later goes with its table.
        server.sql(
            "guarded",
            "DROP VIEW shop.names; ALTER TABLE shop.customers ADD COLUMN last int REFERENCES shop.orders;",
        );
        let options = cleaning(&["shop.customers", "shop.orders"]);
        let plan = backups.plan(id, &server, &options).await.unwrap();
        assert_eq!(blockers(&plan), "");
        assert!(plan.destroys);
        let mut names = lost(&plan);
        names.sort();
        assert_eq!(
            names,
            [
                "Overwrite SEQUENCE shop.customers_id_seq",
                "Overwrite TABLE shop.customers",
                "Overwrite TABLE shop.orders",
            ]
        );
        backups.restore(id, &server, &options).await;
        let count = "SELECT count(*) FROM shop.orders";
        assert_eq!(server.sql("guarded", count), "200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_all_that_goes_and_leaves_the_rest() {
    let server = Server::start(15);
    server.create_database("guarded");
    server.sql("guarded", SHOP);
    let backups = Backups::new().await;
    let id = backups.back_up(&server, "guarded").await.snapshot.id;
    server.sql(
        "guarded",
        "CREATE TABLE shop.events_2 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
         CREATE TABLE shop.old (n int);",
    );
    let plan = backups
        .plan(id, &server, &cleaning(&["shop.events"]))
        .await
        .unwrap();
    assert_eq!(
        lost(&plan),
        [
            "Overwrite TABLE shop.events",
            "Overwrite TABLE shop.events_1",
            "Drop TABLE shop.events_2",
        ]
    );
    // A table that is only needed stays, and so does the original of a renamed one.
    let plan = backups
        .plan(id, &server, &cleaning(&["shop.child", "shop.orders=old"]))
        .await
        .unwrap();
    let mut names = lost(&plan);
    names.sort();
    assert_eq!(
        names,
        ["Overwrite TABLE shop.child", "Overwrite TABLE shop.old"]
    );
    let parent = plan
        .items
        .iter()
        .find(|item| item.name == "parent")
        .unwrap();
    assert_eq!(parent.action, Action::Skip);
}

async fn refused(backups: &Backups, server: &Server, options: &RestoreOptions) -> Error {
    let ids = backups.repository.snapshots().await.unwrap();
    let error = backups.try_restore(ids[0], server, options).await;
    error.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_names_that_cannot_be_are_refused() {
    let server = Server::start(15);
    server.create_database("guarded");
    server.sql("guarded", SHOP);
    let backups = Backups::new().await;
    backups.back_up(&server, "guarded").await;
    let before = server.dump("guarded", &[]);
    for (texts, code, says) in [
        (
            vec!["shop.orders=nowhere.x"],
            Code::NotFound,
            "has no schema \"nowhere\"",
        ),
        (
            vec!["shop.orders=a", "shop.orders=b"],
            Code::Invalid,
            "shop.orders is chosen twice",
        ),
        (
            vec!["shop.orders=a", "shop.customers=a"],
            Code::Invalid,
            "would both become shop.a",
        ),
        (
            vec!["shop.events=parent"],
            Code::DatabaseNotEmpty,
            "shop.parent exists already",
        ),
    ] {
        let error = refused(&backups, &server, &choices(&texts)).await;
        assert_eq!(error.code(), code, "{}", error.report());
        assert!(error.report().contains(says), "{}", error.report());
    }
    // In a new database there is what comes along, and `public`.
    let mut options = choices(&["shop.orders=nowhere.x"]);
    options.database = Some("fresh".to_owned());
    let error = refused(&backups, &server, &options).await;
    assert_eq!(error.code(), Code::NotFound, "{}", error.report());
    before.assert_same(&server.dump("guarded", &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_never_restored_into_and_the_common_database_is_pointed_out() {
    let server = Server::start(15);
    server.sql("postgres", "CREATE TABLE mine (n int)");
    let backups = Backups::new().await;
    let id = backups.back_up(&server, "postgres").await.snapshot.id;
    for template in ["template0", "template1"] {
        for clean in [true, false] {
            let options = RestoreOptions {
                clean,
                ..into(template)
            };
            let error = refused(&backups, &server, &options).await;
            assert_eq!(error.code(), Code::Invalid);
            assert!(error.report().contains(template), "{}", error.report());
        }
    }
    let options = RestoreOptions {
        clean: true,
        ..into("postgres")
    };
    let plan = backups.plan(id, &server, &options).await.unwrap();
    let warned = plan.warnings.join("\n");
    assert!(warned.contains("\"postgres\" is the database"), "{warned}");
}
