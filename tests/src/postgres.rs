//! Private PostgreSQL servers, and PostgreSQL's own tools as oracles.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;

use crate::compare::Dump;
use crate::places::{self, Scratch};
use crate::process::{Background, Program, wait_for};

/// The superuser of every server; the servers trust everyone by default.
pub const SUPERUSER: &str = "postgres";

/// The server versions that a suite runs on: 15 and 18, and all from 13 on with
/// `BACKSTAY_TEST_ALL`, which `tests/run --all` sets.
pub fn versions() -> &'static [u32] {
    if all() {
        &[13, 14, 15, 16, 17, 18]
    } else {
        &[15, 18]
    }
}

/// The versions beyond [`versions`] that upstream no longer cares for; with `BACKSTAY_TEST_ALL` only.
pub fn old_versions() -> &'static [u32] {
    if all() { &[10, 11, 12] } else { &[] }
}

/// How often to do something that may be done any number of times: the second number with
/// `BACKSTAY_TEST_ALL`.
pub fn many(usual: u64, all_of_them: u64) -> u64 {
    if all() { all_of_them } else { usual }
}

fn all() -> bool {
    std::env::var_os("BACKSTAY_TEST_ALL").is_some()
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Builder {
    version: u32,
    settings: Vec<(String, String)>,
    hba: Option<String>,
    files: Vec<(String, String)>,
    durable: bool,
}

impl Builder {
    /// Sets a configuration parameter.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Replaces `pg_hba.conf`.
    #[must_use]
    pub fn hba(mut self, lines: &str) -> Self {
        self.hba = Some(lines.into());
        self
    }

    /// Puts a file into the data folder, mode 0600: a certificate, its key.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.into(), content.into()));
        self
    }

    /// Leaves fsync and its kin on; they are off otherwise, since these servers never outlive a test.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Creates the cluster and starts the server.
    ///
    /// # Panics
    /// When the server is missing or does not start, with its command line and log.
    pub fn start(self) -> Server {
        let programs = places::server_programs(self.version);
        let scratch = Scratch::new(&format!("pg{}-", self.version));
        let data = scratch.path().join("data");
        let log = scratch.path().join("log");
        Program::unprivileged(programs.join("initdb"))
            .args(["-D".as_ref(), data.as_os_str()])
            .args([
                "-U",
                SUPERUSER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .run();
        self.write_files(scratch.path(), &data);
        for _ in 0..5 {
            let port = free_port();
            let mut process = self.command(&programs, scratch.path(), port).start(&log);
            if ready(&mut process, &data, &log) {
                return Server {
                    version: self.version,
                    port,
                    programs,
                    process,
                    scratch,
                };
            }
        }
        panic!("no free port in five tries:\n{}", tail(&log));
    }

    /// Files belong to the server's user: written through a program that runs as that user.
    fn write_files(&self, scratch: &Path, data: &Path) {
        let hba = self.hba.iter().map(|lines| ("pg_hba.conf", lines));
        let files = self
            .files
            .iter()
            .map(|(name, content)| (name.as_str(), content));
        for (name, content) in hba.chain(files) {
            let staged = scratch.join("staged");
            std::fs::write(&staged, content).unwrap();
            Program::unprivileged("install")
                .args(["-m", "0600"])
                .args([&staged, &data.join(name)])
                .run();
            std::fs::remove_file(&staged).unwrap();
        }
    }

    fn command(&self, programs: &Path, sockets: &Path, port: u16) -> Program {
        let data = sockets.join("data");
        let mut program = Program::unprivileged(programs.join("postgres"))
            .args(["-D".as_ref(), data.as_os_str()])
            .args(["-k".as_ref(), sockets.as_os_str()])
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        let mut settings: Vec<(&str, &str)> = vec![
            ("log_line_prefix", "%m [%p] %a %d "),
            ("logging_collector", "off"),
            ("max_connections", "100"),
            ("max_locks_per_transaction", "1024"),
            ("max_wal_size", "4GB"),
            ("timezone", "UTC"),
            ("wal_level", "logical"),
        ];
        if self.version >= 11 {
            // Debian compiles plans; that costs more than every query of a test.
            settings.push(("jit", "off"));
        }
        if !self.durable {
            settings.extend([
                ("fsync", "off"),
                ("full_page_writes", "off"),
                ("synchronous_commit", "off"),
            ]);
        }
        settings.extend(
            self.settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        for (name, value) in settings {
            program = program.args(["-c", &format!("{name}={value}")]);
        }
        program
    }
}

/// A running server with its own cluster, on 127.0.0.1 and on a Unix socket.
///
/// Dropping it ends the server and removes the cluster. With `BACKSTAY_TEST_KEEP` the folder stays
/// after a failed test.
#[derive(Debug)]
pub struct Server {
    version: u32,
    port: u16,
    programs: PathBuf,
    process: Background,
    // Dropped after `process`: the server has ended when its folder goes.
    scratch: Scratch,
}

impl Server {
    /// How to start a server of this major version.
    pub fn build(version: u32) -> Builder {
        Builder {
            version,
            settings: vec![],
            hba: None,
            files: vec![],
            durable: false,
        }
    }

    /// A new server of this major version with the usual settings.
    pub fn start(version: u32) -> Self {
        Self::build(version).start()
    }

    /// A server that tests of one process use together, each with databases of its own. It runs while
    /// any test holds it. Roles are shared: name them after the test.
    pub fn shared(version: u32) -> Arc<Self> {
        type Slot = Arc<Mutex<Weak<Server>>>;
        static RUNNING: LazyLock<Mutex<std::collections::BTreeMap<u32, Slot>>> =
            LazyLock::new(Mutex::default);
        let slot = Arc::clone(RUNNING.lock().entry(version).or_default());
        let mut running = slot.lock();
        running.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(version));
            *running = Arc::downgrade(&server);
            server
        })
    }

    /// The major version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The data folder; the server's user owns it.
    pub fn data_folder(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// The folder with this server's own programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The process id of the postmaster.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// The address of a database over TCP, as the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// The address of a database over TCP, as `user` or `user:password`.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!(
            "postgres://{user}@127.0.0.1:{}/{}",
            self.port,
            percent_encoded(database)
        )
    }

    /// The address of a database over the Unix socket, as the superuser.
    pub fn socket_url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}@/{}?host={}&port={}",
            percent_encoded(database),
            self.scratch.path().display(),
            self.port
        )
    }

    /// Creates an empty database.
    pub fn create_database(&self, name: &str) {
        let quoted = name.replace('"', "\"\"");
        self.sql(
            "postgres",
            &format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0"),
        );
    }

    /// Runs statements and returns the rows as text: fields parted by `|`, rows by newlines.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let file = self.scratch.path().join(format!("sql-{}", unique()));
        std::fs::write(&file, statements).unwrap();
        let answer = self.sql_file(database, &file);
        std::fs::remove_file(file).unwrap();
        answer
    }

    /// Runs a script as `psql` does, variables and copied data included.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql_file(&self, database: &str, script: &Path) -> String {
        let output = self
            .tool("psql", database)
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(script)
            .run();
        let mut text = String::from_utf8(output).unwrap();
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    /// A client tool of PostgreSQL 18 that is told how to reach a database: `psql`, `pg_dump`,
    /// `pg_restore`, `pgbench`, … Add arguments and run it.
    pub fn tool(&self, name: &str, database: &str) -> Program {
        let database = database.replace('\\', r"\\").replace('\'', r"\'");
        let target = format!(
            "host=127.0.0.1 port={} user={SUPERUSER} dbname='{database}' connect_timeout=20",
            self.port
        );
        let flag = if name == "pgbench" { None } else { Some("-d") };
        Program::new(places::client_programs().join(name))
            .args(flag)
            .arg(target)
    }

    /// What `pg_dump` says about a database, ready to be compared.
    pub fn dump(&self, database: &str, options: &[&str]) -> Dump {
        let output = self.tool("pg_dump", database).args(options).run();
        Dump::read(&output)
    }

    /// What `pg_dumpall --globals-only` says: roles, memberships, tablespaces.
    pub fn dump_globals(&self) -> Dump {
        Dump::read(
            &self
                .tool("pg_dumpall", "postgres")
                .arg("--globals-only")
                .run(),
        )
    }

    /// Ends the server at once, as a crash does, and starts it again on the same port.
    pub fn crash_and_restart(&mut self, builder: &Builder) {
        self.process.end(Signal::QUIT);
        let folder = self.scratch.path();
        let (log, data) = (folder.join("log"), self.data_folder());
        self.process = builder
            .command(&self.programs, folder, self.port)
            .start(&log);
        assert!(ready(&mut self.process, &data, &log), "{}", tail(&log));
    }
}

/// Whether the server came up; `false` if the port was taken in between.
fn ready(process: &mut Background, data: &Path, log: &Path) -> bool {
    let status = data.join("postmaster.pid");
    let own = process.id().to_string();
    wait_for(
        "a PostgreSQL server to start",
        Duration::from_mins(1),
        || {
            if process.ended().is_some() {
                let said = tail(log);
                assert!(
                    said.contains("could not bind") || said.contains("could not create any TCP/IP"),
                    "{}\n{said}",
                    process.line()
                );
                return Some(false);
            }
            let lines = std::fs::read_to_string(&status).unwrap_or_default();
            let mut lines = lines.lines();
            (lines.next() == Some(own.as_str()) && lines.any(|line| line.trim_end() == "ready"))
                .then_some(true)
        },
    )
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn percent_encoded(name: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
