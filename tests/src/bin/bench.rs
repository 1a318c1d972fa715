//! Backstay beside its peers, side by side in one run on the same data; prints a page of Markdown.
//!
//! `bench [--scale 1.0] [--rounds 3]`, after `tests/peers`. Use a release build and a machine that does
//! nothing else. Every round runs all contestants one after the other; the median counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use backstay_tests::engine::Home;
use backstay_tests::places::{Scratch, cache, fixture};
use backstay_tests::postgres::{SUPERUSER, Server};
use backstay_tests::process::Program;

/// What one run of a contestant took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seconds: f64,
    output_bytes: u64,
}

/// All runs of all contestants of one contest.
#[derive(Default)]
struct Contest {
    taken: BTreeMap<&'static str, Vec<Taken>>,
    commands: BTreeMap<&'static str, String>,
    order: Vec<&'static str>,
}

impl Contest {
    fn add(&mut self, name: &'static str, command: &str, taken: Taken) {
        eprintln!("  {name}: {:.2} s", taken.seconds);
        if !self.order.contains(&name) {
            self.order.push(name);
            self.commands.insert(name, command.to_owned());
        }
        self.taken.entry(name).or_default().push(taken);
    }

    fn median(&self, name: &str) -> f64 {
        let mut seconds: Vec<_> = self.taken[name].iter().map(|taken| taken.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }

    /// A table whose last column says how each contestant compares with `peer`.
    fn print(&self, title: &str, peer: &str) {
        println!("\n### {title}\n");
        println!("| run | n | median s | min-max s | output MB | x {peer} |");
        println!("|---|--:|--:|--:|--:|--:|");
        for name in &self.order {
            let runs = &self.taken[name];
            let least = runs
                .iter()
                .map(|taken| taken.seconds)
                .fold(f64::INFINITY, f64::min);
            let most = runs.iter().map(|taken| taken.seconds).fold(0.0, f64::max);
            let output = runs.last().map_or(0, |taken| taken.output_bytes) as f64 / 1e6;
            println!(
                "| {name} | {} | {:.2} | {least:.2}-{most:.2} | {output:.0} | {:.2} |",
                runs.len(),
                self.median(name),
                self.median(name) / self.median(peer)
            );
        }
        println!("\n```");
        for name in &self.order {
            println!("{name}: {}", self.commands[name]);
        }
        println!("```");
    }
}

struct Bench {
    server: Server,
    scratch: Scratch,
    tools: PathBuf,
    rounds: usize,
}

/// restic with a repository of its own.
struct Restic {
    place: PathBuf,
    password: PathBuf,
}

impl Restic {
    fn new(place: PathBuf, scratch: &Path) -> Self {
        let password = scratch.join("password");
        std::fs::write(&password, "benchmark").expect("the scratch folder takes files");
        Self { place, password }
    }

    fn program(&self, words: &[&str]) -> Program {
        Program::new("restic")
            .args(["-q", "--no-cache", "-r"])
            .arg(&self.place)
            .arg("--password-file")
            .arg(&self.password)
            .args(words)
    }

