//! The `backstay` binary itself, with a home of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use backstay_engine::repository::kit::RecoveryKit;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::api::Api;
use crate::places::{self, Scratch};
use crate::process::{Background, Program, wait_for};

/// The binary under test: `BACKSTAY_BIN`, or what cargo builds in the profile of this test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("BACKSTAY_BIN") {
            return path.into();
        }
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--package", "backstay", "--target-dir"]);
        build
            .arg(profile.parent().unwrap())
            .current_dir(places::checkout());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().unwrap();
        assert!(status.success(), "the binary does not build");
        profile.join("backstay")
    })
}

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A home for one engine; commands against it, and the engine itself once it was started.
///
/// Dropping it ends the engine and removes the home.
#[derive(Debug)]
pub struct Home {
    engine: Option<Background>,
    variables: Vec<(String, String)>,
    scratch: Scratch,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty home; no engine runs yet.
    pub fn new() -> Self {
        Self {
            engine: None,
            variables: vec![],
            scratch: Scratch::new("home"),
        }
    }

    /// A home whose engine runs.
    pub fn serving() -> Self {
        let mut home = Self::new();
        home.serve();
        home
    }

    /// Sets an environment variable for the engine and all commands from here on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The folder behind `BACKSTAY_HOME`.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Starts `backstay serve` and waits until it answers.
    pub fn serve(&mut self) {
        let command = self.command(&["serve"]);
        self.start(command);
    }

    /// The same as the user that servers run as, where this process is root: such an engine can write
    /// nowhere but in its home and where everybody may.
    pub fn serve_unprivileged(&mut self) {
        // Where cargo builds, other users may not get.
        let copy = self.folder().join("backstay");
        std::fs::copy(binary(), &copy).unwrap();
        let command = Program::unprivileged(copy).arg("serve").command();
        let command = self.surrounded(command);
        self.start(command);
    }

    fn start(&mut self, mut command: Command) {
        let log = self.folder().join("serve.log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut engine = Background::spawn(command, "backstay serve".into());
        wait_for("the engine to answer", Duration::from_mins(1), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(engine.ended().is_none(), "the engine ended:\n{said}");
            (self.run(&["status"]).code == Some(0)).then_some(())
        });
        self.engine = Some(engine);
    }

    /// Starts an engine whose files can be kept from growing, see [`Home::fill_disk`].
    pub fn serve_on_a_small_disk(&mut self) {
        // A file that may not grow ends a process, unless it was told otherwise.
        let script = "trap '' XFSZ; exec \"$0\" serve";
        let program = Program::new("sh").args(["-c", script]).arg(binary());
        let command = self.surrounded(program.command());
        self.start(command);
    }

    /// From now on the engine cannot write to any file, as if no space were left; or it can again.
    pub fn fill_disk(&self, full: bool) {
        let engine = self.engine.as_ref().expect("the engine was started");
        let limit = Rlimit {
            current: full.then_some(0),
            maximum: None,
        };
        let process = Pid::from_raw(i32::try_from(engine.id()).unwrap());
        prlimit(process, Resource::Fsize, limit).unwrap();
    }

    /// The addresses that the engine said it listens on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| line.split_once("serving address="));
        lines
            .map(|(_, rest)| rest.split_whitespace().next().unwrap().parse().unwrap())
            .collect()
    }

    /// The engine's API.
    pub fn api(&self) -> Api {
        Api::at(&self.folder().join("backstay.sock"))
    }

    /// The engine's process; it was started by [`Home::serve`].
    pub fn engine(&mut self) -> &mut Background {
        self.engine.as_mut().expect("the engine was started")
    }

    /// Ends the engine as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            engine.end(Signal::KILL);
        }
    }

    /// Ends the engine as an operator would.
    pub fn terminate(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            let status = engine.end(Signal::TERM);
            assert!(
                status.success(),
                "the engine ended with {status}:\n{}",
                self.log()
            );
        }
    }

    /// What the engine printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("serve.log")).unwrap_or_default()
    }

    /// The largest memory the engine held so far, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let engine = self.engine.as_ref().expect("the engine was started");
        peak_memory_bytes(engine.id())
    }

    /// A command with this home's environment and nothing else of the caller's.
    pub fn command(&self, words: &[&str]) -> Command {
        self.surrounded(Program::new(binary()).args(words).command())
    }

    fn surrounded(&self, mut command: Command) -> Command {
        command
            .env("BACKSTAY_HOME", self.folder())
            .env("HOME", self.folder());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, however it ends.
    pub fn run(&self, words: &[&str]) -> Answer {
        let output = self.command(words).output().unwrap();
        Answer {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that has to succeed, and returns its standard output.
    ///
    /// # Panics
    /// When it fails, with everything it said.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let answer = self.run(words);
        assert!(
            answer.code == Some(0),
            "backstay {}\nexit code {:?}\n{}{}\n--- the engine's log\n{}",
            words.join(" "),
            answer.code,
            answer.out,
            answer.err,
            self.log()
        );
        answer.out
    }

    /// Runs a command with `--json` that has to succeed, and returns the document it printed.
    ///
    /// # Panics
    /// When it fails or prints anything but one document.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.push("--json");
        let text = self.ok(&words);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("backstay {}: {error}\n{text}", words.join(" ")))
    }
}

impl Home {
    /// Takes the recovery kit of the repository `local`.
    pub fn recovery_kit(&self) -> RecoveryKit {
        let file = self.folder().join("kit.zip");
        let path = file.to_str().unwrap();
        self.ok(&["repository", "recovery-kit", "local", "-o", path]);
        RecoveryKit::parse(&std::fs::read(&file).unwrap()).unwrap()
    }
}

/// The largest memory a running process held so far, in bytes.
pub fn peak_memory_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a line VmHWM");
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
