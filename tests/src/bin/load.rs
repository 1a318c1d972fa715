//! Lists under load: a catalog of many backups and jobs, asked over the network beside a running backup;
//! prints Markdown.
//!
//! `load [--backups 100000] [--jobs 1000] [--rate 500] [--seconds 20] [--rows 3000000] [--rounds 3]`, with a
//! release build, on a machine that does nothing else. Requests are sent when they are due, whatever became of
//! those before, and a latency counts from then.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backstay_engine::catalog::records::{BackupRecord, JobRecord};
use backstay_engine::catalog::{Catalog, Query};
use backstay_engine::clock::{Clock as _, SharedClock, SystemClock};
use backstay_engine::config::Config;
use backstay_engine::ids::{BackupId, JobId};
use backstay_engine::vault::{Vault, load_master_key};
use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;

/// Connections that share the rate.
const CLIENTS: u32 = 8;

/// Records that one transaction writes.
const BATCH: usize = 5000;

struct Arguments {
    backups: usize,
    jobs: usize,
    rate: u32,
    seconds: u64,
    rows: u64,
    rounds: usize,
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        backups: 100_000,
        jobs: 1000,
        rate: 500,
        seconds: 20,
        rows: 3_000_000,
        rounds: 3,
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let number: u64 = given
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{flag} takes a number"));
        match flag.as_str() {
            "--backups" => arguments.backups = number as usize,
            "--jobs" => arguments.jobs = number as usize,
            "--rate" => arguments.rate = number as u32,
            "--seconds" => arguments.seconds = number,
            "--rows" => arguments.rows = number,
            "--rounds" => arguments.rounds = number as usize,
            _ => panic!("there is no {flag}"),
        }
    }
    arguments
}

fn main() {
    let arguments = arguments();
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        &format!(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS reference, n % 1000 AS customer, \
             repeat(md5((n / 7)::text), 3) AS note FROM generate_series(1, {}) n; ANALYZE",
            arguments.rows
        ),
    );
    // As the system's service is started.
    let mut home = Home::new()
        .with("BACKSTAY_LISTEN", "127.0.0.1:0")
        .with("MALLOC_ARENA_MAX", "2");
    home.serve();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop", "--quiet"]);
    home.ok(&["job", "add", "nightly", "main/shop", "--cron", "yearly"]);
    home.terminate();
    fill(&home, &arguments);
    home.serve();
    let made = home.json(&["api-key", "add", "load", "--permissions", "*"]);
    let key = made["key"].as_str().expect("a key").to_owned();
    let target = Arc::new(Target {
        address: address(&home),
        key,
        paths: paths(&home),
    });
    print_idle(&mut home);

    let answered = load_alone(&mut home, &target, &arguments);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut latencies = Latencies::new();
    for _ in 0..arguments.rounds {
        alone.extend(backups(&home, arguments.seconds));
        let done = Arc::new(AtomicBool::new(false));
        let load = ask(&target, &arguments, &done);
        beside.extend(backups(&home, arguments.seconds));
        done.store(true, Ordering::Relaxed);
        merge(&mut latencies, load.join().expect("the load"));
    }
    println!("{answered}\n");
    print(&latencies, &arguments);
    let counts = (alone.len(), beside.len());
    let (alone, beside) = (median(alone), median(beside));
    println!(
        "\nA backup of {} rows takes {alone:.2} s alone (median of {}) and {beside:.2} s beside the load (of {}): \
         {:+.1} %.",
        arguments.rows,
        counts.0,
        counts.1,
        (beside / alone - 1.0) * 100.0
    );
}

/// What the load takes when nothing else goes on.
fn load_alone(home: &mut Home, target: &Arc<Target>, arguments: &Arguments) -> String {
    let id = home.engine().id();
    let before = ticks(id);
    let done = Arc::new(AtomicBool::new(true));
    let mut found: Vec<Duration> = ask(target, arguments, &done)
        .join()
        .expect("the load")
        .into_values()
        .flatten()
        .collect();
    let spent = ticks(id) - before;
    found.sort();
    format!(
        "Without a backup: p99 {:.2} ms; the engine is busy for {:.1} % of one core.",
        found[(found.len() - 1) * 99 / 100].as_secs_f64() * 1e3,
        spent as f64 / arguments.seconds as f64
    )
}