    fn run(&self, words: &[&str]) {
        self.program(words).run();
    }
}

fn main() {
    let words: Vec<_> = std::env::args().collect();
    let value = |name: &str, usual: &str| {
        let place = words.iter().position(|word| word == name);
        place
            .and_then(|place| words.get(place + 1))
            .map_or(usual, String::as_str)
            .to_owned()
    };
    let tools = cache().join("peers/17/bin");
    assert!(tools.join("pg_dump").exists(), "run `tests/peers` first");
    let server = Server::build(15)
        .durable()
        .set("shared_buffers", "2GB")
        .set("max_wal_size", "16GB")
        .set("checkpoint_timeout", "1h")
        .start();
    let rounds = value("--rounds", "3").parse().expect("a number of rounds");
    let bench = Bench {
        server,
        scratch: Scratch::new("bench"),
        tools,
        rounds,
    };
    bench.load(&value("--scale", "1.0"));
    let dump = bench.backups();
    bench.restores(&dump);
    bench.pipeline();
}

/// Waits until written data is on disk, so that one run does not pay for the one before.
fn settle() {
    Program::new("sync").run();
}

fn timed(program: &Program, may_fail: bool) -> f64 {
    settle();
    let start = Instant::now();
    let output = program.command().output().expect("it starts");
    let seconds = start.elapsed().as_secs_f64();
    assert!(
        may_fail || output.status.success(),
        "{}: {}",
        program.line(),
        String::from_utf8_lossy(&output.stderr)
    );
    seconds
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => folder_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn empty(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

impl Bench {
    fn load(&self, scale: &str) {
        eprintln!("loading, scale {scale}");
        self.server.create_database("mixed");
        self.server
            .tool("psql", "mixed")
            .args([
                "-XAtq",
                "-o",
                "/dev/null",
                "-v",
                &format!("scale={scale}"),
                "-f",
            ])
            .arg(fixture("pg-mixed.sql"))
            .run();
        let version = self.server.sql("mixed", "SHOW server_version");
        let bytes = self
            .server
            .sql("mixed", "SELECT pg_size_pretty(pg_database_size('mixed'))");
        println!("PostgreSQL {version}, `tests/fixtures/pg-mixed.sql` at scale {scale}: {bytes}");
    }

    fn target(&self, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={SUPERUSER} dbname={database}",
            self.server.port()
        )
    }

    fn home(&self, verify_writes: bool) -> Home {
        let value = if verify_writes { "true" } else { "false" };
        let mut home = Home::new().with("BACKSTAY_VERIFY_WRITES", value);
        home.serve();
        home.ok(&["connection", "add", "main", &self.server.url("postgres")]);
        home
    }

    /// A first backup in each round, into a place that is empty.
    fn backups(&self) -> PathBuf {
        let mut contest = Contest::default();
        let dump = self.scratch.path().join("dump");
        let old = self.scratch.path().join("dump15");
        let source = self.target("mixed");
        let newer = self.tools.join("pg_dump");
        let (fast, safe) = (self.home(false), self.home(true));
        for round in 0..self.rounds {
            eprintln!("backup, round {}", round + 1);
            empty(&dump);
            let lz4 = Program::new(&newer)
                .args(["-Fd", "-j2", "--compress=lz4", "-d", &source, "-f"])
                .arg(&dump);
            let seconds = timed(&lz4, false);
            let taken = Taken {
                seconds,
                output_bytes: folder_bytes(&dump),
            };
            contest.add(
                "pg_dump 17 lz4",
                "pg_dump -Fd -j2 --compress=lz4 mixed",
                taken,
            );

            empty(&old);
            let gzip = Program::new("/usr/lib/postgresql/15/bin/pg_dump")
                .args(["-Fd", "-j2", "-Z1", "-d", &source, "-f"])
                .arg(&old);
            let seconds = timed(&gzip, false);
            let taken = Taken {
                seconds,
                output_bytes: folder_bytes(&old),
            };
            contest.add("pg_dump 15 gzip", "pg_dump -Fd -j2 -Z1 mixed", taken);
            empty(&old);

            for (name, home) in [("backstay", &fast), ("backstay verify_writes", &safe)] {
                let taken = self.backup(home, round);
                contest.add(
                    name,
                    "backstay backup run main/mixed --repository EMPTY",
                    taken,
                );
            }
        }
        contest.print("First backup", "pg_dump 17 lz4");
        for (name, home) in [("off", &fast), ("on", &safe)] {
            let peak = home.peak_memory_bytes() >> 20;
            println!("\nPeak memory of the engine with verify_writes {name}: {peak} MiB.");
        }
        self.unchanged(&safe);
        dump
    }

    fn backup(&self, home: &Home, round: usize) -> Taken {
        let name = format!("r{round}");
        let place = home.folder().join(&name);
        home.ok(&[
            "repository",
            "add",
            &name,
            place.to_str().expect("a path in UTF-8"),
        ]);
        settle();
        let start = Instant::now();
        home.ok(&[
            "backup",
            "run",
            "main/mixed",
            "--repository",
            &name,
            "--quiet",
        ]);
        let seconds = start.elapsed().as_secs_f64();
        let output_bytes = folder_bytes(&place);
        // The last round's repository is what restores read.
        if round + 1 < self.rounds {
            home.ok(&["repository", "remove", &name, "--yes", "--confirm", &name]);
            empty(&place);
        }
        Taken {
            seconds,
            output_bytes,
        }
    }

    fn unchanged(&self, home: &Home) {
        let name = format!("r{}", self.rounds - 1);
        let words = ["backup", "run", "main/mixed", "--repository", &name];
        let restic = Restic::new(self.scratch.path().join("growth"), self.scratch.path());
        restic.run(&["init"]);
        self.restic_growth(&restic);
        println!("\n### Second backups into the same repository\n");
        println!("Beside restic, into which a plain dump goes each time.\n");
        println!("| after | read MB | new MB before compression | restic's | stored MB | s |");
        println!("|---|--:|--:|--:|--:|--:|");
        let print = |after: &str| {
            let backup = home.json(&words);
            let theirs = self.restic_growth(&restic);
            let mega = |key: &str| backup[key].as_f64().unwrap_or(f64::NAN) / 1e6;
            println!(
                "| {after} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} |",
                mega("source_bytes"),
                mega("new_bytes"),
                theirs / 1e6,
                mega("stored_bytes"),
                backup["duration_ms"].as_f64().unwrap_or(f64::NAN) / 1e3
            );
        };
        print("nothing");
        let clustered =
            "UPDATE orders SET note = 'changed' WHERE id <= (SELECT max(id) / 50 FROM orders)";
        self.server.sql("mixed", clustered);
        print("2 % of orders, clustered");
        self.server.sql(
            "mixed",
            "UPDATE orders SET note = 'moved' WHERE id % 50 = 7",
        );
        print("2 % of orders, scattered");
        empty(&restic.place);
    }

    /// Gives restic a plain dump of the database as it is; answers the bytes that were new to it, before
    /// compression.
    fn restic_growth(&self, restic: &Restic) -> f64 {
        let file = self.plain_dump("growth.sql");
        let path = file.to_str().expect("a path in UTF-8");
        let output = restic.program(&["backup", "--json", path]).run();
        let text = String::from_utf8_lossy(&output);
        let summary: serde_json::Value = text
            .lines()
            .filter(|line| line.contains("\"summary\""))
            .find_map(|line| serde_json::from_str(line).ok())
            .expect("restic ends with a summary");
        let added = summary["data_added"].as_f64();
        added.expect("restic says how much it added")
    }

    fn plain_dump(&self, name: &str) -> PathBuf {
        let file = self.scratch.path().join(name);
        let dump = Program::new(self.tools.join("pg_dump"));
        dump.args(["-Fp", "-d", &self.target("mixed"), "-f"])
            .arg(&file)
            .run();
        file
    }

    fn restores(&self, dump: &Path) {
        let mut contest = Contest::default();
        let home = self.home(false);
        home.ok(&["backup", "run", "main/mixed", "--quiet"]);
        for round in 0..self.rounds {
            eprintln!("restore, round {}", round + 1);
            self.server.create_database("theirs");
            // Version 17 sets a parameter that server 15 does not know, and says so at the end.
            let restore = Program::new(self.tools.join("pg_restore"))
                .args(["-Fd", "-j2", "-d", &self.target("theirs")])
                .arg(dump);
            let taken = Taken {
                seconds: timed(&restore, true),
                output_bytes: 0,
            };
            contest.add("pg_restore 17", "pg_restore -Fd -j2 -d EMPTY dump", taken);
            self.server.sql("postgres", "DROP DATABASE theirs");

            settle();
            let start = Instant::now();
            home.ok(&[
                "restore",
                "run",
                "main/mixed@latest",
                "--database",
                "ours",
                "--quiet",
            ]);
            let taken = Taken {
                seconds: start.elapsed().as_secs_f64(),
                output_bytes: 0,
            };
            contest.add(
                "backstay",
                "backstay restore run main/mixed@latest --database EMPTY",
                taken,
            );
            self.server.sql("postgres", "DROP DATABASE ours");
        }
        contest.print("Restore", "pg_restore 17");
        println!(
            "\nPeak memory of the engine: {} MiB.",
            home.peak_memory_bytes() >> 20
        );
    }

    /// The repository alone on the bytes of a plain dump, beside restic.
    fn pipeline(&self) {
        let file = self.plain_dump("mixed.sql");
        let mut contest = Contest::default();
        let restic = Restic::new(self.scratch.path().join("restic"), self.scratch.path());
        let path = file.to_str().expect("a path in UTF-8");
        for round in 0..self.rounds {
            eprintln!("pipeline, round {}", round + 1);
            empty(&restic.place);
            restic.run(&["init"]);
            let back = self.scratch.path().join("back");
            empty(&back);
            for (name, words) in [
                ("restic first", &["backup", path][..]),
                ("restic unchanged", &["backup", "--force", path]),
                (
                    "restic restore",
                    &["restore", "latest", "--target", back.to_str().unwrap_or("")],
                ),
                ("restic check", &["check", "--read-data"]),
            ] {
                let taken = Taken {
                    seconds: timed(&restic.program(words), false),
                    output_bytes: folder_bytes(&restic.place),
                };
                contest.add(
                    name,
                    &format!("restic {}", words.join(" ").replace(path, "FILE")),
                    taken,
                );
            }
            empty(&back);
            self.own_pipeline(&mut contest, path);
        }
        contest.print("The repository alone", "restic first");
    }

    /// `bench_pipeline` prints a line for each step with the seconds it took.
    fn own_pipeline(&self, contest: &mut Contest, path: &str) {
        let own = std::env::current_exe().expect("a program knows its path");
        let output = Program::new(own.with_file_name("bench_pipeline"))
            .arg(path)
            .run();
        let text = String::from_utf8_lossy(&output);
        for (name, step) in [
            ("backstay first", "first backup"),
            ("backstay unchanged", "unchanged backup"),
            ("backstay restore", "restore"),
            ("backstay check", "check"),
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(step))
                .expect("a line for each step");
            let words: Vec<_> = line.split_whitespace().collect();
            let unit = words.iter().position(|word| *word == "s").expect("seconds");
            let seconds = words[unit - 1].parse().expect("a number of seconds");
            contest.add(
                name,
                "bench_pipeline FILE",
                Taken {
                    seconds,
                    output_bytes: 0,
                },
            );
        }
    }
}
