//! A backup holds one moment: under load, what was moved is neither lost nor there twice.

use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::postgres::{Server, many};
use backstay_tests::process::{Background, wait_for};
use rustix::process::Signal;

/// The balances that pgbench keeps equal in every transaction, as `accounts|tellers|branches|history`.
const BALANCES: &str = "SELECT (SELECT sum(abalance) FROM pgbench_accounts),
    (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches),
    (SELECT coalesce(sum(delta), 0) FROM pgbench_history)";

#[test]
fn balances_agree_in_every_backup_taken_under_load() {
    let server = Server::start(18);
    server.create_database("bank");
    server
        .tool("pgbench", "bank")
        .args(["-i", "-q", "-s", "4"])
        .run();
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);

    let load = server
        .tool("pgbench", "bank")
        .args(["-c", "4", "-T", "3600"])
        .command();
    let mut load = Background::spawn(load, "pgbench".into());
    let transactions = || -> u64 {
        server
            .sql("bank", "SELECT count(*) FROM pgbench_history")
            .parse()
            .unwrap()
    };
    for number in 0..many(4, 25) {
        let before = transactions();
        home.ok(&["backup", "run", "main/bank"]);
        wait_for("the load to go on", Duration::from_mins(1), || {
            assert!(load.ended().is_none(), "pgbench ended");
            (transactions() > before).then_some(())
        });
        let copy = format!("bank_{number}");
        home.ok(&["restore", "run", "main/bank@latest", "--database", &copy]);
        let answer = server.sql(&copy, BALANCES);
        let balances: Vec<_> = answer.split('|').collect();
        assert_eq!(balances.len(), 4);
        assert!(
            balances.iter().all(|balance| *balance == balances[0]),
            "{answer}"
        );
        let rows: u64 = server
            .sql(&copy, "SELECT count(*) FROM pgbench_history")
            .parse()
            .unwrap();
        assert!(
            rows >= before,
            "{rows} rows of history, {before} were there before"
        );
        server.sql("postgres", &format!("DROP DATABASE {copy}"));
    }
    load.end(Signal::TERM);
}