fn merge(into: &mut Latencies, found: Latencies) {
    for (path, all) in found {
        into.entry(path).or_default().extend(all);
    }
}

/// Copies the one backup and the one job that there are until there are enough of them.
fn fill(home: &Home, arguments: &Arguments) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config::in_home(home.folder());
    let path = config.paths.data.join("catalog.redb");
    runtime.block_on(async {
        let clock: SharedClock = Arc::new(SystemClock);
        let vault = Vault::new(&load_master_key(&config, true).expect("the key")).expect("a vault");
        let catalog = Catalog::open(&path, vault, &clock)
            .await
            .expect("the catalog");
        let newest = Query::newest(1);
        let backup = catalog.list::<BackupRecord>(&newest).expect("backups");
        let backup = backup.records.into_iter().next().expect("a backup");
        let job = catalog.list::<JobRecord>(&newest).expect("jobs");
        let job = job.records.into_iter().next().expect("a job");
        for first in (1..arguments.backups).step_by(BATCH) {
            let (backup, last) = (backup.clone(), arguments.backups.min(first + BATCH));
            let written = catalog.write(move |tx| {
                for number in first..last {
                    let BackupRecord(mut copy) = backup.clone();
                    let age = chrono::TimeDelta::minutes(5)
                        * i32::try_from(number).expect("a small number");
                    copy.created_at -= age;
                    copy.started_at = copy.started_at.map(|at| at - age);
                    copy.finished_at = copy.finished_at.map(|at| at - age);
                    copy.point_at = copy.point_at.map(|at| at - age);
                    copy.id = BackupId::generate(copy.created_at);
                    copy.serial = 0;
                    copy.run_id = None;
                    copy.database = format!("shop{}", number % 50);
                    tx.put(&mut BackupRecord(copy))?;
                }
                Ok(())
            });
            written.await.expect("backups are written");
        }
        let jobs = arguments.jobs;
        let written = catalog.write(move |tx| {
            for number in 1..jobs {
                let mut copy = job.clone();
                copy.job.id = JobId::generate(SystemClock.now());
                copy.job.serial = 0;
                copy.job.name = format!("nightly{number}");
                tx.put(&mut copy)?;
            }
            Ok(())
        });
        written.await.expect("jobs are written");
    });
    // The catalog's thread lets go of the file a moment after the last handle.
    let file = std::fs::File::open(&path).expect("the catalog");
    wait_for("the catalog to be free", Duration::from_mins(1), || {
        file.try_lock().ok()
    });
}

fn address(home: &Home) -> SocketAddr {
    let log = home.log();
    let line = log.lines().rfind(|line| line.contains("serving address="));
    let (_, rest) = line
        .and_then(|line| line.split_once("address="))
        .expect("an address");
    rest.split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .expect("an address")
}

/// What is asked, the first page and one far down.
fn paths(home: &Home) -> Vec<String> {
    let mut cursor = serde_json::Value::Null;
    for _ in 0..20 {
        let after = cursor
            .as_str()
            .map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("/api/v1/backups?limit=200{after}");
        cursor = home.json(&["api", "GET", &path])["next_cursor"].clone();
    }
    let deep = cursor
        .as_str()
        .map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
    [
        "/api/v1/backups?limit=50".to_owned(),
        format!("/api/v1/backups?limit=50{deep}"),
        "/api/v1/backups?limit=50&database=shop7".to_owned(),
        "/api/v1/backups?limit=50&connection=main&status=success".to_owned(),
        "/api/v1/backups/stats".to_owned(),
        "/api/v1/jobs?limit=50".to_owned(),
        "/api/v1/runs?limit=50".to_owned(),
        "/api/v1/connections".to_owned(),
    ]
    .into()
}

struct Target {
    address: SocketAddr,
    key: String,
    paths: Vec<String>,
}

type Latencies = BTreeMap<String, Vec<Duration>>;

/// Asks at the rate until the time is over and `done` is said.
fn ask(
    target: &Arc<Target>,
    arguments: &Arguments,
    done: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<Latencies> {
    let (target, done) = (Arc::clone(target), Arc::clone(done));
    let every = Duration::from_secs(1) * CLIENTS / arguments.rate;
    let least = Duration::from_secs(arguments.seconds);
    std::thread::spawn(move || {
        let start = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (target, done) = (Arc::clone(&target), Arc::clone(&done));
                let mut due = start + every * client / CLIENTS;
                std::thread::spawn(move || {
                    let mut found = Latencies::new();
                    let mut stream = TcpStream::connect(target.address).expect("a connection");
                    stream.set_nodelay(true).expect("no delay");
                    let mut turn = client as usize;
                    while due < start + least || !done.load(Ordering::Relaxed) {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        let path = &target.paths[turn % target.paths.len()];
                        exchange(&mut stream, path, &target.key);
                        found.entry(path.clone()).or_default().push(due.elapsed());
                        due += every;
                        turn += 1;
                    }
                    found
                })
            })
            .collect();
        let mut all = Latencies::new();
        for client in clients {
            merge(&mut all, client.join().expect("a client"));
        }
        all
    })
}

/// One request and its whole answer.
fn exchange(stream: &mut TcpStream, path: &str, key: &str) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the request is sent");
    let mut answer = Vec::with_capacity(64 << 10);
    let mut block = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut block).expect("an answer");
        assert!(length > 0, "the connection closed");
        answer.extend_from_slice(&block[..length]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let (_, rest) = head.split_once("content-length: ").expect("a length");
        let body: usize = rest
            .lines()
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a length");
        if answer.len() >= end + 4 + body {
            return;
        }
    }
}

/// Backups one after the other for as long, and what each took, in seconds.
fn backups(home: &Home, seconds: u64) -> Vec<f64> {
    let start = Instant::now();
    let mut taken = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        let done = home.json(&["backup", "run", "main/shop"]);
        taken.push(done["duration_ms"].as_f64().expect("a duration") / 1e3);
    }
    taken
}

/// The processor time it has used, in hundredths of a second.
fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("its statistics");
    let (_, fields) = stat.rsplit_once(')').expect("its name");
    let fields: Vec<_> = fields.split_whitespace().collect();
    // utime and stime, proc_pid_stat(5)
    [11, 12]
        .iter()
        .filter_map(|&at| fields[at].parse::<u64>().ok())
        .sum()
}

/// What the engine takes when nobody asks anything.
fn print_idle(home: &mut Home) {
    let id = home.engine().id();
    std::thread::sleep(Duration::from_secs(5));
    let before = ticks(id);
    std::thread::sleep(Duration::from_secs(30));
    let spent = ticks(id) - before;
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("its memory");
    println!(
        "Idle: {}; {} ms of CPU in 30 s.\n",
        resident.trim(),
        spent * 10
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(latencies: &Latencies, arguments: &Arguments) {
    println!(
        "{} requests a second over {CLIENTS} connections, {} backups and {} jobs in the catalog, beside a running backup:\n",
        arguments.rate, arguments.backups, arguments.jobs
    );
    println!("| request | n | p50 ms | p99 ms | max ms |");
    println!("|---|--:|--:|--:|--:|");
    let mut every: Vec<Duration> = latencies.values().flatten().copied().collect();
    for (path, found) in latencies {
        let shown = path.split("&cursor").next().unwrap_or(path);
        let page = if path.contains("&cursor") {
            ", 80 pages down"
        } else {
            ""
        };
        row(&format!("`GET {shown}`{page}"), &mut found.clone());
    }
    row("all", &mut every);
}

fn row(name: &str, found: &mut [Duration]) {
    found.sort();
    let at = |thousandths: usize| {
        let place = (found.len() - 1) * thousandths / 1000;
        found[place].as_secs_f64() * 1e3
    };
    println!(
        "| {name} | {} | {:.2} | {:.2} | {:.2} |",
        found.len(),
        at(500),
        at(990),
        at(1000)
    );
}
